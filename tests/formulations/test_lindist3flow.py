"""LinDist3Flow as a model and without an optimiser: first order of OpenDSS."""

from dataclasses import replace

import cvxpy as cp
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.errors import OptionError
from openpoint.formulations.lindist3flow import (
    Demand,
    Held,
    LinDist3Flow,
    lindist3flow,
    nominal,
    voltage_limits,
)
from openpoint.formulations.lindist3flow_equations import (
    balanced,
)
from openpoint.grid import Grid
from openpoint.network import Network, build_network, load_shares
from openpoint.powerflow.opendss import OpenDssCircuit
from tests.builders.linear_flow import (
    Holding,
    charging,
    evaluate,
    line_to_line,
    loads_at_nominal,
    no_load,
    phasors,
)
from tests.formulations.three_phase import CONNECTIONS, random_tree, two_buses, without_zero_sequence

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


@settings(max_examples=13, deadline=None)
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


SINGLE = [("wye", p) for p in "abc"] + [("delta", p) for p in ("ab", "bc", "ac", "abc")]


@pytest.mark.parametrize(("tap", "idle"), [(0, False), (8, False), (8, True)])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("case", CONNECTIONS)
def test_derivatives_by_every_load_are_those_of_the_exact_power_flow(
    case: str, turned: bool, tap: int, idle: bool
) -> None:
    """Of the voltages by `phasors`, and of the squared ones by `evaluate`; a floating neutral has no say."""
    wye_behind = {"delta-wye": not turned, "wye-delta": turned}.get(case[:9], CONNECTIONS[case][2])
    singles = [(connection, phases) for connection, phases in SINGLE if connection == "delta" or wye_behind]
    loads = [
        {"name": f"l{k}", "bus": "B", "phases": phases, "connection": connection, "p_kw": 20.0, "q_kvar": 10.0}
        for k, (connection, phases) in enumerate(singles)
    ]
    grid = two_buses(case, loads, turned=turned, tap=tap, idle=idle)
    network, shares, alone = build_network(grid), load_shares(grid), np.eye(len(loads))
    sizes = 20.0 * (1 + 0.5j) * np.concatenate([0.0 * alone[:1], alone, -alone])  # none, then each load alone
    exact = OpenDssCircuit(grid, tolerance=1e-12).solve(loads_kva=sizes)
    assert exact.converged.all()
    s, s_delta = ((part @ sizes.T).T for part in (shares.wye, shares.delta))
    closed = today(network)
    v = phasors(network, closed, s, s_delta)
    reference = no_load(network, closed)
    w = evaluate(network, closed, s, s_delta, reference=reference).w
    if not wye_behind and case != "open delta":  # the open delta holds one phase, so that its neutral is known
        exact_v, v = without_zero_sequence(network, exact.v), without_zero_sequence(network, v)
    else:
        exact_v = exact.v
    np.testing.assert_allclose(v[0], exact_v[0], atol=1e-7)
    more, less = slice(1, 1 + len(loads)), slice(1 + len(loads), None)
    slopes = [(each[more] - each[less]) / 2 for each in (v, exact_v, w, np.abs(exact_v) ** 2)]
    most = [np.abs(slope).max(axis=1) for slope in slopes]
    assert (np.abs(slopes[0] - slopes[1]).max(axis=1) < 2e-5 * most[1]).all()
    # Magnetising currents make the flow lossy before there is any load.
    assert (np.abs(slopes[2] - slopes[3]).max(axis=1) < (2e-5 if not idle else 1e-2) * most[3]).all()


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("case", [case for case in CONNECTIONS if case not in ("line", "open delta", "closed delta")])
def test_magnetising_branches_are_met_but_for_the_square_of_their_size(case: str, turned: bool) -> None:
    errors, drops = [], []
    for size in (1.0, 0.5):
        grid = two_buses(case, [], turned=turned, tap=8, idle=True)
        transformers = grid.transformers.with_columns(pl.col("g_us", "b_us") * size, switchable=pl.lit(False))
        grid = grid.with_tables(transformers=transformers)
        network = build_network(grid)
        closed, none = today(network), (np.zeros(network.n_terminals), np.zeros(0))
        w = evaluate(network, closed, *none).w[0]
        exact = np.abs(OpenDssCircuit(grid, tolerance=1e-12).solve().v[0]) ** 2
        without = evaluate(replace(network, y_shunt=0.0 * network.y_shunt), closed, *none).w[0]
        errors.append(np.abs(w - exact).max())
        drops.append(np.abs(without - exact).max())
        demand = Demand(*(cp.Constant(part) for part in (none[0], none[0], none[1], none[1])))
        flow = lindist3flow(network, cp.Constant(closed * 1.0), demand)
        cp.Problem(cp.Minimize(0), flow.constraints).solve(solver="CLARABEL")
        np.testing.assert_allclose(flow.w.value, w, atol=1e-7)
    if turned:  # all of it is beside the source
        assert max(errors) < 1e-7
    else:
        assert errors[0] > 3.8 * errors[1] > 0.0
        assert errors[1] < 0.03 * drops[1]


def constant_power(grid: Grid, share: float = 1.0) -> Grid:
    none = pl.lit(None, dtype=pl.Float64)
    scaled = [(pl.col(c) * share).alias(c) for c in ("p_kw", "q_kvar")]
    return grid.with_tables(loads=grid.loads.with_columns(*scaled, model=pl.lit("power"), v_min_pu=none, v_max_pu=none))


@pytest.mark.parametrize(("name", "most", "most_between"), [("ieee13", 0.0085, 0.0065), ("ieee123", 0.0033, 0.0016)])
def test_feeders_are_met_as_well_as_losses_and_charging_allow(name: str, most: float, most_between: float) -> None:
    grid = constant_power(openpoint.read(name))
    network = build_network(grid)
    exact = OpenDssCircuit(grid).solve().v
    s = loads_at_nominal(network)
    flows = evaluate(network, today(network), *s)
    # Bus 610 of ieee123 hangs on a delta behind an unbalanced feeder, and its neutral floats.
    seen = flows.energised & np.array([network.bus_names[b] != "610" for b in network.terminal_bus])
    assert np.abs(np.sqrt(flows.w[0]) - np.abs(exact[0]))[seen].max() < most
    between = [line_to_line(network, v)[2] for v in (phasors(network, today(network), *s), exact)]
    assert np.abs(between[0] - between[1]).max() < most_between


@pytest.mark.parametrize(("name", "most"), [("ieee13", 0.0007), ("ieee123", 0.0007)])
def test_capacitors_and_line_charging_that_follow_w_leave_little_at_small_loads(name: str, most: float) -> None:
    grid = constant_power(openpoint.read(name), 0.25)
    network = build_network(grid)
    exact = OpenDssCircuit(grid).solve().v
    s, s_delta = loads_at_nominal(network)
    closed = today(network)
    per_w = network.s_impedance + charging(network, closed)
    w = evaluate(network, closed, s - network.s_impedance, s_delta, reference=no_load(network, closed), per_w=per_w).w
    seen = (w[0] > 0) & np.array([network.bus_names[b] != "610" for b in network.terminal_bus])
    assert np.abs(np.sqrt(w[0]) - np.abs(exact[0]))[seen].max() < most
    at_nominal = evaluate(network, closed, s, s_delta).w
    assert np.abs(np.sqrt(at_nominal[0]) - np.abs(exact[0]))[seen].max() > 3 * most


def test_errors_shrink_with_the_square_of_the_load() -> None:
    """docs/methods.md M18."""
    errors = []
    for share in (0.2, 0.1):
        grid = constant_power(openpoint.read("ieee37"), share)
        network = build_network(grid)
        lines = grid.lines.with_columns(b_us=pl.lit([], dtype=pl.List(pl.Float64)))
        exact = OpenDssCircuit(grid.with_tables(lines=lines), tolerance=1e-10).solve().v
        v = phasors(network, today(network), *loads_at_nominal(network))
        errors.append(np.abs(line_to_line(network, v)[2] - line_to_line(network, exact)[2]).max())
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)


@given(st.integers(0, 10**6))
def test_trees_of_any_phases(seed: int) -> None:
    """Power is kept; the flows are linear in the load; squares are those of the phasors where all is wye."""
    rng = np.random.default_rng(seed)
    network = build_network(random_tree(seed))
    closed = today(network)
    s, s_delta = loads_at_nominal(network)
    k = rng.uniform(-0.5, 1.5, 3)
    k[2] = k[0] + k[1]
    flows = evaluate(network, closed, k[:, None] * s, k[:, None] * s_delta, reference=no_load(network, closed))
    assert flows.energised.all()
    np.testing.assert_allclose(flows.source_s.sum(axis=1), k * (s.sum() + s_delta.sum()), atol=1e-9)
    idle = evaluate(network, closed, 0 * s, 0 * s_delta, reference=no_load(network, closed)).w[0]
    np.testing.assert_allclose(flows.w[2] - idle, flows.w[0] + flows.w[1] - 2 * idle, atol=1e-9)
    np.testing.assert_allclose(flows.s[2], flows.s[0] + flows.s[1], atol=1e-9)
    v = phasors(network, closed, k[:, None] * s, k[:, None] * s_delta)
    np.testing.assert_allclose(np.abs(v) ** 2, flows.w, atol=1e-9)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_small_loads_on_trees_are_those_of_the_exact_power_flow(seed: int) -> None:
    grid = random_tree(seed)
    s = 1e-2 * (grid.loads["p_kw"].to_numpy() + 1j * grid.loads["q_kvar"].to_numpy())
    exact = OpenDssCircuit(grid, tolerance=1e-12).solve(loads_kva=np.array([s, -s])).v
    network = build_network(grid)
    part = [1e-2 * np.array([[1.0], [-1.0]]) * each for each in loads_at_nominal(network)]
    v = phasors(network, today(network), *part)
    assert np.abs((v[0] - v[1]) - (exact[0] - exact[1])).max() < 1e-4 * np.abs(exact[0] - exact[1]).max() + 1e-9


def test_many_loads_at_once_are_those_one_by_one() -> None:
    network = build_network(openpoint.read("ieee37"))
    s, s_delta = loads_at_nominal(network)
    samples = s_delta * np.random.default_rng(1).uniform(0.8, 1.2, (5, len(s_delta)))
    flows, v = evaluate(network, today(network), s, samples), phasors(network, today(network), s, samples)
    for k in range(5):
        np.testing.assert_allclose(evaluate(network, today(network), s, samples[k]).w[0], flows.w[k], atol=1e-12)
        np.testing.assert_allclose(phasors(network, today(network), s, samples[k])[0], v[k], atol=1e-12)


def test_an_island_is_fed_by_what_holds_it_and_the_rest_is_dead() -> None:
    grid = random_tree(3)
    network = build_network(grid)
    closed = today(network)
    closed[:] = False
    closed[-1] = True
    at = network.terminal_fr[network.conductor_branch == len(closed) - 1]
    v0 = balanced(network)
    s, s_delta = loads_at_nominal(network)
    flows = evaluate(network, closed, s, s_delta, holding=Holding(at, 1.02 * v0[at]))
    np.testing.assert_allclose(flows.w[0, at], 1.02**2)
    assert flows.energised.sum() == 2 * len(at)
    assert not flows.w[0, ~flows.energised].any()
    served = s[flows.energised].sum() + s_delta[flows.energised[network.delta.fr]].sum()
    assert flows.source_s.sum() == pytest.approx(served)


def test_what_is_no_forest_is_refused() -> None:
    network = build_network(openpoint.read("ieee123"))
    s = loads_at_nominal(network)
    for run in (evaluate, phasors):
        with pytest.raises(OptionError, match="trees"):
            run(network, np.ones(len(network.branch_names), dtype=bool), *s)


@pytest.mark.parametrize("run", [evaluate, phasors])
def test_a_load_to_a_neutral_that_floats_is_refused(run: object) -> None:
    load = {"name": "l", "bus": "B", "phases": "a", "connection": "wye", "p_kw": 20.0}
    network = build_network(two_buses("delta-delta", [load]))
    assert callable(run)
    with pytest.raises(OptionError, match="neutral"):
        run(network, today(network), *loads_at_nominal(network))


def test_balanced_voltages_are_one_between_lines_too() -> None:
    network = build_network(openpoint.read("ieee13"))
    fr, to, between = line_to_line(network, balanced(network)[None])
    np.testing.assert_allclose(between, 1.0)
    assert {(network.terminal_phase[f], network.terminal_phase[t]) for f, t in zip(fr, to)} == set(zip("abc", "bca"))
