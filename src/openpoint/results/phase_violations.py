"""Violations of AC states of grids of several phases, under the grid's own names and units."""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.network import Network
from openpoint.powerflow.ensemble import LIMIT_TOLERANCE
from openpoint.powerflow.phase_state import PhaseState
from openpoint.results import ac_tables as states
from openpoint.results.violation import Violation


def violations(network: Network, state: PhaseState) -> tuple[Violation, ...]:
    """Limits that a state breaks in any phase, the worst of each kind first."""
    v = np.abs(state.v)
    low, high, rating = np.sqrt(network.w_min), np.sqrt(network.w_max), states.current_limits(network)
    found: list[Violation] = []
    for kind, broken, excess, limit in (
        ("voltage low", v < low * (1.0 - LIMIT_TOLERANCE), low - v, low),
        ("voltage high", v > high * (1.0 + LIMIT_TOLERANCE), v - high, high),
    ):
        for n in _worst(broken, excess):
            bus, phase = network.bus_names[network.terminal_bus[n]], network.terminal_phase[n]
            found.append(Violation(kind, bus, float(v[n]), float(limit[n]), phase))
    for e in _worst(state.i_a > rating * (1.0 + LIMIT_TOLERANCE), state.i_a / rating):
        branch, phase = network.branch_names[network.conductor_branch[e]], network.conductor_phase[e]
        found.append(Violation("current", branch, float(state.i_a[e]), float(rating[e]), phase))
    return tuple(found)


def excess(network: Network, state: PhaseState) -> float:
    """Sum of the relative excesses of the squared limits that a state breaks; inf where the state is not a solution."""
    if not (state.has_solution and state.energised.all()):
        return np.inf
    broken = violations(network, state)
    return sum(abs(1.0 - (each.value / each.limit) ** 2) for each in broken)


def _worst(broken: Bools, excess: Floats) -> list[int]:
    """Numbers of the broken limits, the greatest excess first."""
    numbers = np.flatnonzero(broken)
    return [int(n) for n in numbers[np.argsort(-excess[numbers], kind="stable")]]
