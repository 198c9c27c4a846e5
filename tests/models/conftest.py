"""Tests that take `isa` run once with each instruction set."""

from ..isas import isa, pytest_pyfunc_call  # noqa: F401
