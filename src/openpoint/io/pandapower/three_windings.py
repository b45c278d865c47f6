"""Transformers of three windings of a pandapower net: a star of three of two windings, as `pandapower.runpp` has it.

The bus in the middle, `T (star)`, has the rated voltage of the high-voltage winding. `T (hv)` leads there, and `T (mv)`
and `T (lv)` lead from there; each takes the losses, the tap changer, the phase shift and the switches of its winding.
Iron losses are those of `loss_side`, of the high-voltage winding where the net does not say. A tap changer at the star
point stays at today's position: its ratio is no even step. The impedance of one leg may be negative.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from openpoint.io.pandapower.json import Row, is_missing, truth
from openpoint.io.pandapower.reading import Reading
from openpoint.io.pandapower.switches import switches_of
from openpoint.io.pandapower.transformers import read_transformer
from openpoint.io.star import star_of

SIDES = ("hv", "mv", "lv")
_TABLE = "trafo3w"
_TAP = ("tap_pos", "tap_neutral", "tap_min", "tap_max", "tap_step_percent", "tap_step_degree", "tap_changer_type")
_TAP_COLUMNS = (*_TAP, "tap_phase_shifter")
_LOSS_SIDES = (*SIDES, "star")


def leg_name(name: str, side: str) -> str:
    """The name of the transformer that stands for a winding."""
    return f"{name} ({side})"


def read_three_windings(reading: Reading, named: dict[tuple[str, int], str]) -> None:
    """Add the stars of all transformers of three windings; `named`: the names of their legs by table and index."""
    switches = switches_of(reading.net, "t3")
    for row in reading.net.live(_TABLE):
        at = switches.get(row["index"], [])
        _note_stray(reading, row, at)
        z = _impedances(reading, row)
        hv = reading.bus(_TABLE, row, "hv_bus")
        if z is None or hv is None:
            continue
        star = _star_bus(reading, named[f"{_TABLE} hv", row["index"]], hv)
        _iron_at_star(reading, row, star, hv)
        for side, z_side in zip(SIDES, z):
            leg = _leg(reading, row, side, z_side, star)
            here = [switch for switch in at if switch.get("bus") == row.get(f"{side}_bus")]
            winding = "from" if side == "hv" else "to"
            read_transformer(reading, leg, named[f"{_TABLE} {side}", row["index"]], here, table=_TABLE, winding=winding)


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
    sn = {side: reading.number(_TABLE, row, f"sn_{side}_mva") or math.nan for side in SIDES}
    pairs = []
    for side, other in zip(SIDES, ("mv", "lv", "hv")):  # vk_hv is between hv and mv, vk_mv mv and lv, vk_lv lv and hv
        vk, vkr = (reading.number(_TABLE, row, f"{letters}_{side}_percent") / 100.0 for letters in ("vk", "vkr"))
        if abs(vkr) > abs(vk):
            message = f"vkr_{side}_percent {vkr * 100.0:g} is above vk_{side}_percent {vk * 100.0:g}"
            reading.fault(_TABLE, row, f"vkr_{side}_percent", message, "Correct the two short-circuit voltages")
            return None
        scale = sn["hv"] / min(sn[side], sn[other])
        pairs.append(complex(vkr, math.sqrt(max(vk * vk - vkr * vkr, 0.0))) * scale)
    if truth(row.get("tap_dependency_table"), instead=False):
        remedy = "Give the impedances of today's tap, and set tap_dependency_table to false"
        reading.fault(_TABLE, row, "tap_dependency_table", "of three windings such tables are not read", remedy)
        return None
    if any(math.isnan(abs(z)) for z in pairs):
        return None
    return star_of(*pairs)


def _leg(reading: Reading, row: Row, side: str, z: complex, star: int) -> Row:
    """The row of a transformer of two windings that stands for a winding."""
    sn, sn_hv = reading.number(_TABLE, row, f"sn_{side}_mva"), reading.number(_TABLE, row, "sn_hv_mva")
    percent = 100.0 * z * sn / sn_hv
    has_iron = _loss_side(reading, row) == side
    leg: Row = {
        "index": row["index"],
        "name": row.get("name"),
        "hv_bus": row.get("hv_bus") if side == "hv" else star,
        "lv_bus": star if side == "hv" else row.get(f"{side}_bus"),
        "sn_mva": sn,
        "vn_hv_kv": reading.number(_TABLE, row, "vn_hv_kv"),
        "vn_lv_kv": reading.number(_TABLE, row, f"vn_{side}_kv"),
        "vk_percent": math.copysign(abs(percent), percent.imag),
        "vkr_percent": percent.real,
        "shift_degree": 0.0 if side == "hv" else reading.number(_TABLE, row, f"shift_{side}_degree", 0.0),
        "pfe_kw": reading.number(_TABLE, row, "pfe_kw", 0.0) if has_iron else 0.0,
        "i0_percent": reading.number(_TABLE, row, "i0_percent", 0.0) if has_iron else 0.0,
        "max_loading_percent": row.get("max_loading_percent"),
    }
    if row.get("tap_side") == side:
        leg |= _tap(reading, row, side, leg)
    return leg


def _tap(reading: Reading, row: Row, side: str, leg: Row) -> dict[str, Any]:
    """The columns of the tap changer of a winding, or of the leg at today's ratio of one at the star point."""
    if not truth(row.get("tap_at_star_point"), instead=False) or is_missing(row.get("tap_pos")):
        columns = {column: row[column] for column in _TAP_COLUMNS if column in row}
        return columns | {"tap_side": "hv" if side == "hv" else "lv"}
    off = reading.number(_TABLE, row, "tap_pos") - reading.number(_TABLE, row, "tap_neutral", 0.0)
    if off and (reading.number(_TABLE, row, "tap_step_degree", 0.0) or row.get("tap_changer_type") == "Ideal"):
        remedy = "Only taps that change the ratio are read; give the shift of today's tap in shift_mv_degree"
        reading.fault(_TABLE, row, "tap_step_degree", "this tap changer shifts the phase", remedy)
    step = off * reading.number(_TABLE, row, "tap_step_percent", 0.0)
    if "tap_changer_type" in row and is_missing(row["tap_changer_type"]):  # as in pandapower this is no tap changer
        step = 0.0
    at_star = "vn_lv_kv" if side == "hv" else "vn_hv_kv"
    return {at_star: leg[at_star] * 100.0 / ((100.0 + step) or math.nan)}


def _loss_side(reading: Reading, row: Row) -> str:
    side = row.get("loss_side")
    if is_missing(side):
        return "hv"
    if side not in _LOSS_SIDES:
        reading.fault(_TABLE, row, "loss_side", f"{side!r} is no winding", f"Write {', '.join(_LOSS_SIDES)}")
    return str(side)


def _iron_at_star(reading: Reading, row: Row, star: int, hv: int) -> None:
    """Iron losses at the bus in the middle: a load of constant impedance."""
    if _loss_side(reading, row) != "star":
        return
    ratio = reading.bus_kv[hv] / (reading.number(_TABLE, row, "vn_hv_kv") or math.nan)
    p = reading.number(_TABLE, row, "pfe_kw", 0.0)
    s = reading.number(_TABLE, row, "i0_percent", 0.0) / 100.0 * reading.number(_TABLE, row, "sn_hv_mva") * 1000.0
    if p or s:
        power = {"p_kw": p * ratio**2, "q_kvar": math.sqrt(max(s * s - p * p, 0.0)) * ratio**2}
        reading.add(
            "loads", name=f"{reading.bus_names[star]} iron", bus=reading.bus_names[star], model="impedance", **power
        )
