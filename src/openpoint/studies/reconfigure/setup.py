"""The set-up of every study of open points: the network with its limits and locks."""

from __future__ import annotations

import logging

from openpoint.arguments import names_of
from openpoint.errors import OptionError
from openpoint.formulations.radiality import refuse_impossible
from openpoint.grid.balanced import HAS_PHASES
from openpoint.grid.grid import Grid
from openpoint.network import build_network
from openpoint.network.freedom import SwitchingRules
from openpoint.network.limits import Limits
from openpoint.network.stations import Stations, open_held_meshes
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.studies.reconfigure.options import OpenPoints
from openpoint.verify.asked import Asked

_LOG = logging.getLogger(__name__)


def radial_program(grid: Grid, options: OpenPoints) -> tuple[RadialProgram, Stations]:
    """The program of a grid under today's demand with its permanently closed loops opened, and these loops.

    Raises:
        InputError: the grid has faults, permanently closed loops that cannot be opened, a locked branch is unknown, or
            locks leave no radial state.
        OptionError: a grid of several phases.
    """
    network = build_network(grid)
    if not network.is_balanced:
        raise OptionError(f"this works on balanced grids (phases '1'); {HAS_PHASES}")
    stations = open_held_meshes(Limits.given(options.limits).applied(network))
    whole, opened, price = stations.whole, stations.opened, options.change_cost_kw / network.s_base_kva
    named = options.locked_open, options.locked_closed, options.max_changes, price
    rules = SwitchingRules.locked(whole, whole.closed, whole.switchable, *named).without(stations.dropped)
    asked = Asked(
        limits=Limits.given(options.limits),
        locked_open=names_of(options.locked_open, "locked_open"),
        locked_closed=names_of(options.locked_closed, "locked_closed"),
        max_changes=None if options.max_changes is None else int(options.max_changes),
        change_cost_kw=float(options.change_cost_kw),
    )
    program = RadialProgram(opened, rules, asked=asked)
    refuse_impossible(grid, opened, program.choices, rules.must_close)
    _LOG.info("built the network with its limits")
    return program, stations
