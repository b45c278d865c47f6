"""Locks that leave no radial state."""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Bools
from openpoint.errors import InputError, Problem
from openpoint.formulations.radiality import Choices
from openpoint.grid.grid import Grid
from openpoint.grid.today import refuse_locked_meshes
from openpoint.network import Network


def refuse_impossible(grid: Grid, network: Network, choices: Choices, must_close: Bools) -> None:
    """Locks that leave no radial state are a fault of the input, not an infeasible study.

    Args:
        must_close: (B) branches that must be closed.

    Raises:
        InputError: naming the branches of a loop, or the buses cut off.
    """
    if choices.loop:
        refuse_locked_meshes(grid, [network.branch_names[b] for b in np.flatnonzero(must_close)])
    if choices.cut_off:
        cut_off = list(dict.fromkeys(network.bus_names[network.terminal_bus[n]] for n in choices.cut_off))
        remedy = "Release a branch that connects them"
        message = "the branches locked open cut them off from every source"
        raise InputError([Problem("buses", ", ".join(cut_off[:10]), "", message, remedy)])
