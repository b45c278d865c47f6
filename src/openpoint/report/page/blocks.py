"""Pieces of HTML. Everything that comes from a user passes `text` on its way out."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from openpoint.errors import Problem, grouped

Cell = str | float | int | bool | None


def text(value: object) -> str:
    """A value as HTML text or attribute value."""
    return html.escape(str(value), quote=True)


def number(value: float | None, digits: int = 3, unit: str = "") -> str:
    """A number for people with a fixed count of digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.{digits}f}{unit and ' ' + unit}"


def usd(value: float | None) -> str:
    """An amount of money for people; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{'-' if value <= -0.005 else ''}${number(abs(value), 2)}"


@dataclass(frozen=True)
class Column:
    """A column of a table: heading, digits of numbers (None = text), and a class for its cells."""

    heading: str
    digits: int | None = None


def table(
    identity: str,
    caption: str,
    columns: Sequence[Column],
    rows: Iterable[Sequence[Cell]],
    *,
    search: bool = False,
    low: bool = False,
) -> str:
    """A scrollable table whose columns can be sorted; `search` adds a box that filters rows, `low` scrolls early.

    The cells carry their full number in `data-value`, so that sorting does not depend on what is shown.
    """
    head = "".join(f'<th scope="col"{_class(c)}><button type="button">{text(c.heading)}</button></th>' for c in columns)
    body = "\n".join(f"<tr>{''.join(_cell(c, v) for c, v in zip(columns, row, strict=True))}</tr>" for row in rows)
    box = (
        '<div class="tools"><label>Search names '
        f'<input type="search" data-table="{identity}" autocomplete="off"></label>'
        '<output aria-live="polite"></output></div>'
        if search
        else ""
    )
    return (
        f'{box}<div class="scroll{" low" if low else ""}" tabindex="0" role="region" aria-label="{text(caption)}">'
        f'<table id="{identity}" class="sortable"><caption>{text(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _class(column: Column) -> str:
    return "" if column.digits is None else ' class="n"'


def _cell(column: Column, value: Cell) -> str:
    if column.digits is None:
        shown = "" if value is None else text(value)
        # Long names are cut by the style sheet; the title shows them whole.
        title = f' title="{shown}"' if len(shown) > 30 else ""
        kind = f' class="{shown}"' if shown in ("opens", "closes") else ""
        return f"<td{kind}{title}>{shown}</td>"
    if not isinstance(value, int | float) or not math.isfinite(value):
        return '<td class="n" data-value="">–</td>'
    return f'<td class="n" data-value="{value!r}">{number(value, column.digits)}</td>'


def card(what: str, figure: str, *more: str) -> str:
    """A headline figure. Arguments are plain text."""
    rest = "".join(f'<p class="more">{text(line)}</p>' for line in more if line)
    size = "figure words" if len(figure) > 26 else "figure"
    return f'<div class="card"><p class="what">{text(what)}</p><p class="{size}">{text(figure)}</p>{rest}</div>'


def section(heading: str, *content: str, long: bool = False) -> str:
    """A section; `content` is HTML."""
    kind = ' class="long"' if long else ""
    return f"<section{kind}>\n<h2>{text(heading)}</h2>\n{''.join(content)}\n</section>"


def chart(identity: str, caption: str, description: str, height: float) -> str:
    """The place of a chart, as high as the chart will be, so that nothing jumps."""
    return (
        f'<figure><figcaption>{text(caption)}</figcaption><div class="chart" id="{identity}" role="img" '
        f'aria-label="{text(description)}" style="min-height:{round(height)}px"></div></figure>'
    )


def grid_tools(told: str = "") -> str:
    """What stands above pictures of the grid: whether buses are named, and how the pictures move."""
    how = "Drag to move, scroll or pinch to zoom, double-click to see all; point at a bus or a branch for its numbers. "
    how += "Names appear where they hide nothing: zoom in to see more."
    return (
        '<div class="tools"><label><input type="checkbox" id="names" checked> bus names</label>'
        f"<span>{text(f'{told} {how}'.strip())}</span></div>"
    )


def remarks(notes: Iterable[str]) -> str:
    """What changes the meaning of the figures, to stand right above them; empty where there is nothing to say."""
    items = "".join(f"<li>{text(note)}</li>" for note in notes)
    return f'<ul class="told">{items}</ul>' if items else ""


def doubts(notes: Iterable[Problem]) -> str:
    """The section of doubts about the grid; empty where there are none. Remarks stand above, alike doubts together."""
    items = "".join(f"<li>{text(alike)}</li>" for alike in grouped(p for p in notes if not p.changes_figures))
    return section("Doubts about the grid", f'<ul class="notes">{items}</ul>') if items else ""
