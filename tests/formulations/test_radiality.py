"""Radiality: contraction against networkx, the linear model against the enumerated trees, radial islands against a
graph.
"""

import itertools

import cvxpy as cp
import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint import graph as topology
from openpoint.formulations.islands import Islands, islands
from openpoint.formulations.radiality import by_branch, contract, heaviest_tree, radial_states, radiality
from openpoint.network import build_network
from openpoint.solvers.base import StandardForm, Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.recourse.compile import compile_model
from tests.builders.grids import PLAIN, Flavour, all_topologies, random_grid
from tests.builders.meshed import choices_and_states, meshed, three_ties
from tests.builders.programs import program_of
from tests.test_graph import multigraph

edges_of = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), min_size=0, max_size=16)
    )
)


@given(edges_of, st.randoms(use_true_random=False))
def test_contraction_leaves_exactly_what_is_open_to_choice(case, rng) -> None:
    """What is free is closed in some tree and open in another; what is fixed is the same in all."""
    n, edges = case
    sources = np.array(sorted(rng.sample(range(n), min(n, rng.randint(1, 2)))))
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    state = [rng.choice("fffco") for _ in edges]
    must_close, must_open = np.array([s == "c" for s in state], bool), np.array([s == "o" for s in state], bool)
    choices = contract(n, ends[:, 0], ends[:, 1], sources, must_close, must_open)
    merged = [tuple(int(sources[0]) if bus in sources else bus for bus in edge) for edge in edges]
    needed = n - len(sources)
    usable = [k for k in range(len(edges)) if not must_open[k]]
    graph = nx.Graph([merged[k] for k in usable])
    graph.add_nodes_from({int(sources[0])} | (set(range(n)) - set(sources.tolist())))
    forced = multigraph(n, [merged[k] for k in np.flatnonzero(must_close)])
    assert bool(choices.loop) == (len(nx.cycle_basis(nx.Graph(forced))) > 0 or _doubled(forced))
    assert bool(choices.cut_off) == (not nx.is_connected(graph))
    if choices.loop or choices.cut_off or len(usable) > 11:
        return
    trees = []
    for chosen in itertools.combinations(usable, needed):
        if all(k in chosen for k in np.flatnonzero(must_close)):
            tree = nx.MultiGraph([merged[k] for k in chosen])
            tree.add_nodes_from(graph.nodes)
            if nx.is_connected(tree):
                trees.append([k in chosen for k in range(len(edges))])
    table = np.array(trees, dtype=bool).reshape(len(trees), len(edges))
    assert len(table)
    both = table.any(axis=0) & ~table.all(axis=0)
    np.testing.assert_array_equal(np.flatnonzero(both), choices.free)
    np.testing.assert_array_equal(choices.state[~both] > 0.5, table[0][~both])
    weight = np.array([rng.random() for _ in edges])
    best = heaviest_tree(choices, weight) > 0.5
    assert any((best == tree).all() for tree in table)
    assert weight[best].sum() == pytest.approx(max(weight[tree].sum() for tree in table))


def _doubled(graph: nx.MultiGraph) -> bool:
    """Loops that a simple graph does not show: parallel edges, and edges from a bus to itself."""
    return graph.number_of_edges() > nx.Graph(graph).number_of_edges() or nx.number_of_selfloops(graph) > 0


@given(edges_of, st.integers(0, 2**31))
def test_the_heaviest_tree_weighs_what_networkx_finds(case: tuple[int, list[tuple[int, int]]], seed: int) -> None:
    n, edges = case
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    none = np.zeros(len(edges), dtype=bool)
    weight = np.random.default_rng(seed).normal(size=len(edges))
    choices = contract(n, ends[:, 0], ends[:, 1], np.array([0]), none, none)
    if choices.cut_off:
        return
    graph = nx.MultiGraph()
    graph.add_nodes_from(range(n))
    graph.add_weighted_edges_from((a, b, w) for (a, b), w in zip(edges, weight))
    theirs = nx.maximum_spanning_tree(graph).size(weight="weight")
    assert float(weight @ heaviest_tree(choices, weight)) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("seed", range(3000, 3009))
def test_the_integer_points_are_the_enumerated_trees(seed: int) -> None:
    """Without physics, every binary state of the branches is feasible if and only if it is a tree.

    Theory: docs/methods.md M1.
    """
    program = program_of(random_grid(seed, Flavour(buses=(3, 6), rich=False)))
    if len(program.choices.free) > 8:
        pytest.skip("too many states to try one by one")
    first = program.first_stage(with_recourse=False)
    trees = {row.tobytes() for row in all_topologies(program.network)}
    form = compile_model(cp.sum(first.decision), first.constraints, first.integers)
    columns = form.of(first.decision)
    base = program.choices.state
    for bits in itertools.product((0.0, 1.0), repeat=len(program.choices.free)):
        state = np.nan_to_num(base)
        state[program.choices.free] = bits
        held = form.with_coupling(columns)
        held.b[: len(columns)] = state
        status = HighsModel(held).solve(integral=True).status
        assert (status is Status.OPTIMAL) == ((state > 0.5).tobytes() in trees), state


@pytest.mark.parametrize("seed", range(3000, 3005))
def test_every_tree_lies_in_the_model_with_physics(seed: int) -> None:
    """With physics the commodity is left out where loads force the connection; no tree may be lost."""
    program = program_of(random_grid(seed, PLAIN))
    first = program.first_stage(with_recourse=True)
    form = compile_model(cp.sum(first.decision), first.constraints, first.integers)
    held = form.with_coupling(form.of(first.decision))
    model = ClarabelModel(held)
    for state in all_topologies(program.network)[:20].astype(float):
        assert model.solve(state).status is Status.OPTIMAL


def test_nothing_free_gives_no_arcs() -> None:
    one = np.array([0])
    choices = contract(2, one, np.array([1]), one, np.array([False]), np.array([False]))
    block = radiality(choices, consuming=np.zeros(choices.n_blocks, dtype=bool))
    assert block.arc_fr is None
    assert choices.state.tolist() == [1.0]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_all_radial_states_and_no_other_each_once(seed: int, lock: bool) -> None:
    network = build_network(meshed(seed))
    movable = np.flatnonzero(by_branch(network, network.switchable))
    locked = {int(movable[seed % len(movable)]): bool(seed % 2)} if lock and len(movable) else {}
    choices, expected = choices_and_states(network, locked)
    found = [by_branch(network, state).tobytes() for state in radial_states(choices, network.conductor_branch)]
    assert set(found) == expected
    assert len(found) == len(expected)


@pytest.mark.parametrize("name", ["SA", "SB"])
def test_what_holds_for_one_phase_holds_for_the_others(name: str) -> None:
    """With one feeder open all three ties must close: nothing is left to decide."""
    network = build_network(three_ties())
    choices, everything = choices_and_states(network, {network.branch_names.index(name): False})
    assert not len(choices.free)
    assert len(everything) == 1


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
    """Islands of a graph, to be asked what is energised for given states and roots."""

    def __init__(self, n: int, edges: list[tuple[int, int]], sources: list[int], units: list[int], *, may_open: bool):
        self.fr, self.to = np.array(edges, dtype=np.int64).T
        self.n, self.sources, self.units = n, np.array(sources), np.array(units, dtype=np.int64)
        free = np.full(len(edges), may_open)
        self.block: Islands = islands(n, self.fr, self.to, self.sources, self.units, free)
        block = self.block
        self.form: StandardForm = compile_model(-cp.sum(block.energised), block.constraints, block.integers)

    def energised(self, closed: np.ndarray, root: np.ndarray) -> float | None:
        """The most that is energised, None where the states are impossible."""
        model, e, columns = HighsModel(self.form), len(closed), len(self.form.c)
        rows = np.arange(e)
        a = sp.lil_array((e + len(root), columns))
        a[rows, self.form.of(self.block.arc_fr)] = 1.0
        a[rows, self.form.of(self.block.arc_to)] = 1.0
        if self.block.root is not None:
            a[e + np.arange(len(root)), self.form.of(self.block.root)] = 1.0
        given_ = np.concatenate([closed, root]).astype(float)
        model.add_rows(sp.csr_array(a), given_, given_)
        answer = model.solve(integral=True)
        return None if answer.status is Status.INFEASIBLE else -answer.value


@given(GRAPHS, st.randoms(use_true_random=False))
def test_states_are_possible_where_every_energised_island_is_a_tree_with_one_root(case, rng) -> None:
    """docs/methods.md M33."""
    n, edges, sources, units = case
    sources, units = sorted(sources), sorted(units - sources)
    for may_open in (False, True):
        model = Model(n, edges, sources, units, may_open=may_open)
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
            most = model.energised(closed, root)
            assert (most is not None) == possible
            if most is not None:
                assert round(most, 6) == alive.sum()
