"""Topology questions against networkx on random multigraphs."""

from random import Random

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpoint.graph import bridges, components, energised, exchange_order, forest, is_radial, islands, path

Edges = list[tuple[int, int]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Edges]:
    n = draw(st.integers(1, 8))
    node = st.integers(0, n - 1)
    return n, draw(st.lists(st.tuples(node, node), max_size=14))


def arrays(edges: Edges) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array(edges, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def multigraph(n: int, edges: Edges) -> nx.MultiGraph:
    graph = nx.MultiGraph()
    graph.add_nodes_from(range(n))
    for k, (a, b) in enumerate(edges):
        graph.add_edge(a, b, key=k)
    return graph


@given(graphs())
def test_components_are_those_of_networkx_numbered_by_their_first_node(case: tuple[int, Edges]) -> None:
    n, edges = case
    labels = components(n, *arrays(edges))
    sets = sorted(nx.connected_components(multigraph(n, edges)), key=min)
    assert [sorted(np.flatnonzero(labels == k).tolist()) for k in range(len(sets))] == [sorted(s) for s in sets]


@given(graphs())
def test_bridges_split_and_the_others_do_not(case: tuple[int, Edges]) -> None:
    n, edges = case
    fr, to = arrays(edges)
    whole = components(n, fr, to).max()
    for e, is_bridge in enumerate(bridges(n, fr, to)):
        rest = np.arange(len(edges)) != e
        assert is_bridge == (components(n, fr[rest], to[rest]).max() > whole)


@given(graphs())
def test_forest_spans_without_a_loop(case: tuple[int, Edges]) -> None:
    n, edges = case
    fr, to = arrays(edges)
    tree = forest(n, fr, to)
    assert (components(n, fr[tree], to[tree]) == components(n, fr, to)).all()
    assert tree.sum() == n - len(set(components(n, fr, to).tolist()))


@given(graphs(), st.data())
def test_path_is_a_shortest_path(case: tuple[int, Edges], data: st.DataObject) -> None:
    n, edges = case
    fr, to = arrays(edges)
    start, goal = data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n - 1))
    graph = multigraph(n, edges)
    found = path(n, fr, to, start, goal)
    if not nx.has_path(graph, start, goal):
        assert found is None
        return
    assert len(found) == nx.shortest_path_length(graph, start, goal)
    at = start
    for e in found:
        at = edges[e][1] if edges[e][0] == at else edges[e][0]
    assert at == goal


@given(graphs(), st.data())
def test_radial_means_a_tree_with_one_source_in_every_live_island(case: tuple[int, Edges], data: st.DataObject) -> None:
    n, edges = case
    fr, to = arrays(edges)
    closed = np.array(data.draw(st.lists(st.booleans(), min_size=len(edges), max_size=len(edges))), dtype=np.bool_)
    sources = sorted(data.draw(st.sets(st.integers(0, n - 1), max_size=3)))
    graph = multigraph(n, [e for e, c in zip(edges, closed) if c])
    live = [c for c in nx.connected_components(graph) if c & set(sources)]
    by_definition = all(len(c & set(sources)) == 1 and nx.is_tree(graph.subgraph(c)) for c in live)
    numbers = np.array(sources, dtype=np.int64)
    assert is_radial(n, fr, to, closed, numbers) == by_definition
    assert set(np.flatnonzero(energised(n, fr, to, closed, numbers)).tolist()) == set().union(*live)


def test_a_source_given_twice_is_not_radial() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert not is_radial(1, none, none, none.astype(bool), np.array([0, 0]))


def test_empty_graph() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert components(0, none, none).shape == (0,)
    assert islands(0, none, none, none.astype(bool)).shape == (0,)
    assert is_radial(0, none, none, none.astype(bool), none)


@pytest.mark.parametrize("n", [20_000])
def test_a_long_feeder_needs_no_recursion(n: int) -> None:
    fr, to = np.arange(n - 1), np.arange(1, n)
    assert bridges(n, fr, to).all()
    assert path(n, fr, to, 0, n - 1) == list(range(n - 1))


@given(graphs(), st.randoms(use_true_random=False), st.integers(1, 3))
def test_every_pair_of_closing_and_opening_leaves_a_tree(graph: tuple[int, Edges], random: Random, roots: int) -> None:
    """From any spanning tree to any other, with sources as one node: as many pairs as edges differ, each edge once."""
    n, edges = graph
    sources = np.arange(min(roots, n))
    root = np.where(np.arange(n) < len(sources), 0, np.arange(n))
    fr, to = arrays(edges)
    trees = []
    for _ in range(2):
        order = np.array(random.sample(range(len(edges)), len(edges)), dtype=np.int64)
        tree = np.zeros(len(edges), dtype=np.bool_)
        tree[order] = forest(n, root[fr[order]], root[to[order]])
        trees.append(tree)
    before, after = trees
    steps = exchange_order(n, fr, to, before, after, sources)
    assert len(steps) == len(set(steps)) == np.sum(before != after)
    closed = before.copy()
    for k, e in enumerate(steps):
        closed[e] = not closed[e]
        assert closed[e] == (k % 2 == 0)
        if k % 2:
            now = np.flatnonzero(closed)
            assert forest(n, root[fr[now]], root[to[now]]).all()
            assert len(now) == before.sum()
    assert (closed == after).all()


def test_what_has_no_partner_stands_alone() -> None:
    fr, to = np.array([0, 1, 2]), np.array([1, 2, 0])
    none, ring, path_of_two = (np.array(state) for state in ([False] * 3, [True] * 3, [True, True, False]))
    assert exchange_order(3, fr, to, none, path_of_two, np.array([0])) == [0, 1]
    assert exchange_order(3, fr, to, ring, path_of_two, np.array([0])) == [2]
