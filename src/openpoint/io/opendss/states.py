"""States of branches in an OpenDSS circuit: statements at the end of its main file, of which nothing else changes.

An OpenDSS circuit has no cell for the state of a line, which is what the statements leave behind: so more statements
follow. A switch control would act against them when the circuit is solved; it is given the same state.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from openpoint.grid.grid import Grid
from openpoint.io.opendss.text import Script, read_script
from openpoint.io.switch_states.edit import Change, Edit

_HEAD = "! States of switches, as openpoint chose them"
_CLASS = {"lines": "line", "switches": "line", "transformers": "transformer"}


def edits_of(text: str, path: Path, grid: Grid, states: Mapping[str, bool]) -> tuple[list[Edit], list[Change]]:
    """The statements that give branches their states, as one edit at the end of the text."""
    control = _controls(read_script(path))
    kinds = dict(grid.branches().select("name", "kind").iter_rows())
    lines, changes = ["", _HEAD], []
    for branch, closed in states.items():
        element = branch if "." in branch else f"{_CLASS[kinds[branch]]}.{branch}"
        word = "closed" if closed else "open"
        if element in control:
            lines.append(f"Edit SwtControl.{control[element]} Normal={word} State={word}")
        if closed:
            lines.append(f"Edit {element} enabled=yes")
        lines += [f"{'Close' if closed else 'Open'} {element} {terminal}" for terminal in (1, 2)]
        changes.append(Change(branch, closed, element, word))
    return [Edit(len(text), len(text), "\n".join([*lines, ""]))], changes


def _controls(script: Script) -> dict[str, str]:
    """The name of the switch control of an element."""
    found: dict[str, str] = {}
    for statement in script.statements:
        kind, _, name = statement.element.partition(".")
        switched = dict(statement.given).get("switchedobj", "").lower()
        if kind == "swtcontrol" and switched:
            found[switched] = name
    return found
