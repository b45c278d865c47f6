"""A plan between two states in the terminal."""

from __future__ import annotations

from openpoint.report.switch_plan import plan_view
from openpoint.report.terminal import words
from openpoint.report.terminal.view import Rows, View
from openpoint.studies.plan.result import SwitchPlanResult


def view(result: SwitchPlanResult) -> View:
    """The two states and the steps."""
    states = [("open before", words.names(result.open_before)), ("open after", words.names(result.open_after))]
    return [Rows(states), *plan_view(result.plan)]
