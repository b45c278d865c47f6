"""The parts of a report as HTML. Everything that comes from a user passes `text` on its way out."""

from __future__ import annotations

import base64
import gzip
import html
import json
import math
from functools import singledispatch

from openpoint.report.drawing import Panel, Scale, Sign
from openpoint.report.numerals import number
from openpoint.report.page.model import (
    Banner,
    Bullets,
    Card,
    Cards,
    Cell,
    Column,
    GridTools,
    Legend,
    Link,
    Panels,
    Remarks,
    Section,
    Still,
    Table,
    Words,
)

PACKED_FROM = 200_000
"""Letters of data from which on they are compressed: that takes a page of 10,000 buses to a quarter of its size."""
_MOVES = (
    "Drag to move, scroll or pinch to zoom, double-click to see all; point at a bus or a branch for its numbers. "
    "Names appear where they hide nothing: zoom in to see more."
)
MOST_ROWS = 2000
"""Rows of a table that stand in the page as such."""


def text(value: object) -> str:
    """A value as HTML text or attribute value."""
    return html.escape(str(value), quote=True)


@singledispatch
def html_of(part: object) -> str:
    """A part or a block of a report as HTML."""
    raise TypeError(f"{type(part).__name__} is no part of a report")


@html_of.register
def _banner(part: Banner) -> str:
    return f'<p class="banner {part.kind}"><strong>{text(part.lead)}</strong>{part.text and " " + text(part.text)}</p>'


@html_of.register
def _remarks(part: Remarks) -> str:
    return f'<ul class="told">{_items(part.notes)}</ul>'


@html_of.register
def _cards(part: Cards) -> str:
    return f'<div class="cards">{"".join(map(_card, part.cards))}</div>'


def _card(card: Card) -> str:
    rest = "".join(f'<p class="more">{text(line)}</p>' for line in card.more if line)
    size = "figure words" if len(card.figure) > 26 else "figure"
    return (
        f'<div class="card"><p class="what">{text(card.what)}</p><p class="{size}">{text(card.figure)}</p>{rest}</div>'
    )


@html_of.register
def _section(part: Section) -> str:
    kind = ' class="long"' if part.long else ""
    return f"<section{kind}>\n<h2>{text(part.heading)}</h2>\n{''.join(map(html_of, part.content))}\n</section>"


@html_of.register
def _words(block: Words) -> str:
    strong = f"<strong>{text(block.strong)}</strong>." if block.strong is not None else ""
    kind = ' class="sub"' if block.small else ""
    return f"<p{kind}>{text(block.text)}{strong}</p>"


@html_of.register
def _bullets(block: Bullets) -> str:
    return f'<ul class="notes">{_items(block.items)}</ul>'


def _items(items: tuple[str, ...]) -> str:
    return "".join(f"<li>{text(item)}</li>" for item in items)


@html_of.register
def _table(block: Table) -> str:
    """The cells carry their full number in `data-value`, so that sorting does not depend on what is shown.

    Half a million cells make a browser wait: of a long table the page's script draws the rows that are looked at.
    """
    columns = block.columns
    head = "".join(f'<th scope="col"{_class(c)}><button type="button">{text(c.heading)}</button></th>' for c in columns)
    is_long = len(block.rows) > MOST_ROWS
    rows = () if is_long else (zip(columns, row, strict=True) for row in block.rows)
    body = "\n".join(f"<tr>{''.join(_cell(column, value) for column, value in row)}</tr>" for row in rows)
    box = (
        '<div class="tools"><label>Search names '
        f'<input type="search" data-table="{block.identity}" autocomplete="off"></label>'
        '<output aria-live="polite"></output></div>'
        if block.search or is_long
        else ""
    )
    caption = text(block.caption)
    return (
        f'{box}<div class="scroll{" low" * block.low}" tabindex="0" role="region" aria-label="{caption}">'
        f'<table id="{block.identity}" class="sortable"><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>{_rows_data(block) if is_long else ''}"
    )


def _rows_data(block: Table) -> str:
    """The rows of a long table for the script."""
    digits = [column.digits for column in block.columns]
    rows = [[_datum(column, value) for column, value in zip(block.columns, row)] for row in block.rows]
    return (
        data_script(f'data-rows="{block.identity}"', {"digits": digits, "rows": rows})
        + "<noscript><p>A table of so many rows needs scripts; the files of the result hold it, too.</p></noscript>"
    )


def _datum(column: Column, value: Cell) -> str | float | list[str] | None:
    """A cell for the script; a number with some digits more than are shown, for sorting."""
    if isinstance(value, Link):
        return [value.text, value.target]
    if column.digits is None:
        return "" if value is None else str(value)
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else round(value, column.digits + 4)


def data_script(attribute: str, data: object) -> str:
    """A script element with data for the page's script: JSON that cannot end the element; packed where it is long."""
    dumped = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    if len(dumped) > PACKED_FROM:
        packed = base64.b64encode(gzip.compress(dumped.encode(), mtime=0)).decode()
        return f'<script type="application/gzip" {attribute}>{packed}</script>'
    safe = dumped.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return f'<script type="application/json" {attribute}>{safe}</script>'


def _class(column: Column) -> str:
    return "" if column.digits is None else ' class="n"'


def _cell(column: Column, value: Cell) -> str:
    if isinstance(value, Link):
        return f'<td><a href="{text(value.target)}">{text(value.text)}</a></td>'
    if column.digits is None:
        shown = "" if value is None else text(value)
        # Long names are cut by the style sheet; the title shows them whole.
        title = f' title="{shown}"' if len(shown) > 30 else ""
        kind = f' class="{shown}"' if shown in ("opens", "closes") else ""
        return f"<td{kind}{title}>{shown}</td>"
    if not isinstance(value, int | float) or not math.isfinite(value):
        return '<td class="n" data-value="">–</td>'
    return f'<td class="n" data-value="{value!r}">{number(value, column.digits)}</td>'


@html_of.register
def _panel(block: Panel) -> str:
    """The place of a chart, as high as the chart will be, so that nothing jumps."""
    told = f'<ul class="notes">{_items(block.told)}</ul>' if block.told else ""
    return (
        f'<figure><figcaption>{text(block.caption)}</figcaption><div class="chart" id="{block.identity}" role="group" '
        f'aria-label="{text(block.description)}" style="min-height:{round(block.chart.height)}px"></div>{told}</figure>'
    )


@html_of.register
def _panels(block: Panels) -> str:
    slider = _slider(block.turns) if block.turns else ""
    return f'<div class="pair{" beside" * block.beside}">{slider}{"".join(map(html_of, block.panels))}</div>'


def _slider(turns: tuple[str, ...]) -> str:
    """The slider from the first state to the last, at the second; between two it blends them."""
    return (
        f'<div class="slide"><span>{text(turns[0])}</span><input type="range" min="0" max="{len(turns) - 1}" value="1" '
        f'step="{0.05 if len(turns) == 2 else 1}" aria-label="State of the grid"><span>{text(turns[-1])}</span></div>'
    )


@html_of.register
def _grid_tools(block: GridTools) -> str:
    return (
        '<div class="tools"><label><input type="checkbox" id="names" checked> bus names</label>'
        '<label>Show bus or branch <input type="search" id="find" autocomplete="off"></label>'
        '<output id="found" aria-live="polite"></output>'
        f"<span>{text(f'{block.note} {_MOVES}'.strip())}</span></div>"
    )


@html_of.register
def _still(block: Still) -> str:
    if block.svg is None:
        return "<noscript><p>The pictures need scripts; all numbers are in the tables below.</p></noscript>"
    return f'<noscript><img alt="{text(block.alt)}" src="{_embedded(block.svg)}"></noscript>'


def _embedded(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


@html_of.register
def _legend(block: Legend) -> str:
    listed = "".join(f"<li>{_symbol(sign)} {text(sign.name)}</li>" for sign in block.items)
    return f'<ul class="legend">{listed}{"" if block.scale is None else _scale(block.scale)}</ul>'


def _scale(scale: Scale) -> str:
    stops = ", ".join(f"{colour} {share:.0%}" for share, colour in scale.stops)
    bar = f'<span class="bar" style="background:linear-gradient(90deg, {stops})"></span>'
    return f"<li>{text(scale.title)} {scale.low:.4f} {bar} {scale.high:.4f} {text(scale.unit)}</li>"


def _symbol(sign: Sign) -> str:
    """A symbol as a small picture: a dot on a line."""
    shapes = ""
    if sign.line:
        dash = f' stroke-dasharray="{" ".join(map(str, sign.dash))}"' if sign.dash else ""
        shapes = f'<path d="M0 8H26" stroke="{_colour(sign.line)}" stroke-width="{sign.thick}"{dash}/>'
    if sign.shape:
        fill = _colour(sign.fill) if sign.fill and sign.shape != "ring" else "none"
        way = _WAYS[sign.shape].format(**_reach(sign.size / 2))
        shapes += f'<path d="{way}" fill="{fill}" stroke="{_colour(sign.edge)}" stroke-width="{sign.width}"/>'
    return f'<svg width="26" height="16" viewBox="0 0 26 16" aria-hidden="true">{shapes}</svg>'


def _reach(r: float) -> dict[str, float]:
    return {"l": 13 - r, "r": 13 + r, "t": 8 - r, "b": 8 + r, "a": r, "d": 2 * r}


_WAYS = {
    "circle": "M{l} 8a{a} {a} 0 1 0 {d} 0a{a} {a} 0 1 0 -{d} 0Z",
    "ring": "M{l} 8a{a} {a} 0 1 0 {d} 0a{a} {a} 0 1 0 -{d} 0Z",
    "square": "M{l} {t}H{r}V{b}H{l}Z",
    "crossed": "M{l} {t}H{r}V{b}H{l}ZL{r} {b}M{r} {t}L{l} {b}",
    "diamond": "M13 {t}L{r} 8L13 {b}L{l} 8Z",
    "cross": "M{l} {t}L{r} {b}M{l} {b}L{r} {t}",
    "plus": "M13 {t}V{b}M{l} 8H{r}",
}
"""The outline of every shape around the middle of a small picture."""


def _colour(colour: str) -> str:
    """A colour for the style sheet, which has those that begin with @ in two shades."""
    return f"var(--{colour[1:]})" if colour.startswith("@") else colour
