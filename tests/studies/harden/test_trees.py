"""Trees for hardening, against SciPy, the linear flow as equations, and linear programs."""

from __future__ import annotations

import dataclasses

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from openpoint.formulations.islands import lindistflow, nominal_demand
from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.studies.harden.trees import Feeder, feeder_of, flow, lifted, shed_on, spanned, violation, walk

NETWORK = build_network(files.load("baran33"))
NONE = np.empty(0, dtype=np.int64)


def feeder(network: Network, price: np.ndarray | None = None) -> Feeder:
    return feeder_of(network, np.ones(network.n_terminals) if price is None else price, NONE, np.empty(0))


def connected(broken: list[int]) -> np.ndarray:
    """(E) branches that are left in the part of the source."""
    whole = np.ones(NETWORK.n_conductors, dtype=np.bool_)
    whole[broken] = False
    ends = NETWORK.terminal_fr[whole], NETWORK.terminal_to[whole]
    graph = sp.csr_array((np.ones(int(whole.sum())), ends), shape=(33, 33))
    part = connected_components(graph, directed=False)[1]
    return whole & (part[NETWORK.terminal_fr] == part[0])


@given(st.lists(st.integers(0, 36), max_size=5))
def test_trees_are_spanning_and_the_lightest(broken: list[int]) -> None:
    live = connected(broken)
    tree = spanned(feeder(NETWORK), live)
    weight = np.where(NETWORK.closed, 1.0, 2.0) * (1e-6 + np.abs(NETWORK.z.diagonal()))
    ends = NETWORK.terminal_fr[live], NETWORK.terminal_to[live]
    least = minimum_spanning_tree(sp.csr_array((weight[live], ends), shape=(33, 33))).sum()
    assert not np.any(tree & ~live)
    assert weight[tree].sum() == pytest.approx(least)
    order, parent, _ = walk(feeder(NETWORK), tree, 0)
    assert len(order) == int(tree.sum()) + 1
    assert all(parent[bus] in order[:k] for k, bus in enumerate(order) if k)


def test_the_flow_on_a_tree_is_that_of_the_model() -> None:
    """Today's state of the 33-bus grid, with ratios put into two branches, one of them against the flow."""
    tap = NETWORK.tap.copy()
    tap[[2, 20]] = 0.98, 1.03
    fr, to = NETWORK.terminal_fr.copy(), NETWORK.terminal_to.copy()
    fr[20], to[20] = to[20], fr[20]
    network = dataclasses.replace(NETWORK, tap=tap, terminal_fr=fr, terminal_to=to)
    demand = nominal_demand(network)
    closed = cp.Constant(network.closed.astype(float))
    wide = np.where(np.arange(33) == 0, 1.0, 0.5), np.where(np.arange(33) == 0, 1.0, 1.5)
    model = lindistflow(
        network, closed, cp.Constant(demand.real), cp.Constant(demand.imag), most=(10.0, 10.0), bounds=wide
    )
    problem = cp.Problem(cp.Minimize(0), model.constraints)
    problem.solve(solver="HIGHS")
    grid = feeder(network)
    w, carried, _ = flow(grid, *walk(grid, network.closed, 0), grid.p, grid.q)
    np.testing.assert_allclose(w, model.w.value, atol=1e-7)
    edge = walk(grid, network.closed, 0)[2]
    np.testing.assert_allclose(carried[1:], np.abs(model.p.value[edge[1:]]), atol=1e-7)


def least_on(network: Network, tree: np.ndarray, price: np.ndarray) -> float:
    """The least price of shedding on a tree, by a linear program of the model."""
    demand, shed = nominal_demand(network), cp.Variable(33)
    model = lindistflow(
        network,
        cp.Constant(tree.astype(float)),
        cp.multiply(demand.real, 1 - shed),
        cp.multiply(demand.imag, 1 - shed),
        most=(10.0, 10.0),
    )
    cost = (price * np.maximum(demand.real, 0.0)) @ shed
    problem = cp.Problem(cp.Minimize(cost), [*model.constraints, shed >= 0, shed <= 1])
    problem.solve(solver="HIGHS")
    return float(cost.value)


@given(st.lists(st.integers(2, 36), max_size=3), st.integers(0, 3), st.floats(0.9, 0.96))
@settings(max_examples=25)
def test_shedding_keeps_the_limits_and_costs_little_more_than_the_least(
    broken: list[int], seed: int, v_min: float
) -> None:
    rng = np.random.default_rng(seed)
    price = rng.uniform(1.0, 3.0, 33)
    network = Limits(v_min_pu=v_min).applied(NETWORK)
    if seed % 2:
        network = dataclasses.replace(network, l_max=np.full(37, 0.6))
    grid, live = feeder(network, price), connected(broken)
    first = spanned(grid, live)
    served = np.isin(np.arange(33), walk(grid, first, 0)[0])
    network = dataclasses.replace(network, s_power=np.where(served, network.s_power, 0.0))
    tree, cost, shed = lifted(grid, live, first, 0, grid.p, grid.q)
    assert not np.any(tree & ~live)
    assert tree.sum() == first.sum()
    assert violation(grid, tree, 0, grid.p * (1 - shed), grid.q * (1 - shed)) <= 1e-7
    assert cost == pytest.approx(float(price @ (np.maximum(grid.p, 0.0) * shed)))
    assert cost <= shed_on(grid, first, 0, grid.p, grid.q)[0] + 1e-9
    least = least_on(network, tree, price)
    assert least - 1e-6 <= cost <= 1.25 * least + 0.02
