"""The report of a topology for many futures."""

from __future__ import annotations

import polars as pl

from openpoint.report.grids import grid_sheet
from openpoint.report.numerals import figures, method_words, number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.page.html import html_for
from openpoint.studies.reconfigure.futures.pictures import EXTREMES, SETS, TITLES, futures_scene, headline, spread_sheet
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.futures.words import against_mean

_SHORT = {"planned": "planned for", "sample": "others"}
Row = dict[str, object]


def page(result: FuturesResult) -> m.Page:
    """The report of a result."""
    scene = futures_scene(result)
    text = "Buses have the colour of their lowest voltage in any future, branches the width of their highest current."
    spreads = [spread_sheet(result, kind) for kind in ("losses", "savings", "voltages")]
    parts: list[m.Offered] = [
        _cards(result),
        _comparison(result),
        [s.sheet_section(sheet.title, sheet) for sheet in spreads if sheet is not None],
        _violations(result),
        s.grid_section(scene, grid_sheet(scene, headline(result), extremes=EXTREMES), note=text),
        s.switching(scene, "highest current"),
        s.convergence_section(result),
        _tables(result),
    ]
    return s.answer_page(result, "open points for many futures", parts, hidden="violation")


def _plan(result: FuturesResult, name: str, topology: str) -> Row | None:
    rows = result.plans.filter(set=name, topology=topology)
    return rows.row(0, named=True) if rows.height else None


def _figure(row: Row | None, key: str, digits: int = 2) -> str:
    value = None if row is None else row[key]
    return number(value if isinstance(value, float) else None, digits)


def _cards(result: FuturesResult) -> m.Cards:
    found = result.objective_kw is not None
    before = _plan(result, "planned", "before")
    after = _plan(result, "planned", "after") if found else None
    sample = _plan(result, "sample", "after") if found else None
    bound = f"objective {number(result.objective_kw)} kW, bound {number(result.lower_bound_kw)} kW" if found else ""
    minimised = f"minimised: {result.risk}" + (f", {result.ambiguity}" if result.ambiguity else "")
    asked = f"asked for: {result.limits_share:.0%}"
    kept = [
        f"{_percent(row['limits_kept_share'])} of the {SETS[name]}"
        for name, row in (("planned", after), ("sample", sample))
        if row is not None
    ]
    losses, worst = (
        f"{_figure(before, key)} → {_figure(after, key)} kW" for key in ("loss_expected_kw", "loss_worst_kw")
    )
    now, then = (f"{_figure(row, 'v_lowest_pu', 4)} … {_figure(row, 'v_highest_pu', 4)} pu" for row in (before, after))
    effort = (method_words(result.method), f"{figures(result.seconds, 3)} s")
    return m.cards(
        m.Card("Mean loss, today → answer", losses, (f"worst {worst}", minimised)),
        s.points_card(result),
        s.gap_card(result, bound),
        m.Card("All limits hold in", kept[0] if kept else "–", (*kept[1:], asked)),
        m.Card("Lowest and highest voltage", then, (f"today {now}",)),
        s.check_card(result.ac_max_mismatch_pu, *effort),
    )


def _percent(value: object) -> str:
    return f"{value:.1%}" if isinstance(value, float) else "–"


def _comparison(result: FuturesResult) -> m.Section:
    opens = {"before": result.open_before, "mean": result.open_mean, "after": result.open_branches}
    if result.objective_kw is None:
        opens["after"] = result.least_violation_open
    counts = {"planned": result.futures.height, "sample": result.sample.height}
    titles = TITLES if result.objective_kw is not None else TITLES | {"after": "least violation met"}
    states = result.plans["topology"]
    frame = result.plans.with_columns(
        futures=pl.Series([f"{counts[name]} {_SHORT[name]}" for name in result.plans["set"]], dtype=pl.String),
        topology=pl.Series([titles[each] for each in states], dtype=pl.String),
        open_branches=pl.Series([", ".join(opens[each]) for each in states], dtype=pl.String),
    )
    caption = "Exact AC power flow in every future; losses in kW, voltages in pu, limits hold in a share of the futures"
    listed = t.listed(result, "plans", caption, ["futures", "topology"], frame=frame, last=["open_branches"])
    return m.section("Three topologies", m.Words(against_mean(result), small=True), listed)


def _violations(result: FuturesResult) -> m.Section | None:
    caption = f"Limits broken by the {s.whose(result)} ({{}})"
    names = ["future", "kind", "name", "value", "limit", "unit"]
    return t.table_section("Limits", result, "violations", caption, names, identity="broken", low=True, search=True)


def _tables(result: FuturesResult) -> list[m.Section | None]:
    future = {"future": "future"}
    return [
        t.table_section("Futures planned for", result, "futures", "{} rows", future, search=True),
        t.table_section("Other futures", result, "sample", "{} rows", future, search=True),
        *t.extremes_tables(result, "over all futures planned for"),
    ]


html = html_for(page)
