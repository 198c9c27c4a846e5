"""Tests that take `isa` run once with each instruction set; `refused` says what opening a file that is wrong says."""

from ..isas import isa, pytest_pyfunc_call  # noqa: F401
from .refusing import refused  # noqa: F401
