"""Locks: branches whose state is given, by name or because they are not switchable."""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Bools
from openpoint.errors import InputError, Problem
from openpoint.formulations.radiality import Choices
from openpoint.grid.arguments import Names
from openpoint.grid.grid import Grid
from openpoint.grid.today import refuse_locked_meshes
from openpoint.network import Network


def locks(
    network: Network, closed: Bools, switchable: Bools, locked_open: Names, locked_closed: Names
) -> tuple[Bools, Bools]:
    """(B) branches that must be closed and that must be open, the fixed ones included.

    Args:
        closed, switchable: (B) today's state of the branches, and which may be switched.
        locked_open, locked_closed: names of branches that are locked.

    Raises:
        InputError: a name that is no branch, or a branch that must be both.
    """
    must_close, must_open = closed & ~switchable, ~closed & ~switchable
    wanted = ((locked_open, must_open, must_close, "closed"), (locked_closed, must_close, must_open, "open"))
    for names, mine, other, word in wanted:
        for name, e in zip(names, network.branch_numbers(list(names))):
            if other[e]:
                remedy = "Lock it one way only; what is not switchable keeps its state, unless --switchable names it"
                raise InputError([Problem("branches", name, "", f"it must be {word} already", remedy)])
            mine[e] = True
    return must_close, must_open


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
