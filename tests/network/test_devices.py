"""Devices: what a position does to the network, by exact power flow."""

from __future__ import annotations

import numpy as np
import pytest

from openpoint.network.devices import DeviceKind, no_devices, with_positions
from openpoint.powerflow.balanced import solve
from tests.builders.device_cases import device_case


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
