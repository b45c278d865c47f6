"""Which method answers which question of a day, and why; what each finds."""

from __future__ import annotations

from typing import Literal, Protocol

from openpoint.errors import OptionError
from openpoint.studies.dispatch.day.model.hourly_switching import HourlySwitching, also_decided
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.period_scenarios import PeriodScenarios
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.studies.dispatch.day.topology.hourly import HourlyTopologies
from openpoint.studies.dispatch.day.topology.method import DayTopologySearch
from openpoint.studies.dispatch.day.two_stage import TwoStageDay
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Progress
from openpoint.twostage.methods.benders import Benders
from openpoint.twostage.methods.ccg import ColumnAndConstraint
from openpoint.twostage.methods.extensive import ExtensiveForm

MethodName = Literal["columns", "search", "switching", "ccg", "benders", "extensive", "scenarios", "turns"]
"""columns: column-and-constraint generation with copies of the recourse by period, for a given topology; search: branch
and bound over topologies, and `columns` for those that are left; switching: open points of every hour of a certain day
on which nothing else is decided; turns: resources for given topologies of the periods, and topologies for given
resources, with a bound of all; scenarios: the futures of a day in one cone program, many of them in groups, for a given
topology. For small grids and few vertices, with anything left to the recourse: ccg, column-and-constraint generation
with copies of the whole day; benders; extensive, both stages in one program."""


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
    """The method that suits a question, and why.

    Raises:
        OptionError: there is none.
    """
    if question.recourse:
        return "ccg", "what is decided once the day is known links its periods"
    if question.topology is Cadence.HOURLY:
        if also_decided(question):
            return "turns", "topologies of the periods and resources are decided together"
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
    if name == "ccg":
        return TwoStageDay(ColumnAndConstraint(gap=gap, time_limit_s=time_limit_s))
    if name == "benders":
        return TwoStageDay(Benders(gap=gap, time_limit_s=time_limit_s))
    if name == "extensive":
        return TwoStageDay(ExtensiveForm(gap=gap, time_limit_s=time_limit_s))
    if name == "turns":
        return HourlyTopologies(gap=gap, time_limit_s=time_limit_s)
    if name == "scenarios":
        return PeriodScenarios(gap=gap, time_limit_s=time_limit_s)
    return PeriodColumns(gap=gap, time_limit_s=time_limit_s)


def check_takes(name: MethodName, question: DayQuestion) -> None:
    """Refuse a method that would plan for something else than is asked.

    Raises:
        OptionError: futures and a method for a budgeted set.
    """
    if question.scenarios is not None and name in ("columns", "switching", "turns"):
        raise OptionError(
            f"the method {name} is for a budgeted set; futures are planned for by scenarios (a given topology), by "
            "search (decided once), and, on a grid of a few buses, by ccg"
        )
