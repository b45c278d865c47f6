"""Random grids with stations: parallel transformers, double busbars, closed couplers, feeders with ties."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from openpoint.arrays import Bools
from openpoint.graph import energised, forest
from openpoint.grid import Grid
from openpoint.network import Network


def station_grid(seed: int, *, limited: bool = False) -> Grid:
    """One or two sources of one voltage, two or three transformers, busbars in a ring of couplers, feeders."""
    rng = np.random.default_rng(seed)
    sections, units, feeders = (int(rng.integers(low, high)) for low, high in ((2, 4), (2, 4), (3, 6)))
    sources = int(rng.integers(1, 3))
    buses: list[dict[str, Any]] = [{"name": f"H{k}", "vn_kv": 110.0} for k in range(2)]
    buses += [{"name": f"M{k}", "vn_kv": 20.0} for k in range(sections)]
    couplers = [{"name": f"C{k}", "from_bus": f"M{k}", "to_bus": f"M{(k + 1) % sections}"} for k in range(sections)]
    if sources == 1:
        couplers.append({"name": "CH", "from_bus": "H1", "to_bus": "H0"})
    step = float(rng.integers(-3, 4))
    unit = {"vn_from_kv": 110.0 * (1 + 0.015 * step), "vn_to_kv": 20.0, "shift_degree": 150.0, "g_us": 5.0}
    transformers = [
        {
            "name": f"T{k}",
            "from_bus": f"H{k % 2}",
            "to_bus": f"M{k % sections}",
            "r_ohm": float(rng.uniform(0.05, 0.2)),
            "x_ohm": float(rng.uniform(1.0, 3.0)),
            "b_us": -20.0,
            "s_max_kva": float(rng.uniform(3000, 9000)) if limited else None,
            **unit,
        }
        for k in range(units)
    ]
    for row in transformers[1:] if rng.random() < 0.5 else []:
        row |= {name: transformers[0][name] for name in ("r_ohm", "x_ohm")}
    lines: list[dict[str, Any]] = []
    loads: list[dict[str, Any]] = []

    def line(name: str, a: str, b: str, **more: Any) -> None:
        z = {"r_ohm": float(rng.uniform(0.2, 2.0)), "x_ohm": float(rng.uniform(0.2, 1.0)), "b_us": 60.0}
        limit = {"i_max_a": float(rng.uniform(90, 300))} if limited else {}
        lines.append({"name": name, "from_bus": a, "to_bus": b, **z, **limit, **more})

    for f in range(feeders):
        last = f"M{f % sections}"
        for k in range(2):
            bus = f"F{f}{k}"
            buses.append({"name": bus, "vn_kv": 20.0})
            loads.append({"name": bus, "bus": bus, "p_kw": float(rng.uniform(200, 1500)), "q_kvar": 200.0})
            line(f"L{f}{k}", last, bus, switchable=k == 1 or bool(rng.random() < 0.5), open_end=str(rng.choice(ENDS)))
            last = bus
    for t in range(2):
        a, b = rng.choice(feeders, 2, replace=False)
        line(f"tie{t}", f"F{a}1", f"F{b}{t}", closed=False, open_end=str(rng.choice(ENDS)))
    if rng.random() < 0.5:  # a cable beside a coupler
        line("beside", "M1", "M0", switchable=False)
    tables: dict[str, Any] = {
        "buses": buses,
        "lines": lines,
        "switches": [{**coupler, "switchable": False} for coupler in couplers],
        "transformers": transformers,
        "sources": [{"name": f"S{k}", "bus": f"H{k}", "v_pu": 1.03} for k in range(sources)],
        "loads": loads,
    }
    return Grid.from_tables("station", tables)


ENDS = ("both", "from", "to")


def states(network: Network) -> Iterator[Bools]:
    """Every state of the switchable branches in which one path joins each bus to the sources, held loops aside."""
    n, fr, to, source = network.n_terminals, network.terminal_fr, network.terminal_to, network.source_terminal
    held = np.flatnonzero(network.closed & ~network.switchable)
    free = np.flatnonzero(network.switchable)
    fixed = held[forest(n, fr[held], to[held])]
    joined = np.full(max(len(source) - 1, 0), source[0])
    for bits in product((False, True), repeat=len(free)):
        on = free[np.array(bits, dtype=np.bool_)]
        tree = np.concatenate([fixed, on])
        a, b = np.concatenate([joined, fr[tree]]), np.concatenate([source[1:], to[tree]])
        extra = ~forest(n, a, b)
        if extra[len(joined) + len(fixed) :].any():
            continue
        closed = network.closed & ~network.switchable
        closed[on] = True
        if energised(n, fr, to, closed, source).all():
            yield closed
