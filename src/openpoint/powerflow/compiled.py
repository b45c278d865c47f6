"""Decorators for compiled functions: numba without Python objects, cached on disk where that is possible.

numba optimises a function and makes machine code of it again for every function on the way to it from outside. So few
functions call others, and what has one caller is put into it. A way in from Python takes long for many arrays. Where
no array is made or copied none needs to be kept alive: all but `compiled` do without the counts of references (`_nrt`)
that numba writes at each mention of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True}
_LEAN: dict[str, Any] = {**_OPTIONS, "_nrt": False}
_WITHIN: dict[str, Any] = {**_LEAN, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


class _Part(JITCodeLibrary):  # type: ignore[misc]
    """Code of a function that is only put into others: what optimises them optimises it."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True

    @property
    def codegen(self) -> Any:
        return self

    def set_env(self, name: str, env: Any) -> None:
        pass


class _Inner(Compiler):  # type: ignore[misc]
    def __init__(self, typing: Any, target: Any, library: Any, *rest: Any) -> None:
        super().__init__(typing, target, _Part(target.codegen(), "part"), *rest)


def compiled(function: Function) -> Function:
    """Compile a function with numba at its first call.

    Division by zero gives inf or nan as in numpy: a flow that breaks down is found by its numbers. The lock of the
    interpreter is released. The machine code is kept beside the package, or in the user's cache folder where the
    package is read-only; where neither can be written it is compiled anew in each process.
    """
    return _cached(function, _OPTIONS)


def lean(function: Function) -> Function:
    """As `compiled`, for a function that makes no arrays and copies none at once."""
    return _cached(function, _LEAN)


def _cached(function: Function, options: dict[str, Any]) -> Function:
    try:
        result: Function = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba: "cannot cache function: no locator available"
        result = numba.njit(**options)(function)
    return result


def inner(function: Function) -> Function:
    """As `lean`, but called by compiled functions alone: not kept by itself, and without a way in from Python."""
    result: Function = numba.njit(pipeline_class=_Inner, **_WITHIN)(function)
    return result


def spliced(function: Function) -> Function:
    """As `inner`, put into its callers as it stands."""
    result: Function = numba.njit(inline="always", **_WITHIN)(function)
    return result
