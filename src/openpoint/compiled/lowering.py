"""What tables are in compiled code, how a kernel is entered from Python without Python objects, and 128-bit products.

In compiled code an array of a table is the address of its cells in the table. It has a length, and items by indices
that are not negative (checked with NUMBA_BOUNDSCHECK=1); items are 64-bit integers and floats, whatever the width in
memory, flags or complex numbers.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.extending import (
    lower_builtin,
    lower_getattr_generic,
    register_model,
    typeof_impl,
)
from numba.core.types.containers import BaseTuple
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, infer_global
from numba.np.arrayobj import make_array, populate_array
from numba.np.numpy_support import from_dtype

from openpoint.compiled.table import Table, TableKind
from openpoint.compiled.wide import covers, product

_WIDE = ir.IntType(128)
DATA, DIMENSIONS, STRIDES = 0, 16, 24
"""Where the fields of an array stand behind the head of every object of Python: `PyArrayObject` of numpy's C-API."""


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
def _table_type(kind: TableKind) -> TableType:
    members = (
        (name, MemberType(from_dtype(np.dtype(of[0])), of[1]) if isinstance(of, tuple) else numba.typeof(of(0)))
        for name, of in kind.members
    )
    return TableType(kind.name, tuple(members), kind.left_out)


def _typeof(value: Table, _context: Any) -> TableType:
    return _table_type(value.layout[0])


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


def entry(context: Any, library: Any, fndesc: Any) -> str:
    """Add to a kernel a function of a row of cells, see `openpoint.compiled.machine_code.cells`, and return its name.

    The first cell gets whether the kernel failed, the second one its result.
    """
    module = context.create_module("entry")
    name = f"{fndesc.mangled_name}.entry"
    outer = ir.Function(module, ir.FunctionType(ir.VoidType(), [cgutils.intp_t.as_pointer()]), name)
    builder = ir.IRBuilder(outer.append_basic_block("entry"))
    kernel = ir.Function(
        module, context.call_conv.get_function_type(fndesc.restype, fndesc.argtypes), fndesc.llvm_func_name
    )
    places = (builder.gep(outer.args[0], [cgutils.intp_t(k)]) for k in range(2, 1 << 20))
    given = [_given(context, builder, kind, places) for kind in fndesc.argtypes]
    status, result = context.call_conv.call_function(builder, kernel, fndesc.restype, fndesc.argtypes, given)
    builder.store(builder.zext(status.is_error, cgutils.intp_t), outer.args[0])
    place = builder.gep(outer.args[0], [cgutils.intp_t(1)])
    if isinstance(fndesc.restype, types.Float):
        builder.store(result, builder.bitcast(place, result.type.as_pointer()))
    elif fndesc.restype != types.none:
        builder.store(context.cast(builder, result, fndesc.restype, types.int64), place)
    builder.ret_void()
    library.add_ir_module(module)
    return name


def _given(context: Any, builder: Any, kind: Any, places: Iterator[Any]) -> Any:
    """An argument, from the next cells."""
    if isinstance(kind, BaseTuple):
        return context.make_tuple(builder, kind, [_given(context, builder, part, places) for part in kind])
    if isinstance(kind, types.Array):
        return _array(context, builder, kind, builder.load(next(places)))
    place = next(places)
    if isinstance(kind, TableType):
        return builder.inttoptr(builder.load(place), cgutils.voidptr_t)
    if isinstance(kind, types.Float):
        return builder.load(builder.bitcast(place, context.get_value_type(kind).as_pointer()))
    return context.cast(builder, builder.load(place), types.int64, kind)


def _array(context: Any, builder: Any, kind: Any, address: Any) -> Any:
    """numba's array, from the address of that of numpy."""
    item, place = context.get_data_type(kind.dtype), builder.add(address, cgutils.intp_t(object.__basicsize__))
    parts = ((DATA, item), (DIMENSIONS, cgutils.intp_t), (STRIDES, cgutils.intp_t))
    data, *axes = (
        builder.load(builder.inttoptr(builder.add(place, cgutils.intp_t(offset)), of.as_pointer().as_pointer()))
        for offset, of in parts
    )
    shape, strides = (
        [builder.load(builder.gep(each, [cgutils.intp_t(axis)])) for axis in range(kind.ndim)] for each in axes
    )
    array, size = make_array(kind)(context, builder), cgutils.intp_t(context.get_abi_sizeof(item))
    populate_array(array, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
    return array._getvalue()


class _Product(_OfMember):
    key = product

    def generic(self, args: Any, kws: Any) -> Any:
        return signature(types.int64, *[types.int64] * 3)


class _Covers(_OfMember):
    key = covers

    def generic(self, args: Any, kws: Any) -> Any:
        return signature(types.boolean, *[types.int64] * 4)


def _product(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    a, b, digits = (builder.sext(arg, _WIDE) for arg in args)
    return builder.trunc(builder.ashr(builder.mul(a, b), digits), ir.IntType(64))


def _covers(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
    quotient, divisor, a, b = (builder.sext(arg, _WIDE) for arg in args)
    squares = builder.add(builder.mul(a, a), builder.mul(b, b))
    return builder.icmp_signed(">=", builder.mul(quotient, divisor), squares)


register_model(TableType)(models.OpaqueModel)
register_model(MemberType)(models.OpaqueModel)
typeof_impl.register(Table)(_typeof)
infer_getattr(_Fields)
lower_getattr_generic(TableType)(_field)
infer_global(operator.getitem)(_Get)
infer_global(operator.setitem)(_Set)
infer_global(len)(_Length)
lower_builtin(operator.getitem, MemberType, types.Any)(_get)
lower_builtin(operator.setitem, MemberType, types.Any, types.Any)(_set)
lower_builtin(len, MemberType)(_length)
infer_global(product)(_Product)
infer_global(covers)(_Covers)
lower_builtin(product, *[types.int64] * 3)(_product)
lower_builtin(covers, *[types.int64] * 4)(_covers)
