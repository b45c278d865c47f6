"""The sweep keeps the laws of power flow; with loops it agrees with Newton's method and two other programs."""

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.errors import OptionError
from openpoint.network import Network, build_network
from openpoint.powerflow import balanced, kernel
from openpoint.powerflow.balanced import Flows, FlowStatus, close_loops, losses, solve
from openpoint.powerflow.check import check_flow
from openpoint.powerflow.meshed import solve_meshed
from openpoint.powerflow.state import ac_state
from tests.builders.grids import FEED, RICH, all_topologies, random_grid
from tests.powerflow.oracles import newton_voltages, pandapower_voltages, power_grid_model_voltages
from tests.powerflow.small_networks import Branch, make_network, random_network

SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=30, deadline=None)


def two_bus(load: complex, **branch: object) -> Network:
    return make_network(2, [Branch(0, 1, **branch)], {0: 1.0 + 0.0j}, power=[0.0, load])  # type: ignore[arg-type]


def test_two_buses_by_the_quadratic_formula() -> None:
    z, s = 0.02 + 0.05j, 0.8 + 0.3j
    flow = solve(two_bus(s, z=z), np.array([True]))
    half = 0.5 - (z * s.conjugate()).real
    w = half + np.sqrt(half**2 - abs(z * s) ** 2)
    assert abs(flow.v[0, 1]) ** 2 == pytest.approx(w, abs=1e-13)
    assert flow.loss[0] == pytest.approx(z.real * abs(s) ** 2 / w, abs=1e-13)
    assert flow.s_to[0, 0] == pytest.approx(-s, abs=1e-12)
    assert flow.source_s[0, 0] == pytest.approx(s + z * abs(s) ** 2 / w, abs=1e-12)
    assert abs(flow.i_series[0, 0]) == pytest.approx(abs(s) / np.sqrt(w), abs=1e-12)


def test_a_load_beyond_the_nose_is_not_converged() -> None:
    z, unit = 0.1 + 0.2j, 0.9 + 0.3j
    most = 0.5 / ((z * unit.conjugate()).real + abs(z * unit))  # where the quadratic has a double root
    for factor in (0.9, 0.999, 0.99999):
        flow = solve(two_bus(factor * most * unit, z=z), np.array([True]))
        assert flow.status[0] == FlowStatus.CONVERGED
        assert abs(flow.v[0, 1]) > 0.5
    for factor in (1.00001, 1.001, 1.1, 2.0, 100.0):
        loss, status = losses(two_bus(factor * most * unit, z=z), np.array([True]))
        assert status[0] == FlowStatus.NOT_CONVERGED
        assert loss[0] == np.inf


def test_the_iteration_limit_is_not_convergence() -> None:
    flow = solve(random_network(1, 30), random_network(1, 30).closed, iterations=3)
    assert flow.status[0] == FlowStatus.NOT_CONVERGED
    assert flow.loss[0] == np.inf
    assert np.isnan(flow.v).all()
    assert flow.energised.all()


def test_nothing_is_nan_where_a_load_is_nan() -> None:
    network = two_bus(0.1 + 0.0j)
    loss, status = losses(network, network.closed, s_power=np.array([0.0, np.nan + 0.0j]))
    assert status[0] == FlowStatus.NOT_CONVERGED
    assert loss[0] == np.inf


def test_islands_are_dark_and_their_loops_do_not_matter() -> None:
    branches = [Branch(0, 1), Branch(2, 3), Branch(3, 4), Branch(2, 4)]
    network = make_network(5, branches, {0: 1.0 + 0.0j}, power=[0.0, 0.1, 9.0, 9.0, 9.0])
    flow = solve(network, network.closed)
    assert flow.status[0] == FlowStatus.CONVERGED
    assert flow.energised[0].tolist() == [True, True, False, False, False]
    assert (flow.v[0, 2:] == 0.0).all()
    assert (flow.i_series[0, 1:] == 0.0).all()
    assert flow.source_s[0, 0].real == pytest.approx(0.1 + flow.loss[0], abs=1e-13)


@pytest.mark.parametrize(
    "branches",
    [
        [Branch(0, 2), Branch(2, 1)],  # two sources joined
        [Branch(0, 1)],
        [Branch(0, 2), Branch(0, 2)],  # two lines side by side
        [Branch(0, 2), Branch(2, 2)],  # a line from a bus to itself
        [Branch(0, 2), Branch(2, 3), Branch(3, 0)],
    ],
)
def test_a_loop_or_two_sources_are_not_radial(branches: list[Branch]) -> None:
    network = make_network(4, branches, {0: 1.0 + 0.0j, 1: 1.0 + 0.0j})
    loss, status = losses(network, network.closed)
    assert status[0] == FlowStatus.NOT_RADIAL
    assert loss[0] == np.inf
    assert np.isnan(solve(network, network.closed).v).all()


def test_heavy_loads_of_constant_impedance_need_no_iteration() -> None:
    z, load = 0.5 + 0.5j, 4.0 + 1.0j  # the plain sweep diverges on this
    network = make_network(2, [Branch(0, 1, z=z)], {0: 1.0 + 0.0j}, impedance=[0.0, load])
    flow = solve(network, network.closed)
    assert flow.v[0, 1] == pytest.approx(1.0 / (1.0 + z * load.conjugate()), abs=1e-14)


def test_an_ideal_transformer_from_both_sides() -> None:
    ratio = 1.05 * np.exp(1j * np.pi / 6)
    down = make_network(2, [Branch(0, 1, z=0.0j, tap=1.05, shift=np.pi / 6)], {0: 1.0 + 0.0j}, power=[0.0, 0.3])
    up = make_network(2, [Branch(1, 0, z=0.0j, tap=1.05, shift=np.pi / 6)], {0: 1.0 + 0.0j}, power=[0.0, 0.3])
    flow_down, flow_up = solve(down, down.closed), solve(up, up.closed)
    assert flow_down.v[0, 1] == pytest.approx(1.0 / ratio, abs=1e-14)
    assert flow_up.v[0, 1] == pytest.approx(ratio, abs=1e-14)
    # The internal side carries the current of the to bus.
    assert flow_down.i_series[0, 0] == pytest.approx(np.conj(0.3 / flow_down.v[0, 1]), abs=1e-14)
    assert flow_up.i_series[0, 0] == pytest.approx(-0.3, abs=1e-14)
    assert flow_down.s_fr[0, 0] == pytest.approx(0.3, abs=1e-14)
    assert flow_up.s_fr[0, 0] == pytest.approx(-0.3, abs=1e-14)


@given(SEEDS, st.integers(2, 40), st.integers(1, 3), st.booleans())
@quick
def test_power_balances(seed: int, n_bus: int, n_source: int, rich: bool) -> None:
    network = random_network(seed, n_bus + n_source, n_source=n_source, n_tie=3, rich=rich)
    flow = solve(network, network.closed)
    assert flow.status[0] == FlowStatus.CONVERGED
    check = check_flow(network, network.closed, flow.v[0])
    assert check.max_mismatch < 1e-9
    assert check.loss == pytest.approx(flow.loss[0], abs=1e-11)
    taken = flow.s_fr[0] + flow.s_to[0]
    assert taken.real.sum() == pytest.approx(flow.loss[0], abs=1e-11)
    size = np.abs(flow.v[0])
    served = (network.s_power + network.s_current * size + network.s_impedance * size**2)[flow.energised[0]].sum()
    assert flow.source_s.sum() == pytest.approx(served - network.generator_s.sum() + taken.sum(), abs=1e-10)
    np.testing.assert_allclose(check.current, flow.i_rated[0], atol=1e-9)


@given(SEEDS, st.integers(2, 30))
@quick
def test_agrees_with_newton(seed: int, n_bus: int) -> None:
    network = random_network(seed, n_bus, load=3.0, ideal=False)
    oracle = newton_voltages(network, network.closed)
    flow = solve(network, network.closed)
    assert oracle is not None
    np.testing.assert_allclose(flow.v[0], oracle, atol=1e-8)


@given(SEEDS, st.integers(3, 25))
@quick
def test_turning_a_line_round_changes_nothing(seed: int, n_bus: int) -> None:
    network = random_network(seed, n_bus)
    plain = (network.tap == 1.0) & (network.shift == 0.0)
    turn = plain & (np.random.default_rng(seed).random(len(plain)) < 0.5)
    other = replace(
        network,
        terminal_fr=np.where(turn, network.terminal_to, network.terminal_fr),
        terminal_to=np.where(turn, network.terminal_fr, network.terminal_to),
    )
    a, b = solve(network, network.closed), solve(other, other.closed)
    np.testing.assert_allclose(a.v, b.v, atol=1e-13)
    np.testing.assert_allclose(a.s_fr, np.where(turn, b.s_to, b.s_fr), atol=1e-13)
    np.testing.assert_allclose(a.i_series, np.where(turn, -b.i_series, b.i_series), atol=1e-13)


@given(SEEDS)
@quick
def test_a_batch_equals_its_flows_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(seed, 20, n_source=2, n_tie=4)
    closed = rng.random((12, network.n_conductors)) < 0.85
    closed[::3] = network.closed
    power = network.s_power * rng.uniform(0.2, 2.0, (12, 1))
    impedance = network.s_impedance * rng.uniform(0.2, 2.0, (12, 1))
    generation = network.generator_s * rng.uniform(0.0, 2.0, (12, 1))
    batch = solve(network, closed, s_power=power, s_impedance=impedance, generation=generation)
    loss, status = losses(network, closed, s_power=power, s_impedance=impedance, generation=generation)
    np.testing.assert_array_equal(loss, batch.loss)
    np.testing.assert_array_equal(status, batch.status)
    assert batch.converged[::3].all()
    for k in range(12):
        one = solve(network, closed[k], s_power=power[k], s_impedance=impedance[k], generation=generation[k])
        for name in ("v", "i_series", "s_fr", "s_to", "loss", "source_s", "status", "energised"):
            np.testing.assert_array_equal(getattr(one, name)[0], getattr(batch, name)[k])
    # One topology for many loads is the same as repeating it.
    shared = losses(network, network.closed, s_power=power)[0]
    np.testing.assert_array_equal(shared, losses(network, np.tile(network.closed, (12, 1)), s_power=power)[0])


@given(SEEDS, st.integers(2, 9), st.integers(1, 3), st.integers(1, 12))
@settings(max_examples=75, deadline=None)
def test_radiality_equals_that_of_networkx(seed: int, n_bus: int, n_source: int, n_branch: int) -> None:
    rng = np.random.default_rng(seed)
    n = n_bus + n_source
    branches = [Branch(*(int(i) for i in rng.choice(n, 2, replace=False))) for _ in range(n_branch)]
    network = make_network(n, branches, dict.fromkeys(range(n_source), 1.0 + 0.0j))
    closed = rng.random(n_branch) < 0.7
    graph = nx.MultiGraph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from((b.fr, b.to) for b, on in zip(branches, closed, strict=True) if on)
    radial, alive = True, set()
    for part in nx.connected_components(graph):
        fed = [s for s in range(n_source) if s in part]
        if fed:
            alive |= part
            radial &= len(fed) == 1 and graph.subgraph(part).number_of_edges() == len(part) - 1
    flow = solve(network, closed)
    assert (flow.status[0] == FlowStatus.NOT_RADIAL) == (not radial)
    assert set(np.flatnonzero(flow.energised[0])) == alive


@given(SEEDS, st.floats(0.5, 15.0))
@quick
def test_collapse_is_never_a_solution(seed: int, load: float) -> None:
    network = random_network(seed, 12, ideal=False, load=load)
    flow = solve(network, network.closed)
    if flow.status[0] == FlowStatus.CONVERGED:
        assert check_flow(network, network.closed, flow.v[0]).max_mismatch < 1e-9 * max(1.0, load)
    else:
        assert flow.status[0] == FlowStatus.NOT_CONVERGED
        assert flow.loss[0] == np.inf
        oracle = newton_voltages(network, network.closed)  # may land on a solution of the lower branch
        assert oracle is None or np.abs(oracle).min() < 0.5


def test_generators_lower_the_load() -> None:
    network = make_network(2, [Branch(0, 1)], {0: 1.0 + 0.0j}, power=[0.0, 0.5 + 0.1j], generators=[(1, 0.2 + 0.1j)])
    net = solve(two_bus(0.3 + 0.0j), np.array([True]))
    np.testing.assert_allclose(solve(network, network.closed).v, net.v, atol=1e-14)
    many = solve(network, network.closed, generation=np.array([[0.2 + 0.1j], [0.5 + 0.1j]]))
    np.testing.assert_allclose(many.v[0], net.v[0], atol=1e-14)
    assert many.v[1, 1] == pytest.approx(1.0, abs=1e-14)


def test_arguments_are_checked() -> None:
    network = random_network(0, 5)
    with pytest.raises(OptionError, match="one column a branch"):
        solve(network, np.ones(3, dtype=bool))
    with pytest.raises(OptionError, match="array of bool"):
        solve(network, np.ones(network.n_conductors))  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="s_power has shape"):
        losses(network, network.closed, s_power=np.zeros(3, dtype=complex))
    with pytest.raises(OptionError, match="same number of rows"):
        losses(
            network,
            np.tile(network.closed, (2, 1)),
            s_power=np.zeros((3, network.n_terminals), dtype=complex),
        )
    with pytest.raises(OptionError, match="phases abc"):
        solve(replace(network, terminal_phase=("a", "b", "c", "a", "a")), network.closed)


def test_read_only_and_strided_arrays_do_not_compile_anew() -> None:
    network = random_network(0, 8)
    expected = losses(network, network.closed)[0]
    compiled = len(kernel.many.signatures)  # type: ignore[attr-defined]
    closed, power = network.closed.copy(), np.repeat(network.s_power, 2)[::2]
    closed.flags.writeable = False
    np.testing.assert_array_equal(losses(network, closed, s_power=power)[0], expected)
    frozen = replace(network, tap=network.tap.copy(), source_v=network.source_v.copy(), s_power=network.s_power.copy())
    for array in (frozen.tap, frozen.source_v, frozen.s_power):
        array.flags.writeable = False
    np.testing.assert_array_equal(losses(frozen, closed)[0], expected)
    assert len(kernel.many.signatures) == compiled  # type: ignore[attr-defined]


def test_no_flows_in_no_flows_out() -> None:
    network = random_network(0, 5)
    loss, status = losses(network, np.zeros((0, network.n_conductors), dtype=bool))
    assert loss.shape == status.shape == (0,)


@given(SEEDS, st.booleans())
@quick
def test_what_earlier_flows_left_in_memory_does_not_matter(seed: int, rich: bool) -> None:
    network = random_network(seed, 12, n_source=2, rich=rich)
    steady = network.s_power / 3.0
    balanced.memory.__dict__.clear()
    first = solve(network, network.closed, s_impedance=steady)
    for array in vars(balanced.memory.work).values():
        if isinstance(array, np.ndarray):
            array.fill(1 if array.dtype == np.bool_ else 7e8)
    again = solve(network, network.closed, s_impedance=steady)
    np.testing.assert_array_equal(again.v, first.v)
    np.testing.assert_array_equal(again.s_to, first.s_to)
    np.testing.assert_array_equal(again.loss, first.loss)


def test_closed_loops_are_those_of_newtons_method() -> None:
    seen = missed = 0
    for seed in range(60):
        network = build_network(random_grid(seed, (RICH, FEED)[seed % 2]))
        for closed in all_topologies(network)[:3]:
            ties = np.flatnonzero(~closed & (network.tap == 1.0) & (network.shift == 0.0))
            loops = close_loops(network, closed, ties)
            for k, e in enumerate(ties):
                state = closed.copy()
                state[e] = True
                want = solve_meshed(network, state)
                if not loops.found[k] or want is None:
                    missed += want is not None
                    continue
                seen += 1
                np.testing.assert_allclose(loops.v[k], want.v[0], atol=1e-8)
                np.testing.assert_allclose(loops.i[k], want.i_rated[0], atol=1e-7)
    assert seen > 200
    assert missed < 0.1 * seen  # these are solved by Newton's method


def meshed(network: Network) -> tuple[Network, Flows]:
    """The network with all branches closed, and its flow."""
    network = replace(network, closed=np.ones(network.n_conductors, dtype=np.bool_))
    flow = solve_meshed(network, network.closed)
    check = check_flow(network, network.closed, flow.v[0])
    assert check.max_mismatch < 1e-10
    assert flow.loss[0] == pytest.approx(check.loss, rel=1e-9)
    np.testing.assert_allclose(flow.i_rated[0], check.current, atol=1e-9)
    return network, flow


@pytest.mark.parametrize("seed", range(4))
def test_random_grids_against_power_grid_model(seed: int) -> None:
    network, flow = meshed(random_network(seed, 22, n_source=1 + seed % 3, n_tie=4, ideal=False, load=2.0))
    np.testing.assert_allclose(flow.v[0], power_grid_model_voltages(network, network.closed), atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_random_grids_with_couplers_against_pandapower(seed: int) -> None:
    network = random_network(seed, 20, n_tie=3, load=2.0)
    network = replace(network, s_power=network.s_power + network.s_current, s_current=0.0 * network.s_current)
    network, flow = meshed(network)
    np.testing.assert_allclose(flow.v[0], pandapower_voltages(network, network.closed), atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_a_radial_state_is_that_of_the_sweep(seed: int) -> None:
    network = random_network(seed, 25, n_source=1 + seed % 2, n_tie=3)
    network = replace(network, y_open_to=np.where(network.closed, 0.0, 0.02j))
    sweep, newton = solve(network, network.closed), solve_meshed(network, network.closed)
    assert newton is not None
    for field in ("v", "i_series", "s_fr", "s_to", "source_s"):
        np.testing.assert_allclose(getattr(newton, field)[0], getattr(sweep, field)[0], atol=1e-10, err_msg=field)
    assert newton.loss[0] == pytest.approx(sweep.loss[0], abs=1e-11)


def test_a_loop_of_couplers_shares_the_current_equally() -> None:
    ring = [Branch(1, 2, z=0j), Branch(1, 2, z=0j), Branch(1, 3, z=0j), Branch(3, 2, z=0j)]
    _, flow = meshed(make_network(4, [Branch(0, 1), *ring], {0: 1.0}, power=[0, 0, 0.5, 0]))
    total = abs(flow.i_series[0, 0])
    np.testing.assert_allclose(np.abs(flow.i_series[0, 1:]), np.array([0.4, 0.4, 0.2, 0.2]) * total)


def test_what_has_no_flow_has_none() -> None:
    loop = [Branch(0, 1), Branch(0, 1), Branch(1, 2)]
    dark = make_network(4, loop, {0: 1.0}, power=[0, 0, 0.1, 0])
    assert ac_state(dark, dark.closed) is None
    heavy = make_network(3, loop, {0: 1.0}, power=[0, 0, 100.0])
    assert ac_state(heavy, heavy.closed) is None
    joined = make_network(3, [Branch(0, 1, z=0j), Branch(1, 2, z=0j)], {0: 1.0, 2: 1.0}, power=[0, 0.1, 0])
    assert ac_state(joined, joined.closed) is None
