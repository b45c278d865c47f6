"""What all pictures of a grid in the HTML report share: their frame, ways of branches, marks and names of buses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from openpoint.arrays import Floats
from openpoint.report.chart.drawing import Axis, Chart, Dots, Layer, Lines, Words, at, flat
from openpoint.report.figure.style import BROKEN, CLOSES, HARDENED, OPENS, SOFT
from openpoint.report.layout.labels import crowding, shorten, symbol_spots
from openpoint.report.layout.place import Layout

_PIXELS = 96.0  # of an inch
_APART = 17.0  # pixels between neighbours at which symbols have their full size
_FINE = 1e-4  # share of the picture below which places are rounded
OPEN: tuple[float, ...] = (5.0, 4.0)
"""Dashes of a branch that is open."""
NAMED = {BROKEN: "@broken", CLOSES: "@closes", OPENS: "@opens", SOFT: "@soft", HARDENED: "@hardened"}
"""Names by which the page calls these colours; it has its own shades of them, for light and dark."""


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
