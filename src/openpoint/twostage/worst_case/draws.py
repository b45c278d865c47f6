"""Realisations drawn uniformly from an uncertainty set.

Of a budget set, where the shares a_j = |u_j − nominal_j| / deviation_j lie between 0 and 1 and add up to at most Γ, the
sides are drawn in proportion to the deviations to either side. The shares come by Stanley's map: with x in the unit
cube and x_0 = 0,

    a_j = x_{j−1} − x_j,  plus 1 where that is negative,

keeps volumes, and d < Σ a < d + 1 where x_1 … x_m has d ascents. So the number of ascents, fewer than Γ, is drawn by
the Eulerian numbers, an order with so many by their recurrence, and numbers in that order. The distribution is exact,
without rejections or a Markov chain. (R. Stanley: Eulerian partitions of a unit hypercube. In: Higher Combinatorics,
1977.)
"""

from __future__ import annotations

import random

import numpy as np

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.twostage.uncertainty import Box, Budget, Certain, Uncertainty


def draw(uncertainty: Uncertainty, count: int, seed: int) -> Floats:
    """(count, m) realisations, uniform in the volume of the set; the one of a certain set, (1, m).

    Raises:
        OptionError: a finite set, whose realisations can all be used.
    """
    rng = np.random.default_rng(seed)
    match uncertainty:
        case Certain(value):
            return value[None, :].copy()
        case Box(lower, upper):
            return rng.uniform(lower, upper, (count, len(lower)))
        case Budget(nominal, down, up, most):
            realisations = np.tile(nominal, (count, 1))
            for members in uncertainty.members():
                width = (up + down)[members]
                rises = rng.uniform(0.0, width, (count, len(members))) < up[members]
                share = _shares(len(members), most, count, rng)
                realisations[:, members] += share * np.where(rises, up[members], -down[members])
            return realisations
    raise OptionError("these realisations are finitely many; evaluate each of them instead of drawing some")


def _shares(m: int, most: int, count: int, rng: np.random.Generator) -> Floats:
    """(count, m) points of the unit cube, uniform among those whose sum is at most `most`."""
    if most >= m:
        return rng.uniform(size=(count, m))
    if most == 0:
        return np.zeros((count, m))
    numbers = _eulerian(m)
    chance = random.Random(int(rng.integers(2**63)))
    ascents = chance.choices(range(most), [numbers[m][d] / max(numbers[m][:most]) for d in range(most)], k=count)
    rank = np.array([_order(m, d, numbers, chance) for d in ascents])
    x = np.take_along_axis(np.sort(rng.uniform(size=(count, m)), axis=1), rank, axis=1)
    fall = np.diff(x, axis=1, prepend=0.0) * -1.0
    return np.where(fall < 0.0, fall + 1.0, fall)


def _eulerian(m: int) -> list[list[int]]:
    """A(n, k) for n up to m: in how many orders of n numbers k follow a smaller one."""
    rows = [[1]]
    for n in range(1, m + 1):
        before = [*rows[-1], 0]
        rows.append([(k + 1) * before[k] + ((n - k) * before[k - 1] if k else 0) for k in range(n)])
    return rows


def _order(m: int, ascents: int, numbers: list[list[int]], chance: random.Random) -> list[int]:
    """An order of 0 … m−1, uniform among those with so many ascents; numbers are inserted one after the other."""
    makes = []
    k = ascents
    for n in range(m, 1, -1):
        keeps = (k + 1) * numbers[n - 1][k] if k < n - 1 else 0
        makes.append(chance.random() >= keeps / numbers[n][k])
        k -= makes[-1]
    order = [0]
    for n, rises in zip(range(1, m), reversed(makes), strict=True):
        i = chance.randrange(n + 1)
        # The largest number so far adds an ascent where it is put at the end or into a descent.
        while (i == n or (i > 0 and order[i - 1] > order[i])) != rises:
            i = chance.randrange(n + 1)
        order.insert(i, n)
    return order
