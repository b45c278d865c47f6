"""Compiled: the path that a node divides next, by trials.

The paths of which the relaxation is least sure are tried: the node is bounded by its paths with each state that such a
path may have, as its children will be. The path with the largest product of the two least gains is divided; a state
that reaches the cutoff is excluded at once, since no state of the grid below the cutoff has it. Where several states
are excluded at a node, it is bounded again. Where trials gain little they are made rarely. There are none until the
search has bounded a number of nodes, and then it begins anew with them (`openpoint.search.paths.explorer`): searches of
fewer nodes do not need them. There are none on large grids, whose gap is a sum of many local ones.

Trials cost more than the bound of the node itself, and save far more nodes than that. What counts is that they are
bounded as children are, with prices of voltages on all paths that the state decides: without these no trial gains.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import Model, Work
from openpoint.search.kernel.bookkeeping import Counts
from openpoint.search.kernel.node import MARGIN, safe
from openpoint.search.kernel.vectors import copy_values
from openpoint.search.paths.arrays import Paths, PathWork
from openpoint.search.paths.ascent import ascend
from openpoint.search.paths.bound import HUGE, path_bound
from openpoint.search.paths.chains import order_decided
from openpoint.search.paths.node import about_flows, sums
from openpoint.search.paths.node_bound import ROUNDING, imply

NONE, EXCLUDED = -1, -2
TRIES, IN_VAIN = 20, 20
"""Paths that are tried at a node at most, and those in a row without a better score after which no more are."""
STEPS = 6
"""Evaluations of the path bound at most, each time that the costs of closed paths were improved."""
LEAST_GAIN = 0.001
"""Least gain in the score, as a share of the gap to the cutoff."""
GAIN = 0.01
"""The same of a node where trials gained, of the lower one of both gains."""
PAYING, REST = 2, 16
"""Nodes tried per node where that gained, above which paths are tried rarely: at one node of so many."""


@inlined
def keep_or_restore(values: Any, kept: Any, back: bool) -> None:
    """Keep a vector, or go `back` to what was kept of it."""
    if back:
        copy_values(kept, values)
    else:
        copy_values(values, kept)


@inlined
def keep(of_paths: PathWork, work: Work, back: bool) -> None:
    """Keep what the node has, before its paths are tried, or go `back` to what was kept."""
    keep_or_restore(of_paths.mask, of_paths.kept_mask, back)
    keep_or_restore(of_paths.y, of_paths.kept_y, back)
    keep_or_restore(of_paths.mu, of_paths.kept_mu, back)
    keep_or_restore(of_paths.about_p, of_paths.kept_p, back)
    keep_or_restore(of_paths.about_q, of_paths.kept_q, back)
    keep_or_restore(of_paths.state, of_paths.kept_state, back)
    keep_or_restore(of_paths.place, of_paths.kept_place, back)
    keep_or_restore(work.status, work.status_kept, back)


@inlined
def undecided(of_paths: PathWork) -> None:
    """Write to `sure` how sure the relaxation is of each path that may be divided; inf: it may not."""
    for k in range(len(of_paths.mask)):
        most, count = 0.0, 0
        for s in range(3):
            most = max(most, of_paths.share[k, s])
            count += of_paths.mask[k] & (1 << s) != 0
        of_paths.sure[k] = most if count > 1 else np.inf


@inlined
def next_path(of_paths: PathWork) -> int:
    """The path of which the relaxation is least sure, which is then no longer one of `sure`; NONE: none is left."""
    k = NONE
    for j in range(len(of_paths.sure)):
        if of_paths.sure[j] < np.inf and (k < 0 or of_paths.sure[j] < of_paths.sure[k]):
            k = j
    if k >= 0:
        of_paths.sure[k] = np.inf
    return k


@inlined
def bound_of_trial(model: Model, paths: Paths, of_paths: PathWork, work: Work, cutoff: float) -> float:
    """The path bound of the current node by few evaluations."""
    huge, goal, best = HUGE * cutoff, cutoff * (1.0 + 2.0 * MARGIN), -np.inf
    sums(model, paths, of_paths, work.status)
    for turn in range(3):
        if turn == 1:
            path_bound(model, paths, of_paths, work.status, huge)  # the flows at the best multipliers
            about_flows(model, paths, of_paths)
        elif turn == 2:
            order_decided(model, paths, of_paths)
            if of_paths.priced[0] == 0:
                break
        best = max(best, ascend(model, paths, of_paths, work.status, huge, goal, STEPS, np.inf))
        if best >= goal:
            break
    return safe(best) if best < np.inf else best


@inlined
def try_path(model: Model, paths: Paths, of_paths: PathWork, work: Work, counts: Counts, k: int) -> float:
    """The score of a path, inf where at most one state is left to it. Writes its bounds to `tried`.

    Requires `keep`; excludes states in `kept_mask`.
    """
    base, cutoff, kept = counts.bound[0], counts.cutoff[0], of_paths.kept_mask
    low, middle, left = np.inf, np.inf, 0
    of_paths.tally[0] += 1
    for s in range(3):
        of_paths.tried[s] = np.inf
        if kept[k] & (1 << s) == 0:
            continue
        of_paths.mask[k] = 1 << s
        value = cutoff
        if imply(model, paths, of_paths, work):
            value = min(max(base, bound_of_trial(model, paths, of_paths, work, cutoff)), cutoff)
        if value >= cutoff:
            kept[k] &= ~(1 << s)
        else:
            left += 1
        keep(of_paths, work, back=True)
        of_paths.tried[s] = value
        gain = max(value - base, LEAST_GAIN * (cutoff - base))
        middle = min(middle, max(low, gain))
        low = min(low, gain)
    score: float = low * middle if left > 1 else np.inf
    return score


@inlined
def idle(of_paths: PathWork, counts: Counts) -> bool:
    """Whether paths are not tried at this node."""
    tried, gained = of_paths.trials[0], of_paths.trials[1]
    rarely: bool = of_paths.trials[2] == 0 or (tried > PAYING * (gained + 1) and counts.nodes[0] % REST != 0)
    return rarely


@inlined
def choose_path(model: Model, paths: Paths, of_paths: PathWork, work: Work, counts: Counts) -> int:
    """The path to divide, with its bounds in `forced`; NONE: there is none.

    EXCLUDED: states were excluded, and the node is to be bounded again, or its bound reaches the cutoff.
    """
    base, cutoff = counts.bound[0], counts.cutoff[0]
    keep(of_paths, work, back=False)
    undecided(of_paths)
    best, chosen, vain, excluded = -np.inf, NONE, 0, False
    of_paths.trials[0] += 1
    one, two, three = 0.0, 0.0, 0.0
    for _ in range(TRIES):
        k = next_path(of_paths)
        if k < 0 or vain == IN_VAIN:
            break
        before = of_paths.kept_mask[k]
        score = try_path(model, paths, of_paths, work, counts, k)
        excluded |= of_paths.kept_mask[k] != before
        if of_paths.kept_mask[k] == 0:
            counts.bound[0] = cutoff
            return EXCLUDED
        vain += 1
        if score < np.inf and score > best:
            best, chosen, vain = score, k, 0
            one, two, three = of_paths.tried[0], of_paths.tried[1], of_paths.tried[2]
    least = GAIN * (cutoff - base)
    if excluded or best >= least * least:
        of_paths.trials[1] += 1
    if excluded:
        counts.floor[0] = min(counts.floor[0], cutoff * (1.0 + ROUNDING))  # proven to the cutoff only
        return EXCLUDED
    if chosen >= 0:
        of_paths.forced[chosen, 0], of_paths.forced[chosen, 1], of_paths.forced[chosen, 2] = one, two, three
    return chosen
