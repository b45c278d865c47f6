"""From a grid to the two-stage program of reconfiguration, as the study builds it."""

from __future__ import annotations

from openpoint.grid import Grid
from openpoint.network import build_network
from openpoint.studies.limits import Limits
from openpoint.studies.radial import RadialProgram


def program_of(grid: Grid, *, max_changes: int | None = None, change_cost_kw: float = 0.0) -> RadialProgram:
    """The program with the grid's own limits and nothing locked but what cannot be switched."""
    network = Limits().applied(build_network(grid))
    must_close, must_open = ~network.switchable & network.closed, ~network.switchable & ~network.closed
    return RadialProgram(network, must_close, must_open, max_changes, change_cost_kw)
