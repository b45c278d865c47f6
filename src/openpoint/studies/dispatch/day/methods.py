"""Which method answers which question of a day, and why; what each finds."""

from __future__ import annotations

import math
from typing import Literal

from openpoint.errors import OptionError
from openpoint.studies.dispatch.day.flow import as_today, day_flow, forecast_of, untouched
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.outcome import DayOutcome, Operation
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Progress, Termination

MethodName = Literal["today"]
"""today: nothing is scheduled, the day is only evaluated."""


def choose(question: DayQuestion) -> tuple[MethodName, str]:
    """The method that suits a question, and why."""
    return "today", "nothing is scheduled, the day is only evaluated"


def solve(
    name: MethodName, question: DayQuestion, gap: float, progress: Progress | None, deadline: Deadline
) -> DayOutcome:
    """What a method finds.

    Raises:
        OptionError: the method cannot take the question.
    """
    return evaluate_today(question, progress, deadline)


def evaluate_today(question: DayQuestion, progress: Progress | None, deadline: Deadline) -> DayOutcome:
    """The day as it is, without any decision.

    Raises:
        OptionError: something is uncertain.
    """
    day, began = question.day, deadline.passed()
    if day.uncertain.count:
        raise OptionError("method='today' evaluates the forecast; leave uncertain out, or name another method")
    plan, forecast = as_today(question), forecast_of(day)
    recourse = untouched(day, forecast)
    flow = day_flow(question, plan, forecast, recourse)
    value = float(flow.costs.sum())
    kept = math.isfinite(value) and not any(
        check is None or len(check.v_low) or len(check.v_high) or len(check.overloaded) for check in flow.checks
    )
    upper = value if kept else math.inf
    operation = Operation(forecast, recourse, flow.costs, flow.costs * 0.0)
    last = Iteration(1, deadline.passed() - began, -math.inf, upper, upper, "today's plan evaluated")
    if progress is not None:
        progress(last)
    return DayOutcome(
        Termination.LOCAL if kept else Termination.LIMITS,
        plan, operation, operation, -math.inf, upper, (last,), last.seconds,
    )  # fmt: skip
