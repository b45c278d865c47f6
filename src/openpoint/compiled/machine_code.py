"""Machine code of lean functions: kept in files, and called by the addresses and numbers of its arguments.

A function is entered with the address of a row of cells, 64 bits each (`cells`): numbers, and the addresses of tables
and arrays. The interpreter lock is released; of an array only where its items are is read, as numpy's interface for C
has it. The object file that numba has made is loaded by llvmlite alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from array import array
from collections.abc import Callable
from contextlib import suppress
from ctypes import CFUNCTYPE, c_void_p
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from struct import Struct
from typing import Any, final

import llvmlite.binding as llvm
import numpy as np

from openpoint.atomic import write_files
from openpoint.compiled.table import Table

_CALL = CFUNCTYPE(None, c_void_p)
_FLOAT, _INTEGER = Struct("d"), Struct("q")
_FLOATS, _INTEGERS, _FLAGS = (float, np.float64), (int, np.int64), (bool, np.bool_)
_C, _F, _ALIGNED_WRITEABLE = 1, 2, 0x100 | 0x400
"""Flags of arrays as numpy numbers them."""


def cells(arguments: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[int]]:
    """The types of arguments, and the cells in which they are handed over, behind one of success and one of the result.

    Raises:
        TypeError: one of them is no table, array, number or tuple of these.
    """
    kinds: list[Any] = []
    row = [0, 0]
    _put(arguments, kinds, row)
    return tuple(kinds), row


def _put(arguments: tuple[Any, ...], kinds: list[Any], row: list[int]) -> None:
    for each in arguments:
        kind = type(each)
        if isinstance(each, Table):
            kinds.append(each.layout[0])
            row.append(each.address)
        elif kind is np.ndarray:
            flags = each.flags.num
            kinds.append((each.dtype, each.ndim, flags & (_ALIGNED_WRITEABLE | (_C if flags & _C else _F))))
            row.append(id(each))
        elif kind in _FLOATS:
            kinds.append(float)
            row += _INTEGER.unpack(_FLOAT.pack(each))
        elif kind in _INTEGERS or kind in _FLAGS:
            kinds.append(bool if kind in _FLAGS else int)
            row.append(int(each))
        elif isinstance(each, tuple):
            kinds.append((kind, len(each)))
            _put(each, kinds, row)
        else:
            raise TypeError(f"compiled functions take no {kind.__name__}")


@dataclass(frozen=True)
class Code:
    """Machine code for arguments of certain types.

    Attributes:
        entry: name of the function in it that takes the row. result: name of the type of what it returns.
        externals: names of functions that it calls outside. machine_code: an object file.
    """

    entry: str
    result: str
    externals: list[str]
    machine_code: bytes


@final
class Entry:
    """Machine code that was loaded: a function of a row of cells."""

    def __init__(self, code: Code) -> None:
        self._engine = _engine()
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code.machine_code))
        self._engine.finalize_object()
        self._call: Callable[[int], None] = _CALL(self._engine.get_function_address(code.entry))
        self._result, self._name = code.result, code.entry

    def __call__(self, row: list[int]) -> Any:
        given = array("q", row)
        self._call(given.buffer_info()[0])
        if given[0]:
            raise IndexError(f"an index is outside of its array in {self._name}")
        if self._result == "float64":
            return _FLOAT.unpack_from(given, 8)[0]
        if self._result == "none":
            return None
        return bool(given[1]) if self._result == "bool" else given[1]


def _engine() -> Any:
    """An engine for the processor of this process, which then finds the functions of the process by name."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(jit=True)
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


def foreign(code: Code) -> bool:
    """Whether it calls functions that only numba brings."""
    _engine()
    return any(llvm.address_of_symbol(name) is None for name in code.externals)


@cache
def _setting() -> str:
    """What machine code depends on beside its function: processor, versions, the head of objects, numba's settings."""
    settings = sorted(pair for pair in os.environ.items() if pair[0].startswith("NUMBA_"))
    return repr(
        (
            *(llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()),
            *(version("numba"), version("llvmlite"), np.__version__, sys.version_info[:2], object.__basicsize__),
            [pair for pair in settings if pair[0] != "NUMBA_CACHE_DIR"],
        )
    )


def place(function: Callable[..., Any], text: str, kinds: tuple[Any, ...]) -> Path | None:
    """The file of the machine code of a function; None where no file can be kept.

    Args:
        text: hash of what the function is made of. kinds: types of its arguments.
    """
    source = Path(function.__code__.co_filename)
    folder = _folder(source.parent) if source.is_file() else None
    of = hashlib.sha256(f"{_setting()} {kinds!r}".encode()).hexdigest()
    return folder and folder / f"{source.stem}.{function.__qualname__}-{text[:20]}-{of[:20]}.nbo"


@cache
def _folder(source: Path) -> Path | None:
    """Where machine code of the functions of a folder is kept."""
    beside = source / "__pycache__"
    elsewhere = f"{source.name}_{hashlib.sha256(str(source).encode()).hexdigest()[:20]}"
    if set_folder := os.environ.get("NUMBA_CACHE_DIR"):
        folders = [Path(set_folder) / elsewhere]
    else:
        of_user = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folders = [beside, Path(of_user) / "openpoint" / elsewhere]
    for folder in folders:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder
    return None


def read(path: Path | None, name: str) -> Code | None:
    """Machine code from its file; None where none can be read, or where it is damaged, which is said."""
    if path is None:
        return None
    try:
        kept = path.read_bytes()
    except OSError:  # none yet; another process has put one of a newer text in its place; it is another user's
        return None
    digest, _, content = kept.partition(b"\n")
    head, _, code = content.partition(b"\n")
    if digest == _digest(content):
        return Code(**json.loads(head), machine_code=code)
    print(f"warning: the compile cache of {name} is damaged and made anew: {path}", file=sys.stderr)
    return None


def write(path: Path | None, code: Code) -> None:
    """Keep machine code, in the place of that of other texts of the function."""
    if path is None:
        return
    head = {"entry": code.entry, "result": code.result, "externals": code.externals}
    content = json.dumps(head).encode() + b"\n" + code.machine_code
    function, text, _ = path.name.rsplit("-", 2)
    kept = set(path.parent.glob(f"{function}-*.nbo"))
    with suppress(OSError):
        write_files(
            {path: _digest(content) + b"\n" + content}, kept - set(path.parent.glob(f"{function}-{text}-*.nbo"))
        )


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
