"""Transformers whose ratio, shift and impedance stand in a table by tap position (`trafo_characteristic_table`)."""

from __future__ import annotations

import math

from openpoint.io.pandapower.json import Row, is_missing, truth
from openpoint.io.pandapower.reading import Reading

_TABLE = "trafo_characteristic_table"


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
        for step in reading.net.rows(_TABLE)
        if not is_missing(position) and (step.get("id_characteristic"), step.get("step")) == (number, position)
    ]
    without = {**row, "tap_pos": None, "tap_dependency_table": False, "tap_changer_type": None}
    if len(steps) != 1:
        message = f"{len(steps)} rows of {_TABLE} are of its table {number} and position {position}"
        remedy = "Give that table one row for today's position, or vk_percent, vkr_percent and the ratio and no table"
        reading.fault("trafo", row, "tap_dependency_table", message, remedy)
        return without
    (step,) = steps
    for column in ("vk_percent", "vkr_percent"):
        without[column] = reading.number(_TABLE, step, column)
    side = row.get("tap_side")
    if side in ("hv", "lv"):
        rated = f"vn_{side}_kv"
        without[rated] = reading.number("trafo", row, rated) * (
            reading.number(_TABLE, step, "voltage_ratio") or math.nan
        )
        sign = 1.0 if side == "hv" else -1.0
        angle = reading.number(_TABLE, step, "angle_deg", 0.0)
        without["shift_degree"] = reading.number("trafo", row, "shift_degree", 0.0) + sign * angle
    return without


def note_tables(reading: Reading) -> None:
    """Tell that transformers with a table stay at today's tap."""
    rows = [row for row in reading.net.live("trafo") if truth(row.get("tap_dependency_table"), instead=False)]
    if rows:
        message = f"{len(rows)} transformers with a table of their taps stay at today's position"
        reading.note("trafo", None, "tap_dependency_table", message, "Give tap_step_percent and no table to move them")
