"""A radial state to begin with: the answer of topology search on the balanced equivalent of the grid.

It neglects the unbalance, so nothing is proven by it; branch exchange by exact power flow goes on from there.
"""

from __future__ import annotations

import logging

import numpy as np

from openpoint.arrays import Bools
from openpoint.errors import InputError, OptionError
from openpoint.grid.balanced import balanced_equivalent
from openpoint.grid.grid import Grid
from openpoint.network.limits import Limits
from openpoint.search.methods import TopologySearch
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.setup import radial_program
from openpoint.twostage.deadline import Deadline

_LOG = logging.getLogger(__name__)

SEARCH = TopologySearch(gap=1e-3)
"""Smaller gaps are less than what the unbalance makes."""
AT_MOST_S = 10.0
"""Seconds for each of both searches; most end in less than one."""


def balanced_start(grid: Grid, options: ReconfigureOptions, deadline: Deadline) -> Bools | None:
    """(B) states of the branches of a grid with phases; None where its balanced equivalent has no answer in time.

    Limits are kept where the search finds a state that does so, else they are left out.
    """
    try:
        made = balanced_equivalent(grid)
        for limits in (options.limits, Limits(voltage=False, current=False)):
            asked = ReconfigureOptions(
                limits=limits,
                locked_open=options.locked_open,
                locked_closed=options.locked_closed,
                max_changes=options.max_changes,
                change_cost_kw=options.change_cost_kw,
            )
            outcome = SEARCH.solve(radial_program(made, asked), None, deadline.within(AT_MOST_S))
            if outcome.decision is not None:
                return _by_name(grid, made, outcome.decision > 0.5)
    except (InputError, OptionError) as error:
        _LOG.info("no start from the balanced equivalent: %s", error)
    return None


def _by_name(grid: Grid, made: Grid, closed: Bools) -> Bools:
    """The states of the branches of a grid; those that are no branch of the other one stay as they are today."""
    found = dict(zip(made.branches()["name"], closed.tolist(), strict=True))
    today = grid.branches().select("name", "closed").iter_rows()
    return np.array([found.get(name, state) for name, state in today])
