"""Radial islands: the linear model against a graph, bus by bus."""

from __future__ import annotations

import itertools

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint import graph as topology
from openpoint.formulations.islands import Islands, islands
from openpoint.solvers.base import Status
from openpoint.solvers.form import StandardForm
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.recourse.compile import compile_model

GRAPHS = st.integers(2, 6).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(
            st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda e: e[0] != e[1]),
            min_size=1,
            max_size=9,
        ),
        st.sets(st.integers(0, n - 1), min_size=1, max_size=2),
        st.sets(st.integers(0, n - 1), max_size=2),
    )
)


class Model:
    """Islands of a graph, to be asked what is live for given states and roots."""

    def __init__(
        self, n: int, edges: list[tuple[int, int]], sources: list[int], units: list[int], *, may_open: bool, each: bool
    ):
        self.fr, self.to = np.array(edges, dtype=np.int64).T
        self.n, self.sources, self.units = n, np.array(sources), np.array(units, dtype=np.int64)
        free = np.full(len(edges), may_open)
        self.block: Islands = islands(n, self.fr, self.to, self.sources, self.units, free, each=each)
        block = self.block
        self.form: StandardForm = compile_model(-cp.sum(block.live), block.constraints, block.integers)

    def live(self, closed: np.ndarray, root: np.ndarray, *, integral: bool) -> float | None:
        """The most that is live, None where the states are impossible."""
        model, e, columns = HighsModel(self.form), len(closed), len(self.form.c)
        rows = np.arange(e)
        a = sp.lil_array((e + len(root), columns))
        a[rows, self.form.of(self.block.arc_fr)] = 1.0
        a[rows, self.form.of(self.block.arc_to)] = 1.0
        if self.block.root is not None:
            a[e + np.arange(len(root)), self.form.of(self.block.root)] = 1.0
        given_ = np.concatenate([closed, root]).astype(float)
        model.add_rows(sp.csr_array(a), given_, given_)
        answer = model.solve(integral=integral)
        return None if answer.status is Status.INFEASIBLE else -answer.value


@given(GRAPHS, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_states_are_possible_where_every_energised_island_is_a_tree_with_one_root(case, rng) -> None:
    n, edges, sources, units = case
    sources, units = sorted(sources), sorted(units - sources)
    for may_open, each in itertools.product((False, True), repeat=2):
        model = Model(n, edges, sources, units, may_open=may_open, each=each)
        for _ in range(2):
            closed = np.array([rng.random() < 0.6 for _ in edges])
            root = np.array([rng.random() < 0.5 for _ in units], dtype=bool)
            roots = np.array([*sources, *(u for u, r in zip(units, root) if r)])
            island = topology.islands(n, model.fr, model.to, closed)
            alive = np.isin(island, island[roots])
            possible = topology.is_radial(n, model.fr, model.to, closed, roots)
            if may_open:  # what may be opened is open where nothing is energised
                possible &= not np.any(closed & ~alive[model.fr])
            else:
                nodes, branches = np.bincount(island, minlength=n), np.bincount(island[model.fr[closed]], minlength=n)
                possible &= bool(np.all(branches <= nodes))  # a dead island of two loops is never of use
            most = model.live(closed, root, integral=True)
            assert (most is not None) == possible
            if most is not None:
                assert round(most, 6) == alive.sum()


@given(GRAPHS, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_a_bus_is_live_at_most_as_far_as_the_least_cut(case, rng) -> None:
    """Max-flow of every bus from all roots, with fractional states as capacities, bounds the relaxation."""
    import networkx as nx

    n, edges, sources, units = case
    sources, units = sorted(sources), sorted(units - sources)
    model = Model(n, edges, sources, units, may_open=False, each=True)
    closed, root = np.array([rng.random() for _ in edges]), np.array([rng.random() for _ in units])
    most = model.live(closed, root, integral=False)
    if most is None:
        return
    graph = nx.DiGraph()
    graph.add_nodes_from([*range(n), "root"])

    def widen(a: object, b: object, size: float) -> None:
        graph.add_edge(a, b, capacity=size + (graph.edges[a, b]["capacity"] if graph.has_edge(a, b) else 0.0))

    for (a, b), size in zip(edges, closed):
        widen(a, b, size)
        widen(b, a, size)
    for bus, size in [*((s, 10.0) for s in sources), *zip(units, root)]:
        widen("root", bus, size)
    cuts = [1.0 if bus in sources else min(1.0, nx.maximum_flow_value(graph, "root", bus)) for bus in range(n)]
    assert most <= sum(cuts) + 1e-6
