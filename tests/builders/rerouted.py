"""Every radial state after a fault, by brute force: by how many closings the supply can be restored.

The definitions are taken literally, as in `tests.builders.secured`: a state closes branches that are closed or may be
switched, and that do not touch the section at fault; it feeds every bus that such branches join to a source; without
the branches that are always closed it has no loop. Each is judged by its AC power flow as a
grid of the fed buses alone.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import networkx as nx
import numpy as np

from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.powerflow.state import ac_state
from tests.builders.secured import TOLERANCE, graph_of, live_buses, state_grid


@dataclass(frozen=True)
class Restorable:
    """What switching can do after a fault.

    Attributes:
        cut_off: buses that lose supply and that no path leads to. waits: whether others lose supply, or limits break.
        fewest: closings of the state that keeps the limits with fewest; None where no state does.
        joined: closings of every state at least.
    """

    cut_off: frozenset[str]
    waits: bool
    fewest: int | None
    joined: int


def restorable(grid: Grid, name: str) -> Restorable:
    """What switching can do after the fault of a branch."""
    graph = graph_of(grid)
    switched = graph.copy()
    switched.remove_edges_from([(a, b) for a, b, data in graph.edges(data=True) if data["switch"]])
    section = nx.node_connected_component(switched, ("conductor", name))
    own = {node[1] for node in section if node[0] == "bus"}
    touching = {node[1] for node in section if node[0] == "conductor"}
    touching |= {node[1] for bus in own for node in graph.neighbors(("bus", bus))}
    table = grid.branches().select("name", "from_bus", "to_bus", "switchable", "closed").rows()
    usable = [row for row in table if (row[3] or row[4]) and row[0] not in touching]
    left = [row[0] for row in usable if row[4]]
    fed = live_buses(grid, [row[0] for row in usable], own)
    before = live_buses(grid, [row[0] for row in table if row[4]], set())
    after = live_buses(grid, left, own)
    inside = [row for row in usable if row[1] in fed]
    network = build_network(state_grid(grid, left, fed))
    counts = [
        len(set(closed) - set(left)) for closed in _trees(grid, inside, fed) if _keeps_limits(network, set(closed))
    ]
    joined = nx.Graph()
    joined.add_nodes_from(fed)
    joined.add_edges_from(row[1:3] for row in inside if row[4])
    sources = set(grid.sources["bus"])
    apart = sum(not part & sources for part in map(set, nx.connected_components(joined)))
    return Restorable(frozenset(before - own - fed), bool(fed - after), min(counts, default=None), apart)


def _trees(grid: Grid, usable: list[tuple[str, str, str, bool, bool]], fed: set[str]) -> Iterator[list[str]]:
    """The branches closed in every radial state that feeds these buses."""
    held = nx.utils.UnionFind(sorted(fed))
    held.union(*sorted(set(grid.sources["bus"]) & fed))
    for _, fr, to, switchable, _ in usable:
        if not switchable:
            held.union(fr, to)
    nodes = {held[bus] for bus in fed}
    always = [row[0] for row in usable if not row[3]]
    free = [row for row in usable if row[3]]
    for some in itertools.combinations(free, len(nodes) - 1):
        tree = nx.utils.UnionFind(sorted(nodes))
        loop = False
        for _, fr, to, _, _ in some:
            a, b = held[fr], held[to]
            loop |= tree[a] == tree[b]
            tree.union(a, b)
        if not loop:
            yield [*always, *(row[0] for row in some)]


def _keeps_limits(network: Network, closed: set[str]) -> bool:
    state = ac_state(network, np.array([name in closed for name in network.branch_names], dtype=np.bool_))
    if state is None:
        return False
    v, i = np.abs(state.v), state.i
    low, high = np.sqrt(network.w_min), np.sqrt(network.w_max)
    inner = ~np.isin(np.arange(len(v)), network.source_terminal)
    keeps = (v >= low * (1.0 - TOLERANCE)) & (v <= high * (1.0 + TOLERANCE)) | ~inner
    return bool(keeps.all() and (i <= np.sqrt(network.l_max) * (1.0 + TOLERANCE)).all())
