"""Random feeders of three phases with ties: single-phase laterals, regulators, a delta-wye, loads of every kind."""

import itertools
from typing import Any

import numpy as np

from openpoint.formulations.radiality import Choices, by_branch, choices_of
from openpoint.graph import energised, is_radial
from openpoint.grid import Grid
from openpoint.network import Network

MODELS = ("power", "current", "impedance")


def meshed(seed: int, *, v_min_pu: float | None = None, rated: bool = False) -> Grid:
    """A radial feeder of 5 to 9 buses with 2 to 4 open ties, some of fewer phases; most lines may be switched."""
    rng = np.random.default_rng(seed)
    phases = ["abc"]
    lines: list[dict[str, Any]] = []
    transformers: list[dict[str, Any]] = []
    loads: list[dict[str, Any]] = []
    rating = {"vn_from_kv": 4.16, "vn_to_kv": 4.16, "tap_min": -16, "tap_max": 16, "tap_step_percent": 0.625}

    def line(name: str, a: int, b: int, kept: str, *, closed: bool) -> dict[str, Any]:
        own, mutual = rng.uniform(0.2, 0.6, 2), rng.uniform(0.05, 0.15, 2)
        shape = [(i, j) for i in range(len(kept)) for j in range(i + 1)]
        r, x = ([float((own if i == j else mutual)[c] * rng.uniform(0.9, 1.1)) for i, j in shape] for c in (0, 1))
        switchable = not closed or bool(rng.random() < 0.7)
        made = {"name": name, "from_bus": f"n{a}", "to_bus": f"n{b}", "phases": kept, "r_ohm": r, "x_ohm": x}
        limit = {"i_max_a": float(rng.uniform(60, 200))} if rated else {}
        return made | {"switchable": switchable, "closed": closed} | limit

    count = int(rng.integers(5, 10))
    for k in range(1, count):
        parent = int(rng.integers(max(0, k - 3), k))
        kept = phases[parent] if rng.random() < 0.6 else "".join(p for p in phases[parent] if rng.random() < 0.6)
        phases.append(kept or phases[parent][0])
        ends = {"name": f"e{k}", "from_bus": f"n{parent}", "to_bus": f"n{k}", "phases": phases[k]}
        if rng.random() < 0.15:
            position = {"tap_pos": int(rng.integers(-4, 9)), "r_ohm": 0.05, "x_ohm": 0.2, "switchable": True}
            transformers.append(ends | rating | position)
        else:
            lines.append(line(f"e{k}", parent, k, phases[k], closed=True))
        delta = len(phases[k]) > 1 and rng.random() < 0.4
        power = {
            "p_kw": float(rng.uniform(5, 60)) * len(phases[k]),
            "q_kvar": float(rng.uniform(-5, 25)) * len(phases[k]),
        }
        kind = {"connection": "delta" if delta else "wye", "model": MODELS[int(rng.integers(3))]}
        loads.append({"name": f"l{k}", "bus": f"n{k}", "phases": phases[k]} | power | kind)
    for k in range(int(rng.integers(2, 5))):
        a, b = sorted(rng.choice(count, 2, replace=False).tolist())
        common = "".join(p for p in phases[a] if p in phases[b])
        if common:
            lines.append(line(f"tie{k}", a, b, common, closed=False))
    buses = [{"name": f"n{k}", "vn_kv": 4.16, "phases": p, "v_min_pu": v_min_pu} for k, p in enumerate(phases)]
    if rng.random() < 0.3:
        buses.append({"name": "low", "vn_kv": 0.48, "phases": "abc", "v_min_pu": v_min_pu})
        unit = {"name": "T", "phases": "abc", "connection": "delta-wye", "shift_degree": -30.0}
        unit |= {"from_bus": "n0", "to_bus": "low", "vn_from_kv": 4.16, "vn_to_kv": 0.48, "r_ohm": 0.005, "x_ohm": 0.02}
        transformers.append(unit)
        loads.append({"name": "low", "bus": "low", "phases": "abc", "p_kw": 60.0, "q_kvar": 20.0})
    tables: dict[str, Any] = {
        "buses": buses,
        "lines": lines,
        "transformers": transformers,
        "sources": [{"name": "grid", "bus": "n0", "v_pu": 1.02}],
        "loads": loads,
    }
    return Grid.from_tables("meshed", {name: rows for name, rows in tables.items() if rows})


def three_ties() -> Grid:
    """Two feeders of three phases, joined by a tie of abc and by one a phase."""
    r, x = [0.3, 0.1, 0.3, 0.1, 0.1, 0.3], [0.6, 0.2, 0.6, 0.2, 0.2, 0.6]
    whole = {"phases": "abc", "r_ohm": r, "x_ohm": x, "switchable": True}
    one = {"r_ohm": [0.3], "x_ohm": [0.6], "switchable": True, "closed": False}
    ends = {"from_bus": "A", "to_bus": "B"}
    return Grid.from_tables(
        "ties",
        {
            "buses": [{"name": name, "vn_kv": 4.16, "phases": "abc"} for name in ("S", "A", "B")],
            "sources": [{"name": "grid", "bus": "S"}],
            "lines": [
                {"name": "SA", "from_bus": "S", "to_bus": "A", **whole},
                {"name": "SB", "from_bus": "S", "to_bus": "B", **whole},
                *({"name": f"tie {p}", **ends, "phases": p, **one} for p in "abc"),
            ],
        },
    )


def choices_and_states(network: Network, locked: dict[int, bool] | None = None) -> tuple[Choices, set[bytes]]:
    """What is left to decide, and all radial states by trying every state of the switches."""
    today, movable = by_branch(network, network.closed), by_branch(network, network.switchable)
    must_close, must_open = today & ~movable, ~today & ~movable
    for branch, closed in (locked or {}).items():
        must_close[branch], must_open[branch] = closed, not closed
    free = np.flatnonzero(~must_close & ~must_open)
    n, fr, to, sources = network.n_terminals, network.terminal_fr, network.terminal_to, network.source_terminal
    found: set[bytes] = set()
    for bits in itertools.product([False, True], repeat=len(free)):
        state = must_close.copy()
        state[free] = bits
        conducting = state[network.conductor_branch]
        if is_radial(n, fr, to, conducting, sources) and energised(n, fr, to, conducting, sources).all():
            found.add(state.tobytes())
    return choices_of(network, must_close, must_open), found
