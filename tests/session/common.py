"""What tests of sessions share."""

import numpy as np

IDS = np.random.default_rng(0).integers(2, 260, 400).tolist()
"""Tokens of the tiny model, none of them special."""


def same(a, b):
    np.testing.assert_array_equal(a, b)
