"""The report of a topology for many futures."""

from __future__ import annotations

import polars as pl

from openpoint.report.numerals import figures, method_words, names_and_more, number
from openpoint.report.page.model import Card, Cards, Cell, Column, Page, Panel, Section, Words, page_of, section
from openpoint.report.page.sections import (
    Heading,
    banner,
    check_card,
    convergence_section,
    doubts,
    filled,
    frame_table,
    gap_card,
    grid_section,
    log_section,
    panels,
    remarks,
    still,
    switching,
    table,
)
from openpoint.studies.reconfigure.futures.pictures import charts as futures_charts
from openpoint.studies.reconfigure.futures.pictures.figures import draw_scene
from openpoint.studies.reconfigure.futures.pictures.scene import TITLES, futures_scene, limits_of, spreads
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.futures.words import against_mean

_SETS = {"planned": "futures planned for", "sample": "other futures"}
_SHORT = {"planned": "planned for", "sample": "others"}
_WORDS = {"before": "today", "mean": "mean future's", "after": "answer"}
_PLANS = (
    ("loss_expected_kw", "mean loss", 2),
    ("loss_cvar90_kw", "worst 10 %", 2),
    ("loss_worst_kw", "worst", 2),
    ("limits_kept_share", "limits hold in", 3),
    ("v_lowest_pu", "lowest voltage", 4),
    ("v_highest_pu", "highest", 4),
    ("loading_highest_percent", "loading, %", 1),
)
_FUTURES = (
    ("probability", "probability", 5),
    ("weight", "weight", 5),
    ("demand_kw", "demand, kW", 1),
    *((f"loss_{key}_kw", f"loss {word}, kW", 2) for key, word in _WORDS.items()),
    *((f"v_min_{key}_pu", f"lowest {word}, pu", 4) for key, word in _WORDS.items()),
    *((f"v_max_{key}_pu", f"highest {word}, pu", 4) for key, word in _WORDS.items()),
    *((f"violations_{key}", f"limits broken {word}", 0) for key, word in _WORDS.items()),
)
_BUSES = tuple(
    (f"v_{which}_{key}_pu", f"{which} {_WORDS[key]}, pu", 5)
    for which in ("lowest", "highest")
    for key in ("before", "after")
)
_BRANCHES = (
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
)
Row = dict[str, object]


def page(result: FuturesResult) -> Page:
    """The report of a result."""
    scene = futures_scene(result)
    told = "Buses have the colour of their lowest voltage in any future, branches the width of their highest current."
    alt = "The grid today and with the answer; the tables below hold all numbers."
    picture = still(result.grid, lambda: draw_scene(result, scene), alt)
    parts = [
        banner(result, answered=result.objective_kw is not None, none="No answer found"),
        remarks(result.notes),
        _cards(result),
        _comparison(result),
        _spread(result),
        _violations(result),
        grid_section(scene, picture, "their lowest voltage in any future", told),
        switching(scene, "highest current"),
        convergence_section(result),
        _tables(result),
        doubts(result.grid.notes),
        log_section(result),
    ]
    return page_of(result.grid, "open points for many futures", parts)


def _plan(result: FuturesResult, name: str, topology: str) -> Row | None:
    rows = result.plans.filter(set=name, topology=topology)
    return rows.row(0, named=True) if rows.height else None


def _figure(row: Row | None, key: str, digits: int = 2) -> str:
    value = None if row is None else row[key]
    return number(value if isinstance(value, float) else None, digits)


def _cards(result: FuturesResult) -> Cards:
    found = result.objective_kw is not None
    before = _plan(result, "planned", "before")
    after = _plan(result, "planned", "after") if found else None
    sample = _plan(result, "sample", "after") if found else None
    n = len(result.changes)
    changed = "as today" if not n else f"{n} branch{'es' if n > 1 else ''} to switch"
    bound = f"objective {number(result.objective_kw)} kW, bound {number(result.lower_bound_kw)} kW" if found else ""
    minimised = f"minimised: {result.risk}" + (f", {result.ambiguity}" if result.ambiguity else "")
    kept = [
        f"{_percent(row['limits_kept_share'])} of the {_SETS[name]}"
        for name, row in (("planned", after), ("sample", sample))
        if row is not None
    ]
    losses, worst = (
        f"{_figure(before, key)} → {_figure(after, key)} kW" for key in ("loss_expected_kw", "loss_worst_kw")
    )
    now, then = (f"{_figure(row, 'v_lowest_pu', 4)} … {_figure(row, 'v_highest_pu', 4)} pu" for row in (before, after))
    points = (names_and_more(result.open_branches, 24), changed if found else "")
    effort = (method_words(result.method), f"{figures(result.seconds, 3)} s")
    return Cards(
        (
            Card("Mean loss, today → answer", losses, (f"worst {worst}", minimised)),
            Card("Open points", str(len(result.open_branches)) if found else "–", points),
            gap_card(result, bound),
            Card("All limits hold in", kept[0] if kept else "–", (*kept[1:], f"asked for: {result.limits_share:.0%}")),
            Card("Lowest and highest voltage", then, (f"today {now}",)),
            check_card(result.ac_max_mismatch_pu, *effort),
        )
    )


def _percent(value: object) -> str:
    return f"{value:.1%}" if isinstance(value, float) else "–"


def _comparison(result: FuturesResult) -> Section:
    shown = filled(result.plans, _PLANS)
    columns: list[Heading] = [
        "futures",
        "topology",
        *(Column(title, digits) for _, title, digits in shown),
        "open branches",
    ]
    opens = {"before": result.open_before, "mean": result.open_mean, "after": result.open_branches}
    if result.objective_kw is None:
        opens["after"] = result.least_violation_open
    counts = {"planned": result.futures.height, "sample": result.sample.height}
    rows: list[tuple[Cell, ...]] = []
    for row in result.plans.iter_rows(named=True):
        after = row["topology"] == "after"
        title = "least violation met" if after and result.objective_kw is None else TITLES[row["topology"]]
        place = f"{counts[row['set']]} {_SHORT[row['set']]}"
        rows.append((place, title, *(row[key] for key, _, _ in shown), ", ".join(opens[row["topology"]])))
    caption = "Exact AC power flow in every future; losses in kW, voltages in pu, limits hold in a share of the futures"
    told = Words(against_mean(result), small=True)
    return section("Three topologies", told, table("plans", caption, columns, rows))


def _spread(result: FuturesResult) -> list[Section]:
    parts = []
    sets = [("planned", result.futures)] + ([("sample", result.sample)] if result.sample.height else [])
    for kind, heading, chart in (
        ("losses", "How losses spread over the futures", futures_charts.loss_chart),
        ("savings", "What the answer saves in each future", futures_charts.saving_chart),
        (
            "voltages",
            "How lowest and highest voltages spread over the futures",
            lambda found: futures_charts.voltage_chart(found, limits_of(result)),
        ),
    ):
        shown = []
        for name, frame in sets:
            if (made := chart(spreads(result, frame))) is not None:
                caption = f"{frame.height} {_SETS[name]}"
                shown.append(Panel(f"{kind}-{name}", made, caption, f"{heading}: {caption}"))
        if shown:
            parts.append(section(heading, panels(shown)))
    return parts


def _violations(result: FuturesResult) -> Section | None:
    if result.violations.is_empty():
        return None
    columns: list[Heading] = ["future", "limit broken", "bus or branch", Column("value", 4), Column("limit", 4), "unit"]
    rows = result.violations.select("future", "kind", "name", "value", "limit", "unit").iter_rows()
    whose = "answer" if result.objective_kw is not None else "state of least violation met"
    caption = f"Limits broken by the {whose} ({result.violations.height})"
    return section("Limits", table("broken", caption, columns, rows, low=True, search=True), long=True)


def _tables(result: FuturesResult) -> list[Section]:
    everywhere = "over all futures planned for"
    frames: tuple[tuple[str, str, pl.DataFrame, list[str], tuple[tuple[str, str, int], ...]], ...] = (
        ("futures", "Futures planned for", result.futures, ["future"], _FUTURES),
        ("sample", "Other futures", result.sample, ["future"], _FUTURES),
        ("buses", f"Buses, {everywhere}", result.buses, ["name"], _BUSES),
        ("branches", f"Branches, {everywhere}", result.branches, ["name", "from_bus", "to_bus"], _BRANCHES),
    )
    return [
        section(heading, frame_table(identity, f"{frame.height} rows", frame, texts, numbers, search=True), long=True)
        for identity, heading, frame, texts, numbers in frames
        if not frame.is_empty()
    ]
