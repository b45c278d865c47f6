"""Which method answers which question of a day, and why; what each finds."""

from __future__ import annotations

from typing import Literal, Protocol

from openpoint.errors import OptionError
from openpoint.studies.dispatch.day.model.hourly_switching import HourlySwitching, also_decided
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.period_scenarios import PeriodScenarios
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.studies.dispatch.day.topology.method import DayTopologySearch
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Progress

MethodName = Literal["columns", "search", "switching", "scenarios"]
"""columns: column-and-constraint generation with copies of the recourse by period, for a given topology; search: branch
and bound over topologies, and `columns` for those that are left; switching: open points of every hour of a certain day
on which nothing else is decided; scenarios: the futures of a day in one cone program, many of them in groups, for a
given topology."""


class DayMethod(Protocol):
    """A method for a day."""

    def solve(
        self, question: DayQuestion, progress: Progress | None = None, deadline: Deadline | None = None
    ) -> DayOutcome:
        """The best verified plan and its bounds.

        Raises:
            OptionError: the method cannot take the question.
        """
        ...


def choose(question: DayQuestion) -> tuple[MethodName, str]:
    """The method that suits a question, and why."""
    if question.topology is Cadence.HOURLY:
        return "switching", "what a period costs depends on its open points alone, and operations link the periods"
    if question.topology is Cadence.ONCE:
        return "search", "the topology is decided once, and the rest of the day is convex"
    if question.scenarios is not None:
        return "scenarios", "the topology is given, and a cone program has all futures, or groups of them"
    return "columns", "the topology is given, and the recourse of a period knows no other period"


def method_of(name: MethodName, gap: float, time_limit_s: float | None) -> DayMethod:
    """The method of a name."""
    if name == "switching":
        return HourlySwitching(gap=gap, time_limit_s=time_limit_s)
    if name == "search":
        return DayTopologySearch(gap=gap, time_limit_s=time_limit_s)
    if name == "scenarios":
        return PeriodScenarios(gap=gap, time_limit_s=time_limit_s)
    return PeriodColumns(gap=gap, time_limit_s=time_limit_s)


def check_takes(name: MethodName, question: DayQuestion) -> None:
    """Refuse a method that would plan for something else than is asked, before it begins.

    Raises:
        OptionError: futures and a method for a budgeted set; an hourly topology with more to decide.
    """
    if question.topology is Cadence.HOURLY and (also := also_decided(question)):
        raise OptionError(
            f"open points by hour are decided alone, on a certain day, and this one has {', '.join(also)}; decide them "
            "once for the day, or keep them fixed (topology)"
        )
    if question.scenarios is not None and name in ("columns", "switching"):
        raise OptionError(
            f"the method {name} is for a budgeted set; futures are planned for by scenarios (a given topology) and by "
            "search (decided once)"
        )
