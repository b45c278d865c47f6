"""The grid as a picture: the frame that all pictures of a grid share, and its states today and with an answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from openpoint.arrays import Floats
from openpoint.report.drawing import (
    Axis,
    Chart,
    Dots,
    Layer,
    Lines,
    Panel,
    Scale,
    Shape,
    Sheet,
    Sign,
    Words,
    at,
    colours_of,
    flat,
)
from openpoint.report.layout.place import Layout, crowding, shorten, symbol_spots
from openpoint.report.numerals import figures, number
from openpoint.report.scene import Scene, State, scene_of
from openpoint.results.base import count_words

SOURCE = Sign("source", "square", "@paper", "@ink", width=1.5)
OPEN_POINT = Sign("open point", "circle", "@paper", "@soft", 8.0, line="@loose", dash=(4.0, 3.0))
OPENS = Sign("opens", "circle", "@paper", "@opens")
CLOSES = Sign("closes", "circle", "@closes", "@closes")

_PIXELS = 96.0  # of an inch
_APART = 17.0  # pixels between neighbours at which symbols have their full size
_FINE = 1e-4  # share of the picture below which places are rounded
OPEN: tuple[float, ...] = (5.0, 4.0)
"""Dashes of a branch that is open."""


@dataclass(frozen=True)
class GridFrame:
    """The frame of pictures of one layout: inches of a unit of x and y, height in pixels, room at the sides."""

    layout: Layout
    scale: tuple[float, float]
    height: float
    pads: tuple[float, float]

    @cached_property
    def digits(self) -> int:
        """Decimals of a place that make a visible difference."""
        x0, x1, y0, y1 = self.layout.extent
        return max(0, math.ceil(-math.log10(max(x1 - x0, y1 - y0, 1e-6) * _FINE)))

    @cached_property
    def fine(self) -> float:
        """Factor on the size of what is drawn, so that neighbours stay apart; 1 where there is room."""
        return float(np.clip(crowding(self.layout.xy * np.array(self.scale)) * _PIXELS / _APART, 0.3, 1.0))

    def chart(self, layers: Iterable[Layer]) -> Chart:
        """A picture of these layers."""
        x0, x1, y0, y1 = self.layout.extent
        (sx, sy), (pad_x, pad_y) = self.scale, self.pads
        return Chart(
            height=round(self.height),
            x=Axis(x0 - pad_x, x1 + pad_x),
            y=Axis(y0 - pad_y, y1 + pad_y),
            layers=tuple(layers),
            unit=(float(f"{sx * _PIXELS:.4g}"), float(f"{sy * _PIXELS:.4g}")),
            equal=self.layout.is_map,
        )

    def ways(
        self,
        chosen: Sequence[int],
        colour: str,
        width: float,
        *,
        dash: tuple[float, ...] = (),
        opacity: float = 1.0,
        hover: Sequence[str] = (),
    ) -> list[Lines]:
        """The branches `chosen` as lines of one look, none where there are none; `hover`: a text for every branch."""
        if not len(chosen):
            return []
        ways = [flat(self.layout.ways[e], self.digits) for e in chosen]
        hovers = at(hover, chosen) if hover else ()
        return [Lines(ways, colour, round(width, 2), dash=dash, opacity=opacity, hover=hovers)]

    def places(self, chosen: Sequence[int]) -> tuple[list[float | None], list[float | None]]:
        """x and y of the buses `chosen`."""
        return self.spots(self.layout.xy[list(chosen)])

    def spots(self, where: Floats) -> tuple[list[float | None], list[float | None]]:
        """x and y of places (k, 2)."""
        x, y = (np.round(where.reshape(-1, 2)[:, k], self.digits).tolist() for k in (0, 1))
        return x, y

    def marks(self, branches: Sequence[int]) -> Floats:
        """(k, 2) where the marks of branches go."""
        spots = symbol_spots(self.layout, branches, self.scale)
        return np.array([spots[e] for e in branches]).reshape(-1, 2)

    def named(
        self, where: Floats, names: Sequence[str], colours: Sequence[str], gap: float, *, bold: bool = False
    ) -> list[Layer]:
        """Names beside places (k, 2), which are `gap` wide."""
        if not len(names):
            return []
        texts = tuple(shorten(name, 18) for name in names)
        return [Words(*self.spots(where), texts, tuple(colours), size=12.0, gap=gap, bold=bold)]

    def bus_names(self, texts: Sequence[str], colours: str | Sequence[str], first: Sequence[int] = ()) -> list[Layer]:
        """Names of all buses, those of `first` before the others."""
        order = [*first, *sorted(set(range(len(texts))) - set(first))]
        inks = colours if isinstance(colours, str) else at(colours, order)
        return [Words(*self.places(order), at(texts, order), inks, size=10.0, gap=9.0, names=True)]


def rings(frame: GridFrame, buses: Sequence[int], size: float, width: float | tuple[float, ...] = 2.0) -> list[Layer]:
    """Rings around buses, none where there are none."""
    if not len(buses):
        return []
    return [Dots(*frame.places(buses), size, "@broken", "ring", edge="@broken", width=width)]


def is_wide(layout: Layout) -> bool:
    """Whether a panel is so wide that it takes a row of its own."""
    x0, x1, y0, y1 = layout.extent
    if layout.is_map:
        return x1 - x0 > 1.6 * (y1 - y0)
    return x1 - x0 + 1 >= 1.75 * (y1 - y0 + 1)


def grid_frame(layout: Layout, highest: float) -> GridFrame:
    """The frame of pictures of a layout; `highest`: pixels of a map."""
    x0, x1, y0, y1 = layout.extent
    width = 1180.0 if is_wide(layout) else 590.0
    if layout.is_map:
        height = float(np.clip(width * (y1 - y0) / max(x1 - x0, 1e-9), 300, highest))
        pad_x, pad_y = 0.08 * max(x1 - x0, 1e-9), 0.08 * max(y1 - y0, 1e-9)
    else:
        height = float(np.clip((y1 - y0) * (40 + 16 * is_wide(layout)) + 110, 260, 1400))
        pad_x, pad_y = 0.6, 0.75
    scale = (
        (width - 20) / _PIXELS / (x1 - x0 + 2 * pad_x or 1.0),
        (height - 34) / _PIXELS / (y1 - y0 + 2 * pad_y or 1.0),
    )
    if layout.is_map:
        scale = (min(scale), min(scale))
    return GridFrame(layout, scale, height, (pad_x, pad_y))


_WIDTHS = 6
_SHADES = 64
Loads = dict[int, tuple[float, float]]
"""kW and kvar by bus number."""


def grid_sheet(scene: Scene, title: str, *, extremes: str = "") -> Sheet:
    """The picture of all states; `extremes`: what colours a bus where a state stands for several demands."""
    loads: Loads = {}
    number_of = {name: i for i, name in enumerate(scene.bus_names)}
    # Where a state stands for several demands, a bus has no load of its own.
    for bus, p, q in () if extremes else scene.grid.loads.select("bus", "p_kw", "q_kvar").iter_rows():
        have = loads.get(number_of[bus], (0.0, 0.0))
        loads[number_of[bus]] = (have[0] + p, have[1] + q)
    shown = []
    for key, state in scene.states.items():
        loss = f", loss {number(state.loss_kw)} kW" if state.loss_kw is not None else ""
        n = int((~state.closed).sum())
        text = f"{extremes}{loss}." if extremes else f"voltage, {n} open branches{loss}. Tables below."
        text = f"{state.title}: {len(scene.bus_names)} buses coloured by {text}"
        shown.append(Panel(f"grid-{key}", grid_chart(scene, state, loads), f"{state.title}{loss}", text))
    known = any(np.isfinite(state.v).any() for state in scene.states.values())
    scale = Scale(scene.voltage_word, *scene.v_range, "pu", tuple(colours_of("viridis", 11))) if known else None
    turns = tuple(state.title for state in scene.states.values())
    return Sheet(title, tuple(shown), tuple(_signs(scene)), scale, turns=turns if len(turns) > 1 else ())


def grids_sheet(build: Callable[[Any], Scene], results: Mapping[str, Any], *, extremes: str = "") -> Sheet:
    """The topologies of several results of one grid beside each other, today's of the first before them."""
    scenes = {name: build(each) for name, each in results.items()}
    first = next(iter(scenes.values()))
    states = {"before": first.states["before"]}
    for name, scene in scenes.items():
        later = [state for key, state in scene.states.items() if key != "before"]
        states |= {f"after-{len(states) + k}": replace(each, title=f"{name}: {each.title[0].lower()}{each.title[1:]}")
                   for k, each in enumerate(later)}  # fmt: skip
    limits = first.v_min, first.v_max, first.i_max
    scene = scene_of(first.grid, first.branch_names, states, limits, feasible=all(s.feasible for s in scenes.values()))
    return grid_sheet(scene, f"topologies of {count_words(len(results), 'case')}", extremes=extremes)


def _signs(scene: Scene) -> list[Sign]:
    """Symbols in words, the same for all states."""
    signs = [SOURCE, OPEN_POINT, *[OPENS] * bool(scene.opened), *[CLOSES] * bool(scene.closed)]
    if any(state.violations for state in scene.states.values()):
        signs.append(Sign("limit broken", "ring", "", "@broken", 14.0))
    if all(not scene.stress(state).any() for state in scene.states.values()):
        return signs  # no currents are known
    unit = "%" if scene.rated else "A"
    return [*signs, Sign(f"{figures(scene.stress_max, 3)} {unit}", line="@line", thick=5.6)]


def grid_chart(scene: Scene, state: State, loads: Loads) -> Chart:
    """One state of the grid; hovering a bus or a branch shows its figures."""
    frame = grid_frame(scene.layout, 760)
    at_bus, at_branch = scene.violated(state)
    marks = dict.fromkeys(scene.opens(state), " (opens)") | dict.fromkeys(scene.closes(state), " (closes)")
    texts = [_branch_text(scene, state, e, marks.get(e, "")) for e in range(len(scene.branch_names))]
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
    opens, closes = scene.opens(state), scene.closes(state)
    for changed, colour in ((opens, "@opens"), (closes, "@closes")):
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
        ("@opens", loose & opens),
        ("@closes", loose & closes),
        ("@loose", loose - opens - closes),
    ):
        layers += frame.ways(sorted(which), colour, 1.4, dash=OPEN, hover=texts)
    return layers


def _branch_text(scene: Scene, state: State, e: int, change: str) -> str:
    a, b = scene.ends[e]
    rows = [
        f"branch {shorten(scene.branch_names[e], 40)}{change}",
        f"{shorten(scene.bus_names[a], 40)} – {shorten(scene.bus_names[b], 40)}",
    ]
    if not state.closed[e]:
        return "\n".join([*rows, "open"])
    limit, share = scene.i_max[e], scene.loading_limit[e]
    for value, unit, what in (
        (state.i[e], f"A{f' of {figures(limit)} A' if np.isfinite(limit) else ''}", "current"),
        (state.loading[e], f"% of the rating{f', limit {figures(share)} %' if np.isfinite(share) else ''}", "loading"),
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
    scale = [colour for _, colour in colours_of("viridis", _SHADES)]
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
    opens, closes = scene.opens(state), scene.closes(state)
    shown = sorted(set(np.flatnonzero(~state.closed).tolist()) | opens | closes)
    if not shown:
        return []
    # What changes is named before what stays open.
    shown.sort(key=lambda e: e not in opens | closes)
    colours = ["@opens" if e in opens else "@closes" if e in closes else "@soft" for e in shown]
    size = round(12.0 * max(frame.fine, 0.5), 1)
    spots = frame.marks(shown)
    fills = tuple(c if state.closed[e] else "@paper" for e, c in zip(shown, colours, strict=True))
    width = tuple(round((2.5 if c != "@soft" else 1.6) * max(frame.fine, 0.5), 1) for c in colours)
    dots = Dots(*frame.spots(spots), size, fills, edge=tuple(colours), width=width, hover=at(texts, shown))
    return [dots, *frame.named(spots, [scene.branch_names[e] for e in shown], colours, size)]
