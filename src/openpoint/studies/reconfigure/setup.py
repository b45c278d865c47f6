"""What every study of open points begins with: the network with its limits and locks."""

from __future__ import annotations

import logging

import numpy as np

from openpoint.arrays import Bools
from openpoint.errors import InputError, OptionError, Problem
from openpoint.formulations.radiality import Choices
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.today import refuse_locked_meshes

_LOG = logging.getLogger(__name__)


def radial_program(grid: Grid, options: ReconfigureOptions) -> RadialProgram:
    """The program of a grid under today's demand.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or locks that leave no radial state.
        OptionError: a grid of several phases.
    """
    network = build_network(grid)
    if not network.is_balanced:
        raise OptionError("this works on balanced grids (phases '1'); this grid has phases a, b, c")
    kept = Limits.given(options.limits).applied(network)
    must_close, must_open = locks(kept, kept.closed, kept.switchable, options)
    program = RadialProgram(kept, must_close, must_open, options.max_changes, options.change_cost_kw)
    refuse_impossible(grid, kept, program.choices, must_close)
    _LOG.info("built the network with its limits")
    return program


def locks(network: Network, closed: Bools, switchable: Bools, options: ReconfigureOptions) -> tuple[Bools, Bools]:
    """(B) branches that must be closed and that must be open, the fixed ones included.

    Args:
        closed, switchable: (B) today's state of the branches, and which may be switched.
        options: which branches are locked.

    Raises:
        InputError: a name that is no branch, or a branch that must be both.
    """
    must_close, must_open = closed & ~switchable, ~closed & ~switchable
    wanted = (
        (options.locked_open, must_open, must_close, "closed"),
        (options.locked_closed, must_close, must_open, "open"),
    )
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
