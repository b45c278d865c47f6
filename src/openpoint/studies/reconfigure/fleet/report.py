"""The page of a fleet: what it saves in all, what failed, and a row a grid with a link to its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal
from urllib.parse import quote

import numpy as np

from openpoint.report.charts import axes_chart, chart_sheet
from openpoint.report.drawing import Areas, Layer, Sheet, span
from openpoint.report.layout.place import shorten
from openpoint.report.numerals import figures, method_words, number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.results.base import count_words
from openpoint.studies.reconfigure.fleet.result import FAILED, GRIDS, NOT_RUN, FleetResult, FleetRow
from openpoint.studies.reconfigure.report import worth_cards

_SHOWN = 30
NOT_BEST = (
    "Groups are done in the order of the list: a grid's later ones count on those before. They lead to the answers; "
    "what fewer operations save at most, openpoint reconfigure --max-changes proves grid by grid."
)


def savings(result: FleetResult) -> Sheet:
    """What each grid loses today and with its answer."""
    found = [row for row in result.rows if row.saving_kw is not None]
    found = sorted(found, key=lambda row: -(row.saving_kw or 0.0))[:_SHOWN]
    title = f"{result.subject}: {result.saving_kw:,.1f} kW saved in {result.grid_count} grids"
    if not found:
        return chart_sheet(title, None, "No grid has a loss today and one with its answer.")
    before, after = ([getattr(row, name) or 0.0 for row in found] for name in ("loss_before_kw", "loss_kw"))
    layers: list[Layer] = [
        Areas([_bar(k, kw, 0.36) for k, kw in enumerate(before)], "@before", 0.35, name="today"),
        Areas([_bar(k, kw, 0.21) for k, kw in enumerate(after)], "@after", name="answer"),
    ]
    ticks = [(float(-k), shorten(row.name)) for k, row in enumerate(found)]
    x = span(np.array([*before, *after]), from_zero=True)
    chart = axes_chart(80 + 23 * len(found), x, "loss, kW", (0.6 - len(found), 0.6), "", layers, y_ticks=ticks)
    return chart_sheet(title, chart, "")


def _bar(row: int, kw: float, half: float) -> list[float]:
    return [0.0, -row - half, kw, -row - half, kw, -row + half, 0.0, -row + half]


PICTURES: Mapping[str, Callable[[FleetResult], Sheet]] = {"savings": savings}


_NUMBERS = (
    "buses",
    "loss_before_kw",
    "loss_kw",
    "saving_kw",
    "saving_percent",
    "gap_percent",
    "changes",
    "v_min_pu",
    "violations",
    "seconds",
)


def page(result: FleetResult) -> m.Page:
    """The page of a fleet."""
    parts = [
        _banner(result),
        s.remarks(result.notes),
        _cards(result),
        _texts("Failed", [(row, row.error) for row in result.rows]),
        m.section("Grids", _table(result), long=True),
        lambda: t.table_section(
            "All switchings, those that save most per operation first",
            result,
            "switchings",
            "{} groups; those chosen have a sum of operations and of savings",
            ["grid", "to_close", "to_open"],
            below=m.Words(NOT_BEST, small=True),
            search=True,
        ),
        _texts("Notes on figures", [(row, row.notes) for row in result.rows]),
    ]
    buses = sum(row.buses or 0 for row in result.rows)
    subtitle = f"{count_words(result.grid_count, 'grid') or 'no grid'} · {buses:,} buses"
    return m.Page(result.subject, subtitle, "open points of many grids", tuple(parts))


def _banner(result: FleetResult) -> m.Banner:
    kind: Literal["good", "warn", "bad"] = "good"
    lead = "Solved."
    if result.interrupted:
        kind, lead = "warn", "Interrupted."
    elif result.failed:
        kind, lead = "bad", f"{count_words(result.failed, 'grid')} failed."
    elif result.infeasible:
        kind, lead = "warn", f"Nothing keeps the limits in {count_words(result.infeasible, 'grid')}."
    elif result.proven < result.grid_count:
        kind, lead = "warn", "Not all proven."
    return m.Banner(kind, lead, result.in_short)


def _cards(result: FleetResult) -> m.Cards:
    before, after, saved = result.loss_before_kw, result.loss_kw, result.saving_kw
    share = f" ({saved / before:.1%})" if before > 0.0 else ""
    counted = sum(row.saving_kw is not None for row in result.rows)
    gap = "–" if result.gap_percent is None else f"{number(result.gap_percent, 4)} %"
    least = (f"{result.proven} of {result.grid_count} grids proven",)
    return m.cards(
        m.Card(
            "Loss, today → answers",
            f"{number(before)} → {number(after)} kW",
            (
                f"{number(saved)} kW{share} saved",
                f"of {count_words(counted, 'grid') or 'no grid'} where both are known",
            ),
        ),
        *worth_cards(result.worth, result.saving_kw),
        m.Card("Greatest gap", gap, least),
        _switch_card(result),
        m.Card("Method", method_words(result.method), (f"{figures(result.seconds, 3)} s, workers: {result.workers}",)),
    )


def _switch_card(result: FleetResult) -> m.Card:
    """Branches to switch in all grids, and what those save that are chosen."""
    every = sum(each.group.operations for each in result.ranked)
    chosen = f"{result.operations} of {every} operations chosen: {number(result.chosen_kw)} kW saved"
    return m.Card("Branches to switch", str(result.changes), (chosen if result.operations < every else "",))


def _table(result: FleetResult) -> m.Table:
    """A row a grid, those that save most first; those that were not come to have no numbers."""
    about = [GRIDS[name].metadata for name in _NUMBERS]
    numbers = [m.Column(each["heading"], each["digits"]) for each in about]
    heads: list[t.Heading] = ["grid", "status", "ended", *numbers, "file"]
    rows = [
        (_named(row), row.status, row.termination, *(getattr(row, name) for name in _NUMBERS), row.source)
        for row in sorted(result.rows, key=lambda row: -(row.saving_kw or 0.0))
    ]
    return t.table("grids", f"{result.grid_count} grids", heads, rows, search=True)


def _named(row: FleetRow) -> m.Cell:
    """The name of a grid, with a link to its report where it has one."""
    if row.report is None or row.status in (FAILED, NOT_RUN):
        return row.name
    return m.Link(row.name, quote(row.report))


def _texts(heading: str, rows: list[tuple[FleetRow, str | None]]) -> m.Section | None:
    """Messages of some of the grids, a line each."""
    lines = [f"{row.name} ({row.source}): {line}" for row, message in rows for line in (message or "").splitlines()]
    return m.section(heading, m.Bullets(tuple(lines)), long=True) if lines else None
