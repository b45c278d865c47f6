"""The master of a day: its first stage, and copies of the recourse of a period, each for one realisation of it.

    min f(x) + θ    s.t.    x in the first stage,
                            q_c ≥ cost of copy c at x,                     c = (period, realisation)
                            θ ≥ Σ_t q_(t, v_t)                             for every day v that was found

A day differs from the forecast in few periods, and copies belong to a period, not to a day: every day found adds only
the copies in which it differs from all days before. Everything is a cone program in numbers; no model is compiled in
the loop. States of branches that are given as numbers are taken out of the copies.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations.flow_ranges import FlowBox, FlowRanges, current_bounds
from openpoint.network.day import DayPlan, HourRecourse
from openpoint.search.tree import Queue
from openpoint.solvers.base import Answer, StandardForm, Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.studies.dispatch.day.model.current_bounds import DayCurrentBounds
from openpoint.studies.dispatch.day.model.first_stage import day_schedule, plan_of
from openpoint.studies.dispatch.day.model.hour_block import (
    BlockCurrentBounds,
    HourBlock,
    HourTemplate,
    HourTemplates,
    block_current_bounds,
    hour_block,
    hour_devices,
    recourse_of,
    slice_of,
)
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import relative_gap
from openpoint.twostage.workers.pool import never

TOLERANCE = 1e-8
"""Feasibility and gap of the cone programs, relative."""
REGULAR = 1e-7
"""Regularisation with which a program is solved once more where the solver ends without an answer: without, it may find
no proof that an empty part of the flows is empty."""
MARGIN_LEAST = 1e-5
"""Least share by which limits are tightened where the exact flow breaks them."""
_NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Copy:
    """A copy of the recourse of a period; its squared currents have upper bounds where losses pay, from `ranges`.

    `mean`: it stands for all realisations of which it has the mean, and has no bounds of currents: its cost, convex in
    the realisation, is then at most the mean of theirs.
    """

    t: int
    realisation: Floats
    mean: bool
    template: HourTemplate
    block: HourBlock
    ranges: FlowRanges | None
    current_bounds: BlockCurrentBounds | None


@dataclass(frozen=True)
class MasterDay:
    """A row θ ≥ Σ share · cost: a day of one copy a period, or a mixture of days.

    Attributes:
        copies: their numbers. shares: of each, that sum to 1 in every period.
    """

    copies: tuple[int, ...]
    shares: tuple[float, ...]

    def cost(self, costs: Floats) -> float:
        """Of all copies, by what each costs."""
        return float(costs[list(self.copies)] @ self.shares)


@dataclass(frozen=True)
class MasterAnswer:
    """A solution of the master, in $.

    Attributes:
        status: how the solve ended. bound: proven lower bound of every plan's cost. value: cost of the point.
        x: first stage. costs: of the copies. own: own columns of the copies. None and empty where there is none.
        weights: multipliers of the days: what a $ more on each costs.
    """

    status: Status
    bound: float
    x: Floats | None
    costs: Floats
    own: tuple[Floats, ...]
    value: float = math.nan
    weights: Floats | None = None


class DayMaster:
    """The master over copies (period, realisation) and days of copies.

    Use `copy` to have a copy's number, `add_day` for a day of them, `solve`, then `plan` for what was decided.
    """

    def __init__(
        self,
        question: DayQuestion,
        closed: Bools,
        *,
        templates: HourTemplates | None = None,
        cost: bool = True,
    ) -> None:
        """Compile the first stage.

        Args:
            question: of the day. closed: (T, E) states of the branches.
            templates: compiled recourses of the same question, from an earlier master.
            cost: whether the first stage costs anything.
        """
        self.question, self.templates = question, templates or HourTemplates(question)
        price = float(np.abs(question.day.source_price).mean()) or 1.0
        self.scale = question.network.s_base_kva * price if cost else 1.0
        self.closed = closed
        self.schedule = day_schedule(question, closed, self.scale if cost else math.inf)
        self.copies: list[Copy] = []
        self.days: list[MasterDay] = []
        self._number: dict[tuple[int, bool, bytes], int] = {}
        self._current_bounds = DayCurrentBounds(question)
        self._margins: dict[int, float] = {}
        self._blocks: dict[int, HourBlock] = {}

    def block(self, t: int) -> tuple[HourTemplate, HourBlock]:
        """The recourse of a period at the states of this master."""
        template = self.templates.of(t)
        if t not in self._blocks:
            margin = self._margins.get(t, 0.0)
            self._blocks[t] = hour_block(self.question, template, self.schedule.number[t], margin=margin)
        return template, self._blocks[t]

    def divide(self, boxes: Mapping[int, tuple[FlowBox, ...]]) -> None:
        """Cut the flows of copies, by their numbers, to boxes; those of the others are free again."""
        for number, copy in enumerate(self.copies):
            some = boxes.get(number, ())
            if copy.ranges is not None and copy.ranges.boxes != some:
                self.copies[number] = self._copy(copy.t, copy.realisation, copy.mean, some)

    def _copy(self, t: int, realisation: Floats, mean: bool, boxes: tuple[FlowBox, ...] = ()) -> Copy:
        template, block = self.block(t)
        if mean or self.templates.soft or not self._current_bounds.pays(t):  # else energy lost is worth something
            return Copy(t, realisation, mean, template, block, None, None)
        ranges = self._current_bounds.ranges(t, self.closed[t], realisation, None, boxes)
        bounds = None
        if ranges is not None:
            bounds = block_current_bounds(template, block, current_bounds(self.question.network, ranges))
        return Copy(t, realisation, mean, template, block, ranges, bounds)

    def tighten(self, violations: Sequence[Floats]) -> bool:
        """Tighten the limits of periods in which the exact flow breaks those that the relaxation keeps, in the copies
        that are there, too; whether there are any.

        Args:
            violations: T arrays of operations; inf where no flow exists.
        """
        excesses = [float(part[np.isfinite(part)].max(initial=0.0)) for part in violations]
        for t, excess in enumerate(excesses):
            if excess > 0.0:
                self._margins[t] = self._margins.get(t, 0.0) + max(1.5 * excess, MARGIN_LEAST)
                self._blocks.pop(t, None)
        self.copies = [self._copy(c.t, c.realisation, c.mean) if excesses[c.t] > 0.0 else c for c in self.copies]
        return max(excesses) > 0.0

    def has(self, t: int, realisations: Floats) -> Bools:
        """(K) whether there are copies of a period in realisations (K, U)."""
        return np.array([(t, False, row.tobytes()) in self._number for row in realisations], dtype=np.bool_)

    def copy(self, t: int, realisation: Floats, *, mean: bool = False) -> int:
        """Number of the copy of a period in a realisation (U), or in the mean of some, which is added if it is new."""
        key = (t, mean, realisation.tobytes())
        if key not in self._number:
            self._number[key] = len(self.copies)
            self.copies.append(self._copy(t, realisation.copy(), mean))
        return self._number[key]

    def add_day(self, realisation: Floats) -> bool:
        """Add a day (T, U); False if it is there already."""
        copies = tuple(self.copy(t, row) for t, row in enumerate(realisation))
        return self.add(MasterDay(copies, (1.0,) * len(copies)))

    def add(self, day: MasterDay) -> bool:
        """Add a day of copies; False if it is there already."""
        if day in self.days:
            return False
        self.days.append(day)
        return True

    def clear(self) -> None:
        """Forget all days and copies; what is compiled stays."""
        self.copies, self.days, self._number = [], [], {}

    def solve(self, over: Callable[[], bool] = never, fixed: Mapping[int, float] | None = None) -> MasterAnswer:
        """Solve the cone program, whose dual value is the bound, with values of columns of the first stage `fixed`;
        `over` is asked often, True ends it without a solution."""
        layout = self._layout()
        form = self._form(layout, fixed or {})
        if over():
            return MasterAnswer(Status.LIMIT, -math.inf, None, np.empty(0), ())
        answer = ClarabelModel(form, tolerance=TOLERANCE).solve(stop=over)
        if answer.status is Status.FAILED:
            answer = ClarabelModel(form, tolerance=TOLERANCE, regularization=REGULAR).solve(stop=over)
        if answer.x is None:
            return MasterAnswer(answer.status, self._unknown(answer), None, np.empty(0), ())
        x = answer.x
        own = tuple(x[a:b] for a, b in layout)
        costs = x[self._first_cost(layout) :][: len(self.copies)]
        bound, first = self.scale * safe_bound(form, answer), x[: len(self.schedule.form.c)]
        last = form.n_zero + form.n_nonneg  # the rows of the days are the last inequalities
        weights = None if answer.z is None else answer.z[last - len(self.days) : last]
        return MasterAnswer(answer.status, bound, first, self.scale * costs, own, self.scale * answer.value, weights)

    def chosen_columns(self) -> list[Ints]:
        """Columns of the positions of every device in every period, where they are decided."""
        layout, sizes = slice_of(self.question), hour_devices(self.question).sizes
        parts = np.split(layout.chosen, np.cumsum(sizes)[:-1]) if len(sizes) else []
        groups = [row[part] for row in self.schedule.slice for part in parts]
        return [group[group >= 0] for group in groups if (group >= 0).any()]

    def plan(self, answer: MasterAnswer) -> DayPlan:
        """The plan of a solution."""
        assert answer.x is not None
        return plan_of(self.question, self.schedule, answer.x)

    def guides(self, answer: MasterAnswer) -> dict[int, tuple[Floats, HourRecourse]]:
        """By period a realisation and its recourse in a solution: of the copy that counts most.

        What a copy that does not count has for a recourse is not its best, only one that costs no more than is allowed.
        """
        weights = np.zeros(len(answer.own))
        if answer.weights is not None:
            for day, weight in zip(self.days, answer.weights, strict=True):
                weights[list(day.copies)] += max(float(weight), 0.0) * np.array(day.shares)
        found: dict[int, tuple[Floats, HourRecourse]] = {}
        for k in np.argsort(weights, kind="stable").tolist():
            copy = self.copies[k]
            recourse = recourse_of(self.question, copy.t, copy.template, copy.block, answer.own[k])
            found[copy.t] = copy.realisation, recourse
        return found

    @staticmethod
    def _unknown(answer: Answer) -> float:
        return math.inf if answer.status is Status.INFEASIBLE else -math.inf

    def _layout(self) -> list[tuple[int, int]]:
        """First and last column of every copy, after those of the first stage."""
        ends = np.cumsum([len(self.schedule.form.c), *(len(c.block.c_y) for c in self.copies)])
        return [(int(a), int(b)) for a, b in itertools.pairwise(ends)]

    def _first_cost(self, layout: Sequence[tuple[int, int]]) -> int:
        return layout[-1][1] if layout else len(self.schedule.form.c)

    def _form(self, layout: Sequence[tuple[int, int]], fixed: Mapping[int, float]) -> StandardForm:
        """The whole program: first stage, copies, one column for the cost of each, a row for each day."""
        first, scale = self.schedule.form, self.scale
        n0, count = len(first.c), len(self.copies)
        at_cost = self._first_cost(layout)
        rows = _Rows(at_cost + count)
        rows.put(((sp.csr_array(first.a), 0),), first.b, first.n_zero, first.n_nonneg, first.cones)
        maps = [_selection(columns, n0) for columns in self.schedule.slice]
        for number, (copy, (begin, _)) in enumerate(zip(self.copies, layout, strict=True)):
            block, select = copy.block, maps[copy.t]
            side = block.b - block.a_u @ copy.realisation
            rows.put(((block.a_x @ select, 0), (block.a_y, begin)), side, block.n_zero, block.n_nonneg, block.cones)
            if copy.current_bounds is not None:
                rows.put(((copy.current_bounds.a, begin),), copy.current_bounds.b, 0, len(copy.current_bounds.b), ())
            known = float(block.c_u @ copy.realisation) + block.offset
            parts = (
                (sp.csr_array((block.c_x @ select)[None, :] / scale), 0),
                (sp.csr_array(block.c_y[None, :] / scale), begin),
                (sp.csr_array([[-1.0]]), at_cost + number),
            )
            rows.put(parts, np.array([-known / scale]), 0, 1, ())
        for day in self.days:
            columns = at_cost + np.array(day.copies)
            row = sp.csr_array((np.array(day.shares), (0 * columns, columns)), shape=(1, rows.n))
            own = sp.csr_array(([-1.0], ([0], [self.schedule.theta])), shape=(1, rows.n))
            rows.put(((row + own, 0),), np.zeros(1), 0, 1, ())
        if fixed:
            columns = np.array(list(fixed))
            held = sp.csr_array((np.ones(len(fixed)), (np.arange(len(fixed)), columns)), shape=(len(fixed), rows.n))
            rows.put(((held, 0),), np.array(list(fixed.values())), len(fixed), 0, ())
        cost = np.zeros(rows.n)
        cost[:n0] = first.c
        return rows.form(cost, first.offset)


def _selection(columns: Ints, count: int) -> sp.csr_array:
    """(width, count) the slice of a period out of the columns of the first stage."""
    some = np.flatnonzero(columns >= 0)
    return sp.csr_array((np.ones(len(some)), (some, columns[some])), shape=(len(columns), count))


class _Rows:
    """Rows of a standard form, put together by kind."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._row: tuple[list[Ints], ...] = ([], [], [])
        self._column: tuple[list[Ints], ...] = ([], [], [])
        self._value: tuple[list[Floats], ...] = ([], [], [])
        self._side: tuple[list[Floats], ...] = ([], [], [])
        self._count = [0, 0, 0]
        self._cones: list[int] = []

    def put(
        self,
        parts: tuple[tuple[sp.csr_array, int], ...],
        side: Floats,
        n_zero: int,
        n_nonneg: int,
        cones: tuple[int, ...],
    ) -> None:
        """Rows of which each part starts at a column."""
        ends = np.array([0, n_zero, n_zero + n_nonneg, len(side)])
        kind = np.repeat(np.arange(3), np.diff(ends))
        own = np.arange(len(side)) - ends[kind] + np.array(self._count)[kind]
        for matrix, begin in parts:
            entries = matrix.tocoo()
            row, column = entries.coords
            for k in range(3):
                some = kind[row] == k
                self._row[k].append(own[row[some]])
                self._column[k].append(column[some] + begin)
                self._value[k].append(entries.data[some])
        for k in range(3):
            self._side[k].append(side[ends[k] : ends[k + 1]])
            self._count[k] += int(ends[k + 1] - ends[k])
        self._cones += cones

    def form(self, cost: Floats, offset: float) -> StandardForm:
        """The standard form."""
        starts = np.cumsum([0, *self._count[:2]])
        row = np.concatenate([part + start for kind, start in zip(self._row, starts) for part in kind])
        column = np.concatenate([part for kind in self._column for part in kind])
        value = np.concatenate([part for kind in self._value for part in kind])
        return StandardForm(
            c=cost,
            offset=offset,
            a=sp.csc_array((value, (row, column)), shape=(sum(self._count), self.n)),
            b=np.concatenate([part for kind in self._side for part in kind]),
            n_zero=self._count[0],
            n_nonneg=self._count[1],
            cones=tuple(self._cones),
            integers=_NONE,
            columns={},
        )


def safe_bound(form: StandardForm, answer: Answer) -> float:
    """The dual value, less what the residual of the dual could cost at columns of twice the size of those found."""
    assert answer.z is not None and answer.x is not None
    residual = form.c + sp.csr_array(form.a).T @ answer.z
    return answer.bound - float(np.abs(residual) @ (2.0 * np.abs(answer.x) + 1.0))


# The master of a day with its whole numbers: branch and bound over cone programs.
#
# What has to be whole is whether a generator runs, and which position a device takes; and a store may not charge and
# discharge in one period. The relaxation keeps most of that by itself: energy that goes in and out at once is lost,
# which pays only where prices are negative or curtailment costs. So the relaxation is solved first, then rounded, and
# branches are opened only where the two differ by more than the gap.


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
