"""Is there a radial state that keeps all limits? A search that asks for nothing else.

The search for the least loss learns little from limits while it knows no state that keeps them. This one decides
branches by the highest voltages that are left (`openpoint.search.kernel.highest`): it opens and closes every undecided
branch for a try; where one of both leaves no completion, the other is decided (probing of all variables, Savelsbergh
1994). It branches where both sides lower the least margin most, follows the closed side first, and so proves that
limits cannot be kept, or comes to radial states that the exact flow is to judge.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from openpoint.arrays import Floats, Ints, States
from openpoint.compiled.jit import lean
from openpoint.compiled.table import Table
from openpoint.search.exchange.ac_check import Candidate, Exchange
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, Model, Work, work_for
from openpoint.search.kernel.entries import EXHAUSTED, LEAF, PAUSED
from openpoint.search.kernel.forest import propagate
from openpoint.search.kernel.highest import Reach, reach_for, reached
from openpoint.search.kernel.node import NO_BRANCH
from openpoint.search.kernel.vectors import copy_values, load_row, store_row

MOST_BRANCHES = 2000
"""On larger grids to try all branches takes minutes at the first node."""
AT_ONCE = 50
"""Branches that are tried before the clock is looked at, at first."""
LEAST_GAIN = 1e-5
"""Of a side, per unit: a product with 0 would tell nothing."""


@dataclass(frozen=True, eq=False)
class Trail(Table):
    """The way down to the node at hand, arrays of one but for `stack`.

    Attributes:
        stack: (m + 1, m) open sides that wait. size: how many. nodes: begun. active: whether there is a node at hand.
        edge: next branch to try; -1: bound the node first. left: how many to try since the last that was decided.
        chosen: the branch to decide next, -1 = none. score: of it. slack: least margin at this node.
    """

    stack: States
    size: Ints
    nodes: Ints
    active: Ints
    edge: Ints
    left: Ints
    chosen: Ints
    score: Floats
    slack: Floats


@lean
def advance(model: Model, work: Work, reach: Reach, trail: Trail, most: int) -> int:
    """Tries of at most so many branches; EXHAUSTED, LEAF or PAUSED."""
    status, m = work.status, len(work.status)
    for _ in range(most):
        if trail.active[0] == 0:
            if trail.size[0] == 0:
                return EXHAUSTED
            trail.size[0] -= 1
            load_row(trail.stack, trail.size[0], status)
            trail.active[0] = 1
            trail.nodes[0] += 1
            trail.edge[0] = -1
        e = trail.edge[0]
        while e >= 0 and trail.left[0] > 0 and status[e] != UNDECIDED:
            e = (e + 1) % m
            trail.left[0] -= 1
        if e >= 0 and trail.left[0] == 0:
            chosen = trail.chosen[0]
            if chosen < 0:
                trail.active[0] = 0
                return LEAF
            status[chosen] = OPEN
            store_row(status, trail.stack, trail.size[0])
            trail.size[0] += 1
            trail.nodes[0] += 1
            status[chosen] = CLOSED
            e = NO_BRANCH
        # The node itself at first, then both sides of a branch.
        margin, other = -1.0, -1.0
        if e >= 0:
            copy_values(status, work.status_kept)
        for side in range(1 if e < 0 else 2):
            other = margin
            margin = -1.0
            if e >= 0:
                status[e] = OPEN if side == 0 else CLOSED
            if propagate(model, work):
                margin = reached(model, work, reach)
            if e >= 0:
                copy_values(work.status_kept, status)
        if e < 0:
            trail.active[0] = margin >= 0.0
            for a in range(m):
                to = reach.barred[2 * a] or reach.fed[model.to[a]]
                fr = reach.barred[2 * a + 1] or reach.fed[model.fr[a]]
                if status[a] == UNDECIDED and to and fr:
                    status[a] = OPEN
            trail.edge[0] = 0
        else:
            trail.edge[0] = (e + 1) % m
            trail.left[0] -= 1
            if other >= 0.0 and margin >= 0.0:
                slack = trail.slack[0]
                score = max(slack - other, LEAST_GAIN) * max(slack - margin, LEAST_GAIN)
                if score > trail.score[0]:
                    trail.score[0] = score
                    trail.chosen[0] = e
                continue
            status[e] = OPEN if other >= 0.0 else CLOSED
            margin = max(other, margin)
            trail.active[0] = margin >= 0.0 and propagate(model, work)
        trail.left[0] = m
        trail.slack[0] = margin
        trail.chosen[0] = -1
        trail.score[0] = 0.0
    return PAUSED


class InfeasibilitySearch:
    """The search on one model."""

    def __init__(self, model: Model, reach: Reach, status: States) -> None:
        """`status`: (m) what is decided in every state, as `propagate` leaves it."""
        self.model, self.reach = model, reach
        self.work = work_for(model)
        m = len(status)
        whole = {name: np.zeros(1, dtype=np.int64) for name in ("size", "nodes", "active", "edge", "left", "chosen")}
        self.trail = Trail(stack=np.zeros((m + 1, m), dtype=np.int8), **whole, score=np.zeros(1), slack=np.zeros(1))
        self.trail.stack[0] = status
        self.trail.size[0] = 1
        self.at_once = AT_ONCE
        advance(self.model, self.work, self.reach, self.trail, 0)  # compiled from here on

    @property
    def nodes(self) -> int:
        return int(self.trail.nodes[0])

    def explore(self, seconds: float) -> int:
        """Go on for about so long; LEAF: `work.status` is to be judged, EXHAUSTED: no other state keeps all limits."""
        end = time.perf_counter() + seconds
        while (now := time.perf_counter()) < end:
            event = advance(self.model, self.work, self.reach, self.trail, self.at_once)
            if event != PAUSED:
                return event
            took = time.perf_counter() - now
            self.at_once = max(1, min(2 * self.at_once, int(self.at_once * seconds / max(took, 1e-6))))
        return PAUSED

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        """What `go_on` needs, under names for a checkpoint."""
        trail = {f"limits_{field.name}": getattr(self.trail, field.name) for field in fields(Trail)}
        trail["limits_stack"] = self.trail.stack[: self.trail.size[0]]
        return trail | {"limits_status": self.work.status}

    def go_on(self, saved: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what was kept."""
        self.work.status[:] = saved["limits_status"]
        for field in fields(Trail):
            values = saved[f"limits_{field.name}"]
            getattr(self.trail, field.name)[: len(values)] = values

    def take_turn(self, exchange: Exchange, best: Candidate | None, seconds: float) -> tuple[bool, Candidate | None]:
        """Go on for about so long: whether no state keeps all limits but those met, and one that is better."""
        event = self.explore(seconds)
        candidate = exchange.candidate(self.work.status == CLOSED) if event == LEAF else None
        return event == EXHAUSTED, candidate if candidate is not None and candidate.beats(best) else None


def infeasibility_search(model: Model, status: States) -> InfeasibilitySearch | None:
    """The search from a root; None on a grid that it is not valid for, or that is too large."""
    reach = reach_for(model)
    return None if reach is None or len(status) > MOST_BRANCHES else InfeasibilitySearch(model, reach, status)
