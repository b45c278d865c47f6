"""The report of a topology for a year."""

from __future__ import annotations

import polars as pl

from openpoint.report.grids import grid_sheet
from openpoint.report.numerals import number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.page.html import html_for
from openpoint.results.base import Answer
from openpoint.studies.reconfigure.year.pictures import EXTREMES, Stepped, duration_sheet, headline, year_scene
from openpoint.studies.reconfigure.year.result import YearResult
from openpoint.studies.reconfigure.year.view import worst

MOST_ROWS = 1000
"""Steps that the report lists, those of the largest loss first; the tables of the result have all."""


def page(result: YearResult) -> m.Page:
    """The report of a result."""
    scene = year_scene(result)
    text = "Buses have the colour of their lowest voltage in any step, branches the width of their highest current."
    parts = [
        _cards(result),
        violation_section(result, s.whose(result)),
        duration_section(result),
        s.grid_section(scene, grid_sheet(scene, headline(result), extremes=EXTREMES), note=text),
        s.switching(scene, "highest current"),
        s.convergence_section(result),
        steps_section(result, result.steps),
        t.extremes_tables(result, "over all steps"),
    ]
    return s.answer_page(result, "open points for a year", parts, hidden="violation")


def _cards(result: YearResult) -> m.Cards:
    before, after = result.energy_before_mwh, result.energy_mwh
    saved = ""
    if before is not None and after is not None and before > 0.0:
        saved = f"{number(before - after)} MWh ({(before - after) / before:.1%}) saved"
    (low, high, loading), today = worst(result, "after"), worst(result, "before")
    broken, was = (("–" if n is None else f"{n:,}") for n in (result.steps_broken, result.steps_broken_before))
    checked = f"all {result.steps_count:,} steps by power flow, {result.checked_steps} by this check"
    bound = f"bound {number(result.energy_bound_mwh)} MWh, from {result.groups_count} groups of steps"
    return m.cards(
        m.Card("Energy lost, today → answer", f"{number(before)} → {number(after)} MWh", (saved,)),
        s.points_card(result),
        s.gap_card(result, bound),
        m.Card("Lowest voltage", low, (f"today {today[0]}",)),
        m.Card("Highest voltage", high, (f"today {today[1]}",)),
        m.Card("Highest loading", loading, (f"today {today[2]}",)),
        m.Card("Steps with broken limits", broken, (f"today {was}",)),
        s.check_card(result.ac_max_mismatch_pu, checked),
        s.effort_card(result),
    )


def duration_section(result: Stepped) -> m.Section | None:
    """The duration curves of losses and voltages."""
    return s.sheet_section("Over the year, in order of size", duration_sheet(result, ""))


def violation_section(result: Answer, whose: str) -> m.Section | None:
    """Limits that are broken; `whose`: by what."""
    caption = f"Limits broken by the {whose} ({{}}), each in its worst step"
    names = ["kind", "name", "value", "limit", "unit", "step"]
    return t.table_section("Limits", result, "violations", caption, names, identity="broken", low=True, search=True)


def steps_section(result: Answer, steps: pl.DataFrame) -> m.Section | None:
    """The steps, of many those of the largest loss."""
    heading = "Steps"
    if steps.height > MOST_ROWS:
        order = "loss_after_kw" if steps["loss_after_kw"].is_not_null().any() else "loss_before_kw"
        steps = steps.sort(order, descending=True, nulls_last=True).head(MOST_ROWS)
        heading = "Steps, those of the largest loss first"
    return t.table_section(heading, result, "steps", "{} rows", {"step": "step"}, frame=steps, search=True)


html = html_for(page)
