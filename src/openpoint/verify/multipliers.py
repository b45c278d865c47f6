"""The multipliers of a line of a certificate, which are written as differences from those of an earlier line."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from openpoint.arrays import Ints

MOST_BITS = 40
"""Binary digits of multipliers, at most."""


@dataclass(frozen=True, eq=False)
class Given:
    """The multipliers of a line.

    Attributes:
        bits: digits. y, mu: (n) differences from earlier ones, times 2^bits. tops: buses from which parts without a
            source are directed. phi: by bus, times 2^`PHI`. near: by bus, times 2^`NEAR`, > 0.
    """

    bits: int
    y: Ints
    mu: Ints
    tops: list[int] = field(default_factory=list)
    phi: dict[int, int] = field(default_factory=dict)
    near: dict[int, int] = field(default_factory=dict)


class Multipliers:
    """Multipliers of the balances and limits. All arithmetic is that of 64-bit integers, modulo 2^64.

    Attributes:
        bits, tops, phi, near: as in `Given`. y, mu: (n) times 2^bits.
    """

    def __init__(self, n: int) -> None:
        self.bits = 0
        self.y: Ints = np.zeros(n, dtype=np.int64)
        self.mu: Ints = np.zeros(n, dtype=np.int64)
        self.tops: list[int] = []
        self.phi: dict[int, int] = {}
        self.near: dict[int, int] = {}

    def take(self, given: Given) -> None:
        """Go on to the multipliers of a line."""
        bits = given.bits
        for mine, more in ((self.y, given.y), (self.mu, given.mu)):
            if bits > self.bits:
                mine <<= bits - self.bits
            elif bits < self.bits:
                mine >>= self.bits - bits
            mine += more
        self.bits, self.tops, self.phi, self.near = bits, given.tops, given.phi, given.near
