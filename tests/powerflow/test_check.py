"""The check must find what is wrong: it is only worth something if it can fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.powerflow import check
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.check import check_flow, check_flows
from tests.powerflow.small_networks import Branch, make_network, random_network


def chain(**options: object) -> Network:
    branches = [Branch(0, 1, i_max=0.5), Branch(1, 2, z=0.0j, i_max=0.2), Branch(2, 3, i_max=0.2)]
    return make_network(4, branches, {0: 1.0 + 0.0j}, power=[0.0, 0.1, 0.1, 0.2], **options)  # type: ignore[arg-type]


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e-2))
@settings(max_examples=40, deadline=None)
def test_a_wrong_voltage_is_seen(seed: int, error: float) -> None:
    network = random_network(seed, 15, n_source=2)
    v = solve(network, network.closed).v[0]
    for bus in range(15):
        wrong = v.copy()
        wrong[bus] += error
        assert check_flow(network, network.closed, wrong).max_mismatch > 0.1 * error


def test_a_wrong_load_or_topology_is_seen() -> None:
    network = chain()
    v = solve(network, network.closed).v[0]
    assert check_flow(network, network.closed, v).max_mismatch < 1e-13
    assert check_flow(network, network.closed, v, s_power=network.s_power * 1.01).max_mismatch > 1e-3
    assert check_flow(network, np.array([True, True, False]), v).max_mismatch > 0.1
    dark = np.array([True, False, True])
    assert check_flow(network, dark, v).max_mismatch > 0.9  # voltage at buses without a source
    assert check_flow(network, dark, solve(network, dark).v[0]).max_mismatch < 1e-13
    assert check_flow(network, network.closed, np.full(4, np.nan + 0j)).max_mismatch == np.inf
    assert check_flow(network, network.closed, np.array([1.0, 1.0, 0.0, 0.0]) + 0j).max_mismatch > 0.1


@pytest.mark.parametrize("at_once", [1, 10**6])
def test_many_states_are_checked_as_each_by_itself(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right and wrong voltages, those of a flow that did not converge, own loads, in blocks of any size."""
    monkeypatch.setattr(check, "ENTRIES_AT_ONCE", at_once)
    rng = np.random.default_rng(5)
    for network in (chain(v_limits=(0.95, 1.01)), random_network(7, 15, n_source=2)):
        loads = network.s_power * rng.uniform(0.5, 1.5, (6, 1))
        v = solve(network, network.closed, s_power=loads).v.copy()
        v[1] *= 1.0 + 0.01 * rng.normal(size=v.shape[1])
        v[2, -1], v[3] = 0.0, np.nan
        together = check_flows(network, network.closed, v, loads, tolerance=1e-4)
        for k, found in enumerate(together):
            alone = check_flow(network, network.closed, v[k], s_power=loads[k], tolerance=1e-4)
            assert found.max_mismatch == pytest.approx(alone.max_mismatch, rel=1e-12, abs=1e-13)
            assert found.loss == pytest.approx(alone.loss, rel=1e-12, nan_ok=True)
            for name in ("v_low", "v_high", "overloaded", "current"):
                np.testing.assert_allclose(getattr(found, name), getattr(alone, name), rtol=1e-12, atol=1e-14)
        assert [found.max_mismatch < 1e-12 for found in together] == [True, False, False, False, True, True]


def test_a_mismatch_hidden_by_a_switch_is_seen() -> None:
    """Buses 1 and 2 are one node electrically: their powers are judged together, and their voltages must agree."""
    network = chain()
    v = solve(network, network.closed).v[0]
    load = network.s_power + np.array([0.0, 0.05, -0.05, 0.0])
    assert check_flow(network, network.closed, v, s_power=load).max_mismatch < 1e-13
    load[2] -= 0.05
    assert check_flow(network, network.closed, v, s_power=load).max_mismatch == pytest.approx(0.05, abs=1e-9)


def test_limits_are_judged_with_a_tolerance() -> None:
    network = chain(v_limits=(0.999, 1.01))
    v = solve(network, network.closed).v[0]
    check = check_flow(network, network.closed, v)
    assert check.v_low.tolist() == [1, 2, 3]
    assert check.v_high.tolist() == []
    # 0.4 of 0.5, then 0.3 and 0.2 of 0.2: the last one is exceeded because the voltage is below 1.
    assert check.overloaded.tolist() == [1, 2]
    assert check_flow(network, network.closed, v, tolerance=0.01).overloaded.tolist() == [1]
    assert check_flow(network, network.closed, v, tolerance=0.02).v_low.tolist() == []
    raised = replace(network, source_v=np.array([1.05 + 0.0j]), w_min=np.zeros(4))
    assert check_flow(raised, raised.closed, solve(raised, raised.closed).v[0]).v_high.tolist() == [1, 2, 3]


def test_the_state_of_an_island_breaks_no_limit() -> None:
    network = chain(v_limits=(0.9, 1.1))
    dark = np.array([False, True, True])
    check = check_flow(network, dark, solve(network, dark).v[0])
    assert check.max_mismatch == 0.0
    assert check.v_low.tolist() == []


def test_shapes_are_checked() -> None:
    network = chain()
    with pytest.raises(OptionError, match="one state"):
        check_flow(network, network.closed, np.ones(3, dtype=complex))
