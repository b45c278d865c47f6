"""Topologies of a grid of any phases: states of branches, whose conductors open and close together."""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Bools
from openpoint.formulations.radiality import Choices
from openpoint.formulations.radiality_phases import contract_coupled
from openpoint.network import Network


def choices_of(network: Network, must_close: Bools, must_open: Bools) -> Choices:
    """What is left to decide over conductors, of states given by branch (B)."""
    branch = network.conductor_branch
    return contract_coupled(
        network.n_terminals,
        network.terminal_fr,
        network.terminal_to,
        branch,
        network.source_terminal,
        must_close[branch],
        must_open[branch],
    )


def is_radial_state(network: Network, closed: Bools) -> bool:
    """Whether a state (B) reaches every terminal by one path from one source."""
    kept = choices_of(network, closed, ~closed)
    return not (kept.loop or kept.cut_off)


def by_branch(network: Network, state: Bools) -> Bools:
    """(B) state of the branches of that of their conductors (E)."""
    found = np.zeros(len(network.branch_names), dtype=np.bool_)
    found[network.conductor_branch] = state
    return found
