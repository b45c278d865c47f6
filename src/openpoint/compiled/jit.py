"""Decorators for compiled functions: numba without Python objects, cached on disk where that is possible.

numba optimises and compiles a function again for each compiled function that calls it, directly or not. An `inlined`
function is only inserted into its callers, and the whole is optimised at once. A function with many array arguments
that Python can call takes long to compile; `openpoint.compiled.table` makes one argument of them. Functions that make
and copy no arrays need no reference counts: all decorators but `compiled` leave them out (`_nrt`).
"""

from __future__ import annotations

import gc
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import event, ir, typed_passes, untyped_passes
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompilerBase
from numba.core.compiler_machinery import FunctionPass, PassManager, register_pass
from numba.core.dispatcher import Dispatcher
from numba.core.ir_utils import get_definition, guard
from numba.core.types.misc import unliteral

from openpoint.compiled.table import TableType
from openpoint.compiled.timer import TIMER

Function = TypeVar("Function", bound=Callable[..., Any])

_PACKAGE = __name__.partition(".")[0] + "."
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True}
_LEAN: dict[str, Any] = {**_OPTIONS, "_nrt": False}
_WITHIN: dict[str, Any] = {**_LEAN, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def compiled(function: Function) -> Function:
    """Compile a function with numba at its first call.

    Division by zero gives inf or nan as in numpy, by which a flow without solution is found. The interpreter lock is
    released. The machine code is kept beside the package, or in the user's cache folder where the package is
    read-only; where neither can be written, each process compiles it.
    """
    return _kept(function, {**_OPTIONS, "pipeline_class": _Outer})


def lean(function: Function) -> Function:
    """As `compiled`, for a function that makes no arrays and copies no whole arrays."""
    return _kept(function, {**_LEAN, "pipeline_class": _Lean, "no_cfunc_wrapper": True})


def _kept(function: Function, options: dict[str, Any]) -> Function:
    result: Function = numba.njit(**options)(function)
    if not numba.config.DISABLE_JIT:
        with suppress(RuntimeError):  # numba: "cannot cache function: no locator available"
            result._cache = Cache(function)  # type: ignore[attr-defined]
    return result


def inlined(function: Function) -> Function:
    """As `lean`, but called by compiled functions only: not kept by itself, and not callable from Python."""
    result: Function = _without_literals(numba.njit(pipeline_class=_Inner, **_WITHIN)(function))
    return result


def always_inlined(function: Function) -> Function:
    """As `inlined`, but inlined whatever its length, not by the optimiser's choice: for calls in several loops."""
    result: Function = _without_literals(numba.njit(pipeline_class=_Inner, forceinline=True, **_WITHIN)(function))
    return result


def _without_literals(inner: Any) -> Any:
    """The function, compiled once for numbers and not again for each number that stands in a call: it is inlined."""
    if numba.config.DISABLE_JIT:
        return inner
    template = inner.get_call_template
    inner.get_call_template = lambda args, kws: template(
        tuple(map(unliteral, args)), {name: unliteral(kind) for name, kind in kws.items()}
    )
    return inner


@contextmanager
def while_compiling(tell: Callable[[str, bool], None]) -> Iterator[None]:
    """Within this context, `tell(name, False)` is called before a function is compiled and `tell(name, True)` after.

    There is no call for a function whose machine code is read from the cache, or that is only inserted into others.
    """
    with event.install_listener("numba:compile", _Listener(tell)):
        yield


class _Listener(event.Listener):  # type: ignore[misc]
    """A listener to numba's compilation events that reports the outermost function."""

    def __init__(self, tell: Callable[[str, bool], None]) -> None:
        self._tell = tell
        self._depth = 0

    def on_start(self, event: Any) -> None:
        self._depth += 1
        if self._depth == 1:
            self._tell(event.data["dispatcher"].py_func.__name__, False)

    def on_end(self, event: Any) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._tell(event.data["dispatcher"].py_func.__name__, True)


SELDOM = 100_000
"""New objects after which the collector of cycles looks at them while something is compiled."""


class _Timed(event.Listener):  # type: ignore[misc]
    """A listener to numba's compilation events that tells them to `TIMER`, and lets the collector look seldom."""

    def on_start(self, _event: Any) -> None:
        if TIMER.begin():
            self._often = gc.get_threshold()
            gc.set_threshold(SELDOM, *self._often[1:])

    def on_end(self, _event: Any) -> None:
        if TIMER.end():
            gc.set_threshold(*self._often)


event.register("numba:compile", _Timed())


class Cache(FunctionCache):  # type: ignore[misc]
    """A cache of machine code whose key contains the text of all files that the code is made of.

    numba compares the date of the file of the outermost function only, and would miss a change in an inner one.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The machine code for a signature; None where there is none, or where it is damaged, which is said."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # a damaged file raises whatever it leads to
            place = self._cache_file._index_path
            message = f"the compile cache of {self._py_func.__name__} is damaged ({type(error).__name__}) and made anew"
            print(f"warning: {message}: {place}", file=sys.stderr)
            with suppress(OSError):
                Path(place).unlink()
            return None

    @cached_property
    def text(self) -> str:
        """The text of everything that the function is made of, see `made_of`, once all its modules are imported."""
        files, constants = made_of(self._py_func)
        own = {Path(__file__), *(Path(__file__).with_name(name) for name in ("table.py", "wide.py"))}
        texts = [file.read_bytes() for file in sorted(files | own)]
        return hashlib.sha256(b"".join(texts) + "\n".join(sorted(constants)).encode()).hexdigest()

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), self.text)


def made_of(function: Callable[..., Any]) -> tuple[set[Path], set[str]]:
    """What the machine code of a function is made of: files of compiled functions and of tuples, and constants."""
    files: set[Path] = set()
    constants: set[str] = set()
    for each, met in functions_of(function).items():
        files.add(Path(each.__code__.co_filename))
        for name, value in met:
            if isinstance(value, type) and value.__module__.startswith(_PACKAGE):
                files.add(Path(inspect.getfile(value)))
            elif isinstance(value, int | float | str | tuple | np.generic):
                constants.add(f"{name} = {value!r}")
            elif isinstance(value, np.ndarray):
                constants.add(f"{name} = {value.dtype} {value.shape} {value.tobytes().hex()}")
    return files, constants


def functions_of(function: Callable[..., Any]) -> dict[Any, list[tuple[str, Any]]]:
    """A function and the compiled functions that it calls, directly or not, each with the names in it and their values.

    Each name is resolved in the module of its function.
    """
    found: dict[Any, list[tuple[str, Any]]] = {}
    waiting: list[Any] = [function]
    while waiting:
        here = waiting.pop()
        if here in found:
            continue
        known, names = here.__globals__, _names(here.__code__)
        met = [(name, known[name]) for name in names if name in known]
        met += [pair for _, room in met if isinstance(room, ModuleType) for pair in _of_package(room, names)]
        found[here] = met
        waiting += [value.py_func for _, value in met if isinstance(value, Dispatcher)]
    return found


def _names(code: CodeType) -> set[str]:
    """Names in the code of a function and of what is defined within it, such as a comprehension."""
    within = [part for part in code.co_consts if isinstance(part, CodeType)]
    return set(code.co_names).union(*map(_names, within))


def _of_package(room: ModuleType, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """The names with their values in a module of this package."""
    if room.__name__.startswith(_PACKAGE):
        yield from ((name, vars(room)[name]) for name in names if name in vars(room))


class _Part(JITCodeLibrary):  # type: ignore[misc]
    """The code of a function that is only inserted into others: not linked, optimised and compiled by itself."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        self._finalized = True

    @property
    def codegen(self) -> _Part:
        return self

    def set_env(self, name: str, env: Any) -> None:
        """Do nothing: without machine code there is no place for the environment, and no Python object reads it."""


class _Linked(JITCodeLibrary):  # type: ignore[misc]
    """The code of a function that Python calls: with each part that is inserted into it, at any depth, once."""

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self.enable_object_caching()

    def add_linking_library(self, library: Any) -> None:
        if library not in self._linking_libraries:
            super().add_linking_library(library)
            if isinstance(library, _Part):
                for part in library._linking_libraries:
                    self.add_linking_library(part)


class _Whole(_Linked):
    """With arrays of its own."""


class _LeanWhole(_Linked):
    """Without arrays of its own."""

    def _optimize_final_module(self) -> None:
        """Optimise once: numba's first, cheap round is for counts of references, of which there are none."""
        passes, builder = self._codegen._module_pass_manager()
        passes.run(self._final_module, builder)


@register_pass(mutates_CFG=False, analysis_only=False)
class _KnownFlags(FunctionPass):  # type: ignore[misc]
    """Puts False for the flags of tables that are known beforehand: what they rule out is not even typed then."""

    _name = "known_flags"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        for block in state.func_ir.blocks.values():
            for assign in block.find_insts(ir.Assign):
                value = assign.value
                if not isinstance(value, ir.Expr) or value.op != "getattr":
                    continue
                of = guard(get_definition, state.func_ir, value.value)
                table = state.args[of.index] if isinstance(of, ir.Arg) else None
                if isinstance(table, TableType) and value.attr in table.left_out:
                    assign.value = ir.Const(False, value.loc)
                    state.func_ir._definitions[assign.target.name] = [assign.value]
        return True


PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    _KnownFlags,
    untyped_passes.DeadBranchPrune,
    untyped_passes.GenericRewrites,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.IRLegalization,
    typed_passes.AnnotateTypes,
    typed_passes.NativeLowering,
    typed_passes.NoPythonBackend,
)
"""Numba's passes without those for what no lean function has: closures, expressions of arrays, parallel loops."""


class _Lean(CompilerBase):  # type: ignore[misc]
    """numba's compiler with few passes, for functions without arrays of their own."""

    code_library: type[JITCodeLibrary] = _LeanWhole

    def __init__(self, typing: Any, target: Any, _library: Any, *rest: Any) -> None:
        super().__init__(typing, target, self.code_library(target.codegen(), "short"), *rest)

    def define_pipelines(self) -> list[PassManager]:
        passes = PassManager("short")
        for each in PASSES:
            passes.add_pass(each, each.__name__)
        passes.finalize()
        return [passes]


class _Inner(_Lean):
    code_library = _Part


class _Outer(Compiler):  # type: ignore[misc]
    """numba's compiler with all its passes, for functions with arrays of their own."""

    def __init__(self, typing: Any, target: Any, _library: Any, *rest: Any) -> None:
        super().__init__(typing, target, _Whole(target.codegen(), "whole"), *rest)
