"""LinDistFlow: the flow of a tree by hand, exact to first order in the load; the hull of a branch open or closed."""

from __future__ import annotations

import dataclasses
import itertools
import math

import cvxpy as cp
import numpy as np
import pytest

from openpoint.formulations.lindistflow import CORNERS, lindistflow, nominal_demand, voltage_ceiling, voltage_limits
from openpoint.network import Network, build_network
from openpoint.powerflow.balanced import solve
from openpoint.solvers.base import Status
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.recourse.compile import compile_model
from tests.builders.grids import PLAIN, RICH, Flavour, all_topologies, random_grid
from tests.powerflow.small_networks import Branch, make_network


def flow_of(network: Network, closed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """w, p and q of a state by the model."""
    s = nominal_demand(network)
    most = float(np.abs(s.real).sum()), float(np.abs(s.imag).sum())
    state = cp.Constant(closed.astype(float))
    block = lindistflow(network, state, cp.Constant(s.real), cp.Constant(s.imag), most=most)
    form = compile_model(cp.Constant(0.0) * cp.sum(block.w), block.constraints)
    answer = HighsModel(form).solve(integral=False)
    if answer.status is not Status.OPTIMAL:
        return None
    assert answer.x is not None
    return answer.x[form.of(block.w)], answer.x[form.of(block.p)], answer.x[form.of(block.q)]


@pytest.mark.parametrize("seed", range(20))
def test_a_tree_carries_what_lies_beyond_and_drops_by_the_law(seed: int) -> None:
    network = build_network(random_grid(seed, RICH))
    closed = all_topologies(network)[0]
    found = flow_of(network, closed)
    if found is None:  # a voltage beyond the usual limits
        return
    w, p, q = found
    s, fr, to = nominal_demand(network), network.terminal_fr, network.terminal_to
    np.testing.assert_allclose(p[~closed], 0.0, atol=1e-7)
    parent = solve(network, closed)  # energised from the sources: who lies beyond whom
    assert parent.energised[0].all()
    for e in np.flatnonzero(closed):
        rest = closed.copy()
        rest[e] = False
        fed = solve(network, rest).energised[0]
        beyond = s[~fed].sum()
        along = beyond if not fed[to[e]] else -beyond
        assert p[e] + 1j * q[e] == pytest.approx(along, abs=1e-6)
        law = w[fr[e]] / network.tap[e] ** 2 - w[to[e]]
        assert law == pytest.approx(2 * (network.r[e] * p[e] + network.x[e] * q[e]), abs=1e-6)
    np.testing.assert_allclose(w[network.source_terminal], np.abs(network.source_v) ** 2, atol=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_its_voltages_are_exact_to_first_order_in_the_load(seed: int) -> None:
    """Halving the load divides the error of w by four, up to terms of higher order."""
    base = build_network(random_grid(seed, PLAIN))
    closed = all_topologies(base)[0]
    errors = []
    for share in (0.02, 0.01):
        network = dataclasses.replace(base, s_power=share * base.s_power)
        found = flow_of(network, closed)
        assert found is not None
        errors.append(np.max(np.abs(found[0] - np.abs(solve(network, closed).v[0]) ** 2)))
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.05) or errors[0] < 1e-8


@pytest.mark.parametrize("seed", range(30))
def test_the_voltage_law_is_the_hull_of_open_and_closed(seed: int) -> None:
    """Any linear cost over state, voltages and drop is least at a branch that is open or closed."""
    rng = np.random.default_rng(seed)
    network = make_network(3, [Branch(1, 2, z=0.5 + 0.0j, tap=float(rng.uniform(0.95, 1.05)))], {0: 1.0})
    low, high = rng.uniform(0.8, 0.95, 3), rng.uniform(1.0, 1.2, 3)
    low[0] = high[0] = 1.0
    closed, load = cp.Variable(1), cp.Variable(3)
    block = lindistflow(network, closed, load, cp.Constant(np.zeros(3)), most=None, bounds=(low, high))
    c = rng.normal(size=4)
    cost = c[0] * closed[0] + c[1] * block.w[1] + c[2] * block.w[2] + c[3] * block.p[0]
    values = []
    for fixed in ([], [closed == 0], [closed == 1]):
        form = compile_model(cost, [*block.constraints, closed >= 0, closed <= 1, *fixed])
        values.append(HighsModel(form).solve(integral=False).value)
    assert values[0] == pytest.approx(min(values[1:]), abs=1e-6)


def test_a_rating_is_missed_by_at_most_the_polygon_on_the_safe_side() -> None:
    network = make_network(2, [Branch(0, 1, z=0.001 + 0.001j, i_max=0.5)], {0: 1.0})
    most = []
    for angle in np.linspace(0, 2 * math.pi, 96, endpoint=False):
        size = cp.Variable()
        direction = np.array([0.0, 1.0])
        load = (math.cos(angle) * size * direction, math.sin(angle) * size * direction)
        block = lindistflow(network, cp.Constant(np.ones(1)), *load, most=(1.0, 1.0))
        answer = HighsModel(compile_model(-size, block.constraints)).solve(integral=False)
        most.append(-answer.value / 0.5)
    assert max(most) == pytest.approx(1.0, abs=1e-6)
    assert min(most) == pytest.approx(math.cos(math.pi / CORNERS), abs=1e-6)
    assert min(most) > 1 - 0.0193
    assert most[0] == pytest.approx(1.0, abs=1e-6)  # a corner on the axis: active power alone is rated exactly


def test_powers_that_no_branch_carries_bound_it() -> None:
    network = make_network(2, [Branch(0, 1)], {0: 1.0})
    state, zero = cp.Constant(np.array([0.5])), cp.Constant(np.zeros(2))
    for share, status in ((0.49, Status.OPTIMAL), (0.51, Status.INFEASIBLE)):
        load = cp.Constant(np.array([0.0, share * 0.2]))
        block = lindistflow(network, state, load, zero, most=(0.2, 0.1))
        form = compile_model(cp.Constant(0.0) * cp.sum(block.w), block.constraints)
        assert HighsModel(form).solve(integral=False).status is status


def test_limits_are_those_of_the_buses_else_the_usual_ones() -> None:
    network = make_network(3, [Branch(0, 1), Branch(1, 2)], {0: 1.05})
    network = dataclasses.replace(network, w_min=np.array([0.0, 0.0, 0.9]), w_max=np.array([np.inf, np.inf, 1.1]))
    low, high = voltage_limits(network)
    np.testing.assert_allclose(low, [1.1025, 0.81, 0.9])
    np.testing.assert_allclose(high, [1.1025, 1.21, 1.1])


@pytest.mark.parametrize("seed", range(20))
def test_no_voltage_exceeds_the_ceiling(seed: int) -> None:
    network = build_network(random_grid(seed, Flavour(buses=(3, 8), feed=True)))
    network = dataclasses.replace(
        network, w_min=np.full(network.n_terminals, 1e-6), w_max=np.full(network.n_terminals, 100.0)
    )
    s = nominal_demand(network)
    feed_p, feed_q = np.maximum(-s.real, 0).sum(), np.maximum(-s.imag, 0).sum()
    ceiling = voltage_ceiling(network, float(np.max(np.abs(network.source_v) ** 2)), feed_p, feed_q)
    for closed in itertools.islice(all_topologies(network), 10):
        if (found := flow_of(network, closed)) is not None:
            assert found[0].max() <= ceiling + 1e-7
