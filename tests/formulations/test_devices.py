"""Devices in DistFlow: at whole positions it is the flow of the network that stands there, between them relaxed."""

import cvxpy as cp
import numpy as np
import pytest

from openpoint.arrays import Floats
from openpoint.formulations.devices import DeviceChoice, highest_voltages, lowest_sources, one_position, owners
from openpoint.formulations.distflow import IDEAL_R, DistFlow, distflow, voltage_bounds
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices, no_devices, with_positions
from openpoint.powerflow.balanced import solve
from openpoint.solvers.base import Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.twostage.recourse.compile import compile_model
from tests.builders.device_grids import random_device_grid
from tests.builders.grids import all_topologies
from tests.search.random_grids import random_grid

PLAIN = ("banks", "voltages", "taps", "units")


def case(seed: int) -> tuple[np.random.Generator, Network, Devices, np.ndarray]:
    """A network with devices, and its trees in an order drawn; the next seed where there are none."""
    rng = np.random.default_rng(seed)
    for number in range(100 * seed, 100 * seed + 100):
        grid = random_device_grid(number, PLAIN)
        trees = all_topologies(grid.network)
        if len(trees) and grid.devices.count:
            return rng, grid.network, grid.devices, rng.permutation(trees)
    raise AssertionError


def random_positions(rng: np.random.Generator, devices: Devices) -> np.ndarray:
    return rng.integers(devices.sizes)


def one_hot(devices: Devices, positions: np.ndarray) -> Floats:
    return np.concatenate([np.eye(size)[k] for size, k in zip(devices.sizes, positions, strict=True)])


def choice_of(network: Network, devices: Devices, chosen: cp.Expression) -> DeviceChoice:
    lower = np.zeros(network.n_terminals)
    lower[network.source_terminal] = lowest_sources(network, devices) ** 2
    return DeviceChoice(devices, chosen, lower)


def least(flow: DistFlow, more: list[cp.Constraint] | None = None) -> float:
    """Least loss in kW, inf where there is no flow; limits left out."""
    form = compile_model(flow.cost, [*flow.constraints, *(cone.constraint() for cone in flow.cones), *(more or [])])
    answer = ClarabelModel(form).solve()
    assert answer.status in (Status.OPTIMAL, Status.INFEASIBLE)
    return answer.value if answer.status is Status.OPTIMAL else np.inf


@pytest.mark.parametrize("seed", range(4))
def test_at_whole_positions_it_is_the_flow_of_the_network_that_stands_there(seed: int) -> None:
    """docs/methods.md M7."""
    rng, network, devices, trees = case(seed)
    upper = voltage_bounds(highest_voltages(network, devices), limits=False)[1]
    for closed in trees[:3]:
        x, positions = cp.Constant(closed.astype(float)), random_positions(rng, devices)
        choice = choice_of(network, devices, cp.Constant(one_hot(devices, positions)))
        stands = with_positions(network, devices, positions)
        here, there = (least(flow) for flow in (distflow(network, x, upper, choice=choice), distflow(stands, x, upper)))
        if np.all(network.r[closed] >= IDEAL_R):
            assert here == pytest.approx(there, rel=1e-5, abs=1e-4)
        else:  # the bound of the current of a branch of no resistance knows all banks
            assert here <= there + 1e-5 * max(1.0, there)


@pytest.mark.parametrize("seed", range(40, 44))
def test_between_positions_it_costs_no_more_than_at_any(seed: int) -> None:
    """docs/methods.md M7."""
    rng, network, devices, trees = case(seed)
    upper = voltage_bounds(highest_voltages(network, devices), limits=False)[1]
    chosen, x = cp.Variable(int(devices.sizes.sum())), cp.Constant(trees[0].astype(float))
    free = distflow(network, x, upper, choice=choice_of(network, devices, chosen))
    relaxed = least(free, one_position(devices, chosen))
    for _ in range(3):
        stands = with_positions(network, devices, random_positions(rng, devices))
        there = least(distflow(stands, x, upper))
        assert relaxed <= there + 1e-5 * max(1.0, there)


@pytest.mark.parametrize("seed", range(60, 65))
def test_voltages_of_exact_flows_lie_within_the_bounds(seed: int) -> None:
    rng, network, devices, trees = case(seed)
    upper = voltage_bounds(highest_voltages(network, devices), limits=False)[1]
    for closed in trees[:5]:
        flows = solve(with_positions(network, devices, random_positions(rng, devices)), closed)
        if flows.converged[0]:
            assert np.all(np.abs(flows.v[0]) ** 2 <= upper + 1e-9)
            held = np.abs(flows.v[0, network.source_terminal])
            assert np.all(held >= lowest_sources(network, devices) - 1e-12)


@pytest.mark.parametrize("seed", range(90, 95))
def test_the_power_of_sources_is_that_of_the_exact_flow(seed: int) -> None:
    """Where loads only consume the relaxation is exact, so what the sources deliver is, too."""
    network = random_grid(np.random.default_rng(seed), ())
    devices = Devices(("s",), *(np.array([k]) for k in (1, 0)), (np.array([0.99, 1.02]),), *np.zeros((2, 1), dtype=int))
    upper = voltage_bounds(highest_voltages(network, devices), limits=False)[1]
    closed, positions = all_topologies(network)[0], np.ones(1, dtype=np.int64)
    flows = solve(with_positions(network, devices, positions), closed)
    chosen = cp.Constant(one_hot(devices, positions))
    flow = distflow(network, cp.Constant(closed.astype(float)), upper, choice=choice_of(network, devices, chosen))
    problem = cp.Problem(cp.Minimize(flow.cost), [*flow.constraints, *(cone.constraint() for cone in flow.cones)])
    problem.solve(solver=cp.CLARABEL)
    delivered = flow.source_p.value + 1j * flow.source_q.value
    np.testing.assert_allclose(delivered, flows.source_s[0], rtol=1e-4, atol=1e-5)


def test_no_devices_leave_the_network_as_it_is() -> None:
    network = random_grid(np.random.default_rng(3), ())
    none = no_devices()
    bare = DeviceChoice(none, cp.Constant(np.zeros(0)), np.zeros(network.n_terminals))
    assert np.array_equal(bare.bare(network).tap, network.tap)
    assert bare.of(DeviceKind.BANK) is None
    assert owners(none).shape == (0, 0)
    assert np.array_equal(highest_voltages(network, none).source_v, network.source_v)
