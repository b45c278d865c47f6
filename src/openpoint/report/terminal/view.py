"""A result in the terminal: the parts of its page that are words, figures and short tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from openpoint.report.numerals import number
from openpoint.report.page import model as m
from openpoint.report.terminal import words

ROWS_SHOWN, CELL_SHOWN = 24, 100
_BLANK = {"", "–"}
"""Cells that tell nothing: a column of them is left out."""
_STYLES = {"good": "green", "warn": "yellow", "bad": "red"}


def show(out: Console, page: m.Page, remark: Callable[[Console, Iterable[str]], None]) -> None:
    """Print a page in brief; `remark` prints what changes the meaning of the figures."""
    for part in page.brief:
        if isinstance(part, m.Remarks):
            remark(out, part.notes)
        elif isinstance(part, m.Banner):
            text = Text(f"\n{words.safe(part.lead)} ", f"bold {_STYLES[part.kind]}")
            out.print(text.append(words.safe(part.text), "not bold"))
        elif isinstance(part, m.Cards):
            show_rows(out, [[words.safe(cell) for cell in _figure(card)] for card in part.cards])
        else:
            out.print(Text(f"\n{words.safe(part.heading)}", "bold"))
            for block in part.content:
                _show_block(out, block)


def _figure(card: m.Card) -> tuple[str, str]:
    return f"{card.what}:", " · ".join(filter(None, (card.figure, *card.more)))


def _show_block(out: Console, block: m.Block) -> None:
    """A block of words, or a table; pictures are for the page."""
    if isinstance(block, m.Words):
        out.print(Text(words.safe(f"{block.text}{block.strong or ''}"), "dim" if block.small else ""))
    elif isinstance(block, m.Bullets):
        for item in block.items:
            out.print(Text(words.safe(item)))
    elif isinstance(block, m.Table):
        out.print(Text(f"{words.safe(block.caption)}:"))
        rows = [[_short(words.safe(cell)) for cell in row] for row in _cells(block)]
        told = [i for i, cells in enumerate(zip(*rows)) if i == 0 or not _BLANK.issuperset(cells)]
        columns = [block.columns[i] for i in told]
        numbers = [i for i, column in enumerate(columns) if column.digits is not None]
        heads = [words.safe(column.heading) for column in columns]
        show_rows(out, [heads, *([row[i] for i in told] for row in rows)], numbers, head=True)
        if (more := len(block.rows) - ROWS_SHOWN) > 0:
            out.print(Text(f"  and {more} more; --json, --tables and --report list all"))


def _short(text: str) -> str:
    """A cell that is not much wider than its column: lists of names end in `…`."""
    return text if len(text) <= CELL_SHOWN else f"{text[: CELL_SHOWN - 2].rstrip(', ')} …"


def _cells(table: m.Table) -> Iterator[list[str]]:
    for row in table.rows[:ROWS_SHOWN]:
        yield [_cell(cell, column.digits) for cell, column in zip(row, table.columns, strict=True)]


def _cell(cell: m.Cell, digits: int | None) -> str:
    if isinstance(cell, m.Link):
        return cell.text
    if digits is not None and isinstance(cell, int | float):
        return number(cell, digits)
    return "–" if cell is None else str(cell)


def show_rows(out: Console, rows: Sequence[Sequence[str]], right: Iterable[int] = (), *, head: bool = False) -> None:
    """Lines with cells under each other; the columns `right` are set to the right."""
    for place, line in enumerate(words.aligned(rows, right)):
        out.print(Text(line, style="bold" if head and place == 0 else ""))
