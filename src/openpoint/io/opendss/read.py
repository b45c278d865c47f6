"""OpenDSS circuits (`.dss` and the files they redirect to), read through the engine OpenDSSDirect.

The script is first read as text (`openpoint.io.opendss.text`): statements that could run programs or write files are
refused. The engine, in a separate process (`openpoint.io.opendss.process`), builds the circuit and solves it once, with
its own controls. The grid is taken from this solved circuit: line matrices after Kron's reduction, however they are
given (matrices, sequences, geometries), and taps, capacitor steps and switches in the state set by the controls.

- Names are those of the elements, in lower case, where they are given once in their table, else `class.name`.
- Phases 1, 2, 3 are a, b, c. Neutrals, and phases that change along a branch, are refused.
- Lines with Switch=yes, or with a SwtControl, relay, recloser or fuse, are switchable, and transformers with a
  SwtControl; nothing else is. Lines with a negligible impedance are in the table `switches`. Their rating is read
  unless it is OpenDSS's default of 400 A.
- A tap changer is on the from side of its transformer, so that ends are exchanged where OpenDSS has it on the second,
  but for transformers with a magnetising branch, which is on the second winding there and at the to end here.
- The impedance of a source is a line from a bus of its own, named like the element (`vsource.source`).
- Reactors in series are lines, others loads of impedance named like the element (`reactor.name`).
- Transformers of three windings are a star of three around a bus of its own (`openpoint.io.opendss.star`).
- Single-phase transformers with a centre tap are lumped with everything behind them: loads on their primary side that
  draw today's power, named like the element, with a note that has the losses behind (`openpoint.io.opendss.pockets`).
- Loads of several models (CVR, ZIP) are a row a model; powers of the voltage other than 0, 1, 2 become a sum of these.
  A rated voltage other than that of the bus is converted, and the band Vminpu … Vmaxpu is kept. Negative loads are
  fixed generators, with a note.
- Generators are fixed at their output, PV systems and storage at that of the solution, with a note.
- Controls, load shapes and meters are not modelled; the notes mention controls and shapes.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

from openpoint.errors import Problem
from openpoint.grid.grid import Grid
from openpoint.io.opendss.process import run_script
from openpoint.io.opendss.text import Script, cut_notes, find_file, read_script
from openpoint.io.opendss.words import REPORTS
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
    return Grid.from_tables(
        found["name"],
        found["tables"],
        source=f"OpenDSS file {path.name}",
        notes=[*notes, *problems, *script.notes, *cut_notes(script), *_left_out_note(path.name, script)],
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
        for line in decode(path.read_bytes(), path.name).split("\n"):
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
