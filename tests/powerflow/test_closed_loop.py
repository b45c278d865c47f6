"""Closed loops by compensation against Newton's method."""

from __future__ import annotations

import numpy as np

from openpoint.network import build_network
from openpoint.powerflow.closed_loop import close_loops
from openpoint.powerflow.meshed import solve_meshed
from tests.builders.grids import FEED, RICH, all_topologies, random_grid


def test_closed_loops_are_those_of_newtons_method() -> None:
    seen = missed = 0
    for seed in range(60):
        network = build_network(random_grid(seed, (RICH, FEED)[seed % 2]))
        for closed in all_topologies(network)[:3]:
            ties = np.flatnonzero(~closed & (network.tap == 1.0) & (network.shift == 0.0))
            loops = close_loops(network, closed, ties)
            for k, e in enumerate(ties):
                state = closed.copy()
                state[e] = True
                want = solve_meshed(network, state)
                if not loops.found[k] or want is None:
                    missed += want is not None
                    continue
                seen += 1
                np.testing.assert_allclose(loops.v[k], want.v, atol=1e-8)
                np.testing.assert_allclose(loops.i[k], want.i_rated, atol=1e-7)
    assert seen > 200
    assert missed < 0.1 * seen  # these are solved by Newton's method
