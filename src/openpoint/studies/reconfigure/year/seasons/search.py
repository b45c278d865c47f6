"""A year in blocks as a problem of switching: what is asked, and what is found."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools
from openpoint.scenarios.year.blocks import Blocks
from openpoint.search.methods import TopologySearch
from openpoint.search.switching.problem import SwitchingOutcome, SwitchingProblem
from openpoint.search.switching.solve import solve_switching
from openpoint.studies.reconfigure.year.search import YearTask, search_year
from openpoint.studies.reconfigure.year.seasons.periods import OF_BLOCK, BlockPeriods
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Progress, Termination


@dataclass(frozen=True, eq=False)
class PlanTask:
    """What is asked: a radial state for each block of a year, with few switch operations between them.

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
    """What was found.

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
    if plan.from_today:
        task = replace(task, program=replace(task.program, max_changes=plan.most))
    periods = BlockPeriods(task, plan.blocks, groups)
    problem = SwitchingProblem(
        networks=(task.network,) * count,
        weights=periods.weights,
        must_close=task.program.must_close,
        must_open=task.program.must_open,
        before=task.network.closed if plan.from_today else None,
        change=plan.change,
        most=plan.most,
    )
    in_periods = None if progress is None else _InKw(progress, task.network.s_base_kva)
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


@dataclass(frozen=True)
class _InKw:
    """Passes a line of the log on with its values in kW."""

    progress: Progress
    s_base_kva: float

    def __call__(self, line: Iteration) -> None:
        self.progress(scaled(line, self.s_base_kva))


def scaled(line: Iteration, unit: float) -> Iteration:
    """A line of the log with its values times a unit."""
    bounds = {name: unit * getattr(line, name) for name in ("lower_bound", "upper_bound", "value")}
    return replace(line, **bounds)
