"""Elements of a pandapower net that stand for others: impedances between buses, wards, and motors as loads.

- An impedance is a line, between two voltage levels a transformer of the nominal ratio, in per unit as `runpp` has it.
  It is no switch, so nothing opens it unless it is asked for by name. One that differs by direction is refused.
- A ward is a load of constant power and one of constant impedance.
- An extended ward has a generator besides, which holds its voltage behind its impedance, at a bus `… (inner)`.
- A motor is a load of constant power.
"""

from __future__ import annotations

import math

from openpoint.io.pandapower.json import Row, is_missing
from openpoint.io.pandapower.reading import Reading, names

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
