"""OpenDSS circuits (`.dss` and the files they redirect to), read through the engine OpenDSSDirect.

The script is read as text first (`openpoint.io.opendss_text`): what could run programs or write files is refused. The
engine builds the circuit and solves it once, with its own controls, and the grid is taken from what then stands:
line matrices after Kron's reduction whatever they came from (matrices, sequences, geometries), taps, capacitor steps
and switches as the controls leave them.

- Names are those of the elements, in lower case, where they are given once in their table, else `class.name`.
- Phases 1, 2, 3 are a, b, c. Neutrals, and phases that change along a branch, are refused.
- Lines with Switch=yes, or with a SwtControl, relay, recloser or fuse, are switchable; nothing else is. Without
  impedance to speak of they are in the table `switches`. Their rating is read unless it is OpenDSS's own 400 A.
- A tap changer is on the from side of its transformer, so that ends are exchanged where OpenDSS has it on the second.
- The impedance of a source is a line from a bus of its own, named like the element (`vsource.source`).
- Loads of several models (CVR, ZIP) are a row a model. A rated voltage other than that of the bus is converted, and
  the band Vminpu … Vmaxpu is kept. Negative loads are fixed generators, with a note.
- Generators are fixed at their output, PV systems and storage at that of the solution, with a note.
- Controls, load shapes and meters are not modelled; controls and shapes are told in the notes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from openpoint.errors import InputError, Problem
from openpoint.grid.grid import Grid
from openpoint.io.opendss_branches import read_line, read_source, read_transformer
from openpoint.io.opendss_engine import circuit_of, solve_today
from openpoint.io.opendss_reading import LETTER, Reading, in_words
from openpoint.io.opendss_shunts import read_capacitor, read_generator, read_inverter, read_load
from openpoint.io.opendss_text import OF_AN_OBJECT, Script, find_file, tokens
from openpoint.io.text import decode, doubt

_READERS: dict[str, Callable[[Reading, str], None]] = {
    "transformer": read_transformer,
    "vsource": read_source,
    "load": read_load,
    "generator": read_generator,
    "pvsystem": read_inverter,
    "storage": read_inverter,
    "capacitor": read_capacitor,
}
# Controls, and what stays as they leave it.
_CONTROLS = {
    "regcontrol": "taps",
    "capcontrol": "capacitor steps",
    "swtcontrol": "switches",
    "relay": "switches",
    "recloser": "switches",
    "fuse": "switches",
    "invcontrol": "outputs of inverters",
    "expcontrol": "outputs of inverters",
    "storagecontroller": "outputs of storage",
    "gendispatcher": "outputs of generators",
    "espvlcontrol": "outputs of generators",
    "upfccontrol": "outputs",
}
_SWITCHING = ("swtcontrol", "relay", "recloser", "fuse")
_METERS = ("energymeter", "monitor", "sensor")
_REFUSED = {
    "reactor": "Replace it by a line (in series) or a load of impedance (to ground)",
    "fault": "Take it out",
    "isource": "Replace it by a load or generator",
    "autotrans": "Replace it by a transformer of two windings",
}


def grid_from_file(path: str | os.PathLike[str], *, solve: bool = True) -> Grid:
    """The grid in an OpenDSS circuit file.

    Args:
        path: the main file. Files it redirects to are found beside it.
        solve: let the controls of the circuit act first. False keeps taps and switches as they are written (unless the
            script itself solves).

    Raises:
        InputError: with every fault: refused statements by file and line, elements that are not read by name.
    """
    with circuit_of(Path(path)) as (engine, script):
        reading = Reading(engine, Path(path).name)
        _solve(reading, solve)
        return _grid(reading, script)


def _solve(reading: Reading, with_controls: bool) -> None:
    if not with_controls:
        reading.engine.Text.Command("set controlmode=off")
    if not solve_today(reading.engine):
        message = "the power flow of the file does not converge; taps and switches are those of its last iteration"
        reading.note("", message, "Check loads and impedances in OpenDSS")


def _grid(reading: Reading, script: Script) -> Grid:
    engine, elements = reading.engine, [name.lower() for name in reading.engine.Circuit.AllElementNames()]
    reading.count(elements)
    _buses(reading, script)
    if reading.faults:  # nothing else can be converted
        raise InputError(reading.faults)
    _controls(reading, elements)
    left_out: list[str] = []
    for element in elements:
        kind = element.partition(".")[0]
        engine.Circuit.SetActiveElement(element)
        enabled = bool(engine.CktElement.Enabled())
        if kind == "line":
            if enabled or _is_tie(reading, element):
                read_line(reading, element, enabled=enabled)
            else:
                left_out.append(element)
        elif not enabled:
            if element != "vsource.source":  # every circuit is born with it
                left_out.append(element)
        elif kind in _READERS:
            _READERS[kind](reading, element)
        elif kind not in _CONTROLS and kind not in _METERS:
            remedy = _REFUSED.get(kind, "Replace it by elements that openpoint reads, or take it out")
            reading.fault(element, f"a {kind} has no place in a grid", remedy)
    if left_out:
        message = f"what is disabled is left out: {in_words(left_out)}"
        reading.note("", message, "Enable it to keep it")
    _shape_note(reading)
    reading.notes += [*script.notes, *_left_out_note(reading, script)]
    if reading.faults:
        raise InputError(reading.faults)
    return Grid.from_tables(
        engine.Circuit.Name(), reading.tables, source=f"OpenDSS file {reading.file}", notes=reading.notes
    )


def _is_tie(reading: Reading, element: str) -> bool:
    """Whether a disabled line is a switch, so that disabled means open."""
    return reading.text("switch").lower() in ("true", "yes", "y", "t") or element in reading.switchable


def _buses(reading: Reading, script: Script) -> None:
    engine = reading.engine
    places = _places(reading, script)
    unknown: list[str] = []
    for name in engine.Circuit.AllBusNames():
        engine.Circuit.SetActiveBus(name)
        bus, kv = name.lower(), engine.Bus.kVBase() * math.sqrt(3.0)
        phases = "".join(LETTER[n] for n in sorted(engine.Bus.Nodes()) if n in LETTER)
        if kv <= 0:
            unknown.append(bus)
        # 2.4017… kV times √3 is 4.16 kV but for rounding.
        reading.bus_kv[bus] = round(kv, 9)
        reading.bus_phases[bus] = phases
        x, y = places.get(bus, (None, None))
        reading.add("buses", name=bus, vn_kv=reading.bus_kv[bus], phases=phases, x=x, y=y)
    if unknown:
        message = f"the nominal voltage is not known of {in_words(unknown)}"
        remedy = "Add before the end: Set VoltageBases=[…] with all voltages line to line in kV, and CalcVoltageBases"
        reading.fault("", message, remedy)


def _places(reading: Reading, script: Script) -> dict[str, tuple[float, float]]:
    """Coordinates by bus; a line that is none is passed over, as a picture can do without."""
    found: dict[str, tuple[float, float]] = {}
    for statement in script.places:
        path = find_file(statement.file.parent, statement.text)
        if path is None:
            message = f"there is no file {statement.text!r} with coordinates"
            reading.notes.append(
                doubt(statement.file.name, statement.line, "", message, "Put it there to have pictures in place")
            )
            continue
        for line in decode(path.read_bytes(), path.name).split("\n"):
            cells = [value for _, value in tokens(line)]
            try:
                first, second = float(cells[1]), float(cells[2])
            except (ValueError, IndexError):
                continue
            if math.isfinite(first) and math.isfinite(second):
                found[cells[0].lower()] = (second, first) if statement.verb == "latlongcoords" else (first, second)
    return found


def _controls(reading: Reading, elements: list[str]) -> None:
    """Which elements are switched and regulated, and a note on every kind of control."""
    by_kind: dict[str, list[str]] = {}
    for element in elements:
        kind = element.partition(".")[0]
        if kind not in _CONTROLS:
            continue
        reading.engine.Circuit.SetActiveElement(element)
        by_kind.setdefault(kind, []).append(element)
        if kind == "regcontrol":
            transformer = reading.text("transformer").lower().removeprefix("transformer.")
            reading.controlled.add((f"transformer.{transformer}", int(reading.value("winding"))))
        elif kind in _SWITCHING:
            key = "switchedobj"
            reading.switchable.add(reading.text(key).lower())
    for kind, members in by_kind.items():
        message = f"{_CONTROLS[kind]} stay as they stand today, {in_words(members)} is not modelled"
        reading.note("", message, "Set them for other loads yourself")


def _left_out_note(reading: Reading, script: Script) -> list[Problem]:
    if not script.left_out:
        return []
    kinds = sorted({"monitor" if s.verb in OF_AN_OBJECT else s.verb for s in script.left_out})
    message = f"{len(script.left_out)} statements that only record, report or draw are left out: {', '.join(kinds)}"
    return [Problem(reading.file, "", "", message, "openpoint has reports of its own", "warning")]


def _shape_note(reading: Reading) -> None:
    engine: Any = reading.engine
    shapes = [name for name in engine.LoadShape.AllNames() if name.lower() not in ("default", "none", "")]
    if shapes:
        message = f"load shapes are not part of a grid: {in_words(shapes)}"
        reading.note("", message, "openpoint.io.opendss_shapes.read_shapes reads them as tables")
