"""Which recourses the master holds: few enough to be solved fast, such that little is lost between them.

The recourse is convex in decision and realisation together, so a copy at the mean of some realisations bounds the mean
of their costs from below (Jensen), whatever the risk. What is lost is the spread within: realisations that are alike go
together, and those without weight in the risk need no copy.
"""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, ward

from openpoint.twostage.hold import Copy
from openpoint.twostage.objective import Objective
from openpoint.twostage.program import Floats


def choose_copies(objective: Objective, values: Floats | None, best: float, count: int) -> list[Copy]:
    """At most `count` copies.

    Args:
        objective: of the program.
        values: (K) recourse costs of the best decision known; None where none is.
        best: its verified objective; `inf` where none is.
        count: most copies; 0 = none.
    """
    k = objective.count
    if count == 0:
        return []
    guess = objective.odds.worst(np.ones(k))[1] if values is None else objective.worst_odds(values)
    if k <= count:
        return [_copy(objective, np.eye(k)[i], guess, best) for i in range(k)]
    heavy = np.flatnonzero(guess > 1e-9)
    if len(heavy) <= count:
        rest = np.setdiff1d(np.argsort(-(guess if values is None else values), kind="stable"), heavy, True)
        chosen = [*heavy, *rest[: count - len(heavy)]]
        return [_copy(objective, np.eye(k)[i], guess, best) for i in chosen]
    label = fcluster(ward(objective.realisations[heavy]), count, criterion="maxclust")
    copies = []
    for cluster in np.unique(label):
        weights = np.zeros(k)
        weights[heavy[label == cluster]] = guess[heavy[label == cluster]]
        copies.append(_copy(objective, weights / weights.sum(), guess, best))
    return copies


def _copy(objective: Objective, weights: Floats, odds: Floats, best: float) -> Copy:
    """A copy with the most that its cost may be.

    Where f + ρ ≤ best, under any odds p of the set pᵀ(θ − alone) + f ≤ best. If p ≥ share · weights, the copy's part of
    pᵀθ is share times its cost, and the rest is at least (1 − share) times the floor.
    """
    used = weights > 0.0
    share = float(np.min(odds[used] / weights[used]))
    most = np.inf
    if share > 1e-9 and np.isfinite(best):
        most = (best + float(odds @ objective.alone_upper) - (1.0 - share) * objective.floor) / share
    return Copy(weights, weights @ objective.realisations, most)
