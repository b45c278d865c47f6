"""The steps of a year as a checker takes them from the table of the user: demands, lengths, and their digest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.errors import OptionError
from openpoint.network import Network

PIECE = 1 << 19
"""Demands that are in memory at once: of all buses in some steps."""
OUTWARDS = 1e-12
"""What sums of products in floating point may lack, relative to the sum of their sizes: far more than rounding."""


class YearLike(Protocol):
    """What a year has, such as `openpoint.Year`: T steps, d profiles, L shares of N buses that follow one each."""

    @property
    def hours(self) -> Floats:
        """(T) lengths of the steps."""
        ...

    @property
    def profile(self) -> Floats:
        """(T, d) values."""
        ...

    @property
    def bus_names(self) -> tuple[str, ...]:
        """(N) as in the grid."""
        ...

    @property
    def bus(self) -> Ints:
        """(L) bus of a share."""
        ...

    @property
    def follows(self) -> Ints:
        """(L) profile of a share."""
        ...

    @property
    def kva(self) -> Complexes:
        """(L) power of a share at profile 1."""
        ...


@dataclass(frozen=True, eq=False)
class Steps:
    """T steps of N buses, per unit; the demand of a bus is the sum of its shares, each times its profile.

    Attributes:
        hours: (T) > 0. profile: (T, d). bus, follows: (L). power: (L) of a share at profile 1. n: N.
    """

    hours: Floats
    profile: Floats
    bus: Ints
    follows: Ints
    power: Complexes
    n: int

    @classmethod
    def of(cls, year: YearLike, network: Network) -> Steps:
        """The steps of a year of a grid.

        Raises:
            OptionError: it is of another grid, or its numbers are none.
        """
        if tuple(year.bus_names) != tuple(network.bus_names):
            raise OptionError("this year is of another grid: its buses are not those of this grid, in its order")
        power, n = year.kva / network.s_base_kva, network.n_terminals
        found = cls(year.hours, year.profile, year.bus, year.follows, power, n)
        sound = np.isfinite(found.profile).all() and np.isfinite(power).all() and bool((found.hours > 0.0).all())
        if not (sound and len(found.hours) == len(found.profile) > 0 and np.isfinite(found.hours).all()):
            raise OptionError("this year has no steps, or values that are no numbers, or steps without length")
        return found

    @cached_property
    def shares(self) -> Complexes:
        """(d, N) power of the buses at profile 1."""
        shares = np.zeros((self.profile.shape[1], self.n), dtype=np.complex128)
        np.add.at(shares, (self.follows, self.bus), self.power)
        return shares

    def rows(self, steps: slice | Ints) -> Complexes:
        """(t, N) demands of some steps, in floating point."""
        return np.asarray(self.profile[steps] @ self.shares)

    def pieces(self) -> list[slice]:
        """All steps, some at a time."""
        some = max(1, PIECE // self.n)
        return [slice(at, at + some) for at in range(0, len(self.hours), some)]

    @cached_property
    def ends(self) -> tuple[Complexes, Complexes]:
        """(N) no step has less active or less reactive power, and (N) none has more."""
        size = np.abs(self.profile).max(axis=0) @ self._sizes * OUTWARDS
        low, high = np.full(self.n, np.inf), np.full(self.n, np.inf)
        ends = [low, high, low.copy(), high.copy()]
        for piece in self.pieces():
            rows = self.rows(piece)
            for end, part in zip(ends, (rows.real, -rows.real, rows.imag, -rows.imag), strict=True):
                np.minimum(end, part.min(axis=0), out=end)
        p_low, p_high, q_low, q_high = ends
        return (p_low - size) + 1j * (q_low - size), (size - p_high) + 1j * (size - q_high)

    @property
    def _sizes(self) -> Floats:
        """(d, N) sizes of the shares, added up."""
        sizes = np.zeros((self.profile.shape[1], self.n))
        np.add.at(sizes, (self.follows, self.bus), np.abs(self.power))
        return sizes
