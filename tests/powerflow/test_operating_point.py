"""Operating states evaluated in one call equal those evaluated one by one, with the devices put into the network."""

from dataclasses import replace

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.network.devices import DeviceKind, Devices, no_devices, with_positions
from openpoint.network.operating_cost import least_loss, no_supply_limits
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.operating_point import OperatingPointEvaluator
from openpoint.powerflow.state import excesses
from tests.builders.device_cases import LOSS_KW, device_case
from tests.builders.grids import all_topologies
from tests.powerflow.small_networks import Branch, make_network


def evaluator(network, devices, cost=None, supply=None):  # type: ignore[no-untyped-def]
    sizes = len(network.generator_terminal), len(network.source_terminal)
    return OperatingPointEvaluator(
        network,
        devices,
        cost or least_loss(*sizes, network.n_conductors),
        supply or no_supply_limits(*sizes),
    )


def devices_of(*rows: tuple[DeviceKind, int, list[float], int]) -> Devices:
    kind, place, values, today = zip(*rows, strict=True)
    wholes = [np.array(part, dtype=np.int64) for part in (kind, place, today)]
    return Devices(
        tuple(f"d{k}" for k in range(len(rows))),
        *wholes[:2],
        tuple(np.array(v) for v in values),
        0 * wholes[0],
        wholes[2],
    )


def rich():
    """A ring of four buses and a second source, a generator at bus 2 and one at 3, and a device of each kind."""
    branches = [
        Branch(0, 1, tap=1.02),
        Branch(1, 2, closed=False),
        Branch(2, 3),
        Branch(3, 0, closed=False),
        Branch(3, 4),
    ]
    network = make_network(
        5,
        branches,
        {0: 1.0 + 0.0j, 4: 1.0 + 0.01j},
        power=[0.1, 0.2 + 0.1j, 0.4 + 0.2j, 0.3 + 0.1j, 0.05],
        impedance=[0.0, 0.05j, 0.0, 0.0, 0.0],
        generators=[(2, 0.1 + 0.02j), (3, 0.05 + 0.0j)],
        v_limits=(0.98, 1.01),
    )
    network = replace(
        network, p_max=np.array([0.2, 0.1]), p_min=np.zeros(2), q_min=np.full(2, -0.1), q_max=np.full(2, 0.1)
    )
    devices = devices_of(
        (DeviceKind.BANK, 2, [0.0, 0.1, 0.25], 1),
        (DeviceKind.VOLTAGE, 0, [0.98, 1.0, 1.03], 1),
        (DeviceKind.TAP, 0, [0.95, 1.02, 1.0], 1),
        (DeviceKind.UNIT, 1, [0.0, 1.0], 1),
    )
    return network, devices


def test_many_states_in_one_call_equal_one_by_one():
    network, devices = rich()
    trees = all_topologies(network)
    rng = np.random.default_rng(0)
    closed = trees[rng.integers(0, len(trees), 60)]
    positions = rng.integers(0, devices.sizes, (60, devices.count))
    generation = rng.uniform(0.0, 0.1, (60, 2)) + 1j * rng.uniform(-0.1, 0.02, (60, 2))
    value, violation = evaluator(network, devices).evaluate(closed, positions, generation)
    flows = evaluator(network, devices).flows(closed, positions, generation)
    assert (violation > 0).any()
    assert (violation == 0).any()
    for k in range(60):
        alone = with_positions(network, devices, positions[k])
        output = np.where([True, positions[k, 3] == 1], generation[k], 0.0)
        one = solve(alone, closed[k], generation=output)
        assert value[k] == pytest.approx(one.loss[0], rel=1e-12)
        assert violation[k] == pytest.approx(excesses(alone, one)[0], rel=1e-9)
        assert np.allclose(flows.v[k], one.v[0], rtol=0.0, atol=1e-12)


def test_the_proven_state_of_33_a_is_worth_what_is_published_and_keeps_its_limits():
    network, devices = device_case("33-A")
    closed = np.ones(network.n_conductors, dtype=np.bool_)
    closed[network.branch_numbers(["7", "9", "14", "36", "37"])] = False
    positions = np.array([2, 3, 3, devices.sizes[3] - 1])
    value, violation = evaluator(network, devices).evaluate(closed, positions)
    assert value[0] * network.s_base_kva == pytest.approx(LOSS_KW["33-A"], abs=5e-4)
    assert violation[0] == 0.0


def test_every_term_of_the_cost_is_that_of_its_definition():
    network, devices = rich()
    plain = least_loss(2, 2, 5)
    closed, positions, generation = network.closed, np.array([2, 0, 1, 0]), np.array([0.1 + 0.05j, 0.08j])
    closed = closed ^ np.isin(np.arange(5), [1, 2])
    flows = evaluator(network, devices).flows(closed, positions, generation)
    p, l = flows.source_s[0].real, np.abs(flows.i_series[0]) ** 2
    w = np.abs(flows.v[0, [1, 2, 3]]) ** 2
    prices, by_branch = np.array([2.0, 3.0]), np.arange(5.0)
    terms = {
        "loss": (0.5, -0.5 * flows.loss[0]),
        "source": (prices, prices @ p),
        "generator": (prices, 2.0 * 0.1),
        "square": (prices, 2.0 * 0.1**2),
        "idle": (prices, 2.0),  # the second is off
        "current": (by_branch, by_branch @ l),
        "deviation": (0.7, 0.7 * np.abs(w - 1.0).sum() / 2),
        "change": (0.1, 0.2),
        "move": (0.1, 0.3),
    }
    for name, (price, worth) in terms.items():
        cost = replace(plain, **{name: price})
        value, _ = evaluator(network, devices, cost).evaluate(closed, positions, generation)
        assert value[0] - flows.loss[0] == pytest.approx(worth, rel=1e-12), name


def test_limits_of_sources_and_generators_are_counted_relative_to_themselves():
    network, devices = rich()
    closed, positions, generation = network.closed, devices.today, np.array([0.1 + 0.0j, 0.03 + 0.04j])
    free = evaluator(network, devices)
    before = free.evaluate(closed, positions, generation)[1][0]
    s = free.flows(closed, positions, generation).source_s[0]
    nothing = no_supply_limits(2, 2)
    kept, missed = np.abs(s) * (1.0 + 1e-9), np.abs(s) / np.array([1.25, 1.0])
    for supply, more in (
        (replace(nothing, s_max=kept), 0.0),
        (replace(nothing, s_max=missed), 0.25),
        (replace(nothing, p_max=np.array([np.inf, s[1].real / 1.1])), 0.1),
        (replace(nothing, q_min=np.array([s[0].imag * 2.0, -np.inf])), 0.5),
        (replace(nothing, generator_s_max=np.array([np.inf, 0.04])), 0.25),
    ):
        found = evaluator(network, devices, supply=supply).evaluate(closed, positions, generation)[1][0]
        assert found - before == pytest.approx(more, abs=1e-6)
    off = np.array([1, 1, 1, 0])
    limited = evaluator(network, devices, supply=replace(nothing, generator_s_max=np.array([np.inf, 0.04])))
    assert limited.evaluate(closed, off, generation)[1] == free.evaluate(closed, off, generation)[1]
    assert free.evaluate(closed, positions, np.array([0.3 + 0.0j, 0.0]))[1][0] - before >= 0.49


def test_a_state_without_flow_or_with_a_bus_that_no_source_feeds_is_worth_nothing():
    network, devices = rich()
    closed = np.stack([network.closed, np.zeros(5, dtype=np.bool_), np.ones(5, dtype=np.bool_)])
    value, violation = evaluator(network, devices).evaluate(closed, devices.today)
    assert np.isfinite(value).tolist() == np.isfinite(violation).tolist() == [True, False, False]


def test_arguments_that_do_not_fit_are_refused():
    network, devices = rich()
    judge = evaluator(network, devices)
    with pytest.raises(OptionError, match="positions of devices"):
        judge.evaluate(network.closed, np.array([3, 0, 0, 0]))
    with pytest.raises(OptionError, match="positions has shape"):
        judge.evaluate(network.closed, np.zeros((2, 3), dtype=np.int64))
    with pytest.raises(OptionError, match="closed has shape"):
        judge.evaluate(np.ones((2, 5), dtype=np.bool_), np.zeros((3, 4), dtype=np.int64))


def test_without_devices_it_is_the_plain_flow():
    network, _ = rich()
    judge = evaluator(network, no_devices())
    value, _ = judge.evaluate(network.closed, np.empty(0, dtype=np.int64))
    assert value[0] == solve(network, network.closed).loss[0]


def test_no_states_are_worth_nothing():
    network, devices = rich()
    none = np.empty((0, 5), dtype=np.bool_)
    judge = evaluator(network, devices)
    assert [len(part) for part in judge.evaluate(none, devices.today)] == [0, 0]
    assert judge.flows(none, devices.today).v.shape == (0, 5)
