"""The report of a plan between two states."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from openpoint.names import join_names
from openpoint.report.charts import axes_chart, chart_sheet
from openpoint.report.drawing import Dots, Layer, Lines, Sheet, curve, numbers, span
from openpoint.report.layout.place import shorten
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.switch_plan import plan_section
from openpoint.studies.plan.result import SwitchPlanResult


def voltages(result: SwitchPlanResult) -> Sheet:
    """The lowest voltage after each step."""
    steps = result.plan.steps
    title = f"{result.subject}: {result.plan.operations} operations"
    if steps.is_empty():
        return chart_sheet(title, None, "There is nothing to switch.")
    y = steps["v_min_pu"].to_numpy()
    rows = -np.arange(len(y), dtype=np.float64)
    named = [f"{action} {shorten(name)}" for action, name in steps.select("action", "name").iter_rows()]
    layers: list[Layer] = [
        Lines(curve(y, rows), "@after", 2.0),
        Dots(numbers(y), numbers(rows), 8.0, "@after", hover=tuple(f"{name}\n{v:.5f} pu" for name, v in zip(named, y))),
    ]
    ticks = list(zip(rows.tolist(), named))
    x_title = "lowest voltage after each step, pu"
    chart = axes_chart(80 + 22 * len(y), span(y), x_title, (-len(y) + 0.4, 0.6), "", layers, y_ticks=ticks)
    return chart_sheet(title, chart, "")


PICTURES: Mapping[str, Callable[[SwitchPlanResult], Sheet]] = {"voltages": voltages}


def page(result: SwitchPlanResult) -> m.Page:
    """The report of a result."""
    plan = result.plan
    kept = plan.found and plan.keeps_limits
    parts: list[m.Offered] = [
        m.Banner("good" if kept else "warn", plan.in_short, ""),
        m.cards(
            m.Card("Operations", str(plan.operations), (f"{plan.manual_operations} manual",)),
            m.Card("Not supplied on the way", f"{plan.not_supplied_kwh:.1f} kWh", ()),
            m.Card("Open before", join_names(result.open_before) or "none", ()),
            m.Card("Open after", join_names(result.open_after) or "none", ()),
        ),
        plan_section(plan),
        lambda: s.doubts(result.grid.notes),
    ]
    return m.page_of(result.grid, "switch plan", parts)
