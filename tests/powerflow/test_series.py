"""Power flows of many steps equal those of the sweep, step by step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.powerflow import series
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.ensemble import excesses
from openpoint.powerflow.series import StepDemand, series_until, solve_series
from openpoint.search.enumeration import topologies
from tests.powerflow.small_networks import random_network
from tests.search.random_grids import random_grid

few = settings(max_examples=40, deadline=None)


def demand_of(rng: np.random.Generator, network: Network, steps: int, most: float) -> StepDemand:
    n, d = network.n_terminals, int(rng.integers(1, 4))
    profile = rng.uniform(-0.3 if rng.random() < 0.3 else 0.1, most, (steps, d))
    bus = np.concatenate([np.arange(n), rng.integers(0, n, 3)])
    power = np.concatenate([network.s_power, rng.uniform(-0.01, 0.01, 3) + 0.0j])
    return StepDemand(profile, bus, rng.integers(0, d, n + 3), power, n)


@few
@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.sampled_from([1.0, 1.0, 6.0]))
def test_every_step_is_that_of_the_sweep(seed: int, steps: int, most: float) -> None:
    rng = np.random.default_rng(seed)
    if seed % 3 == 0:
        network = random_grid(rng, ("shunts", "ratios", "hanging", "generation", "ratings", "low", "high"))
        closed = next(iter(topologies(network)))[0]
    else:
        network = random_network(seed, int(rng.integers(3, 20)))
        closed = network.closed
    demand = demand_of(rng, network, steps, most)
    hours = rng.uniform(0.1, 2.0, steps)
    found = solve_series(network, closed, demand, hours)
    flows = solve(network, closed, s_power=demand.rows(slice(None)))
    if not flows.energised.all():
        assert np.isinf(found.loss).all()
        return
    good = flows.converged
    assert np.array_equal(np.isfinite(found.loss), good)
    assert found.loss[good] == pytest.approx(flows.loss[good], rel=1e-7, abs=1e-11)
    assert found.excess[good] == pytest.approx(excesses(network, flows)[good], rel=1e-7, abs=1e-9)
    inner = np.setdiff1d(np.arange(network.n_terminals), network.source_terminal)
    if not good.any():
        assert np.isnan(found.v_low).all()
        return
    v, i = np.abs(flows.v[good]), flows.i_rated[good]
    assert found.v_low[good] == pytest.approx(v[:, inner].min(axis=1), abs=1e-8)
    assert found.v_high[good] == pytest.approx(v[:, inner].max(axis=1), abs=1e-8)
    assert found.v_low_of[inner] == pytest.approx(v[:, inner].min(axis=0), abs=1e-8)
    assert found.v_high_of[inner] == pytest.approx(v[:, inner].max(axis=0), abs=1e-8)
    assert found.i_of == pytest.approx(i.max(axis=0), rel=1e-7, abs=1e-9)
    assert np.abs(flows.v)[found.v_low_at[inner], inner] == pytest.approx(found.v_low_of[inner], abs=1e-8)
    used = np.flatnonzero(found.i_at >= 0)
    assert flows.i_rated[found.i_at[used], used] == pytest.approx(found.i_of[used], rel=1e-7, abs=1e-9)
    branch = np.where(good[:, None], (flows.s_fr + flows.s_to).real * hours[:, None], 0.0).sum(axis=0)
    assert found.energy[closed] == pytest.approx(branch[closed], rel=1e-6, abs=1e-9)


def test_rows_of_shares_are_the_demands() -> None:
    rng = np.random.default_rng(1)
    rows = rng.uniform(-1, 1, (7, 5)) + 1j * rng.uniform(-1, 1, (7, 5))
    demand = StepDemand.of_rows(rows)
    assert demand.rows(slice(None)) == pytest.approx(rows)
    assert demand.take(np.array([3, 1])).rows(slice(0, 1)) == pytest.approx(rows[3:4])


def test_shapes_that_do_not_fit_are_told() -> None:
    network = random_network(1, 5)
    with pytest.raises(OptionError, match="do not fit"):
        solve_series(network, network.closed, StepDemand.of_rows(np.zeros((3, 4), dtype=np.complex128)), np.ones(3))


@pytest.mark.parametrize("most", [1.0, 60.0])
def test_steps_in_pieces_are_those_at_once_and_a_piece_may_be_the_last(
    most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    network = random_network(7, 12)
    demand, hours = demand_of(rng, network, 300, most), rng.uniform(0.1, 2.0, 300)
    whole = solve_series(network, network.closed, demand, hours)
    assert np.isfinite(whole.loss).all() == (most == 1.0)
    monkeypatch.setattr(series, "AT_ONCE", 2 * 12 * series.LANES)
    stops = iter([False] * 5)  # of 300 steps each of 32 lanes has ten, two at once
    found = series_until(network, network.closed, demand, hours, stops.__next__)
    assert found is not None
    assert not list(stops)
    for name, values in vars(whole).items():
        assert np.array_equal(getattr(found, name), values, equal_nan=values.dtype == float), name
    for before in range(5):
        stops = iter([False] * before + [True])
        assert series_until(network, network.closed, demand, hours, stops.__next__) is None
        assert not list(stops)
