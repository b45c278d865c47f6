"""Decorators for compiled functions that only compiled functions call: most of the time to compile is saved here.

numba optimises a function and makes machine code of it again for every function on the way to it from outside. So few
functions call others, and what has one caller is put into it. A way in from Python takes long for so many arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def inner(function: Function) -> Function:
    """As `openpoint.powerflow.compiled`, but not kept by itself, and without a way in from Python."""
    options = {"error_model": "numpy", "nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    result: Function = numba.njit(**options)(function)
    return result


def spliced(function: Function) -> Function:
    """As `inner`, put into its callers as it stands."""
    options = {"error_model": "numpy", "nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    result: Function = numba.njit(inline="always", **options)(function)
    return result


@inner
def copy(values: Any, into: Any) -> None:
    """Copy a vector; a slice would take long to compile."""
    for k in range(len(values)):
        into[k] = values[k]


@inner
def keep(values: Any, into: Any, row: int) -> None:
    """Copy a vector into a row of a table."""
    for k in range(len(values)):
        into[row, k] = values[k]


@inner
def recall(table: Any, row: int, into: Any) -> None:
    """Copy a row of a table into a vector."""
    for k in range(len(into)):
        into[k] = table[row, k]
