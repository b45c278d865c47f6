"""Lines, switches, transformers and sources of a solved OpenDSS circuit.

Transformers of three phases and three windings: a star of three of two windings around a bus of its own.

The three windings of a phase share one core. Referred to the first winding, the equivalent circuit is a star: each
winding is connected to a common point by an impedance of its own, and the three currents into this point sum to zero.
This point is the bus, whose phases are grounded wyes. OpenDSS has the magnetising branch at the second winding, so this
winding is the to end of its transformer. A star with a negative reactance is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from openpoint.arrays import Complexes, Floats
from openpoint.io.opendss.engine import numbers_of
from openpoint.io.opendss.reading import LETTER, Reading
from openpoint.io.text import star_of

# The default rating of a line in OpenDSS, which is not a limit that a user gave.
NO_RATING_A, NO_EMERGENCY_A = 400.0, 600.0
# A switch with less impedance than this, per unit of 1 MVA, has none.
SWITCH_PU = 1e-6
# A source with less impedance than this, per unit of 1 MVA, is ideal: it exists for numerical reasons only.
STIFF_PU = 2e-8
# Metres of a line's unit of length by its number in OpenDSS: mi, kft, km, m, ft, in, cm, mm; 0 is none.
_METRES = {1: 1609.344, 2: 304.8, 3: 1000.0, 4: 1.0, 5: 0.3048, 6: 0.0254, 7: 0.01, 8: 0.001}
# Taps that are no whole number of steps to this accuracy go into the rated voltage instead.
TAP_ACCURACY = 1e-6


@dataclass(frozen=True)
class Winding:
    """A winding of the active transformer: rated voltage as OpenDSS counts it, resistance in %."""

    bus: str
    nodes: list[int]
    kv: float
    kva: float
    r_percent: float
    tap: float
    is_delta: bool
    steps: int
    tap_low: float
    tap_high: float

    def changer(self) -> dict[str, Any] | None:
        """The tap changer as columns of a row, or None where the tap is no whole step of it."""
        if self.steps <= 0 or self.tap_high <= self.tap_low:
            return None
        step = (self.tap_high - self.tap_low) / self.steps
        position = (self.tap - 1.0) / step
        low, high = round((self.tap_low - 1.0) / step), round((self.tap_high - 1.0) / step)
        if abs(position - round(position)) > TAP_ACCURACY or not low <= round(position) <= high:
            return None
        return {
            "tap_pos": round(position),
            "tap_min": low,
            "tap_max": high,
            "tap_step_percent": round(100.0 * step, 9),
        }


def read_line(reading: Reading, element: str, *, enabled: bool) -> None:
    """A line, or a switch where its impedance is negligible; the matrices are those after Kron's reduction."""
    engine, name = reading.engine, element.partition(".")[2]
    ends = reading.ends(element)
    is_switch = reading.text("switch").lower() in ("true", "yes", "y", "t") or element in reading.switchable
    if ends is None:
        return
    (fr, nodes), (to, nodes_to) = ends
    kept = sorted({n for n in nodes if n})
    if nodes != nodes_to or not kept:
        message = f"its ends have the nodes {_shown(nodes)} and {_shown(nodes_to)}: phases that change are not read"
        reading.fault(element, message, "Give both ends the same nodes, of which one at least is a phase")
        return
    closed = enabled and is_closed(reading, element, len(nodes))
    phases = "".join(LETTER[node] for node in kept)
    engine.Lines.Name(name)
    length, n = engine.Lines.Length(), len(nodes)
    stretch = engine.Solution.Frequency() / reading.value("basefreq")
    matrices = [np.array(m()).reshape(n, n) for m in (engine.Lines.RMatrix, engine.Lines.XMatrix, engine.Lines.CMatrix)]
    r, x, c = (matrix * length for matrix in matrices)
    x = x * stretch
    b = c * (2.0 * math.pi * engine.Solution.Frequency() * 1e-3)  # nF to µS
    if enabled and closed and stretch != 1.0:  # the engine changes the earth return too
        r, x = _series(engine, n)
    r, x, b = _by_phase(np.array([[node == phase for phase in kept] for node in nodes], dtype=np.float64), r, x, b)
    kvar = float(b.trace()) * reading.phase_kv(fr) ** 2 * 1e-3
    if enabled and not closed and kvar and _hangs(reading):
        message = "it is open at one terminal; its charging, which stays at the other one, is left out"
        reading.note(element, message, f"What is read has {kvar:.2g} kvar less than the circuit", changes_figures=True)
    amps = engine.Lines.NormAmps()
    row: dict[str, Any] = {
        "name": reading.name(element),
        "from_bus": fr,
        "to_bus": to,
        "phases": phases,
        "i_max_a": None if amps in (0.0, NO_RATING_A) else amps,
        "emergency_loading_percent": _beyond(amps, engine.Lines.EmergAmps(), NO_EMERGENCY_A),
        "switchable": is_switch,
        "closed": closed,
    }
    kv = reading.bus_kv.get(fr, 1.0)
    if is_switch and np.abs(r + 1j * x).max() < SWITCH_PU * kv**2:
        reading.add("switches", **row)
    else:
        # A switch without a unit of length is short.
        metres = _METRES.get(int(engine.Lines.Units()), 0.0 if is_switch else None)
        reading.add(
            "lines",
            **row,
            r_ohm=triangle(r),
            x_ohm=triangle(x),
            b_us=triangle(b) if b.any() else [],
            length_km=None if metres is None else length * metres / 1000.0,
        )


def _by_phase(at: Floats, r: Floats, x: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
    """The matrices of a line by phase, where its conductors may share one or be grounded at both ends: exact.

    A grounded conductor and one in parallel add to the currents as Kron's reduction has it: with A (conductors, phases)
    the voltages of the conductors are A v, and 1 / Z becomes Aᵀ Z⁻¹ A.

    Args:
        at: (conductors, phases) 1 where a conductor is at a phase. r, x, b: (conductors, conductors).
    """
    n, m = at.shape
    if n == m and (at.sum(axis=0) == 1).all():  # in another order at most
        r, x, b = (at.T @ part @ at for part in (r, x, b))
        return r, x, b
    z: Complexes = np.linalg.inv(at.T @ np.linalg.inv(r + 1j * x) @ at).astype(np.complex128)
    return z.real, z.imag, at.T @ b @ at


def _series(engine: Any, n: int) -> tuple[Any, Any]:
    """(n, n) resistance and reactance of the active line from its admittances."""
    y = np.asarray(engine.CktElement.YPrim(), dtype=np.float64).view(np.complex128).reshape(2 * n, 2 * n)
    z = np.linalg.inv(y[:n, n:])
    both = -(z + z.T) / 2.0  # rounding leaves it a little unsymmetrical
    return both.real, both.imag


def is_closed(reading: Reading, element: str, n_phases: int) -> bool:
    """Whether no terminal is open; some phases open and some not is a fault."""
    is_open = reading.engine.CktElement.IsOpen
    states = [bool(is_open(1, k) or is_open(2, k)) for k in range(1, n_phases + 1)]
    if any(states) and not all(states):
        reading.fault(element, "some of its phases are open and some closed", "Write a line for each phase")
    return not any(states)


def _hangs(reading: Reading) -> bool:
    """Whether the active element is energised from one terminal."""
    is_open = reading.engine.CktElement.IsOpen
    return bool(is_open(1, 1)) != bool(is_open(2, 1))


def read_transformer(reading: Reading, element: str) -> None:
    """A transformer of two windings with its present taps."""
    engine, name = reading.engine, element.partition(".")[2]
    engine.Transformers.Name(name)
    if engine.Transformers.NumWindings() != 2:
        message = f"it has {engine.Transformers.NumWindings()} windings"
        remedy = "Replace it by transformers of two windings (a centre tap: by one winding of the full voltage)"
        reading.fault(element, message, remedy)
        return
    n = int(engine.CktElement.NumPhases())
    floating = _floats(reading, element)
    ends = [(bus, [*nodes[:3], 0]) for bus, nodes in reading.terminals(element)] if floating else reading.ends(element)
    if ends is None:
        return
    fr, to = (winding_of(engine, number, *end) for number, end in enumerate(ends, start=1))
    if floating:  # the same currents and voltages between lines as a delta beside a grounded wye
        fr, to = replace(fr, is_delta=to.is_delta), replace(to, is_delta=fr.is_delta)
        message = "a wye whose neutral floats, beside a delta, is read as a delta beside a grounded wye"
        reading.note(element, message, "Voltages to ground at its delta are those of a grounded neutral")
    connected = _connected(reading, element, fr, to, n)
    if connected is None:
        return
    phases, connection = connected
    closed = is_closed(reading, element, n)
    hv_leads = not reading.text("leadlag").lower().startswith(("lead", "euro"))
    shift = 30.0 if hv_leads == (fr.kv >= to.kv) else -30.0
    # All figures are per unit of the kVA of the first winding, the resistance of the second one as well.
    kva, x_pu = fr.kva, engine.Transformers.Xhl() / 100.0
    r_pu = (fr.r_percent + to.r_percent) / 100.0
    side, changer = _changer(reading, element, fr, to)
    idle = complex(reading.value("%noloadloss"), 0.0 - reading.value("%imag"))  # OpenDSS has it at the second winding
    if side == "to" and not idle:  # with the ratio at the from side the impedance does not move with the tap
        side = "from"
        fr, to, shift, connection = to, fr, -shift, "-".join(reversed(connection.split("-")))
    if side == "to":
        changer = {key: value for key, value in changer.items() if "hold" not in key}
    # OpenDSS counts per unit on the turns in use.
    z_base = (to.kv * to.tap) ** 2 * 1000.0 / kva * (1.0 if n == 1 else n / 3.0)
    line_to_line = math.sqrt(3.0) if n == 1 and connection == "wye-wye" else 1.0
    reading.add(
        "transformers",
        name=reading.name(element),
        from_bus=fr.bus,
        to_bus=to.bus,
        phases=phases,
        connection=connection,
        vn_from_kv=fr.kv * line_to_line * (1.0 if side == "from" else fr.tap),
        vn_to_kv=to.kv * line_to_line * (1.0 if side == "to" else to.tap),
        s_max_kva=reading.value("normhkva") or None,
        emergency_loading_percent=_beyond(reading.value("normhkva"), reading.value("emerghkva"), 1.5 * kva),
        r_ohm=r_pu * z_base,
        x_ohm=x_pu * z_base,
        g_us=idle.real * 1e4 / z_base,
        b_us=idle.imag * 1e4 / z_base,
        tap_side=side or "from",
        shift_degree=shift if connection in ("delta-wye", "wye-delta") else 0.0,
        switchable=element in reading.commanded,
        closed=closed,
        **changer,
    )


def _beyond(rated: float, emergency: float, default: float) -> float | None:
    """The loading of an emergency, % of the rating; None where OpenDSS says one by itself."""
    said = rated > 0.0 and emergency > 0.0 and abs(emergency - default) > 1e-9 * default
    return 100.0 * emergency / rated if said else None


def _floats(reading: Reading, element: str) -> bool:
    """Whether a transformer is a wye beside a delta, and its neutral touches nothing but neutrals of such ones.

    No current flows in it: of several at one neutral all would have to flow the same way.
    """
    neutral = _neutral_beside_delta(reading, element)
    if neutral is None:
        return False
    bus, _ = neutral
    reading.engine.Circuit.SetActiveBus(bus)
    here = (*reading.engine.Bus.AllPDEatBus(), *reading.engine.Bus.AllPCEatBus())
    others = [name.lower() for name in here if name and name.lower() not in ("none", element)]
    uses = [name for name in others if neutral in ((each, k) for each, at in reading.terminals(name) for k in at)]
    alike = all(_neutral_beside_delta(reading, name) == neutral for name in uses)
    reading.terminals(element)
    reading.engine.Transformers.Name(element.partition(".")[2])
    return alike


def _neutral_beside_delta(reading: Reading, element: str) -> tuple[str, int] | None:
    """Bus and node, above 3, of the neutral of a wye of three phases beside a delta; None of anything else."""
    ends, engine = reading.terminals(element), reading.engine
    if not element.startswith("transformer.") or len(ends) != 2 or engine.CktElement.NumPhases() != 3:
        return None
    engine.Transformers.Name(element.partition(".")[2])
    deltas = [winding_of(engine, k, *end).is_delta for k, end in enumerate(ends, start=1)]
    if deltas[0] == deltas[1]:
        return None
    bus, nodes = ends[deltas.index(False)]
    return (bus, nodes[3]) if nodes[3] > 3 else None


def winding_of(engine: Any, number: int, bus: str, nodes: list[int]) -> Winding:
    api = engine.Transformers
    api.Wdg(number)
    return Winding(
        *(bus, nodes, api.kV(), api.kVA(), api.R(), api.Tap(), bool(api.IsDelta()), int(api.NumTaps())),
        tap_low=api.MinTap(),
        tap_high=api.MaxTap(),
    )


def _connected(reading: Reading, element: str, fr: Winding, to: Winding, n: int) -> tuple[str, str] | None:
    """(phases, connection), or None and a fault."""
    words = []
    for winding in (fr, to):
        live, back = winding.nodes[:n], winding.nodes[n:]
        is_grounded = winding.is_delta or n == 1 or not any(back)
        if 0 in live or not is_grounded or len(set(live)) < n or (n == 1 and live == back):
            message = f"a winding at {winding.bus} has the nodes {_shown(winding.nodes)}: only grounded wyes are read"
            reading.fault(element, message, "Ground the neutral (node 0), or use a delta")
            return None
        words.append("delta" if (any(back) if n == 1 else winding.is_delta) else "wye")
    connection = "-".join(words)
    # A single phase may return through another phase; the shift of a delta depends on the order of its phases.
    same = fr.nodes == to.nodes if n == 1 else fr.nodes[:n] == to.nodes[:n]
    if not same or (n == 3 and "delta" in words and fr.nodes[:n] != [1, 2, 3]):
        message = f"its windings have the nodes {_shown(fr.nodes)} and {_shown(to.nodes)}"
        reading.fault(element, message, "Give both windings the same nodes, three phases as 1.2.3")
        return None
    if n == 2 and "delta" in words:
        reading.fault(element, "a delta of two phases is not read", "Write two transformers of a single phase")
        return None
    phases = sorted(node for node in (fr.nodes if n == 1 else fr.nodes[:n]) if node)
    return "".join(LETTER[node] for node in phases), connection


def _band(reading: Reading, element: str, number: int, winding: Winding) -> dict[str, Any]:
    """The columns of the voltage that a regulator holds at the winding whose taps it moves, which is the from side."""
    volts = reading.controlled[element, number]
    across = winding.is_delta or (len(set(winding.nodes)) == 2 and 0 not in winding.nodes)
    kv = reading.bus_kv[winding.bus] if across else reading.phase_kv(winding.bus)
    keys = "v_hold_min_pu", "v_hold_max_pu"
    return {"hold_side": "from", **{key: v / 1000.0 / kv for key, v in zip(keys, volts)}} if volts else {}


def _changer(reading: Reading, element: str, fr: Winding, to: Winding) -> tuple[str, dict[str, Any]]:
    """Winding (from or to) of the tap changer and its columns; none where no winding has one that matters."""
    for side, winding, number in (("to", to, 2), ("from", fr, 1)):
        if (element, number) in reading.controlled and (columns := winding.changer()):
            return side, columns | _band(reading, element, number, winding)
    for side, winding in (("to", to), ("from", fr)):  # what no regulator moves
        if abs(winding.tap - 1.0) > TAP_ACCURACY and (columns := winding.changer()):
            return side, columns | {"controllable": False}
    return "", {}


SHOWN_KW = 0.0005
"""Least loss of which a note shows a digit."""


def read_source(reading: Reading, element: str) -> None:
    """A voltage source: a bus of its own that holds the voltage, and its impedance as a line to the bus it feeds."""
    ends = reading.ends(element)
    if ends is None:
        return
    (bus, nodes), (_, back) = ends
    z1, z2, z0 = (complex(*numbers_of(reading.engine, name)) for name in ("z1", "z2", "z0"))
    if sorted(nodes) != [1, 2, 3] or nodes[0] != 1 or any(back) or nodes != [1, 2, 3]:
        message = f"a source between the nodes {_shown(nodes)} and {_shown(back)}"
        reading.fault(element, message, "Only sources of three phases, 1.2.3 to ground, are read")
        return
    if abs(z1 - z2) > 1e-9 * abs(z1):
        reading.fault(element, "its impedances of positive and negative sequence differ", "Leave out Z2")
        return
    vn = reading.bus_kv.get(bus, math.nan)
    kv, pu, angle = (reading.value(name) for name in ("basekv", "pu", "angle"))
    held = {"v_pu": pu * kv / vn, "angle_degree": angle}
    z = np.full((3, 3), (z0 - z1) / 3.0) + z1 * np.eye(3)
    if np.abs(z).max() <= STIFF_PU * vn**2:
        reading.add("sources", name=reading.name(element), bus=bus, **held)
        return
    reading.add("sources", name=reading.name(element), bus=element, **held)
    place = next((row for row in reading.tables["buses"] if row["name"] == bus), {})
    reading.add("buses", name=element, vn_kv=vn, phases="abc", x=place.get("x"), y=place.get("y"))
    own = {"r_ohm": triangle(z.real), "x_ohm": triangle(z.imag), "length_km": 0.0}
    reading.add("lines", name=element, from_bus=element, to_bus=bus, phases="abc", **own, switchable=False)
    i = np.asarray(reading.engine.CktElement.Currents(), dtype=np.float64).view(np.complex128)[:3]
    lost_kw = (i.conj() @ z @ i).real / 1000.0
    if lost_kw >= SHOWN_KW:
        message = f"its impedance loses {lost_kw:.3f} kW today, which are among the losses of the grid"
        remedy = "OpenDSS does not count them in `Losses`: add them there to compare"
        reading.note(element, message, remedy, changes_figures=True)


def triangle(matrix: Any) -> list[float]:
    """The lower triangle row by row."""
    return [float(matrix[i, j]) for i in range(len(matrix)) for j in range(i + 1)]


def _shown(nodes: list[int]) -> str:
    return ".".join(map(str, nodes))


# Relative difference of admittances attributed to rounding, and size below which an admittance counts as 0.
_ROUNDED = 1e-9


def read_reactor(reading: Reading, element: str) -> None:
    """A reactor, by its admittances in the engine."""
    ends = reading.ends(element)
    if ends is None:
        return
    engine = reading.engine
    bus, nodes = ends[0]
    y = np.asarray(engine.CktElement.YPrim(), dtype=np.float64).view(np.complex128)
    y = y.reshape(math.isqrt(y.size), -1)[: len(nodes), : len(nodes)]
    if len(ends) == 2 and any(ends[1][1]):
        if ends[1][0] != bus:
            _series_reactor(reading, element, ends, y)
            return
        if len(nodes) != 1:
            remedy = "Give two different buses, or ground it"
            reading.fault(element, "a reactor between nodes of the same bus", remedy)
            return
        _shunt(reading, element, bus, [*nodes, *ends[1][1]], (complex(y[0, 0]), 1, "delta"))
        return
    off = y[~np.eye(len(y), dtype=np.bool_)]
    size = np.abs(y).max()
    is_delta = reading.is_delta() and len(nodes) == 3
    shared = np.concatenate([y.diagonal() / (-2.0 if is_delta else 1.0), off if is_delta else []])
    if np.abs(shared - shared[0]).max() > _ROUNDED * size or (not is_delta and np.abs(off).max(initial=0.0) > 0):
        message = "a reactor whose phases differ or couple is not read"
        reading.fault(element, message, "Write one for each phase")
        return
    y_each = complex(-shared[0] if is_delta else shared[0])
    _shunt(reading, element, bus, nodes, (y_each, len(nodes), "delta" if is_delta else "wye"))


def _series_reactor(reading: Reading, element: str, ends: list[tuple[str, list[int]]], y: Complexes) -> None:
    (fr, nodes), (to, nodes_to) = ends
    if nodes != nodes_to or 0 in nodes or len(set(nodes)) < len(nodes):
        message = f"its ends have the nodes {'.'.join(map(str, nodes))} and {'.'.join(map(str, nodes_to))}"
        reading.fault(element, message, "Give both ends the same nodes, each once")
        return
    if np.abs(y - y.T).max() > _ROUNDED * np.abs(y).max():
        reading.fault(element, "its impedances of positive and negative sequence differ", "Leave out Z2")
        return
    order = np.argsort(nodes)
    z = np.linalg.inv(y)[np.ix_(order, order)]
    z[np.abs(z) <= _ROUNDED * np.abs(z).max()] = 0.0
    r = np.where(np.abs(z.real) <= _ROUNDED * np.abs(z).max(), 0.0, z.real)
    amps = reading.value("normamps")
    reading.add(
        "lines",
        name=reading.name(element),
        from_bus=fr,
        to_bus=to,
        phases="".join(LETTER[nodes[k]] for k in order),
        r_ohm=triangle(r),
        x_ohm=triangle(z.imag),
        i_max_a=None if amps in (0.0, NO_RATING_A) else amps,
        switchable=element in reading.switchable,
        length_km=0.0,
    )


def _shunt(reading: Reading, element: str, bus: str, nodes: list[int], each: tuple[complex, int, str]) -> None:
    """A load; `each` has the admittance of one of how many equal parts, and how these are connected."""
    y, parts, connection = each
    if 0 in nodes or len(set(nodes)) < len(nodes):
        message = f"its nodes {'.'.join(map(str, nodes))} are no set of phases"
        reading.fault(element, message, "Name its phases in the bus, as in bus1=name.1 or bus1=name.1.2.3")
        return
    kv = reading.bus_kv[bus] if connection == "delta" else reading.phase_kv(bus)
    s = y.conjugate() * kv**2 * 1000.0 * parts
    reading.add(
        "loads",
        name=element,
        bus=bus,
        phases="".join(LETTER[k] for k in sorted(nodes)),
        connection=connection,
        model="impedance",
        p_kw=max(s.real, 0.0),
        q_kvar=s.imag,
    )


_WITH_IDLE = 2


def read_windings(reading: Reading, element: str) -> None:
    """A transformer of two windings, or of three phases and three windings."""
    engine = reading.engine
    engine.Transformers.Name(element.partition(".")[2])
    if engine.Transformers.NumWindings() == 3 and engine.CktElement.NumPhases() == 3:
        _read_star(reading, element)
    else:
        read_transformer(reading, element)


def _read_star(reading: Reading, element: str) -> None:
    ends = reading.ends(element)
    if ends is None:
        return
    engine = reading.engine
    windings = [winding_of(engine, number, *end) for number, end in enumerate(ends, start=1)]
    for winding in windings:
        if winding.nodes[:3] != [1, 2, 3] or (not winding.is_delta and any(winding.nodes[3:])):
            message = f"a winding at {winding.bus} has the nodes {'.'.join(map(str, winding.nodes))}"
            reading.fault(
                element, message, "Of three windings give all the nodes 1.2.3, and ground the neutrals (node 0)"
            )
            return
    if not is_closed(reading, element, 3):
        reading.fault(element, "it has three windings and is open", "Disable it, or write transformers of two windings")
        return
    xhl, xht, xlt = (numbers / 100.0 for numbers in _reactances(engine))
    reactances = star_of(xhl, xlt, xht)
    if min(reactances) < 0:
        shown = ", ".join(f"{100.0 * x:g} %" for x in reactances)
        message = f"its three windings are a star of the reactances {shown}, and none may be negative"
        reading.fault(element, message, "Write transformers of two windings")
        return
    first, star = windings[0], f"{element} (star)"
    place = next((row for row in reading.tables["buses"] if row["name"] == first.bus), {})
    kv = reading.bus_kv[first.bus]
    reading.add("buses", name=star, vn_kv=kv, phases="abc", x=place.get("x"), y=place.get("y"))
    lead = _lead(reading, windings)
    for number, (winding, x_pu) in enumerate(zip(windings, reactances), start=1):
        z = complex(winding.r_percent / 100.0, x_pu)  # per unit of the kVA of the first winding
        _leg(reading, element, number, (winding, first), star, z, lead)


def _reactances(engine: Any) -> tuple[float, float, float]:
    return engine.Transformers.Xhl(), engine.Transformers.Xht(), engine.Transformers.Xlt()


def _leg(
    reading: Reading, element: str, number: int, pair: tuple[Winding, Winding], star: str, z: complex, lead: float
) -> None:
    """The transformer from a winding to the star, or the other way round for that with the magnetising branch."""
    winding, first = pair
    word = "delta" if winding.is_delta else "wye"
    changer = _changer_of_star(reading, element, number, winding)
    rated = winding.kv * (1.0 if changer else winding.tap)
    row: dict[str, Any] = {
        "name": f"{reading.name(element)} ({number})",
        "phases": "abc",
        "switchable": False,
        **changer,
    }
    turn = lead if winding.is_delta else 0.0
    rating = reading.value("normhkva") / (math.sqrt(3.0) * winding.kv) if number == 1 else 0.0
    row[f"i_max_{'from' if number != _WITH_IDLE else 'to'}_a"] = rating or None
    if number != _WITH_IDLE:
        z_base = first.kv**2 * 1000.0 / first.kva
        row |= {"from_bus": winding.bus, "to_bus": star, "vn_from_kv": rated, "vn_to_kv": first.kv}
        row |= {"connection": f"{word}-wye", "shift_degree": turn, "tap_side": "from"}
    else:
        z_base = (winding.kv * winding.tap) ** 2 * 1000.0 / first.kva
        row |= {"from_bus": star, "to_bus": winding.bus, "vn_from_kv": first.kv, "vn_to_kv": rated}
        row |= {"connection": f"wye-{word}", "shift_degree": -turn, "tap_side": "to"}
        row |= {"g_us": reading.value("%noloadloss") * 1e4 / z_base, "b_us": -reading.value("%imag") * 1e4 / z_base}
    reading.add("transformers", **row, r_ohm=z.real * z_base, x_ohm=z.imag * z_base)


def _changer_of_star(reading: Reading, element: str, number: int, winding: Winding) -> dict[str, Any]:
    """The columns of the tap changer of a winding; none where it has none that matters."""
    columns = winding.changer() or {}
    if (element, number) in reading.controlled:
        return columns
    return columns and (columns | {"controllable": False}) if abs(winding.tap - 1.0) > TAP_ACCURACY else {}


def _lead(reading: Reading, windings: list[Winding]) -> float:
    """By how many degrees the deltas lead the wyes; in OpenDSS the first two windings determine it."""
    first, second, _ = windings
    if first.is_delta == second.is_delta:
        return -30.0
    hv_leads = not reading.text("leadlag").lower().startswith(("lead", "euro"))
    of_first = 30.0 if hv_leads == (first.kv >= second.kv) else -30.0
    return of_first if first.is_delta else -of_first
