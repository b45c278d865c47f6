"""Compiled: branching, the choice of the branch that a node decides next.

The gains of a branch are the increases of the bound with the branch open, and with the branch closed and all
consequences applied (branches that would close a loop open, bridges close), both at the current multipliers. The score
is the product of both gains (Achterberg, Koch, Martin 2005), each counted up to the cutoff. Branches are tried in
descending order of the gain of opening, until several in a row have not improved the score.

Branches without impedance are decided first: while they are undecided, the relaxation lets power cross them in both
directions without loss, and no decision of another branch changes that.

Processing of the nodes of branch and bound.

A node is bounded by `bound` at the multipliers of its parent, improved by the fixed point of `multipliers`. Then its
undecided branches are *probed*: the node is bounded with the branch open. Where this bound reaches the cutoff, the
branch must be closed in every state of interest. The closings are applied together after all probes, since each would
change the forest that the bound uses. Their consequences are propagated, and the node is bounded again. Then the
branch that `branching` chooses is decided: the open side, with its high bound, waits in the pool (`waiting`); the
closed side is processed next. Where all branches are decided, the positions of a device are divided (`devices`) in the
same way, those of tap changers before.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.arrays import Floats
from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import CLOSED, OPEN, PHI_BITS, UNDECIDED, W_BITS, Model, Work
from openpoint.search.kernel.bookkeeping import APPLY, BOUND, JUDGED, NONE, PROBE, Counts, Record, copy_values
from openpoint.search.kernel.bound import bound
from openpoint.search.kernel.devices import divide, divide_tap
from openpoint.search.kernel.forest import propagate, root
from openpoint.search.kernel.multipliers import (
    STEPS,
    ascend_limit_multipliers,
    ascend_source_multipliers,
    dual_ascent,
    equalise_zero_impedance,
    multipliers_without,
    resistance,
)

TRIES = 32
"""Branches that are tried at a node, at most."""
IN_VAIN = 8
"""Number of branches in a row without a better score after which no more are tried."""
LEAST_GAIN = 0.01
"""Least gain in the score, as a share of the gap to the cutoff; with a gain of 0 the product of both would be 0."""
PAYING = 20
"""Trials per trial with a gain, above which trials are made rarely: on large grids one closing has few consequences."""
REST = 16
"""Nodes of which one has trials while trials are made rarely."""


@inlined
def choose(model: Model, work: Work, counts: Counts, base: float) -> int:
    """The undecided branch to decide next; gains are those over `base`.

    Where another bound of the node is higher, gains over that one would be 0, and tell branches apart no more.

    Requires the bounds of probed branches in `work.value`, and the estimates of all branches in `work.guess`; it
    overwrites the latter. The forest in `work` is invalid afterwards.
    """
    status, guess = work.status, work.guess
    cutoff = counts.cutoff[0]
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


MARGIN = 1e-9
"""Relative margin of a bound: on a full tree, rounding may make it up to 1e-11 larger than the exact loss."""
PROBE_SHARE = 0.7
"""Share of the gap to the cutoff that the estimate of a probe must reach for the probe to be made."""
NO_BRANCH: Any = np.int64(-1)
"""No branch."""

RECORDED = 1e-10
"""Relative margin of a recorded bound, within which the exact check must still accept it."""
LARGEST = 2.0**61
"""Largest whole number that is recorded; differences of two such numbers fit in 64 bits."""
RESERVE = 4
"""Rows of a record that probes leave free, for how the node ends."""


@inlined
def safe(value: float) -> float:
    """A bound less the margin."""
    return value - MARGIN * abs(value)


@inlined
def record_event(record: Record, kind: int, branch: int) -> None:
    """Write a line without multipliers, if anything is recorded."""
    if len(record.kind) > 0:
        row = record.size[0]
        record.kind[row] = kind
        record.branch[row] = branch
        record.size[0] = row + 1


@inlined
def record_bound(model: Model, work: Work, record: Record, branch: int, y: Floats, mu: Floats, cutoff: float) -> bool:
    """Write a line with the fewest digits of the multipliers at which the bound reaches the cutoff; False if none do.

    `branch` is the one that was probed, or `NO_BRANCH`. Uses `y_kept` and `mu_kept`. Without a record it does nothing.
    """
    if len(record.kind) == 0:
        return True
    row = record.size[0]
    if branch >= 0 and row + RESERVE > len(record.kind):
        return False
    if model.rated or model.currents:
        for k in range(len(y)):
            work.w[k] = max(np.rint(work.w[k] * 2.0**W_BITS), 1.0) / 2.0**W_BITS
    largest, base, base_mu = 0.0, record.base, record.base_mu
    for k in range(len(y)):
        largest = max(largest, abs(y[k] - base[k]), abs(mu[k] - base_mu[k]))
        if not abs(work.phi[k]) * 2.0**PHI_BITS < LARGEST:
            return False
    bits, scale = 6, 2.0**6
    while bits <= 40:
        # Where no state is left, the multipliers and the bound may be unbounded: a share of the multipliers suffices.
        share = min(1.0, LARGEST / (largest * scale)) if largest > 0.0 else 1.0
        for k in range(len(y)):
            work.y_kept[k] = base[k] + np.rint(share * (y[k] - base[k]) * scale) / scale
            work.mu_kept[k] = base_mu[k] + np.rint(share * (mu[k] - base_mu[k]) * scale) / scale
        value = bound(model, work, work.y_kept, work.mu_kept)
        if value - RECORDED * abs(value) >= cutoff:
            for k in range(len(y)):
                record.y[row, k] = int(np.rint(share * (y[k] - base[k]) * scale))
                record.mu[row, k] = int(np.rint(share * (mu[k] - base_mu[k]) * scale))
                record.phi[row, k] = int(work.phi[k] * 2.0**PHI_BITS)
                record.w[row, k] = int(work.w[k] * 2.0**W_BITS) if work.used[k] else 0
                record.top[row, k] = 0
            for k in range(len(y)):
                above = work.parent[k]
                if work.edge[k] >= 0 and above < model.n and work.edge[above] < 0:
                    record.top[row, above] = 1
            record.bits[row] = bits
            record.kind[row] = PROBE if branch >= 0 else BOUND
            record.branch[row] = branch
            record.size[0] = row + 1
            return True
        bits += 2
        scale *= 4.0
    return False


@inlined
def probe(model: Model, work: Work, record: Record, e: int, cutoff: float) -> float:
    """Bound with an undecided branch open.

    Bridges are closed before any probe. A branch that is one by rounding only may be open, so its probe tells nothing.
    """
    if not multipliers_without(model, work, e):
        return -np.inf
    work.status[e] = OPEN
    equalise_zero_impedance(model, work, work.y_next, work.mu_next)
    value = safe(bound(model, work, work.y_next, work.mu_next))
    if value >= cutoff and not record_bound(model, work, record, e, work.y_next, work.mu_next, cutoff):
        value = cutoff - 1e-9 * abs(cutoff)
    work.status[e] = UNDECIDED
    return value


@inlined
def estimate(model: Model, work: Work, e: int, value: float) -> float:
    """Estimate of a probe to first order: the power of the branch is rerouted over other paths."""
    conductance = work.conductance[e]
    r = resistance(model, work.factor, work.diagonal, work.one, model.fr[e], model.to[e])
    rest = max(1.0 - conductance * r, 1e-10)
    more: float = 0.5 * conductance * (work.drop_y[e] ** 2 + work.drop_mu[e] ** 2) / rest
    return value + more


@inlined
def probe_all(model: Model, work: Work, counts: Counts, record: Record, value: float) -> bool:
    """Probe the promising branches and close those that cannot be open; returns whether any was closed.

    Writes the bounds to `work.value`, -inf where there was no probe, and estimates of all branches to `work.guess`.
    """
    cutoff, status = counts.cutoff[0], work.status
    highest = NO_BRANCH
    for e in range(len(status)):
        work.value[e] = -np.inf
        if status[e] == UNDECIDED:
            work.value[e] = estimate(model, work, e, value)
            work.guess[e] = work.value[e]
            if highest < 0 or work.value[e] > work.value[highest]:
                highest = e
    least = value + PROBE_SHARE * (cutoff - value)
    below = False
    second = NO_BRANCH
    for e in range(len(status)):
        if status[e] == UNDECIDED:
            if work.value[e] >= least or e == highest:
                work.value[e] = probe(model, work, record, e, cutoff)
                counts.probes[0] += 1
                below |= work.value[e] < cutoff
            else:
                if second < 0 or work.value[e] > work.value[second]:
                    if second >= 0:
                        work.value[second] = -np.inf
                    second = e
                else:
                    work.value[e] = -np.inf
    if second >= 0:
        work.value[second] = -np.inf if below else probe(model, work, record, second, cutoff)
    closed = False
    for e in range(len(status)):
        if status[e] == UNDECIDED and work.value[e] >= cutoff:
            counts.floor[0] = min(counts.floor[0], work.value[e])
            status[e] = CLOSED
            closed = True
    if closed:
        record_event(record, APPLY, -1)
    return closed


@inlined
def process(model: Model, work: Work, counts: Counts, record: Record) -> int:
    """Bound the current node; returns the branch to decide next, -1 for a leaf to evaluate, -2 if the node is done.

    Branches are followed by devices: m + d is device d.
    """
    iterations = 10 if counts.nodes[0] == 1 else STEPS
    while True:
        if not propagate(model, work):
            record_event(record, NONE, -1)
            return -2
        root(model, work)
        branch = -1
        for e in range(len(work.status)):
            if work.status[e] == UNDECIDED:
                branch = e
        value = dual_ascent(model, work, 20 if branch < 0 else iterations, counts.cutoff[0])
        if model.bounded and value > -np.inf:
            value = ascend_limit_multipliers(model, work, value, counts.cutoff[0])
        if model.supplied and value > -np.inf:
            value = ascend_source_multipliers(model, work, value, counts.cutoff[0])
        counts.bound[0] = max(counts.bound[0], safe(value))
        reached = counts.bound[0] if len(record.kind) == 0 else safe(value)  # an inherited bound has no multipliers
        if reached >= counts.cutoff[0] and record_bound(
            model, work, record, NO_BRANCH, work.y, work.mu, counts.cutoff[0]
        ):
            return -2
        if branch < 0:
            if model.devices:
                device = divide(model, work)
                if device >= 0:
                    return len(work.status) + device
            record_event(record, JUDGED, -1)
            counts.bound[0] = reached
            return -1
        if not probe_all(model, work, counts, record, value):
            device = divide_tap(model, work) if model.taps else -1
            return choose(model, work, counts, safe(value)) if device < 0 else len(work.status) + device
        iterations = STEPS
