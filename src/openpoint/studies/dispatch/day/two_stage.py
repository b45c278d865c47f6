"""Methods of two-stage programs for a day: Benders, column-and-constraint generation, the extensive form.

They repeat the whole day for every vertex of the uncertainty set, so they are for small sets, and what faster methods
are checked against. They alone take a recourse that links the periods: stores, load moved in time, or generators that
are decided once the whole day is known. Plans are operated in all vertices by exact AC power flow: the cost in the
worst of them is the upper bound, however loose the cones are.

To decide all beforehand is one recourse, too. Its best plan is found first, by the method for a given topology: it XX
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import islice

import cvxpy as cp

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.solvers.base import Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.studies.dispatch.day.model.judged_days import JudgedDays
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.program import FLOOR_MARGIN, DayProgram, robust_day
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.model.realisations import days
from openpoint.studies.dispatch.day.model.vertices import deviating
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.studies.dispatch.day.verified import verified
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Outcome, Progress, Termination, relative_gap
from openpoint.twostage.methods.benders import Benders
from openpoint.twostage.methods.ccg import ColumnAndConstraint
from openpoint.twostage.methods.extensive import ExtensiveForm
from openpoint.twostage.recourse.compile import compile_model

DAYS_MOST = 2_000
"""Most vertices of an uncertainty set that are listed: each is a day that every iteration solves."""
START_SHARE = 0.3
"""Share of the time for the plan that decides all beforehand."""
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
        """The best plan that keeps the limits in all vertices, to the gap, or until a limit or Ctrl-C.

        Raises:
            OptionError: the uncertainty set has too many vertices, and all is decided beforehand.
        """
        question = replace(question, day=deviating(question.day))
        many = any(islice(days(question.day.uncertain), DAYS_MOST, None))
        if many and not question.recourse:
            raise OptionError(f"{self} lists the vertices of the uncertainty set and solves each of them; {TOO_MANY}")
        with deadline_of(self.method.time_limit_s, deadline) as limit:
            if not question.recourse:
                return _outcome(self.method.solve(robust_day(question, listed=True), progress, limit))
            before = self._beforehand(question, limit.within((1.0 if many else START_SHARE) * limit.left()))
            if many and not math.isfinite(before.upper_bound):
                raise OptionError(
                    f"no plan was found that decides all beforehand and keeps the limits; to look further, {TOO_MANY}"
                )
            if many or before.gap <= self.method.gap:
                notes = (*before.notes, FEW_DAYS) if many else before.notes
                return self._ended(replace(before, notes=notes), Termination.RELAXATION)
            found = _outcome(self.method.solve(robust_day(question, listed=True), progress, limit))
            lower = max(found.lower_bound, min(before.lower_bound, found.upper_bound))
            if before.upper_bound < found.upper_bound:
                return self._ended(replace(before, lower_bound=lower, log=found.log), found.termination)
            return replace(found, lower_bound=lower)

    def _beforehand(self, question: DayQuestion, part: Deadline) -> DayOutcome:
        """The best plan that decides all beforehand, with today's topology where it is free; its lower bound is that of
        any recourse in two days."""
        fixed = replace(question, recourse=frozenset(), topology=Cadence.FIXED)
        found = verified(fixed, PeriodColumns(gap=self.method.gap).solve(fixed, None, part), part)
        if found.worst is None or found.forecast is None or not math.isfinite(found.upper_bound):
            return replace(found, lower_bound=-math.inf)
        two = [each.realisation.ravel() for each in (found.forecast, found.worst)]
        return replace(found, lower_bound=least_of_all(robust_day(question), two))

    def _ended(self, outcome: DayOutcome, why: Termination) -> DayOutcome:
        """A plan that decides all beforehand, with bounds of any recourse."""
        lower = min(outcome.lower_bound, outcome.upper_bound)
        end = Termination.GAP if relative_gap(lower, outcome.upper_bound) <= self.method.gap else why
        return replace(outcome, termination=end, lower_bound=lower, notes=(*outcome.notes, BEFOREHAND))


def least_of_all(program: DayProgram, realisations: list[Floats]) -> float:
    """A lower bound in $ of the worst case of a program by some of its realisations, whole numbers relaxed."""
    first, theta = program.first_stage(with_recourse=True), cp.Variable()
    constraints = [*first.constraints]
    for one in realisations:
        stage = program.recourse(first.decision, cp.Constant(one), limits=True).hard()
        constraints += [*stage.constraints, *(cone.constraint() for cone in stage.cones), theta >= stage.cost]
    answer = ClarabelModel(compile_model(first.cost + theta, constraints)).solve()
    if answer.status is not Status.OPTIMAL:
        return -math.inf
    least = min(answer.value, answer.bound)
    return float(least - FLOOR_MARGIN * max(1.0, abs(least)))


def _outcome(found: Outcome) -> DayOutcome:
    """What the engine found, as the outcome of a day."""
    plan = forecast = worst = None
    if isinstance(known := found.state, JudgedDays):
        plan, forecast, worst = known.plans[0], known.operation(0), known.operation(known.worst)
    return DayOutcome(
        found.termination,
        plan,
        forecast,
        worst,
        found.lower_bound,
        found.upper_bound,
        found.log,
        found.seconds,
    )
