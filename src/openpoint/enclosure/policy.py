"""Set-points and an affine policy from a linear program, about an exact flow and its enclosure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from openpoint.arrays import Floats
from openpoint.enclosure.recourse import Units
from openpoint.enclosure.rounding import up
from openpoint.enclosure.rows import Rows
from openpoint.enclosure.sets import DeviationSet

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
    policy: Policy, units: Units, rows: Rows, price: Floats, among: DeviationSet, most_room: float
) -> tuple[Policy, float]:
    """The policy of most room, then of least cost, for the rows as linear in outputs, and its room.

    Args:
        policy: now. units: that follow. rows: at the policy. price: (2 P) cost of a kW more, what the generators that
            form the grid then save included. among: the set. most_room: as a share of a limit; more is worth nothing.
    """
    two, n = policy.gain.shape
    q = len(rows.what)
    program = _Program(among, n)
    outputs = program.variables(two, -np.inf)
    gain = program.variables(two * n, -np.inf)
    moved = program.variables(two, 0.0, MOVE_USD)
    room = program.variables(1, -np.inf, -ROOM_USD, most_room)
    program.cost[outputs] = price
    one = sp.eye_array(two, format="csr")
    at = {outputs.start: one}
    of_units = program.supports(two, np.zeros((two, n)), {gain.start: sp.eye_array(two * n, format="csr")}, FOLLOW_USD)
    by_gain = sp.csr_array(sp.kron(rows.by_unit, sp.eye_array(n)))
    of_rows = program.supports(q, rows.by_load, {gain.start: by_gain})
    off = np.minimum(BACK_OFF * units.size, 0.25 * np.minimum(units.most - units.least, units.ramp))
    program.most(at | of_units, units.most - off)
    program.most({outputs.start: -one} | of_units, -units.least - off)
    if policy.from_plan:
        program.most(at | of_units, units.planned + units.ramp - off)
        program.most({outputs.start: -one} | of_units, units.ramp - units.planned - off)
    else:
        program.most(of_units, units.ramp - off)
    for sign in (1.0, -1.0):
        program.most({outputs.start: sign * one, moved.start: -one}, sign * policy.outputs)
    asked = {room.start: sp.csr_array(rows.scale[:, None])}
    slopes, now = sp.csr_array(rows.by_unit), rows.by_unit @ policy.outputs
    program.most({outputs.start: slopes} | of_rows | asked, rows.most - rows.middle - rows.up + now)
    program.most({outputs.start: -slopes} | of_rows | asked, rows.middle - rows.down - rows.least - now)
    program.most(of_rows | asked, rows.ramp - np.maximum(rows.up, rows.down))
    x = program.solved()
    if x is None:
        return policy, -np.inf
    found = np.where(np.abs(x[gain]) > 1e-9, x[gain], 0.0).reshape(two, n)
    return Policy(x[outputs], found, policy.from_plan), float(x[room][0])


class _Program:
    """min cost · x with rows · x ≤ right, and supports of linear forms over a set as variables."""

    def __init__(self, among: DeviationSet, n: int) -> None:
        self.budget = None if among.is_box(n) else among.budget
        self.n = n
        self.cost: Floats = np.zeros(0)
        self._low: list[float] = []
        self._high: list[float] = []
        self._rows: list[tuple[dict[int, sp.csr_array], Floats]] = []

    def variables(self, count: int, low: float, cost: float = 0.0, high: float = np.inf) -> slice:
        """More variables."""
        start = len(self._low)
        self._low += [low] * count
        self._high += [high] * count
        self.cost = np.concatenate([self.cost, np.full(count, cost)])
        return slice(start, start + count)

    def most(self, parts: dict[int, sp.csr_array], right: Floats) -> None:
        """Rows whose parts begin at these variables; rows without a limit are left out."""
        kept = np.flatnonzero(np.isfinite(right))
        self._rows.append(({at: sp.csr_array(part)[kept] for at, part in parts.items()}, right[kept]))

    def supports(
        self, q: int, fixed: Floats, parts: dict[int, sp.csr_array], cost: float = 0.0
    ) -> dict[int, sp.csr_array]:
        """The greatest value over the set of q forms, (q, n) fixed and (q n) parts: what stands for it in rows.

        Of a box it is Σ μ, with μ ≥ |form|; of a budget K it is K λ + Σ μ with μ ≥ |form| − λ.
        """
        n = self.n
        each = self.variables(q * n, 0.0, cost)
        beyond = {each.start: -sp.eye_array(q * n, format="csr")}
        total = {each.start: sp.csr_array(sp.kron(sp.eye_array(q), np.ones((1, n))))}
        if self.budget is not None:
            level = self.variables(q, 0.0)
            beyond[level.start] = sp.csr_array(-sp.kron(sp.eye_array(q), np.ones((n, 1))))
            total[level.start] = sp.csr_array(self.budget * sp.eye_array(q))
        for sign in (1.0, -1.0):
            self.most({at: sign * part for at, part in parts.items()} | beyond, -sign * fixed.ravel())
        return total

    def solved(self) -> Floats | None:
        """An optimum, if the program has one."""
        size, blocks = len(self._low), []
        for parts, right in self._rows:
            columns, data, row = [], [], []
            for at, part in parts.items():
                entry = sp.coo_array(part)
                columns.append(entry.col + at)
                data.append(entry.data)
                row.append(entry.row)
            place = (np.concatenate(row), np.concatenate(columns))
            blocks.append(sp.coo_array((np.concatenate(data), place), shape=(len(right), size)))
        matrix, right = sp.csr_array(sp.vstack(blocks)), np.concatenate([right for _, right in self._rows])
        matrix.data[np.abs(matrix.data) < 1e-7] = 0.0
        matrix.eliminate_zeros()
        bounds = np.column_stack([self._low, self._high])
        answer: Any = linprog(  # type: ignore[call-overload]
            self.cost, A_ub=matrix, b_ub=right, bounds=bounds, method="highs"
        )
        return None if answer.x is None else np.asarray(answer.x)
