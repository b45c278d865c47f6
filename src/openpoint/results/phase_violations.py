"""Violations of AC states of grids of several phases, under the grid's own names and units."""

from __future__ import annotations

import numpy as np

from openpoint.network import Network
from openpoint.network.limits import LIMIT_TOLERANCE
from openpoint.powerflow.opendss import PhaseState
from openpoint.results import ac_tables as states
from openpoint.results.violation import Violation


def violations(network: Network, state: PhaseState) -> tuple[Violation, ...]:
    """Limits that a state breaks in any phase, the worst of each kind first."""
    v = np.abs(state.v)
    low = np.flatnonzero(v < np.sqrt(network.w_min) * (1.0 - LIMIT_TOLERANCE))
    high = np.flatnonzero(v > np.sqrt(network.w_max) * (1.0 + LIMIT_TOLERANCE))
    over = np.flatnonzero(state.i_a > states.current_limits(network) * (1.0 + LIMIT_TOLERANCE))
    return states.broken_limits(network, v, state.i_a, low, high, over)
