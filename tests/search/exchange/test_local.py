"""Branch exchange alone: where it ends, and what it claims."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.errors import OptionError
from openpoint.formulations.radiality import contract
from openpoint.network import Network
from openpoint.powerflow.balanced import losses
from openpoint.search.exchange.local import exchange_branches
from openpoint.search.exchange.pairs import exchanges
from openpoint.search.result import SearchProgress, SearchResult
from openpoint.twostage.log import Termination
from tests.search.random_grids import judged, random_grid
from tests.search.test_topology import OPTIMA, loaded


def exchanged(network: Network, **options: object) -> SearchResult:
    """Branch exchange without locks but those of the switches."""
    fixed = ~network.switchable
    return exchange_branches(
        network,
        must_close=network.closed & fixed,
        must_open=~network.closed & fixed,
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("name", OPTIMA)
def test_no_exchange_of_the_end_is_better(name: str) -> None:
    """All exchanges by exact power flow, whatever their estimate."""
    network = loaded(name)
    found = exchanged(network)
    assert found.termination is Termination.LOCAL
    assert found.lower_bound == -math.inf
    assert found.gap == math.inf
    assert found.closed is not None
    assert losses(network, found.closed)[0][0] == found.value
    optimum = OPTIMA[name] / network.s_base_kva
    assert optimum * (1.0 - 1e-5) <= found.value < 1.03 * optimum
    none = np.zeros(network.n_conductors, dtype=np.bool_)
    choices = contract(
        network.n_terminals, network.terminal_fr, network.terminal_to, network.source_terminal, none, none
    )
    near = exchanges(choices, found.closed)
    assert len(near) > 10
    assert losses(network, near)[0].min() >= found.value * (1.0 - 1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_its_answers_are_radial_states_that_keep_limits_and_changes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_grid(rng, ("low", "ratings"))
    most = int(rng.integers(0, 5)) if rng.random() < 0.5 else None
    cost = float(rng.uniform(0.0, 0.01)) if rng.random() < 0.5 else 0.0
    told: list[SearchProgress] = []
    try:
        found = exchanged(network, max_changes=most, change_cost=cost, progress=told.append)
    except OptionError:
        return  # voltages without limit
    states, value = judged(network, most, cost)
    best = value.min(initial=np.inf)
    if found.closed is None:
        assert found.value == math.inf
    else:
        row = (states == found.closed).all(axis=1)
        assert row.any()
        assert found.value == pytest.approx(value[row][0], rel=1e-9)
        assert found.value >= best * (1.0 - 1e-9)
    values = [now.value for now in told]
    assert values == sorted(values, reverse=True)
    assert all(now.lower_bound == -math.inf for now in told)


def test_it_stops_when_told() -> None:
    network = loaded("mantovani136")
    by_time = exchanged(network, time_limit=0.0)
    by_wish = exchanged(network, stop=lambda: True)
    assert by_time.termination is Termination.TIME
    assert by_wish.termination is Termination.INTERRUPTED
    for found in (by_time, by_wish):
        assert found.closed is not None
        assert found.value == pytest.approx(losses(network, network.closed)[0][0], rel=1e-12)
