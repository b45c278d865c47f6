"""Nodes of a search for many futures whose bounds are written to a certificate.

They are processed as `openpoint.search.futures.node.process_futures` does, in stages between which the multipliers are
written: with so few digits that a bound falls by no more than a margin. What is written counts from there on, so that
the checker reaches what the search relies on. Bounds with a branch open are written only where it has to close by them;
the open side of a branching starts with those of its parent.
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.compiled.jit import lean
from openpoint.search.futures.arrays import UNKNOWN, Loads
from openpoint.search.futures.certificate import FuturesCertificate
from openpoint.search.futures.node import (
    DONE,
    LEAF,
    SAMPLE,
    add_up,
    divide_at,
    probe_futures,
    refresh,
    refresh_all,
    take_future,
)
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, Model, Work
from openpoint.search.kernel.bookkeeping import Record, record_for
from openpoint.search.kernel.bound import bound
from openpoint.search.kernel.entries import propagate
from openpoint.search.kernel.multipliers import equalise_zero_impedance, estimate_voltages, multipliers_without
from openpoint.search.kernel.node import NO_BRANCH, record_bound, safe

REFRESH, PROBE, DIVIDE, WRITE, WRITE_OPEN = 0, 1, 2, 3, 4
"""Stages: bounds of all futures; probes; the branch to decide next; write the bound of a future; and with branches
open."""
MARGIN = 0.05
"""Share of the tolerance of the value by which a bound may be lowered where it is written."""
MARGINS = 3.0
"""Margins between what the search aims at and what has to be proven."""
AT_LEAF = 20
"""Iterations of the fixed point where a radial state has no power flow."""


@lean
def stage(
    model: Model,
    work: Work,
    loads: Loads,
    record: Record,
    what: int,
    k: int,
    number: int,
    level: float,
    margin: float,
) -> int:
    """One stage at the node in `work.status`.

    Args:
        what: the stage. k: the future of WRITE and WRITE_OPEN. number: iterations of REFRESH, node of DIVIDE.
        level: cutoff, or the least bound to be written by WRITE. margin: by which WRITE_OPEN may lower bounds, which it
            leaves in `loads.gained[0]`, of the branches in `loads.closing`.

    Returns:
        whether the cutoff was reached or a bound was written; of DIVIDE the branch.
    """
    if what == REFRESH:
        add_up(loads)
        return 1 if refresh_all(model, work, loads, number, level) else 0
    if what == PROBE:
        add_up(loads)
        probe_futures(model, work, loads, record, level)
        return 0
    if what == DIVIDE:
        return divide_at(model, work, loads, number, level)
    if what == WRITE:
        take_future(model, work, loads, k)
        bound(model, work, work.y, work.mu)
        if model.rated or model.currents:
            estimate_voltages(model, work)
        return 1 if record_bound(model, work, record, NO_BRANCH, work.y, work.mu, level) else 0
    before = loads.value[k]
    refresh(model, work, loads, k, 1, before)
    loads.value[k] = before
    for e in range(len(loads.closing)):
        loads.gained[0, e] = UNKNOWN
        if loads.closing[e] and multipliers_without(model, work, e):
            work.status[e] = OPEN
            equalise_zero_impedance(model, work, work.y_next, work.mu_next)
            value = min(safe(bound(model, work, work.y_next, work.mu_next)), level) - margin
            if value > before and record_bound(model, work, record, e, work.y_next, work.mu_next, value):
                loads.gained[0, e] = value
            work.status[e] = UNDECIDED
    return 0


class CertifiedNodes:
    """The nodes of one search, with the certificate to which they are written."""

    def __init__(self, model: Model, work: Work, loads: Loads, certificate: FuturesCertificate) -> None:
        self.model, self.work, self.loads, self.certificate = model, work, loads, certificate
        self.margin, self.silent = 0.0, record_for(model, 0)
        self.written = np.full(len(loads.value), UNKNOWN)

    def process(self, node: int, iterations: int, goal: float, tolerance: float) -> int:
        """Bound the node in `work.status`; returns the branch to decide next, `LEAF` or `DONE`, as `process_futures`.

        Args:
            node: its number. iterations: of the fixed point. goal: what has to be proven of a node that is done.
            tolerance: of the value; bounds may be lowered by a share of it where they are written.
        """
        self.margin = MARGIN * tolerance
        work, loads, cutoff = self.work, self.loads, goal + MARGINS * self.margin
        self.written[:] = loads.value
        while True:
            if not propagate(self.model, work):
                self.certificate.nothing()
                loads.reached[0] = np.inf
                return DONE
            if not (work.status == UNDECIDED).any():
                loads.reached[0] = self._reached(loads.value)
                return LEAF
            self._stage(REFRESH, 0, iterations, cutoff)
            if self._done(goal):
                return DONE
            self._stage(PROBE, 0, 0, cutoff)
            closing = loads.closing.copy()
            if self._done(goal):
                return DONE
            again = self._close(closing, goal) if closing.any() else False
            loads.turn[0] = (loads.turn[0] + SAMPLE) % max(loads.used[0], 1)
            if not again:
                branch = self._stage(DIVIDE, 0, node, cutoff)
                propagate(self.model, work)
                return branch
            iterations = 2

    def leaf(self, goal: float, *, flows: bool) -> None:
        """Write the end of a radial state; where it has no power flow (`flows`) bounds must exclude it."""
        if flows:
            self.certificate.leaf()
            return
        self._stage(REFRESH, 0, AT_LEAF, goal + MARGINS * self.margin)
        self.certificate.broken |= not self._done(goal)

    def _stage(self, what: int, k: int, number: int, level: float) -> int:
        record = self.certificate.record if what in (WRITE, WRITE_OPEN) else self.silent
        return stage(self.model, self.work, self.loads, record, what, k, number, level, self.margin)

    def _reached(self, values: Floats) -> float:
        rows = self.loads.rows[0]
        return float((self.loads.weight[:rows] @ values - self.loads.offset[:rows]).max())

    def _done(self, goal: float) -> bool:
        """Write the bounds that rose, and the end of the node if they reach the goal."""
        loads, most = self.loads, self._most(goal)
        for k in loads.order[: loads.used[0]]:
            if loads.value[k] > self.written[k] + 2.0 * self.margin:
                level = min(float(loads.value[k]), float(most[k])) - self.margin
                if level > self.written[k] and self._stage(WRITE, int(k), 0, level):
                    self.certificate.bounds(int(k), range(1))
                    self.written[k] = level
                self.certificate.record.size[0] = 0
        loads.value[:] = self.written
        loads.reached[0] = self._reached(self.written)
        done = bool(loads.reached[0] >= goal)
        if done:
            loads.floor[0] = min(loads.floor[0], loads.reached[0])
            self.certificate.reached()
        return done

    def _heaviest(self) -> list[int]:
        """The futures that count, those first that lose most by their probability, and so gain most."""
        loads, used = self.loads, self.loads.order[: self.loads.used[0]]
        share = loads.weight[: loads.rows[0]].max(axis=0) * np.maximum(self.written, 0.0)
        return [int(k) for k in used[np.argsort(-share[used], kind="stable")]]

    def _most(self, goal: float) -> Floats:
        """(K) bounds above which nothing is gained: those with which a future alone makes the node reach the goal."""
        loads, rows = self.loads, self.loads.rows[0]
        known = np.where(self.written > UNKNOWN, self.written, 0.0)
        short = goal - (loads.weight[:rows] @ known - loads.offset[:rows])
        with np.errstate(divide="ignore", invalid="ignore"):
            more = np.where(loads.weight[:rows] > 0.0, np.maximum(short, 0.0)[:, None] / loads.weight[:rows], 0.0)
        most: Floats = known + more.max(axis=0) + MARGINS * self.margin + 2.0 * abs(goal)
        return most

    def _close(self, closing: np.ndarray, goal: float) -> bool:
        """Write the bounds with each of these branches open, and close those that reach the goal so; whether any."""
        loads, most = self.loads, self._most(goal)
        opened = {int(e): self.written.copy() for e in np.flatnonzero(closing)}
        left = set(opened)
        for k in self._heaviest():
            loads.closing[:] = False
            loads.closing[list(left)] = True
            self._stage(WRITE_OPEN, k, 0, float(most[k]))
            rows: Ints = np.arange(self.certificate.record.size[0])
            self.certificate.bounds(k, rows)
            for e in self.certificate.record.branch[rows].tolist():
                opened[e][k] = loads.gained[0, e]
            self.certificate.record.size[0] = 0
            left = {e for e in left if self._reached(opened[e]) < goal}
            if not left:
                break
        closed = sorted(set(opened) - left)
        if closed:
            self.certificate.must_close(closed)
            self.work.status[closed] = CLOSED
            loads.floor[0] = min(loads.floor[0], *(self._reached(opened[e]) for e in closed))
        return bool(closed)
