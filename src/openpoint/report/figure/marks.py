"""Names of buses and marks of branches on a Matplotlib picture of a grid, placed so that all can be read."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from openpoint.arrays import Floats
from openpoint.report.figure import style
from openpoint.report.figure.panels import Plan
from openpoint.report.layout.labels import (
    COMPASS,
    NAMED_BUSES,
    name_boxes,
    names_that_fit,
    pieces,
    place_labels,
    shorten,
    symbol_spots,
)
from openpoint.report.layout.place import Layout

# Behind names, so that lines do not run through them. An outline around the letters would turn text in SVG to paths.
VEIL: dict[str, Any] = {"boxstyle": "square,pad=0.02", "fc": "white", "ec": "none", "alpha": 0.75}
_LETTER = 0.057  # inches


SWITCHED: dict[str, dict[str, Any]] = {
    "close": {"marker": "o", "ms": 6.5, "mfc": style.CLOSES, "mec": style.CLOSES, "mew": 1.4},
    "open": {"marker": "o", "ms": 6.5, "mfc": "white", "mec": style.OPENS, "mew": 1.6},
}
"""How a branch is marked that is to be closed or opened."""


@dataclass(frozen=True)
class BusName:
    """What stands at the upper right of a bus; `away` in points."""

    text: str
    colour: str = style.INK
    bold: bool = False
    away: tuple[float, float] = (3.2, 4.0)


def draw_bus_names(
    axes: Axes, layout: Layout, names: Sequence[BusName], first: Iterable[int], plan: Plan, dot: float
) -> Floats:
    """Names that fit, those of the buses `first` before others; the boxes (k, 4) they and the buses take, in inches."""
    xy = layout.xy * np.array(plan.scale)
    boxes = name_boxes([name.text for name in names], xy, 0.045, _LETTER, 0.09)
    boxes[:, 2] = boxes[:, 0] + _LETTER * np.array([len(name.text) for name in names])
    wanted = dict.fromkeys(first)
    if len(xy) <= NAMED_BUSES:
        wanted |= dict.fromkeys(range(len(xy)))
    named = names_that_fit(boxes, xy, wanted, dot / 144)
    for bus in named:
        name = names[bus]
        axes.annotate(
            name.text,
            layout.xy[bus],
            xytext=name.away,
            textcoords="offset points",
            fontsize=6.6,
            color=name.colour,
            weight="bold" if name.bold else "normal",
            parse_math=False,
            bbox=VEIL,
            zorder=3,
        )
    return np.concatenate([np.column_stack([xy - 0.05, xy + 0.05]), boxes[named]])


@dataclass(frozen=True)
class Mark:
    """A symbol with a name beside it: its place in units of the layout, its look for `Axes.plot`, its name."""

    at: Floats
    look: Mapping[str, Any]
    text: str
    gap: bool = False
    colour: str | None = None

    @property
    def ink(self) -> str:
        """Colour of the name: that of the edge, unless another is given."""
        return self.colour or str(self.look["mec"])

    @property
    def bold(self) -> bool:
        """Whether the name stands out."""
        return self.ink != style.SOFT


def branch_marks(
    layout: Layout, names: Sequence[str], looks: Mapping[int, Mapping[str, Any]], gaps: Container[int], plan: Plan
) -> list[Mark]:
    """A mark for every branch of `looks`, where there is room along its way; those of `gaps` are open there."""
    spots = symbol_spots(layout, looks, plan.scale)
    return [Mark(spots[e], look, shorten(names[e], 18), gap=e in gaps) for e, look in looks.items()]


def draw_marks(axes: Axes, layout: Layout, marks: Sequence[Mark], plan: Plan, taken: Floats) -> None:
    """The marks, and their names where they hide least; `taken`: boxes (k, 4) in inches that stay free."""
    if not marks:
        return
    anchors = np.array([mark.at for mark in marks]) * np.array(plan.scale)
    sizes = np.array([[(0.07 if mark.bold else 0.062) * len(mark.text) + 0.05, 0.12] for mark in marks])
    sides = place_labels(anchors, sizes, taken, pieces(layout.ways, plan.scale), (plan.left, plan.right))
    for mark, side in zip(marks, sides, strict=True):
        (x, y), size = mark.at, mark.look["ms"]
        if mark.gap:
            # A white disc a bit larger than the mark makes the gap in the branch.
            axes.plot([x], [y], "o", ms=size + 3.0, mfc="white", mec="none", zorder=5)
        axes.plot([x], [y], **{"zorder": 5.5, **mark.look})
        dx, dy = COMPASS[side]
        axes.annotate(
            mark.text,
            (x, y),
            xytext=(dx * (size / 2 + 1.6), dy * (size / 2 + 1.2)),
            textcoords="offset points",
            ha={1: "left", 0: "center", -1: "right"}[dx],
            va={1: "bottom", 0: "center", -1: "top"}[dy],
            fontsize=7.2,
            weight="bold" if mark.bold else "normal",
            color=mark.ink,
            parse_math=False,
            bbox=VEIL,
            zorder=7,
        )
