"""The next prices at the border of parts: the nearest ones at which what parts may add at most reaches a level.

What a part adds is concave in the prices, so that a value with its slope is an upper bound of it at all prices: a cut.
The nearest prices at which the sum of the parts, each below its cuts, reaches a level lie on the way to the best ones,
and where no prices do, none add so much (the level bundle method of Lemaréchal, Nemirovskii and Nesterov 1995, with
cuts of each part). Slopes are those of searches that end early, and so cuts are about true; what parts add at the
prices found is worked out anew, and is valid whatever the cuts are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.solvers.base import StandardForm, Status

UNUSED = 30
"""Rounds after which a cut goes that was not reached in any of them."""
REACHED = 1e-6
"""Distance to a cut, as a share of the unit, at which it counts as reached."""


@dataclass
class Cut:
    """What a part adds is at most `constant` + `slope` · (prices `at`); `unused`: rounds since it was reached last."""

    constant: float
    at: Ints
    slope: Floats
    unused: int = 0


class Bundle:
    """The cuts of some parts in n prices.

    Attributes:
        cuts: of each part. unit: of what is added. size: (n) unit of each price, in which distances are. floor: (n)
            least prices. gain: (n) by how much more is added where a price rises, besides what parts add.
    """

    def __init__(self, parts: int, unit: float, size: Floats, floor: Floats, gain: Floats) -> None:
        self.cuts: list[list[Cut]] = [[] for _ in range(parts)]
        self.unit, self.size, self.floor, self.gain = unit, size, floor, gain

    def add(self, part: int, value: float, slope: Floats, prices: Floats) -> None:
        """What a part adds at some prices (n), with its slope (n) there."""
        at = np.flatnonzero(slope)
        self.cuts[part].append(Cut(value - float(slope @ prices), at, slope[at]))

    def nearest(self, centre: Floats, least: float) -> Floats | None:
        """The prices (n) nearest to others at which cuts allow `least`, gain included; None where there are none."""
        from openpoint.solvers.clarabel import ClarabelModel

        found = ClarabelModel(self._form(centre, least)).solve()
        if found.status is not Status.OPTIMAL or found.x is None:
            return None
        n = len(centre)
        prices = np.maximum(centre + self.size * found.x[1 : 1 + n], self.floor)
        for cuts, most in zip(self.cuts, self.unit * found.x[1 + n :], strict=True):
            for cut in cuts:
                far = cut.constant + float(cut.slope @ prices[cut.at]) - most
                cut.unused = 0 if far < REACHED * self.unit else cut.unused + 1
            cuts[:] = [cut for cut in cuts if cut.unused < UNUSED]
        return np.asarray(prices)

    def _form(self, centre: Floats, least: float) -> StandardForm:
        """Least distance t over u, prices being centre + size u, and what parts add; all in units."""
        n, parts, unit = len(centre), len(self.cuts), self.unit
        cuts = [(part, cut) for part, some in enumerate(self.cuts) for cut in some]
        count, bounded = len(cuts), np.flatnonzero(np.isfinite(self.floor))
        row, at = np.repeat(np.arange(count), [len(cut.at) for _, cut in cuts]), np.concatenate([c.at for _, c in cuts])
        slope = np.concatenate([cut.slope for _, cut in cuts]) * self.size[at]
        of = np.array([part for part, _ in cuts])
        below = [
            sp.csr_array((count, 1)),
            sp.csr_array((-slope / unit, (row, at)), shape=(count, n)),
            sp.csr_array((np.ones(count), (np.arange(count), of)), shape=(count, parts)),
        ]
        reached = np.concatenate([[0.0], -self.gain * self.size / unit, -np.ones(parts)])
        one = -np.eye(1 + n, 1 + n + parts)
        most = [cut.constant + float(cut.slope @ centre[cut.at]) for _, cut in cuts]
        short = float(self.gain @ centre) - least
        down = (centre - self.floor)[bounded] / self.size[bounded]
        return StandardForm(
            c=-one[0],
            offset=0.0,
            a=sp.csc_array(sp.vstack([sp.hstack(below), sp.csr_array(np.vstack([reached, one[1 + bounded], one]))])),
            b=np.concatenate([np.array([*most, short]) / unit, down, np.zeros(1 + n)]),
            n_zero=0,
            n_nonneg=count + 1 + len(bounded),
            cones=(1 + n,),
            integers=np.zeros(0, dtype=np.int64),
            columns={},
        )
