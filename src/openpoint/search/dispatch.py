"""Dispatch: the output of the dispatchable generators with the least loss on one tree.

On a tree the bound with the best multipliers equals the optimum of the cone program, and the flows in the ties of the
choices (`openpoint.search.kernel.multipliers`) are the output at this optimum. It is evaluated by the exact power flow
like any other. Where limits bind, a few steps of their multipliers do not reach the output that just keeps them; then
a cone program is solved, if one is given. If no output keeps the limits, this is proven by more steps of the
multipliers where possible, without the cone solver. With devices, Newton's method solves for all limits that bind at
once (`openpoint.search.limit_newton`), before the cone solver is asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network import Network
from openpoint.search.kernel.arrays import CLOSED, OPEN, Model, Work, work_for
from openpoint.search.kernel.bookkeeping import Counts, counts, pool_for, record_for
from openpoint.search.kernel.entries import explore
from openpoint.search.limit_newton import LimitNewton
from openpoint.search.model.build import Numbering

STEPS_MOST = 40
"""How often a bound is raised by multipliers of limits, at most."""
LITTLE = 1e-3
"""Relative gain of one such step below which no more are made."""


class Threshold(NamedTuple):
    """A cost from which on a state is of no interest; `over`: called regularly, True stops."""

    cost: float
    over: Callable[[], bool]


Cone = Callable[[Bools, Ints, Threshold | None], tuple[float, Complexes | None]]
"""From the (E) state of a tree and the (D) positions of devices to a lower bound of its cost, inf if nothing keeps the
limits, and the (G) outputs. With a threshold the bound may take longer."""


class Dispatcher:
    """Outputs of the dispatchable generators for one tree after another."""

    def __init__(
        self, model: Model, numbering: Numbering, network: Network, cone: Cone | None, most: Floats | None
    ) -> None:
        """`most`: (G) greatest apparent power of the generators; None without limits."""
        self.most = most
        self.model, self.numbering, self.network, self.cone = model, numbering, network, cone
        self.work, self.pool, self.record = work_for(model), pool_for(model, 2), record_for(model, 0)

    @property
    def today(self) -> Complexes:
        """(G) today's output, or the nearest output within the ranges."""
        return self.within(self.network.generator_s)

    def within(self, s: Complexes) -> Complexes:
        """(G) the outputs within the ranges that are nearest to the given ones."""
        net, most = self.network, self.most
        if most is not None:
            s = s * np.minimum(1.0, most / np.maximum(np.abs(s), 1e-300))
        p, q = np.clip(s.real, net.p_min, net.p_max), np.clip(s.imag, net.q_min, net.q_max)
        if most is not None:
            q = np.clip(q, -np.sqrt(np.maximum(most**2 - p**2, 0.0)), np.sqrt(np.maximum(most**2 - p**2, 0.0)))
        return np.asarray(p + 1j * q)

    def on(self, closed: Bools, positions: Ints) -> Complexes:
        """(G) output with the least loss on a tree; `closed`: (m), `positions`: (D)."""
        work, count = self.work, counts()
        work.y[:], work.mu[:], work.phi[:] = self.model.y_first, 0.0, 0.0
        work.status[:] = np.where(closed, CLOSED, OPEN)
        work.low[:] = work.high[:] = positions
        count.cutoff[0] = self.numbering.greatest + float(self.model.price.sum())
        count.active[0] = 1
        explore(self.model, work, self.pool, count, self.record, 1)
        return self.outputs(work)

    def raised(self, work: Work, found: Counts) -> float:
        """Lower bound of the tree in `work`, raised by multipliers of its limits until the cutoff or little gain.

        `found`: counts of the node, whose bound is set.
        """
        count = counts()
        count.bound[0], count.cutoff[0] = found.bound[0], found.cutoff[0]
        for _ in range(STEPS_MOST):
            before = float(count.bound[0])
            enough = before + LITTLE * abs(before) if before > -math.inf else -math.inf
            count.active[0] = 1
            explore(self.model, work, self.pool, count, self.record, 1)
            if count.bound[0] >= count.cutoff[0] or -math.inf < count.bound[0] <= enough:
                break
        found.bound[0] = count.bound[0]
        return float(count.bound[0])

    def newton(self, work: Work, found: Counts) -> tuple[float, Complexes]:
        """As `raised`, by Newton's method on all limits that bind; and (G) the output that just keeps them."""
        value = LimitNewton(self.model, work).raised(float(found.cutoff[0]))
        found.bound[0] = max(found.bound[0], value)
        return float(found.bound[0]), self.outputs(work)

    def outputs(self, work: Work) -> Complexes:
        """(G) output at the current multipliers; the generators of a bus share what the bus feeds in."""
        net, model, today = self.network, self.model, self.today
        if model.costly:
            most = model.first_source
            return self.within(work.output_p[:most] + 1j * work.output_q[:most])
        place = np.full(net.n_terminals, -1)
        place[self.numbering.bus] = np.arange(len(model.p))
        at = place[net.generator_terminal]
        p = _output(work.taken_p, model.p, model.p_span, at, net.p_min, net.p_max, today.real)
        least_q = work.least_q if model.banks else model.q
        q = _output(work.taken_q, least_q, model.q_span, at, net.q_min, net.q_max, today.imag)
        return self.within(p + 1j * q)


def _output(taken: Floats, least: Floats, span: Floats, at: Ints, low: Floats, high: Floats, today: Floats) -> Floats:
    """(G) outputs with which the net loads of the buses are `taken`; today's where an output has no range."""
    share = np.clip((taken - least)[at] / np.where(span[at] > 0.0, span[at], 1.0), 0.0, 1.0)
    return np.where(span[at] > 0.0, high - share * (high - low), today)
