"""The multipliers of a line of a certificate, which are written as differences from those of an earlier line."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from openpoint.verify.verified import CertificateError

MOST_BITS = 40
"""Binary digits of multipliers, at most."""
FITS = 1 << 62
"""Numbers below this are held in signed 64 bits, others as Python integers."""
Whole = npt.NDArray[Any]


class Multipliers:
    """Multipliers of the balances and limits.

    Attributes:
        bits: digits. y, mu: (n) times 2^bits. tops: buses from which parts without a source are directed. phi: by bus,
            times 2^`PHI`. near: by bus, times 2^`NEAR`.
    """

    def __init__(self, n: int) -> None:
        self.bits = 0
        self.y: Whole = np.zeros(n, dtype=np.int64)
        self.mu: Whole = np.zeros(n, dtype=np.int64)
        self.tops: list[int] = []
        self.phi: dict[int, int] = {}
        self.near: dict[int, int] = {}

    def take(self, given: list[Any]) -> None:
        """Go on to the multipliers of a line, `[bits, roots, phi, near, y, mu]`."""
        bits, tops, phi, near, y, mu = given
        n = len(self.y)
        if not 0 <= bits <= MOST_BITS or any(bus not in range(n) for bus in tops):
            raise CertificateError(f"multipliers of {bits} binary digits, roots at {tops}")
        self.y, self.mu = (_moved(old, bits - self.bits, change) for old, change in ((self.y, y), (self.mu, mu)))
        self.bits, self.tops = bits, tops
        self.phi, self.near = ({int(bus): int(k) for bus, k in pairs} for pairs in (phi, near))
        if any(bus not in range(n) for bus in (*self.phi, *self.near)):
            raise CertificateError("a multiplier of a limit is at no bus of the grid")


def _moved(old: Whole, digits: int, change: list[Any]) -> Whole:
    """Numbers with so many digits more, plus changes."""
    if len(change) != len(old):
        raise ValueError(f"{len(change)} multipliers, and {len(old)} buses")
    try:
        more: Whole = np.array(change, dtype=np.int64)
    except OverflowError:
        more = np.array([int(k) for k in change], dtype=object)
    if more.dtype == object or largest(old) << max(digits, 0) >= FITS:
        old, more = old.astype(object), more.astype(object)
    found: Whole = (old << digits if digits >= 0 else old >> -digits) + more
    return found.astype(np.int64) if found.dtype == object and largest(found) < FITS else found


def largest(numbers: Whole) -> int:
    """The largest absolute value."""
    return max(int(numbers.max()), -int(numbers.min()))
