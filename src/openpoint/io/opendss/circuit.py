"""The tables of a grid from the circuit loaded in the OpenDSS engine; runs in the process of the engine."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

from openpoint.io.opendss.branches import read_line, read_reactor, read_source, read_windings
from openpoint.io.opendss.engine import property_of, solve_today
from openpoint.io.opendss.reading import LETTER, Reading, grouped, in_words
from openpoint.io.opendss.shunts import (
    Groups,
    find_pockets,
    note_bent_loads,
    read_capacitor,
    read_generator,
    read_inverter,
    read_load,
    read_pockets,
)

Places = dict[str, tuple[float, float]]

_READERS: dict[str, Callable[[Reading, str], None]] = {
    "transformer": read_windings,
    "vsource": read_source,
    "load": read_load,
    "generator": read_generator,
    "pvsystem": read_inverter,
    "storage": read_inverter,
    "capacitor": read_capacitor,
    "reactor": read_reactor,
}
# Kinds of controls that act by themselves, and what keeps the state that they set.
_CONTROLS = {
    "regcontrol": "taps, but after faults (secure),",
    "capcontrol": "capacitor steps",
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
# Kinds without power that change nothing by themselves.
_PASSIVE = ("energymeter", "monitor", "sensor", "swtcontrol")
_REFUSED = {
    "fault": "Take it out",
    "isource": "Replace it by a load or generator",
    "autotrans": "Replace it by a transformer of two windings",
}


def read_circuit(engine: Any, file: str, places: Places, tell: Callable[[str], None], *, solve: bool) -> Reading:
    """The tables of the circuit that is loaded in an engine, with every fault and doubt.

    Args:
        file: name of its main file, for messages.
        places: coordinates by bus.
        tell: called with the name of each step when it begins.
        solve: whether the controls of the circuit act first.
    """
    reading = Reading(engine, file)
    tell("the power flow of the circuit")
    has_flow = _solve(reading, solve)
    _tables(reading, places, tell, has_flow=has_flow)
    reading.faults, reading.notes = grouped(reading.faults), grouped(reading.notes)
    return reading


def _solve(reading: Reading, with_controls: bool) -> bool:
    if not with_controls:
        reading.engine.Text.Command("set controlmode=off")
    has_flow = solve_today(reading.engine)
    if _hold_outputs(reading):
        has_flow = solve_today(reading.engine)
    if not has_flow:
        message = "the power flow of the file does not converge; taps and switches are those of its last iteration"
        reading.note("", message, "Check loads and impedances in OpenDSS", changes_figures=True)
    return has_flow


def _hold_outputs(reading: Reading) -> bool:
    """Give generators that hold a voltage the output that they have in the solution; whether there are any."""
    engine, held = reading.engine, []
    for name in engine.Generators.AllNames():
        engine.Generators.Name(name)
        if engine.Generators.Model() == _HOLDS_VOLTAGE and engine.CktElement.Enabled():
            power = engine.CktElement.TotalPowers()
            engine.Text.Command(f"Edit Generator.{name} model=1 kw={-power[0]!r} kvar={-power[1]!r}")
            held.append(f"generator.{name.lower()}")
    for element in held:
        message, remedy = (
            "it holds the voltage of its bus; it keeps its output of today",
            "Give it model 1 and an output",
        )
        reading.note(element, message, remedy, changes_figures=True)
    return bool(held)


_HOLDS_VOLTAGE = 3
"""Model of a generator in OpenDSS."""


def _tables(reading: Reading, places: Places, tell: Callable[[str], None], *, has_flow: bool) -> None:
    engine, elements = reading.engine, [name.lower() for name in reading.engine.Circuit.AllElementNames()]
    reading.count(elements)
    with_power = [e for e in elements if e.partition(".")[0] not in (*_CONTROLS, *_PASSIVE)]
    pockets = find_pockets(reading, with_power) if has_flow else []
    _buses(reading, places, {bus for pocket in pockets for bus in pocket.buses}, _levels(reading, elements))
    if reading.faults:  # nothing else can be converted
        return
    _controls(reading, elements)
    left_out: list[str] = []
    behind = {element for pocket in pockets for element in (pocket.transformer, *pocket.elements)}
    for element in elements:
        if element in behind:
            continue
        tell(element)
        kind = element.partition(".")[0]
        engine.Circuit.SetActiveElement(element)
        enabled = bool(engine.CktElement.Enabled())
        if kind == "line":
            if enabled or _is_tie(reading, element):
                read_line(reading, element, enabled=enabled)
            else:
                left_out.append(element)
        elif not enabled:
            if element != "vsource.source":  # every circuit has it by default
                left_out.append(element)
        elif kind != "transformer" and kind in _READERS and _is_cut_off(reading, element):
            left_out.append(element)
        elif kind in _READERS:
            _READERS[kind](reading, element)
        elif kind not in _CONTROLS and kind not in _PASSIVE:
            remedy = _REFUSED.get(kind, "Replace it by elements that openpoint reads, or take it out")
            reading.fault(element, f"a {kind} has no place in a grid", remedy)
    if left_out:
        message = f"what is disabled or open is left out: {in_words(left_out)}"
        reading.note("", message, "Enable or close it to keep it")
    read_pockets(reading, pockets)
    note_bent_loads(reading)
    _shape_note(reading)


def _is_cut_off(reading: Reading, element: str) -> bool:
    """Whether the active element, no line and no transformer, is open; open in some phases only is a fault."""
    active = reading.engine.CktElement
    ends = range(1, int(active.NumTerminals()) + 1)
    states = [any(active.IsOpen(end, k) for end in ends) for k in range(1, int(active.NumPhases()) + 1)]
    if any(states) and not all(states):
        reading.fault(element, "some of its phases are open and some closed", "Write one for each phase")
    return any(states)


def _is_tie(reading: Reading, element: str) -> bool:
    """Whether a disabled line is a switch, so that disabled means open."""
    return reading.text("switch").lower() in ("true", "yes", "y", "t") or element in reading.switchable


def _levels(reading: Reading, elements: list[str]) -> dict[str, str]:
    """By bus, one bus of those that lines join, open ones included: they have one nominal voltage."""
    group = Groups()
    for element in elements:
        if element.startswith("line."):
            group.join(bus for bus, _ in reading.known.get(element) or reading.terminals(element))
    return {name.lower(): group.of(name.lower()) for name in reading.engine.Circuit.AllBusNames()}


UNFED = 1e-6
"""Share of the base of its voltage up to which a bus counts as fed by nothing."""


def _rated_kv(reading: Reading, level: dict[str, str]) -> dict[str, Counter[float]]:
    """By group of buses that lines join, the voltages between lines, kV, for which its loads are rated."""
    found: dict[str, Counter[float]] = {}
    loads = reading.engine.Loads
    for name in loads.AllNames():
        loads.Name(name)
        (bus, nodes), *_ = reading.terminals(f"load.{name}")
        to_neutral = sum(node in LETTER for node in nodes) == 1
        found.setdefault(level[bus], Counter())[round(loads.kV() * (math.sqrt(3.0) if to_neutral else 1.0), 9)] += 1
    return found


def _buses(reading: Reading, places: Places, leave_out: set[str], level: dict[str, str]) -> None:
    """The buses; what lines join takes the nominal voltage of most of them.

    OpenDSS gives each bus the base nearest to its voltage without load, which is wrong where that is far from nominal,
    and any base where nothing feeds it: there it is the voltage for which loads are rated.
    """
    engine = reading.engine
    unknown: list[str] = []
    found: dict[str, Counter[float]] = {}
    unfed: dict[str, Counter[float]] = {}
    for name in engine.Circuit.AllBusNames():
        engine.Circuit.SetActiveBus(name)
        if (kv := round(engine.Bus.kVBase() * math.sqrt(3.0), 9)) > 0:
            is_fed = max(engine.Bus.VMagAngle()[::2], default=0.0) > UNFED * 1000.0 * kv
            (found if is_fed else unfed).setdefault(level[name.lower()], Counter())[kv] += 1
    if lost := unfed.keys() - found.keys():
        rated = _rated_kv(reading, level)
        found |= {of: rated.get(of, unfed[of]) for of in lost}
    common = {of: max(kvs, key=lambda kv: (kvs[kv], kv)) for of, kvs in found.items()}
    others = sum(kvs.total() - max(kvs.values()) for kvs in found.values())
    if others:
        message = f"{others} buses have another nominal voltage than most that lines join with them; theirs is taken"
        reading.note("", message, "Check Set VoltageBases=[…] where per-unit voltages look wrong")
    for name in engine.Circuit.AllBusNames():
        if name.lower() in leave_out:
            continue
        engine.Circuit.SetActiveBus(name)
        bus = name.lower()
        # 2.4017… kV times √3 is 4.16 kV but for rounding.
        kv = common.get(level[bus], 0.0)
        phases = "".join(LETTER[n] for n in sorted(engine.Bus.Nodes()) if n in LETTER)
        if kv <= 0:
            unknown.append(bus)
        reading.bus_kv[bus] = kv
        reading.bus_phases[bus] = phases
        x, y = places.get(bus, (None, None))
        reading.add("buses", name=bus, vn_kv=reading.bus_kv[bus], phases=phases, x=x, y=y)
    if unknown:
        message = f"the nominal voltage is not known of {in_words(unknown)}"
        remedy = "Add before the end: Set VoltageBases=[…] with all voltages line to line in kV, and CalcVoltageBases"
        reading.fault("", message, remedy)


def _controls(reading: Reading, elements: list[str]) -> None:
    """Which elements are switched and regulated, and a note on every kind of control."""
    by_kind: dict[str, list[str]] = {}
    for element in elements:
        kind = element.partition(".")[0]
        if kind not in _CONTROLS and kind not in _SWITCHING:
            continue
        reading.engine.Circuit.SetActiveElement(element)
        if kind in _CONTROLS:
            by_kind.setdefault(kind, []).append(element)
        if kind == "regcontrol":
            transformer = reading.text("transformer").lower().removeprefix("transformer.")
            reading.controlled[f"transformer.{transformer}", int(reading.value("winding"))] = _band_v(reading)
        elif kind in _SWITCHING:
            key = "switchedobj"
            reading.switchable.add(reading.text(key).lower())
            if kind == "swtcontrol":
                reading.commanded.add(reading.text(key).lower())
    for kind, members in by_kind.items():
        message = f"{_CONTROLS[kind]} stay as they stand today, {in_words(members)} is not modelled"
        reading.note("", message, "Set them for other loads yourself", changes_figures=True)


def _band_v(reading: Reading) -> tuple[float, float] | None:
    """The voltages, V, that the active regulator holds at the winding itself; None where it holds them elsewhere."""
    elsewhere = reading.text("bus") or any(reading.value(key) for key in ("r", "x"))
    turns = reading.text("reversible").lower().startswith(("y", "t"))  # then it holds the other side
    if elsewhere or turns or int(reading.value("tapwinding")) != int(reading.value("winding")):
        return None
    ratio, v, band = (reading.value(key) for key in ("ptratio", "vreg", "band"))
    if not reading.engine.CktElement.Enabled() and ratio != 1.0:  # a mark that its taps may be set
        return None
    return ratio * (v - 0.5 * band), ratio * (v + 0.5 * band)


def _shape_note(reading: Reading) -> None:
    engine: Any = reading.engine
    shapes = [name for name in engine.LoadShape.AllNames() if name.lower() not in ("default", "none", "")]
    if shapes:
        message = f"load shapes are not part of a grid: {in_words(shapes)}"
        reading.note("", message, "openpoint.read_shapes reads them as tables")


PURPOSES = ("daily", "yearly", "duty")
_CLASSES = ("load", "generator", "pvsystem", "storage")


def read_shape_rows(engine: Any) -> dict[str, Any]:
    """`shapes` and `uses`, the rows of the tables of `openpoint.io.opendss.read.LoadShapes`."""
    return {"shapes": _shapes(engine), "uses": _uses(engine)}


def _shapes(engine: Any) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    api = engine.LoadShape
    has_next = api.First()
    while has_next:
        name, p, q = api.Name(), list(api.PMult()), list(api.QMult())
        hours, each = list(api.TimeArray()), api.HrInterval()
        follows = len(q) != len(p)
        for step, value in enumerate(p):
            hour = step * each if each > 0 or len(hours) != len(p) else hours[step]
            rows.append((name, step, hour, value, None if follows else q[step], bool(api.UseActual())))
        has_next = api.Next()
    return rows


def _uses(engine: Any) -> list[tuple[str, str, str]]:
    used: list[tuple[str, str, str]] = []
    for element in (name.lower() for name in engine.Circuit.AllElementNames()):
        if element.partition(".")[0] in _CLASSES:
            engine.Circuit.SetActiveElement(element)
            given = [(purpose, property_of(engine, purpose).lower()) for purpose in PURPOSES]
            used += [(element, purpose, shape) for purpose, shape in given if shape and shape != "none"]
    return used
