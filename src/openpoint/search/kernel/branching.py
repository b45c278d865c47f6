"""Compiled: branching, the choice of the branch that a node decides next.

The gains of a branch are the increases of the bound with the branch open, and with the branch closed and all
consequences applied (branches that would close a loop open, bridges close), both at the current multipliers. The score
is the product of both gains (Achterberg, Koch, Martin 2005), each counted up to the cutoff. Branches are tried in
descending order of the gain of opening, until several in a row have not improved the score.

Branches without impedance are decided first: while they are undecided, the relaxation lets power cross them in both
directions without loss, and no decision of another branch changes that.
"""

from __future__ import annotations

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Model, Work
from openpoint.search.kernel.bookkeeping import Counts
from openpoint.search.kernel.bound import bound
from openpoint.search.kernel.forest import propagate, root
from openpoint.search.kernel.vectors import copy_values

TRIES = 32
"""Branches that are tried at a node, at most."""
IN_VAIN = 8
"""Number of branches in a row without a better score after which no more are tried."""
LEAST_GAIN = 0.01
"""Least gain in the score, as a share of the gap to the cutoff; with a gain of 0 the product of both would be 0."""
PAYING = 20
"""Trials per trial with a gain, above which trials are made rarely: on large grids one closing has few consequences."""
REST = 16
"""Nodes of which one has trials while trials are made rarely."""


@inlined
def choose(model: Model, work: Work, counts: Counts, base: float) -> int:
    """The undecided branch to decide next; gains are those over `base`.

    Where another bound of the node is higher, gains over that one would be 0, and tell branches apart no more.

    Requires the bounds of probed branches in `work.value`, and the estimates of all branches in `work.guess`; it
    overwrites the latter. The forest in `work` is invalid afterwards.
    """
    status, guess = work.status, work.guess
    cutoff = counts.cutoff[0]
    chosen = -1
    for e in range(len(status)):
        if status[e] == UNDECIDED:
            if work.value[e] > -np.inf:
                guess[e] = work.value[e]
            if chosen < 0 or work.value[e] > work.value[chosen]:
                chosen = e
    bare = False
    for k in range(len(model.zero_impedance)):
        e = model.zero_impedance[k]
        if status[e] == UNDECIDED:
            chosen = e
            bare = True
    idle = counts.trials[0] > PAYING * (counts.gains[0] + IN_VAIN) and counts.nodes[0] % REST != 0
    if bare or idle or base == -np.inf:
        return chosen
    copy_values(status, work.status_kept)
    least = LEAST_GAIN * (cutoff - base)
    best, vain = -np.inf, 0
    for _ in range(TRIES):
        tried = -1
        highest = -np.inf
        for e in range(len(status)):
            if status[e] == UNDECIDED and guess[e] > highest:
                tried = e
                highest = guess[e]
        if tried < 0 or vain == IN_VAIN:
            break
        guess[tried] = -np.inf
        status[tried] = CLOSED
        closed = cutoff
        if propagate(model, work):
            root(model, work)
            closed = min(bound(model, work, work.y, work.mu), cutoff)
        copy_values(work.status_kept, status)
        counts.trials[0] += 1
        counts.gains[0] += closed - base > least
        score = max(min(highest, cutoff) - base, least) * max(closed - base, least)
        vain += 1
        if score > best:
            best = score
            chosen = tried
            vain = 0
    return chosen
