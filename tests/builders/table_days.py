"""A day of four periods as tables, on five buses with a unit that may stop, a ramp, a battery and vehicles."""

from __future__ import annotations

from typing import Any

from openpoint import Day, Grid
from tests.grid.small import grid, tables

NAMES = ["0", "6", "12", "18"]
CLOCK = ["00:00", "06:00", "12:00", "18:00"]


def small() -> Grid:
    """Five buses; the generator may stop, transformer, bank and source can be set."""
    changed = tables()
    changed["transformers"][0] |= {"controllable": True, "tap_pos": 1}
    changed["capacitors"][0] |= {"controllable": True}
    changed["generators"][0] |= {"may_stop": True, "p_min_kw": 10.0, "p_kw": 0.0, "cost_usd_per_kwh": 0.1}
    changed["generators"] += [{"name": "gas", "bus": "C", "p_kw": 5.0, "p_min_kw": 0.0, "p_max_kw": 60.0,
                               "cost_usd_per_kwh": 0.12}]  # fmt: skip
    return grid(changed)


def day(**more: Any) -> Day:
    given: dict[str, Any] = {
        "periods": {
            "period": NAMES,
            "hours": [6.0] * 4,
            "starts_at": CLOCK,
            "price_usd_per_kwh": [0.05, 0.13, 0.09, 0.2],
            "load_share": [0.5, 0.9, 1.0, 0.8],
        },
        "storages": [{"name": "battery", "bus": "D", "energy_kwh": 150.0, "start_kwh": 40.0, "charge_kw": 12.0,
                      "charge_efficiency": 0.95, "discharge_efficiency": 0.9}],
        "vehicles": [{"name": "early", "bus": "B", "departure": "12", "count": 2, "energy_kwh": 40.0,
                      "start_kwh": 5.0, "end_kwh": 20.0, "charge_kw": 3.0},
                     {"name": "late", "bus": "C", "arrival": "18", "energy_kwh": 40.0, "start_kwh": 5.0,
                      "end_kwh": 20.0, "charge_kw": 3.0}],
        "units": [{"generator": "gas", "ramp_up_kw_per_h": 3.0, "ramp_down_kw_per_h": 3.0, "p_before_kw": 0.0}],
        "flexible_loads": [{"shift_time_share": 0.15, "shift_price_usd_per_kwh": 0.01}],
    }  # fmt: skip
    return Day.from_tables(**{**given, **more})
