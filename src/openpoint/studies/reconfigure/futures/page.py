"""The sections of the HTML report of a topology for many futures."""

from __future__ import annotations

import base64
import math

import polars as pl

from openpoint.report.chart import charts as plotcharts
from openpoint.report.chart import grid as plots
from openpoint.report.chart.drawing import Chart
from openpoint.report.chart.frame import is_wide
from openpoint.report.figure.files import encode
from openpoint.report.page.blocks import (
    Cell,
    Column,
    card,
    chart,
    doubts,
    grid_tools,
    number,
    remarks,
    section,
    table,
    text,
)
from openpoint.report.page.common import legend, switching
from openpoint.report.page.model import Page
from openpoint.report.page.numerals import figures, method_words, mismatch_words
from openpoint.report.scene import Scene
from openpoint.report.series import convergence, gap_text
from openpoint.studies.reconfigure.futures.pictures import charts as futures_charts
from openpoint.studies.reconfigure.futures.pictures.figures import draw_futures_scene
from openpoint.studies.reconfigure.futures.pictures.scene import TITLES, futures_scene, limits_of, spreads
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.futures.words import against_mean
from openpoint.twostage.log import Termination

_STILL = 400  # buses up to which a page without scripts shows a picture; beyond it the tables must do
_SETS = {"planned": "futures planned for", "sample": "other futures"}
_SHORT = {"planned": "planned for", "sample": "others"}
Row = dict[str, object]


def page(result: FuturesResult) -> Page:
    """The report of a result."""
    scene = futures_scene(result)
    charts: dict[str, Chart] = {}
    parts = [
        _banner(result),
        remarks(result.notes),
        _cards(result),
        _comparison(result),
        _spread(result, charts),
        _violations(result),
        _grid(result, scene, charts),
        switching(scene, "highest current"),
        _convergence(result, charts),
        _tables(result),
        _run(result),
    ]
    return Page(result.grid, "open points for many futures", "\n".join(part for part in parts if part), charts)


def _banner(result: FuturesResult) -> str:
    kind, said = "good", "Solved"
    if result.objective_kw is None:
        kind = "bad"
        said = "Infeasible" if result.termination is Termination.INFEASIBLE else "No answer found"
    elif result.termination not in (Termination.OPTIMAL, Termination.GAP):
        kind, said = "warn", "Stopped early"
    reason = f"{said} ({result.termination.value})." if said.lower() != result.termination.value else f"{said}."
    return f'<p class="banner {kind}"><strong>{text(reason)}</strong> {text(result.in_short)}</p>'


def _plan(result: FuturesResult, name: str, topology: str) -> Row | None:
    rows = result.plans.filter(set=name, topology=topology)
    return rows.row(0, named=True) if rows.height else None


def _figure(row: Row | None, key: str, digits: int = 2) -> str:
    value = None if row is None else row[key]
    return number(value, digits) if isinstance(value, float) else "–"


def _cards(result: FuturesResult) -> str:
    found = result.objective_kw is not None
    before = _plan(result, "planned", "before")
    after = _plan(result, "planned", "after") if found else None
    sample = _plan(result, "sample", "after") if found else None
    names = ", ".join(result.open_branches[:24]) + (" …" if len(result.open_branches) > 24 else "")
    n = len(result.changes)
    changed = "" if not found else "as today" if not n else f"{n} branch{'es' if n > 1 else ''} to switch"
    bound = f"objective {number(result.objective_kw)} kW, bound {number(result.lower_bound_kw)} kW" if found else ""
    minimised = f"minimised: {result.risk}" + (f", {result.ambiguity}" if result.ambiguity else "")
    kept = [
        f"{_percent(row, 'limits_kept_share')} of the {_SETS[name]}"
        for name, row in (("planned", after), ("sample", sample))
        if row is not None
    ]
    low, high = _figure(after, "v_lowest_pu", 4), _figure(after, "v_highest_pu", 4)
    today = f"today {_figure(before, 'v_lowest_pu', 4)} … {_figure(before, 'v_highest_pu', 4)} pu"
    worst = f"worst {_figure(before, 'loss_worst_kw')} → {_figure(after, 'loss_worst_kw')} kW"
    effort = (method_words(result.method), f"{figures(result.seconds, 3)} s")
    cards = [
        card(
            "Mean loss, today → answer",
            f"{_figure(before, 'loss_expected_kw')} → {_figure(after, 'loss_expected_kw')} kW",
            worst,
            minimised,
        ),
        card("Open points", str(len(result.open_branches)) if found else "–", names, changed),
        card("Gap between the bounds", f"{result.gap:.3%}" if math.isfinite(result.gap) else "–", bound),
        card("All limits hold in", kept[0] if kept else "–", *kept[1:], f"asked for: {result.limits_share:.0%}"),
        card("Lowest and highest voltage", f"{low} … {high} pu", today),
        card("AC check, largest mismatch", mismatch_words(result.ac_max_mismatch_pu), *effort),
    ]
    return f'<div class="cards">{"".join(cards)}</div>'


def _percent(row: Row, key: str) -> str:
    value = row[key]
    return f"{value:.1%}" if isinstance(value, float) else "–"


def _comparison(result: FuturesResult) -> str:
    numbered = [
        ("loss_expected_kw", "mean loss", 2),
        ("loss_cvar90_kw", "worst 10 %", 2),
        ("loss_worst_kw", "worst", 2),
        ("limits_kept_share", "limits hold in", 3),
        ("v_lowest_pu", "lowest voltage", 4),
        ("v_highest_pu", "highest", 4),
        ("loading_highest_percent", "loading, %", 1),
    ]
    filled = [each for each in numbered if result.plans[each[0]].is_not_null().any()]
    columns = [Column("futures"), Column("topology"), *(Column(title, digits) for _, title, digits in filled)]
    opens = {"before": result.open_before, "mean": result.open_mean, "after": result.open_branches}
    if result.objective_kw is None:
        opens["after"] = result.least_violation_open
    counts = {"planned": result.futures.height, "sample": result.sample.height}
    rows: list[tuple[Cell, ...]] = []
    for row in result.plans.iter_rows(named=True):
        after = row["topology"] == "after"
        title = "least violation met" if after and result.objective_kw is None else TITLES[row["topology"]]
        place = f"{counts[row['set']]} {_SHORT[row['set']]}"
        rows.append((place, title, *(row[key] for key, _, _ in filled), ", ".join(opens[row["topology"]])))
    caption = "Exact AC power flow in every future; losses in kW, voltages in pu, limits hold in a share of the futures"
    told = f'<p class="sub">{text(against_mean(result))}</p>'
    return section("Three topologies", told, table("plans", caption, [*columns, Column("open branches")], rows))


def _spread(result: FuturesResult, charts: dict[str, Chart]) -> str:
    parts = []
    sets = [("planned", result.futures)] + ([("sample", result.sample)] if result.sample.height else [])
    for kind, heading in (
        ("losses", "How losses spread over the futures"),
        ("savings", "What the answer saves in each future"),
        ("voltages", "How lowest and highest voltages spread over the futures"),
    ):
        panels = []
        for name, frame in sets:
            found = spreads(result, frame)
            made = (
                futures_charts.loss_chart(found)
                if kind == "losses"
                else futures_charts.saving_chart(found)
                if kind == "savings"
                else futures_charts.voltage_chart(found, limits_of(result))
            )
            if made is not None:
                charts[f"{kind}-{name}"] = made
                caption = f"{frame.height} {_SETS[name]}"
                panels.append(chart(f"{kind}-{name}", caption, f"{heading}: {caption}", made.height))
        if panels:
            beside = " beside" if len(panels) > 1 else ""
            parts.append(section(heading, f'<div class="pair{beside}">{"".join(panels)}</div>'))
    return "\n".join(parts)


def _violations(result: FuturesResult) -> str:
    if result.violations.is_empty():
        return ""
    columns = [
        *(Column(c) for c in ("future", "limit broken", "bus or branch")),
        Column("value", 4),
        Column("limit", 4),
    ]
    rows = result.violations.select("future", "kind", "name", "value", "limit", "unit").iter_rows()
    whose = "answer" if result.objective_kw is not None else "state of least violation met"
    caption = f"Limits broken by the {whose} ({result.violations.height})"
    return section(
        "Limits", table("broken", caption, [*columns, Column("unit")], rows, low=True, search=True), long=True
    )


def _grid(result: FuturesResult, scene: Scene, charts: dict[str, Chart]) -> str:
    panels = []
    for key, state in scene.states.items():
        identity = f"grid-{key}"
        charts[identity] = plots.grid_chart(scene, state, {})
        loss = f", loss {number(state.loss_kw)} kW" if state.loss_kw is not None else ""
        told = f"{state.title}: {len(scene.bus_names)} buses coloured by their lowest voltage in any future{loss}."
        panels.append(chart(identity, f"{state.title}{loss}", told, charts[identity].height))
    beside = "" if is_wide(scene.layout) or len(panels) == 1 else " beside"
    told = "Buses have the colour of their lowest voltage in any future, branches the width of their highest current."
    tools = grid_tools(told)
    pair = f'<div class="pair{beside}">{"".join(panels)}</div>'
    return section("Grid", tools, pair, legend(scene), _still(result, scene))


def _still(result: FuturesResult, scene: Scene) -> str:
    """The picture for readers without scripts."""
    if result.grid.buses.height > _STILL:
        return "<noscript><p>The pictures need scripts; all numbers are in the tables below.</p></noscript>"
    data = base64.b64encode(encode(draw_futures_scene(result, scene), "svg")).decode()
    alt = "The grid today and with the answer; the tables below hold all numbers."
    return f'<noscript><img alt="{alt}" src="data:image/svg+xml;base64,{data}"></noscript>'


def _convergence(result: FuturesResult, charts: dict[str, Chart]) -> str:
    made = plotcharts.convergence_chart(convergence(result.iterations, gap_text(result.gap, result.termination)))
    if made is None:
        return ""
    charts["convergence"] = made
    told = f"Lower and upper bound over time, {gap_text(result.gap, result.termination)}"
    place = chart("convergence", "", told, made.height)
    return section(f"Convergence of the bounds ({gap_text(result.gap, result.termination)})", place)


_WORDS = {"before": "today", "mean": "mean future's", "after": "answer"}


def _tables(result: FuturesResult) -> str:
    parts = []
    for identity, heading, frame in (
        ("futures", "Futures planned for", result.futures),
        ("sample", "Other futures", result.sample),
    ):
        numbered = [
            ("probability", "probability", 5),
            ("weight", "weight", 5),
            ("demand_kw", "demand, kW", 1),
            *((f"loss_{key}_kw", f"loss {word}, kW", 2) for key, word in _WORDS.items()),
            *((f"v_min_{key}_pu", f"lowest {word}, pu", 4) for key, word in _WORDS.items()),
            *((f"v_max_{key}_pu", f"highest {word}, pu", 4) for key, word in _WORDS.items()),
            *((f"violations_{key}", f"limits broken {word}", 0) for key, word in _WORDS.items()),
        ]
        parts.append(_table(identity, heading, frame, ["future"], numbered))
    numbered = [
        (f"v_{which}_{key}_pu", f"{which} {_WORDS[key]}, pu", 5)
        for which in ("lowest", "highest")
        for key in ("before", "after")
    ]
    parts.append(_table("buses", "Buses, over all futures planned for", result.buses, ["name"], numbered))
    numbered = [
        ("i_max_a", "limit, A", 1),
        *(
            (f"{name}_{key}_{unit}", f"{word} {_WORDS[key]}, {sign}", digits)
            for name, unit, word, sign, digits in (
                ("i_highest", "a", "highest current", "A", 2),
                ("loading_highest", "percent", "highest loading", "%", 1),
                ("loss_expected", "kw", "mean loss", "kW", 3),
            )
            for key in ("before", "after")
        ),
    ]
    texts = ["name", "from_bus", "to_bus"]
    parts.append(_table("branches", "Branches, over all futures planned for", result.branches, texts, numbered))
    return "\n".join(part for part in parts if part)


def _table(
    identity: str, heading: str, frame: pl.DataFrame, texts: list[str], numbered: list[tuple[str, str, int]]
) -> str:
    if frame.is_empty():
        return ""
    filled = [each for each in numbered if each[0] in frame.columns and frame[each[0]].is_not_null().any()]
    columns = [*(Column(name.replace("_", " ")) for name in texts), *(Column(title, d) for _, title, d in filled)]
    rows = frame.select(*texts, *(name for name, _, _ in filled)).iter_rows()
    return section(heading, table(identity, f"{frame.height} rows", columns, rows, search=True), long=True)


def _run(result: FuturesResult) -> str:
    parts = [doubts(result.grid.notes)]
    numbered = [
        ("number", "iteration", 0),
        ("seconds", "seconds", 3),
        ("lower_bound_kw", "lower bound, kW", 4),
        ("upper_bound_kw", "upper bound, kW", 4),
        ("value_kw", "value tried, kW", 4),
    ]
    if result.iterations.height:
        columns = [*(Column(heading, digits) for _, heading, digits in numbered), Column("verdict"), Column("mark")]
        rows = result.iterations.select(*(c for c, _, _ in numbered), "verdict", "mark").iter_rows()
        caption = f"{result.iterations.height} iterations"
        parts.append(section("Log of the method", table("iterations", caption, columns, rows), long=True))
    return "\n".join(part for part in parts if part)
