"""OpenDSS circuits (`.dss` and the files they redirect to), read through the engine OpenDSSDirect.

The script is first read as text (`openpoint.io.opendss.text`): statements that could run programs or write files are
refused. The engine, in a separate process (`openpoint.io.opendss.process`), builds the circuit and solves it once, with
its own controls. The grid is taken from this solved circuit: line matrices after Kron's reduction, however they are
given (matrices, sequences, geometries), and taps, capacitor steps and switches in the state set by the controls.

- Names are those of the elements, in lower case, where they are given once in their table, else `class.name`.
- Phases 1, 2, 3 are a, b, c. Neutrals, and phases that change along a branch, are refused. Conductors of a line that
  are grounded at both ends, or share a phase, are reduced exactly.
- Pieces that nothing can feed, even with every switch closed, are left out, with a note.
- Buses that lines join have one nominal voltage, that of most of them.
- Lines with Switch=yes, or with a SwtControl, relay, recloser or fuse, are switchable, and transformers with a
  SwtControl; nothing else is. Lines with a negligible impedance are in the table `switches`. Their rating is read
  unless it is OpenDSS's default of 400 A.
- A tap changer is on the from side of its transformer, so that ends are exchanged where OpenDSS has it on the second,
  but for transformers with a magnetising branch, which is on the second winding there and at the to end here.
- The impedance of a source is a line from a bus of its own, named like the element (`vsource.source`).
- Reactors in series are lines, others loads of impedance named like the element (`reactor.name`).
- Transformers of three windings are a star of three around a bus of its own (`openpoint.io.opendss.branches`).
- Single-phase transformers with a centre tap are lumped with everything behind them: loads on their primary side that
  draw today's power, named like the element, with a note that has the losses behind (`openpoint.io.opendss.shunts`).
- Loads of several models (CVR, ZIP) are a row a model; powers of the voltage other than 0, 1, 2 become a sum of these.
  A rated voltage other than that of the bus is converted, and the band Vminpu … Vmaxpu is kept. Negative loads are
  fixed generators, with a note.
- Generators are fixed at their output, PV systems and storage at that of the solution, with a note.
- Controls, load shapes and meters are not modelled; the notes mention controls and shapes.

States of branches in an OpenDSS circuit: statements at the end of its main file, of which nothing else changes.

An OpenDSS circuit has no cell for the state of a line, which is what the statements leave behind: so more statements
follow. A switch control would act against them when the circuit is solved; it is given the same state.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from openpoint.errors import Problem
from openpoint.grid.grid import Grid
from openpoint.grid.unfed import without_unfed
from openpoint.io.opendss.circuit import PURPOSES as PURPOSES
from openpoint.io.opendss.process import run_script
from openpoint.io.opendss.statement import REPORTS
from openpoint.io.opendss.text import Script, cut_notes, find_file, read_script
from openpoint.io.switch_states import Change, Edit
from openpoint.io.text import decode, doubt

_CELLS = re.compile(r"""["'][^"']*["']|[^\s,]+""")


def grid_from_file(path: str | os.PathLike[str], *, solve: bool = True) -> Grid:
    """The grid in an OpenDSS circuit file.

    Args:
        path: the main file. Files that it redirects to are relative to it.
        solve: whether the controls of the circuit act first. False keeps taps and switches as they are written (unless
            the script itself solves).

    Raises:
        InputError: with every fault: refused statements by file and line, elements that are not read by name, the
            statement at which the engine crashes.
    """
    path = Path(path)
    script = read_script(path)
    places, notes = _places(script)
    found = run_script("grid", path.name, script, places=places, solve=solve)
    problems = [Problem(*parts) for parts in found["notes"]]
    return without_unfed(
        Grid.from_tables(
            found["name"],
            found["tables"],
            source=f"OpenDSS file {path.name}",
            notes=[*notes, *problems, *script.notes, *cut_notes(script), *_left_out_note(path.name, script)],
        )
    )


def _places(script: Script) -> tuple[dict[str, tuple[float, float]], list[Problem]]:
    """Coordinates by bus, and doubts; a faulty line is ignored, as pictures do not need all coordinates."""
    found: dict[str, tuple[float, float]] = {}
    notes: list[Problem] = []
    for statement in script.places:
        path = find_file(statement.file.parent, statement.text, script.roots)
        if path is None:
            message = f"there is no file {statement.text!r} with coordinates"
            remedy = "Put it there to have pictures in place"
            notes.append(doubt(statement.file.name, statement.line, "", message, remedy))
            continue
        text = path.read_bytes()  # of a circuit without coordinates OpenDSS saves an empty file
        for line in decode(text, path.name).split("\n") if text.strip() else ():
            cells = [cell.strip("\"'") for cell in _CELLS.findall(line)]
            try:
                first, second = float(cells[1]), float(cells[2])
            except (ValueError, IndexError):
                continue
            if math.isfinite(first) and math.isfinite(second):
                found[cells[0].lower()] = (second, first) if statement.verb == "latlongcoords" else (first, second)
    return found, notes


def _left_out_note(file: str, script: Script) -> list[Problem]:
    if not script.left_out:
        return []
    kinds = sorted({s.verb if s.verb in (*REPORTS, "set") else "monitor" for s in script.left_out})
    message = f"{len(script.left_out)} statements that only record, report or draw are left out: {', '.join(kinds)}"
    return [Problem(file, "", "", message, "openpoint has reports of its own", "warning")]


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


_SHAPES = {"name": pl.String, "step": pl.Int64, "hour": pl.Float64, "p": pl.Float64, "q": pl.Float64} | {
    "is_actual": pl.Boolean
}


@dataclass(frozen=True)
class LoadShapes:
    """Load shapes and the elements that use them.

    Attributes:
        shapes: a row a step. Columns: name, step (from 0), hour, p, q (null where it follows p), is_actual (p and q
            are kW and kvar and not multipliers).
        uses: element (`class.name`), purpose (daily, yearly or duty), name of the shape.
    """

    shapes: pl.DataFrame
    uses: pl.DataFrame


def read_shapes(path: str | os.PathLike[str]) -> LoadShapes:
    """The load shapes in an OpenDSS circuit file: `shapes`, a row for each step, and `uses`, by element.

    Raises:
        InputError: the circuit cannot be read; each fault with its file and line.
    """
    path = Path(path)
    found = run_script("shapes", path.name, read_script(path))
    return LoadShapes(
        pl.DataFrame(found["shapes"], schema=_SHAPES, orient="row"),
        pl.DataFrame(found["uses"], schema=dict.fromkeys(("element", "purpose", "shape"), pl.String), orient="row"),
    )
