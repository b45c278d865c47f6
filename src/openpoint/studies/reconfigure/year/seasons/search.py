"""A year in blocks as a problem of switching: what is asked, and what is found.

The blocks of a year as periods of switching: exact energies, estimates of them, and searches with a bound.

The value of a state in a block is its mean loss in all steps of the block, by exact AC power flow, times the share of
the block in the hours of the year. Its bound is that of groups of the steps (`openpoint.search.futures.model`), for
several blocks that share one state that of groups of all their steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.powerflow.state import is_limited
from openpoint.scenarios.year.read import Blocks
from openpoint.search.futures.model import coordinates, group_steps, loss_form, means
from openpoint.search.methods import TopologySearch
from openpoint.search.switching.problem import BestOfRun, Run, SwitchingOutcome, SwitchingProblem
from openpoint.search.switching.searches import Below, GroupedSearch, Wanted
from openpoint.search.switching.solve import solve_switching
from openpoint.studies.reconfigure.ac_evaluation import AcEvaluator, first_trees
from openpoint.studies.reconfigure.many_futures import task_of
from openpoint.studies.reconfigure.year.search import (
    GROUPS,
    InUnit,
    KnownFlows,
    YearEvaluator,
    YearTask,
    begin,
    grouped,
    scaled,
    search_year,
)
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Progress, Termination

OF_BLOCK = 24
"""Groups of the steps of a block, at most."""
OF_ESTIMATE = 16
"""Groups of the steps of a block by which energies are estimated."""
ALONE_SHARE = 0.5
"""Share of the gap asked for that the search of a block by itself may leave open."""
LEFT = 3
"""Parts of a limit of time for the blocks together, where each block by itself has one: a block that was not searched
has hardly a bound."""


@dataclass(frozen=True, eq=False)
class _Few:
    """Groups of the steps of a block: power flows of states under their mean demands, and their shares of its hours."""

    ac: AcEvaluator
    shares: Floats


class BlockPeriods:
    """The blocks of a year.

    Attributes:
        tasks: (B) the blocks as years of their own. weights: (B) their shares of the hours.
        least_violation: block and the state of least violation met in it, where no state was found to serve it.
    """

    def __init__(self, task: YearTask, blocks: Blocks, groups: int = OF_BLOCK) -> None:
        """Divide the year; groups: of the steps of a block, at most."""
        self._task, self._of, self._groups = task, blocks.of, groups
        self.tasks = [self._of_run((b, b + 1)) for b in range(len(blocks))]
        self.weights = np.array([float(each.hours.sum()) for each in self.tasks]) / float(task.hours.sum())
        self.least_violation: Bools | None = None
        self._evaluators = [YearEvaluator(KnownFlows(each, most=0), each.program.switching, 0) for each in self.tasks]
        self._exact = [dict[bytes, float]() for _ in self.tasks]
        self._few: list[_Few | None] = [None] * len(self.tasks)
        self._ratio = np.ones(len(self.tasks))
        self._searches = dict[Run, GroupedSearch]()

    @property
    def _floor(self) -> float:
        """No state loses less: nothing, unless branches could feed in."""
        net = self._task.network
        return 0.0 if (net.r >= 0.0).all() and (net.g >= 0.0).all() else -np.inf

    @property
    def evaluated(self) -> int:
        """Exact values computed so far."""
        return sum(len(each) for each in self._exact)

    @property
    def greatest(self) -> float:
        most = [self._search((b, b + 1)).built.most for b in range(len(self.tasks))]
        return float(self.weights @ np.array(most)) * (1.0 + 1e-9)

    def best_of_run(self, run: Run, gap: float, starts: Bools, deadline: Deadline) -> BestOfRun:
        """Of a run of one block; once the time is up nothing is searched where the last start keeps the limits."""
        b, _ = run
        if deadline.over() and len(starts) and np.isfinite(self._exact_of(b, starts[-1])):
            return BestOfRun(deadline.why, None, self._floor, 0)
        task, search = self.tasks[b], TopologySearch(gap=ALONE_SHARE * gap)
        part = deadline.within(deadline.left() / (len(self.tasks) - b + LEFT))
        found = search_year(task, search, None, part, groups=self._groups, starts=list(starts[-2:]))
        outcome, s = found.outcome, task.network.s_base_kva
        closed = None if outcome.decision is None else outcome.decision > 0.5
        if outcome.termination is Termination.INFEASIBLE and outcome.least_violation is not None:
            self.least_violation = outcome.least_violation > 0.5
        return BestOfRun(outcome.termination, closed, float(self.weights[b]) * outcome.lower_bound / s, 0)

    def exact(self, t: int, states: Bools) -> Floats:
        return np.array([self._exact_of(t, state) for state in states])

    def estimated(self, t: int, states: Bools) -> tuple[Floats, Bools]:
        known = self._exact[t]
        exact = np.array([state.tobytes() in known for state in states], dtype=np.bool_)
        values = np.empty(len(states))
        values[~exact] = self._ratio[t] * self._rough(t, states[~exact])
        values[exact] = [known[state.tobytes()] for state in states[exact]]
        return values, exact

    def below(self, run: Run, wanted: Wanted) -> Below:
        weight = float(self.weights[slice(*run)].sum())
        return self._search(run).below(wanted.divided(weight)).times(weight)

    def _exact_of(self, t: int, state: Bools) -> float:
        known, key = self._exact[t], state.tobytes()
        if key not in known:
            known[key] = float(self.weights[t]) * float(self._evaluators[t](state[None]).objective[0])
            rough = float(self._rough(t, state[None])[0])
            if np.isfinite(known[key]) and np.isfinite(rough) and rough > 0.0:
                self._ratio[t] = known[key] / rough
        return known[key]

    def _rough(self, t: int, states: Bools) -> Floats:
        """(C) values of (C, E) states in a block by groups of its steps, inf where the mean of one breaks limits."""
        few = self._few[t]
        if few is None:
            task = self.tasks[t]
            tree, shares = first_trees(task.program.choices, task.network)[1], task.demand.shares
            points = coordinates(task.demand.profile, loss_form(task.network, tree, shares), task.hours)
            label = group_steps(points, task.hours, OF_ESTIMATE, np.empty(0, dtype=np.int64))
            profile, hours = means(task.demand.profile, task.hours, label)
            few = self._few[t] = _Few(replace(task.program.ac, demands=profile @ shares), hours / hours.sum())
        loss, violation = few.ac.flows(states)
        mean = loss @ few.shares / self._task.network.s_base_kva
        return np.asarray(np.where(violation.any(axis=1), np.inf, float(self.weights[t]) * mean))

    def _of_run(self, run: Run) -> YearTask:
        steps = np.flatnonzero((self._of >= run[0]) & (self._of < run[1]))
        return replace(self._task, demand=self._task.demand.take(steps), hours=self._task.hours[steps])

    def _search(self, run: Run) -> GroupedSearch:
        """The search of blocks that share one state."""
        if run not in self._searches:
            task = self._of_run(run)
            single, tree = begin(KnownFlows(task), first_trees(task.program.choices, task.network))
            groups = min(self._groups * (run[1] - run[0]), max(GROUPS, self._groups))
            program, _ = grouped(task, single, tree, groups)
            limits = is_limited(task.network)
            asked = replace(task_of(program, program.ac), span=task.span(), limits=limits)
            self._searches[run] = GroupedSearch(
                asked.built(), program.ac.objective.weights, program.rules.must_close, _LossOfRun(self, run)
            )
        return self._searches[run]


@dataclass(frozen=True, eq=False)
class _LossOfRun:
    """Exact mean loss of a state over the blocks of a run."""

    periods: BlockPeriods
    run: Run

    def __call__(self, state: Bools) -> float:
        total = 0.0
        for t in range(*self.run):
            total += self.periods._exact_of(t, state)
            if not np.isfinite(total):
                break
        return total / float(self.periods.weights[slice(*self.run)].sum())


@dataclass(frozen=True, eq=False)
class PlanTask:
    """The question: a radial state for each block of a year, with few switch operations between them.

    Attributes:
        task: the year. blocks: of its steps. most: operations in the year, None = any number.
        change: cost of an operation, as mean loss over the year, per unit.
        from_today: whether today's state is the one before the first block, from which operations count.
    """

    task: YearTask
    blocks: Blocks
    most: int | None
    change: float
    from_today: bool


@dataclass(frozen=True, eq=False)
class PlanFound:
    """The outcome of a search.

    Attributes:
        outcome: values are mean losses over the year, per unit. least_violation: state of least violation met in the
            block that no state serves, None = none. evaluated: exact values of a state in a block.
    """

    outcome: SwitchingOutcome
    least_violation: Bools | None
    evaluated: int


def search_plan(
    plan: PlanTask, gap: float, progress: Progress | None, deadline: Deadline, *, groups: int = OF_BLOCK
) -> PlanFound:
    """The plan of least energy, proven to a relative gap.

    groups: of the steps of a block, at most.

    Raises:
        OptionError: a grid that the bound is not valid for, or generators to dispatch.
    """
    if not plan.from_today and (plan.most == 0 or len(plan.blocks) == 1):
        return _one_state(plan, gap, progress, deadline)
    task, count = plan.task, len(plan.blocks)
    rules = replace(task.program.rules, max_changes=plan.most, change_cost=plan.change)
    if plan.from_today:
        most = replace(task.program.rules, max_changes=plan.most)
        task = replace(task, program=replace(task.program, rules=most))
    periods = BlockPeriods(task, plan.blocks, groups)
    problem = SwitchingProblem(
        networks=(task.network,) * count,
        weights=periods.weights,
        rules=rules,
        before=task.network.closed if plan.from_today else None,
    )
    in_periods = None if progress is None else InUnit(progress, task.network.s_base_kva)
    found = solve_switching(problem, periods=periods, gap=gap, progress=in_periods, deadline=deadline)
    return PlanFound(found, periods.least_violation, periods.evaluated)


def _one_state(plan: PlanTask, gap: float, progress: Progress | None, deadline: Deadline) -> PlanFound:
    """The plan of one state in all blocks: one topology for the year."""
    task, count, s = plan.task, len(plan.blocks), plan.task.network.s_base_kva
    found = search_year(task, TopologySearch(gap=gap), progress, deadline)
    outcome = found.outcome
    closed = None if outcome.decision is None else np.tile(outcome.decision > 0.5, (count, 1))
    values = None
    if closed is not None:
        loss = task.flows(closed[0]).loss * task.hours / task.hours.sum()
        values = np.asarray(np.bincount(plan.blocks.of, loss, minlength=count), dtype=np.float64)
    infeasible = outcome.termination is Termination.INFEASIBLE
    least = None if outcome.least_violation is None else outcome.least_violation > 0.5
    switched = SwitchingOutcome(
        termination=outcome.termination,
        closed=closed,
        values=values,
        operations=None if closed is None else np.zeros(count, dtype=np.int64),
        lower_bound=np.inf if infeasible else outcome.lower_bound / s,
        upper_bound=np.inf if closed is None else outcome.upper_bound / s,
        infeasible=None,
        log=tuple(scaled(line, 1.0 / s) for line in outcome.log),
        nodes=0,
        seconds=outcome.seconds,
    )
    return PlanFound(switched, least, found.known.count)
