"""The grid with its branches by what switching does after their fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from openpoint.report.drawing import Dots, Layer, Panel, Shape, Sheet, Sign, at
from openpoint.report.grids import OPEN, OPEN_POINT, SOURCE, GridFrame, grid_frame
from openpoint.report.layout.forest import source_buses
from openpoint.report.layout.labels import shorten
from openpoint.report.layout.place import Layout, compute_layout
from openpoint.report.numerals import figures
from openpoint.studies.secure.result import SecureResult

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
