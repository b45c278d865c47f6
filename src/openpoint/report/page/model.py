"""The page of a report: plain data that a study makes of its result, and that a renderer shows.

Nothing here is HTML. Texts and names are shown letter by letter, whatever markup they hold. Colours are `#rrggbb`, or
the name of one that the page has in a light and a dark shade (`@ink`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from openpoint.grid.grid import Grid
from openpoint.report.drawing import Chart, Panel, Scale, Sign

EXACT = "Voltages, currents and losses are those of exact AC power flows."


@dataclass(frozen=True)
class Link:
    """A text that leads to another page: `target` is its place, relative to this one."""

    text: str
    target: str


Cell = str | float | int | bool | Link | None


@dataclass(frozen=True)
class Banner:
    """How the run ended: good, a warning or bad, in a word or two, and why."""

    kind: Literal["good", "warn", "bad"]
    lead: str
    text: str


@dataclass(frozen=True)
class Remarks:
    """The remarks on what changes the meaning of the figures, to stand right above them."""

    notes: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """A headline figure: what it is, the figure, and further lines; empty lines are left out."""

    what: str
    figure: str
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cards:
    """The headline figures."""

    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Words:
    """A paragraph; `strong` stands out at its end, `small` explains what is below or above."""

    text: str
    strong: str | None = None
    small: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, and the digits of its numbers (None = text)."""

    heading: str
    digits: int | None = None


@dataclass(frozen=True)
class Table:
    """A table whose columns can be sorted.

    Attributes:
        identity: its name in the page. caption: what it holds.
        columns, rows: headings and cells.
        search: whether a box filters the rows. low: whether it is low, and scrolls early.
    """

    identity: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    search: bool = False
    low: bool = False


@dataclass(frozen=True)
class Panels:
    """Charts that belong together, beside each other where the screen has the room for it.

    Where they have names in `turns`, they are states of one thing: without the room they lie over each other, and a
    slider leads from one to the next.
    """

    panels: tuple[Panel, ...]
    beside: bool
    turns: tuple[str, ...] = ()


@dataclass(frozen=True)
class GridTools:
    """How pictures of the grid are moved and whether buses are named; `note` says what they show."""

    note: str = ""


@dataclass(frozen=True)
class Still:
    """The picture for readers without scripts, as SVG; without one the tables must do."""

    alt: str
    svg: bytes | None


@dataclass(frozen=True)
class Legend:
    """Symbols in words, and the scale of colours where there is one."""

    items: tuple[Sign, ...]
    scale: Scale | None = None


Block = Words | Bullets | Table | Panel | Panels | GridTools | Still | Legend


@dataclass(frozen=True)
class Section:
    """A heading and what is below it; one that is `long` may go on over printed pages."""

    heading: str
    content: tuple[Block, ...]
    long: bool = False


Part = Banner | Remarks | Cards | Section
Made = Part | Sequence[Part | None] | None
Offered = Made | Callable[[], Made]
"""What may be handed over: None is left out; a function makes what the page alone shows, and not the terminal."""


@dataclass(frozen=True)
class Page:
    """What is shown of a result, by the page in full and by the terminal in brief.

    Attributes:
        heading: what was asked about. subtitle: one line about it.
        study: what was asked, for the title.
        offered: the parts from the top to the bottom, some of them still to be made.
        physics: where the figures come from, a sentence.
    """

    heading: str
    subtitle: str
    study: str
    offered: tuple[Offered, ...]
    physics: str = EXACT

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """All parts, as the page shows them."""
        return _flat(part() if callable(part) else part for part in self.offered)

    @property
    def brief(self) -> tuple[Part, ...]:
        """The parts that the terminal shows, too: those that need no function to be made."""
        return _flat(part for part in self.offered if not callable(part))

    @property
    def charts(self) -> dict[str, Chart]:
        """The charts by the identity of their place, from the top to the bottom.

        Raises:
            ValueError: two charts have one identity, so that one place would stay empty.
        """
        panels = [panel for part in self.parts for panel in _panels(part)]
        names = [panel.identity for panel in panels]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"several charts of the page have the identity {', '.join(twice)}")
        return {panel.identity: panel.chart for panel in panels}


def page_of(grid: Grid, study: str, parts: Iterable[Offered], *, physics: str = EXACT) -> Page:
    """The page about a grid."""
    return Page(grid.title or grid.name, _subtitle(grid), study, tuple(parts), physics)


def _flat(parts: Iterable[Made]) -> tuple[Part, ...]:
    """Those parts that there are."""
    several = (part if isinstance(part, Sequence) else [part] for part in parts)
    return tuple(part for some in several for part in some if part is not None)


def _subtitle(grid: Grid) -> str:
    """One line about a grid."""
    counts = [
        f"{grid.buses.height} buses",
        f"{grid.branches().height} branches",
        f"{grid.sources.height} source{'s' if grid.sources.height != 1 else ''}",
        f"load {float(grid.loads['p_kw'].sum()):,.1f} kW",
    ]
    return " · ".join([*counts, *([grid.source] if grid.source else [])])


def cards(*shown: Card) -> Cards:
    """The headline figures, from the left to the right."""
    return Cards(shown)


def section(heading: str, *content: Block | None, long: bool = False) -> Section:
    """A section of those blocks that there are."""
    return Section(heading, tuple(block for block in content if block is not None), long)


def _panels(part: Part) -> Iterator[Panel]:
    for block in part.content if isinstance(part, Section) else ():
        if isinstance(block, Panel):
            yield block
        elif isinstance(block, Panels):
            yield from block.panels
