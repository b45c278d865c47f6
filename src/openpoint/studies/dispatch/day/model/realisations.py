"""Realisations of a day: the budgeted set as the engine knows it, and its vertices one by one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.network.day import Uncertain
from openpoint.twostage.uncertainty import VERTICES_MOST, Budget


def budget_of(uncertain: Uncertain) -> Budget | None:
    """The set over realisations (T · U), period by period; None where several budgets bind each other.

    The engine's set has one family of budgets of one size: the hours of the quantities, if they are equal.
    """
    periods = len(uncertain.down)
    if not uncertain.count or uncertain.groups or (uncertain.hours != uncertain.hours[0]).any():
        return None
    return Budget(
        nominal=np.ones(periods * uncertain.count),
        down=uncertain.down.ravel(),
        up=uncertain.up.ravel(),
        most=int(uncertain.hours[0]),
        groups=np.tile(np.arange(uncertain.count), periods),
    )


def deviations(uncertain: Uncertain, t: int) -> Floats:
    """(V, U) relative deviations, −1, 0 or 1, of the quantities in period t at its vertices, the forecast first."""
    sides = [
        [0.0, *([1.0] if up > 0.0 else []), *([-1.0] if down > 0.0 else [])] if hours > 0 else [0.0]
        for up, down, hours in zip(uncertain.up[t], uncertain.down[t], uncertain.hours, strict=True)
    ]
    points = np.array(list(itertools.product(*sides)), dtype=np.float64)
    kept = np.ones(len(points), dtype=np.bool_)
    for name, most in uncertain.groups:
        members = [u for u, group in enumerate(uncertain.group) if group == name]
        kept &= np.count_nonzero(points[:, members], axis=1) <= most
    return points[kept]


def realised(uncertain: Uncertain, t: int, deviation: Floats) -> Floats:
    """(…, U) realisation of period t at relative deviations (…, U)."""
    size = np.where(deviation > 0.0, uncertain.up[t], uncertain.down[t])
    return np.asarray(1.0 + deviation * size)


def days(uncertain: Uncertain) -> Iterator[tuple[int, ...]]:
    """All vertices: for each the number of its row in `deviations` of every period."""
    points = [deviations(uncertain, t) for t in range(len(uncertain.down))]

    def after(t: int, left: Floats) -> Iterator[tuple[int, ...]]:
        if t == len(points):
            yield ()
            return
        for k, spent in enumerate(np.abs(points[t])):
            if (spent <= left).all():
                for rest in after(t + 1, left - spent):
                    yield (k, *rest)

    return after(0, uncertain.hours.astype(np.float64))


def listed_days(uncertain: Uncertain, most: int = VERTICES_MOST) -> Floats:
    """(K, T · U) the realisations of all vertices, the forecast first.

    Raises:
        OptionError: there are more than `most`.
    """
    periods = len(uncertain.down)
    rows = [realised(uncertain, t, deviations(uncertain, t)) for t in range(periods)]
    found: list[Floats] = []
    for day in days(uncertain):
        if len(found) == most:
            raise OptionError(
                f"the uncertainty set has more than {most:,} vertices, too many to list; lower the budgets"
            )
        found.append(np.concatenate([rows[t][k] for t, k in enumerate(day)]))
    return np.array(found).reshape(len(found), periods * uncertain.count)
