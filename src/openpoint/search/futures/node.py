"""Compiled: a node of branch and bound under many load vectors.

**The bound.** Let b_k be a lower bound of the loss of all completions of a node in future k (`kernel.bound`, at
multipliers of its own), prices of changes included. The risk of the losses is ρ(θ) = max {pᵀθ : p ∈ P} over a set P of
probability vectors. For every p ∈ P and every completion with losses θ >= b, pᵀb <= pᵀθ <= ρ(θ), since p >= 0. So the
largest pᵀb over any few vectors of P is a lower bound of the risk. Where the risk is that of the regret, θ_k − W_k with
W_k what future k loses at best, pᵀW is subtracted, with W_k from above.

**Work.** The bounds of nodes above hold for a completion of this one, too; futures are bounded anew one after another,
until the sum reaches the cutoff. Probes are made in the same way: in one future after another, until the sum reaches
the cutoff, so that the branch must close, or until what they gained, projected to all futures, does not. The branch to
decide is probed in all futures, and the child with this branch open starts with these bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats, Indices, Ints
from openpoint.compiled.jit import inlined, lean
from openpoint.compiled.table import Table
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Model, Work
from openpoint.search.kernel.bookkeeping import Record, copy_values, load_row, store_row
from openpoint.search.kernel.bound import bound
from openpoint.search.kernel.forest import propagate, root
from openpoint.search.kernel.multipliers import ascend_limit_multipliers, dual_ascent
from openpoint.search.kernel.node import IN_VAIN, LEAST_GAIN, PAYING, PROBE_SHARE, REST, estimate, probe, safe

ROWS = 24
"""Probability vectors that count at the same time, at most."""
UNKNOWN = -1e12
"""Bound of a future that has none yet."""


@dataclass(frozen=True, eq=False)
class Loads(Table):
    """K load vectors, called futures, of a grid with N buses and m branches in the numbers of the search model.

    Attributes:
        p, q: (K, N) as in the model. y, mu: (K, N) multipliers. phi: (K, N), of no width without limits.
        value: (K) bounds of the current node in every future.
        weight: (V, K) probability vectors. offset: (V) what is subtracted from their expectations. rows: number in use.
        order: (K) the futures that have a weight in any row, first; used: their number. turn: position of the sample.
        total: (V) expectations of the bounds, less the offset. gained: (V, m) what the bounds with a branch open add.
        alive: (m) whether the branch is still probed. closing: (m) whether it must close. guess: (m) estimated gain
            with the branch open.
        opened: (K) bounds with the branch to decide next open.
        reached: bound of the current node. opening: with that branch open. floor: least bound at which something was
            excluded. refreshed: futures bounded. trials, gains: as in `kernel.bookkeeping.Counts`. All of length 1.
    """

    p: Floats
    q: Floats
    y: Floats
    mu: Floats
    phi: Floats
    value: Floats
    weight: Floats
    offset: Floats
    rows: Ints
    order: Indices
    used: Ints
    turn: Ints
    total: Floats
    gained: Floats
    alive: Bools
    closing: Bools
    guess: Floats
    opened: Floats
    reached: Floats
    opening: Floats
    floor: Floats
    refreshed: Ints
    trials: Ints
    gains: Ints


def loads_for(model: Model, p: Floats, q: Floats) -> Loads:
    """Arrays for these load vectors, without probability vectors."""
    k, m = len(p), len(model.fr)
    whole = {name: np.zeros(1, dtype=np.int64) for name in ("rows", "used", "turn", "refreshed", "trials", "gains")}
    return Loads(
        p=p,
        q=q,
        y=np.zeros_like(p),
        mu=np.zeros_like(p),
        phi=np.zeros((k, p.shape[1] if model.bounded else 0)),
        value=np.full(k, UNKNOWN),
        weight=np.zeros((ROWS, k)),
        offset=np.zeros(ROWS),
        order=np.arange(k, dtype=np.int32),
        total=np.zeros(ROWS),
        gained=np.zeros((ROWS, m)),
        alive=np.zeros(m, dtype=np.bool_),
        closing=np.zeros(m, dtype=np.bool_),
        guess=np.zeros(m),
        opened=np.full(k, UNKNOWN),
        reached=np.full(1, -np.inf),
        opening=np.full(1, -np.inf),
        floor=np.full(1, np.inf),
        **whole,
    )


DONE, LEAF = -2, -1
"""Results of `process_futures` beside the branch to decide: no completion is of interest, one radial state is left."""
SAMPLE = 8
"""Futures in which gains with a branch open are estimated at every node."""
TRIED_IN = 4
"""Futures of the sample in which a branch is tried closed."""
TRIES = 16
"""Branches that are tried at a node, at most."""
EVERY = 4
"""Futures after which branches are dropped whose probes do not gain enough."""
ENOUGH = 0.9
"""Share of the gap to the cutoff that the projected gain of a probe must reach for the probe to be continued."""


@inlined
def take_future(model: Model, work: Work, loads: Loads, k: int) -> None:
    """Make future k the current one; the forest follows its multipliers."""
    load_row(loads.p, k, model.p)
    load_row(loads.q, k, model.q)
    load_row(loads.y, k, work.y)
    load_row(loads.mu, k, work.mu)
    if model.bounded:
        load_row(loads.phi, k, work.phi)
    root(model, work)


@inlined
def add_up(loads: Loads) -> None:
    """The expectations of the bounds, from the beginning."""
    for v in range(loads.rows[0]):
        total = -loads.offset[v]
        for position in range(loads.used[0]):
            k = loads.order[position]
            total += loads.weight[v, k] * loads.value[k]
        loads.total[v] = total


@inlined
def highest(loads: Loads) -> int:
    """The row of the greatest expectation."""
    best = 0
    for v in range(loads.rows[0]):
        if loads.total[v] > loads.total[best]:
            best = v
    return best


@inlined
def refresh(model: Model, work: Work, loads: Loads, k: int, most: int, aim: float) -> float:
    """Bound the node in future k anew and add the gain to the expectations; returns the bound reached.

    `aim`: bound up to which multipliers of limits are tried.
    """
    take_future(model, work, loads, k)
    value = dual_ascent(model, work, most, np.inf)
    if model.bounded and value > -np.inf:
        value = ascend_limit_multipliers(model, work, value, aim)
        store_row(work.phi, loads.phi, k)
    store_row(work.y, loads.y, k)
    store_row(work.mu, loads.mu, k)
    value = safe(value)
    loads.refreshed[0] += 1
    before = loads.value[k]
    if value > before:
        loads.value[k] = value
        if before <= UNKNOWN:
            add_up(loads)
        else:
            for v in range(loads.rows[0]):
                loads.total[v] += loads.weight[v, k] * (value - before)
    return value


@inlined
def aim_of(loads: Loads, k: int, v: int, cutoff: float) -> float:
    """The bound of future k at which the node reaches the cutoff by it alone."""
    weight = loads.weight[v, k]
    if loads.value[k] <= UNKNOWN or weight <= 0.0:
        return cutoff
    aim: float = loads.value[k] + max(cutoff - loads.total[v], 0.0) / weight
    return aim


@inlined
def refresh_all(model: Model, work: Work, loads: Loads, iterations: int, cutoff: float) -> bool:
    """Bound all futures anew until the node reaches the cutoff, and return whether it does.

    Gains with a branch open are estimated in a sample of them, from another one on at every node.
    """
    v, used = highest(loads), loads.used[0]
    covered, taken = 0.0, 0
    for e in range(len(loads.guess)):
        loads.guess[e] = 0.0
    for position in range(used):
        k = loads.order[(loads.turn[0] + position) % used]
        value = refresh(model, work, loads, k, iterations, aim_of(loads, k, v, cutoff))
        if loads.total[highest(loads)] >= cutoff:
            return True
        weight = loads.weight[v, k]
        if taken < SAMPLE and weight > 0.0 and value > -np.inf:
            taken += 1
            covered += weight
            for e in range(len(loads.guess)):
                if work.status[e] == UNDECIDED:
                    loads.guess[e] += weight * (estimate(model, work, e, value) - value)
    for e in range(len(loads.guess)):
        loads.guess[e] /= max(covered, 1e-12)
    return False


@inlined
def gain_with_open(model: Model, work: Work, loads: Loads, record: Record, k: int, e: int) -> float:
    """How much the bound of future k, the current one, rises with a branch open."""
    value = probe(model, work, record, e, np.inf)
    return max(value - loads.value[k], 0.0) if value > -np.inf else 0.0


@inlined
def probe_future(model: Model, work: Work, loads: Loads, record: Record, k: int, cutoff: float) -> None:
    """Probe in future k, the current one, the branches that are still probed."""
    for e in range(len(loads.alive)):
        if not loads.alive[e]:
            continue
        gain = gain_with_open(model, work, loads, record, k, e)
        for v in range(loads.rows[0]):
            if loads.weight[v, k] > 0.0:
                loads.gained[v, e] += loads.weight[v, k] * gain
            value = loads.total[v] + loads.gained[v, e]
            if value >= cutoff:
                loads.floor[0] = min(loads.floor[0], value)
                loads.alive[e] = False
                loads.closing[e] = True


@inlined
def drop(loads: Loads, covered: float, gap: float, v: int) -> bool:
    """Stop probing branches that do not gain enough; returns whether any is left."""
    left = False
    for e in range(len(loads.alive)):
        if loads.alive[e] and loads.gained[v, e] < ENOUGH * gap * covered:
            loads.alive[e] = False
        left = left or loads.alive[e]
    return left


@inlined
def probe_futures(model: Model, work: Work, loads: Loads, record: Record, cutoff: float) -> None:
    """Probe promising branches in one future after another, while it gains enough; sets `loads.closing`."""
    v = highest(loads)
    gap = cutoff - loads.total[v]
    left = False
    for e in range(len(loads.alive)):
        loads.closing[e] = False
        loads.alive[e] = work.status[e] == UNDECIDED and loads.guess[e] >= PROBE_SHARE * gap
        left = left or loads.alive[e]
        for row in range(loads.rows[0]):
            loads.gained[row, e] = 0.0
    covered, taken = 0.0, 0
    for position in range(loads.used[0]):
        k = loads.order[(loads.turn[0] + position) % loads.used[0]]
        if not left or loads.weight[v, k] <= 0.0:
            continue
        refresh(model, work, loads, k, 1, loads.value[k])
        probe_future(model, work, loads, record, k, cutoff)
        covered += loads.weight[v, k]
        taken += 1
        if taken % EVERY == 0:
            left = drop(loads, covered, gap, v)


@inlined
def score(loads: Loads, e: int, gap: float, closed: float) -> float:
    """The product of the gains with the branch open and closed."""
    least = LEAST_GAIN * gap
    product: float = max(min(loads.guess[e], gap), least) * max(closed, least)
    return product


@inlined
def closed_gain(model: Model, work: Work, loads: Loads, v: int, gap: float) -> float:
    """Gain of the node with the branches in `work.status` closed, estimated from a part of the sample."""
    if not propagate(model, work):
        return gap
    covered, gain, taken = 0.0, 0.0, 0
    for position in range(loads.used[0]):
        k = loads.order[(loads.turn[0] + position) % loads.used[0]]
        if loads.weight[v, k] <= 0.0 or taken == TRIED_IN:
            continue
        taken += 1
        take_future(model, work, loads, k)
        covered += loads.weight[v, k]
        gain += loads.weight[v, k] * max(bound(model, work, work.y, work.mu) - loads.value[k], 0.0)
    return min(gain / covered, gap) if covered > 0.0 else 0.0


@inlined
def divide_at(model: Model, work: Work, loads: Loads, nodes: int, cutoff: float) -> int:
    """The undecided branch to decide next, as `kernel.branching.choose`, by the gains of the sample."""
    status, v = work.status, highest(loads)
    gap = max(cutoff - loads.total[v], 0.0)
    chosen = -1
    for e in range(len(status)):
        if status[e] == UNDECIDED and (chosen < 0 or loads.guess[e] > loads.guess[chosen]):
            chosen = e
    bare = False
    for number in range(len(model.zero_impedance)):
        if status[model.zero_impedance[number]] == UNDECIDED:
            chosen = model.zero_impedance[number]
            bare = True
    if bare or (loads.trials[0] > PAYING * (loads.gains[0] + IN_VAIN) and nodes % REST != 0):
        return chosen
    copy_values(status, work.status_kept)
    for e in range(len(status)):
        loads.alive[e] = status[e] == UNDECIDED
    best, vain = -np.inf, 0
    for _ in range(TRIES):
        tried = -1
        for e in range(len(status)):
            if loads.alive[e] and (tried < 0 or loads.guess[e] > loads.guess[tried]):
                tried = e
        if tried < 0 or vain == IN_VAIN:
            break
        loads.alive[tried] = False
        status[tried] = CLOSED
        closed = closed_gain(model, work, loads, v, gap)
        copy_values(work.status_kept, status)
        loads.trials[0] += 1
        loads.gains[0] += closed > LEAST_GAIN * gap
        vain += 1
        its = score(loads, tried, gap, closed)
        if its > best:
            best = its
            chosen = tried
            vain = 0
    return chosen


@inlined
def probe_open(model: Model, work: Work, loads: Loads, record: Record, e: int, cutoff: float) -> bool:
    """Bound the node with branch e open in all futures, for the child; returns whether that reaches the cutoff."""
    propagate(model, work)
    for v in range(loads.rows[0]):
        loads.gained[v, e] = 0.0
    for position in range(loads.used[0]):
        k = loads.order[position]
        refresh(model, work, loads, k, 1, cutoff)
        gain = gain_with_open(model, work, loads, record, k, e)
        loads.opened[k] = loads.value[k] + gain
        for v in range(loads.rows[0]):
            if loads.weight[v, k] > 0.0:
                loads.gained[v, e] += loads.weight[v, k] * gain
    loads.opening[0] = -np.inf
    for v in range(loads.rows[0]):
        loads.opening[0] = max(loads.opening[0], loads.total[v] + loads.gained[v, e])
    reaches: bool = loads.opening[0] >= cutoff
    return reaches


@lean
def process_futures(
    model: Model, work: Work, loads: Loads, record: Record, nodes: Any, iterations: Any, cutoff: float
) -> int:
    """Bound the node in `work.status`; returns the branch to decide next, `LEAF` or `DONE`.

    The bounds of the node above are in `loads.value`.
    """
    while True:
        if not propagate(model, work):
            loads.reached[0] = np.inf
            return DONE
        left = False
        for e in range(len(work.status)):
            left = left or work.status[e] == UNDECIDED
        add_up(loads)
        if not left:
            loads.reached[0] = loads.total[highest(loads)]
            return LEAF
        reached = refresh_all(model, work, loads, iterations, cutoff)
        if nodes == 1:
            add_up(loads)
        loads.reached[0] = loads.total[highest(loads)]
        if reached:
            loads.floor[0] = min(loads.floor[0], loads.reached[0])
            return DONE
        probe_futures(model, work, loads, record, cutoff)
        again = False
        for e in range(len(work.status)):
            if loads.closing[e]:
                work.status[e] = CLOSED
                again = True
        loads.turn[0] = (loads.turn[0] + SAMPLE) % max(loads.used[0], 1)
        if not again:
            branch = divide_at(model, work, loads, nodes, cutoff)
            again = probe_open(model, work, loads, record, branch, cutoff)
            loads.reached[0] = loads.total[highest(loads)]
            if loads.reached[0] >= cutoff:
                loads.floor[0] = min(loads.floor[0], loads.reached[0])
                return DONE
            if not again:
                return branch
            loads.floor[0] = min(loads.floor[0], loads.opening[0])
            work.status[branch] = CLOSED
        iterations = 2


@lean
def bounds_of_futures(model: Model, work: Work, loads: Loads, iterations: int) -> None:
    """Bounds of the node in `work.status` in every future that counts, in `loads.value`; `propagate` was called."""
    for position in range(loads.used[0]):
        refresh(model, work, loads, loads.order[position], iterations, np.inf)
