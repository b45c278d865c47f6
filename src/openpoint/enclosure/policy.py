"""Set-points and an affine policy from a linear program, about an exact flow and its enclosure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.enclosure.recourse import Units
from openpoint.enclosure.rounding import up
from openpoint.enclosure.rows import Rows
from openpoint.enclosure.sets import DeviationSet
from openpoint.solvers.highs import least_cost

BACK_OFF = 1e-6
"""Share of its capacity by which a generator keeps off its limits: what the program may miss."""
ROOM_USD = 1e5
"""What room is worth, so that it comes first."""
MOVE_USD = 0.02
"""What a kW is worth by which a set-point stays what it was: more than the losses that moving it may save, so that
programs about one flow after another end."""
FOLLOW_USD = 1e-3
"""What a kW is worth by which a generator follows the loads less, so that ties are no reason to."""


@dataclass(frozen=True)
class Policy:
    """What the generators that follow deliver at deviations ζ: outputs + gain · ζ.

    Attributes:
        outputs: (2 P) set-points, kW and kvar. gain: (2 P, n) kW and kvar at the full deviation of each load.
        from_plan: whether limits of change are meant from the set-points of the plan, and not from these.
    """

    outputs: Floats
    gain: Floats
    from_plan: bool

    def margins(self, units: Units, among: DeviationSet) -> Floats:
        """(2 P, 4) room to the least and most output, and to the most change down and up."""
        width = np.where(self.gain.any(axis=1), up(among.support(self.gain), 8), 0.0)
        moved = self.outputs - units.planned if self.from_plan else np.zeros(len(width))
        return np.column_stack(
            [
                self.outputs - width - units.least,
                units.most - self.outputs - width,
                units.ramp + moved - width,
                units.ramp - moved - width,
            ]
        )


def improved(
    policy: Policy, units: Units, rows: Rows, price: Floats, among: DeviationSet, most_room: float, start: Any = None
) -> tuple[Policy, float, Any]:
    """The policy of most room, then of least cost, for the rows as linear in outputs, its room, and the basis.

    Args:
        policy: now. units: that follow. rows: at the policy. price: (2 P) cost of a kW more, what the generators that
            form the grid then save included. among: the set. most_room: as a share of a limit; more is worth nothing.
        start: the basis of a similar program.
    """
    two, n = policy.gain.shape
    q = len(rows.what)
    program = _Program(among, n)
    outputs = program.variables(two, -np.inf)
    gain = program.variables(two * n, -np.inf)
    moved = program.variables(two, 0.0, MOVE_USD)
    room = program.variables(1, -np.inf, -ROOM_USD, most_room)
    program.cost[outputs] = price
    at = _one(two, outputs)
    of_units = program.supports(two, np.zeros((two, n)), _one(two * n, gain), FOLLOW_USD)
    row, unit = np.nonzero(rows.by_unit)
    slope, each = rows.by_unit[row, unit], np.arange(n)
    by_gain = (row[:, None] * n + each).ravel(), (gain.start + unit[:, None] * n + each).ravel(), np.repeat(slope, n)
    of_rows = program.supports(q, rows.by_load, by_gain)
    off = np.minimum(BACK_OFF * units.size, 0.25 * np.minimum(units.most - units.least, units.ramp))
    program.most([at, *of_units], units.most - off)
    program.most([_times(-1.0, at), *of_units], -units.least - off)
    if policy.from_plan:
        program.most([at, *of_units], units.planned + units.ramp - off)
        program.most([_times(-1.0, at), *of_units], units.ramp - units.planned - off)
    else:
        program.most(of_units, units.ramp - off)
    for sign in (1.0, -1.0):
        program.most([_times(sign, at), _times(-1.0, _one(two, moved))], sign * policy.outputs)
    asked = *of_rows, (np.arange(q), np.full(q, room.start), rows.scale)
    slopes, now = (row, outputs.start + unit, slope), rows.by_unit @ policy.outputs
    program.most([slopes, *asked], rows.most - rows.middle - rows.up + now)
    program.most([_times(-1.0, slopes), *asked], rows.middle - rows.down - rows.least - now)
    program.most(asked, rows.ramp - np.maximum(rows.up, rows.down))
    x, basis = program.solved(start)
    if x is None:
        return policy, -np.inf, None
    found = np.where(np.abs(x[gain]) > 1e-9, x[gain], 0.0).reshape(two, n)
    return Policy(x[outputs], found, policy.from_plan), float(x[room][0]), basis


_Entries = tuple[Ints, Ints, Floats]
"""Rows, variables and values of the entries of a matrix."""


def _one(count: int, variables: slice) -> _Entries:
    """The variables themselves, one a row."""
    return np.arange(count), variables.start + np.arange(count), np.ones(count)


def _times(factor: float, entries: _Entries) -> _Entries:
    row, column, value = entries
    return row, column, factor * value


class _Program:
    """min cost · x with rows · x ≤ right, and supports of linear forms over a set as variables."""

    def __init__(self, among: DeviationSet, n: int) -> None:
        self.budget = None if among.is_box(n) else among.budget
        self.n = n
        self.cost: Floats = np.zeros(0)
        self._low: list[float] = []
        self._high: list[float] = []
        self._entries: list[_Entries] = []
        self._right: Floats = np.zeros(0)

    def variables(self, count: int, low: float, cost: float = 0.0, high: float = np.inf) -> slice:
        """More variables."""
        start = len(self._low)
        self._low += [low] * count
        self._high += [high] * count
        self.cost = np.concatenate([self.cost, np.full(count, cost)])
        return slice(start, start + count)

    def most(self, parts: Iterable[_Entries], right: Floats) -> None:
        """Rows that are sums of parts."""
        count = len(self._right)
        self._entries += [(count + row, column, value) for row, column, value in parts]
        self._right = np.concatenate([self._right, right])

    def supports(self, q: int, fixed: Floats, form: _Entries, cost: float = 0.0) -> list[_Entries]:
        """The greatest value over the set of q forms, (q, n) fixed and (q n) of variables: what stands for it in rows.

        Of a box it is Σ μ, with μ ≥ |form|; of a budget K it is K λ + Σ μ with μ ≥ |form| − λ.
        """
        n = self.n
        row, each = np.repeat(np.arange(q), n), _one(q * n, self.variables(q * n, 0.0, cost))
        beyond, total = [_times(-1.0, each)], [(row, each[1], each[2])]
        if self.budget is not None:
            level = _one(q, self.variables(q, 0.0))
            beyond.append((each[0], level[1][row], -each[2]))
            total.append(_times(self.budget, level))
        for sign in (1.0, -1.0):
            self.most([_times(sign, form), *beyond], -sign * fixed.ravel())
        return total

    def solved(self, start: Any) -> tuple[Floats | None, Any]:
        """An optimum, if the program has one, and its basis; rows without a limit are left out."""
        row, column, value = (np.concatenate(each) for each in zip(*self._entries, strict=True))
        limited = np.isfinite(self._right)
        kept = (np.abs(value) >= 1e-7) & limited[row]
        place = (np.cumsum(limited) - 1)[row[kept]], column[kept]
        matrix = sp.csr_array(sp.coo_array((value[kept], place), shape=(int(limited.sum()), len(self._low))))
        bounds = np.column_stack([self._low, self._high])
        size, basis = start if start is not None else (None, None)
        same = basis if size == matrix.shape else None
        x, basis = least_cost(self.cost, matrix, self._right[limited], bounds, same)
        return x, (matrix.shape, basis)
