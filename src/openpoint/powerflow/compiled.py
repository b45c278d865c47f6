"""The one decorator for compiled functions: numba without Python objects, cached on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function with numba at its first call.

    Division by zero gives inf or nan as in numpy: a flow that breaks down is found by its numbers. The lock of the
    interpreter is released. The machine code is kept beside the package, or in the user's cache folder where the
    package is read-only; where neither can be written it is compiled anew in each process.
    """
    options = {"error_model": "numpy", "nogil": True}
    try:
        result: Function = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba: "cannot cache function: no locator available"
        result = numba.njit(**options)(function)
    return result
