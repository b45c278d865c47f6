"""The report of faults and what switching does about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from openpoint.report.drawing import Dots, Layer, Panel, Shape, Sheet, Sign, at
from openpoint.report.grids import OPEN, OPEN_POINT, SOURCE, GridFrame, grid_frame
from openpoint.report.layout.feeders import source_buses
from openpoint.report.layout.place import Layout, compute_layout, shorten
from openpoint.report.numerals import figures, number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.studies.secure.result import FOR_EVERY, RESTORABLE, VERDICTS, SecureResult

LOOKS: dict[str, tuple[str, tuple[float, ...]]] = {
    "nothing lost": ("@dead", ()),
    "restored": ("@closes", ()),
    "partly restored": ("@mean", (8.0, 2.0)),
    "overload": ("@opens", (12.0, 3.0)),
    "limits": ("@broken", (5.0, 3.0)),
    "no tie": ("@ink", (2.5, 2.5)),
}
"""Colour and dashes of each verdict."""
LABELS = {"limits": "ties break limits", "overload": "feeds on, overloaded"}
"""What a legend says in place of a verdict."""
NAMED = 8
"""Branches of most load without supply until the repair, whose names stand in the picture."""


def verdict_sheet(result: SecureResult, layout: Layout | None = None) -> Sheet:
    """Branches by what switching does after their fault, wide where much load waits for the repair."""
    frame = grid_frame(layout or result_layout(result), 760)
    dark = {
        name: (verdict, lost + isolated)
        for name, verdict, lost, isolated in result.faults.select(
            "name", "verdict", "lost_kw", "isolated_kw"
        ).iter_rows()
    }
    most = max((kw for _, kw in dark.values()), default=0.0)
    sources = set(source_buses(result.grid))
    names = [shorten(name) for name in result.grid.buses["name"]]
    layers = [*_lines(result, frame, dark, most), *_buses(frame, names, sources), *_points(result, frame, dark)]
    chart = frame.chart([*layers, *frame.bus_names(names, "@soft", sorted(sources))])
    counts = result.counts
    signs = [
        Sign(f"{LABELS.get(verdict, verdict)} ({counts[verdict]})", line=colour, thick=3.0, dash=dash)
        for verdict, (colour, dash) in LOOKS.items()
        if counts[verdict]
    ]
    text = "The grid, its branches by what switching does after their fault; the tables hold all."
    note = f"The wider a branch, the more load waits for its repair: up to {figures(most, 3)} kW."
    panel = Panel("grid", chart, "Branches by what switching does after their fault", text)
    return Sheet(result.headline, (panel,), (*signs, SOURCE, OPEN_POINT), note=note)


def result_layout(result: SecureResult) -> Layout:
    """The layout of today's feeders."""
    return compute_layout(result.grid, [bool(each) for each in result.grid.branches()["closed"]])


def _lines(result: SecureResult, frame: GridFrame, dark: Mapping[str, tuple[str, float]], most: float) -> list[Layer]:
    layers: list[Layer] = []
    table = result.grid.branches()
    texts = [
        f"branch {shorten(name, 40)}\n{shorten(a, 40)} – {shorten(b, 40)}\n{_words(dark.get(name))}"
        for name, a, b in table.select("name", "from_bus", "to_bus").iter_rows()
    ]
    rest = [e for e, name in enumerate(table["name"]) if name not in dark]
    closed = set(np.flatnonzero(table["closed"].to_numpy()).tolist())
    layers += frame.ways([e for e in rest if e in closed], "@loose", 1.4, hover=texts)
    layers += frame.ways([e for e in rest if e not in closed], "@loose", 1.4, dash=OPEN, hover=texts)
    for verdict, (colour, dash) in LOOKS.items():
        # A few classes of width say as much as the eye reads.
        classes: dict[int, list[int]] = {}
        for e, name in enumerate(table["name"]):
            if name in dark and dark[name][0] == verdict:
                classes.setdefault(round(4.0 * dark[name][1] / (most or 1.0)), []).append(e)
        for width, chosen in sorted(classes.items()):
            layers += frame.ways(chosen, colour, 1.6 + 1.35 * width, dash=dash, hover=texts)
    return layers


def _words(found: tuple[str, float] | None) -> str:
    return "no fault judged" if found is None else f"{found[0]}, {figures(found[1])} kW wait for the repair"


def _buses(frame: GridFrame, names: list[str], sources: set[int]) -> list[Layer]:
    others = [n for n in range(len(names)) if n not in sources]
    layers: list[Layer] = []
    shapes: tuple[tuple[list[int], Shape, float], ...] = ((others, "circle", 7.0), (sorted(sources), "square", 13.0))
    for buses, shape, size in shapes:
        if buses:
            look: dict[str, Any] = {"edge": "@ink", "width": 1.0, "hover": tuple(f"bus {names[n]}" for n in buses)}
            layers.append(Dots(*frame.places(buses), size * frame.fine, "@paper", shape, **look))
    return layers


def _points(result: SecureResult, frame: GridFrame, dark: Mapping[str, tuple[str, float]]) -> list[Layer]:
    """Open points, and the names of the branches whose fault leaves most load without supply."""
    names = result.grid.branches()["name"].to_list()
    number = {name: e for e, name in enumerate(names)}
    loose = [number[name] for name in result.open_branches]
    waiting = [number[name] for name in result.waiting.head(NAMED)["name"] if number[name] not in loose]
    shown = [*waiting, *loose]
    if not shown:
        return []
    inks = [LOOKS[dark[names[e]][0]][0] for e in waiting] + ["@soft"] * len(loose)
    spots = frame.marks(shown)
    shapes = tuple(["cross"] * len(waiting) + ["circle"] * len(loose))
    dots = Dots(*frame.spots(spots), 9.0, "@paper", shapes, edge=tuple(inks), width=2.0)  # type: ignore[arg-type]
    return [dots, *frame.named(spots, at(names, shown), inks, 10.0)]


PICTURES: Mapping[str, Callable[[SecureResult], Sheet]] = {"grid": verdict_sheet}


SHOWN = 10


def page(result: SecureResult) -> m.Page:
    """The report of a result."""
    caption = "{} faults, those that leave most load without supply first"
    last = ["to_open", "to_close", "then_open", "taps", "limit", "for_every_limit", "cut_off"]
    names = ["name", "verdict", *(["for_every"] if result.for_every else [])]
    at_loads = "{} rows: after each such fault a load of the set at which what is restored breaks limits"
    broken = s.violation_table("broken", "Limits broken without a fault", result.violations)
    parts = [
        _banner(result),
        s.remarks(result.notes),
        _cards(result),
        m.section("What was assumed", m.Words(f"{result.rules[0].upper()}{result.rules[1:]}.")),
        lambda: _map(result),
        m.section("Limits broken without a fault", broken, long=True) if broken else None,
        m.section("After switching", _verdicts(result)),
        _for_every(result),
        _beyond_ties(result),
        t.table_section("Faults", result, "faults", caption, names, last=last, search=True),
        t.table_section(
            "Loads that break limits", result, "witnesses", at_loads, ["fault", "name", "bus"], search=True
        ),
        lambda: t.table_section("Buses", result, "buses", "{} buses", ["name"], search=True),
        lambda: s.doubts(result.grid.notes),
    ]
    return m.page_of(result.grid, "faults and restoration", parts)


def _banner(result: SecureResult) -> m.Banner:
    if not result.waiting.height:
        return m.Banner("good", "All supply is restored:", result.in_short)
    return m.Banner("warn", "Not all supply is restored:", result.in_short)


def _cards(result: SecureResult) -> m.Cards:
    counts = result.counts
    tied = sum(counts.values()) - counts["no tie"] - counts["nothing lost"]
    restored = f"{counts['restored']} of {tied}"
    shown = [
        m.Card("Faults restored by ties", restored, ("of those with a tie to what is cut off",)),
        m.Card("No tie", str(counts["no tie"]), ("faults whose part no open branch joins to what is fed",)),
    ]
    if result.saidi_h_per_year is not None and result.saifi_per_year is not None:
        minutes = f"{60.0 * result.saidi_h_per_year:.1f} min"
        shown.append(m.Card("SAIDI", minutes, ("without supply, of a customer a year",)))
        shown.append(m.Card("SAIFI", f"{result.saifi_per_year:.3f}", ("interruptions of a customer a year",)))
    if result.not_supplied_kwh_per_year is not None:
        energy = f"{number(result.not_supplied_kwh_per_year, 1)} kWh"
        shown.append(m.Card("Energy not supplied", energy, ("a year, at today's load",)))
    if result.for_every:
        held = result.for_every_counts
        of = f"{held['proved']} of {sum(held.values())} proved"
        rest = f"{held['disproved']} disproved, {held['open']} open"
        shown.append(m.Card(f"For every {result.for_every}", of, ("of what is restored", rest)))
    shown.append(m.Card("Loss", f"{number(result.loss_kw)} kW", ("without a fault",)))
    return m.cards(*shown)


def _verdicts(result: SecureResult) -> m.Table:
    rows = [(name, count, VERDICTS[name]) for name, count in result.counts.items()]
    return t.table(
        "verdicts",
        "Branches by what switching does after their fault",
        ["after switching", m.Column("faults", 0), "that is"],
        rows,
    )


def _for_every(result: SecureResult) -> m.Section | None:
    """Which restored states hold over the set of loads."""
    if not result.for_every:
        return None
    rows = [(word, count, FOR_EVERY[word]) for word, count in result.for_every_counts.items()]
    counts = t.table(
        "for_every",
        "Branches after whose fault something is restored, by whether that holds over the set",
        ["for every load", m.Column("faults", 0), "that is"],
        rows,
    )
    return m.section(f"For every {result.for_every}", counts)


def _beyond_ties(result: SecureResult) -> m.Section | None:
    """What switching can restore of all that a path leads to, and the switchings."""
    if not result.beyond_ties:
        return None
    rows = [(word, count, RESTORABLE[word]) for word, count in result.restorable_counts.items()]
    counts = t.table(
        "restorable",
        "Branches by what restores all that a path leads to after their fault",
        ["restorable by", m.Column("faults", 0), "that is"],
        rows,
    )
    caption, last = "{} faults after which more than ties restores the supply", ["to_open", "to_close", "then_open"]
    return m.section(
        "More than ties", counts, t.listed(result, "switchings", caption, ["name"], last=last, search=True)
    )


def _map(result: SecureResult) -> m.Section | None:
    layout = result_layout(result)
    sheet = verdict_sheet(result, layout)
    picture = s.still(result.grid, lambda: sheet, "The grid; the tables below hold all.")
    return s.sheet_section("Grid", sheet, layout=layout, picture=picture)
