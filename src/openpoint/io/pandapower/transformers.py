"""Transformers of a pandapower net, of two windings and of three.

- A transformer goes from its high- to its low-voltage bus. Its T circuit is turned into the equal pi section, so power
  flows agree with `pandapower.runpp` and its defaults.
- Taps may be set by a decision; where any transformer is marked as `oltc`, those of the marked ones only.
- One of three windings is a star of three of two windings (`openpoint.io.pandapower.transformers`).

Transformers of three windings of a pandapower net: a star of three of two windings, as `pandapower.runpp` has it.

The bus in the middle, `T (star)`, has the rated voltage of the high-voltage winding. `T (hv)` leads there, and `T (mv)`
and `T (lv)` lead from there; each takes the losses, the tap changer, the phase shift and the switches of its winding.
Iron losses are those of `loss_side`, of the high-voltage winding where the net does not say. A tap changer at the star
point stays at today's position: its ratio is no even step. The impedance of one leg may be negative.
"""

from __future__ import annotations

import cmath
import itertools
import math
from typing import Any

from openpoint.io.pandapower.reading import Reading, Row, is_missing, state_of, switches_of, truth
from openpoint.io.text import star_of

_TAP_TABLE = "trafo_characteristic_table"


def at_todays_tap(reading: Reading, row: Row) -> Row:
    """A transformer as its table has it at today's position, with a tap that no decision moves.

    One without a table is given back as it stands. The ratio multiplies the rated voltage of the tapped winding, the
    angle adds to the shift (of a tap at the low-voltage side it is subtracted), as in `pandapower.runpp`.
    """
    if not truth(row.get("tap_dependency_table"), instead=False):
        return row
    number, position = row.get("id_characteristic_table"), row.get("tap_pos")
    steps = [
        step
        for step in reading.net.rows(_TAP_TABLE)
        if not is_missing(position) and (step.get("id_characteristic"), step.get("step")) == (number, position)
    ]
    without = {**row, "tap_pos": None, "tap_dependency_table": False, "tap_changer_type": None}
    if len(steps) != 1:
        message = f"{len(steps)} rows of {_TAP_TABLE} are of its table {number} and position {position}"
        remedy = "Give that table one row for today's position, or vk_percent, vkr_percent and the ratio and no table"
        reading.fault("trafo", row, "tap_dependency_table", message, remedy)
        return without
    (step,) = steps
    for column in ("vk_percent", "vkr_percent"):
        without[column] = reading.number(_TAP_TABLE, step, column)
    side = row.get("tap_side")
    if side in ("hv", "lv"):
        rated = f"vn_{side}_kv"
        without[rated] = reading.number("trafo", row, rated) * (
            reading.number(_TAP_TABLE, step, "voltage_ratio") or math.nan
        )
        sign = 1.0 if side == "hv" else -1.0
        angle = reading.number(_TAP_TABLE, step, "angle_deg", 0.0)
        without["shift_degree"] = reading.number("trafo", row, "shift_degree", 0.0) + sign * angle
    return without


def note_tables(reading: Reading) -> None:
    """Tell that transformers with a table stay at today's tap."""
    rows = [row for row in reading.net.live("trafo") if truth(row.get("tap_dependency_table"), instead=False)]
    if rows:
        message = f"{len(rows)} transformers with a table of their taps stay at today's position"
        reading.note("trafo", None, "tap_dependency_table", message, "Give tap_step_percent and no table to move them")


def read_transformer(
    reading: Reading, row: Row, name: str, switches: list[Row], *, table: str = "trafo", winding: str | None = None
) -> None:
    """Add a transformer of two windings.

    Args:
        row: as of the table `trafo`. switches: those that stand at it. table: where it stands in the net.
        winding: the only end, `from` or `to`, that the rating is about; default: both.
    """
    ends = reading.ends(table, row, "hv_bus", "lv_bus")
    if ends is None:
        return
    state = state_of(switches)
    rated = {"from": reading.number(table, row, "vn_hv_kv"), "to": reading.number(table, row, "vn_lv_kv")}
    row = at_todays_tap(reading, row)
    tap = _tap(reading, table, row)
    sn = reading.number(table, row, "sn_mva") or math.nan
    vn_hv, vn_lv = reading.number(table, row, "vn_hv_kv"), reading.number(table, row, "vn_lv_kv")
    z, y = _circuit(reading, table, row, sn, vn_lv * _lv_step(tap))
    reading.add(
        "transformers",
        name=name,
        from_bus=reading.bus_names[ends[0]],
        to_bus=reading.bus_names[ends[1]],
        vn_from_kv=vn_hv,
        vn_to_kv=vn_lv,
        **_rating(sn * 1000.0 * reading.systems(table, row), rated, (vn_hv, vn_lv), winding),
        **reading.planned(table, row),
        r_ohm=z.real,
        x_ohm=z.imag,
        g_us=y.real * 1e6,
        b_us=y.imag * 1e6,
        shift_degree=reading.number(table, row, "shift_degree", 0.0),
        **tap,
        **_band(reading, table, row, tap),
        closed=state["closed"],
    )


def _rating(kva: float, rated: dict[str, float], used: tuple[float, float], winding: str | None) -> Row:
    """The columns of the rating: currents where it is about one winding, or where a table moves a rated voltage."""
    if winding is None and tuple(rated.values()) == used:
        return {"s_max_kva": kva}
    ends = rated if winding is None else {winding: rated[winding]}
    return {f"i_max_{end}_a": kva / (math.sqrt(3.0) * (kv or math.nan)) for end, kv in ends.items()}


def _lv_step(tap: Row) -> float:
    """Today's factor of the low-voltage winding."""
    if tap.get("tap_side") != "to":
        return 1.0
    return 1.0 + float((tap["tap_pos"] - tap["tap_neutral"]) * tap["tap_step_percent"]) / 100.0


def _circuit(reading: Reading, table: str, row: Row, sn_mva: float, v_kv: float) -> tuple[complex, complex]:
    """Series impedance (ohm) and shunt admittance (S) of the pi section on the low-voltage side.

    Args:
        v_kv: rated low voltage at today's tap; as in pandapower the impedance follows it.
    """
    parallel = reading.number(table, row, "parallel", 1.0) or math.nan
    base = v_kv * v_kv / sn_mva
    vk = reading.number(table, row, "vk_percent") / 100.0
    vkr = reading.number(table, row, "vkr_percent") / 100.0
    if abs(vkr) > abs(vk):
        message = f"vkr_percent {vkr * 100.0:g} is above vk_percent {vk * 100.0:g}"
        reading.fault(table, row, "vkr_percent", message, "Correct the two short-circuit voltages")
        return complex(math.nan, math.nan), 0j
    z = complex(vkr, math.copysign(math.sqrt(vk * vk - vkr * vkr), vk)) * base / parallel
    iron = reading.number(table, row, "pfe_kw", 0.0) / (sn_mva * 1000.0)
    idle = reading.number(table, row, "i0_percent", 0.0) / 100.0
    if not iron and not idle:
        return z, 0j
    # The shunt refers to the low voltage at the neutral tap, as the T circuit of pandapower's default.
    y = complex(iron, -math.sqrt(max(idle * idle - iron * iron, 0.0))) / (base or math.nan) * parallel
    for column in ("leakage_resistance_ratio_hv", "leakage_reactance_ratio_hv"):
        if reading.number(table, row, column, 0.5) != 0.5:
            reading.fault(table, row, column, "only one half is read", "Leave it out, or write 0.5")
    factor = 1.0 + z * y / 4.0
    return (z * factor, y / factor) if cmath.isfinite(factor) and factor else (z, y)


def _tap(reading: Reading, table: str, row: Row) -> Row:
    """The columns of the tap changer; none where it has none."""
    _second_tap(reading, table, row)
    kind = row.get("tap_changer_type")
    if kind == "Tabular":
        message = "its taps are those of a table, but it names none"
        remedy = "Name it in id_characteristic_table, and set tap_dependency_table"
        reading.fault(table, row, "tap_changer_type", message, remedy)
    side = row.get("tap_side")
    if side not in ("hv", "lv") or is_missing(row.get("tap_pos")):
        return {}
    # Without a type pandapower >= 3 has no tap changer, whatever the other columns say.
    if "tap_changer_type" in row and is_missing(kind):
        return {}
    neutral = reading.whole(table, row, "tap_neutral", 0)
    position = reading.whole(table, row, "tap_pos", neutral)
    shifting = kind == "Ideal" or truth(row.get("tap_phase_shifter"), instead=False)
    if position != neutral and (shifting or reading.number(table, row, "tap_step_degree", 0.0) != 0):
        remedy = "Only taps that change the ratio are read; give the shift of today's tap in shift_degree"
        reading.fault(table, row, "tap_step_degree", "this tap changer shifts the phase", remedy)
    if shifting:
        return {}
    return {
        "tap_side": "from" if side == "hv" else "to",
        "tap_pos": position,
        "tap_neutral": neutral,
        "tap_min": reading.whole(table, row, "tap_min", position),
        "tap_max": reading.whole(table, row, "tap_max", position),
        "tap_step_percent": reading.number(table, row, "tap_step_percent", 0.0),
        "controllable": truth(row.get("oltc"), instead=False) or not _tells_on_load(reading),
    }


def _band(reading: Reading, table: str, row: Row, tap: Row) -> Row:
    """The columns of the voltage that its tap changer holds; none where it holds none."""
    side, low, high = reading.net.bands.get(row["index"], ("", None, None)) if table == "trafo" else ("", None, None)
    if side not in ("hv", "lv") or not tap:
        return {}
    if tap["tap_side"] == "to":
        message = "its tap changer holds a voltage from the low-voltage side, where the impedance moves with the tap"
        reading.note(table, row, "tap_side", message, "It stays after faults; give tap_side hv to let it follow")
        return {}
    return {"hold_side": "from" if side == "hv" else "to", "v_hold_min_pu": low, "v_hold_max_pu": high}


def _tells_on_load(reading: Reading) -> bool:
    """Whether the net marks on-load tap changers; pandapower writes `oltc` false by default."""
    return any(truth(row.get("oltc"), instead=False) for row in reading.net.rows("trafo"))


def _second_tap(reading: Reading, table: str, row: Row) -> None:
    second = row.get("tap2_pos")
    if not is_missing(second) and second != row.get("tap2_neutral"):
        message = "a second tap changer off its neutral position is not read"
        reading.fault(table, row, "tap2_pos", message, "Put its ratio into vn_hv_kv or vn_lv_kv")


SIDES = ("hv", "mv", "lv")
_THREE_WINDINGS = "trafo3w"
_TAP = ("tap_pos", "tap_neutral", "tap_min", "tap_max", "tap_step_percent", "tap_step_degree", "tap_changer_type")
_TAP_COLUMNS = (*_TAP, "tap_phase_shifter")
_LOSS_SIDES = (*SIDES, "star")


def leg_name(name: str, side: str) -> str:
    """The name of the transformer that stands for a winding."""
    return f"{name} ({side})"


def read_three_windings(reading: Reading, named: dict[tuple[str, int], str]) -> None:
    """Add the stars of all transformers of three windings; `named`: the names of their legs by table and index."""
    switches = switches_of(reading.net, "t3")
    for row in reading.net.live(_THREE_WINDINGS):
        at = switches.get(row["index"], [])
        _note_stray(reading, row, at)
        z = _impedances(reading, row)
        hv = reading.bus(_THREE_WINDINGS, row, "hv_bus")
        if z is None or hv is None:
            continue
        star = _star_bus(reading, named[f"{_THREE_WINDINGS} hv", row["index"]], hv)
        _iron_at_star(reading, row, star, hv)
        for side, z_side in zip(SIDES, z):
            leg = _leg(reading, row, side, z_side, star)
            here = [switch for switch in at if switch.get("bus") == row.get(f"{side}_bus")]
            winding = "from" if side == "hv" else "to"
            read_transformer(
                reading,
                leg,
                named[f"{_THREE_WINDINGS} {side}", row["index"]],
                here,
                table=_THREE_WINDINGS,
                winding=winding,
            )


def _note_stray(reading: Reading, row: Row, switches: list[Row]) -> None:
    for switch in switches:
        if switch.get("bus") not in [row.get(f"{side}_bus") for side in SIDES]:
            message = f"bus {switch.get('bus')} is at no winding of trafo3w {row['index']}"
            reading.fault("switch", switch, "bus", message, "Name the bus of the winding where the switch is")


def _star_bus(reading: Reading, first_leg: str, hv: int) -> int:
    """Add the bus in the middle, under an index that no bus of the net has."""
    index = next(k for k in itertools.count(-1, -1) if k not in reading.all_buses)
    name = first_leg.removesuffix(leg_name("", "hv")) + " (star)"
    reading.all_buses.add(index)
    reading.bus_names[index], reading.bus_kv[index] = name, reading.bus_kv[hv]
    place = reading.places[name] = reading.places.get(reading.bus_names[hv])
    x, y = place or (None, None)
    reading.add("buses", name=name, vn_kv=reading.bus_kv[hv], x=x, y=y)
    return index


def _impedances(reading: Reading, row: Row) -> tuple[complex, complex, complex] | None:
    """The impedances of the star in per unit of the rating of the high-voltage winding; None if there is a fault."""
    sn = {side: reading.number(_THREE_WINDINGS, row, f"sn_{side}_mva") or math.nan for side in SIDES}
    pairs = []
    for side, other in zip(SIDES, ("mv", "lv", "hv")):  # vk_hv is between hv and mv, vk_mv mv and lv, vk_lv lv and hv
        vk, vkr = (
            reading.number(_THREE_WINDINGS, row, f"{letters}_{side}_percent") / 100.0 for letters in ("vk", "vkr")
        )
        if abs(vkr) > abs(vk):
            message = f"vkr_{side}_percent {vkr * 100.0:g} is above vk_{side}_percent {vk * 100.0:g}"
            reading.fault(
                _THREE_WINDINGS, row, f"vkr_{side}_percent", message, "Correct the two short-circuit voltages"
            )
            return None
        scale = sn["hv"] / min(sn[side], sn[other])
        pairs.append(complex(vkr, math.sqrt(max(vk * vk - vkr * vkr, 0.0))) * scale)
    if truth(row.get("tap_dependency_table"), instead=False):
        remedy = "Give the impedances of today's tap, and set tap_dependency_table to false"
        reading.fault(
            _THREE_WINDINGS, row, "tap_dependency_table", "of three windings such tables are not read", remedy
        )
        return None
    if any(math.isnan(abs(z)) for z in pairs):
        return None
    return star_of(*pairs)


def _leg(reading: Reading, row: Row, side: str, z: complex, star: int) -> Row:
    """The row of a transformer of two windings that stands for a winding."""
    sn, sn_hv = (
        reading.number(_THREE_WINDINGS, row, f"sn_{side}_mva"),
        reading.number(_THREE_WINDINGS, row, "sn_hv_mva"),
    )
    percent = 100.0 * z * sn / sn_hv
    has_iron = _loss_side(reading, row) == side
    leg: Row = {
        "index": row["index"],
        "name": row.get("name"),
        "hv_bus": row.get("hv_bus") if side == "hv" else star,
        "lv_bus": star if side == "hv" else row.get(f"{side}_bus"),
        "sn_mva": sn,
        "vn_hv_kv": reading.number(_THREE_WINDINGS, row, "vn_hv_kv"),
        "vn_lv_kv": reading.number(_THREE_WINDINGS, row, f"vn_{side}_kv"),
        "vk_percent": math.copysign(abs(percent), percent.imag),
        "vkr_percent": percent.real,
        "shift_degree": 0.0 if side == "hv" else reading.number(_THREE_WINDINGS, row, f"shift_{side}_degree", 0.0),
        "pfe_kw": reading.number(_THREE_WINDINGS, row, "pfe_kw", 0.0) if has_iron else 0.0,
        "i0_percent": reading.number(_THREE_WINDINGS, row, "i0_percent", 0.0) if has_iron else 0.0,
        "max_loading_percent": row.get("max_loading_percent"),
    }
    if row.get("tap_side") == side:
        leg |= _tap_of_leg(reading, row, side, leg)
    return leg


def _tap_of_leg(reading: Reading, row: Row, side: str, leg: Row) -> dict[str, Any]:
    """The columns of the tap changer of a winding, or of the leg at today's ratio of one at the star point."""
    if not truth(row.get("tap_at_star_point"), instead=False) or is_missing(row.get("tap_pos")):
        columns = {column: row[column] for column in _TAP_COLUMNS if column in row}
        return columns | {"tap_side": "hv" if side == "hv" else "lv"}
    off = reading.number(_THREE_WINDINGS, row, "tap_pos") - reading.number(_THREE_WINDINGS, row, "tap_neutral", 0.0)
    if off and (reading.number(_THREE_WINDINGS, row, "tap_step_degree", 0.0) or row.get("tap_changer_type") == "Ideal"):
        remedy = "Only taps that change the ratio are read; give the shift of today's tap in shift_mv_degree"
        reading.fault(_THREE_WINDINGS, row, "tap_step_degree", "this tap changer shifts the phase", remedy)
    step = off * reading.number(_THREE_WINDINGS, row, "tap_step_percent", 0.0)
    if "tap_changer_type" in row and is_missing(row["tap_changer_type"]):  # as in pandapower this is no tap changer
        step = 0.0
    at_star = "vn_lv_kv" if side == "hv" else "vn_hv_kv"
    return {at_star: leg[at_star] * 100.0 / ((100.0 + step) or math.nan)}


def _loss_side(reading: Reading, row: Row) -> str:
    side = row.get("loss_side")
    if is_missing(side):
        return "hv"
    if side not in _LOSS_SIDES:
        reading.fault(_THREE_WINDINGS, row, "loss_side", f"{side!r} is no winding", f"Write {', '.join(_LOSS_SIDES)}")
    return str(side)


def _iron_at_star(reading: Reading, row: Row, star: int, hv: int) -> None:
    """Iron losses at the bus in the middle: a load of constant impedance."""
    if _loss_side(reading, row) != "star":
        return
    ratio = reading.bus_kv[hv] / (reading.number(_THREE_WINDINGS, row, "vn_hv_kv") or math.nan)
    p = reading.number(_THREE_WINDINGS, row, "pfe_kw", 0.0)
    s = (
        reading.number(_THREE_WINDINGS, row, "i0_percent", 0.0)
        / 100.0
        * reading.number(_THREE_WINDINGS, row, "sn_hv_mva")
        * 1000.0
    )
    if p or s:
        power = {"p_kw": p * ratio**2, "q_kvar": math.sqrt(max(s * s - p * p, 0.0)) * ratio**2}
        reading.add(
            "loads", name=f"{reading.bus_names[star]} iron", bus=reading.bus_names[star], model="impedance", **power
        )
