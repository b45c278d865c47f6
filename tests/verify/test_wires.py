"""What follows from the graph for a radial state, against all spanning trees."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np

from openpoint.verify.graph import Graph
from openpoint.verify.wires import CLOSED, FREE, OPEN


def test_branches_are_decided_as_all_spanning_trees_have_them() -> None:
    decided = dead = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n, m = int(rng.integers(3, 8)), int(rng.integers(3, 12))
        fr, to = rng.integers(0, n, m).tolist(), rng.integers(0, n, m).tolist()
        sources = set(rng.choice(n, int(rng.integers(1, 3)), replace=False).tolist())
        fresh = set(np.flatnonzero(rng.random(m) < 0.4).tolist())
        most = float(rng.choice([np.inf, 0.0, 1.0, 1.5]))
        graph = Graph(n, fr, to, sources, fresh, most)
        trees = spanning_trees(graph)
        for _ in range(8):
            status = np.where(rng.random(m) < 0.7, FREE, rng.integers(0, 2, m)).astype(np.int8)
            fitting = [tree for tree in trees if all(s in (FREE, t) for s, t in zip(status, tree, strict=True))]
            before = int(np.sum(status == FREE))
            if not graph.consequences(status):
                assert not fitting, seed
                dead += 1
                continue
            for tree in fitting:
                assert all(s in (FREE, t) for s, t in zip(status, tree, strict=True)), seed
            if most == np.inf:  # then nothing else follows
                ways = np.array(fitting)
                assert len(ways), seed
                np.testing.assert_array_equal(status == FREE, (ways != ways[0]).any(axis=0))
            decided += before - int(np.sum(status == FREE))
    assert decided > 50
    assert dead > 50


def spanning_trees(graph: Graph) -> list[tuple[int, ...]]:
    """The states of all spanning trees with at most so many closings; sources are one node."""
    first, m = min(graph.sources), len(graph.fr)
    fr, to = ([first if bus in graph.sources else bus for bus in side] for side in (graph.fr, graph.to))
    nodes = set(range(graph.n)) - (graph.sources - {first})
    found = []
    for closed in combinations(range(m), len(nodes) - 1):
        tree = nx.MultiGraph([(fr[e], to[e]) for e in closed])
        tree.add_nodes_from(nodes)
        if nx.is_connected(tree) and len(graph.fresh.intersection(closed)) <= graph.most:
            found.append(tuple(CLOSED if e in closed else OPEN for e in range(m)))
    return found
