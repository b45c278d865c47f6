"""Compiled: the least power that parts without a source add where they hang on another part.

A part that takes less than nothing, D < 0, is a *giver*. Let H be parts that hang on a part, or beyond a bus of a part
with a source, in some completion. H consists of subtrees, each of which begins beside the part. To a giver k in H its
subtree has a path from where it begins, and what the parts on this path take, those that are no givers, hangs there,
too: at least d_k, the shortest such path from any part beside, with max(D, 0) as the weight of a part. So H takes at
least max_k d_k - Σ_k |D_k| over its givers, and with the givers in the order of d_k that is at least

    min_i { d_i - Σ_{d_k <= d_i} |D_k| },   or 0 without givers.

Each sum leaves losses out, which are at least 0.
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Floats
from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import UNDECIDED, Model, Work
from openpoint.search.kernel.reach import MOST_GIVERS, Reach


@inlined
def hanging(model: Model, work: Work, reach: Reach, taken: Floats, whole: Floats, spare: Floats) -> float:
    """Write what parts take to `whole` and what hangs on them, or beyond fed buses, to `spare`.

    Args:
        taken: (N) the least that buses take.

    Returns:
        what all givers take, a number that is not above 0.
    """
    n, givers, pool = model.n, 0, 0.0
    for j in range(n):
        whole[j] = spare[j] = 0.0
    for j in range(n):
        if not reach.fed[j]:
            whole[reach.part[j]] += taken[j]
    if not reach.feeds:
        return 0.0
    for j in range(n):
        if whole[j] < 0.0:  # at roots only
            if givers < MOST_GIVERS:
                reach.giver[givers] = j
            givers += 1
            pool += whole[j]
    if givers == 0:
        return 0.0
    if givers > MOST_GIVERS:
        for j in range(n):
            spare[j] = pool if reach.fed[j] else pool - min(whole[reach.part[j]], 0.0)
        return pool
    for k in range(givers):
        distances(model, work, reach, k, whole)
    for j in range(n):
        least = 0.0
        for i in range(givers):
            reached = reach.near[i, reach.part[j]]
            if reached == np.inf:
                continue
            value = reached
            for k in range(givers):
                if reach.near[k, reach.part[j]] <= reached:
                    value += whole[reach.giver[k]]
            least = min(least, value)
        spare[j] = least
    return pool


@inlined
def distances(model: Model, work: Work, reach: Reach, k: int, whole: Floats) -> None:
    """Write what the parts take that hang with a giver: on each part, at its root, and beyond each fed bus."""
    n, size, far, giver = model.n, len(reach.order), reach.far, reach.giver[k]
    for j in range(size):
        far[j] = np.inf
        reach.near[k, j] = np.inf
        reach.fresh[j] = 0
    far[giver] = 0.0
    reach.fresh[giver] = 1
    shorter = True
    while shorter:
        shorter = False
        for first in range(n):
            if not reach.fresh[first]:
                continue
            reach.fresh[first] = 0
            for position in range(reach.place[first], reach.place[first] + reach.size[first]):
                a = reach.order[position]
                for place in range(model.start[a], model.start[a + 1]):
                    j = model.neighbour[place]
                    if work.status[model.via[place]] != UNDECIDED or reach.part[j] == first:
                        continue
                    at = reach.part[j]  # the bus itself where it is fed
                    if at != giver:
                        reach.near[k, at] = min(reach.near[k, at], far[first])
                    if j >= n or reach.fed[j]:
                        continue
                    value = far[first] + max(whole[at], 0.0)
                    if value < far[at]:
                        far[at] = value
                        reach.fresh[at] = 1
                        shorter = True
    for position in range(size - 1, -1, -1):
        j = reach.order[position]
        if j < n and reach.fed[j] and reach.edge[j] >= 0:
            i = reach.parent[j]
            reach.near[k, i] = min(reach.near[k, i], reach.near[k, j])
