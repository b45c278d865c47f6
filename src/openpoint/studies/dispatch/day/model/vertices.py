"""The vertices of the uncertainty set in one period: which quantities deviate there, and which way.

A quantity that has nothing to scale in a period, as the sun at night, and one whose deviation is 0, does not deviate:
its vertices would all be the same realisation.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import OptionError
from openpoint.network.day import DayArrays, Uncertain, nominal_load

VERTICES_MOST = 20_000
"""Most vertices of one period that are listed."""


@dataclass(frozen=True)
class Vertices:
    """The vertices of every period; the first of each is the forecast.

    Attributes:
        deviations: T arrays (V_t, U) of −1, 0, 1: which way, whatever the size. realisations: T arrays (V_t, U),
            shares of the forecast.
        hours: (U) most periods in which a quantity deviates.
    """

    deviations: tuple[Ints, ...]
    realisations: tuple[Floats, ...]
    hours: Ints

    @property
    def count(self) -> int:
        """Number of vertices over all periods."""
        return sum(len(each) for each in self.deviations)

    def day(self, choice: Ints) -> Floats:
        """(T, U) the realisation of a day, by the number of its vertex in every period (T)."""
        return np.array([values[v] for values, v in zip(self.realisations, choice, strict=True)])


def vertices_of(day: DayArrays) -> Vertices:
    """The vertices of a day's uncertainty set.

    Raises:
        OptionError: a period has too many of them.
    """
    uncertain, scaled = day.uncertain, _scaled(day)
    listed = [_within_sums(day, t, _listed(day, t, scaled[t])) for t in range(day.periods)]
    values = [1.0 + _spread(uncertain, t, points) for t, points in enumerate(listed)]
    return Vertices(tuple(np.sign(points).astype(np.int64) for points in listed), tuple(values), uncertain.hours)


def _spread(uncertain: Uncertain, t: int, points: Floats) -> Floats:
    """(…) relative deviations, −1 to 1, as shares of the forecast."""
    return np.asarray(np.maximum(points, 0.0) * uncertain.up[t] + np.minimum(points, 0.0) * uncertain.down[t])


def _listed(day: DayArrays, t: int, scaled: Bools) -> Floats:
    """(V, U) deviations of a period, −1, 0 and 1, the forecast first."""
    uncertain = day.uncertain
    if not (uncertain.hours > 0).any():
        return np.zeros((1, uncertain.count))
    ways = []
    for u in range(uncertain.count):
        ways.append([0])
        if scaled[u] and uncertain.hours[u] > 0:
            ways[u] += [sign for sign, most in ((-1, uncertain.down[t, u]), (1, uncertain.up[t, u])) if most > 0.0]
    groups = [[u for u in range(uncertain.count) if uncertain.group[u] == name] for name, _ in uncertain.groups]
    budgets = [most for _, most in uncertain.groups]
    whole = _product(ways, groups, budgets)
    return _refuse_many(day, t, whole)


def _refuse_many(day: DayArrays, t: int, points: Ints | Floats | None) -> Floats:
    """The vertices of a period.

    Raises:
        OptionError: there are too many.
    """
    if points is None or len(points) > VERTICES_MOST:
        raise OptionError(
            f"the uncertainty of period {day.names[t]} has more than {VERTICES_MOST} vertices: too many quantities may "
            "deviate at once. Give each group one quantity for all of its buses or sources, or a smaller budget of "
            "units at once"
        )
    return points.astype(np.float64)


# Where the sum of a group has a budget, |Σ_u f_u δ_u| ≤ share · |Σ_u f_u| with f_u the forecast of a quantity and δ_u
# its deviation, a share of it, some vertices lie outside. The vertices of what is left are those inside, and the points
# at which edges that begin outside meet a limit. The edges of a box with a budget change one ζ, or make one 0 and
# another one 1 or −1; they are straight in δ between −1, 0 and 1. Points that are no vertices do no harm: they belong
# to the set.


def _within_sums(day: DayArrays, t: int, points: Floats) -> Floats:
    """(V, U) the vertices of a period that keep the budgets of sums, from those (V, U) of all other budgets."""
    uncertain = day.uncertain
    for name, share in uncertain.sums:
        members = np.array([u for u in range(uncertain.count) if uncertain.group[u] == name], dtype=np.int64)
        if not len(members):
            continue
        size, at_once = forecasts(day, t), dict(uncertain.groups).get(name, len(members))
        most = share * abs(size[members].sum())

        def total(some: Floats, members: Ints = members, size: Floats = size) -> Floats:
            return np.asarray(_spread(uncertain, t, some)[:, members] @ size[members])

        inside = np.abs(total(points)) <= most * (1.0 + 1e-12)
        found = [points[inside]]
        for sign in (1.0, -1.0):
            outside = points[sign * total(points) > most * (1.0 + 1e-12)]
            for other in _neighbours(outside, members, at_once):
                begin, end = sign * total(outside), sign * total(other)
                crosses = end < most
                way = np.divide(begin - most, begin - end, out=np.zeros(len(begin)), where=crosses)[:, None]
                found.append((outside + way * (other - outside))[crosses])
        points = np.unique(np.concatenate(found), axis=0)
        first = (points != 0.0).any(axis=1)
        points = _refuse_many(day, t, points[np.argsort(first, kind="stable")])
    return points


def _neighbours(points: Floats, members: Ints, at_once: int) -> Iterator[Floats]:
    """For every move along an edge the points (V, U) after it, with `at_once` ζ that are not 0 at most; points that
    cannot move stay."""
    room = np.count_nonzero(points[:, members], axis=1) < at_once
    for i in members:
        for value in (-1.0, 0.0, 1.0):
            other, may = points.copy(), (np.abs(points[:, i] - value) == 1.0) & (room | (value == 0.0))
            other[may, i] = value
            yield other
        for j in members[members != i]:
            for value in (-1.0, 1.0):
                other, may = points.copy(), (points[:, i] != 0.0) & (points[:, j] == 0.0)
                other[may, i], other[may, j] = 0.0, value
                yield other


def forecasts(day: DayArrays, t: int) -> Floats:
    """(U) forecast of each quantity in a period, per unit: active or reactive load, or what is available."""
    uncertain, load = day.uncertain, nominal_load(day, t)
    size = np.zeros(uncertain.count + 1)
    for number, part in (
        (uncertain.load, load.real),
        (np.where(uncertain.of_reactive == uncertain.load, -1, uncertain.of_reactive), load.imag),
        (uncertain.renewable, day.renewables.available[t]),
    ):
        np.add.at(size, number, part)
    return size[:-1]


def _product(ways: list[list[int]], groups: list[list[int]], budgets: list[int]) -> Ints | None:
    """(V, U) all combinations that keep the budgets of the groups; None if there are too many."""
    partial = np.zeros((1, 0), dtype=np.int64)
    for u, options in enumerate(ways):
        partial = np.column_stack([np.repeat(partial, len(options), axis=0), np.tile(options, len(partial))])
        for members, budget in zip(groups, budgets, strict=True):
            if u in members:
                used = np.abs(partial[:, [m for m in members if m <= u]]).sum(axis=1)
                partial = partial[used <= budget]
        if len(partial) > VERTICES_MOST:
            return None
    return partial


def _scaled(day: DayArrays) -> Bools:
    """(T, U) whether a quantity scales anything in a period."""
    uncertain = day.uncertain
    models = day.load_power, day.load_current, day.load_impedance
    active, reactive = np.sum([(np.abs(each.real), np.abs(each.imag)) for each in models], axis=0)
    whole = np.zeros((day.periods, uncertain.count), dtype=np.bool_)
    for owner, size in (
        (uncertain.load, active),
        (uncertain.of_reactive, reactive),
        (uncertain.renewable, np.abs(day.renewables.available)),
    ):
        for place in np.flatnonzero(owner >= 0):
            whole[:, owner[place]] |= size[:, place] > 0.0
    return whole


# The worst day of given values: a vertex for every period, no quantity deviating in too many periods, greatest sum.
#
#     max Σ_t q_t(v_t)    s.t.   Σ_t |ζ_u(v_t)| ≤ hours_u for every quantity u
#
# Of the vertices of a period in which the same quantities deviate only the greatest counts, and none counts beside
# one that is as great and deviates in fewer quantities. What is left is solved by dynamic programming over the
# budgets that are used up so far, or, where these are too many, as a mixed-integer program.


STEPS_MOST = 20_000_000
"""Most steps of the dynamic program: periods times used budgets times patterns."""
DIMENSIONS_MOST = 20
"""Most quantities whose budgets bind in the dynamic program."""
COMPARED_MOST = 1_000
"""Most patterns of a period that are compared with each other, to leave out those that cannot be best."""


class WorstDays:
    """The worst days of many values over the same vertices and budgets."""

    def __init__(self, deviations: Sequence[Ints], hours: Ints, *, steps_most: int = STEPS_MOST) -> None:
        """Sort the vertices by the quantities that deviate, once.

        Args:
            deviations: T arrays (V_t, U) of −1, 0, 1, among them one row of zeros.
            hours: (U) most periods in which each quantity deviates.
            steps_most: most steps of the dynamic program; where it needs more, the mixed-integer program takes its
                place.
        """
        self._hours, self._steps_most = hours, steps_most
        sorted_: dict[bytes, _Patterns] = {}
        for each in deviations:
            if each.tobytes() not in sorted_:
                sorted_[each.tobytes()] = _Patterns(np.abs(each).astype(np.bool_), hours)
        self._patterns = [sorted_[each.tobytes()] for each in deviations]

    def of(self, values: Sequence[Floats]) -> tuple[float, Ints]:
        """The greatest sum, and the vertex of every period (T) at which it is reached.

        Args:
            values: T arrays (V_t), finite.
        """
        best = [patterns.best(each) for patterns, each in zip(self._patterns, values, strict=True)]
        used = np.array([patterns.any(axis=0) for patterns, _, _ in best]).sum(axis=0)
        binding = np.flatnonzero(used > self._hours)
        left, gains = [patterns[:, binding] for patterns, _, _ in best], [gain for _, gain, _ in best]
        states = float(np.prod(self._hours[binding] + 1.0))
        small = states * sum(len(each) for each in left) <= self._steps_most and len(binding) <= DIMENSIONS_MOST
        chosen = (_by_dynamic_program if small else _by_integer_program)(gains, left, self._hours[binding])
        choice = np.array([origin[k] for (_, _, origin), k in zip(best, chosen, strict=True)], dtype=np.int64)
        return float(sum(each[v] for each, v in zip(values, choice, strict=True))), choice


class _Patterns:
    """The sets of quantities that deviate in the vertices of a period."""

    def __init__(self, deviates: Bools, hours: Ints) -> None:
        self._some = np.flatnonzero(~deviates[:, hours <= 0].any(axis=1))
        self._sets, self._set = np.unique(deviates[self._some], axis=0, return_inverse=True)
        self._set = self._set.reshape(-1)
        self._within: Bools | None = None
        if len(self._sets) <= COMPARED_MOST:  # [i, j]: all that deviates in j deviates in i, too, and j is not i
            within = (self._sets[:, None, :] >= self._sets[None, :, :]).all(axis=2)
            self._within = np.asarray(within & ~np.eye(len(self._sets), dtype=np.bool_))

    def best(self, values: Floats) -> tuple[Bools, Floats, Ints]:
        """(P, U) sets that may be best, (P) the greatest value of each, (P) its vertex."""
        own = values[self._some]
        order = np.lexsort((-own, self._set))
        first = order[np.concatenate([[True], np.diff(self._set[order]) > 0])]
        gains = own[first]
        kept = np.ones(len(gains), dtype=np.bool_)
        if self._within is not None:
            kept = ~(self._within & (gains[None, :] >= gains[:, None])).any(axis=1)
        return self._sets[kept], gains[kept], self._some[first[kept]]


def _by_dynamic_program(gains: Sequence[Floats], patterns: Sequence[Bools], hours: Ints) -> list[int]:
    """Number of the pattern of every period, by the best sums within every smaller budget."""
    shape = tuple(hours + 1)
    total, taken = np.zeros(shape), []
    for gain, deviates in zip(gains, patterns, strict=True):
        best, which = np.full(shape, -np.inf), np.zeros(shape, dtype=np.int32)
        for k, (value, bits) in enumerate(zip(gain, deviates, strict=True)):
            after = tuple(slice(int(b), None) for b in bits)
            before = tuple(slice(0, size - int(b)) for b, size in zip(bits, shape, strict=True))
            candidate = value + total[before]
            better = candidate > best[after]
            best[after] = np.where(better, candidate, best[after])
            which[after] = np.where(better, k, which[after])
        total = best
        taken.append(which)
    state, chosen = hours.astype(np.int64), list[int]()
    for which, deviates in zip(reversed(taken), reversed(patterns), strict=True):
        k = int(which[tuple(state)])
        chosen.append(k)
        state = state - deviates[k]
    return chosen[::-1]


def _by_integer_program(gains: Sequence[Floats], patterns: Sequence[Bools], hours: Ints) -> list[int]:
    """Number of the pattern of every period, by a binary for each."""
    sizes = [len(gain) for gain in gains]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    owner = np.repeat(np.arange(len(sizes)), sizes)
    one = sp.csr_array((np.ones(len(owner)), (owner, np.arange(len(owner)))), shape=(len(sizes), len(owner)))
    used = sp.csr_array(np.concatenate(patterns).T.astype(np.float64))
    rows = [scipy.optimize.LinearConstraint(one, 1.0, 1.0), scipy.optimize.LinearConstraint(used, -np.inf, hours)]
    cost = -np.concatenate(gains)
    answer = scipy.optimize.milp(
        cost / max(1.0, float(np.abs(cost).max())),
        integrality=np.ones(len(cost), dtype=np.int64),
        bounds=scipy.optimize.Bounds(0.0, 1.0),
        constraints=rows,
        options={"mip_rel_gap": 0.0},
    )
    assert answer.x is not None, answer.message
    return [int(np.argmax(answer.x[a:b])) for a, b in itertools.pairwise(starts)]
