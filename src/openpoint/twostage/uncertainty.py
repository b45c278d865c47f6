"""Uncertainty sets: realisations u ∈ Rᵐ, a finite number of them or a polyhedron, and what is known of their
probabilities.

Realisations drawn uniformly from an uncertainty set.

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

import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.errors import OptionError
from openpoint.twostage.ambiguity import Ambiguity, check_probabilities

VERTICES_MOST = 2_000_000
"""Most vertices of a polyhedral set that is listed."""
BLOCK = 4_096
"""Vertices that are listed, or evaluated, between two questions whether to stop."""


@dataclass(frozen=True)
class Certain:
    """Nothing is uncertain: one realisation, (m)."""

    value: Floats

    @property
    def values(self) -> Floats:
        """(1, m)."""
        return self.value[None, :]


@dataclass(frozen=True)
class Scenarios:
    """Finitely many realisations.

    Attributes:
        values: (K, m) realisations.
        probabilities: (K), sum 1; None where they are unknown, which leaves the risks that need none.
    """

    values: Floats
    probabilities: Floats | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or not len(self.values):
            raise OptionError("scenarios are empty; give an array (scenarios, entries) with at least one row")
        if not np.isfinite(self.values).all():
            raise OptionError("scenarios hold numbers that are not finite; mend or leave out those scenarios")
        if self.probabilities is not None:
            check_probabilities(self.probabilities, len(self.values))


@dataclass(frozen=True)
class AmbiguousScenarios:
    """Finitely many realisations whose probabilities are themselves uncertain.

    Attributes:
        values: (K, m) realisations. probabilities: (K) nominal; None where the ambiguity set needs none.
        ambiguity: the set of probability vectors.
    """

    values: Floats
    probabilities: Floats | None
    ambiguity: Ambiguity

    def __post_init__(self) -> None:
        Scenarios(self.values, self.probabilities)


@dataclass(frozen=True)
class Polyhedral:
    """u = origin + Σ_a steps[:, a] ζ_a with ζ ∈ [0, 1]ᴬ, rows · ζ ≤ upper, whose vertices all have binary ζ.

    Attributes:
        origin: (m). steps: (m, A). rows: (R, A) of 0 and 1. upper: (R) whole numbers.
    """

    origin: Floats
    steps: Floats
    rows: Floats
    upper: Floats

    def value(self, chosen: Floats) -> Floats:
        """(m) realisation of binary ζ."""
        return np.asarray(self.origin + self.steps @ chosen)


@dataclass(frozen=True)
class Box:
    """Every entry between a lower and an upper end, (m) each, independently of the others."""

    lower: Floats
    upper: Floats

    def __post_init__(self) -> None:
        if self.lower.shape != self.upper.shape or np.any(self.lower > self.upper):
            raise OptionError("the box is empty: a lower end lies above its upper end; swap or mend them")

    def polyhedral(self) -> Polyhedral:
        """The box as a polyhedral set: one binary ζ for each entry that can change."""
        free = np.flatnonzero(self.upper > self.lower)
        steps = np.zeros((len(self.lower), len(free)))
        steps[free, np.arange(len(free))] = (self.upper - self.lower)[free]
        return Polyhedral(self.lower, steps, np.empty((0, len(free))), np.empty(0))

    def count(self) -> int:
        """Number of vertices."""
        return int(2 ** int(np.sum(self.upper > self.lower)))

    def vertices(self) -> Iterator[Floats]:
        """All vertices, (m) each."""
        ends = [(lo,) if lo == hi else (lo, hi) for lo, hi in zip(self.lower, self.upper)]
        for vertex in itertools.product(*ends):
            yield np.array(vertex, dtype=np.float64)


@dataclass(frozen=True)
class Budget:
    """At most Γ entries deviate from their nominal values, in all or in each group (Bertsimas and Sim 2004).

    For a recourse with integers, whose worst case need not be a vertex of the polyhedron, the realisations are the
    nominal one and those where whole entries deviate.

    Attributes:
        nominal: (m). down, up: (m) largest deviation to either side, 0 or more.
        most: Γ, a whole number: the most entries that deviate.
        groups: (m) group of each entry, such as its period; each group has a budget. None = one budget for all.
        whole: only realisations that use the whole budget; valid where a deviation never lowers the cost, such as
            broken lines.
    """

    nominal: Floats
    down: Floats
    up: Floats
    most: int
    groups: Ints | None = None
    whole: bool = False

    def __post_init__(self) -> None:
        if self.most < 0 or self.most != int(self.most):
            raise OptionError(f"the budget of uncertainty is {self.most}; give a whole number, 0 or more")
        if np.any(self.down < 0) or np.any(self.up < 0):
            raise OptionError("a deviation is negative; give sizes, 0 or more")

    def polyhedral(self) -> Polyhedral:
        """The budget set as a polyhedral set: one binary ζ for each entry and side that can deviate."""
        m = len(self.nominal)
        sides = [(j, size) for j in range(m) for size in (self.up[j], -self.down[j]) if size != 0.0]
        steps = np.zeros((m, len(sides)))
        for a, (j, size) in enumerate(sides):
            steps[j, a] = size
        entry = np.array([j for j, _ in sides], dtype=np.int64)
        group = np.zeros(m, dtype=np.int64) if self.groups is None else self.groups
        names = np.unique(group[entry])
        budget = (group[entry][None, :] == names[:, None]).astype(np.float64)
        both = np.flatnonzero((self.up > 0) & (self.down > 0))
        once = (entry[None, :] == both[:, None]).astype(np.float64)
        upper = np.concatenate([np.full(len(budget), float(self.most)), np.ones(len(once))])
        return Polyhedral(self.nominal, steps, np.vstack([budget, once]), upper)

    def count(self) -> int:
        """Number of realisations with whole deviations."""
        total = 1
        for members in self.members():
            ways = self._ways(members)
            total *= ways
        return total

    def vertices(self) -> Iterator[Floats]:
        """All realisations with whole deviations, (m) each."""
        choices = [list(self._choices(members)) for members in self.members()]
        for combination in itertools.product(*choices):
            u = self.nominal.copy()
            for moved in combination:
                for j, size in moved:
                    u[j] += size
            yield u

    def members(self) -> list[Ints]:
        """Numbers of the entries that can deviate, by budget."""
        movable = np.flatnonzero((self.up > 0) | (self.down > 0))
        if self.groups is None:
            return [movable]
        return [movable[self.groups[movable] == g] for g in np.unique(self.groups[movable])]

    def _sizes(self, members: Ints) -> range:
        most = min(self.most, len(members))
        return range(most if self.whole else 0, most + 1)

    def _choices(self, members: Ints) -> Iterator[tuple[tuple[int, float], ...]]:
        sides = {int(j): [s for s in (self.up[j], -self.down[j]) if s != 0.0] for j in members}
        for size in self._sizes(members):
            for chosen in itertools.combinations(sides, size):
                for moved in itertools.product(*(sides[j] for j in chosen)):
                    yield tuple(zip(chosen, moved))

    def _ways(self, members: Ints) -> int:
        sides = [int(self.up[j] > 0) + int(self.down[j] > 0) for j in members]
        ways = [1] + [0] * self.most  # elementary symmetric polynomials of the numbers of sides
        for s in sides:
            for size in range(self.most, 0, -1):
                ways[size] += s * ways[size - 1]
        return sum(ways[size] for size in self._sizes(members))


Finite = Certain | Scenarios | AmbiguousScenarios
Uncertainty = Finite | Box | Budget


def listed(uncertainty: Uncertainty) -> Floats:
    """(K, m) all realisations of a finite set, all vertices of a polyhedral one.

    Raises:
        OptionError: there are too many to list.
    """
    found = listed_until(uncertainty, lambda: False)
    assert found is not None
    return found


def listed_until(uncertainty: Uncertainty, stop: Callable[[], bool]) -> Floats | None:
    """As `listed`; None where stopped before.

    Raises:
        OptionError: there are too many to list.
    """
    if not isinstance(uncertainty, Box | Budget):
        return uncertainty.values
    if (count := uncertainty.count()) > VERTICES_MOST:
        power = math.log10(count)
        raise OptionError(
            f"the uncertainty set has 10^{power:.0f} vertices, too many to list; let fewer entries deviate, or, for a "
            "recourse without cones and integers, separate the worst case by `dual`"
        )
    vertices, blocks = uncertainty.vertices(), list[Floats]()
    while not stop():
        block = list(itertools.islice(vertices, BLOCK))
        if not block:
            return np.concatenate(blocks)
        blocks.append(np.array(block, dtype=np.float64))
    return None


def centre(uncertainty: Uncertainty) -> Floats:
    """(m) a central realisation: the only one, the mean, the middle of a box, or the nominal one."""
    match uncertainty:
        case Certain(value):
            return value
        case Box(lower, upper):
            return np.asarray(0.5 * (lower + upper))
        case Budget(nominal):
            return nominal
    return np.asarray(np.average(uncertainty.values, axis=0, weights=uncertainty.probabilities))


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
