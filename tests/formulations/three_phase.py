"""Small grids of three phases for the tests of LinDist3Flow: a source, one branch of any connection, loads."""

from typing import Any

import numpy as np

from openpoint.grid import Grid
from openpoint.network import Network

LINE_R = [0.30, 0.09, 0.28, 0.08, 0.10, 0.32]
LINE_X = [0.60, 0.25, 0.58, 0.20, 0.22, 0.62]

# Name of a two-bus case: connection, shift and whether loads to neutral may lie behind it.
CONNECTIONS = {
    "line": ("", 0.0, True),
    "wye-wye": ("wye-wye", 0.0, True),
    "delta-wye +30": ("delta-wye", 30.0, True),
    "delta-wye -30": ("delta-wye", -30.0, True),
    "wye-delta +30": ("wye-delta", 30.0, False),
    "wye-delta -30": ("wye-delta", -30.0, False),
    "delta-delta": ("delta-delta", 0.0, False),
    "open delta": ("open", 0.0, False),
    "closed delta": ("closed", 0.0, False),
}


def two_buses(
    case: str, loads: list[dict[str, Any]], *, turned: bool = False, tap: int = 0, idle: bool = False
) -> Grid:
    """A source at A, a branch of 4.16 kV to B, and loads at B.

    `turned` writes the branch from B to A; `idle` gives a transformer a magnetising branch, much of it.
    """
    connection, shift, _ = CONNECTIONS[case]
    ends = {"from_bus": "A", "to_bus": "B"} if not turned else {"from_bus": "B", "to_bus": "A"}
    tables: dict[str, Any] = {
        "buses": [{"name": n, "vn_kv": 4.16, "phases": "abc"} for n in "AB"],
        "sources": [{"name": "grid", "bus": "A", "v_pu": 1.0}],
        "loads": loads,
    }
    rated = {"vn_from_kv": 4.16, "vn_to_kv": 4.16, "r_ohm": 0.2, "x_ohm": 0.7, "tap_pos": tap}
    rated |= {"tap_min": -16, "tap_max": 16, "tap_step_percent": 0.625}
    if idle:
        rated |= {"g_us": 4000.0, "b_us": -9000.0}
    line = {"name": "L", **ends, "phases": "abc", "r_ohm": LINE_R, "x_ohm": LINE_X}
    if not connection:
        return Grid.from_tables("two", tables | {"lines": [line]})
    if connection in ("open", "closed"):
        pairs = ("ab", "bc") if connection == "open" else ("ab", "bc", "ac")
        units = [{"name": f"T{p}", "phases": p, "connection": "delta-delta", **ends, **rated} for p in pairs]
        if connection == "open":
            tables["lines"] = [{"name": "B", **ends, "phases": "b", "r_ohm": [1e-5], "x_ohm": [0.0]}]
        return Grid.from_tables("two", tables | {"transformers": units})
    unit = {"name": "T", "phases": "abc", "connection": connection, "shift_degree": shift, **ends, **rated}
    return Grid.from_tables("two", tables | {"transformers": [unit]})


def without_zero_sequence(network: Network, v: np.ndarray) -> np.ndarray:
    """Voltages of every bus of three phases less their mean."""
    result = v.copy()
    for bus in range(len(network.bus_names)):
        at = np.flatnonzero(network.terminal_bus == bus)
        if len(at) == 3:
            result[..., at] -= result[..., at].mean(axis=-1, keepdims=True)
    return result


def random_tree(seed: int) -> Grid:
    """A tree of lines and wye transformers with any phases, loads to neutral and between phases, light enough."""
    rng = np.random.default_rng(seed)
    phases = ["abc"]
    lines: list[dict[str, Any]] = []
    transformers: list[dict[str, Any]] = []
    loads: list[dict[str, Any]] = []
    for k in range(1, int(rng.integers(2, 7))):
        parent = int(rng.integers(k))
        kept = [p for p in phases[parent] if rng.random() < 0.8] or [phases[parent][0]]
        phases.append("".join(kept))
        n = len(kept)
        ends = {"name": f"e{k}", "from_bus": f"n{parent}", "to_bus": f"n{k}", "phases": phases[k]}
        if rng.random() < 0.3:
            ends["from_bus"], ends["to_bus"] = ends["to_bus"], ends["from_bus"]
        if rng.random() < 0.25:
            rated = {"vn_from_kv": 4.16, "vn_to_kv": 4.16, "r_ohm": 0.1, "x_ohm": 0.3, "tap_step_percent": 0.625}
            position = {"tap_pos": int(rng.integers(-8, 9)), "tap_min": -16, "tap_max": 16}
            transformers.append(ends | rated | position)
        else:
            own, mutual = rng.uniform(0.2, 0.6, 2), rng.uniform(0.05, 0.2, 2)
            shape = [(i, j) for i in range(n) for j in range(i + 1)]
            spread = rng.uniform(0.9, 1.1, len(shape))
            r, x = ([(own if i == j else mutual)[c] * m for (i, j), m in zip(shape, spread)] for c in (0, 1))
            lines.append(ends | {"r_ohm": r, "x_ohm": x})
        delta = n > 1 and rng.random() < 0.5
        power = {"p_kw": float(rng.uniform(0, 60)) * n, "q_kvar": float(rng.uniform(-10, 30)) * n}
        where = {"bus": f"n{k}", "phases": phases[k], "connection": "delta" if delta else "wye"}
        loads.append({"name": f"l{k}"} | where | power)
    tables: dict[str, Any] = {
        "buses": [{"name": f"n{k}", "vn_kv": 4.16, "phases": p} for k, p in enumerate(phases)],
        "lines": lines,
        "transformers": transformers,
        "sources": [{"name": "grid", "bus": "n0", "v_pu": 1.01}],
        "loads": loads,
    }
    return Grid.from_tables("tree", {name: rows for name, rows in tables.items() if rows})
