"""A ring of four buses with a device of every kind, few enough states to try all by hand."""

from typing import Any

import openpoint
from openpoint import Grid
from tests.cli.desk import tables

BANK = {"name": ["bank"], "bus": ["B"], "q_kvar": [400.0], "steps": [2], "steps_on": [0]}
SOURCE = {
    "name": ["grid"],
    "bus": ["S"],
    "v_pu": [0.98],
    "v_min_pu": [0.98],
    "v_max_pu": [1.02],
    "v_step_pu": [0.04],
    "price_usd_per_kwh": [0.1],
}
UNIT = {
    "name": ["unit"],
    "bus": ["C"],
    "p_kw": [0.0],
    "p_min_kw": [300.0],
    "p_max_kw": [300.0],
    "may_stop": [True],
    "cost_usd_per_kwh": [0.09],
    "cost_on_usd_per_h": [5.0],
}


def ring(**more: Any) -> Grid:
    """The ring of `tests.cli.desk` with a bank, a source of two voltages, a unit of fixed output that may stop."""
    return Grid.from_tables("ring", tables(**{"capacitors": BANK, "sources": SOURCE, "generators": UNIT, **more}))


def regulated() -> Grid:
    """The ring with a regulator of three positions between A and a further bus D."""
    base = tables()
    buses = {key: [*values, more] for (key, values), more in zip(base["buses"].items(), ("D", 10.0, 0.9, 1.1))}
    regulator = {
        "name": ["regulator"],
        "from_bus": ["A"],
        "to_bus": ["D"],
        "vn_from_kv": [10.0],
        "vn_to_kv": [10.0],
        "r_ohm": [0.1],
        "x_ohm": [0.5],
        "tap_min": [-1],
        "tap_max": [1],
        "tap_step_percent": [2.5],
        "tap_side": ["to"],
    }
    loads = {key: [*values, more] for (key, values), more in zip(base["loads"].items(), ("d", "D", 300.0, 100.0))}
    return Grid.from_tables("regulated", {**base, "buses": buses, "loads": loads, "transformers": regulator})


def loss_kw(grid: Grid) -> float:
    """Exact AC loss of a grid as it stands."""
    return openpoint.run_powerflow(grid).loss_kw
