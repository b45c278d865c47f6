"""States that keep their limits for every load of a set, against exact flows of all states at vertices of the set."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import Limits
from openpoint.errors import OptionError
from openpoint.network import build_network
from openpoint.network.stations import open_held_meshes
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.state import excesses
from openpoint.studies.reconfigure.every_load import judged
from tests.builders.grids import LIMITED_FEED, all_topologies, random_grid

SHARE = 0.2


@pytest.mark.parametrize("seed", range(6))
def test_verdicts_agree_with_exact_flows_at_vertices(seed: int) -> None:
    """What is proved holds at all that are tried; what is disproved does not hold at one of all."""
    grid = random_grid(seed, LIMITED_FEED)
    loads = np.flatnonzero((grid.loads["p_kw"].to_numpy() != 0.0) | (grid.loads["q_kvar"].to_numpy() != 0.0))[:6]
    first = pl.Series(np.isin(np.arange(grid.loads.height), loads))
    sure = grid.loads.with_columns(
        pl.when(first).then(pl.col(name)).otherwise(0.0).alias(name) for name in ("p_kw", "q_kvar")
    )
    grid = grid.with_tables(loads=sure)
    network = Limits().applied(build_network(grid))
    states = all_topologies(network)
    stations = open_held_meshes(network)
    worst = np.zeros(len(states))
    for signs in itertools.product((-1.0, 1.0), repeat=len(loads)):
        scale = np.ones(grid.loads.height)
        scale[loads] += SHARE * np.array(signs)
        here = grid.with_tables(loads=sure.with_columns(pl.col("p_kw", "q_kvar") * pl.Series(scale)))
        net = Limits().applied(build_network(here))
        flows = solve(net, states)
        worst = np.maximum(worst, np.where(flows.converged, excesses(net, flows), np.inf))
    found = [judged(grid, stations, state, {"load": SHARE}, None) for state in states]
    for verdict, excess in zip(found, worst.tolist(), strict=True):
        assert verdict != "proved" or excess == 0.0
        assert verdict != "disproved" or excess > 0.0


def test_the_answer_is_the_first_that_is_proved() -> None:
    """On 33 buses one state that loses less breaks a limit at a load of the set."""
    limits = Limits(v_min_pu=0.935)
    today = openpoint.reconfigure("baran33", limits=limits)
    found = openpoint.reconfigure("baran33", limits=limits, for_every="load=5%")
    assert today.open_branches != found.open_branches == ("7", "9", "14", "28", "32")
    assert found.termination == "optimal"
    assert "1 disproved, 0 open" in found.notes[-1]


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(OptionError, match="leave soft_limits out"):
        openpoint.reconfigure("baran33", for_every="load=5%", soft_limits=True)
    with pytest.raises(OptionError, match="budget bounds what deviates"):
        openpoint.reconfigure("baran33", budget=3)
