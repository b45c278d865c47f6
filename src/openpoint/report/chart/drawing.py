"""What a chart of the HTML report is made of: plain data that `chart.js` draws.

Lengths are pixels, colours `#rrggbb` or a name of the style sheet (`@line`). A text is shown letter by letter, whatever
markup it holds; in a text that hovering shows, each line stands for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Literal, TypeVar, get_args

import numpy as np

from openpoint.arrays import Floats, Ints

Shape = Literal["circle", "ring", "square", "crossed", "diamond", "cross", "plus"]
SHAPES: tuple[Shape, ...] = get_args(Shape)
Places = list[float | None]
T = TypeVar("T")


@dataclass(frozen=True)
class Lines:
    """Ways of one look, below all dots.

    Attributes:
        ways: x, y, x, y … of each way.
        colour, width: of all. dash: drawn and left out in turn; none = solid. opacity: of all.
        name: what the legend calls it; one name switches all layers that have it, none = not in the legend.
        hover: a text for each way, or none.
    """

    ways: list[list[float]]
    colour: str
    width: float
    dash: tuple[float, ...] = ()
    opacity: float = 1.0
    name: str = ""
    hover: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dots:
    """Symbols; what is one value is that of all.

    Attributes:
        x, y: places. size: diameters; 0 is not drawn, but has its text. shape, fill: of the symbols.
        edge, width: colour and width of their outlines. name: as of lines. hover: a text for each, or none.
    """

    x: Places
    y: Places
    size: float | tuple[float, ...]
    fill: str | tuple[str, ...]
    shape: Shape | tuple[Shape, ...] = "circle"
    edge: str | tuple[str, ...] = ""
    width: float | tuple[float, ...] = 0.0
    name: str = ""
    hover: tuple[str, ...] = ()


@dataclass(frozen=True)
class Words:
    """Names beside places, each drawn where it hides nothing that was drawn before, or not at all.

    Attributes:
        x, y: places. text: of each. colour: of each or of all. size: of the letters. bold: whether they are.
        gap: between a place and its name, the size of what is drawn there. centred: on the place, whatever is there.
        names: whether they are the names of buses, which the reader may switch off.
    """

    x: Places
    y: Places
    text: tuple[str, ...]
    colour: str | tuple[str, ...]
    size: float = 11.0
    bold: bool = False
    gap: float = 5.0
    centred: bool = False
    names: bool = False


@dataclass(frozen=True)
class Axis:
    """An axis: lowest and highest value, title, and ticks (value, text) where numbers do not say enough."""

    low: float
    high: float
    title: str = ""
    ticks: tuple[tuple[float, str], ...] = ()
    percent: bool = False


@dataclass(frozen=True)
class Rule:
    """A limit: a dashed line across the chart at a value of `axis`, with a text."""

    axis: Literal["x", "y"]
    at: float
    text: str = ""
    colour: str = "@broken"


Layer = Lines | Dots | Words


@dataclass(frozen=True)
class Chart:
    """A chart. A picture of a grid has no axes but a `unit`: pixels of a unit of x and of y in its usual size."""

    height: int
    x: Axis
    y: Axis
    layers: tuple[Layer, ...]
    rules: tuple[Rule, ...] = ()
    unit: tuple[float, float] | None = None
    equal: bool = False


def as_data(part: Chart | Axis | Rule | Layer) -> dict[str, object]:
    """What JSON holds of a chart; attributes that are left at their default are left out."""
    found: dict[str, object] = {"kind": type(part).__name__.lower()}
    for field in fields(part):
        value = getattr(part, field.name)
        if field.default is not MISSING and value == field.default:
            continue
        found[field.name] = value
        if isinstance(value, Chart | Axis | Rule | Layer):
            found[field.name] = as_data(value)
        elif field.name in ("layers", "rules"):
            found[field.name] = [as_data(each) for each in value]
    return found


def numbers(values: Floats) -> Places:
    """Numbers with as many digits as a picture needs; what is not finite becomes null."""
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in values]


def flat(way: Floats, digits: int = 6) -> list[float]:
    """The points (k, 2) of a way as x, y, x, y …, rounded to so many decimals."""
    rounded: list[float] = np.round(way.ravel(), digits).tolist()
    return rounded


def curve(x: Floats, y: Floats) -> list[list[float]]:
    """The line through points in their order, in pieces where some are not finite."""
    known = np.isfinite(x) & np.isfinite(y)
    pieces = np.split(np.column_stack([x, y]), np.flatnonzero(~known))
    kept = [piece[np.isfinite(piece).all(axis=1)] for piece in pieces]
    return [[float(f"{v:.6g}") for v in piece.ravel()] for piece in kept if len(piece) > 1]


def steps(x: Floats, y: Floats) -> list[list[float]]:
    """The same as stairs: each value holds until the next."""
    return curve(np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1])


def at(values: Sequence[T], chosen: Sequence[int] | Ints) -> tuple[T, ...]:
    """The values at these numbers."""
    return tuple(values[k] for k in chosen)


def span(values: Floats, *, from_zero: bool = False, share: float = 0.05) -> tuple[float, float]:
    """Lowest and highest of the finite values, with some room; `from_zero` begins at zero."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    room = share * (high - low) or 0.05 * abs(high) or 1.0
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
        room = share * (high - low) or 1.0
        return (low - room if low < 0.0 else 0.0), (high + room if high > 0.0 else 0.0)
    return low - room, high + room
