"""The master of a day with its whole numbers: branch and bound over cone programs.

What has to be whole is whether a generator runs, and which position a device takes; and a store may not charge and
discharge in one period. The relaxation keeps most of that by itself: energy that goes in and out at once is lost, which
pays only where prices are negative or curtailment costs. So the relaxation is solved first, then rounded, and branches
are opened only where the two differ by more than the gap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.search.tree import Queue
from openpoint.solvers.base import Status
from openpoint.studies.dispatch.day.model.day_master import DayMaster, MasterAnswer
from openpoint.studies.dispatch.day.model.hour_block import slice_of
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import relative_gap

WHOLE = 1e-4
"""Distance from a whole number, or share of the most power of a store, that counts as none."""

_Fixed = dict[int, float]
"""Columns of the first stage that are held at a value."""


@dataclass
class WholeMaster:
    """Solves a master with whole numbers; it keeps the last ones, from which the next solve starts.

    Attributes:
        master: to which copies and days may be added in between. gap: relative, at which a solve ends.
    """

    master: DayMaster
    gap: float
    _last: _Fixed = field(default_factory=dict)

    def solve(self, deadline: Deadline) -> MasterAnswer:
        """The best point found whose numbers are whole, and a bound of all such points.

        Where the time is up before a point is found, the answer has none.
        """
        root = self.master.solve(deadline.over)
        if root.x is None or not self.open(root.x):
            return root
        search = _Search(self, deadline, root)
        for guess in (self._last, self.rounded(root.x)):
            search.try_whole(guess)
        best = search.run()
        if best.x is not None:
            self._last = self.rounded(best.x)
        return best

    def open(self, x: Floats) -> list[tuple[float, tuple[_Fixed, ...]]]:
        """What is not whole: by how much, and the branches that make it so."""
        whole = self.master.schedule.integers
        away = np.abs(x[whole] - np.round(x[whole]))
        found: list[tuple[float, tuple[_Fixed, ...]]] = []
        for column, by in zip(whole.tolist(), away.tolist(), strict=True):
            if by > WHOLE:
                found.append((by, ({column: 0.0}, {column: 1.0})))
        charge, discharge, most = self._pairs
        both = np.minimum(x[charge], x[discharge]) / most
        for into, out, by in zip(charge.tolist(), discharge.tolist(), both.tolist(), strict=True):
            if by > WHOLE:
                found.append((by, ({into: 0.0}, {out: 0.0})))
        return found

    def rounded(self, x: Floats) -> _Fixed:
        """Whole numbers next to a point, every store in the direction of its net power."""
        whole = self.master.schedule.integers
        fixed = {int(c): float(np.round(x[c])) for c in whole}
        fixed |= self._one_hot(x)
        charge, discharge, most = self._pairs
        for k in np.flatnonzero(np.minimum(x[charge], x[discharge]) / most > WHOLE):
            fixed[int(discharge[k] if x[charge[k]] >= x[discharge[k]] else charge[k])] = 0.0
        return fixed

    def _one_hot(self, x: Floats) -> _Fixed:
        """The largest of the positions of every device."""
        columns, fixed = self.master.chosen_columns(), _Fixed()
        for group in columns:
            largest = group[np.argmax(x[group])]
            fixed |= {int(c): float(c == largest) for c in group}
        return fixed

    @property
    def _pairs(self) -> tuple[Ints, Ints, Floats]:
        """Columns of charge and discharge of stores that have both, and the lesser of their limits."""
        layout, slices = slice_of(self.master.question), self.master.schedule.slice
        stores = self.master.question.day.stores
        charge, discharge = slices[:, layout.charge], slices[:, layout.discharge]
        both = (charge >= 0) & (discharge >= 0)
        most = np.broadcast_to(np.minimum(stores.charge_max, stores.discharge_max), both.shape)
        return charge[both], discharge[both], np.asarray(most[both])


class _Search:
    """One branch and bound: the node of the least bound first."""

    def __init__(self, whole: WholeMaster, deadline: Deadline, root: MasterAnswer) -> None:
        self.whole, self.deadline = whole, deadline
        self.best: MasterAnswer | None = None
        self.value = math.inf
        self._count = 0
        self._nodes = Queue[tuple[_Fixed, MasterAnswer]]()
        self._push({}, root, root.bound)

    def try_whole(self, fixed: _Fixed) -> None:
        """Solve with these numbers held, and with more of them while something is not whole."""
        while fixed and not self._done() and not self.deadline.over():
            answer = self.whole.master.solve(self.deadline.over, fixed)
            if answer.x is None or not self.whole.open(answer.x):
                self._offer(answer)
                return
            more = {**self.whole.rounded(answer.x), **fixed}
            if len(more) == len(fixed):
                return
            fixed = more

    def run(self) -> MasterAnswer:
        """Branch until the gap is reached or the time is up."""
        while len(self._nodes) and not self._done() and not self.deadline.over():
            bound, (fixed, answer) = self._nodes.pop()
            assert answer.x is not None
            _, branches = max(self.whole.open(answer.x), key=lambda each: each[0])
            for more in branches:
                held = {**fixed, **more}
                self._push(held, self.whole.master.solve(self.deadline.over, held), bound)
            if self._count % 8 == 0:
                self.try_whole({**self.whole.rounded(answer.x), **fixed})
        bound = self._bound()
        if self.best is None:
            status = Status.INFEASIBLE if not len(self._nodes) and not self.deadline.over() else Status.LIMIT
            return MasterAnswer(status, bound, None, np.empty(0), ())
        return replace(self.best, bound=bound)

    def _push(self, fixed: _Fixed, answer: MasterAnswer, above: float) -> None:
        """Keep a node; `above` is the bound of the node that it comes from."""
        self._count += 1
        bound = max(answer.bound, above)
        if answer.x is None:
            if answer.status is not Status.INFEASIBLE:
                self._nodes.done(bound)
        elif not self.whole.open(answer.x):
            self._offer(answer)
            self._nodes.done(bound)
        elif bound < self.value:
            self._nodes.push(bound, (fixed, answer))

    def _offer(self, answer: MasterAnswer) -> None:
        if answer.x is not None and answer.value < self.value:
            self.value, self.best = answer.value, answer

    def _bound(self) -> float:
        """The least bound of the nodes, of the leaves, and of the best."""
        return min(self.value, self._nodes.lowest)

    def _done(self) -> bool:
        return relative_gap(self._bound(), self.value) <= self.whole.gap
