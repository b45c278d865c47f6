"""Transformers of a pandapower net, of two windings and of three.

- A transformer goes from its high- to its low-voltage bus. Its T circuit is turned into the equal pi section, so power
  flows agree with `pandapower.runpp` and its defaults.
- Taps may be set by a decision; where any transformer is marked as `oltc`, those of the marked ones only.
- One of three windings is a star of three of two windings (`openpoint.io.pandapower.three_windings`).
"""

from __future__ import annotations

import cmath
import math

from openpoint.io.pandapower.json import Row, is_missing, truth
from openpoint.io.pandapower.reading import Reading
from openpoint.io.pandapower.switches import state_of
from openpoint.io.pandapower.tap_tables import at_todays_tap


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
        **_rating(sn * 1000.0 * reading.loading(table, row), rated, (vn_hv, vn_lv), winding),
        r_ohm=z.real,
        x_ohm=z.imag,
        g_us=y.real * 1e6,
        b_us=y.imag * 1e6,
        shift_degree=reading.number(table, row, "shift_degree", 0.0),
        **tap,
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


def _tells_on_load(reading: Reading) -> bool:
    """Whether the net marks on-load tap changers; pandapower writes `oltc` false by default."""
    return any(truth(row.get("oltc"), instead=False) for row in reading.net.rows("trafo"))


def _second_tap(reading: Reading, table: str, row: Row) -> None:
    second = row.get("tap2_pos")
    if not is_missing(second) and second != row.get("tap2_neutral"):
        message = "a second tap changer off its neutral position is not read"
        reading.fault(table, row, "tap2_pos", message, "Put its ratio into vn_hv_kv or vn_lv_kv")
