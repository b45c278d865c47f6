"""Decorators for compiled functions: numba without Python objects, whose machine code is kept on disk.

numba optimises and compiles a function again for each compiled function that calls it, directly or not. An `inlined`
function is only inserted into its callers, and the whole is optimised at once. A function with many array arguments
that Python can call takes long to compile; `openpoint.compiled.table` makes one argument of them.

Machine code of `lean` functions is read and called without numba (`openpoint.compiled.machine_code`), whose import
takes longer than most searches. `openpoint.compiled.compiler`, which uses numba, is imported where something has to be
compiled or is called by numba itself.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import cached_property, update_wrapper
from importlib import import_module
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TypeVar, cast, final

import numpy as np

from openpoint.compiled import machine_code

Function = TypeVar("Function", bound=Callable[..., Any])

_PACKAGE = __name__.partition(".")[0] + "."
IN_PYTHON = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
"""Whether nothing is compiled and all functions run in Python."""


class Way(Enum):
    """How a function is compiled: by all passes of numba and called by it, by few of them, or into its callers only."""

    WHOLE = "whole"
    LEAN = "lean"
    INNER = "inner"
    ALWAYS = "always"


def compiled(function: Function) -> Function:
    """Compile a function with numba at its first call.

    Division by zero gives inf or nan as in numpy, by which a flow without solution is found. The interpreter lock is
    released. The machine code is kept beside the package, or in the user's cache folder where the package is
    read-only; where neither can be written, each process compiles it.
    """
    return _made(function, Way.WHOLE)


def lean(function: Function) -> Function:
    """As `compiled`, for a function that makes no arrays, copies no whole arrays, and returns a number or nothing.

    Its arguments are tables, arrays, numbers, and tuples of these with names.
    """
    return _made(function, Way.LEAN)


def inlined(function: Function) -> Function:
    """As `lean`, but called by compiled functions only: not kept by itself, and not callable from Python."""
    return _made(function, Way.INNER)


def always_inlined(function: Function) -> Function:
    """As `inlined`, but inlined whatever its length, not by the optimiser's choice: for calls in several loops."""
    return _made(function, Way.ALWAYS)


def _made(function: Function, way: Way) -> Function:
    return function if IN_PYTHON else cast("Function", Kernel(function, way))


@final
class Kernel:
    """A function that is compiled when it is first called.

    Attributes:
        py_func: the function in Python. way: how it is compiled.
    """

    def __init__(self, function: Callable[..., Any], way: Way) -> None:
        self.py_func, self.way = function, way
        self._entries: dict[tuple[Any, ...], machine_code.Entry] = {}
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        if self.way is not Way.LEAN:
            return self.dispatcher(*arguments)
        kinds, row = machine_code.cells(arguments)
        entry = self._entries.get(kinds)
        if entry is None:
            entry = self._entries[kinds] = self._entry(kinds, arguments)
        return entry(row)

    def __reduce__(self) -> str:
        return self.py_func.__qualname__

    @property
    def signatures(self) -> list[Any]:
        """The types of arguments for which there is machine code in this process."""
        return list(self._entries) if self.way is Way.LEAN else list(self.dispatcher.signatures)

    @cached_property
    def dispatcher(self) -> Any:
        """numba's function."""
        return import_module("openpoint.compiled.compiler").dispatcher(self)

    @cached_property
    def text(self) -> str:
        """Hash of the text of everything that the function is made of, see `made_of`, once all modules are imported."""
        files, constants = made_of(self.py_func)
        texts = [_content(file) for file in sorted(files | set(Path(__file__).parent.glob("*.py")))]
        return hashlib.sha256(b"".join(texts) + "\n".join(sorted(constants)).encode()).hexdigest()

    def _entry(self, kinds: tuple[Any, ...], arguments: tuple[Any, ...]) -> machine_code.Entry:
        path = machine_code.place(self.py_func, self.text, kinds)
        code = machine_code.read(path, self.py_func.__name__)
        if code is None:
            code = import_module("openpoint.compiled.compiler").machine_code_of(self, arguments)
            machine_code.write(path, code)
        if machine_code.foreign(code):
            import_module("openpoint.compiled.compiler")
        return machine_code.Entry(code)


def _content(file: Path) -> bytes:
    return file.read_bytes()


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
        waiting += [value.py_func for _, value in met if isinstance(value, Kernel)]
    return found


def _names(code: CodeType) -> set[str]:
    """Names in the code of a function and of what is defined within it, such as a comprehension."""
    within = [part for part in code.co_consts if isinstance(part, CodeType)]
    return set(code.co_names).union(*map(_names, within))


def _of_package(room: ModuleType, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """The names with their values in a module of this package."""
    if room.__name__.startswith(_PACKAGE):
        yield from ((name, vars(room)[name]) for name in names if name in vars(room))
