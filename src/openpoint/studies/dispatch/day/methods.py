"""Which method answers which question of a day, and why; what each finds."""

from __future__ import annotations

from typing import Literal, Protocol

from openpoint.errors import OptionError
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Progress

MethodName = Literal["columns"]
"""columns: column-and-constraint generation with copies of the recourse by period, for a given topology."""


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
    if question.topology is not Cadence.FIXED:
        raise OptionError("the open points of a day cannot be decided yet; give topology='fixed' (--topology fixed)")
    return "columns", "the topology is given, and the recourse of a period knows no other period"


def method_of(name: MethodName, gap: float, time_limit_s: float | None) -> DayMethod:
    """The method of a name."""
    return PeriodColumns(gap=gap, time_limit_s=time_limit_s)
