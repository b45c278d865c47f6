"""States of branches in a SimBench folder: the cells `cond` of Switch.csv, in which nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from openpoint.grid.grid import Grid
from openpoint.inputs import content_of
from openpoint.io.pandapower.branches import branch_names
from openpoint.io.pandapower.states import cells_of
from openpoint.io.simbench.read import net_from_folder
from openpoint.io.switch_states import Change, Edit, cannot_write, edited

TABLE = "Switch.csv"
_CELL = re.compile(r'("(?:[^"]|"")*"|[^;\r\n]*)(;|\r\n|\n|\r|\Z)')
_OPPOSITE = {"1": "0", "0": "1", "1.0": "0.0", "0.0": "1.0"}
_OPPOSITE |= {"True": "False", "False": "True", "true": "false", "false": "true", "TRUE": "FALSE", "FALSE": "TRUE"}


def changed_table(folder: Path, grid: Grid, states: Mapping[str, bool]) -> tuple[bytes, list[Change]]:
    """Switch.csv with branches in other states, and what was changed; an absent one is empty.

    Args:
        folder: of the grid. grid: that is read from it. states: whether closed, by name, of branches that change.

    Raises:
        InputError: a state that no switch sets.
    """
    net = net_from_folder(folder)
    elements = {name: key for key, name in branch_names(net).items()}
    ends = dict(grid.lines.select("name", "open_end").iter_rows())
    path = folder / TABLE
    content = content_of(path) if path.is_file() else b""
    text, codec = _decoded(content)
    places = _places(text)
    edits, changes = [], []
    for branch, closed in states.items():
        for cell in cells_of(net, TABLE, branch, *elements[branch], closed, ends.get(branch, "both")):
            switch = str(cell.row["name"])
            if cell.table != "switch":
                raise cannot_write(TABLE, branch, "no switch stands at this branch", "Add one to Switch.csv")
            start, end = places[switch]
            value = _OPPOSITE.get(text[start:end], str(int(cell.value)))
            edits.append(Edit(start, end, value))
            changes.append(Change(branch, closed, f"switch {switch}, cond", value))
    return edited(text, edits).encode(codec), changes


def _decoded(content: bytes) -> tuple[str, str]:
    """The text with every sign as it is, and its encoding."""
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return content.decode("latin-1"), "latin-1"


def _places(text: str) -> dict[str, tuple[int, int]]:
    """Where the value of `cond` stands, by id."""
    rows = _rows(text)
    heads = [_bare(text, *span) for span in next(rows, [])]
    at, by = heads.index("cond") if "cond" in heads else -1, heads.index("id") if "id" in heads else -1
    return {
        _bare(text, *spans[by]): _inner(text, *spans[at])
        for spans in rows
        if min(at, by) >= 0 and len(spans) == len(heads)
    }


def _rows(text: str) -> Iterator[list[tuple[int, int]]]:
    """The cells of each row as places in the text, quotation marks included."""
    spans: list[tuple[int, int]] = []
    position = len(text) - len(text.removeprefix("\ufeff"))
    while position < len(text):
        match = _CELL.match(text, position)
        if match is None:
            return
        spans.append(match.span(1))
        position = match.end()
        if match.group(2) != ";":
            yield spans
            spans = []


def _bare(text: str, start: int, end: int) -> str:
    first, last = _inner(text, start, end)
    return text[first:last].replace('""', '"')


def _inner(text: str, start: int, end: int) -> tuple[int, int]:
    """A cell without its quotation marks and the blanks around its value."""
    start, end = _stripped(text, start, end)
    if text[start:end].startswith('"'):
        start, end = _stripped(text, start + 1, end - 1)
    return start, end


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    value = text[start:end]
    return start + len(value) - len(value.lstrip()), end - len(value) + len(value.rstrip())
