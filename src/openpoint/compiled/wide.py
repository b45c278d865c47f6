"""Products of 64-bit integers in 128 bits, for compiled functions; in Python of integers of any width."""

from __future__ import annotations


def product(a: int, b: int, digits: int) -> int:
    """a b / 2^digits, rounded downwards; the caller makes sure that this fits in 64 bits."""
    return int(a) * int(b) >> int(digits)


def covers(quotient: int, divisor: int, a: int, b: int) -> bool:
    """Whether quotient times divisor is at least a² + b²."""
    return int(quotient) * int(divisor) >= int(a) ** 2 + int(b) ** 2
