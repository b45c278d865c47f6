"""Compiled: the bound of a node by its paths, and what it implies for branches and paths.

Least flows and highest voltages that follow from the cutoff hold for all states below it in the node, and so in every
node below this one, which begins with them.
"""

from __future__ import annotations

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import Model, Work
from openpoint.search.kernel.bookkeeping import Counts
from openpoint.search.kernel.forest import propagate
from openpoint.search.kernel.node import MARGIN, safe
from openpoint.search.paths.arrays import Paths, PathWork
from openpoint.search.paths.ascent import ascend, fix, force, tighten
from openpoint.search.paths.bound import HUGE, path_bound
from openpoint.search.paths.chains import order_decided
from openpoint.search.paths.node import about_flows, from_branches, one_feeder, sums, to_branches
from openpoint.search.paths.routes import lower_voltages

DONE, LEAF = -2, -1
NOTHING, FIXED, TIGHTER = 0, 1, 2
ROUNDING = 1e-14
"""Relative rounding of the cutoff."""
MORE = 6, 8
"""Evaluations of the path bound at most, each time that the costs of closed paths were improved: at nodes that are
`deep`, and at others."""


@inlined
def imply(model: Model, paths: Paths, of_paths: PathWork, work: Work) -> bool:
    """Apply the consequences of branches for paths and back; False: no radial state."""
    while True:
        if not propagate(model, work):
            return False
        if not (from_branches(paths, of_paths, work.status) and one_feeder(paths, of_paths)):
            return False
        if not to_branches(paths, of_paths, work.status):
            return True


@inlined
def bound_by_paths(
    model: Model, paths: Paths, of_paths: PathWork, work: Work, counts: Counts, most: int, deep: bool
) -> int:
    """Raise the bound of the node by its paths, and fix what it can; returns DONE, FIXED, TIGHTER or NOTHING.

    First about the flows of the first node, then about those found, then with prices of voltages on decided paths; only
    where it is `deep` about those found, with ranges of flows and routes.
    """
    cutoff, huge = counts.cutoff[0], HUGE * counts.cutoff[0]
    goal = cutoff * (1.0 + 2.0 * MARGIN)
    fixed, tighter, best = False, False, -np.inf
    sums(model, paths, of_paths, work.status)
    for turn in range(3):
        if turn == 1 and not deep:
            continue
        if turn == 1:
            about_flows(model, paths, of_paths)
        elif turn == 2:
            order_decided(model, paths, of_paths)
            if of_paths.priced[0] == 0 and deep:
                break
        ascend(model, paths, of_paths, work.status, huge, goal, most if turn == 0 else MORE[0 if deep else 1], np.inf)
        value = path_bound(model, paths, of_paths, work.status, huge)  # at the best multipliers again
        if value == -np.inf:
            break
        best = max(best, value)
        counts.bound[0] = max(counts.bound[0], safe(value) if value < np.inf else value)
        if counts.bound[0] >= cutoff:
            return DONE
        if turn == 0:
            continue
        # What is excluded, and all below, is proven to the cutoff only; its own rounding lies far within the margin.
        counts.floor[0] = min(counts.floor[0], cutoff * (1.0 + ROUNDING))
        force(paths, of_paths, value)
        fixed |= fix(model, paths, of_paths, work.status, cutoff, MARGIN)
        if turn == 1:
            tighter |= tighten(paths, of_paths, cutoff, MARGIN)
            tighter |= lower_voltages(paths, of_paths, value, cutoff - safe(value))
    of_paths.both[0] = best
    if best == -np.inf:
        return NOTHING
    if fixed:
        return FIXED
    return TIGHTER if tighter else NOTHING
