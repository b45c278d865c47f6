"""What a topology of a day has to face: the worst of a budgeted set, or futures at the least risk.

Both give weights of days for the bound of partial topologies, and the best plan of a topology that is left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from openpoint.arrays import Bools, States
from openpoint.studies.dispatch.day.model.hour_block import HourTemplates
from openpoint.studies.dispatch.day.model.period_columns import Experience, PeriodColumns, allowed
from openpoint.studies.dispatch.day.model.period_scenarios import PeriodScenarios, scenarios_of
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.model.vertices import vertices_of
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.studies.dispatch.day.topology.relaxation import DayRelaxation
from openpoint.studies.dispatch.day.topology.weights import Mixture, forecast, grouped, mixture, worst_mixture
from openpoint.twostage.deadline import Deadline

GROUPS = 4
"""Groups into which the futures of a period are put in the bound of partial topologies."""
GROUPS_MOST = 40
"""Groups of a radial state that is left; fewer futures are there each by itself."""
ITERATIONS = 3
"""Programs for the bound of such a state."""
AS_LONG = 5.0
"""Time of these programs before any is solved, relative to that in which they are set up."""


class Faced(Protocol):
    """Days and how their costs count."""

    def first(self) -> Mixture:
        """Weights of days before any plan is known."""
        ...

    def weighed(self, state: States, deadline: Deadline) -> Mixture | None:
        """Weights for which the bound of a radial state (m) that was solved last is high; None = those at hand."""
        ...

    def bound(self, state: States, deadline: Deadline) -> float:
        """A bound of a radial state (m) beside that of the tree, before it is solved; -inf where there is no time."""
        ...

    def early(self, closed: Bools, deadline: Deadline) -> DayOutcome | None:
        """A plan of a topology (E), soon and not the best; None = none is found sooner than the best."""
        ...

    def solve(self, closed: Bools, gap: float, deadline: Deadline, cutoff: float) -> DayOutcome:
        """The best plan of a topology (E)."""
        ...


@dataclass
class FacedSet:
    """The worst of a budgeted set; worst days that were found for one topology count for the others."""

    question: DayQuestion
    experience: Experience
    last: DayOutcome | None = None

    def first(self) -> Mixture:
        """The forecast, which is in the set."""
        return forecast(self.question.day)

    def weighed(self, state: States, deadline: Deadline) -> Mixture | None:
        """By the multipliers of its master, for which its cone program is at its optimum."""
        if self.last is not None and self.last.binding:
            binding = self.last.binding
            return mixture([day for day, _ in binding], np.array([weight for _, weight in binding]))
        vertices = vertices_of(self.question.day)
        days = [day for day in self.experience.days if allowed(vertices, day)]
        return worst_mixture(self.question, state, days, deadline.over) if days else None

    def bound(self, state: States, deadline: Deadline) -> float:
        return -np.inf

    def early(self, closed: Bools, deadline: Deadline) -> DayOutcome | None:
        """The plan that is best on the days known so far, at first the forecast alone."""
        return PeriodColumns(soon=True).solve(self.question, None, deadline, closed=closed, experience=self.experience)

    def solve(self, closed: Bools, gap: float, deadline: Deadline, cutoff: float) -> DayOutcome:
        method, known = PeriodColumns(gap=gap), self.experience
        self.last = method.solve(self.question, None, deadline, closed=closed, experience=known, cutoff=cutoff)
        return self.last


@dataclass
class FacedFutures:
    """The risk of futures.

    For any vector of probabilities that the risk allows, the mean cost is at most the risk. And futures of a period may
    be replaced by their mean: with the same multipliers for all of them, the bound of a period is linear in what comes
    but for the least value of each column, which is convex in the ends of its range. So the bound at the mean is at
    most the mean of their bounds.
    """

    question: DayQuestion
    templates: HourTemplates = field(init=False)
    last: DayOutcome | None = None
    whole: DayRelaxation | None = None
    takes_s: float = 0.0  # seconds that a bound of `whole` takes

    def __post_init__(self) -> None:
        self.templates = HourTemplates(self.question)

    def first(self) -> Mixture:
        """The mean of the futures in every period."""
        days = scenarios_of(self.question)
        return grouped(days.realisations, days.nominal)

    def weighed(self, state: States, deadline: Deadline) -> Mixture | None:
        days = scenarios_of(self.question)
        if self.last is None or self.last.weights is None or not self.last.scenarios:
            return None
        began = deadline.passed()
        costs, weights = np.array([each.costs for each in self.last.scenarios]), days.allowed(self.last.weights)
        every = grouped(days.realisations, weights, costs, min(len(weights), GROUPS_MOST))
        self.whole = DayRelaxation(self.question, every.copies, every.weights)
        self.takes_s = AS_LONG * (deadline.passed() - began)
        return grouped(days.realisations, weights, costs, GROUPS)

    def bound(self, state: States, deadline: Deadline) -> float:
        if self.whole is None or deadline.left() < self.takes_s:
            return -np.inf
        began = deadline.passed()
        found = self.whole.bound(state.copy(), None, ITERATIONS)
        self.takes_s = deadline.passed() - began
        return -np.inf if found is None else found.value

    def early(self, closed: Bools, deadline: Deadline) -> DayOutcome | None:
        return None

    def solve(self, closed: Bools, gap: float, deadline: Deadline, cutoff: float) -> DayOutcome:
        method, known = PeriodScenarios(gap=gap), self.templates
        early = self.last is None  # later ones can only improve on a plan that is there
        self.last = method.solve(self.question, None, deadline, closed=closed, templates=known, early=early)
        return self.last


def faced(question: DayQuestion, experience: Experience | None = None) -> Faced:
    """What the question has: futures, or a budgeted set, with what an earlier search of the same day left."""
    if question.scenarios is not None:
        return FacedFutures(question)
    return FacedSet(question, experience or Experience(HourTemplates(question)))
