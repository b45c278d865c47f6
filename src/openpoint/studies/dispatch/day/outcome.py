"""The outcome of a method for a day, in $."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from openpoint.arrays import Floats
from openpoint.network.day import DayPlan, HourRecourse
from openpoint.twostage.log import Iteration, Termination, relative_gap


@dataclass(frozen=True)
class Operation:
    """A day as it comes: what is uncertain, and what is done then.

    Attributes:
        plan: what is scheduled, with what the recourse decides of it.
        realisation: (T, U). recourse: of the T periods, K = T.
        costs: (T) of the periods in $, by exact AC power flow, first stage included. violations: (T) of the limits.
    """

    plan: DayPlan
    realisation: Floats
    recourse: HourRecourse
    costs: Floats
    violations: Floats


@dataclass(frozen=True)
class DayOutcome:
    """The end of a run.

    Attributes:
        termination: why it stopped.
        plan: best plan whose worst case keeps the limits; that of least violation where none is found; None = no plan.
        forecast: operation of the plan as forecast. worst: in its worst realisation. None without a plan.
        lower_bound: $, no plan costs less in its worst case (or by the risk measure). upper_bound: $ of the plan,
            verified by exact AC power flow in all vertices of the uncertainty set; inf where limits are broken.
        log: the iterations. seconds: of the method alone.
        notes: what stands beside the figures. days: (T, U) realisations against which the lower bound holds.
        closed_bound: a lower bound that needs no accuracy of a solver; -inf where none was made.
        scenarios: operations of the plan on the scenario days, if there are any.
        weights: what a $ more on each of these days costs.
        binding: days (T, U) that bind where the lower bound of a budgeted set was found, with what a $ more on each
            costs; these sum to one. Empty where the method has no such days.
    """

    termination: Termination
    plan: DayPlan | None
    forecast: Operation | None
    worst: Operation | None
    lower_bound: float
    upper_bound: float
    log: tuple[Iteration, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    days: tuple[Floats, ...] = ()
    closed_bound: float = -math.inf
    scenarios: tuple[Operation, ...] = ()
    weights: Floats | None = None
    binding: tuple[tuple[Floats, float], ...] = ()

    @property
    def gap(self) -> float:
        return relative_gap(self.lower_bound, self.upper_bound)

    def with_plans(self, of: Callable[[DayPlan], DayPlan]) -> DayOutcome:
        """The same with other plans, each made of the one that is there."""
        operated = [each and replace(each, plan=of(each.plan)) for each in (self.forecast, self.worst, *self.scenarios)]
        return replace(
            self,
            plan=self.plan and of(self.plan),
            forecast=operated[0],
            worst=operated[1],
            scenarios=tuple(each for each in operated[2:] if each is not None),
        )
