"""Tables: arrays and numbers that compiled functions take as one argument, the address of a table.

numba passes a tuple field by field and an array as seven numbers, so that a hundred arrays make seven hundred
arguments, which take most of the time to compile. A `Table` is one argument. In Python, and in code that is not
compiled, its fields are plain arrays and numbers; for what they are in compiled code see `openpoint.compiled.lowering`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from typing import Any, ClassVar, Self

import numpy as np


@dataclass(frozen=True, eq=False)
class TableKind:
    """What machine code depends on: the fields of a table and their types. There is one object for equal kinds.

    Attributes:
        name: of the class. members: names and types, of a number or by letter and dimensions of an array.
        left_out: flags that are known to be False.
    """

    name: str
    members: tuple[tuple[str, type | tuple[str, int]], ...]
    left_out: tuple[str, ...]


_kind_of = cache(TableKind)


@dataclass(frozen=True, eq=False)
class Table:
    """Base of frozen dataclasses whose fields are C-contiguous arrays, integers, floats and flags.

    Attributes:
        rare: flags that seldom hold. left_out: those of them that code is compiled without, see `specialised`.
    """

    rare: ClassVar[tuple[str, ...]] = ()
    left_out: ClassVar[tuple[str, ...]] = ()

    @cached_property
    def specialised(self) -> Self:
        """The same arrays, of a type for which code is compiled without what rare flags stand for, if none holds.

        That code is compiled sooner than the code for all cases.
        """
        if not self.rare or any(getattr(self, name) for name in self.rare):
            return self
        found = replace(self)
        object.__setattr__(found, "left_out", self.rare)
        return found

    @cached_property
    def layout(self) -> tuple[TableKind, np.ndarray[Any, np.dtype[np.int64]]]:
        """The kind of the table, and the cells: numbers, and of arrays the address and the shape.

        Raises:
            ValueError: an array is not contiguous.
        """
        kinds: list[tuple[str, type | tuple[str, int]]] = []
        row: list[int] = []
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                if not value.flags.c_contiguous:
                    raise ValueError(f"{type(self).__name__}.{name} is not C-contiguous")
                kinds.append((name, (value.dtype.char, value.ndim)))
                row += [value.ctypes.data, *value.shape]
            else:
                kinds.append((name, type(value)))
                row.append(int(np.float64(value).view(np.int64)) if isinstance(value, float) else int(value))
        return _kind_of(type(self).__name__, tuple(kinds), self.left_out), np.array(row, dtype=np.int64)

    @cached_property
    def address(self) -> int:
        """Address of the cells."""
        return int(self.layout[1].ctypes.data)
