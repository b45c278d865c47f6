"""Pictures of a hardening: the grid after the disasters that weigh most, and the bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from openpoint.errors import OptionError
from openpoint.report.charts import convergence_sheet
from openpoint.report.drawing import Chart, Dots, Layer, Panel, Shape, Sheet, Sign, at
from openpoint.report.grids import CLOSES, OPEN, OPEN_POINT, OPENS, GridFrame, grid_frame, rings
from openpoint.report.layout.labels import shorten
from openpoint.report.numerals import figures, usd
from openpoint.studies.harden.result import HardenResult
from openpoint.studies.harden.scene import SHED_KW, After, HardenScene, build_harden_scene

PANELS = 6
"""Disasters in one picture."""
_BROKEN = Sign("broken", "cross", "", "@broken", 10.0, 3.0, line="@broken", thick=1.6, dash=(2.0, 3.0))
_HARDENED = Sign("hardened", "plus", "@hardened", "@hardened", 12.0, 3.0)
_SIGNS = {"close": CLOSES, "open": OPENS}


def after_sheet(result: HardenResult, scene: HardenScene, most: int) -> Sheet:
    """The grid after so many of the disasters that weigh most.

    Raises:
        OptionError: no plan was found.
    """
    if not scene.after:
        raise OptionError("No plan was found, so there is no grid after a disaster to draw")
    shown = []
    for k, after in enumerate(scene.after[:most]):
        text = f"{after.headline}; {int(after.broken.sum())} branches broken. The tables below hold all numbers."
        caption = f"{after.headline}, {usd(after.cost_usd)}"
        shown.append(Panel(f"grid-{k}", after_chart(scene, after), caption, text))
    note = "A colour is an island; the wider a line, the more power it carries; a hollow generator stands still."
    if (left := len(scene.after) - most) > 0:
        note += f" {left} more disasters that weigh less are not drawn."
    return Sheet(headline(result), tuple(shown), _signs(scene), note=note)


def _signs(scene: HardenScene) -> tuple[Sign, ...]:
    """Symbols in words."""
    fed, island = scene.island_colour(1), scene.island_colour(len(scene.sources) + 1)
    signs = [Sign("substation", "square", fed, "@ink", width=1.2)]
    if scene.generators:
        signs.append(Sign("backup generator", "diamond", island, "@ink", 14.0, 1.2))
    if scene.hardened:
        signs.append(_HARDENED)
    signs += [_BROKEN, CLOSES, OPENS, OPEN_POINT, Sign("load shed", "ring", "", "@broken", 12.0)]
    signs.append(Sign("without supply", "circle", "@paper", "@dead"))
    return tuple(signs)


def headline(result: HardenResult) -> str:
    """What is bought and what it costs, in one line."""
    title = result.title
    if result.cost_usd is None:
        return f"{title}: no plan found"
    lines, units = len(result.hardened_branches), len(result.generators)
    bought = f"{lines} hardened line{'s' * (lines != 1)}, {units} backup generator{'s' * (units != 1)}"
    return f"{title}: {bought}, cost ${result.cost_usd:,.2f}"


_WIDTHS = 5


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
    for isle in sorted(set(island.tolist())):
        for k in range(_WIDTHS):
            chosen = np.flatnonzero(after.closed & (rank == k) & (island == isle)).tolist()
            layers += frame.ways(chosen, scene.island_colour(isle), 1.4 + 4.6 * (k + 0.5) / _WIDTHS, hover=texts)
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
    signs = [symbol(after, e, hardened=e in scene.hardened) for e in shown]
    colours = tuple(sign.edge for sign in signs)
    spots = frame.marks(shown)
    dots = Dots(
        *frame.spots(spots),
        tuple(sign.size for sign in signs),
        tuple(sign.fill for sign in signs),
        tuple(sign.shape or "circle" for sign in signs),
        edge=colours,
        width=tuple(sign.width for sign in signs),
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


def symbol(after: After, e: int, *, hardened: bool) -> Sign:
    """How a branch is marked."""
    if after.broken[e]:
        return _BROKEN
    if after.switching[e]:
        return _SIGNS[after.switching[e]]
    return _HARDENED if hardened and after.closed[e] else OPEN_POINT


PICTURES: Mapping[str, Callable[[HardenResult], Sheet]] = {
    "grid": lambda result: after_sheet(result, build_harden_scene(result), PANELS),
    "convergence": convergence_sheet,
}
"""The grid after the disasters that weigh most, the bounds over time."""
