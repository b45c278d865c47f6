"""A small sound grid as plain tables, to be broken by the tests."""

from copy import deepcopy
from typing import Any

from openpoint.grid import Grid

Tables = dict[str, list[dict[str, Any]]]

_TABLES: Tables = {
    "buses": [{"name": n, "vn_kv": 10.0, "v_min_pu": 0.9, "v_max_pu": 1.1} for n in ("A", "B", "C", "D")]
    + [{"name": "E", "vn_kv": 0.4}],
    "lines": [
        {"name": "ab", "from_bus": "A", "to_bus": "B", "r_ohm": 0.5, "x_ohm": 0.4, "i_max_a": 200.0},
        {"name": "bc", "from_bus": "B", "to_bus": "C", "r_ohm": 0.5, "x_ohm": 0.4},
        {"name": "ad", "from_bus": "A", "to_bus": "D", "r_ohm": 0.5, "x_ohm": 0.4, "closed": False},
    ],
    "switches": [{"name": "cd", "from_bus": "C", "to_bus": "D"}],
    "transformers": [
        {
            "name": "de",
            "from_bus": "D",
            "to_bus": "E",
            "vn_from_kv": 10.0,
            "vn_to_kv": 0.4,
            "r_ohm": 0.002,
            "x_ohm": 0.01,
            "tap_min": -2,
            "tap_max": 2,
            "tap_step_percent": 2.5,
            "switchable": False,
        }
    ],
    "sources": [{"name": "grid", "bus": "A"}],
    "loads": [{"name": "b", "bus": "B", "p_kw": 100.0, "q_kvar": 30.0}, {"name": "e", "bus": "E", "p_kw": 50.0}],
    "generators": [{"name": "pv", "bus": "C", "p_kw": 20.0, "p_min_kw": 0.0, "p_max_kw": 40.0}],
    "capacitors": [{"name": "cap", "bus": "B", "q_kvar": 30.0, "steps": 3, "steps_on": 2}],
}


def tables() -> Tables:
    """A copy of the tables."""
    return deepcopy(_TABLES)


def grid(changed: Tables) -> Grid:
    """The grid of these tables."""
    return Grid.from_tables("small", changed)
