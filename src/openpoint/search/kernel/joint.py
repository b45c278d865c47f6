"""Compiled: one operating state of a node that several share, so that their bounds add up before anything is decided.

A radial state that serves several periods costs the sum of what it costs in each. The bound of a node is the sum of
its bounds, each at multipliers of its own; so is the bound with one more branch open, or closed. What is decided by the
sums is up to the caller (`openpoint.search.switching.searches`).
"""

from __future__ import annotations

from openpoint.arrays import Bools
from openpoint.compiled.jit import lean
from openpoint.search.kernel import forest
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Model, Work
from openpoint.search.kernel.ascent import dual_ascent
from openpoint.search.kernel.bookkeeping import Record
from openpoint.search.kernel.bound import bound
from openpoint.search.kernel.node import estimate, probe, safe
from openpoint.search.kernel.vectors import copy_values


@lean
def bounded_with_estimates(model: Model, work: Work, iterations: int, cutoff: float) -> float:
    """The bound of the node in `work`, propagated, and estimates with an undecided branch open in `work.guess`."""
    forest.root(model, work)
    value = dual_ascent(model, work, iterations, cutoff)
    for e in range(len(work.status)):
        if work.status[e] == UNDECIDED:
            work.guess[e] = estimate(model, work, e, value)
    return safe(value)


@lean
def probe_some(model: Model, work: Work, record: Record, some: Bools, cutoff: float) -> None:
    """Bounds with one of some undecided branches open, in `work.value`."""
    for e in range(len(work.status)):
        if some[e]:
            work.value[e] = probe(model, work, record, e, cutoff)


@lean
def close_some(model: Model, work: Work, some: Bools) -> None:
    """Bounds with one of some undecided branches closed, and its consequences, in `work.value`; multipliers stay.

    The forest in `work` is invalid afterwards.
    """
    copy_values(work.status, work.status_kept)
    for e in range(len(work.status)):
        if some[e]:
            work.status[e] = CLOSED
            work.value[e] = float("inf")
            if forest.propagate(model, work):
                forest.root(model, work)
                work.value[e] = safe(bound(model, work, work.y, work.mu))
            copy_values(work.status_kept, work.status)
