"""The display list: what every picture is made of, as plain data.

Two renderers draw it: `page/chart.js` on a canvas of the HTML report, and `figure.py` with Matplotlib into files.
Lengths are pixels, 96 of an inch; colours are `#rrggbb` or a name of `COLOURS` (`@line`). A text is shown letter by
letter, whatever markup it holds; in a text that hovering shows, each line stands for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Literal, TypeVar, get_args

import numpy as np

from openpoint.arrays import Floats, Ints

COLOURS: dict[str, tuple[str, str]] = {
    # Of the page: ground of a picture and of the page, letters, lines.
    "paper": ("#ffffff", "#1a2027"),
    "ground": ("#f4f6f8", "#12161b"),
    "ink": ("#1f2933", "#e6ebf0"),
    "soft": ("#52606d", "#a8b3bf"),
    "pale": ("#d9dfe5", "#3a444f"),
    "edge": ("#e3e8ed", "#2b343d"),
    "dark": ("#1f2933", "#1a2027"),
    # Of branches and states. Okabe and Ito's, told apart by colour-blind readers; what changes has a shape as well.
    "line": ("#56636f", "#a3b1bf"),
    "loose": ("#8793a0", "#74818f"),
    "opens": ("#c2410c", "#ff9257"),
    "closes": ("#0063a6", "#62b5ff"),
    "broken": ("#b3004b", "#ff6b9d"),
    "before": ("#7b8794", "#8d99a6"),
    "mean": ("#b25e00", "#f0a04b"),
    "after": ("#0063a6", "#62b5ff"),
    "hardened": ("#b8860b", "#e0b040"),
    "unknown": ("#e4e8ec", "#3a444f"),
    # Islands: those of substations are calm, the others vivid, and told apart in each kind of colour blindness.
    "dead": ("#aab4be", "#5c6873"),
    "feda": ("#52657a", "#8fa5bd"),
    "fedb": ("#8a7a5c", "#c0ad88"),
    "fedc": ("#7d6b91", "#b29fc8"),
    "fedd": ("#5c8a78", "#8fc0ad"),
    "islea": ("#009e73", "#2fd0a0"),
    "isleb": ("#8e44ad", "#cf96e6"),
    "islec": ("#e69f00", "#ffc04d"),
    "isled": ("#332288", "#9a92f0"),
    "islee": ("#7a3b12", "#c98a5e"),
    "islef": ("#d55e00", "#ff8a3d"),
    # Of banners.
    "good": ("#0b6b3a", "#6fd8a0"),
    "good-ground": ("#e5f4eb", "#14301f"),
    "warn": ("#7a4d00", "#f5c26b"),
    "warn-ground": ("#fdf1dc", "#332610"),
    "bad-ground": ("#fde7ef", "#3a1424"),
}
"""The colours that have a name: on a light and on a dark ground."""
FED = ("@feda", "@fedb", "@fedc", "@fedd")
ISLES = ("@islea", "@isleb", "@islec", "@isled", "@islee", "@islef")


def ink_on(colour: str) -> str:
    """The colour of letters that read best on one of `ISLES`."""
    return "@dark" if colour == "@islec" else "@paper"


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
class Areas:
    """Surfaces of one look, below all lines.

    Attributes:
        ways: x, y, x, y … along the outline of each. colour: it is filled with. opacity: of all.
        edge, width: colour and width of the outlines. name: as of lines.
    """

    ways: list[list[float]]
    colour: str
    opacity: float = 1.0
    edge: str = ""
    width: float = 0.0
    name: str = ""


@dataclass(frozen=True)
class Dots:
    """Symbols; what is one value is that of all.

    Attributes:
        x, y: places. size: diameters; 0 is not drawn, but has its text. shape, fill: of the symbols.
        edge, width: colour and width of their outlines. name: as of lines. hover: a text for each, or none.
        leads: the state of the grid that a page shows when one is clicked, by the key of each; or none.
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
    leads: tuple[str, ...] = ()


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
    """An axis: lowest and highest value, title, and ticks (value, text) where numbers do not say enough.

    Where texts are of periods, `between`, each stands between its tick and the next.
    """

    low: float
    high: float
    title: str = ""
    ticks: tuple[tuple[float, str], ...] = ()
    percent: bool = False
    between: bool = False


@dataclass(frozen=True)
class Rule:
    """A limit: a dashed line across the chart at a value of `axis`, with a text."""

    axis: Literal["x", "y"]
    at: float
    text: str = ""
    colour: str = "@broken"


Layer = Lines | Areas | Dots | Words


@dataclass(frozen=True)
class Chart:
    """A chart. A picture of a grid has no axes but a `unit`: pixels of a unit of x and of y in its usual size.

    Attributes:
        height: of the whole. x, y: the axes. layers, rules: what is drawn.
        equal: whether a unit of x is as long as one of y.
        room: for the texts at the y-axis at least, so that charts below each other have one x-axis.
    """

    height: int
    x: Axis
    y: Axis
    layers: tuple[Layer, ...]
    rules: tuple[Rule, ...] = ()
    unit: tuple[float, float] | None = None
    equal: bool = False
    room: int = 0


@dataclass(frozen=True)
class Panel:
    """A chart with the name of its place, its caption, and what it shows for those who cannot see it.

    `told` are lines of text that a page has below it.
    """

    identity: str
    chart: Chart
    caption: str
    description: str
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sign:
    """A symbol in words: a dot where it has a shape, on a line where that has a colour."""

    name: str
    shape: Shape | None = None
    fill: str = "@paper"
    edge: str = "@ink"
    size: float = 10.0
    width: float = 2.0
    line: str = ""
    thick: float = 1.4
    dash: tuple[float, ...] = ()


@dataclass(frozen=True)
class Scale:
    """The colours of a quantity from `low` to `high`: (share of the way, colour)."""

    title: str
    low: float
    high: float
    unit: str
    stops: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Sheet:
    """A picture: panels under a title, with the symbols in words.

    Attributes:
        title: of the file; on a page the heading above says it. panels: beside or below each other.
        signs, scale: of all panels. note: a sentence below. stacked: panels are rows along one x-axis.
        empty: it says only that there is nothing to draw.
        turns: names of the panels where these are states of one thing, which a page shows in one place.
    """

    title: str
    panels: tuple[Panel, ...]
    signs: tuple[Sign, ...] = ()
    scale: Scale | None = None
    note: str = ""
    stacked: bool = False
    empty: bool = False
    turns: tuple[str, ...] = ()


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
    return [float(f"{v:.9g}") if np.isfinite(v) else None for v in values]


def flat(way: Floats, digits: int = 6) -> list[float]:
    """The points (k, 2) of a way as x, y, x, y …, rounded to so many decimals."""
    rounded: list[float] = np.round(way.ravel(), digits).tolist()
    return rounded


def curve(x: Floats, y: Floats) -> list[list[float]]:
    """The line through points in their order, in pieces where some are not finite."""
    known = np.isfinite(x) & np.isfinite(y)
    pieces = np.split(np.column_stack([x, y]), np.flatnonzero(~known))
    kept = [piece[np.isfinite(piece).all(axis=1)] for piece in pieces]
    return [[float(f"{v:.9g}") for v in piece.ravel()] for piece in kept if len(piece) > 1]


def steps(x: Floats, y: Floats) -> list[list[float]]:
    """The same as stairs: each value holds until the next."""
    return curve(np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1])


def at(values: Sequence[T], chosen: Sequence[int] | Ints) -> tuple[T, ...]:
    """The values at these numbers."""
    return tuple(values[k] for k in chosen)


def colours_of(name: str, count: int) -> list[tuple[float, str]]:
    """A colour map of Matplotlib in so many steps, as a scale has them."""
    from matplotlib import colormaps  # takes longer than all that a terminal shows
    from matplotlib.colors import to_hex

    colours = colormaps[name]
    return [(k / (count - 1), to_hex(colours(k / (count - 1)))) for k in range(count)]


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
