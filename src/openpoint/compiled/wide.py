"""Products of 64-bit integers in 128 bits, for compiled functions."""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba.core import types
from numba.core.typing import signature
from numba.extending import intrinsic

_WIDE = ir.IntType(128)


@intrinsic  # type: ignore[untyped-decorator]
def product(_typing: Any, a: Any, b: Any, digits: Any) -> Any:
    """a b / 2^digits, rounded downwards; the caller makes sure that this fits in 64 bits."""

    def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        a, b, digits = (builder.sext(arg, _WIDE) for arg in args)
        return builder.trunc(builder.ashr(builder.mul(a, b), digits), ir.IntType(64))

    return signature(types.int64, types.int64, types.int64, types.int64), code


@intrinsic  # type: ignore[untyped-decorator]
def covers(_typing: Any, quotient: Any, divisor: Any, a: Any, b: Any) -> Any:
    """Whether quotient times divisor is at least a² + b²."""

    def code(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        quotient, divisor, a, b = (builder.sext(arg, _WIDE) for arg in args)
        squares = builder.add(builder.mul(a, a), builder.mul(b, b))
        return builder.icmp_signed(">=", builder.mul(quotient, divisor), squares)

    return signature(types.boolean, types.int64, types.int64, types.int64, types.int64), code


if numba.config.DISABLE_JIT:

    def product(a: int, b: int, digits: int) -> int:
        """The same in Python."""
        return int(a) * int(b) >> int(digits)

    def covers(quotient: int, divisor: int, a: int, b: int) -> bool:
        """The same in Python."""
        return int(quotient) * int(divisor) >= int(a) ** 2 + int(b) ** 2
