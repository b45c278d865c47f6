"""The vertices of the uncertainty set in one period: which quantities deviate there, and which way.

A quantity that has nothing to scale in a period, as the sun at night, and one whose deviation is 0, does not deviate:
its vertices would all be the same realisation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import OptionError
from openpoint.network.day import DayArrays

VERTICES_MOST = 20_000
"""Most vertices of one period that are listed."""


@dataclass(frozen=True)
class Vertices:
    """The vertices of every period; the first of each is the forecast.

    Attributes:
        deviations: T arrays (V_t, U) of −1, 0, 1. realisations: T arrays (V_t, U), shares of the forecast.
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


def deviating(day: DayArrays) -> DayArrays:
    """The day with deviations of 0 where a quantity has nothing to scale: its set has the same worst case."""
    uncertain, scaled = day.uncertain, _scaled(day)
    down, up = np.where(scaled, uncertain.down, 0.0), np.where(scaled, uncertain.up, 0.0)
    return replace(day, uncertain=replace(uncertain, down=down, up=up))


def vertices_of(day: DayArrays) -> Vertices:
    """The vertices of a day's uncertainty set.

    Raises:
        OptionError: a period has too many of them.
    """
    uncertain, scaled = day.uncertain, _scaled(day)
    listed = [_listed(day, t, scaled[t]) for t in range(day.periods)]
    values = []
    for t, deviations in enumerate(listed):
        up, down = np.maximum(deviations, 0) * uncertain.up[t], np.minimum(deviations, 0) * uncertain.down[t]
        values.append(1.0 + up + down)
    return Vertices(tuple(listed), tuple(values), uncertain.hours)


def _listed(day: DayArrays, t: int, scaled: Bools) -> Ints:
    """(V, U) deviations of a period, the forecast first."""
    uncertain = day.uncertain
    if not (uncertain.hours > 0).any():
        return np.zeros((1, uncertain.count), dtype=np.int64)
    ways = []
    for u in range(uncertain.count):
        ways.append([0])
        if scaled[u] and uncertain.hours[u] > 0:
            ways[u] += [sign for sign, most in ((-1, uncertain.down[t, u]), (1, uncertain.up[t, u])) if most > 0.0]
    groups = [[u for u in range(uncertain.count) if uncertain.group[u] == name] for name, _ in uncertain.groups]
    budgets = [most for _, most in uncertain.groups]
    whole = _product(ways, groups, budgets)
    if whole is None:
        raise OptionError(
            f"the uncertainty of period {day.names[t]} has more than {VERTICES_MOST} vertices: too many quantities may "
            "deviate at once. Give each group one quantity for all of its buses or sources, or a smaller budget of "
            "units at once"
        )
    return whole


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
    drawn = np.abs(day.load_power) + np.abs(day.load_current) + np.abs(day.load_impedance)
    whole = np.zeros((day.periods, uncertain.count), dtype=np.bool_)
    for owner, size in ((uncertain.load, drawn), (uncertain.renewable, np.abs(day.renewables.available))):
        for place in np.flatnonzero(owner >= 0):
            whole[:, owner[place]] |= size[:, place] > 0.0
    return whole
