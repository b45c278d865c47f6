"""Devices: what a position does to the network; limits and prices per unit, by hand; closed loops opened."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import TopologySearch
from openpoint.errors import InputError, OptionError
from openpoint.grid import Grid
from openpoint.network import build_network
from openpoint.network.devices import (
    DeviceKind,
    Devices,
    build_devices,
    build_prices,
    build_supply,
    no_devices,
    with_positions,
)
from openpoint.network.limits import Limits
from openpoint.network.stations import open_held_meshes
from openpoint.powerflow.balanced import FlowStatus, solve
from openpoint.powerflow.state import ac_state
from openpoint.verify import verify
from tests.builders.device_cases import device_case
from tests.builders.stations import states, station_grid
from tests.grid.small import grid, tables


def _closed(network, names):
    closed = np.ones(network.n_conductors, dtype=np.bool_)
    closed[network.branch_numbers(names)] = False
    return closed


def test_today_changes_nothing():
    network, devices = device_case("33-R2G")
    same = with_positions(network, devices, devices.today)
    flows = [solve(net, network.closed) for net in (network, same)]
    assert flows[0].loss[0] == flows[1].loss[0]
    assert with_positions(network, no_devices(), no_devices().today).tap is not network.tap


def test_the_proven_state_of_33_a_loses_what_is_published():
    network, devices = device_case("33-A")
    positions = devices.today.copy()
    positions[devices.of(DeviceKind.BANK)] = [2, 3, 3]
    positions[devices.of(DeviceKind.VOLTAGE)] = int(np.argmax(devices.values[3]))
    flows = solve(with_positions(network, devices, positions), _closed(network, ["7", "9", "14", "36", "37"]))
    assert devices.values[3].max() == pytest.approx(1.05)
    assert flows.loss[0] * network.s_base_kva == pytest.approx(84.064, abs=5e-4)


def test_the_proven_state_of_the_publication_loses_what_is_published():
    network, devices = device_case("70-seed")
    positions = devices.sizes - 1
    flows = solve(
        with_positions(network, devices, positions),
        _closed(network, ["14", "28", "30", "45", "67", "70", "72", "75"]),
    )
    assert flows.loss[0] * network.s_base_kva == pytest.approx(239.946, abs=5e-4)


def test_devices_that_are_left_out_stay_as_they_are():
    network, devices = device_case("33-R1")
    few = devices.only(devices.of(DeviceKind.TAP))
    assert (few.names, few.count, few.sizes.tolist()) == (("tap 6",), 1, [33])
    moved = with_positions(network, few, np.array([0]))
    assert moved.tap[network.branch_numbers(["6"])[0]] == pytest.approx(0.9)
    assert np.array_equal(moved.s_impedance, network.s_impedance)


BASE = 100.0  # kVA, the power of ten next to the load of the small grid
SOURCE = {"v_pu": 1.0, "v_min_pu": 0.9, "v_max_pu": 1.1, "v_step_pu": 0.05}


def small(kind: str = "sources", **values: Any) -> Grid:
    """The small grid after changes to the row of a table."""
    changed = tables()
    changed[kind][0].update(values)
    return grid(changed)


def devices_of(made: Grid) -> Devices:
    return build_devices(made, build_network(made))


def one(devices: Devices, kind: DeviceKind) -> int:
    """The number of the only device of a kind."""
    (d,) = devices.of(kind)
    return int(d)


def test_what_may_move_of_the_small_grid_is_a_bank_and_a_tap() -> None:
    devices = devices_of(small())
    assert devices.names == ("cap", "de")
    assert devices.kind.tolist() == [DeviceKind.BANK, DeviceKind.TAP]


def test_steps_of_equal_size() -> None:
    devices = devices_of(small())
    d = one(devices, DeviceKind.BANK)
    np.testing.assert_allclose(devices.values[d] * BASE, [0, 10, 20, 30])
    assert (devices.first[d], devices.today[d], devices.place[d]) == (0, 2, 1)


def test_levels_of_unequal_size_and_what_is_on_today() -> None:
    levels = [5.0, 20.0, 60.0]
    made = small("capacitors", q_kvar=60.0, steps=3, steps_on=2, levels_kvar=levels)
    network, devices = build_network(made), devices_of(made)
    np.testing.assert_allclose(devices.values[one(devices, DeviceKind.BANK)] * BASE, [0, 5, 20, 60])
    assert network.s_impedance[1] * BASE == pytest.approx(-20j)


@pytest.mark.parametrize(("side", "factor"), [("from", 1.05), ("to", 1 / 1.05)])
def test_taps_at_either_side(side: str, factor: float) -> None:
    """The lowest tap of five is -2, so that tap 2 is the last position."""
    made = small("transformers", tap_side=side, tap_pos=1)
    network, devices = build_network(made), devices_of(made)
    d = one(devices, DeviceKind.TAP)
    assert (devices.first[d], devices.today[d], len(devices.values[d])) == (-2, 3, 5)
    assert devices.values[d][4] == pytest.approx(factor)
    assert network.tap[devices.place[d]] == devices.values[d][3]
    assert network.branch_names[devices.place[d]] == "de"
    steps = np.diff(devices.values[d])
    assert (steps > 0).all() if side == "from" else (steps < 0).all()


def test_voltages_of_a_source_that_its_bus_allows() -> None:
    made = small(**SOURCE)
    devices = devices_of(made)
    d = one(devices, DeviceKind.VOLTAGE)
    np.testing.assert_allclose(devices.values[d], [0.9, 0.95, 1.0, 1.05, 1.1])
    limits = [{"v_min_pu": 0.95, "v_max_pu": 1.05}, {"v_min_pu": None, "v_max_pu": 1.06}]
    kept = []
    for limit in limits:
        buses = [{**row, **(limit if row["name"] == "A" else {})} for row in tables()["buses"]]
        fewer = devices_of(made.with_tables(buses=Grid.from_tables("", {"buses": buses}).buses))
        d = one(fewer, DeviceKind.VOLTAGE)
        assert fewer.values[d][fewer.today[d]] == 1.0
        kept.append((fewer.values[d].round(9).tolist(), int(fewer.first[d])))
    assert kept == [([0.95, 1.0, 1.05], 1), ([0.9, 0.95, 1.0, 1.05], 0)]


def test_a_range_that_its_step_does_not_fill_ends_below_its_end() -> None:
    devices = devices_of(small(v_pu=0.97, v_min_pu=0.94, v_max_pu=1.02, v_step_pu=0.03))
    np.testing.assert_allclose(devices.values[one(devices, DeviceKind.VOLTAGE)], [0.94, 0.97, 1.0])


def test_what_cannot_move_is_no_device() -> None:
    changed = tables()
    changed["capacitors"][0]["controllable"] = False
    changed["transformers"][0] |= {"tap_min": 0, "tap_max": 0}
    changed["sources"][0] |= {"v_min_pu": 1.0, "v_max_pu": 1.0, "v_step_pu": 0.01}
    assert devices_of(grid(changed)).count == 0
    changed["transformers"][0] |= {"tap_max": 1, "controllable": False}
    assert devices_of(grid(changed)).count == 0


@pytest.mark.parametrize(("p_kw", "today"), [(0.0, 0), (20.0, 1)])
def test_a_generator_that_may_stop_is_on_if_it_feeds_in(p_kw: float, today: int) -> None:
    made = small("generators", p_kw=p_kw, p_min_kw=10.0, may_stop=True)
    network, devices = build_network(made), devices_of(made)
    d = one(devices, DeviceKind.UNIT)
    assert (devices.values[d].tolist(), devices.today[d]) == ([0.0, 1.0], today)
    assert network.generator_names[devices.place[d]] == devices.names[d] == "pv"


def test_every_position_is_that_of_the_grid_with_this_position_today() -> None:
    """Tables say what is on today; setting a device to another position is the same as changing them."""
    made = small(**SOURCE)
    devices, network = devices_of(made), build_network(made)
    moved = with_positions(network, devices, np.array([3, 3, 0]))
    changed = tables()
    changed["sources"][0] |= SOURCE | {"v_pu": 1.05}
    changed["capacitors"][0]["steps_on"] = 3
    changed["transformers"][0]["tap_pos"] = -2
    expected = build_network(grid(changed))
    for name in ("s_impedance", "source_v", "tap"):
        np.testing.assert_allclose(getattr(moved, name), getattr(expected, name), rtol=1e-12)
    losses = [solve(net, net.closed).loss[0] for net in (moved, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


def test_limits_of_sources_and_ratings_of_generators() -> None:
    changed = tables()
    changed["sources"][0] |= {"p_min_kw": -20.0, "p_max_kw": 300.0, "q_max_kvar": 50.0, "s_max_kva": 310.0}
    changed["generators"] += [
        {"name": "fixed", "bus": "B", "p_kw": 5.0, "s_max_kva": 6.0},
        {"name": "chp", "bus": "B", "p_kw": 0.0, "p_max_kw": 30.0, "s_max_kva": 35.0},
    ]
    made = grid(changed)
    limits = build_supply(made, build_network(made))
    told = [limits.p_min, limits.p_max, limits.q_min, limits.q_max, limits.s_max]
    np.testing.assert_allclose(np.concatenate(told) * BASE, [-20.0, 300.0, -math.inf, 50.0, 310.0])
    np.testing.assert_allclose(limits.generator_s_max * BASE, [math.inf, 35.0])
    assert limits.any_of_sources
    plain = small()
    assert not build_supply(plain, build_network(plain)).any_of_sources


def test_money_behind_the_prices() -> None:
    """100 kW at 0.1 $/kWh and 30 kW at 0.2 $/kWh + 0.001 $/(kW² h) and 3 $/h for being on: 10 + 6 + 0.9 + 3 $/h."""
    changed = tables()
    changed["sources"][0]["price_usd_per_kwh"] = 0.1
    costs = {"cost_usd_per_kwh": 0.2, "cost_usd_per_kw2h": 0.001, "cost_on_usd_per_h": 3.0, "may_stop": True}
    changed["generators"][0] |= costs
    made = grid(changed)
    network = build_network(made)
    prices = build_prices(made, network)
    source, generator = 100.0 / BASE, 30.0 / BASE
    cost = (
        prices.source @ [source] + prices.generator @ [generator] + prices.square @ [generator**2] + prices.idle.sum()
    )
    assert cost * network.s_base_kva == pytest.approx(19.9)
    assert prices.loss == 0.0
    assert prices.current.tolist() == [0.0] * network.n_conductors


def test_sources_without_a_price_are_named() -> None:
    made = small()
    with pytest.raises(InputError, match="sources, row grid, price_usd_per_kwh"):
        build_prices(made, build_network(made))


def test_grids_of_several_phases_are_refused() -> None:
    feeder = openpoint.read("ieee13")
    with pytest.raises(OptionError, match="phases a, b, c"):
        build_devices(feeder, build_network(feeder))


def test_tables_make_the_devices_of_case_33_a() -> None:
    network, expected = device_case("33-A")
    limits = {"v_min_pu": pl.lit(0.95), "v_max_pu": pl.lit(1.05)}
    banks = [{"name": f"bank {b}", "bus": b, "q_kvar": q, "steps": 3, "steps_on": 0} for b, q in BANKS.items()]
    feeder = openpoint.read("baran33")
    made = feeder.with_tables(
        buses=feeder.buses.with_columns(**limits),
        capacitors=Grid.from_tables("", {"capacitors": banks}).capacitors,
        sources=feeder.sources.with_columns(v_min_pu=pl.lit(0.9), v_max_pu=pl.lit(1.1), v_step_pu=pl.lit(0.0125)),
    )
    devices = devices_of(made)
    assert devices.kind.tolist() == expected.kind.tolist()
    assert devices.place.tolist() == expected.place.tolist()
    assert devices.today.tolist() == expected.today.tolist()
    for values, known in zip(devices.values, expected.values, strict=True):
        np.testing.assert_allclose(values, known, rtol=1e-12)
    assert network.s_base_kva == build_network(made).s_base_kva


BANKS = {"12": 450.0, "24": 450.0, "30": 900.0}


@pytest.mark.parametrize("seed", range(3))
def test_the_opened_network_has_the_same_flow_and_limits(seed: int) -> None:
    stations = open_held_meshes(build_network(station_grid(seed, limited=True)))
    whole, opened = stations.whole, stations.opened
    assert stations.dropped.any()
    for closed in itertools.islice(states(whole), 12):
        state, flow = ac_state(whole, closed), solve(opened, closed & ~stations.dropped)
        assert flow.status[0] == FlowStatus.CONVERGED
        np.testing.assert_allclose(flow.v[0], state.v, atol=1e-10)
        assert flow.loss[0] == pytest.approx(state.loss, rel=1e-9)
        # Of branches in parallel, the fullest is as full as the one that stands for them.
        full, full_opened = (i / np.sqrt(net.l_max) for i, net in ((state.i, whole), (flow.i_rated[0], opened)))
        units = np.array([name.startswith("T") for name in whole.branch_names])
        apart = stations.wider.any()  # shunts that are not shared as currents make its limit wider
        assert full[units].max() == pytest.approx(full_opened[units].max(), rel=1e-2 if apart else 1e-8)
        assert full_opened[units].max() <= full[units].max() * (1.0 + 1e-8)
        np.testing.assert_allclose(
            full_opened[~units], np.where(stations.dropped & stations.couplers, 0.0, full)[~units], atol=1e-8
        )


@pytest.mark.parametrize(("seed", "limited"), [(seed, seed % 2 > 0) for seed in range(5)])
def test_least_loss_is_that_of_all_states(seed: int, limited: bool, tmp_path: Path) -> None:
    grid = station_grid(seed, limited=limited)
    network = Limits(v_min_pu=0.9).applied(build_network(grid))
    best, least = math.inf, None
    for closed in states(network):
        state = ac_state(network, closed)
        kept = state is not None and not any(map(len, (state.check.v_low, state.check.v_high, state.check.overloaded)))
        if kept and state.loss < best:
            best, least = state.loss, closed
    file = tmp_path / "proof"
    method = TopologySearch(certificate=file, gap=1e-7)
    answer = openpoint.reconfigure(grid, limits=Limits(v_min_pu=0.9), method=method)
    if least is None:
        assert answer.loss_kw is None
        return
    assert answer.loss_kw == pytest.approx(best * network.s_base_kva, rel=1e-7)
    assert answer.lower_bound_kw <= answer.loss_kw * (1 + 1e-9)
    assert {e for e in answer.open_branches if e.startswith(("C", "T"))} == set()
    assert verify(grid, file).loss_kw == pytest.approx(answer.loss_kw, rel=1e-9)


def test_a_grid_without_held_meshes_stays_as_it_is() -> None:
    network = build_network(openpoint.read("baran33"))
    assert open_held_meshes(network).opened is network
