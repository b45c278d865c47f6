"""Random grids with stations, switches at ends and customers, and what a fault does to them by another way.

The oracle takes the definitions literally: sections by removing ends with a switch from a graph, supply by the
reachability in a graph, and every state after a fault as a grid of its own without the dead buses, whose power flow is
that of `run_powerflow`.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import networkx as nx
import numpy as np
import polars as pl

import openpoint
from openpoint.grid.grid import Grid
from openpoint.scenarios.reliability import Reliability

TOLERANCE = 1e-6


def random_secured(seed: int) -> tuple[Grid, Reliability]:
    """A grid with one source, a transformer, a switch between two bus bars now and then, loops, and its data."""
    rng = np.random.default_rng([seed, 17])
    n = int(rng.integers(4, 8))
    station = ["hv", "bar"] + (["bar2"] if rng.random() < 0.4 else [])
    inner = [f"b{k}" for k in range(n)]
    buses = [
        {"name": name, "vn_kv": 110.0 if name == "hv" else 20.0, "v_min_pu": 0.93, "v_max_pu": 1.05}
        for name in [*station, *inner]
    ]
    lines = []

    def line(a: str, b: str, closed: bool) -> None:
        switchable = not closed or bool(rng.random() < 0.7)
        opens = str(rng.choice(["both", "from", "to"])) if switchable else "both"
        told = ["", "both", opens] if switchable else ["", "both", "from", "to", "none"]
        lines.append(
            {
                "name": f"l{len(lines)}",
                "from_bus": a,
                "to_bus": b,
                "r_ohm": float(rng.uniform(0.5, 4.0)),
                "x_ohm": float(rng.uniform(0.5, 4.0)),
                "b_us": float(rng.choice([0.0, 20.0])),
                "i_max_a": float(rng.uniform(80.0, 300.0)),
                "length_km": float(rng.uniform(0.5, 5.0)),
                "switchable": switchable,
                "closed": closed,
                "open_end": opens,
                "switch_ends": str(rng.choice(told)),
            }
        )

    for k, bus in enumerate(inner):
        line(str(rng.choice([*station[1:], *inner[:k]])), bus, True)
    for _ in range(int(rng.integers(1, 4))):
        a, b = rng.choice([*station[1:], *inner], 2, replace=False)
        line(str(a), str(b), False)
    coupler = {"name": "c", "from_bus": "bar", "to_bus": "bar2", "switchable": False}
    couplers = [coupler, {**coupler, "name": "c2"}][: int(rng.integers(1, 3))]
    loads = [
        {"name": f"d{k}", "bus": bus, "p_kw": float(rng.uniform(0.0, 2500.0)), "q_kvar": float(rng.uniform(0.0, 800.0))}
        for k, bus in enumerate(inner)
        if rng.random() < 0.8
    ]
    transformer = {
        "name": "t",
        "from_bus": "hv",
        "to_bus": "bar",
        "vn_from_kv": 110.0,
        "vn_to_kv": 20.0,
        "s_max_kva": float(rng.choice([4_000.0, 40_000.0])),
        "r_ohm": 0.05,
        "x_ohm": 1.0,
    }
    grid = Grid.from_tables(
        f"random-{seed}",
        {
            "buses": buses,
            "lines": lines,
            "switches": couplers if "bar2" in station else [],
            "transformers": [transformer, {**transformer, "name": "t2"}][: int(rng.integers(1, 3))],
            "sources": [{"name": "s", "bus": "hv", "v_pu": 1.02}],
            "loads": loads,
        },
    )
    customers = [{"bus": bus, "customers": float(rng.integers(0, 50))} for bus in inner]
    some = [each["name"] for each in lines if rng.random() < 0.3]
    rates = [{"branch": name, "failures_per_year": float(rng.uniform(0.0, 1.0))} for name in some]
    return grid, Reliability.of(customers, rates)


def random_breakers(seed: int, grid: Grid) -> dict[str, str]:
    """Ends of some lines at which a breaker trips."""
    rng = np.random.default_rng([seed, 18])
    return {name: str(rng.choice(["from", "to", "both"])) for name in grid.lines["name"] if rng.random() < 0.3}


@dataclass(frozen=True)
class Outcome:
    """What a fault of a branch does: buses tripped, isolated, and those dark until the repair; the ties closed.

    `stays`: whether the branch lay on no loop, or the limits hold while others carry what it carried.
    """

    tripped: frozenset[str]
    isolated: frozenset[str]
    parts: tuple[frozenset[str], ...]
    served_kw: float
    ties: frozenset[str]
    stays: bool


def outcomes(grid: Grid, breakers: Mapping[str, str] | None = None) -> Iterator[tuple[str, Outcome]]:
    """Every line and transformer under voltage, and what its fault does; `breakers`: ends of lines with one more."""
    graph = graph_of(grid, breakers)
    switched = graph.copy()
    switched.remove_edges_from([(a, b) for a, b, data in graph.edges(data=True) if data["switch"]])
    conductors = {name: ("conductor", name) for name in grid.branches()["name"]}
    supply = live_buses(grid, grid.branches().filter("closed")["name"].to_list(), set())
    for kind, name, closed in grid.branches().select("kind", "name", "closed").iter_rows():
        if kind == "switches":
            continue
        section = nx.node_connected_component(switched, conductors[name])
        own = frozenset(node[1] for node in section if node[0] == "bus")
        ends = [b for _, b in graph.edges(conductors[name])]
        if not (own & supply or (closed and any(node[1] in supply for node in ends))):
            continue
        yield name, _outcome(grid, graph, section, own, name)


def _outcome(grid: Grid, graph: nx.Graph, section: set[tuple[str, str]], own: frozenset[str], name: str) -> Outcome:
    branches = grid.branches()
    closed = branches.filter("closed")["name"].to_list()
    touching = {node[1] for node in section if node[0] == "conductor"}
    touching |= {node[1] for bus in own for node in graph.neighbors(("bus", bus))}
    left = [each for each in closed if each not in touching]
    live_before, live_after = live_buses(grid, closed, set()), live_buses(grid, left, set(own))
    parts = [frozenset(part) for part in _islands(grid, left) if not part & (own | live_after) and part & live_before]
    load = dict(grid.loads.group_by("bus").agg(pl.col("p_kw").sum()).iter_rows())
    open_ties = branches.filter(~pl.col("closed") & pl.col("switchable") & ~pl.col("name").is_in(list(touching)))[
        "name"
    ].to_list()
    best: tuple[float, int, float, frozenset[str]] = (0.0, 0, 0.0, frozenset())
    for count in range(1, len(parts) + 1):
        for ties in itertools.combinations(open_ties, count):
            live = live_buses(grid, [*left, *ties], set(own))
            served = [part for part in parts if part <= live]
            if len(served) < count or live != live_after.union(*served):
                continue
            loss = _loss_within_limits(grid, [*left, *ties], live)
            if loss is None:
                continue
            found = (-sum(load.get(bus, 0.0) for part in served for bus in part), count, loss, frozenset(ties))
            best = min(best, found) if best[3] else found
    ends = {name: {fr, to} for name, fr, to in branches.select("name", "from_bus", "to_bus").iter_rows()}
    loops = any(
        any(ends[each] <= island for island in _islands(grid, [other for other in closed if other != each]))
        for each in touching & set(closed)
    )
    stays = not loops or _loss_within_limits(grid, left, live_after) is not None
    return Outcome(_tripped(grid, graph, section, closed), own, tuple(parts), -best[0], best[3], stays)


def graph_of(grid: Grid, breakers: Mapping[str, str] | None = None) -> nx.Graph:
    """Buses and conductors, joined by ends; an end has a switch or not."""
    station = _station(grid)
    graph = nx.Graph()
    graph.add_nodes_from(("bus", name) for name in grid.buses["name"])
    lines = {row["name"]: row for row in grid.lines.iter_rows(named=True)}
    for kind, name, fr, to, switchable, closed in (
        grid.branches().select("kind", "name", "from_bus", "to_bus", "switchable", "closed").iter_rows()
    ):
        for side, bus in (("from", fr), ("to", to)):
            breaker = kind == "transformers" or (kind == "lines" and bus in station)
            breaker |= (breakers or {}).get(name, "") in ("both", side)
            line = lines.get(name)
            at = "both" if line is None else line["switch_ends"] or (line["open_end"] if switchable else "none")
            switch = breaker or at in ("both", side) or not (switchable or closed)
            graph.add_edge(("conductor", name), ("bus", bus), switch=switch, breaker=breaker)
    return graph


def _station(grid: Grid) -> set[str]:
    joined = nx.Graph()
    joined.add_nodes_from(grid.buses["name"])
    joined.add_edges_from(grid.switches.select("from_bus", "to_bus").iter_rows())
    start = {*grid.sources["bus"], *grid.transformers["to_bus"]}
    return {bus for part in nx.connected_components(joined) if part & start for bus in part}


def _islands(grid: Grid, closed: list[str]) -> list[set[str]]:
    graph = nx.Graph()
    graph.add_nodes_from(grid.buses["name"])
    table = grid.branches().filter(pl.col("name").is_in(closed))
    graph.add_edges_from(table.select("from_bus", "to_bus").iter_rows())
    return list(nx.connected_components(graph))


def live_buses(grid: Grid, closed: list[str], without: set[str]) -> set[str]:
    """Buses that closed branches join to a source."""
    return {bus for part in _islands(grid, closed) if part & set(grid.sources["bus"]) for bus in part} - without


def _tripped(grid: Grid, graph: nx.Graph, section: set[tuple[str, str]], closed: list[str]) -> frozenset[str]:
    """Buses that lose supply when the breakers around the part without breakers that holds the fault open."""
    without = nx.Graph()
    without.add_nodes_from(graph.nodes)
    for a, b, data in graph.edges(data=True):
        conductor = a if a[0] == "conductor" else b
        inside = a in section and b in section
        if not data["breaker"] and (conductor[1] in closed or inside):
            without.add_edge(a, b)
    zone = nx.node_connected_component(without, next(iter(section)))
    buses = {node[1] for node in zone if node[0] == "bus"}
    dead = {node[1] for node in zone if node[0] == "conductor"}
    dead |= {node[1] for bus in buses for node in graph.neighbors(("bus", bus))}  # nothing is fed through a dead bus
    live = live_buses(grid, [name for name in closed if name not in dead], buses)
    return frozenset(live_buses(grid, closed, set()) - live)


def _loss_within_limits(grid: Grid, closed: list[str], live: set[str]) -> float | None:
    """The loss of a state, as a grid of the live buses alone; None where it breaks a limit or is meshed."""
    try:
        result = openpoint.run_powerflow(state_grid(grid, closed, live))
    except openpoint.InputError:
        return None
    return None if any(violation.excess > TOLERANCE for violation in result.violations) else result.loss_kw


def state_grid(grid: Grid, closed: list[str], live: set[str]) -> Grid:
    """A state as a grid of the live buses alone."""
    tables = {}
    for kind, table in grid.tables().items():
        if kind == "buses":
            table = table.filter(pl.col("name").is_in(list(live)))
        elif kind in ("lines", "switches", "transformers"):
            there = pl.col("name").is_in(closed)
            kept = table.filter(pl.col("from_bus").is_in(list(live)) & pl.col("to_bus").is_in(list(live)))
            table = kept.with_columns(there.alias("closed"), switchable=pl.lit(True))
            table = table.with_columns(switch_ends=pl.lit("")) if kind == "lines" else table
        else:
            table = table.filter(pl.col("bus").is_in(list(live)))
        tables[kind] = table
    return Grid.from_tables("state", tables)
