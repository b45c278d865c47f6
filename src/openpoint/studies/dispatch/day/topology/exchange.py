"""Good radial states for given outputs: one branch closes, another one of the loop opens, as long as losses fall.

With the power that buses take held, moving the power δ around a loop changes the loss by Σ c (2 p δ + δ²) over its
branches; opening a branch moves the power that it carried.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from openpoint.arrays import Floats, Ints, States
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED
from openpoint.search.kernel.entries import span
from openpoint.studies.dispatch.day.topology.relaxation import DayRelaxation, NodeBound
from openpoint.studies.dispatch.day.topology.tree import gains

ROUNDS = 100
"""Exchanges between two solutions of the program, at most."""


def heaviest_state(relaxation: DayRelaxation, status: States, found: NodeBound) -> States:
    """A radial completion of a node (m) that closes the branches whose opening would cost most."""
    weight = gains(relaxation, status, found)
    relaxation.work.status[:] = status
    span(relaxation.model, relaxation.work, np.argsort(-weight, kind="stable").astype(np.int32))
    state = relaxation.work.status.copy()
    state[state == UNDECIDED] = OPEN
    return state


def exchanged(
    relaxation: DayRelaxation, state: States, decided: States, stop: Callable[[], bool] = lambda: False
) -> tuple[States, NodeBound] | None:
    """A radial state (m) from which no exchange is better, or the best until the stop, and its bound; None where it is
    not allowed.

    Args:
        state: a radial state. decided: (m) OPEN and CLOSED branches keep their state. stop: asked between programs.
    """
    best = relaxation.bound(state.copy(), None, 2)
    while best is not None:
        if stop():
            return state, best
        other = _descended(relaxation, state, best, decided)
        if np.array_equal(other, state):
            return state, best
        found = relaxation.bound(other.copy(), None, 2)
        if found is None or found.value >= best.value:
            return state, best
        state, best = other, found
    return None


def _descended(relaxation: DayRelaxation, state: States, found: NodeBound, decided: States) -> States:
    """The state after exchanges at the net loads of a solution."""
    cost = relaxation.scale[:, None] * relaxation.first.square
    flows, state = np.stack([found.p, found.q]), state.copy()
    for _ in range(ROUNDS):
        best, move = -1e-9 * abs(found.value), None
        for tie in np.flatnonzero((state == OPEN) & (decided == UNDECIDED)).tolist():
            loop, sign = _loop(relaxation, state, tie)
            if loop is None:
                continue
            along = sign * flows[:, :, loop]
            linear, square = (cost[:, loop] * along).sum(axis=2), cost[:, loop].sum(axis=1)
            change = (-2.0 * along * linear[:, :, None] + along**2 * square[None, :, None]).sum(axis=(0, 1))
            change[decided[loop] != UNDECIDED] = np.inf
            k = int(np.argmin(change))
            if change[k] < best:
                best, move = float(change[k]), (tie, int(loop[k]), loop, sign, along[:, :, k])
        if move is None:
            break
        tie, opened, loop, sign, carried = move
        flows[:, :, loop] -= sign * carried[:, :, None]
        state[tie], state[opened] = CLOSED, OPEN
        relaxation.work.status[:] = state
    return state


def _loop(relaxation: DayRelaxation, state: States, tie: int) -> tuple[Ints | None, Floats]:
    """Branches of the loop that a tie closes, itself last, and their direction in it; None where it closes none."""
    model, n = relaxation.model, relaxation.model.n
    fr, to = np.minimum(model.fr, n), np.minimum(model.to, n)
    around: dict[int, list[tuple[int, int, float]]] = {}
    for e in np.flatnonzero(state == CLOSED).tolist():
        around.setdefault(int(fr[e]), []).append((int(to[e]), e, 1.0))
        around.setdefault(int(to[e]), []).append((int(fr[e]), e, -1.0))
    begin, end = int(to[tie]), int(fr[tie])
    came: dict[int, tuple[int, int, float]] = {begin: (-1, -1, 0.0)}
    stack = [begin]
    while stack and end not in came:
        bus = stack.pop()
        for other, e, sign in around.get(bus, []):
            if other not in came:
                came[other] = (bus, e, sign)
                stack.append(other)
    if end not in came:
        return None, np.empty(0)
    branches, signs, bus = [tie], [1.0], end
    while bus != begin:
        bus, e, sign = came[bus]
        branches.append(e)
        signs.append(sign)
    return np.array(branches), np.array(signs)
