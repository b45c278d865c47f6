"""The exact AC state of a grid of any phases under one topology and one demand, by OpenDSS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.ratings import rated_amperes
from openpoint.powerflow.check_phases import max_mismatch
from openpoint.powerflow.opendss import OpenDssCircuit, PhaseFlows


@dataclass(frozen=True)
class PhaseState:
    """Exact AC state of a topology over N terminals, E conductors and S sources.

    Attributes:
        energised: (N) whether a source reaches the terminal.
        v: (N) voltage to neutral, per unit of the nominal one; nan where the flow has no solution.
        i_a: (E) rated current (`openpoint.network.ratings`).
        s_fr_kva, s_to_kva: (E) power that enters at each end. source_kva: (S) power delivered.
        max_mismatch: by the equations of the network, independent of OpenDSS, per unit of the base of a phase. It is
            about 1e-6 at best: OpenDSS adds a susceptance of a millionth of its rating to a transformer.
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
    """Today's state of the grid, without control actions. Loops and several sources in one part are allowed.

    Raises:
        InputError: something that OpenDSS does not have.
    """
    return state_of(grid, network, OpenDssCircuit(grid).solve())


def state_of(grid: Grid, network: Network, flows: PhaseFlows) -> PhaseState:
    """The state of the one power flow in `flows`, of the branches that are closed in the network."""
    known = bool(flows.converged[0] and flows.energised.all())
    return PhaseState(
        energised=flows.energised,
        v=flows.v[0],
        i_a=rated_amperes(network, flows.i_fr_a[0], flows.i_to_a[0]),
        s_fr_kva=flows.s_fr_kva[0],
        s_to_kva=flows.s_to_kva[0],
        source_kva=flows.source_kva[0],
        max_mismatch=max_mismatch(grid, network, flows.v[0]) if known else np.nan,
    )
