"""Tables: arrays and numbers that compiled functions take as one argument, the address of a table.

numba passes a tuple field by field and an array as seven numbers, so that a hundred arrays make seven hundred
arguments, which take most of the time to compile. A `Table` is one argument. In Python, and in code that is not
compiled, its fields are plain arrays and numbers. In compiled code an array of a table is the address of its cells in
the table. It has a length, and items by indices that are not negative (checked with NUMBA_BOUNDSCHECK=1); items are
64-bit integers and floats, whatever the width in memory, flags or complex numbers.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from typing import Any, ClassVar, Self

import numba
import numpy as np
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.extending import (
    NativeValue,
    lower_builtin,
    lower_getattr_generic,
    register_model,
    typeof_impl,
    unbox,
)
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, infer_global
from numba.np.numpy_support import from_dtype


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
    def layout(self) -> tuple[TableType, np.ndarray[Any, np.dtype[np.int64]]]:
        """The types of the fields for numba, and the cells: numbers, and of arrays the address and the shape.

        Raises:
            ValueError: an array is not contiguous.
        """
        names = tuple(field.name for field in fields(self))
        kinds: list[Any] = []
        row: list[int] = []
        for name in names:
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                if not value.flags.c_contiguous:
                    raise ValueError(f"{type(self).__name__}.{name} is not C-contiguous")
                kinds.append((value.dtype.char, value.ndim))
                row += [value.ctypes.data, *value.shape]
            else:
                kinds.append(type(value))
                row.append(int(np.float64(value).view(np.int64)) if isinstance(value, float) else int(value))
        return _table_type(type(self).__name__, names, tuple(kinds), self.left_out), np.array(row, dtype=np.int64)

    @cached_property
    def address(self) -> int:
        """Address of the cells."""
        return int(self.layout[1].ctypes.data)


class MemberType(types.Type):
    """numba's type of an array of a table."""

    def __init__(self, kept: Any, ndim: int) -> None:
        self.kept, self.ndim = kept, ndim
        wide = {types.Integer: types.int64, types.Float: types.float64}
        self.item: Any = next((item for kind, item in wide.items() if isinstance(kept, kind)), kept)
        super().__init__(name=f"{kept}x{ndim}")  # short, since numba repeats it in the name of every function


class TableType(types.Type):
    """numba's type of a table: names and types of its fields, the first cell of each, and flags known to be False."""

    def __init__(self, name: str, members: tuple[tuple[str, Any], ...], left_out: tuple[str, ...] = ()) -> None:
        self.members, self.left_out = dict(members), left_out
        self.first: dict[str, int] = {}
        cell = 0
        for member, kind in members:
            self.first[member] = cell
            cell += 1 + kind.ndim if isinstance(kind, MemberType) else 1
        self.text = ", ".join(f"{member}: {kind}" for member, kind in members)
        super().__init__(name=f"{name}Plain" if left_out else name)

    def __reduce__(self) -> tuple[type[TableType], tuple[Any, ...]]:
        return TableType, (self.name.removesuffix("Plain"), tuple(self.members.items()), self.left_out)

    @property
    def key(self) -> tuple[str, str]:
        """Key by which numba compares types."""
        return self.name, self.text


@cache
def _table_type(name: str, members: tuple[str, ...], kinds: tuple[Any, ...], left_out: tuple[str, ...]) -> TableType:
    """Type of a table with members of these kinds: type of a number, or letter and dimensions of an array."""
    of = (
        MemberType(from_dtype(np.dtype(kind[0])), kind[1]) if isinstance(kind, tuple) else numba.typeof(kind(0))
        for kind in kinds
    )
    return TableType(name, tuple(zip(members, of, strict=True)), left_out)


def _typeof(value: Table, _context: Any) -> TableType:
    return value.layout[0]


def _unbox(_kind: TableType, value: Any, c: Any) -> Any:
    address = c.pyapi.object_getattr_string(value, "address")
    pointer = c.pyapi.long_as_voidptr(address)
    c.pyapi.decref(address)
    return NativeValue(pointer, is_error=cgutils.is_not_null(c.builder, c.pyapi.err_occurred()))


class _Fields(AttributeTemplate):  # type: ignore[misc]
    key = TableType

    def generic_resolve(self, kind: TableType, name: str) -> Any:
        return kind.members.get(name)


class _OfMember(AbstractTemplate):  # type: ignore[misc]
    metadata: ClassVar[dict[str, str]] = {"target": "cpu"}  # asked before the many of numba, which know no target


class _Get(_OfMember):
    key = operator.getitem

    def generic(self, args: Any, kws: Any) -> Any:
        if isinstance(args[0], MemberType):
            return signature(args[0].item, args[0], _index(args[0]))
        return None


class _Set(_OfMember):
    key = operator.setitem

    def generic(self, args: Any, kws: Any) -> Any:
        if isinstance(args[0], MemberType):
            return signature(types.none, args[0], _index(args[0]), args[0].kept)
        return None


class _Length(_OfMember):
    key = len

    def generic(self, args: Any, kws: Any) -> Any:
        return signature(types.intp, args[0]) if isinstance(args[0], MemberType) else None


def _index(member: MemberType) -> Any:
    return types.intp if member.ndim == 1 else numba.typeof((0,) * member.ndim)


def _cell(builder: Any, pointer: Any, number: int, kind: Any = cgutils.intp_t) -> Any:
    """Load a cell. Cells never change while compiled code runs, so that the optimiser can load them before a loop."""
    cells = builder.bitcast(pointer, kind.as_pointer())
    value = builder.load(builder.gep(cells, [cgutils.intp_t(number)]) if number else cells)
    value.set_metadata("invariant.load", builder.module.add_metadata([]))
    return value


def _field(context: Any, builder: Any, kind: TableType, pointer: Any, name: str) -> Any:
    """A number, or the address of an array's cells in the table."""
    member = kind.members[name]
    place = builder.bitcast(pointer, cgutils.intp_t.as_pointer())
    place = builder.bitcast(builder.gep(place, [cgutils.intp_t(kind.first[name])]), cgutils.voidptr_t)
    if isinstance(member, MemberType):
        return place
    if isinstance(member, types.Boolean):
        return builder.trunc(_cell(builder, place, 0), cgutils.bool_t)
    return _cell(builder, place, 0, context.get_value_type(member))


def _place(context: Any, builder: Any, member: MemberType, pointer: Any, index: Any) -> Any:
    """Address of an item of an array."""
    if context.enable_boundscheck:  # NUMBA_BOUNDSCHECK=1
        for axis, part in enumerate(cgutils.unpack_tuple(builder, index) if member.ndim > 1 else [index]):
            cgutils.do_boundscheck(context, builder, part, _cell(builder, pointer, 1 + axis), axis)
    if member.ndim > 1:
        row, column = cgutils.unpack_tuple(builder, index)
        index = builder.add(builder.mul(row, _cell(builder, pointer, 2)), column)
    return builder.gep(_cell(builder, pointer, 0, context.get_data_type(member.kept).as_pointer()), [index])


def _get(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    member = sig.args[0]
    value = context.unpack_value(builder, member.kept, _place(context, builder, member, *args))
    return context.cast(builder, value, member.kept, member.item)


def _set(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    member = sig.args[0]
    context.pack_value(builder, member.kept, args[2], _place(context, builder, member, *args[:2]))
    return context.get_dummy_value()


def _length(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
    return _cell(builder, args[0], 1)


register_model(TableType)(models.OpaqueModel)
register_model(MemberType)(models.OpaqueModel)
typeof_impl.register(Table)(_typeof)
unbox(TableType)(_unbox)
infer_getattr(_Fields)
lower_getattr_generic(TableType)(_field)
infer_global(operator.getitem)(_Get)
infer_global(operator.setitem)(_Set)
infer_global(len)(_Length)
lower_builtin(operator.getitem, MemberType, types.Any)(_get)
lower_builtin(operator.setitem, MemberType, types.Any, types.Any)(_set)
lower_builtin(len, MemberType)(_length)
