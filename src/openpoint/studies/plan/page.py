"""The report of a plan between two states."""

from __future__ import annotations

from openpoint.names import join_names
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page.html import html_for
from openpoint.report.switch_plan import plan_section
from openpoint.studies.plan.result import SwitchPlanResult


def page(result: SwitchPlanResult) -> m.Page:
    """The report of a result."""
    plan = result.plan
    kept = plan.found and plan.keeps_limits
    parts: list[m.Part | None] = [
        m.Banner("good" if kept else "warn", plan.in_short, ""),
        m.cards(
            m.Card("Operations", str(plan.operations), (f"{plan.manual_operations} manual",)),
            m.Card("Not supplied on the way", f"{plan.not_supplied_kwh:.1f} kWh", ()),
            m.Card("Open before", join_names(result.open_before) or "none", ()),
            m.Card("Open after", join_names(result.open_after) or "none", ()),
        ),
        plan_section(plan),
        s.doubts(result.grid.notes),
    ]
    return m.page_of(result.grid, "switch plan", parts)


html = html_for(page)
