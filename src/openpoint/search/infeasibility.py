"""Infeasibility search: a tree search for a radial state that keeps all limits, or for a proof that none does.

While the search for the least loss knows no state that keeps the limits, limits hardly strengthen its bound. The
search here ignores the loss. It uses upper bounds of the voltages in all completions of a node
(`openpoint.search.kernel.highest`). At each node it probes every undecided branch: if no completion is left with the
branch open, it must close, and the other way round (probing of all variables, Savelsbergh 1994). It branches where
both sides reduce the least margin most, and searches the closed side first. It ends with a proof that the limits
cannot be kept, or reaches radial states, which the exact power flow then evaluates.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from openpoint.arrays import Bools, Floats, Ints, States
from openpoint.compiled.jit import lean
from openpoint.compiled.table import Table
from openpoint.search.checkpoint import MOST, Saved
from openpoint.search.exchange.ac_check import Candidate, Exchange
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, Model, Work, work_for
from openpoint.search.kernel.bookkeeping import copy_values, load_row, store_row
from openpoint.search.kernel.entries import EXHAUSTED, LEAF, PAUSED
from openpoint.search.kernel.forest import propagate
from openpoint.search.kernel.highest import reach_for, reached
from openpoint.search.kernel.node import NO_BRANCH
from openpoint.search.kernel.reach import Reach

MOST_BRANCHES = 2000
"""On larger grids, probing all branches of the first node takes minutes."""
TURN = 1e5
"""Probes of a turn times branches, some 0.05 s."""
NODE = 4
"""Probes that take about as long as a node of the other search."""
LEAST_GAIN = 1e-5
"""Least gain of a side in the score, per unit; with a gain of 0 the product of both would be 0."""


@dataclass(frozen=True, eq=False)
class Trail(Table):
    """State of the depth-first search; arrays of length 1, except `stack`.

    Attributes:
        stack: (m + 1, m) states of the branches at the open sides still to be searched. size: their number.
        nodes: begun so far. active: whether a node is being processed.
        edge: next branch to probe; -1: bound the node first. left: branches still to probe since the last decision.
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
    """Continue the search by probing at most `most` branches; returns EXHAUSTED, LEAF or PAUSED."""
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
        # First the node itself, then both sides of a branch.
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


class Known(Protocol):
    """The other search."""

    @property
    def exchange(self) -> Exchange:
        """What evaluates radial states."""
        ...

    @property
    def candidate(self) -> Candidate | None:
        """The best one."""
        ...

    def excludes(self, closed: Bools) -> bool:
        """Whether a radial state (m) is proven to be of no interest."""
        ...


class InfeasibilitySearch:
    """The search for a radial state that keeps all limits, on one model.

    Attributes:
        due: nodes of the other search after which the next turn is. turn: probes of a turn.
        proves: whether all states met were evaluated, or are proven to be of no interest.
    """

    def __init__(self, model: Model, reach: Reach, status: States) -> None:
        """`status`: (m) what is decided in every state, as `propagate` leaves it."""
        self.model, self.reach = model, reach
        self.work = work_for(model)
        m = len(status)
        whole = {name: np.zeros(1, dtype=np.int64) for name in ("size", "nodes", "active", "edge", "left", "chosen")}
        self.trail = Trail(stack=np.zeros((m + 1, m), dtype=np.int8), **whole, score=np.zeros(1), slack=np.zeros(1))
        self.trail.stack[0] = status
        self.trail.size[0] = 1
        self.due, self.turn, self.proves = 1, max(NODE, int(TURN / max(m, 1))), True
        advance(self.model, self.work, self.reach, self.trail, 0)  # compiled from here on

    @property
    def nodes(self) -> int:
        return int(self.trail.nodes[0])

    def explore(self, most: int) -> int:
        """Probe at most so many branches.

        Returns:
            LEAF: `work.status` is a radial state to evaluate; EXHAUSTED: no other state keeps all limits; else PAUSED.
        """
        return advance(self.model, self.work, self.reach, self.trail, most)

    def kept(self) -> dict[str, npt.NDArray[Any]]:
        """The state that `go_on` needs, by the names of a checkpoint."""
        trail = {f"limits_{field.name}": getattr(self.trail, field.name) for field in fields(Trail)}
        trail["limits_stack"] = self.trail.stack[: self.trail.size[0]]
        own = {"limits_status": self.work.status, "limits_due": self.due, "limits_proves": self.proves}
        return trail | {name: np.array(value) for name, value in own.items()}

    def go_on(self, saved: Saved) -> None:
        """Continue from the state of a checkpoint.

        Raises:
            OptionError: it has something that no search writes.
        """
        m, root = len(self.work.status), self.trail.stack[0].copy()
        ends = {"size": (0, m + 1), "nodes": (0, MOST), "active": (0, 1), "edge": (-1, m - 1), "left": (0, m)}
        for name, (least, most) in (ends | {"chosen": (-1, m - 1)}).items():
            getattr(self.trail, name)[0] = saved.whole(f"limits_{name}", least, most, shape=(1,))
        for name in ("score", "slack"):
            getattr(self.trail, name)[:] = saved.like(f"limits_{name}", getattr(self.trail, name))
        size, self.due = int(self.trail.size[0]), saved.whole("limits_due")
        stack = saved.states("limits_stack", saved.rows("limits_stack", self.trail.stack, size), root)
        self.work.status[:] = saved.states("limits_status", saved.like("limits_status", self.work.status), root)
        # Each decision puts one row on the stack, and there is room for as many as branches are undecided below.
        below = (np.vstack([stack, self.work.status]) == UNDECIDED).sum(axis=1)
        saved.within("limits_stack", np.arange(size + 1) + below, 0, m + 1)
        self.trail.stack[:size] = stack
        self.proves = bool(saved.array("limits_proves", np.bool_, ()))

    def take_turn(self, known: Known, nodes: int) -> tuple[bool, Candidate | None]:
        """Probe for a turn, if it is due after so many nodes of the other search.

        Args:
            known: the best state, and what evaluates others.

        Returns:
            whether it is proven that no states but those evaluated keep all limits, and a better state.
        """
        if nodes < self.due:
            return False, None
        self.due = nodes + self.turn // NODE
        event, closed = self.explore(self.turn), self.work.status == CLOSED
        candidate = known.exchange.candidate(closed) if event == LEAF else None
        self.proves &= event != LEAF or candidate is not None or known.excludes(closed)
        better = candidate is not None and candidate.beats(known.candidate)
        return event == EXHAUSTED and self.proves, candidate if better else None


def infeasibility_search(model: Model, status: States) -> InfeasibilitySearch | None:
    """An infeasibility search from the root; None where it is not valid for the grid, or the grid is too large."""
    reach = reach_for(model)
    return None if reach is None or len(status) > MOST_BRANCHES else InfeasibilitySearch(model, reach, status)
