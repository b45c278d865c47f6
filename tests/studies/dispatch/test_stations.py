"""Dispatch keeps loops of stations closed: its optimum is that of all states, each solved with its loops by Newton."""

import math

import numpy as np
import pytest

import openpoint
from openpoint.errors import InputError
from openpoint.network import Network, build_network
from openpoint.network.criteria import squared_loading
from openpoint.network.limits import Limits
from openpoint.powerflow.state import AcState, ac_state
from tests.builders.stations import states, station_grid

LIMITS = Limits(v_min_pu=0.9)


def kept(network: Network) -> list[AcState]:
    """All states that keep the limits."""
    found = [ac_state(network, closed) for closed in states(network)]
    return [
        state
        for state in found
        if state is not None and not any(map(len, (state.check.v_low, state.check.v_high, state.check.overloaded)))
    ]


@pytest.mark.parametrize("seed", range(4))
def test_least_loss_is_that_of_all_states(seed: int) -> None:
    grid = station_grid(seed, limited=True)
    network = LIMITS.applied(build_network(grid))
    best = min((state.loss for state in kept(network)), default=math.inf)
    answer = openpoint.dispatch(grid, limits=LIMITS)
    if math.isinf(best):
        assert not answer.has_answer
        return
    assert answer.loss_kw == pytest.approx(best * network.s_base_kva, rel=1e-6)
    assert answer.lower_bound <= answer.loss_kw * (1 + 1e-9)
    assert not answer.violations
    assert not {name for name in answer.open_branches if name.startswith(("C", "T"))}
    assert answer.loss_before_kw == pytest.approx(openpoint.run_powerflow(grid).loss_kw, rel=1e-9)


def series_squares(network: Network, state: AcState) -> np.ndarray:
    w = np.abs(state.v[network.terminal_fr]) ** 2 / network.tap**2
    s = state.s_fr - 0.5 * (network.g - 1j * network.b) * w
    return np.where(state.closed, np.abs(s) ** 2 / w, 0.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_branches_in_parallel_count_in_the_balance_as_they_share_their_current(seed: int) -> None:
    """All switches of these grids are couplers in loops, which do not count."""
    grid = station_grid(seed, limited=True)
    network = build_network(grid)
    prices = np.where(np.array(network.branch_kinds) == "switches", 0.0, squared_loading(network))
    every = [float(prices @ series_squares(network, state)) for state in kept(LIMITS.applied(network))]
    answer = openpoint.dispatch(grid, minimize="balance", limits=LIMITS)
    assert min(every) > 0.0
    assert answer.balance == pytest.approx(min(every), rel=1e-6)


def with_free_taps() -> openpoint.Grid:
    grid = station_grid(0)
    units = grid.transformers.with_columns(controllable=True, tap_min=-4, tap_max=4, tap_step_percent=1.5)
    return grid.with_tables(transformers=units)


def test_taps_of_transformers_in_parallel_do_not_move() -> None:
    with pytest.raises(InputError, match="stands in parallel") as caught:
        openpoint.dispatch(with_free_taps())
    assert "--free" in str(caught.value)
    assert openpoint.dispatch(with_free_taps(), free="topology").has_answer
