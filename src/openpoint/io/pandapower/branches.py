"""Lines, transformers and switches of a pandapower net.

- A line with switches is switchable, and closed if all its switches are; one without is neither. A transformer is
  closed if all its switches are, and never switchable: breakers on both sides do not say that it may be taken out. In a
  net without any switch every line is switchable, and the lines out of service are the open ones (published benchmark
  grids are written so): otherwise nothing would be left to decide.
- A line that is open at one end is under voltage from the other, as in pandapower: `open_end` says where it opens. That
  is where it is open today; of a closed line where its switch is, and the to end where it has one at both.
  `switch_ends` says where all of its switches are. Where the bus at its end is out of service a line is open for good.
- A bus-bus switch is a switch without impedance, or a line of its `z_ohm`, split with pandapower's r/x ratio of 2. It
  is switchable if it is the switch of one line: the bus at one of its ends has this line and nothing else. Any other
  one couples busbars, or leads to a transformer or source, and keeps its state unless it is asked for by name.

Transformers are in `openpoint.io.pandapower.transformers`, impedances between buses in `equivalents`.

Elements of a pandapower net that stand for others: impedances between buses, wards, and motors as loads.

- An impedance is a line, between two voltage levels a transformer of the nominal ratio, in per unit as `runpp` has it.
  It is no switch, so nothing opens it unless it is asked for by name. One that differs by direction is refused.
- A ward is a load of constant power and one of constant impedance.
- An extended ward has a generator besides, which holds its voltage behind its impedance, at a bus `… (inner)`.
- A motor is a load of constant power.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from openpoint.io.pandapower.reading import (
    NO_LIMIT_KA,
    Net,
    Reading,
    Row,
    is_closed,
    is_missing,
    names,
    route_of,
    state_of,
    switches_of,
    truth,
)
from openpoint.io.pandapower.transformers import SIDES, leg_name, note_tables, read_three_windings, read_transformer

_ONE_WAY = "Give both directions one impedance and both ends one shunt, or replace it by a line and loads"
_CELLS = (("r", ("ft", "tf"), None), ("x", ("ft", "tf"), None), ("g", ("f", "t"), 0.0), ("b", ("f", "t"), 0.0))
_POWERS = ("ps_mw", "qs_mvar", "pz_mw", "qz_mvar")


def read_impedance(reading: Reading, row: Row, name: str) -> None:
    """Add an impedance between two buses."""
    ends = [reading.bus("impedance", row, column) for column in ("from_bus", "to_bus")]
    given = {
        letter: [reading.number("impedance", row, f"{letter}{way}_pu", instead) for way in ways]
        for letter, ways, instead in _CELLS
    }
    sn = reading.number("impedance", row, "sn_mva") or math.nan
    for letter, (there, back) in given.items():
        if there != back and not math.isnan(there - back):
            message = f"{letter} differs from one direction to the other: {there:g} and {back:g} pu"
            reading.fault("impedance", row, f"{letter}ft_pu" if letter in "rx" else f"{letter}f_pu", message, _ONE_WAY)
            return
    if ends[0] is None or ends[1] is None:
        return
    kv = reading.bus_kv[ends[0]], reading.bus_kv[ends[1]]
    base = kv[1] * kv[1] / sn
    r, x = (given[letter][0] * base for letter in "rx")
    g, b = (2e6 * given[letter][0] / (base or math.nan) for letter in "gb")
    both = {"name": name, "from_bus": reading.bus_names[ends[0]], "to_bus": reading.bus_names[ends[1]]}
    if kv[0] == kv[1]:
        shunt = {"g_us": [g] if g else [], "b_us": [b] if b else []}
        reading.add("lines", **both, r_ohm=[r], x_ohm=[x], **shunt, switchable=False, length_km=0.0)
    else:
        rated = {"vn_from_kv": kv[0], "vn_to_kv": kv[1], "g_us": g, "b_us": b}
        reading.add("transformers", **both, r_ohm=r, x_ohm=x, **rated)


def read_wards(reading: Reading) -> None:
    """Add wards, extended wards and motors."""
    tables = {table: reading.net.live(table) for table in ("ward", "xward", "motor")}
    named = names(list(tables.items()))
    made = {row["index"]: row for row in reading.net.rows("res_xward")}
    for table, rows in tables.items():
        for row in rows:
            bus = reading.bus(table, row)
            if bus is None:
                continue
            name = named[table, row["index"]]
            if table == "motor":
                _load(reading, name, bus, *_motor(reading, row))
                continue
            p, q, p_z, q_z = (reading.number(table, row, column) for column in _POWERS)
            _load(reading, name, bus, p, q)
            _load(reading, f"{name} (impedance)", bus, p_z, q_z, model="impedance")
            if table == "xward":
                _inner(reading, row, name, bus, made.get(row["index"], {}))


def _load(reading: Reading, name: str, bus: int, p_mw: float, q_mvar: float, model: str = "power") -> None:
    """Add a load, or a fixed generator where constant power is fed in."""
    power, place = {"p_kw": 1e3 * p_mw, "q_kvar": 1e3 * q_mvar}, reading.bus_names[bus]
    if p_mw < 0 and model == "power":
        reading.add("generators", name=name, bus=place, **{key: -value for key, value in power.items()})
    elif p_mw or q_mvar:
        reading.add("loads", name=name, bus=place, model=model, **power)


def _motor(reading: Reading, row: Row) -> tuple[float, float]:
    """Active and reactive power in MW and Mvar."""
    loading = reading.number("motor", row, "loading_percent", 100.0) / 100.0
    efficiency = reading.number("motor", row, "efficiency_percent", 100.0) / 100.0 or math.nan
    p = reading.number("motor", row, "pn_mech_mw") / efficiency * loading * reading.number("motor", row, "scaling", 1.0)
    cos_phi = reading.number("motor", row, "cos_phi")
    if not math.isnan(cos_phi) and not 0.0 < cos_phi <= 1.0:
        reading.fault("motor", row, "cos_phi", f"{cos_phi:g} does not lie above 0 and up to 1", "Correct it")
        return math.nan, math.nan
    return p, p * math.sqrt(1.0 / cos_phi**2 - 1.0)


def _inner(reading: Reading, row: Row, name: str, bus: int, made: Row) -> None:
    """The voltage behind an impedance of an extended ward."""
    z = complex(reading.number("xward", row, "r_ohm"), reading.number("xward", row, "x_ohm"))
    inner = f"{name} (inner)"
    reading.add("buses", name=inner, vn_kv=reading.bus_kv[bus])
    ends = {"from_bus": reading.bus_names[bus], "to_bus": inner}
    line = {"r_ohm": [z.real], "x_ohm": [z.imag], "switchable": False, "length_km": 0.0}
    reading.add("lines", name=f"{name} (line)", **ends, **line)
    v = reading.number("xward", row, "vm_pu")
    q = _inner_kvar(reading, row, z, reading.bus_kv[bus], made)
    reading.add("generators", name=inner, bus=inner, p_kw=0.0, q_kvar=q, v_pu=v)


def _inner_kvar(reading: Reading, row: Row, z: complex, vn_kv: float, made: Row) -> float:
    """The reactive power that holds the voltage, as the last power flow of the file has it; 0 where it has none."""
    if any(is_missing(made.get(column)) for column in ("p_mw", "q_mvar", "vm_pu")):
        message = "its reactive power is not in the file, and taken as 0 where it does not hold its voltage"
        reading.note("xward", row, "", message, "Run the power flow in pandapower before writing the file")
        return 0.0
    p, q, v = (reading.number("res_xward", made, column) for column in ("p_mw", "q_mvar", "vm_pu"))
    static_p, static_q, p_z, q_z = (reading.number("xward", row, column) for column in _POWERS)
    into = complex(p - static_p - p_z * v * v, q - static_q - q_z * v * v)
    current_squared = abs(into) ** 2 / ((v * vn_kv) ** 2 or math.nan)
    return -1e3 * (into - z * current_squared).imag


SWITCH_RX_RATIO = 2.0
_OUT_OF_SERVICE = "What may be switched needs a switch of type 'l' (lines) or 't' (transformers) and in_service"


def read_branches(reading: Reading) -> None:
    """Add lines, switches and transformers to the tables."""
    net = reading.net
    couplers, plain, all_lines = _couplers(net), not net.rows("switch"), _lines(net)
    named = branch_names(net)
    for row in net.rows("switch"):
        if row.get("et") not in ("b", "l", "t", "t3"):
            remedy = "Write 'b' (bus), 'l' (line) or 't' (transformer)"
            reading.fault("switch", row, "et", f"{row.get('et')!r} is no kind of switch", remedy)
    lines = switches_of(net, "l")
    if plain:
        message = "the net has no switches: every line is taken as switchable, one out of service as open"
        reading.note(
            "switch",
            None,
            "",
            message,
            "Add switches of type 'l' to say which lines may be switched",
            changes_figures=True,
        )
    else:
        reading.left_out("line", _OUT_OF_SERVICE)
    reading.left_out("trafo", _OUT_OF_SERVICE)
    reading.left_out("trafo3w", _OUT_OF_SERVICE)
    reading.left_out("impedance", _OUT_OF_SERVICE)
    note_tables(reading)
    old_routes = {row["index"]: row for row in net.rows("line_geodata")}
    for row in all_lines:
        state = _plain_state(row) if plain else _line_state(reading, row, lines.get(row["index"], []))
        _line(reading, row, named["line", row["index"]], state, old_routes.get(row["index"]))
    _note_both_ends(reading, all_lines, lines)
    ends_of_lines = _ends_of_lines(reading, all_lines)
    for row in couplers:
        _coupler(reading, row, named["switch", row["index"]], ends_of_lines)
    trafos = switches_of(net, "t")
    for row in net.live("trafo"):
        read_transformer(reading, row, named["trafo", row["index"]], trafos.get(row["index"], []))
    read_three_windings(reading, named)
    for row in net.live("impedance"):
        read_impedance(reading, row, named["impedance", row["index"]])


def branch_names(net: Net) -> dict[tuple[str, int], str]:
    """The names of branches by table and index; the legs of three windings have the tables `trafo3w hv` and so on."""
    tables = [(table, net.live(table)) for table in ("trafo", "trafo3w", "impedance")]
    named = names([("line", _lines(net)), ("switch", _couplers(net)), *tables])
    whole = {key: name for key, name in named.items() if key[0] == "trafo3w"}
    legs = {(f"trafo3w {side}", index): leg_name(name, side) for (_, index), name in whole.items() for side in SIDES}
    return {key: name for key, name in named.items() if key not in whole} | legs


def _lines(net: Net) -> list[Row]:
    """Lines that may be closed: without any switch in the net also those out of service."""
    return net.live("line") if net.rows("switch") else net.rows("line")


def _couplers(net: Net) -> list[Row]:
    return [row for row in net.rows("switch") if row.get("et") == "b"]


def _plain_state(row: Row) -> Row:
    """Of a line in a net without switches: out of service it is open at both ends."""
    return {"switchable": True, "closed": truth(row.get("in_service"), instead=True)}


def _line_state(reading: Reading, line: Row, switches: list[Row]) -> Row:
    """Whether a line is switchable and closed, by its switches, and where it opens."""
    ends = {line.get("from_bus"): "from", line.get("to_bus"): "to"}
    for row in switches:
        if row.get("bus") not in ends:
            message = f"bus {row.get('bus')} is at no end of line {line['index']}"
            reading.fault("switch", row, "bus", message, "Name the bus at the end of the line where the switch is")
    state = state_of(switches)
    places = {ends[row["bus"]] for row in switches if row.get("bus") in ends}
    state["switch_ends"] = "both" if len(places) == 2 else next(iter(places), "none")
    opening = switches if state["closed"] else [row for row in switches if not is_closed(row)]
    at = {ends.get(row.get("bus"), "") for row in opening}
    if at == {"from"}:
        state["open_end"] = "from"
    elif "to" in at and (state["closed"] or len(at) == 1):
        state["open_end"] = "to"
    return state


def _line_ends(reading: Reading, row: Row, name: str, state: Row) -> tuple[str, str] | None:
    """The buses of a line. An end whose bus is out of service gets one of its own: there the line is always open."""
    known = [reading.bus("line", row, column) for column in ("from_bus", "to_bus")]
    buses = ["" if bus is None else reading.bus_names[bus] for bus in known]
    live = [bus for bus in known if bus is not None]
    if len(live) == 1:
        dead = not state["closed"] and state.get("open_end", "both") in ("both", ("from", "to")[known.index(live[0])])
        if dead or not _charges(reading, row):
            return None
        state.update(switchable=False, closed=True, open_end="both")
        buses[known.index(None)] = f"{name} (open end)"
        reading.add("buses", name=f"{name} (open end)", vn_kv=reading.bus_kv[live[0]])
    return (buses[0], buses[1]) if live else None


def _line(reading: Reading, row: Row, name: str, state: Row, old: Row | None) -> None:
    """Add a line; `old`: its row of `line_geodata`."""
    ends = _line_ends(reading, row, name, state)
    if ends is None:
        return
    km = reading.number("line", row, "length_km")
    parallel = reading.number("line", row, "parallel", 1.0) or math.nan
    omega = 2.0 * math.pi * _frequency(reading)
    r = reading.number("line", row, "r_ohm_per_km") * km / parallel
    x = reading.number("line", row, "x_ohm_per_km") * km / parallel
    b = omega * reading.number("line", row, "c_nf_per_km", 0.0) * 1e-3 * km * parallel
    g = reading.number("line", row, "g_us_per_km", 0.0) * km * parallel
    i_ka = reading.optional("line", row, "max_i_ka")
    limit = None if i_ka is None or i_ka >= NO_LIMIT_KA else i_ka * 1000.0 * reading.systems("line", row)
    reading.add(
        "lines",
        name=name,
        from_bus=ends[0],
        to_bus=ends[1],
        r_ohm=[r],
        x_ohm=[x],
        g_us=[g] if g else [],
        b_us=[b] if b else [],
        i_max_a=limit,
        **reading.planned("line", row),
        length_km=km,
        route=route_of(row.get("geo"), old, (reading.places.get(ends[0]), reading.places.get(ends[1]))),
        **state,
    )


def _charges(reading: Reading, line: Row) -> bool:
    return any(reading.number("line", line, column, 0.0) for column in ("c_nf_per_km", "g_us_per_km"))


def _note_both_ends(reading: Reading, lines: list[Row], switches: dict[Any, list[Row]]) -> None:
    """Note at which end lines with switches at both ends open, as the reader makes this choice."""
    count = 0
    for row in lines:
        at = switches.get(row["index"], [])
        closed = all(is_closed(one) for one in at)
        count += closed and _charges(reading, row) and len({one.get("bus") for one in at}) > 1
    if count:
        message = f"{count} closed lines have a switch at both ends: what opens one opens it at its to end only"
        remedy = "It stays under voltage from its from end; convert the net to tables to write another `open_end`"
        reading.note("line", None, "", message, remedy, changes_figures=True)


def _frequency(reading: Reading) -> float:
    value = reading.net.values.get("f_hz", 50.0)
    return float(value) if isinstance(value, (int, float)) else 50.0


_AT_A_BUS = {
    "line": ("from_bus", "to_bus"),
    "switch": ("bus", "element"),
    "trafo": ("hv_bus", "lv_bus"),
    "trafo3w": ("hv_bus", "mv_bus", "lv_bus"),
    "impedance": ("from_bus", "to_bus"),
    **dict.fromkeys(("load", "sgen", "gen", "ext_grid", "shunt", "storage", "ward", "xward"), ("bus",)),
}


def _ends_of_lines(reading: Reading, lines: list[Row]) -> set[Any]:
    """Buses that have one line, one bus-bus switch and nothing else: where this switch is the switch of the line."""
    count: Counter[tuple[str, Any]] = Counter()
    for table, columns in _AT_A_BUS.items():
        rows = lines if table == "line" else reading.net.rows(table)
        for row in rows:
            if table != "switch" or row.get("et") == "b":
                ends = [row.get(column) for column in columns]
                count.update((table, bus) for bus in ends if isinstance(bus, (int, float)))
    busy = {bus for (table, bus) in count if table not in ("line", "switch")}
    return {bus for (table, bus), n in count.items() if table == "line" and n == count["switch", bus] == 1} - busy


def _coupler(reading: Reading, row: Row, name: str, ends_of_lines: set[Any]) -> None:
    ends = reading.ends("switch", row, "bus", "element")
    if ends is None:
        return
    z = reading.number("switch", row, "z_ohm", 0.0)
    i_ka = reading.optional("switch", row, "in_ka")
    common: Row = {
        "name": name,
        "from_bus": reading.bus_names[ends[0]],
        "to_bus": reading.bus_names[ends[1]],
        "i_max_a": None if i_ka is None or i_ka >= NO_LIMIT_KA else i_ka * 1000.0,
        "switchable": not ends_of_lines.isdisjoint(ends),
        "closed": is_closed(row),
    }
    if z == 0:
        reading.add("switches", **common)
    else:
        x = z / math.hypot(SWITCH_RX_RATIO, 1.0)
        reading.add("lines", **common, r_ohm=[SWITCH_RX_RATIO * x], x_ohm=[x], length_km=0.0)
