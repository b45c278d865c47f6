"""States of branches in input data of power-grid-model: `from_status` and `to_status`, the switches at both ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from openpoint.grid.grid import Grid
from openpoint.inputs import json_of
from openpoint.io.pgm.read import rows_of
from openpoint.io.switch_states.edit import Change, Edit, cannot_write
from openpoint.io.switch_states.places import span

_BRANCHES = ("line", "link", "generic_branch", "transformer")


class Cell(NamedTuple):
    """An attribute of a component that changes: its name, its number in the table, and what is changed in words."""

    component: str
    number: int
    attribute: str
    change: Change


def edits_of(text: str, file: str, grid: Grid, states: Mapping[str, bool]) -> tuple[list[Edit], list[Change]]:
    """The edits that give branches their states; arguments and errors as of `pandapower.states.edits_of`."""
    content = json_of(text, file, "")
    edits, changes = [], []
    for component, number, key, change in cells_of(content, file, grid, states):
        written = content["data"][component][number]
        step = key if isinstance(written, dict) else content["attributes"][component].index(key)
        try:
            start, end = span(text, ("data", component, number, step))
        except LookupError:
            raise cannot_write(file, change.branch, f"it has no {key}", "Write the file with all attributes") from None
        edits.append(Edit(start, end, change.value))
        changes.append(change)
    return edits, changes


def cells_of(content: Any, file: str, grid: Grid, states: Mapping[str, bool]) -> Iterator[Cell]:
    """The attributes that give branches their states; `content`: of the file, other arguments as of `edits_of`.

    Raises:
        InputError: a branch that is no component.
    """
    found = {
        str(row["id"]): (component, k, row)
        for component in _BRANCHES
        for k, row in enumerate(rows_of(content, component))
    }
    ends = dict(grid.lines.select("name", "open_end").iter_rows())
    for branch, closed in states.items():
        if branch not in found:
            raise cannot_write(file, branch, "the file has no component for this branch", "Leave its state as it is")
        component, number, row = found[branch]
        at = ends.get(branch, "both")
        for key in ("from_status", "to_status") if closed or at == "both" else (f"{at}_status",):
            if bool(row.get(key)) != closed:
                node = row["from_node" if key == "from_status" else "to_node"]
                words = f"{component} {branch} at node {node}, {key}"
                yield Cell(component, number, key, Change(branch, closed, words, str(int(closed))))
