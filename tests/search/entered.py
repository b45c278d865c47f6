"""A way in from Python to compiled functions that have none."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numba


@cache
def entered(function: Callable[..., Any]) -> Callable[..., Any]:
    """A way in from Python to a compiled function that has none, or to a plain one, compiled once for all files."""
    inner = function if isinstance(function, numba.core.dispatcher.Dispatcher) else numba.njit(function)

    @numba.njit(error_model="numpy")
    def outside(*arguments):  # type: ignore[no-untyped-def]
        return inner(*arguments)

    result: Callable[..., Any] = outside
    return result
