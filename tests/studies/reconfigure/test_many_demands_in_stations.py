"""Many demands in grids with stations: each state by brute force with its loops closed, by Newton's method."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint.arrays import Bools, Floats
from openpoint.network import Network, build_network
from openpoint.powerflow.state import AcState, ac_state
from openpoint.verify import verify
from tests.builders.stations import states, station_grid

SHARES = np.array([[0.3, 1.0], [1.0, 0.4], [0.7, 0.7]])
HOURS = np.array([4000.0, 3000.0, 1760.0])
LIMITS = openpoint.Limits(v_min_pu=0.9)


def demands(grid: openpoint.Grid, network: Network) -> Floats:
    """(3, N) demands, kW: feeders of even and of odd numbers are loaded most at other times."""
    found = np.zeros((len(SHARES), network.n_terminals), dtype=np.complex128)
    for name, p, q in grid.loads.select("bus", "p_kw", "q_kvar").iter_rows():
        found[:, network.bus_names.index(name)] += SHARES[:, int(name[1]) % 2] * complex(p, q)
    return found


def flows(grid: openpoint.Grid, network: Network, closed: Bools) -> list[AcState | None]:
    s = demands(grid, network) / network.s_base_kva
    return [ac_state(replace(network, s_power=row), closed) for row in s]


def keeps(state: AcState | None) -> bool:
    return state is not None and not any(map(len, (state.check.v_low, state.check.v_high, state.check.overloaded)))


def least(grid: openpoint.Grid, network: Network, shares: Floats) -> float:
    """The least mean loss, kW, of all states that keep the limits under all demands."""
    every = (flows(grid, network, closed) for closed in states(network))
    losses = [[state.loss for state in found if state is not None] for found in every if all(map(keeps, found))]
    return network.s_base_kva * min((float(shares @ loss) for loss in losses), default=np.inf)


def year_of(grid: openpoint.Grid) -> pl.DataFrame:
    columns = {name: SHARES[:, int(name[1]) % 2] for name in grid.loads["name"]}
    return pl.DataFrame({"hours": HOURS, **columns})


@pytest.mark.parametrize("seed", range(3))
def test_a_year_loses_what_the_best_of_all_states_loses(seed: int, tmp_path: Path) -> None:
    grid, path = station_grid(seed, limited=seed % 2 == 0), tmp_path / "proof"
    network = LIMITS.applied(build_network(grid))
    best, year = least(grid, network, HOURS / HOURS.sum()), year_of(grid)
    method = openpoint.TopologySearch(gap=1e-7, certificate=path)
    answer = openpoint.reconfigure_year(grid, year, limits=LIMITS, method=method)
    if not np.isfinite(best):
        assert answer.objective_kw is None
        return
    assert answer.objective_kw == pytest.approx(best, rel=1e-6)
    assert answer.ac_max_mismatch_pu < 1e-9
    assert not {name for name in answer.open_branches if name.startswith(("C", "T"))}
    assert verify(grid, path, year=openpoint.read_year(year, grid)).value_kw == pytest.approx(best, rel=1e-6)
    closed = np.array([name not in answer.open_branches for name in network.branch_names])
    exact = [state for state in flows(grid, network, closed) if state is not None]
    amps = np.max([state.i for state in exact], axis=0) * network.i_base_a
    kwh = HOURS @ [(state.s_fr + state.s_to).real for state in exact] * network.s_base_kva
    assert answer.branches["i_highest_after_a"].to_numpy() == pytest.approx(amps, rel=1e-6, abs=1e-6)
    lost = answer.branches["energy_lost_after_kwh"].to_numpy()
    assert lost[closed] == pytest.approx(kwh[closed], rel=1e-6, abs=1e-3)
    assert answer.energy_mwh == pytest.approx(kwh.sum() / 1000.0, rel=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_blocks_of_a_year_stay_in_their_loops(seed: int) -> None:
    grid = station_grid(seed)
    network = build_network(grid)
    blocks = pl.DataFrame({"block": ["a", "b"], "start": ["1", "2"], "end": ["2", "4"]})
    answer = openpoint.reconfigure_seasons(grid, year_of(grid), blocks)
    parts = [np.arange(3) < 1, np.arange(3) >= 1]
    kwh = sum(least(grid, network, np.where(part, HOURS, 0.0)) for part in parts)
    assert answer.energy_mwh == pytest.approx(kwh / 1000.0, rel=2e-4)
    assert answer.energy_bound_mwh <= kwh / 1000.0 * (1.0 + 1e-9)
    assert not any(name.startswith(("C", "T")) for state in answer.states for name in state.open_branches)


@pytest.mark.parametrize("seed", range(3))
def test_futures_lose_what_the_best_of_all_states_loses(seed: int, tmp_path: Path) -> None:
    grid, path = station_grid(seed, limited=seed == 2), tmp_path / "proof"
    network = LIMITS.applied(build_network(grid))
    weights = np.array([0.5, 0.3, 0.2])
    kva = demands(grid, network)
    futures = openpoint.Futures(("a", "b", "c"), weights, network.bus_names, kva.real, kva.imag)
    method = openpoint.TopologySearch(gap=1e-7, certificate=path)
    answer = openpoint.reconfigure_futures(grid, futures, limits=LIMITS, method=method)
    best = least(grid, network, weights)
    if not np.isfinite(best):
        assert answer.objective_kw is None
        return
    assert answer.objective_kw == pytest.approx(best, rel=1e-6)
    assert answer.ac_max_mismatch_pu < 1e-9
    assert not {name for name in answer.open_branches if name.startswith(("C", "T"))}
    assert verify(grid, path, futures=futures).value_kw == pytest.approx(best, rel=1e-6)
    closed = np.array([name not in answer.open_branches for name in network.branch_names])
    exact = [state for state in flows(grid, network, closed) if state is not None]
    amps = np.max([state.i for state in exact], axis=0) * network.i_base_a
    assert answer.branches["i_highest_after_a"].to_numpy() == pytest.approx(amps, rel=1e-6, abs=1e-6)
