"""The grid before and after, as a chart of the HTML report."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex

from openpoint.report.chart.drawing import Chart, Dots, Layer, Shape, at
from openpoint.report.chart.frame import OPEN, GridFrame, grid_frame, rings
from openpoint.report.figure import style
from openpoint.report.layout.labels import shorten
from openpoint.report.numerals import figures
from openpoint.report.scene import Scene, State

_WIDTHS = 6
_SHADES = 64
Loads = dict[int, tuple[float, float]]
"""kW and kvar by bus number."""


def colour_stops() -> list[tuple[float, str]]:
    """The colour scale of voltages in ten steps."""
    colours = mpl.colormaps[style.COLOURS]
    return [(i / 10, to_hex(colours(i / 10))) for i in range(11)]


def grid_chart(scene: Scene, state: State, loads: Loads) -> Chart:
    """One state of the grid; hovering a bus or a branch shows its figures."""
    frame = grid_frame(scene.layout, 760)
    at_bus, at_branch = scene.violated(state)
    texts = [_branch_text(scene, state, e) for e in range(len(scene.branch_names))]
    names = [shorten(name) for name in scene.bus_names]
    return frame.chart(
        [
            *_branch_layers(scene, state, frame, set(at_branch), texts),
            *_bus_layers(scene, state, frame, loads, set(at_bus)),
            *_symbols(scene, state, frame, texts),
            *frame.bus_names(names, "@soft", [*scene.sources, *at_bus]),
        ]
    )


def _branch_layers(scene: Scene, state: State, frame: GridFrame, broken: set[int], texts: list[str]) -> list[Layer]:
    layers: list[Layer] = []
    for changed, colour in ((scene.opened, "@opens"), (scene.closed, "@closes")):
        layers += frame.ways(sorted(changed), colour, 13 * frame.fine, opacity=0.2)
    share = scene.stress(state) / scene.stress_max
    # A few classes of width say as much as the eye reads.
    rank = np.minimum((share * _WIDTHS).astype(int), _WIDTHS - 1)
    for k in range(_WIDTHS):
        shut = np.flatnonzero(state.closed & (rank == k)).tolist()
        for over, colour in ((False, "@line"), (True, "@broken")):
            chosen = [e for e in shut if (e in broken) == over]
            layers += frame.ways(chosen, colour, (1.1 + 5.0 * (k + 0.5) / _WIDTHS) * frame.fine, hover=texts)
    loose = set(np.flatnonzero(~state.closed).tolist())
    for colour, which in (
        ("@opens", loose & scene.opened),
        ("@closes", loose & scene.closed),
        ("@loose", loose - scene.opened - scene.closed),
    ):
        layers += frame.ways(sorted(which), colour, 1.4, dash=OPEN, hover=texts)
    return layers


def _branch_text(scene: Scene, state: State, e: int) -> str:
    a, b = scene.ends[e]
    change = " (opens)" if e in scene.opened else " (closes)" if e in scene.closed else ""
    rows = [
        f"branch {shorten(scene.branch_names[e], 40)}{change}",
        f"{shorten(scene.bus_names[a], 40)} – {shorten(scene.bus_names[b], 40)}",
    ]
    if not state.closed[e]:
        return "\n".join([*rows, "open"])
    limit = f" of {figures(scene.i_max[e])} A" if np.isfinite(scene.i_max[e]) else ""
    for value, unit, what in (
        (state.i[e], f"A{limit}", "current"),
        (state.loading[e], "%", "loading"),
        (state.p[e], "kW", "power"),
        (state.q[e], "kvar", "reactive"),
        (state.loss[e], "kW", "loss"),
    ):
        if np.isfinite(value):
            rows.append(f"{what} {figures(value)} {unit}")
    return "\n".join(rows)


def _bus_layers(scene: Scene, state: State, frame: GridFrame, loads: Loads, broken: set[int]) -> list[Layer]:
    layers = rings(frame, sorted(broken), round(17 * frame.fine, 1), round(2 * frame.fine, 1))
    colours = _shades(scene, state)
    size = round(9 * frame.fine, 1)
    sources = set(scene.sources)
    shapes: tuple[tuple[list[int], Shape, int], ...] = (
        ([i for i in range(len(colours)) if i not in sources], "circle", 0),
        (sorted(sources), "square", 5),
    )
    for buses, shape, larger in shapes:
        if buses:
            hovers = tuple(_bus_text(scene, state, loads, i) for i in buses)
            layers.append(
                Dots(
                    *frame.places(buses),
                    round(size + larger * frame.fine, 1),
                    at(colours, buses),
                    shape,
                    edge="@ink",
                    width=round(frame.fine, 1),
                    hover=hovers,
                )
            )
    return layers


def _shades(scene: Scene, state: State) -> list[str]:
    """The colour of every bus by its voltage."""
    lo, hi = scene.v_range
    colours = mpl.colormaps[style.COLOURS]
    scale = [to_hex(colours(k / (_SHADES - 1))) for k in range(_SHADES)]
    share = np.clip((np.nan_to_num(state.v, nan=lo) - lo) / (hi - lo), 0.0, 1.0)
    rank = np.round(share * (_SHADES - 1)).astype(int)
    return [scale[k] if known else "@unknown" for k, known in zip(rank, np.isfinite(state.v), strict=True)]


def _bus_text(scene: Scene, state: State, loads: Loads, i: int) -> str:
    rows = [f"bus {shorten(scene.bus_names[i], 40)}" + (" (source)" if i in scene.sources else "")]
    rows.append(f"{scene.voltage_word} {state.v[i]:.5f} pu" if np.isfinite(state.v[i]) else "voltage unknown")
    limits = [f"{v:g}" if np.isfinite(v) else "…" for v in (scene.v_min[i], scene.v_max[i])]
    if limits != ["…", "…"]:
        rows.append(f"limits {limits[0]} – {limits[1]} pu")
    if i in loads:
        rows.append(f"load {figures(loads[i][0])} kW, {figures(loads[i][1])} kvar")
    return "\n".join(rows)


def _symbols(scene: Scene, state: State, frame: GridFrame, texts: list[str]) -> list[Layer]:
    """Open points and changed branches with their names."""
    shown = sorted(set(np.flatnonzero(~state.closed).tolist()) | scene.opened | scene.closed)
    if not shown:
        return []
    # What changes is named before what stays open.
    shown.sort(key=lambda e: e not in scene.opened | scene.closed)
    colours = ["@opens" if e in scene.opened else "@closes" if e in scene.closed else "@soft" for e in shown]
    size = round(12.0 * max(frame.fine, 0.5), 1)
    spots = frame.marks(shown)
    fills = tuple(c if state.closed[e] else "@paper" for e, c in zip(shown, colours, strict=True))
    width = tuple(round((2.5 if c != "@soft" else 1.6) * max(frame.fine, 0.5), 1) for c in colours)
    dots = Dots(*frame.spots(spots), size, fills, edge=tuple(colours), width=width, hover=at(texts, shown))
    return [dots, *frame.named(spots, [scene.branch_names[e] for e in shown], colours, size)]
