"""Random sound grids of a few buses, with everything that a balanced grid may hold, through engineering units.

One builder serves both ways of asking: by seed, where the number of grids is to be exact, and as a Hypothesis
strategy. Limits are set from the exact power flows of all topologies, midway between
two of them, so that they bind, and so that no topology sits within a tolerance of a limit.
"""

import random
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from openpoint.arrays import Bools
from openpoint.grid import Grid
from openpoint.network import Network, build_network
from openpoint.powerflow.balanced import solve
from openpoint.search.enumeration import topologies

Rows = list[dict[str, Any]]
MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Flavour:
    """What a grid may hold.

    Attributes:
        buses: least and most number of buses.
        rich: taps, levels, charging, capacitors, loads of other models, switches without impedance.
        feed: fixed generators, some larger than the load around them.
        dispatch: dispatchable generators.
        limits: voltage limits and ratings that bind, or that nothing keeps.
    """

    buses: tuple[int, int] = (3, 10)
    rich: bool = True
    feed: bool = False
    dispatch: bool = False
    limits: bool = False


PLAIN = Flavour(rich=False)
RICH = Flavour()
FEED = Flavour(feed=True)
LIMITED = Flavour(limits=True)
LIMITED_FEED = Flavour(feed=True, limits=True)
DISPATCH = Flavour(feed=True, dispatch=True, limits=True)
FIXED = (PLAIN, RICH, FEED, LIMITED, LIMITED_FEED)


@cache
def random_grid(seed: int, flavour: Flavour = RICH) -> Grid:
    """The grid of a seed; the same one at each call, since grids do not change."""
    return build(random.Random(seed), flavour)


def fixed_grid(seed: int) -> Grid:
    """A grid without anything to dispatch, flavours in turn."""
    return random_grid(seed, FIXED[seed % len(FIXED)])


def grids(flavour: Flavour = RICH) -> st.SearchStrategy[Grid]:
    """Hypothesis strategy of such grids: by their seeds, so that tests of one process build each grid once."""
    return st.integers(0, MOST_SEEDS).map(lambda seed: random_grid(seed, flavour))


def all_topologies(network: Network) -> Bools:
    """(K, E) every radial topology."""
    return np.concatenate([np.empty((0, network.n_conductors), dtype=np.bool_), *topologies(network)])


def build(rng: random.Random, flavour: Flavour) -> Grid:
    """A random grid of the flavour."""
    grid = Grid.from_tables("random", _tables(rng, flavour))
    return (_limited(rng, grid) if flavour.limits else grid).check()


def _tables(rng: random.Random, flavour: Flavour) -> dict[str, Rows]:
    n = rng.randint(*flavour.buses)
    n_sources = min(rng.choice((1, 1, 2, 3)), n - 1)
    names = [f"b{i}" for i in range(n)]
    level = [20.0 if flavour.rich and rng.random() < 0.2 else 10.0 for _ in names]
    tables: dict[str, Rows] = {
        kind: [] for kind in ("lines", "switches", "transformers", "loads", "generators", "capacitors")
    }
    tables["buses"] = [{"name": name, "vn_kv": vn} for name, vn in zip(names, level)]
    tables["sources"] = [
        {"name": f"s{i}", "bus": names[i], "v_pu": round(rng.uniform(0.99, 1.04), 4), "angle_degree": 1.5 * i}
        for i in range(n_sources)
    ]
    in_tree = [(rng.randrange(i), i) for i in range(n_sources, n)]
    ties = [tuple(rng.sample(range(n), 2)) for _ in range(rng.randint(1, 2 if n < 5 else 5))]
    edges = [(a, b, True) for a, b in in_tree] + [(a, b, False) for a, b in ties]
    rng.shuffle(edges)
    disorder = rng.random() < 0.2  # today's state need not be radial
    for k, (a, b, closed) in enumerate(edges):
        fixed = rng.random() < (0.15 if closed else 0.05)
        row = {"name": f"e{k}", "switchable": not fixed, "closed": closed}
        if disorder and not fixed and rng.random() < 0.3:
            row["closed"] = not closed
        if rng.random() < 0.5:
            a, b = b, a
        _add_branch(rng, tables, {**row, "from_bus": names[a], "to_bus": names[b]}, level[a], level[b], flavour.rich)
    for i, name in enumerate(names):
        _add_bus(rng, tables, name, flavour, at_source=i < n_sources)
    if flavour.dispatch:
        for k in range(rng.randint(1, 2)):
            tables["generators"].append(_dispatchable(rng, f"d{k}", rng.choice(names)))
    return tables


def _add_branch(
    rng: random.Random, tables: dict[str, Rows], row: dict[str, Any], vn_fr: float, vn_to: float, rich: bool
) -> None:
    r, x = rng.uniform(0.1, 3.0), rng.uniform(0.1, 3.0)
    scale = (vn_to / 10.0) ** 2
    kind = rng.random() if rich else 1.0
    if vn_fr != vn_to or kind < 0.1:
        tap = {"tap_min": -4, "tap_max": 4, "tap_pos": rng.randint(-2, 2), "tap_step_percent": 1.25}
        rated = {"vn_from_kv": vn_fr, "vn_to_kv": vn_to, "tap_side": rng.choice(("from", "to"))}
        z = {"r_ohm": round(0.3 * r * scale, 4), "x_ohm": round(x * scale, 4)}
        more = {"shift_degree": rng.choice((0.0, 0.0, 30.0)), "b_us": -1.0, "g_us": 2.0} if rng.random() < 0.3 else {}
        tables["transformers"].append({**row, **tap, **rated, **z, **more})
    elif kind < 0.2:
        tables["switches"].append(row)
    else:
        charging: dict[str, Any] = {}
        if rich and rng.random() < 0.3:
            b = round(rng.uniform(0.0, 60.0) / scale, 3)
            charging = {"b_us": [b], "open_end": ("both", "from", "to")[int(1000.0 * b) % 3]}
        z = {"r_ohm": [round(r * scale, 4)], "x_ohm": [round(x * scale, 4)]}
        tables["lines"].append({**row, **z, **charging})


def _add_bus(rng: random.Random, tables: dict[str, Rows], name: str, flavour: Flavour, *, at_source: bool) -> None:
    if rng.random() < 0.8:
        p = round(rng.uniform(20.0, 500.0), 1)
        q = round(p * rng.uniform(-0.2 if flavour.rich and rng.random() < 0.1 else 0.0, 0.7), 1)
        model = rng.choice(("power", "power", "current", "impedance")) if flavour.rich else "power"
        tables["loads"].append({"name": f"l_{name}", "bus": name, "model": model, "p_kw": p, "q_kvar": q})
    if flavour.rich and rng.random() < 0.15:
        size = {"q_kvar": 150.0, "steps": 3, "steps_on": rng.randint(0, 3)}
        tables["capacitors"].append({"name": f"c_{name}", "bus": name, **size})
    if flavour.feed and not at_source and rng.random() < 0.3:
        output = {"p_kw": round(rng.uniform(50.0, 1500.0), 1), "q_kvar": round(rng.uniform(-100.0, 100.0), 1)}
        tables["generators"].append({"name": f"g_{name}", "bus": name, **output})


def _dispatchable(rng: random.Random, name: str, bus: str) -> dict[str, Any]:
    p = round(rng.uniform(50.0, 800.0), 1)
    row = {"name": name, "bus": bus, "p_kw": p}
    if rng.random() < 0.7:
        row |= {"p_min_kw": 0.0, "p_max_kw": round(1.2 * p, 1)}
    if "p_max_kw" not in row or rng.random() < 0.5:
        row |= {"q_min_kvar": round(-0.4 * p, 1), "q_max_kvar": round(0.4 * p, 1)}
    return row


def _limited(rng: random.Random, grid: Grid) -> Grid:
    """The grid with limits at places where some topologies keep them; at times with limits that none keeps."""
    network = build_network(grid)
    flows = solve(network, all_topologies(network))
    good = flows.converged & flows.energised.all(axis=1)
    v, i = np.abs(flows.v[good]), flows.i_rated[good]
    inner = np.setdiff1d(np.arange(network.n_terminals), network.source_terminal)
    if not len(v):
        return grid
    tables = {kind: frame.to_dicts() for kind, frame in grid.tables().items()}
    some = [n for n in inner if rng.random() < 0.7] or list(inner)
    if rng.random() < 0.6:
        low = _between(rng, v[:, some].min(axis=1), 0.002, at_most=True)
        for n in some:
            tables["buses"][n]["v_min_pu"] = low
    if rng.random() < 0.4:
        high = max(
            _between(rng, v[:, some].max(axis=1), 0.002, at_most=False), tables["buses"][some[0]]["v_min_pu"] or 0
        )
        for n in some:
            tables["buses"][n]["v_max_pu"] = high
    if rng.random() < 0.6:
        rows = [row for kind in ("lines", "switches", "transformers") for row in tables[kind]]
        for e in rng.sample(range(len(rows)), rng.randint(1, len(rows))):
            amps = _between(rng, i[:, e] * network.i_base_a[e], 0.5, at_most=False)
            column = "s_max_kva" if "s_max_kva" in rows[e] else "i_max_a"
            rating = amps * np.sqrt(3.0) * rows[e]["vn_to_kv"] if column == "s_max_kva" else amps
            rows[e][column] = max(float(rating), 1.0)
    return Grid.from_tables(grid.name, tables)


def _between(rng: random.Random, figures: np.ndarray, least: float, *, at_most: bool) -> float:
    """A limit in the widest of some gaps between figures, or beyond all of them; `at_most`: it bounds from below."""
    ordered = np.unique(np.concatenate([figures, [figures.min() - 4 * least, figures.max() + 4 * least]]))
    # Mostly most topologies keep a limit, else hardly any grid would be feasible.
    share = rng.random() ** 2.5
    place = min(int((share if at_most else 1.0 - share) * (len(ordered) - 1)), len(ordered) - 2)
    around = range(max(place - 2, 0), min(place + 3, len(ordered) - 1))
    widest = max(around, key=lambda k: ordered[k + 1] - ordered[k])
    return float((ordered[widest] + ordered[widest + 1]) / 2)
