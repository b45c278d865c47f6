"""Prices by which paths are divided into parts: multipliers, and what sets of junctions pay (`paths.parts`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.search.paths.arrays import Paths, PathWork

DIGITS = 40
"""Binary digits of what sets pay."""


@dataclass(frozen=True)
class Prices:
    """Prices of a node, any of which are valid.

    Attributes:
        y, mu: (J + 1) multipliers, >= 0. sets: what each set of junctions pays, times 2^`DIGITS`, and its junctions: of
            any sign where it is one junction, else >= 0.
    """

    y: Floats
    mu: Floats
    sets: list[tuple[int, Ints]]

    def moved(self, y: Floats, mu: Floats, z: Floats) -> Prices:
        """Other multipliers, and (J + 1) by how much more each junction pays."""
        more = [0 if len(some) > 1 else round(np.ldexp(z[some[0]], DIGITS)) for _, some in self.sets]
        return Prices(y, mu, [(paid + add, some) for (paid, some), add in zip(self.sets, more, strict=True)])

    def tolls(self, paths: Paths) -> Floats:
        """(2K) for each arc the sum of what the sets pay that it enters."""
        toll = np.zeros(2 * len(paths.u))
        for z, some in self.sets:
            within = np.zeros(paths.junctions + 1, dtype=bool)
            within[some] = True
            u, v = within[paths.u], within[paths.v]
            toll[0::2] += np.ldexp(float(z), -DIGITS) * (v & ~u)
            toll[1::2] += np.ldexp(float(z), -DIGITS) * (u & ~v)
        return toll


def prices_of(paths: Paths, work: PathWork) -> Prices:
    """Those of the last path bound: its multipliers, and the duals of its arborescence."""
    within: dict[int, list[int]] = {}
    for j in range(paths.junctions):
        node = j
        while node >= 0:
            within.setdefault(node, []).append(j)
            node = int(work.tree[node])
    paid = {node: round(np.ldexp(work.dual[node], DIGITS)) for node in within}
    sets = [(paid[node] if len(some) == 1 else max(0, paid[node]), np.array(some)) for node, some in within.items()]
    return Prices(work.y.copy(), work.mu.copy(), sets)
