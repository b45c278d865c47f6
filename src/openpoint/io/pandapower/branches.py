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
- Taps may be set by a decision; where any transformer is marked as `oltc`, those of the marked ones only.
- A transformer goes from its high- to its low-voltage bus. Its T circuit is turned into the equal pi section, so power
  flows agree with `pandapower.runpp` and its defaults.
"""

from __future__ import annotations

import cmath
import math
from collections import Counter
from typing import Any

from openpoint.io.pandapower.geo import route_of
from openpoint.io.pandapower.json import Net, Row, is_missing, truth
from openpoint.io.pandapower.reading import NO_LIMIT_KA, Reading, names
from openpoint.io.pandapower.tap_tables import at_todays_tap, note_tables

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
        _transformer(reading, row, named["trafo", row["index"]], trafos.get(row["index"], []))


def branch_names(net: Net) -> dict[tuple[str, int], str]:
    """The names of branches by table and index."""
    return names([("line", _lines(net)), ("switch", _couplers(net)), ("trafo", net.live("trafo"))])


def _lines(net: Net) -> list[Row]:
    """Lines that may be closed: without any switch in the net also those out of service."""
    return net.live("line") if net.rows("switch") else net.rows("line")


def _couplers(net: Net) -> list[Row]:
    return [row for row in net.rows("switch") if row.get("et") == "b"]


def switches_of(net: Net, et: str) -> dict[Any, list[Row]]:
    """The switches of a branch, by its index; `et`: l for lines, t for transformers."""
    found: dict[Any, list[Row]] = {}
    for row in net.rows("switch"):
        if row.get("et") == et and isinstance(row.get("element"), (int, float)):
            found.setdefault(row["element"], []).append(row)
    return found


def is_closed(row: Row) -> bool:
    """Whether a switch is closed."""
    return truth(row.get("closed"), instead=True) and truth(row.get("in_service"), instead=True)


def _state(switches: list[Row]) -> Row:
    return {"switchable": bool(switches), "closed": all(is_closed(row) for row in switches)}


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
    state = _state(switches)
    places = {ends[row["bus"]] for row in switches if row.get("bus") in ends}
    state["switch_ends"] = "both" if len(places) == 2 else next(iter(places), "none")
    opening = switches if state["closed"] else [row for row in switches if not is_closed(row)]
    at = {ends.get(row.get("bus"), "") for row in opening}
    if at == {"from"}:
        state["open_end"] = "from"
    elif "to" in at and (state["closed"] or len(at) == 1):
        state["open_end"] = "to"
    return state


def _ends(reading: Reading, table: str, row: Row, fr: str, to: str) -> tuple[int, int] | None:
    """Both end buses, None where one is out of service or unknown."""
    ends = reading.bus(table, row, fr), reading.bus(table, row, to)
    return None if ends[0] is None or ends[1] is None else (ends[0], ends[1])


def _loading(reading: Reading, table: str, row: Row) -> float:
    """How much of the rating may be used: derating, parallel systems, permitted loading."""
    percent = reading.optional(table, row, "max_loading_percent")
    share = 1.0 if percent is None else percent / 100.0
    return share * reading.number(table, row, "df", 1.0) * reading.number(table, row, "parallel", 1.0)


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
    limit = None if i_ka is None or i_ka >= NO_LIMIT_KA else i_ka * 1000.0 * _loading(reading, "line", row)
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
    ends = _ends(reading, "switch", row, "bus", "element")
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


def _transformer(reading: Reading, row: Row, name: str, switches: list[Row]) -> None:
    ends = _ends(reading, "trafo", row, "hv_bus", "lv_bus")
    if ends is None:
        return
    row = at_todays_tap(reading, row)
    tap = _tap(reading, row)
    sn = reading.number("trafo", row, "sn_mva") or math.nan
    vn_hv, vn_lv = reading.number("trafo", row, "vn_hv_kv"), reading.number("trafo", row, "vn_lv_kv")
    z, y = _circuit(reading, row, sn, vn_lv * _lv_step(tap))
    reading.add(
        "transformers",
        name=name,
        from_bus=reading.bus_names[ends[0]],
        to_bus=reading.bus_names[ends[1]],
        vn_from_kv=vn_hv,
        vn_to_kv=vn_lv,
        s_max_kva=sn * 1000.0 * _loading(reading, "trafo", row),
        r_ohm=z.real,
        x_ohm=z.imag,
        g_us=y.real * 1e6,
        b_us=y.imag * 1e6,
        shift_degree=reading.number("trafo", row, "shift_degree", 0.0),
        **tap,
        closed=_state(switches)["closed"],
    )


def _lv_step(tap: Row) -> float:
    """Today's factor of the low-voltage winding."""
    if tap.get("tap_side") != "to":
        return 1.0
    return 1.0 + float((tap["tap_pos"] - tap["tap_neutral"]) * tap["tap_step_percent"]) / 100.0


def _circuit(reading: Reading, row: Row, sn_mva: float, v_kv: float) -> tuple[complex, complex]:
    """Series impedance (ohm) and shunt admittance (S) of the pi section on the low-voltage side.

    Args:
        v_kv: rated low voltage at today's tap; as in pandapower the impedance follows it.
    """
    parallel = reading.number("trafo", row, "parallel", 1.0) or math.nan
    base = v_kv * v_kv / sn_mva
    vk = reading.number("trafo", row, "vk_percent") / 100.0
    vkr = reading.number("trafo", row, "vkr_percent") / 100.0
    if abs(vkr) > abs(vk):
        message = f"vkr_percent {vkr * 100.0:g} is above vk_percent {vk * 100.0:g}"
        reading.fault("trafo", row, "vkr_percent", message, "Correct the two short-circuit voltages")
        return complex(math.nan, math.nan), 0j
    z = complex(vkr, math.copysign(math.sqrt(vk * vk - vkr * vkr), vk)) * base / parallel
    iron = reading.number("trafo", row, "pfe_kw", 0.0) / (sn_mva * 1000.0)
    idle = reading.number("trafo", row, "i0_percent", 0.0) / 100.0
    if not iron and not idle:
        return z, 0j
    # The shunt refers to the low voltage at the neutral tap, as the T circuit of pandapower's default.
    y = complex(iron, -math.sqrt(max(idle * idle - iron * iron, 0.0))) / (base or math.nan) * parallel
    for column in ("leakage_resistance_ratio_hv", "leakage_reactance_ratio_hv"):
        if reading.number("trafo", row, column, 0.5) != 0.5:
            reading.fault("trafo", row, column, "only one half is read", "Leave it out, or write 0.5")
    factor = 1.0 + z * y / 4.0
    return (z * factor, y / factor) if cmath.isfinite(factor) and factor else (z, y)


def _tap(reading: Reading, row: Row) -> Row:
    """The columns of the tap changer; none where it has none."""
    _second_tap(reading, row)
    kind = row.get("tap_changer_type")
    if kind == "Tabular":
        message = "its taps are those of a table, but it names none"
        remedy = "Name it in id_characteristic_table, and set tap_dependency_table"
        reading.fault("trafo", row, "tap_changer_type", message, remedy)
    side = row.get("tap_side")
    if side not in ("hv", "lv") or is_missing(row.get("tap_pos")):
        return {}
    # Without a type pandapower >= 3 has no tap changer, whatever the other columns say.
    if "tap_changer_type" in row and is_missing(kind):
        return {}
    neutral = reading.whole("trafo", row, "tap_neutral", 0)
    position = reading.whole("trafo", row, "tap_pos", neutral)
    shifting = kind == "Ideal" or truth(row.get("tap_phase_shifter"), instead=False)
    if position != neutral and (shifting or reading.number("trafo", row, "tap_step_degree", 0.0) != 0):
        remedy = "Only taps that change the ratio are read; give the shift of today's tap in shift_degree"
        reading.fault("trafo", row, "tap_step_degree", "this tap changer shifts the phase", remedy)
    if shifting:
        return {}
    return {
        "tap_side": "from" if side == "hv" else "to",
        "tap_pos": position,
        "tap_neutral": neutral,
        "tap_min": reading.whole("trafo", row, "tap_min", position),
        "tap_max": reading.whole("trafo", row, "tap_max", position),
        "tap_step_percent": reading.number("trafo", row, "tap_step_percent", 0.0),
        "controllable": truth(row.get("oltc"), instead=False) or not _tells_on_load(reading),
    }


def _tells_on_load(reading: Reading) -> bool:
    """Whether the net marks on-load tap changers; pandapower writes `oltc` false by default."""
    return any(truth(row.get("oltc"), instead=False) for row in reading.net.rows("trafo"))


def _second_tap(reading: Reading, row: Row) -> None:
    second = row.get("tap2_pos")
    if not is_missing(second) and second != row.get("tap2_neutral"):
        message = "a second tap changer off its neutral position is not read"
        reading.fault("trafo", row, "tap2_pos", message, "Put its ratio into vn_hv_kv or vn_lv_kv")
