"""Methods of two-stage programs for a day: Benders, column-and-constraint generation, the extensive form.

They repeat the whole day for every vertex of the uncertainty set, so they are for small sets, and what faster methods
are checked against. They alone take a recourse that links the periods: stores, load moved in time, or generators that
are decided once the whole day is known. Plans are operated in all vertices by exact AC power flow: the cost in the
worst of them is the upper bound, however loose the cones are.

To decide all beforehand is one recourse, too: its best plan is found first, by the method for a given topology.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import islice

import cvxpy as cp
import numpy as np

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.solvers.base import Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.studies.dispatch.day.model.day_master import HourTemplates
from openpoint.studies.dispatch.day.model.evaluated_days import EvaluatedDays
from openpoint.studies.dispatch.day.model.period_columns import Experience, PeriodColumns
from openpoint.studies.dispatch.day.model.period_scenarios import EARLY_GAP, PeriodScenarios
from openpoint.studies.dispatch.day.model.program import FLOOR_MARGIN, DayProgram, robust_day, stochastic_day
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.model.realisations import days
from openpoint.studies.dispatch.day.model.vertices import deviating
from openpoint.studies.dispatch.day.outcome import DayOutcome, Operation
from openpoint.studies.dispatch.day.verified import verified
from openpoint.twostage.ambiguity import ProbabilitySet, all_of
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress, Termination, relative_gap
from openpoint.twostage.methods.benders import Benders
from openpoint.twostage.methods.ccg import ColumnAndConstraint
from openpoint.twostage.methods.extensive import ExtensiveForm
from openpoint.twostage.recourse.compile import compile_model
from openpoint.twostage.recourse.subproblem import Subproblem
from openpoint.twostage.risk import Expectation
from openpoint.twostage.uncertainty import Certain

DAYS_MOST = 2_000
"""Most vertices of an uncertainty set that are listed: each is a day that every iteration solves."""
RELAXED_MOST = 12
"""Most scenario days of which the lower bound of any recourse is found at once."""
START_SHARE, MANY_SHARE = 0.3, 0.6
"""Share of the time for the plan that decides all beforehand; where no other is sought, the rest is for its bound."""
LEAST_LEFT = 0.5
"""Least time left, relative to that spent, with which the method itself is begun: to compile whole days takes long."""
LONGER = 1.5
"""Days together take so many times as long as each by itself."""
BEFOREHAND = (
    "In the plan shown all is decided beforehand, which is one way to decide it later: no better was found, and the "
    "gap says how much one could save."
)
FEW_DAYS = (
    "The uncertainty set has too many days as vertices to solve each with a recourse that sees the whole day. The "
    "lower bound is that of two of them, the forecast and the worst day of the plan; for more, lower the budget or let "
    "fewer groups be uncertain."
)
TOO_MANY = (
    f"here there are more than {DAYS_MOST:,} days: lower the budget, let fewer groups be uncertain, or leave the "
    "method and what is recourse out (--method, --recourse)"
)


@dataclass(frozen=True)
class TwoStageDay:
    """A method of two-stage programs for a day.

    Attributes:
        method: of the engine; the vertices of the uncertainty set are listed for it.
    """

    method: Benders | ColumnAndConstraint | ExtensiveForm

    def __str__(self) -> str:
        return str(self.method)

    def solve(
        self, question: DayQuestion, progress: Progress | None = None, deadline: Deadline | None = None
    ) -> DayOutcome:
        """The best plan that keeps the limits in all days, to the gap, or until a limit or Ctrl-C.

        Raises:
            OptionError: the uncertainty set has too many vertices.
        """
        many = False
        if question.scenarios is None:
            question = replace(question, day=deviating(question.day))
            many = any(islice(days(question.day.uncertain), DAYS_MOST, None))
        if many and not question.recourse:
            raise OptionError(f"{self} lists the vertices of the uncertainty set and solves each of them; {TOO_MANY}")
        with deadline_of(self.method.time_limit_s, deadline) as limit:
            if not question.recourse:
                return self._by_engine(question, progress, limit)
            before = self._beforehand(question, limit, MANY_SHARE if many else START_SHARE)
            if many and not math.isfinite(before.upper_bound) and not limit.over():
                raise OptionError(
                    f"no plan was found that decides all beforehand and keeps the limits; to look further, {TOO_MANY}"
                )
            if many or before.gap <= self.method.gap:
                notes = (*before.notes, FEW_DAYS) if many else before.notes
                why = limit.why if limit.over() else Termination.RELAXATION
                return self._ended(replace(before, notes=notes), why)
            if limit.left() < LEAST_LEFT * limit.passed():
                return self._ended(before, limit.why)
            found = self._by_engine(question, progress, limit)
            if found.termination is Termination.INFEASIBLE and math.isfinite(before.upper_bound):
                return self._ended(before, Termination.ACCURACY)  # a verified plan refutes it
            lower = max(found.lower_bound, min(before.lower_bound, found.upper_bound))
            if before.upper_bound < found.upper_bound:
                return self._ended(replace(before, lower_bound=lower, log=found.log), found.termination)
            return replace(found, lower_bound=lower)

    def _by_engine(self, question: DayQuestion, progress: Progress | None, limit: Deadline) -> DayOutcome:
        """What the method finds. Where all could be decided beforehand there was a plan to be had sooner, so that none
        is evaluated beyond the limit."""
        some = question.scenarios
        if some is None:
            program = robust_day(question, listed=True)
        else:
            program = stochastic_day(question, some.realisations, some.probabilities, some.risk)
        found = self.method.solve(replace(program, stop=limit.over) if question.recourse else program, progress, limit)
        outcome = DayOutcome(
            found.termination, None, None, None, found.lower_bound, found.upper_bound, found.log, found.seconds
        )
        if not isinstance(known := found.state, EvaluatedDays):
            return outcome
        forecast, operated = known.operation(0), tuple[Operation, ...]()
        if some is not None:
            operated = tuple(known.operation(k) for k in range(len(some.names)))
        decision = found.decision if found.least_violation is None else found.least_violation
        assert decision is not None
        if some is not None or question.recourse:
            # Scenario days are without the forecast, and the extensive form is careless with days that do not count.
            again = operated_day(program, decision, np.ones(question.day.periods * question.day.uncertain.count))
            if again is not None and (some is not None or again.costs.sum() < forecast.costs.sum()):
                forecast = again
        return replace(
            outcome, plan=known.plans[0], forecast=forecast, worst=known.operation(known.worst), scenarios=operated
        )

    def _beforehand(self, question: DayQuestion, limit: Deadline, share: float) -> DayOutcome:
        """The best plan that decides all beforehand, with today's topology where it is free; its lower bound is that of
        any recourse: in two days of a set, in all scenario days where they are few.

        It has a share of the time, and all of it until there is a plan.
        """
        fixed, some = replace(question, recourse=frozenset(), topology=Cadence.FIXED), question.scenarios
        part, templates = limit.within(share * limit.left()), HourTemplates(fixed)
        known, found, lower = Experience(templates), None, -math.inf
        for gap, until in ((self.method.gap, part), (max(EARLY_GAP, self.method.gap), limit)):
            if found is None or (_is_stopped(found) and math.isfinite(limit.left()) and not limit.over()):
                if some is not None:
                    found = PeriodScenarios(gap=gap).solve(fixed, None, until, templates=templates)
                else:
                    found = PeriodColumns(gap=gap).solve(fixed, None, until, experience=known)
        assert found is not None
        if some is not None:
            if len(some.names) <= RELAXED_MOST:
                mean = some.nominal @ some.realisations.reshape(len(some.names), -1)
                lower = least_in_time(question, list(some.realisations), some.weights, mean, limit)
            return replace(found, lower_bound=lower)
        found = verified(fixed, found, part)
        if found.worst is not None and found.forecast is not None and math.isfinite(found.upper_bound):
            two = [found.forecast.realisation, found.worst.realisation]
            lower = least_in_time(question, two, all_of(2), two[0].ravel(), limit)
        return replace(found, lower_bound=lower)

    def _ended(self, outcome: DayOutcome, why: Termination) -> DayOutcome:
        """A plan that decides all beforehand, with bounds of any recourse."""
        lower = min(outcome.lower_bound, outcome.upper_bound)
        end = Termination.GAP if relative_gap(lower, outcome.upper_bound) <= self.method.gap else why
        return replace(outcome, termination=end, lower_bound=lower, notes=(*outcome.notes, BEFOREHAND))


def _is_stopped(outcome: DayOutcome) -> bool:
    """Whether there is no plan though one may exist: a solver that has a limit of its own ends a little before it."""
    return math.isinf(outcome.upper_bound) and outcome.termination is not Termination.INFEASIBLE


def least_in_time(
    question: DayQuestion, realisations: list[Floats], weights: ProbabilitySet, expected: Floats, deadline: Deadline
) -> float:
    """`least_of_all`; where there is a limit, first of the expected day alone, then of all if there is time for them.

    The cost of a day is convex in what comes, so that the expected day costs at most the mean of the days, and that is
    at most their risk. A day that is among those whose worst counts costs at most that.
    """
    program = DayProgram(question, Certain(np.ones(len(expected))), Expectation())  # the vertices are not listed
    if math.isinf(deadline.left()):
        return least_of_all(program, realisations, weights)
    if deadline.over():
        return -math.inf
    began = deadline.passed()
    lower = least_of_all(program, [expected], all_of(1), deadline.left())
    if LONGER * len(realisations) * (deadline.passed() - began) >= deadline.left():
        return lower
    return max(lower, least_of_all(program, realisations, weights, deadline.left()))


def least_of_all(
    program: DayProgram, realisations: list[Floats], weights: ProbabilitySet, seconds: float = math.inf
) -> float:
    """A lower bound in $ of the risk of days (T, U), whole numbers relaxed; −inf where the solver fails or the time in
    seconds is up."""
    first, theta = program.first_stage(with_recourse=True), cp.Variable(len(realisations))
    rho, constraints = weights.block(theta)
    constraints = [*constraints, *first.constraints]
    for k, one in enumerate(realisations):
        stage = program.recourse(first.decision, cp.Constant(one.ravel()), limits=True).hard()
        constraints += [*stage.constraints, *(cone.constraint() for cone in stage.cones), theta[k] >= stage.cost]
    answer = ClarabelModel(compile_model(first.cost + rho, constraints), seconds=seconds).solve()
    if answer.status is not Status.OPTIMAL:
        return -math.inf
    least = min(answer.value, answer.bound)
    return float(least - FLOOR_MARGIN * max(1.0, abs(least)))


def operated_day(program: DayProgram, decision: Floats, realisation: Floats) -> Operation | None:
    """The operation of a decision on a day (T · U) by its best recourse; None where none keeps the limits."""
    dispatch = None
    if any(program.layout.late):
        own = Subproblem(program, len(decision)).respond(decision, realisation).dispatch
        dispatch = None if own is None else [own]
    state = program.evaluate(decision, realisation[None, :], dispatch).state
    if not isinstance(state, EvaluatedDays) or state.violations.any():
        return None
    return state.operation(0)
