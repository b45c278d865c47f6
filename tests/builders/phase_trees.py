"""Random small grids of several phases with loops: lines with unequal matrices, laterals, loads of every kind."""

import itertools
from typing import Any

import numpy as np
import polars as pl

from openpoint.grid import Grid

MODELS = ("power", "current", "impedance", "cvr")


def phase_trees(seed: int, *, loads: str = "all", generation: bool = False, held: bool = False) -> Grid:
    """A grid of 4 to 7 buses with 2 or 3 loops; all lines may be switched.

    Args:
        loads: "power" (to neutral), "wye" (of every model), or "all" (deltas, capacitors and bands, too).
        held: a second line beside one of them, and neither may be opened.
    """
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 8))
    phases, above = ["abc"], [0]
    for b in range(1, n):
        above.append(int(rng.integers(0, b)))
        own = phases[above[b]]
        phases.append(own.replace(str(rng.choice(list(own))), "") if len(own) > 1 and rng.random() < 0.3 else own)
    ends = [(above[b], b) for b in range(1, n)]
    for _ in range(50):
        a, b = sorted(rng.choice(n, 2, replace=False).tolist())
        if (a, b) not in ends and phases[a] == phases[b] and len(ends) < n + int(seed % 2) + 1:
            ends.append((a, b))
    lines = [
        _line(rng, a, b, "".join(p for p in phases[a] if p in phases[b]), k >= n - 1) for k, (a, b) in enumerate(ends)
    ]
    if held:
        one = lines[int(rng.integers(0, n - 1))]
        one["switchable"] = False
        twin = _line(rng, int(one["from_bus"]), int(one["to_bus"]), one["phases"], False)
        lines.append({**twin, "name": "twin", "switchable": False})
    rows, capacitors, generators = [], [], []
    heavy = rng.uniform(20.0, 130.0)
    for b in range(1, n):
        for phase in phases[b]:
            place = {"name": f"{b}{phase}", "bus": str(b), "phases": phase}
            p, q = rng.uniform(0.0, heavy), rng.uniform(0.0, heavy / 2)
            if generation and rng.random() < 0.25:
                generators.append({**place, "p_kw": p, "q_kvar": 0.0})
                continue
            band = {"v_min_pu": 0.95, "v_max_pu": 1.05} if loads == "all" and rng.random() < 0.5 else {}
            model = "power" if loads == "power" else str(rng.choice(MODELS))
            rows.append({**place, "model": model, "p_kw": p, "q_kvar": q, **band})
        if loads == "all" and len(phases[b]) > 1:
            place = {"bus": str(b), "phases": phases[b], "connection": "delta"}
            model = str(rng.choice(MODELS))
            rows.append({"name": f"{b} delta", **place, "model": model, "p_kw": heavy, "q_kvar": heavy / 3})
        if loads == "all" and rng.random() < 0.3:
            capacitors.append({"name": str(b), "bus": str(b), "phases": phases[b], "q_kvar": heavy})
    tables: dict[str, Any] = {
        "buses": [{"name": str(b), "vn_kv": 4.16, "phases": phases[b]} for b in range(n)],
        "lines": lines,
        "sources": [{"name": "s", "bus": "0", "v_pu": float(rng.uniform(1.0, 1.03))}],
        "loads": rows,
        "capacitors": capacitors,
        "generators": generators,
    }
    return Grid.from_tables(f"random {seed}", tables)


def in_chain(seed: int, *, loads: str = "all", held: bool = False) -> Grid:
    """A grid behind a bus of another one, of which it hangs on that alone, both with less load."""
    one, two = (phase_trees(each, loads=loads, held=held) for each in (2 * seed, 2 * seed + 1))
    last = one.buses.filter(pl.col("phases") == "abc")["name"][-1]
    tables = one.tables()
    for kind, table in two.tables().items():
        ends = [name for name in ("bus", "from_bus", "to_bus") if name in table.columns]
        at = [pl.when(pl.col(end) == "0").then(pl.lit(last)).otherwise("x" + pl.col(end)).alias(end) for end in ends]
        names = [("x" + pl.col("name")).alias("name")] if "name" in table.columns else []
        behind = table.with_columns(*at, *names)
        if kind != "sources":
            more = behind.filter(pl.col("name") != "x0") if kind == "buses" else behind
            tables[kind] = pl.concat([tables[kind], more], how="diagonal")
    less = pl.col("p_kw") * 0.4, pl.col("q_kvar") * 0.4
    tables["loads"] = tables["loads"].with_columns(*less)
    return one.with_tables(**tables)


def with_loose_part(grid: Grid, seed: int, p_kw: float) -> Grid | None:
    """With three buses of phases a and b, which generate, between two buses of three phases; None without these."""
    rng = np.random.default_rng(seed)
    three = grid.buses.filter((pl.col("phases") == "abc") & ~pl.col("name").str.starts_with("x"))["name"].to_list()
    if len(three) < 2:
        return None
    chain = [three[0 if len(three) == 2 else 1], "l1", "l2", "l3", three[-1]]
    tables: dict[str, Any] = {
        "buses": [{"name": name, "vn_kv": 4.16, "phases": "ab"} for name in chain[1:-1]],
        "lines": [
            {**_line(rng, 0, 1, "ab", k == 3), "name": f"l{k}", "from_bus": a, "to_bus": b}
            for k, (a, b) in enumerate(itertools.pairwise(chain))
        ],
        "generators": [
            {"name": f"{bus}{phase}", "bus": bus, "phases": phase, "p_kw": p_kw * rng.uniform(0.5, 1.0), "q_kvar": 0.0}
            for bus, phase in itertools.product(chain[1:-1], "ab")
        ],
    }
    more = Grid.from_tables("loose", {**tables, "sources": [{"name": "s", "bus": "l1", "v_pu": 1.0}]}).tables()
    both = {name: [each for each in (grid.tables().get(name), more[name]) if each is not None] for name in tables}
    return grid.with_tables(**{name: pl.concat(each, how="diagonal_relaxed") for name, each in both.items()})


def _line(rng: np.random.Generator, a: int, b: int, phases: str, tie: bool) -> dict[str, Any]:
    n, length = len(phases), rng.uniform(0.1, 0.8)
    own, mutual = np.array([0.3, 0.6]) * length, np.array([0.1, 0.25]) * length
    r, x = ([], [])
    for k in range(n):
        for j in range(k + 1):
            spread = rng.uniform(0.8, 1.2, 2)
            r.append(float((own if j == k else mutual)[0] * spread[0]))
            x.append(float((own if j == k else mutual)[1] * spread[1]))
    charging = [float(rng.uniform(0.0, 30.0)) if k in (0, 2, 5) else 0.0 for k in range(n * (n + 1) // 2)]
    ends = {"name": f"{a}-{b}", "from_bus": str(a), "to_bus": str(b), "phases": phases, "closed": not tie}
    return {**ends, "r_ohm": r, "x_ohm": x, "b_us": charging}
