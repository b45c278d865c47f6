"""LinDist3Flow as a model: flows of feeders, branches that open, voltages held by decision, loads that follow."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.formulations.lindist3flow import (
    Demand,
    Held,
    LinDist3Flow,
    following,
    lindist3flow,
    nominal,
    voltage_limits,
)
from openpoint.formulations.lindist3flow_solve import evaluate, loads_at_nominal, no_load
from openpoint.network import Network, build_network
from tests.formulations.three_phase import CONNECTIONS, random_tree, two_buses

LOADS = [
    {"name": "w", "bus": "B", "phases": "b", "connection": "wye", "p_kw": 200.0, "q_kvar": 90.0},
    {"name": "d", "bus": "B", "phases": "ac", "connection": "delta", "p_kw": 300.0, "q_kvar": 80.0},
]


def unlimited(network: Network) -> Network:
    """The network without ratings."""
    free = np.full(network.n_conductors, np.inf)
    return network.with_limits(w_min=network.w_min, w_max=network.w_max, l_max=free)


def wide(network: Network) -> tuple[np.ndarray, np.ndarray]:
    return np.full(network.n_terminals, 0.2), np.full(network.n_terminals, 2.0)


def today(network: Network) -> np.ndarray:
    closed = np.ones(len(network.branch_names), dtype=bool)
    closed[network.conductor_branch] = network.closed
    return closed


def solved(model: LinDist3Flow, cost: cp.Expression | float = 0.0, more: tuple[cp.Constraint, ...] = ()) -> str:
    problem = cp.Problem(cp.Minimize(cost), [*model.constraints, *more])
    problem.solve(solver=cp.HIGHS)
    return str(problem.status)


@pytest.mark.parametrize("name", ["ieee13", "ieee37", "ieee123"])
def test_the_model_has_the_flow_of_the_direct_evaluation_and_no_other(name: str) -> None:
    """Whatever is minimised: with every branch decided nothing is left to choose."""
    network = unlimited(build_network(openpoint.read(name)))
    closed = today(network)
    reference = no_load(network, closed)
    direct = evaluate(network, closed, *loads_at_nominal(network), reference=reference)
    rng = np.random.default_rng(0)
    model = lindist3flow(
        network, cp.Constant(closed.astype(float)), nominal(network), bounds=wide(network), reference=reference
    )
    live = direct.energised
    for _ in range(3):
        cost = (
            rng.normal(size=network.n_terminals)[live] @ model.w[live] + rng.normal(size=network.n_conductors) @ model.p
        )
        assert solved(model, cost) == cp.OPTIMAL
        np.testing.assert_allclose(model.w.value[live], direct.w[0][live], atol=1e-8)
        np.testing.assert_allclose(model.p.value + 1j * model.q.value, direct.s[0], atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_branches_that_may_open_have_the_same_flow_once_decided(seed: int) -> None:
    """The hull at 0 or 1 is the equation, or nothing."""
    rng = np.random.default_rng(seed)
    network = build_network(random_tree(seed))
    count = len(network.branch_names)
    state = rng.random(count) < 0.8
    closed = cp.Variable(count)
    s, s_delta = loads_at_nominal(network)
    direct = evaluate(network, state, s, s_delta)
    live = direct.energised
    fed = live[network.delta.fr]
    parts = (s.real * live, s.imag * live, s_delta.real * fed, s_delta.imag * fed)
    demand = Demand(*(cp.Constant(part) for part in parts))
    model = lindist3flow(network, closed, demand, bounds=wide(network), most=(10.0, 10.0))
    assert solved(model, 0.0, (closed == state.astype(float),)) == cp.OPTIMAL
    np.testing.assert_allclose(model.w.value[live], direct.w[0][live], atol=1e-7)
    np.testing.assert_allclose(model.p.value + 1j * model.q.value, direct.s[0], atol=1e-7)


@pytest.mark.parametrize("case", CONNECTIONS)
def test_the_hull_holds_both_states_of_every_connection(case: str) -> None:
    """Every point of an open and of a closed branch lies in it, and so does what lies between them."""
    loads = LOADS if CONNECTIONS[case][2] else LOADS[1:]
    network = unlimited(build_network(two_buses(case, loads, tap=3)))
    count, (low, high) = len(network.branch_names), wide(network)
    s, s_delta = loads_at_nominal(network)
    direct = evaluate(network, np.ones(count, dtype=bool), s, s_delta)
    closed, scale = cp.Variable(count), cp.Variable()
    parts = (s.real, s.imag, s_delta.real, s_delta.imag)
    model = lindist3flow(network, closed, Demand(*(part * scale for part in parts)), bounds=(low, high))
    for share in (0.0, 0.3, 1.0):
        free = np.random.default_rng(1).uniform(0.9, 1.1, network.n_terminals)
        free[network.source_terminal] = 1.0
        point = share * direct.w[0] + (1 - share) * free
        fixed = (closed == share, scale == share, model.w == point, model.p == share * direct.s[0].real)
        assert solved(model, 0.0, fixed) == cp.OPTIMAL


def test_on_equal_phases_without_coupling_it_is_lindistflow() -> None:
    phases = "abc"
    network = build_network(
        two_buses("wye-wye", [{**LOADS[0], "phases": phases, "p_kw": 900.0, "q_kvar": 300.0}], tap=4)
    )
    w = evaluate(network, today(network), *loads_at_nominal(network)).w[0]
    z = (0.2 + 0.7j) / 4.16**2 * 0.9  # ohm on 4.16 kV, at 0.9 MW
    drop = 2 * (z.real + z.imag / 3)
    np.testing.assert_allclose(w, [1.0] * 3 + [1.025**-2 - drop] * 3, atol=1e-12)


def test_a_voltage_is_held_where_a_decision_says_so_and_no_power_comes_with_it() -> None:
    network = unlimited(build_network(two_buses("line", LOADS)))
    at = np.flatnonzero(network.terminal_bus == 1)
    held_w = np.zeros(6)
    held_w[at] = 1.02**2
    place = np.zeros((6, 1))
    place[at] = 1.0
    forming, injected = cp.Variable(1), cp.Variable((2, 6))
    none = np.array([], dtype=np.int64)
    load = nominal(network)
    demand = Demand(load.p - injected[0], load.q - injected[1], load.delta_p, load.delta_q)
    closed = cp.Constant(np.zeros(1))
    model = lindist3flow(network, closed, demand, sources=none, held=Held(place @ forming, held_w))
    # The substation is lost: its terminals are like any other, nothing is delivered there.
    more = (injected[:, :3] == 0, forming == 1)
    assert solved(model, -cp.sum(model.w), more) == cp.OPTIMAL
    np.testing.assert_allclose(model.w.value[at], 1.02**2, atol=1e-9)
    np.testing.assert_allclose(model.w.value[:3], 1.21, atol=1e-9)
    served = sum(loads_at_nominal(network)[0]) + sum(loads_at_nominal(network)[1])
    assert injected.value.sum(axis=1) == pytest.approx([served.real, served.imag])
    assert solved(model, 0.0, (injected == 0, forming == 1)) == cp.INFEASIBLE
    assert solved(model, -cp.sum(model.w[at]), (injected[:, :3] == 0, forming == 0)) == cp.OPTIMAL
    np.testing.assert_allclose(model.w.value[at], 1.21, atol=1e-9)


def test_sources_deliver_no_more_than_they_are_given() -> None:
    network = unlimited(build_network(two_buses("line", LOADS)))
    closed, load = cp.Constant(np.ones(1)), nominal(network)
    p, q = cp.Variable(3), cp.Variable(3)
    model = lindist3flow(network, closed, load, source_p=p, source_q=q)
    assert solved(model) == cp.OPTIMAL
    s, s_delta = loads_at_nominal(network)
    assert p.value.sum() == pytest.approx((s.sum() + s_delta.sum()).real)
    exact = evaluate(network, np.ones(1, dtype=bool), s, s_delta).source_s[0]
    np.testing.assert_allclose(p.value + 1j * q.value, exact, atol=1e-9)
    assert solved(model, 0.0, (p <= 0.99 * exact.real.max(),)) == cp.INFEASIBLE


@pytest.mark.parametrize(("connection", "phases"), [("wye", "abc"), ("delta", "ac")])
@pytest.mark.parametrize("kind", ["current", "impedance"])
def test_loads_that_follow_the_voltage(kind: str, connection: str, phases: str) -> None:
    load = {"name": "l", "bus": "B", "phases": phases, "connection": connection, "model": kind, "p_kw": 1200.0}
    network = unlimited(build_network(two_buses("line", [load])))
    w = cp.Variable(network.n_terminals)
    model = lindist3flow(network, cp.Constant(np.ones(1)), following(network, w), w=w, bounds=wide(network))
    assert solved(model) == cp.OPTIMAL
    at = w.value[3:]
    # Balanced, or the mean of the two phases: what the pair has to first order.
    square = at.mean() if phases == "abc" else at[[0, 2]].mean()
    follow = square if kind == "impedance" else (1 + square) / 2
    nominal_p = (loads_at_nominal(network)[0].sum() + loads_at_nominal(network)[1].sum()).real
    rest = {"rel": 1e-9} if phases == "ac" else {"rel": 2e-4}
    assert model.p.value.sum() == pytest.approx(nominal_p * follow, **rest)
    assert follow < 0.99


def test_a_rating_of_a_winding_between_lines_is_that_of_its_current() -> None:
    grid = two_buses("open delta", [])
    transformers = grid.transformers.with_columns(s_max_kva=1000.0)
    size = cp.Variable()
    # A load between a and b loads the winding ab alone, fully at its rating.
    pairs = two_buses("open delta", [{**LOADS[1], "phases": "ab", "p_kw": 1000.0, "q_kvar": 0.0}])
    network = build_network(pairs.with_tables(transformers=transformers))
    load = nominal(network)
    demand = Demand(load.p, load.q, load.delta_p * size, load.delta_q)
    closed = cp.Constant(np.ones(len(network.branch_names)))
    model = lindist3flow(network, closed, demand, bounds=wide(network))
    assert solved(model, -size) == cp.OPTIMAL
    assert float(size.value) == pytest.approx(1.0, abs=1e-6)


def test_limits_of_a_lost_substation_are_those_of_its_bus() -> None:
    network = build_network(openpoint.read("ieee37"))
    low, high = voltage_limits(network, np.array([], dtype=np.int64))
    np.testing.assert_allclose(low[network.source_terminal], 0.81)
    np.testing.assert_allclose(high[network.source_terminal], 1.21)
    low, high = voltage_limits(network)
    np.testing.assert_allclose(low[network.source_terminal], high[network.source_terminal])
