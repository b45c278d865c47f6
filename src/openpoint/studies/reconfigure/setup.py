"""What every study of open points begins with: the network with its limits and locks."""

from __future__ import annotations

import logging

from openpoint.errors import OptionError
from openpoint.formulations.locks import locks, refuse_impossible
from openpoint.grid.grid import Grid
from openpoint.network import build_network
from openpoint.network.limits import Limits
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.studies.reconfigure.options import ReconfigureOptions

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
    must_close, must_open = locks(kept, kept.closed, kept.switchable, options.locked_open, options.locked_closed)
    program = RadialProgram(kept, must_close, must_open, options.max_changes, options.change_cost_kw)
    refuse_impossible(grid, kept, program.choices, must_close)
    _LOG.info("built the network with its limits")
    return program
