"""The multipliers of a line of a certificate, which are written as differences from those of an earlier line."""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.arrays import Ints
from openpoint.verify.archive import Archive
from openpoint.verify.errors import CertificateError

MOST_BITS = 40
"""Binary digits of multipliers, at most."""
WIDTHS = (1, 2, 4, 8)
"""Bytes of a number."""


class Multipliers:
    """Multipliers of the balances and limits. All arithmetic is that of 64-bit integers, modulo 2^64.

    Attributes:
        bits: digits. y, mu: (n) times 2^bits. tops: buses from which parts without a source are directed. phi: by bus,
            times 2^`PHI`. near: by bus, times 2^`NEAR`.
    """

    def __init__(self, n: int) -> None:
        self.bits = 0
        self.y: Ints = np.zeros(n, dtype=np.int64)
        self.mu: Ints = np.zeros(n, dtype=np.int64)
        self.tops: list[int] = []
        self.phi: dict[int, int] = {}
        self.near: dict[int, int] = {}

    def read(self, given: list[Any], archive: Archive) -> None:
        """Go on to the multipliers of a line `[bits, roots, phi, near, width]` and the numbers after it in the file."""
        bits, tops, phi, near, width = given
        self.take(bits, tops, phi, near, *self._steps(width, archive))

    def read_plain(self, bits: int, width: int, archive: Archive) -> None:
        """Go on to the multipliers of a line that has none of limits."""
        self.take(bits, [], [], [], *self._steps(width, archive))

    def _steps(self, width: int, archive: Archive) -> Ints:
        """(2, n) numbers that follow a line, of so many bytes each."""
        n = len(self.y)
        if width not in WIDTHS:
            raise CertificateError(f"numbers of {width} bytes")
        block = np.frombuffer(archive.block(2 * n * width), dtype=np.uint8).reshape(width, 2, n)
        steps = np.ascontiguousarray(block.transpose(1, 2, 0)).view(f"<i{width}").reshape(2, n)
        return np.cumsum(steps, axis=1, dtype=np.int64)

    def take(self, bits: int, tops: list[int], phi: Any, near: Any, y: Ints, mu: Ints) -> None:
        """Go on to other multipliers; `y` and `mu` are added to those so far."""
        n = len(self.y)
        if bits not in range(MOST_BITS + 1) or any(bus not in range(n) for bus in tops):
            raise CertificateError(f"multipliers of {bits} binary digits, roots at {tops}")
        for mine, more in ((self.y, y), (self.mu, mu)):
            if bits > self.bits:
                mine <<= bits - self.bits
            elif bits < self.bits:
                mine >>= self.bits - bits
            mine += more
        self.bits, self.tops = bits, tops
        self.phi, self.near = ({int(bus): int(k) for bus, k in pairs} for pairs in (phi, near))
        if any(bus not in range(n) for bus in (*self.phi, *self.near)):
            raise CertificateError("a multiplier of a limit is at no bus of the grid")
