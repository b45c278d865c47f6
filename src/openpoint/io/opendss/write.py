"""A Grid as an OpenDSS circuit. Text only: the engine is not needed.

Names are made safe (`Names`); balanced grids are written with three equal phases without coupling. Generators are
written as loads of negative power, whose power OpenDSS keeps at every voltage. Sources and switches have the smallest
impedance that is numerically possible (`STIFF_OHM`): both differ from ideal ones by some 1e-8 pu at 1 MVA.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from openpoint.arrays import Complexes
from openpoint.errors import InputError, Problem
from openpoint.grid.devices import kvar_today
from openpoint.grid.grid import Grid
from openpoint.grid.rules.device_rules import refuse_held

# Impedance of a source or switch, in ohm over kV²: per unit of 1 MVA.
STIFF_OHM = 1e-8
FREQUENCY_HZ = 60.0
# Base of the per-unit figures of a transformer without rating.
NO_RATING_KVA = 1000.0
# Normal rating of a transformer in OpenDSS over the kVA of its first winding, unless a circuit says otherwise.
NORMAL = 1.1
# OpenDSS requires a leakage reactance.
_LEAST_X_PERCENT = 1e-7
_NODE = {"a": "1", "b": "2", "c": "3"}
_ANGLE = {"a": 0.0, "b": -120.0, "c": 120.0}
# Voltage below which a load of OpenDSS is an impedance by and by, unless its band reaches further down.
_LOW_PU = 0.5
_ANY_VOLTAGE = "vminpu=0 vlowpu=0 vmaxpu=10"
DEGREES = (
    {"power": 0, "current": 1, "impedance": 2, "cvr": 1},
    {"power": 0, "current": 1, "impedance": 2, "cvr": 2},
)
"""Power of the voltage with which active and reactive power of each load model go."""
_MODEL = {"power": "1", "impedance": "2", "current": "5", "cvr": "4 cvrwatts=1 cvrvars=2"}

Row = dict[str, Any]


@dataclass(frozen=True)
class Names:
    """Names in OpenDSS by name in the grid, per table; `load` covers loads and generators."""

    bus: dict[str, str]
    branch: dict[str, str]
    load: dict[str, str]
    generator: dict[str, str]
    capacitor: dict[str, str]
    source: dict[str, str]


def circuit_text(grid: Grid) -> str:
    """The whole grid as a `.dss` file; open branches are disabled switches, lines open at one end open terminals.

    Raises:
        InputError: the grid has faults, or something that OpenDSS does not have.
    """
    grid.check()
    refuse_held(grid)
    names = safe_names(grid)
    parts = [f"! {grid.name}: {grid.title}".replace("\n", " "), f"! {grid.source}".replace("\n", " "), "Clear"]
    parts += circuit_statements(grid)
    parts += [text for elements in source_statements(grid, names) for _, text in elements]
    branches = list(branch_statements(grid, names))
    hanging = _open_terminals(grid, names)
    parts += [f"{text}{'' if closed or element in hanging else ' enabled=no'}" for element, closed, text in branches]
    parts += _switch_controls(grid, [element for element, _, _ in branches])
    parts += _tap_controls(grid, [element for element, _, _ in branches])
    parts += [text for _, text in load_statements(grid, names)]
    parts += [text for _, text in generator_statements(grid, names)]
    parts += [text for _, text in capacitor_statements(grid, names)]
    parts += base_statements(grid, names)
    parts += [f"Open {element} {terminal}" for element, terminal in hanging.items()]
    return "\n".join((*parts, "Set ControlMode=off", "Solve")) + "\n"


def safe_names(grid: Grid) -> Names:
    """Letters, digits, `_` and `-` only, unique without regard to upper and lower case."""
    loads = _unique([*grid.loads["name"], *(f"generator {n}" for n in grid.generators["name"])])
    n = grid.loads.height
    return Names(
        bus=_by_name(grid.buses["name"]),
        branch=_by_name(grid.branches()["name"]),
        load=dict(zip(grid.loads["name"], loads[:n])),
        generator=dict(zip(grid.generators["name"], loads[n:])),
        capacitor=_by_name(grid.capacitors["name"]),
        source=_by_name(grid.sources["name"]),
    )


def circuit_statements(grid: Grid) -> list[str]:
    """A circuit without anything in it."""
    # The default source of a circuit is disabled: the sources of the grid have their own names and phases.
    head = f"New Circuit.{_safe(grid.name)} basekv=1 bus1=_none"
    return [f"Set DefaultBaseFrequency={FREQUENCY_HZ:g}", head, "Vsource.source.enabled=no"]


def source_statements(grid: Grid, names: Names) -> list[list[tuple[str, str]]]:
    """(element, statement) of the elements of every source of the grid."""
    phases_of = dict(grid.buses.select("name", "phases").iter_rows())
    rows = grid.sources.select("name", "bus", "v_pu", "angle_degree").iter_rows()
    return [
        source_elements(grid, names, f"s_{names.source[name]}", bus, phases_of[bus], v, angle)
        for name, bus, v, angle in rows
    ]


def source_elements(
    grid: Grid, names: Names, name: str, bus: str, phases: str, v_pu: float, angle: float
) -> list[tuple[str, str]]:
    """(element, statement) of stiff sources that hold balanced voltages in the phases of a bus.

    One element for three phases, else one a phase.
    """
    kv = float(grid.buses.filter(name=bus)["vn_kv"].item())
    z = f"[0 {_number(STIFF_OHM * kv**2)}]"
    if phases in ("abc", "1"):
        at = f"bus1={names.bus[bus]}.1.2.3 phases=3 basekv={_number(kv)} angle={_number(angle)}"
        return [(f"Vsource.{name}", f"New Vsource.{name} {at} pu={_number(v_pu)} z1={z} z2={z} z0={z}")]
    held = f"basekv={_number(kv / math.sqrt(3.0))} pu={_number(v_pu)} z1={z} z2={z} z0={z}"
    return [
        (f"Vsource.{name}_{p}", f"New Vsource.{name}_{p} bus1={names.bus[bus]}.{_NODE[p]} phases=1 {held}{turned}")
        for p in phases
        for turned in [f" angle={_number(angle + _ANGLE[p])}"]
    ]


def branch_statements(grid: Grid, names: Names) -> Iterator[tuple[str, bool, str]]:
    """(element, closed, statement) of every branch in the order of `Grid.branches`.

    Raises:
        InputError: a line with a shunt conductance, which OpenDSS does not have.
    """
    level = dict(grid.buses.select("name", "vn_kv").iter_rows())
    bad = [name for name, g in grid.lines.select("name", "g_us").iter_rows() if any(g)]
    if bad:
        remedy = "Write it as loads of model impedance at both ends"
        raise InputError([Problem("lines", n, "g_us", "lines of OpenDSS have no conductance", remedy) for n in bad])
    for row in grid.lines.iter_rows(named=True):
        b_us = row["b_us"] or [0.0] * len(row["r_ohm"])
        c_nf = [b / (2.0 * math.pi * FREQUENCY_HZ * 1e-3) for b in b_us]
        matrices = [_lower(m, row["phases"]) for m in (row["r_ohm"], row["x_ohm"], c_nf)]
        yield _line(row, names, "rmatrix={} xmatrix={} cmatrix={}".format(*matrices))
    for row in grid.switches.iter_rows(named=True):
        r = _number(STIFF_OHM * level[row["from_bus"]] ** 2)
        # A line with switch=yes uses its sequence impedances and ignores its matrices.
        yield _line(row, names, f"switch=yes r1={r} r0={r} x1=0 x0=0 c1=0 c0=0")
    for row in grid.transformers.iter_rows(named=True):
        yield _transformer(row, names)


def _open_terminals(grid: Grid, names: Names) -> dict[str, int]:
    """The terminal, by element, at which a line is open that stays under voltage from its other end."""
    rows = grid.lines.filter(~pl.col("closed"), pl.col("open_end") != "both").select("name", "open_end").iter_rows()
    return {f"Line.{names.branch[name]}": ("from", "to").index(end) + 1 for name, end in rows}


def _switch_controls(grid: Grid, elements: list[str]) -> Iterator[str]:
    """Switch controls, which mark lines and transformers as switchable; switches need none."""
    rows = grid.branches().select("kind", "switchable").iter_rows()
    for k, (element, (kind, switchable)) in enumerate(zip(elements, rows, strict=True), start=1):
        if switchable and kind != "switches":
            yield f"New SwtControl.switch_{k} SwitchedObj={element} SwitchedTerm=1 Normal=closed State=closed Lock=yes"


def _tap_controls(grid: Grid, elements: list[str]) -> Iterator[str]:
    """Regulators that do nothing, which mark the tap changers that may be set."""
    start = grid.lines.height + grid.switches.height
    for k, (element, row) in enumerate(zip(elements[start:], grid.transformers.iter_rows(named=True)), start=1):
        if row["controllable"] and row["tap_min"] < row["tap_max"] and row["tap_step_percent"]:
            held = f"transformer={element.partition('.')[2]} winding={_tapped(row) + 1}"
            if row["v_hold_min_pu"] is not None and row["hold_side"] == row["tap_side"]:
                kv = dict(grid.buses.select("name", "vn_kv").iter_rows())[row[f"{row['hold_side']}_bus"]]
                across = 1000.0 * kv / (1.0 if _windings(row).split("-")[_tapped(row)] == "delta" else math.sqrt(3.0))
                low, high = row["v_hold_min_pu"] * across, row["v_hold_max_pu"] * across
                held += f" vreg={_number(0.5 * (low + high))} band={_number(high - low)} ptratio=1"
            yield f"New RegControl.tap_{k} {held} enabled=no"


def _line(row: Row, names: Names, impedance: str) -> tuple[str, bool, str]:
    element = f"Line.{names.branch[row['name']]}"
    nodes = _nodes(row["phases"])
    ends = f"bus1={names.bus[row['from_bus']]}{nodes} bus2={names.bus[row['to_bus']]}{nodes}"
    rating = "" if row["i_max_a"] is None else f" normamps={_number(row['i_max_a'])}"
    rating += _beyond(row, "emergamps", row["i_max_a"])
    statement = f"New {element} phases={nodes.count('.')} {ends} {impedance} length=1 units=none{rating}"
    return element, row["closed"], statement


def tap_statement(row: Row, names: Names) -> str:
    """A statement that moves the tap changer of a transformer in a circuit to where the row has it."""
    to_tap, tapped = _turns(row), _tapped(row)
    parts = [f"Edit Transformer.{names.branch[row['name']]} {_leakage(row)}"]
    parts += [f"wdg={k + 1} {_resistance(row)}{f' tap={_number(to_tap)}' if k == tapped else ''}" for k in (0, 1)]
    return " ".join(parts)


def _transformer(row: Row, names: Names) -> tuple[str, bool, str]:
    element = f"Transformer.{names.branch[row['name']]}"
    nodes, connection, n = _nodes(row["phases"]), _windings(row), _phase_count(row)
    kvs, kva = _rated_kv(row), _rated_kva(row)
    low, high = (_turns(row, row[key]) for key in ("tap_min", "tap_max"))
    tap, tapped = _turns(row), _tapped(row)
    steps = row["tap_max"] - row["tap_min"] if row["tap_step_percent"] else 0
    ends = f"mintap={_number(min(low, high))} maxtap={_number(max(low, high))}"
    changer = f" {ends} numtaps={steps} tap={_number(tap)}" if steps else f" mintap=0.1 maxtap=10 tap={_number(tap)}"
    hv_leads = (row["shift_degree"] > 0) == (kvs[0] >= kvs[1])
    head = f"New {element} phases={n} windings=2"
    parts = [f"{head} {_leakage(row)} leadlag={'lag' if hv_leads else 'lead'}"]
    for k, (bus, conn) in enumerate(zip((row["from_bus"], row["to_bus"]), connection.split("-"), strict=True)):
        parts.append(
            f"wdg={k + 1} bus={names.bus[bus]}{nodes} conn={conn} kv={_number(kvs[k])} kva={_number(kva)} "
            f"{_resistance(row)}{changer if k == tapped else ''}"
        )
    parts.append(f"normhkva={_number(_rating(row) or 0.0)}")  # the last, since the kVA of a winding sets it, too
    parts.append(_beyond(row, "emerghkva", _rating(row)).strip())
    return element, row["closed"], " ".join(parts)


def _beyond(row: Row, name: str, rating: float | None) -> str:
    """What an emergency allows, where the row says it."""
    percent = row["emergency_loading_percent"]
    return "" if percent is None or not rating else f" {name}={_number(percent / 100.0 * rating)}"


def _windings(row: Row) -> str:
    """Connection; of a balanced grid neither connection nor shift matters to anything but angles."""
    return "wye-wye" if row["phases"] == "1" else str(row["connection"])


def _is_line_to_line(row: Row) -> bool:
    """Whether it is one winding between two lines."""
    return _windings(row) == "delta-delta" and len(row["phases"]) == 2


def _phase_count(row: Row) -> int:
    return 1 if _is_line_to_line(row) else _nodes(row["phases"]).count(".")


def _tapped(row: Row) -> int:
    """Number of the winding with the tap changer, from 0."""
    return ("from", "to").index(row["tap_side"])


def _turns(row: Row, position: int | None = None) -> float:
    """Ratio of the tapped winding at a tap position, today's unless given."""
    position = row["tap_pos"] if position is None else position
    return 1.0 + float((position - row["tap_neutral"]) * row["tap_step_percent"]) / 100.0


def _rated_kv(row: Row) -> tuple[float, float]:
    to_winding = 1.0 / math.sqrt(3.0) if _phase_count(row) == 1 and not _is_line_to_line(row) else 1.0
    return row["vn_from_kv"] * to_winding, row["vn_to_kv"] * to_winding


def _rating(row: Row) -> float | None:
    """Rating in kVA: OpenDSS has one of the transformer, so that of the winding with the lesser one."""
    known = [] if row["s_max_kva"] is None else [row["s_max_kva"]]
    count = 1.0 if _is_line_to_line(row) else _phase_count(row) / math.sqrt(3.0 if _phase_count(row) > 1 else 1.0)
    for end, kv in zip(("from", "to"), _rated_kv(row), strict=True):
        if row[f"i_max_{end}_a"] is not None:
            known.append(row[f"i_max_{end}_a"] * kv * count)
    return min(known, default=None)


def _rated_kva(row: Row) -> float:
    rating = _rating(row)
    return NO_RATING_KVA if rating is None else rating / NORMAL


def _base_ohm(row: Row) -> float:
    """Base of the per-unit figures, which OpenDSS counts on the turns in use."""
    n = _phase_count(row)
    kv = _rated_kv(row)[1] * (_turns(row) if _tapped(row) else 1.0)
    return kv**2 * 1000.0 / _rated_kva(row) * (1.0 if n == 1 else n / 3.0)


def _leakage(row: Row) -> str:
    """Leakage reactance and magnetising branch."""
    base = _base_ohm(row)
    x = max(100.0 * row["x_ohm"] / base, _LEAST_X_PERCENT)
    idle = f"%noloadloss={_number(1e-4 * row['g_us'] * base)} %imag={_number(-1e-4 * row['b_us'] * base)}"
    return f"xhl={_number(x)} {idle}"


def _resistance(row: Row) -> str:
    """Resistance of either winding."""
    return f"%r={_number(100.0 * row['r_ohm'] / _base_ohm(row) / 2.0)}"


def load_statements(grid: Grid, names: Names) -> Iterator[tuple[str, str]]:
    """(element, statement) of every load."""
    level = dict(grid.buses.select("name", "vn_kv").iter_rows())
    rated = rated_share(grid)
    for k, row in enumerate(grid.loads.iter_rows(named=True)):
        low, high = row["v_min_pu"], row["v_max_pu"]
        band = _ANY_VOLTAGE
        model = f"model={_MODEL[row['model']]}"
        of_bus = 1.0
        if low is not None or high is not None:
            of_bus = row["v_rated_pu"]
            low, high = (low or 0.0) / of_bus, 10.0 if high is None else high / of_bus
            band = f"vminpu={_number(low)} vmaxpu={_number(high)}"
            if row["model"] == "impedance":  # model 2 has no voltage band
                model = "model=4 cvrwatts=2 cvrvars=2"
            if not low:
                band += " vlowpu=0"
            elif low <= _LOW_PU:
                band += f" vlowpu={_number(low / 2.0)}"
        element = f"Load.{names.load[row['name']]}"
        power = _power(row["p_kw"] * rated[k].real, row["q_kvar"] * rated[k].imag)
        yield element, f"New {element} {_at(row, names, level, of_bus=of_bus)} {model} {power} {band}"


def rated_share(grid: Grid) -> Complexes:
    """(loads) power of each load at its rated voltage over that at the nominal one of its bus, active and reactive.

    Of a load without a band it is 1: its model holds at every voltage.
    """
    banded = grid.loads["v_min_pu"].is_not_null() | grid.loads["v_max_pu"].is_not_null()
    of_bus = np.where(banded.to_numpy(), grid.loads["v_rated_pu"].to_numpy(), 1.0)
    p, q = (np.array([degrees[model] for model in grid.loads["model"]], dtype=np.int64) for degrees in DEGREES)
    return np.asarray(of_bus**p + 1j * of_bus**q)


def generator_statements(grid: Grid, names: Names) -> Iterator[tuple[str, str]]:
    """(element, statement) of every generator, as a load of negative power."""
    level = dict(grid.buses.select("name", "vn_kv").iter_rows())
    for row in grid.generators.iter_rows(named=True):
        element = f"Load.{names.generator[row['name']]}"
        power = _power(-row["p_kw"], -row["q_kvar"])
        yield element, f"New {element} {_at(row, names, level)} model=1 {power} {_ANY_VOLTAGE}"


def capacitor_statements(grid: Grid, names: Names) -> Iterator[tuple[str, str]]:
    """(name, statement) of every capacitor."""
    level = dict(grid.buses.select("name", "vn_kv").iter_rows())
    for row in grid.capacitors.iter_rows(named=True):
        element = f"Capacitor.{names.capacitor[row['name']]}"
        yield row["name"], f"New {element} {_at(row, names, level, capacitor=True)} {_steps(row)}"


def steps_statement(row: Row, names: Names) -> str:
    """A statement that sets the steps of a capacitor in a circuit to those that the row has on."""
    return f"Edit Capacitor.{names.capacitor[row['name']]} {_steps(row)}"


def _steps(row: Row) -> str:
    n, on, q = row["steps"], row["steps_on"], row["q_kvar"]
    # OpenDSS counts the second step of a delta twice, and so on, and takes every step to be as large as the first.
    if on and (row["levels_kvar"] or (row["connection"] == "delta" and on > 1)):
        n, on, q = 1, 1, kvar_today(row)
    kvar = " ".join([_number(q / n)] * n)
    return f"numsteps={n} kvar=[{kvar}] states=[{' '.join('1' if k < on else '0' for k in range(n))}]"


def base_statements(grid: Grid, names: Names) -> list[str]:
    """Nominal voltages of the buses, after all else."""
    rows = grid.buses.select("name", "vn_kv").iter_rows()
    return ["MakeBusList", *(f"SetkVBase bus={names.bus[name]} kvll={_number(kv)}" for name, kv in rows)]


def _at(row: Row, names: Names, level: dict[str, float], *, capacitor: bool = False, of_bus: float = 1.0) -> str:
    """Bus, phases, connection and rated voltage, which is `of_bus` times the nominal one."""
    bus, phases, delta = row["bus"], row["phases"], row["connection"] == "delta" and row["phases"] != "1"
    kv = level[bus] * of_bus
    if delta and len(phases) == 2:
        nodes = [_NODE[p] for p in phases]
        if capacitor:  # one phase between two nodes
            return f"bus1={names.bus[bus]}.{nodes[0]} bus2={names.bus[bus]}.{nodes[1]} phases=1 kv={_number(kv)}"
        return f"bus1={names.bus[bus]}.{'.'.join(nodes)} phases=1 conn=delta kv={_number(kv)}"
    nodes_text = _nodes(phases)
    n = nodes_text.count(".")
    kv = kv / math.sqrt(3.0) if n == 1 else kv
    return f"bus1={names.bus[bus]}{nodes_text} phases={n} conn={'delta' if delta else 'wye'} kv={_number(kv)}"


def _power(p_kw: float, q_kvar: float) -> str:
    return f"kw={_number(p_kw)} kvar={_number(q_kvar)}"


def _nodes(phases: str) -> str:
    return ".1.2.3" if phases == "1" else "".join(f".{_NODE[p]}" for p in phases)


def _lower(triangle: list[float], phases: str) -> str:
    """A matrix from its lower triangle; of a balanced grid three equal phases that do not couple."""
    if phases == "1":
        triangle = [triangle[0], 0.0, triangle[0], 0.0, 0.0, triangle[0]]
    rows, k, n = [], 0, 1
    while k < len(triangle):
        rows.append(" ".join(_number(v) for v in triangle[k : k + n]))
        k, n = k + n, n + 1
    return f"({' | '.join(rows)})"


def _number(value: float) -> str:
    return repr(float(value))


def _safe(name: str) -> str:
    return re.sub(r"[^a-z0-9_-]", "_", name.lower()) or "_"


def _unique(names: Iterable[str]) -> list[str]:
    taken: set[str] = {"source", "_none"}
    result = []
    for name in names:
        candidate, k = _safe(name), 1
        while candidate in taken:
            k += 1
            candidate = f"{_safe(name)}_{k}"
        taken.add(candidate)
        result.append(candidate)
    return result


def _by_name(names: Iterable[str]) -> dict[str, str]:
    listed = list(names)
    return dict(zip(listed, _unique(listed)))
