"""Compiled: which branch a node decides next.

A branch is worth deciding if both sides gain: the bound with it open, and the bound with it closed and all that
follows from that (what would close a loop opens, bridges close), at the multipliers as they stand. The score is the
product of both gains (Achterberg, Koch, Martin 2005), each counted up to the cutoff. Branches are tried from the
greatest gain of opening on, until some in a row are no better.

Branches without impedance come first: power crosses them for nothing in all directions until they are decided, and no
bound of another branch sees that.
"""

from __future__ import annotations

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Counts, Model, Work
from openpoint.search.kernel.bound import bound
from openpoint.search.kernel.forest import propagate, root
from openpoint.search.kernel.vectors import copy_values

TRIES = 32
"""Branches that are tried at a node, at most."""
IN_VAIN = 8
"""Branches in a row that are no better, after which no more are tried."""
LEAST_GAIN = 0.01
"""Share of the way to the cutoff that a gain counts as at least: a product with 0 would tell nothing."""
PAYING = 20
"""Trials for one that tells a gain, over which trials do not pay: on large grids little follows from one closing."""
REST = 16
"""Nodes of which one has trials while they do not pay."""


@inlined
def choose(model: Model, work: Work, counts: Counts) -> int:
    """The undecided branch to decide next.

    Needs the bounds with a branch open of those probed in `work.value`, and estimates of all in `work.guess`, which it
    uses up. Leaves no forest behind.
    """
    status, guess = work.status, work.guess
    base, cutoff = counts.bound[0], counts.cutoff[0]
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
