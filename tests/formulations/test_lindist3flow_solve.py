"""LinDist3Flow without an optimiser: first order of OpenDSS behind every connection, feeders, trees, samples."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.errors import OptionError
from openpoint.formulations.lindist3flow import Demand, lindist3flow
from openpoint.formulations.lindist3flow_equations import balanced
from openpoint.formulations.lindist3flow_solve import (
    Holding,
    charging,
    evaluate,
    line_to_line,
    loads_at_nominal,
    no_load,
    phasors,
)
from openpoint.grid import Grid
from openpoint.network import Network, build_network, load_shares
from openpoint.powerflow.opendss import OpenDssCircuit
from tests.formulations.three_phase import CONNECTIONS, random_tree, two_buses, without_zero_sequence

SINGLE = [("wye", p) for p in "abc"] + [("delta", p) for p in ("ab", "bc", "ac", "abc")]


def today(network: Network) -> np.ndarray:
    closed = np.ones(len(network.branch_names), dtype=bool)
    closed[network.conductor_branch] = network.closed
    return closed


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
    errors = []
    for share in (0.2, 0.1):
        grid = constant_power(openpoint.read("ieee37"), share)
        network = build_network(grid)
        lines = grid.lines.with_columns(b_us=pl.lit([], dtype=pl.List(pl.Float64)))
        exact = OpenDssCircuit(grid.with_tables(lines=lines), tolerance=1e-10).solve().v
        v = phasors(network, today(network), *loads_at_nominal(network))
        errors.append(np.abs(line_to_line(network, v)[2] - line_to_line(network, exact)[2]).max())
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)


@settings(max_examples=40, deadline=None)
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


@settings(max_examples=15, deadline=None)
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
