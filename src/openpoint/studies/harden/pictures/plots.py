"""The grid after a disaster, as a chart of the HTML report."""

from __future__ import annotations

import numpy as np

from openpoint.report.chart.drawing import Chart, Dots, Layer, Shape, at
from openpoint.report.chart.frame import NAMED, OPEN, GridFrame, grid_frame, rings
from openpoint.report.layout.labels import shorten
from openpoint.report.numerals import figures
from openpoint.studies.harden.pictures.figures import symbol
from openpoint.studies.harden.pictures.scene import SHED_KW, After, HardenScene

_WIDTHS = 5
_SHAPES: dict[str, Shape] = {"x": "cross", "P": "plus", "o": "circle"}


def after_chart(scene: HardenScene, after: After) -> Chart:
    """The grid after one disaster; hovering a bus or a branch shows its figures."""
    frame = grid_frame(scene.layout, 620)
    texts = [_branch_text(scene, after, e) for e in range(len(scene.branch_names))]
    shed = np.flatnonzero(after.shed > SHED_KW).tolist()
    first = list(dict.fromkeys([*scene.generators, *scene.sources, *sorted(shed, key=lambda n: -after.shed[n])]))
    return frame.chart(
        [
            *_lines(scene, after, frame, texts),
            *_buses(scene, after, frame, shed),
            *_symbols(scene, after, frame, texts),
            *frame.bus_names(_texts(scene, after), _inks(after), first),
        ]
    )


def _lines(scene: HardenScene, after: After, frame: GridFrame, texts: list[str]) -> list[Layer]:
    layers: list[Layer] = [*frame.ways(sorted(scene.hardened), "@hardened", 13, opacity=0.35)]
    island = np.array([int(max(after.island[a], after.island[b])) for a, b in scene.ends])
    share = np.nan_to_num(np.abs(after.p)) / scene.p_max
    rank = np.minimum((share * _WIDTHS).astype(int), _WIDTHS - 1)
    for number in sorted(set(island.tolist())):
        for k in range(_WIDTHS):
            chosen = np.flatnonzero(after.closed & (rank == k) & (island == number)).tolist()
            layers += frame.ways(chosen, scene.island_colour(number), 1.4 + 4.6 * (k + 0.5) / _WIDTHS, hover=texts)
    loose = np.flatnonzero(~after.closed & ~after.broken).tolist()
    layers += frame.ways(loose, "@loose", 1.6, dash=OPEN, hover=texts)
    return layers + frame.ways(np.flatnonzero(after.broken).tolist(), "@broken", 1.6, dash=(2.0, 3.0), hover=texts)


def _branch_text(scene: HardenScene, after: After, e: int) -> str:
    a, b = scene.ends[e]
    state = "broken" if after.broken[e] else "closed" if after.closed[e] else "open"
    todo = {"close": ", to be closed", "open": ", to be opened", "": ""}[after.switching[e]]
    rows = [
        f"branch {shorten(scene.branch_names[e], 40)}",
        f"{shorten(scene.bus_names[a], 40)} – {shorten(scene.bus_names[b], 40)}",
        state + todo + (", hardened" if e in scene.hardened else ""),
    ]
    if after.closed[e]:
        for value, unit, what in (
            (after.p[e], "kW", "power"),
            (after.q[e], "kvar", "reactive"),
            (after.i[e], "A", "current"),
            (after.loading[e], "%", "loading"),
        ):
            if np.isfinite(value):
                rows.append(f"{what} {figures(value)} {unit}")
    return "\n".join(rows)


def _buses(scene: HardenScene, after: After, frame: GridFrame, shed: list[int]) -> list[Layer]:
    n = len(scene.bus_names)
    units = {unit.bus: unit for unit in after.units}
    size = 7 if n > 60 else 10
    share = [min(1.0, after.shed[i] / max(after.load[i], 1e-9)) for i in shed]
    layers = rings(frame, shed, size + 9, tuple(round(1.0 + 1.8 * s, 2) for s in share))
    shapes: tuple[tuple[str, Shape, int], ...] = (("source", "square", 5), ("unit", "diamond", 5), ("bus", "circle", 0))
    for kind, shape, larger in shapes:
        buses = [i for i in range(n) if kind == ("source" if i in scene.sources else "unit" if i in units else "bus")]
        if not buses:
            continue
        colours = [scene.island_colour(int(after.island[i])) for i in buses]
        idle = [after.island[i] == 0 or (i in units and not units[i].runs) for i in buses]
        layers.append(
            Dots(
                *frame.places(buses),
                size + larger,
                tuple("@paper" if empty else colour for colour, empty in zip(colours, idle, strict=True)),
                shape,
                edge=tuple(c if empty else "@ink" for c, empty in zip(colours, idle, strict=True)),
                width=1.4,
                hover=tuple(_bus_text(scene, after, i) for i in buses),
            )
        )
    return layers


def _bus_text(scene: HardenScene, after: After, i: int) -> str:
    source = " (substation)" if i in scene.sources else ""
    rows = [f"bus {shorten(scene.bus_names[i], 40)}{source}"]
    rows.append(f"island {after.island[i]}" if after.island[i] else "without supply")
    if np.isfinite(after.v[i]):
        rows.append(f"voltage {after.v[i]:.5f} pu")
    if after.load[i] > 0.0:
        rows.append(f"load {figures(after.load[i])} kW")
    if after.shed[i] > SHED_KW:
        rows.append(f"shed {figures(after.shed[i])} kW")
    for unit in after.units:
        if unit.bus == i:
            how = "forms the island" if unit.forms_grid else "follows the grid" if unit.runs else "stands still"
            rows.append(f"backup generator {how}: {figures(unit.p_kw)} kW, {figures(unit.q_kvar)} kvar")
    return "\n".join(rows)


def _symbols(scene: HardenScene, after: After, frame: GridFrame, texts: list[str]) -> list[Layer]:
    """Crosses on what is broken, circles on what is switched or open, with their names."""
    shown = sorted(set(np.flatnonzero(~after.closed).tolist()) | set(after.switched) | scene.hardened)
    if not shown:
        return []
    shown.sort(key=lambda e: not (after.broken[e] or e in after.switched))
    looks = [symbol(after, e, hardened=e in scene.hardened) for e in shown]
    colours = tuple(NAMED[look["mec"]] for look in looks)
    spots = frame.marks(shown)
    dots = Dots(
        *frame.spots(spots),
        tuple(10 if look["marker"] == "x" else 12 for look in looks),
        tuple("@paper" if look["mfc"] == "white" else c for look, c in zip(looks, colours, strict=True)),
        tuple(_SHAPES[look["marker"]] for look in looks),
        edge=colours,
        width=tuple(3.0 if look["marker"] == "x" else 2.0 for look in looks),
        hover=at(texts, shown),
    )
    return [dots, *frame.named(spots, [scene.branch_names[e] for e in shown], colours, 12.0)]


def _texts(scene: HardenScene, after: After) -> list[str]:
    """Names of the buses, with the load shed."""
    return [
        shorten(name) + (f" −{figures(after.shed[i], 3)} kW" if after.shed[i] > SHED_KW else "")
        for i, name in enumerate(scene.bus_names)
    ]


def _inks(after: After) -> list[str]:
    return ["@broken" if shed > SHED_KW else "@soft" for shed in after.shed]
