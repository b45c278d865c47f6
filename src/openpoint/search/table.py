"""Arrays and numbers that compiled functions take as one: the address of a table of theirs.

numba hands a tuple over field by field, an array as seven numbers, so that a hundred arrays make functions of seven
hundred arguments, and most of the time to compile goes into these. A `Table` is one argument. Python, and code that is
not compiled, see the fields as they are; so does compiled code, which cannot set them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numba
import numpy as np
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.extending import NativeValue, lower_getattr_generic, register_model, typeof_impl, unbox
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.np.arrayobj import make_array, populate_array


@dataclass(frozen=True, eq=False)
class Table:
    """Base of frozen dataclasses whose fields are C-contiguous arrays, whole numbers, fractions and flags."""

    @cached_property
    def numba_type(self) -> TableType:
        """What the fields are, for numba."""
        members = tuple((field.name, numba.typeof(getattr(self, field.name))) for field in fields(self))
        return TableType(type(self).__name__, members)

    @cached_property
    def cells(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Numbers, and of arrays their address and shape, in the order of the fields."""
        row: list[int] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                row += [value.ctypes.data, *value.shape]
            else:
                row.append(int(np.float64(value).view(np.int64)) if isinstance(value, float) else int(value))
        return np.array(row, dtype=np.int64)

    @cached_property
    def address(self) -> int:
        """Where the cells are."""
        return int(self.cells.ctypes.data)


class TableType(types.Type):
    """numba's type of a table: names and types of its fields, and the first cell of each."""

    def __init__(self, name: str, members: tuple[tuple[str, Any], ...]) -> None:
        self.members = dict(members)
        self.first: dict[str, int] = {}
        cell = 0
        for member, kind in members:
            self.first[member] = cell
            cell += 1 + kind.ndim if isinstance(kind, types.Array) else 1
        self.text = ", ".join(f"{member}: {kind}" for member, kind in members)
        super().__init__(name=name)  # short, since numba repeats it in the name of every function

    def __reduce__(self) -> tuple[type[TableType], tuple[str, tuple[tuple[str, Any], ...]]]:
        return TableType, (self.name, tuple(self.members.items()))

    @property
    def key(self) -> tuple[str, str]:
        """What makes two types the same."""
        return self.name, self.text


def _typeof(value: Table, _context: Any) -> TableType:
    return value.numba_type


def _unbox(_kind: TableType, value: Any, c: Any) -> Any:
    address = c.pyapi.object_getattr_string(value, "address")
    pointer = c.pyapi.long_as_voidptr(address)
    c.pyapi.decref(address)
    return NativeValue(pointer, is_error=cgutils.is_not_null(c.builder, c.pyapi.err_occurred()))


class _Members(AttributeTemplate):  # type: ignore[misc]
    key = TableType

    def generic_resolve(self, kind: TableType, name: str) -> Any:
        return kind.members.get(name)


def _field(context: Any, builder: Any, kind: TableType, pointer: Any, name: str) -> Any:
    """Load a field. Its cells never change while compiled code runs, which lets them be loaded once before a loop."""
    word = cgutils.intp_t

    def number(value: int) -> Any:
        return context.get_constant(types.intp, value)

    cells = builder.bitcast(pointer, word.as_pointer())
    always = builder.module.add_metadata([])

    def load(cell: int, as_type: Any = word) -> Any:
        place = builder.gep(cells, [number(cell)])
        value = builder.load(builder.bitcast(place, as_type.as_pointer()))
        value.set_metadata("invariant.load", always)
        return value

    member, first = kind.members[name], kind.first[name]
    if not isinstance(member, types.Array):
        if isinstance(member, types.Boolean):
            return builder.trunc(load(first), cgutils.bool_t)
        return load(first, context.get_value_type(member))
    shape = [load(first + 1 + axis) for axis in range(member.ndim)]
    size = context.get_abi_sizeof(context.get_data_type(member.dtype))
    strides = [number(size)]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    array = make_array(member)(context, builder)
    data = load(first, context.get_data_type(member.dtype).as_pointer())
    populate_array(array, data=data, shape=shape, strides=strides, itemsize=number(size), meminfo=None)
    return array._getvalue()


register_model(TableType)(models.OpaqueModel)
typeof_impl.register(Table)(_typeof)
unbox(TableType)(_unbox)
infer_getattr(_Members)
lower_getattr_generic(TableType)(_field)
