"""States of branches in the text of a pandapower net: which cells they are, and their replacement.

A line is opened by the switch at the end that the grid names (`open_end`), a transformer by its first switch, and
closed by all its switches; without a switch it is taken out of service or into it, as is a line in a net without any.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from openpoint.grid.grid import Grid
from openpoint.io.pandapower.branches import branch_names
from openpoint.io.pandapower.reading import Net, Row, is_closed, net_from_text, switches_of, text_of, truth
from openpoint.io.switch_states import Change, Edit, cannot_write, offsets, span

_SWITCH = {"line": "l", "trafo": "t", "trafo3w": "t3", "impedance": ""}
"""The type of the switches at the elements of a table."""
_NO_SWITCH = {
    "trafo3w": ("no switch stands at this winding", "Add a switch of type 't3' in pandapower"),
    "impedance": ("an impedance has no switch", "Open what is beside it, or change the file in pandapower"),
}


class Cell(NamedTuple):
    """A cell that changes, and for which branch."""

    branch: str
    closed: bool
    table: str
    row: Row
    column: str
    value: bool


def edits_of(text: str, file: str, grid: Grid, states: Mapping[str, bool]) -> tuple[list[Edit], list[Change]]:
    """The edits that give branches their states.

    Args:
        text: of the file. grid: that is read from it. states: whether closed, by name, of branches that change.

    Raises:
        InputError: a state that the file has no cell for.
    """
    net = net_from_text(text, file)
    cells = cells_of_states(net, file, grid, states)
    return [_edit(text, file, net, cell) for cell in cells], [change_of(net, cell) for cell in cells]


def cells_of_states(net: Net, file: str, grid: Grid, states: Mapping[str, bool]) -> list[Cell]:
    """The cells of a net that give branches their states; arguments and errors as of `edits_of`."""
    elements = {name: key for key, name in branch_names(net).items()}
    ends = dict(grid.lines.select("name", "open_end").iter_rows())
    cells = list[Cell]()
    for branch, closed in states.items():
        if branch not in elements:
            raise cannot_write(file, branch, "the file has no element for this branch", "Open it in pandapower itself")
        cells += cells_of(net, file, branch, *elements[branch], closed, ends.get(branch, "both"))
    return cells


def change_of(net: Net, cell: Cell) -> Change:
    """What a cell changes, in the words of the net."""
    return Change(cell.branch, cell.closed, _in_words(net, cell), str(cell.value))


def switches_in_words(net: Net, grid: Grid) -> dict[str, str]:
    """Number and name of the switch that operates each branch; a branch without one is not there.

    Args:
        net: the net. grid: that is read from it.
    """
    ends, found = dict(grid.lines.select("name", "open_end").iter_rows()), {}
    for (word, index), branch in branch_names(net).items():
        table, _, side = word.partition(" ")
        if table == "switch":
            at = [row for row in net.rows("switch") if row["index"] == index]
        else:
            row = next(row for row in net.rows(table) if row["index"] == index)
            end = row.get(f"{side or ends.get(branch, '')}_bus")
            at = switches_of(net, _SWITCH[table]).get(index, [])
            at = [each for each in at if each.get("bus") == end] or at[: not side]
        if at:
            number, name = str(at[0]["index"]), text_of(at[0].get("name"))
            found[branch] = name if number in name.split() else f"{number} {name}".strip()
    return found


def cells_of(net: Net, file: str, branch: str, word: str, index: int, closed: bool, end: str) -> Iterator[Cell]:
    """The cells that give a branch a state.

    Args:
        net: the net, of this file. branch: its name. word, index: its table and row. closed: its state. end: that of a
            line at which it opens.

    Raises:
        InputError: there is no such cell.
    """
    if word == "switch":
        row = next(row for row in net.rows("switch") if row["index"] == index)
        yield from _of_switch(branch, closed, row)
        return
    table, _, side = word.partition(" ")
    row = next(row for row in net.rows(table) if row["index"] == index)
    at = switches_of(net, _SWITCH[table]).get(index, [])
    if side:
        at = [switch for switch in at if switch.get("bus") == row.get(f"{side}_bus")]
    if table in _NO_SWITCH and not at:
        raise cannot_write(file, branch, *_NO_SWITCH[table])
    if not at:
        if "in_service" not in row:
            raise cannot_write(file, branch, "it has no switch and no cell in_service", "Add a switch in pandapower")
        yield Cell(branch, closed, word, row, "in_service", closed)
    elif closed:
        for switch in at:
            yield from _of_switch(branch, True, switch)
    else:
        bus = row.get(f"{end}_bus") if word == "line" else None
        yield from _of_switch(branch, False, next((s for s in at if s.get("bus") == bus), at[0]))


def _of_switch(branch: str, closed: bool, row: Row) -> Iterator[Cell]:
    if truth(row.get("closed"), instead=True) != closed:
        yield Cell(branch, closed, "switch", row, "closed", closed)
    if closed and not is_closed({**row, "closed": True}):
        yield Cell(branch, closed, "switch", row, "in_service", True)


def _edit(text: str, file: str, net: Net, cell: Cell) -> Edit:
    """The edit of a cell, whose table may be JSON in a string of JSON."""
    number = net.rows(cell.table).index(cell.row)
    try:
        start, end = span(text, ("_object", cell.table, "_object"))
        literal = text[start:end]
        if not literal.startswith('"'):
            first, last = span(text, _way(json.loads(literal), text, cell, number), start)
            return Edit(first, last, _as_before(text[first:last], cell.value))
        inner, place = json.loads(literal, strict=False), offsets(literal)
        content = json.loads(inner)
        first, last = span(inner, _way(content, text, cell, number))
        return Edit(start + place[first], start + place[last], _as_before(inner[first:last], cell.value))
    except LookupError:
        remedy = "Write the file anew with pandapower.to_json, or set the state in pandapower"
        row = f"{cell.table} {cell.row['index']}"
        raise cannot_write(file, row, f"there is no cell {cell.column!r} to be changed", remedy) from None


def _way(content: dict[str, Any], text: str, cell: Cell, number: int) -> tuple[str | int, ...]:
    """The keys to a cell in one of the orientations of a table."""
    if isinstance(content.get("data"), list) and isinstance(content.get("columns"), list):
        return "data", number, content["columns"].index(cell.column) if cell.column in content["columns"] else -1
    index = str(cell.row["index"])
    return (cell.column, index) if cell.column in content else (index, cell.column)


def _as_before(before: str, value: bool) -> str:
    """The value as the file writes truth: true, 1 or 1.0."""
    words = {"0": "01", "1": "01", "0.0": ("0.0", "1.0"), "1.0": ("0.0", "1.0")}
    return words.get(before, ("false", "true"))[value]


def _in_words(net: Net, cell: Cell) -> str:
    """What is changed, with its name and place."""
    name = text_of(cell.row.get("name"))
    text = f"{cell.table} {cell.row['index']}" + (f" ({name})" if name else "")
    if cell.table == "switch":
        buses = {row["index"]: text_of(row.get("name")) or f"bus {row['index']}" for row in net.rows("bus")}
        text += f" at {buses.get(cell.row.get('bus'), '')}"
    return f"{text}, {cell.column}"
