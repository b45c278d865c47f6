"""Compiling with numba: pipelines with few passes, libraries that are linked once, and numba's own cache by content."""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
from numba.core import event, ir, lowering, typed_passes, types, untyped_passes
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompilerBase
from numba.core.compiler_machinery import FunctionPass, PassManager, register_pass
from numba.core.extending import typeof_impl
from numba.core.ir_utils import get_definition, guard
from numba.core.types.misc import unliteral

from openpoint.compiled.jit import Kernel, Way
from openpoint.compiled.lowering import TableType, entry
from openpoint.compiled.machine_code import Code
from openpoint.compiled.timer import LISTENERS, TIMER

SELDOM = 100_000
"""New objects after which the collector of cycles looks at them while something is compiled."""


class _Heard(event.Listener):  # type: ignore[misc]
    """A listener to numba's compilation events of the outermost function, which lets the collector look seldom."""

    def on_start(self, event: Any) -> None:
        if TIMER.begin():
            self._often = gc.get_threshold()
            gc.set_threshold(SELDOM, *self._often[1:])
            self._tell(event, finished=False)

    def on_end(self, event: Any) -> None:
        if TIMER.end():
            gc.set_threshold(*self._often)
            self._tell(event, finished=True)

    def _tell(self, event: Any, *, finished: bool) -> None:
        for tell in LISTENERS:
            tell(event.data["dispatcher"].py_func.__name__, finished)


event.register("numba:compile", _Heard())


class Cache(FunctionCache):  # type: ignore[misc]
    """A cache of machine code whose key contains the text of all files that the code is made of.

    numba compares the date of the file of the outermost function only, and would miss a change in an inner one.
    """

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel.py_func)
        self._kernel = kernel

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

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the machine code for a signature; on a full disk it is made anew by each process."""
        with suppress(OSError):
            super().save_overload(sig, data)

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), self._kernel.text)


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


class _Lower(lowering.Lower):  # type: ignore[misc]
    """numba's lowering, with an entry for rows of cells."""

    def __init__(self, context: Any, linked: Any, *rest: Any, **more: Any) -> None:
        super().__init__(context, linked, *rest, **more)
        self._linked = linked

    def create_cfunc_wrapper(self) -> None:
        entry(self.context, self._linked, self.fndesc)


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(typed_passes.BaseNativeLowering):  # type: ignore[misc]
    _name = "lowering_with_cells"

    @property
    def lowering_class(self) -> type[_Lower]:
        return _Lower


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
    _Lowering,
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


_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True}
_LEAN: dict[str, Any] = {**_OPTIONS, "_nrt": False, "no_cpython_wrapper": True}
_WITHIN: dict[str, Any] = {**_LEAN, "no_cfunc_wrapper": True, "pipeline_class": _Inner}
_SETTINGS: dict[Way, dict[str, Any]] = {
    Way.WHOLE: {**_OPTIONS, "pipeline_class": _Outer},
    Way.LEAN: {**_LEAN, "pipeline_class": _Lean},
    Way.INNER: _WITHIN,
    Way.ALWAYS: {**_WITHIN, "forceinline": True},
}
"""Functions that make and copy no arrays need no reference counts (`_nrt`)."""


def dispatcher(kernel: Kernel) -> Any:
    """numba's function of a kernel, compiled once for numbers and not again for each number that stands in a call."""
    made = numba.njit(**_SETTINGS[kernel.way])(kernel.py_func)
    if kernel.way is Way.WHOLE:
        with suppress(RuntimeError):  # numba: "cannot cache function: no locator available"
            made._cache = Cache(kernel)
    template = made.get_call_template
    made.get_call_template = lambda args, kws: template(
        tuple(map(unliteral, args)), {name: unliteral(kind) for name, kind in kws.items()}
    )
    return made


def machine_code_of(kernel: Kernel, arguments: tuple[Any, ...]) -> Code:
    """Compile a lean kernel for arguments of these types."""
    made = kernel.dispatcher
    _, kinds = made._compiler.fold_argument_types(tuple(map(numba.typeof, arguments)), {})
    made.compile(kinds)
    found = made.overloads[kinds]._asdict()
    linked = found["library"]
    outside = [each.name for each in linked._final_module.functions if each.is_declaration]
    return Code(
        f"{found['fndesc'].mangled_name}.entry",
        str(found["signature"].return_type),
        [name for name in outside if not name.startswith("llvm.")],
        linked._get_compiled_object(),
    )


def _typeof(value: Kernel, _context: Any) -> Any:
    return types.Dispatcher(value.dispatcher)


typeof_impl.register(Kernel)(_typeof)
