"""The AC state of a grid of several phases, by OpenDSS, in the terms of the tables of a power flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.powerflow.check_phases import max_mismatch
from openpoint.powerflow.ensemble import LIMIT_TOLERANCE
from openpoint.powerflow.opendss import OpenDssCircuit, PhaseFlows
from openpoint.results import ac_tables as states
from openpoint.results.violation import Violation


@dataclass(frozen=True)
class PhaseState:
    """Exact AC state of a topology over N terminals, E conductors and S sources.

    Attributes:
        energised: (N) whether a source reaches the terminal.
        v: (N) voltage to neutral, per unit of the nominal one; nan where the flow has no solution.
        i_a: (E) current: of a line or switch at the end where it is larger, of a transformer at its to end.
        s_fr_kva, s_to_kva: (E) power that enters at each end. source_kva: (S) power delivered.
        max_mismatch: by the equations of the network, which OpenDSS does not use, per unit of the base of a phase. It
            does not go below some 1e-6: OpenDSS adds a susceptance of a millionth of its rating to a transformer.
    """

    energised: Bools
    v: Complexes
    i_a: Floats
    s_fr_kva: Complexes
    s_to_kva: Complexes
    source_kva: Complexes
    max_mismatch: float

    @property
    def has_solution(self) -> bool:
        return bool(np.isfinite(self.v).all())

    @property
    def loss_kw(self) -> float:
        """Active power that all branches take."""
        return float((self.s_fr_kva + self.s_to_kva).real.sum())


def phase_state(grid: Grid, network: Network) -> PhaseState:
    """State of the grid as it stands; no control acts. Loops, and several sources on one part, are solved as they are.

    Raises:
        InputError: something that OpenDSS does not have.
    """
    return state_of(grid, network, OpenDssCircuit(grid).solve())


def state_of(grid: Grid, network: Network, flows: PhaseFlows) -> PhaseState:
    """The state of the one power flow in `flows`, of the branches that are closed in the network."""
    fr, to = np.abs(flows.i_fr_a[0]), np.abs(flows.i_to_a[0])
    is_transformer = np.array([network.branch_kinds[b] == "transformers" for b in network.conductor_branch], dtype=bool)
    known = bool(flows.converged[0] and flows.energised.all())
    return PhaseState(
        energised=flows.energised,
        v=flows.v[0],
        i_a=np.where(is_transformer, to, np.maximum(fr, to)),
        s_fr_kva=flows.s_fr_kva[0],
        s_to_kva=flows.s_to_kva[0],
        source_kva=flows.source_kva[0],
        max_mismatch=max_mismatch(grid, network, flows.v[0]) if known else np.nan,
    )


def branch_columns(network: Network, state: PhaseState | None, suffix: str) -> dict[str, Floats]:
    """Current, loading, power and loss of every conductor; nan where there is no state."""
    blank = np.full(network.n_conductors, np.nan)
    i = blank if state is None else state.i_a
    s_fr = blank + 0j if state is None else state.s_fr_kva
    return {
        f"i{suffix}_a": i,
        f"loading{suffix}_percent": 100.0 * i / states.current_limits(network),
        f"p_from{suffix}_kw": s_fr.real,
        f"q_from{suffix}_kvar": s_fr.imag,
        f"loss{suffix}_kw": blank if state is None else (state.s_fr_kva + state.s_to_kva).real,
    }


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
    """Sum of the relative excesses of the squared limits that a state breaks; inf where it is none."""
    if not (state.has_solution and state.energised.all()):
        return np.inf
    broken = violations(network, state)
    return sum(abs(1.0 - (each.value / each.limit) ** 2) for each in broken)


def _worst(broken: Bools, excess: Floats) -> list[int]:
    """Numbers of what is broken, the greatest excess first."""
    numbers = np.flatnonzero(broken)
    return [int(n) for n in numbers[np.argsort(-excess[numbers], kind="stable")]]
