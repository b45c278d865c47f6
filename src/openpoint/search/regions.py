"""Regions: parts of the grid that are searched separately, so that their node counts add instead of multiplying.

**Parts.** At a node some buses are joined to the sources by closed branches: the supplied part. Without it the live
rest falls into *regions*, which touch each other only in buses of the supplied part, their *hubs*. Seen from a region
all hubs are one bus, so that the radial completions of the node are all combinations of one radial state per region.

**The bound.** Hold y and μ at the buses of the supplied part, and choose a price κ_kh of the squared voltage w_h for
each region k at its hubs h. The bound of `openpoint.search.kernel.bound` is a sum over branches and buses, so it falls
apart:

    loss >= g_0 + Σ_k g_k       g_k: bound of region k, hubs as sources of multipliers y_h, μ_h, where
                                     −A_kh w_h is −(A_kh − κ_kh) w_h
                                g_0: bound of the supplied part, where −A_h w_h is −(A_h + Σ_k κ_kh) w_h

With w_h in a range that holds in all completions of interest, each g_k is bounded for its region alone, and

    loss of any completion >= g_0 + Σ_k min over the states of region k of g_k.

Each of these minima is a topology search of its own, on a smaller grid. Whatever y, μ, κ are, the sum is valid; with
those of a tree (its best multipliers, and κ = A there) the sum over its own states is the exact loss of that tree. So
the sum stays below by what other states of a region gain at these prices, which is little where the supplied part is
strong: that is near the sources, and there most of the power flows.

**Decided branches.** A state of one region is of interest only if it exceeds the region's minimum by no more than the
difference between the cutoff and the sum. Probes with this cutoff decide branches for the whole search.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from openpoint.arrays import Bools, Floats, Ints, States
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, Model, Work, work_for
from openpoint.search.kernel.bookkeeping import counts, enlarged, lowest, operations, pool_for, record_for, states_of
from openpoint.search.kernel.entries import FULL, LEAF, explore, span
from openpoint.search.model.pattern import adjacency, eliminate, pattern
from openpoint.search.region_parts import Parts, parts_of, voltages

WIDE = 1e-3
"""Loss at a hub per squared voltage, times its range, above which the hub joins the regions; share of the value."""
SHARE = 0.5
"""Share of the gap that the searches of all regions together may leave."""
AS_IT_STANDS = -1e300
"""Cutoff that every bound reaches, so that a node is bounded and nothing else is done."""
CHUNK = 64
"""Nodes between two looks at the clock."""
ROUNDING = 1e-12
"""By how much ranges of squared voltages are wider for a certificate, whose checker works them out for itself."""
BY_BRANCH = ("r", "x", "z2", "k_fr", "k_to", "g_fr", "b_fr", "g_to", "b_to", "l_max", "price", "current_price", "swap")
BY_BUS = ("p", "q", "p_span", "q_span", "p_v", "q_v", "p_w", "q_w")


@dataclass(frozen=True)
class Node:
    """A node that was processed once: its arrays, bound, and (m) states, the branching itself undone."""

    work: Work
    bound: float
    status: States


@dataclass(frozen=True)
class Effort:
    """What searches in regions may take: nodes of each, and operations of all together beside `least` nodes of each."""

    nodes: float
    operations: float = math.inf
    least: int = 0


@dataclass(frozen=True)
class Outcome:
    """Result of bounding a node by its regions.

    Attributes:
        bound: no radial state of interest has a lower value. node: with the branches decided in all states below the
            cutoff. closed: (m) the best states of all regions, combined. nodes: of all searches.
    """

    bound: float
    node: Node
    closed: Bools
    nodes: int


def process(model: Model, status: States, y: Floats, mu: Floats, phi: Floats, cutoff: float) -> Node:
    """Process one node from these multipliers; at the cutoff `AS_IT_STANDS` it is only bounded, at just these."""
    work, pool, count = work_for(model), pool_for(model, 2), counts()
    work.status[:] = status
    work.y[:], work.mu[:], work.phi[:] = y, mu, phi
    count.cutoff[0], count.active[0] = cutoff, 1
    explore(model, work, pool, count, record_for(model, 0), 1)
    found = work.status.copy()
    if count.size[0]:
        found[states_of(pool, pool.heap[0], len(found)) != found] = UNDECIDED
    return Node(work, float(count.bound[0]), found)


def restrict(
    model: Model, buses: Ints, hubs: Ints, branches: Ints, worth: Floats, w: tuple[Floats, Floats]
) -> tuple[Model, Ints]:
    """The model of some buses, with hubs as its sources, and the (N') numbers of its buses in the whole model.

    Args:
        worth: (N) cost per squared voltage. w: (N) least and greatest squared voltage of hubs.
    """
    number = np.empty(len(model.p), dtype=np.int64)
    number[np.concatenate([buses, hubs])] = np.arange(len(buses) + len(hubs))
    source = np.arange(len(buses) + len(hubs)) >= len(buses)
    order, columns = eliminate(number[model.fr[branches]], number[model.to[branches]], source)
    n, inner = len(order), buses[order]
    bus = np.concatenate([inner, hubs])
    place = np.empty(len(bus), dtype=np.int32)
    place[order] = np.arange(n)
    number[bus] = np.arange(len(bus))
    a, b = number[model.fr[branches]].astype(np.int32), number[model.to[branches]].astype(np.int32)
    values = {field.name: getattr(model, field.name) for field in fields(model)}
    values |= {name: values[name][branches] for name in BY_BRANCH}
    values |= {name: np.concatenate([values[name][inner], np.zeros(len(hubs))]) for name in BY_BUS}
    values |= {
        "n": n,
        "fr": a,
        "to": b,
        "w_min": np.concatenate([model.w_min[inner], w[0][hubs]]),
        "w_max": np.concatenate([model.w_max[inner], w[1][hubs]]),
        "worth": worth[bus],
        "y_first": np.zeros(len(bus)),
        "zero_impedance": np.flatnonzero(np.isin(branches, model.zero_impedance)).astype(np.int32),
    }
    values |= adjacency(np.minimum(a, n), np.minimum(b, n), n)
    values |= pattern(a, b, [np.sort(place[column]) for column in columns])
    return Model(**values), bus


class Region:
    """A topology search in one region; its states are valued by their bound g, without a power flow."""

    def __init__(self, model: Model, bus: Ints, branches: Ints, root: Node, held: Node, far: float) -> None:
        """`root`: the node. `held`: the tree whose multipliers are held at the hubs. `far`: range of g of interest."""
        self.model, self.bus, self.branches = model, bus, branches
        inner = np.arange(len(bus)) < model.n
        y = np.where(inner, root.work.y[bus], held.work.y[bus])
        mu = np.where(inner, root.work.mu[bus], held.work.mu[bus])
        self.begin = root.status[branches], y, mu, held.work.phi[bus]
        self.closed = held.status[branches] == CLOSED
        self.held = _multipliers(held, bus)
        self.far = far + process(model, held.status[branches], *self.held, AS_IT_STANDS).bound
        self.best = self.worth(self.closed)
        self.bound, self.nodes, self.operations = -np.inf, 0, 0
        self.work, self.pool, self.count = work_for(model), pool_for(model, 64), counts()
        self.work.status[:], self.work.y[:], self.work.mu[:], self.work.phi[:] = self.begin
        self.count.active[0] = 1

    def worth(self, closed: Bools) -> float:
        """The value g of a state, starting from the held multipliers: those of the node may be too different."""
        state = np.where(closed, CLOSED, OPEN).astype(np.int8)
        return process(self.model, state, *self.held, self.far).bound

    def search(self, tolerance: float, most: Effort, over: Callable[[], bool]) -> None:
        """Find the least g of the region's states to a tolerance, with `most` effort in all, or hardly more."""
        work, count, record = self.work, self.count, record_for(self.model, 0)
        count.cutoff[0] = self.best - tolerance
        while not over() and self.nodes < most.nodes and (count.active[0] or count.size[0]):
            if self.operations >= most.operations and self.nodes >= most.least:
                break
            event = explore(self.model, work, self.pool, count, record, CHUNK)
            self.nodes = int(count.nodes[0])
            self.operations = operations(self.model, count, self.nodes)
            if event == FULL:
                self.pool = enlarged(self.pool)
            elif event == LEAF:
                count.active[0] = 0
                closed = work.status == CLOSED
                value = max(float(count.bound[0]), self.worth(closed))
                count.floor[0] = min(count.floor[0], value)
                if value < self.best:
                    self.best, self.closed = value, closed
                    count.cutoff[0] = value - tolerance
        self.bound = min(lowest(count, self.pool), float(count.cutoff[0]))

    def decide(self, cutoff: float) -> States | None:
        """(m') branches that are decided in all states with g below a cutoff; None where there is no such state."""
        self.nodes += 1
        node = process(self.model, *self.begin, cutoff)
        return None if node.bound >= cutoff else node.status


@dataclass(frozen=True)
class Division:
    """A node that is divided, with the multipliers of a tree held in its supplied part.

    Attributes:
        parts: of the node. apart: (N) buses that are left to regions, though closed branches join them to the sources.
        regions: of `parts`, in this order. supplied: the supplied part, bounded. buses: (N') its buses in the whole
            model. held: the tree whose multipliers are held. tree: (m) the same.
    """

    parts: Parts
    apart: Bools
    regions: list[Region]
    supplied: Node
    buses: Ints
    held: Node
    tree: Bools


def divided(
    model: Model, root: Node, closed: Bools, value: float, loss: float, digits: tuple[int, int] | None = None
) -> Division | None:
    """Divide a node; None where it has fewer than two regions with anything to decide.

    Args:
        closed, value, loss: as of `by_regions`. digits: binary digits of multipliers that are held, and of prices at
            hubs, for a certificate, in which ranges are a little wider, too.
    """
    size = len(model.p)
    nothing = np.zeros(size), np.zeros(size), np.zeros(size)
    work = work_for(model)
    work.status[:] = root.status
    if not span(model, work, np.argsort(~closed, kind="stable").astype(np.int32)):
        return None
    tree = work.status == CLOSED
    state = np.where(tree, CLOSED, OPEN).astype(np.int8)
    held = process(model, state, *nothing, value + abs(value))
    for values in (held.work.y, held.work.mu):  # open nodes store half the digits; these must not change
        values[:] = (values if digits is None else _rounded(values, digits[0])).astype(np.float32)

    usable = np.ones(size, dtype=np.bool_)
    while True:
        parts = parts_of(model, root.status, usable)
        branches = [np.flatnonzero(some) for some in parts.branches(model, root.status)]
        w = voltages(model, parts, branches, held.work, loss)
        wide = parts.supplied & (np.abs(held.work.gain) * (w[1] - w[0]) > WIDE * abs(value))
        wide[model.n :] = False
        if not wide.any():
            break
        usable &= ~wide
    loose = [bool(np.any(root.status[some] == UNDECIDED)) for some in branches]
    if sum(loose) < 2:
        return None
    if digits is not None:
        inner = np.arange(size) < model.n
        w = np.where(inner, w[0] - ROUNDING, w[0]), np.where(inner, w[1] + ROUNDING, w[1])

    regions: list[Region] = []
    worth, own = np.zeros(size), np.where(parts.supplied, 0.0, model.worth)
    for k, some in enumerate(branches):
        buses, hubs = np.flatnonzero(parts.region == k), parts.hubs(model, some)
        part, bus = restrict(model, buses, hubs, some, own, w)
        there = process(part, state[some], *_multipliers(held, bus), AS_IT_STANDS).work.gain
        there = there if digits is None else _rounded(there, digits[1])
        at_hubs = np.arange(len(bus)) >= part.n
        worth[bus[at_hubs]] += there[at_hubs]
        regions.append(
            Region(replace(part, worth=np.where(at_hubs, there, part.worth)), bus, some, root, held, abs(value))
        )
    inside = np.flatnonzero((root.status == CLOSED) & parts.supplied[model.fr] & parts.supplied[model.to])
    buses, sources = np.flatnonzero(parts.supplied[: model.n]), np.arange(model.n, size)
    part, bus = restrict(model, buses, sources, inside, model.worth - worth, (model.w_min, model.w_max))
    supplied = process(part, state[inside], *_multipliers(held, bus), AS_IT_STANDS)
    if not all(np.array_equal(a, b) for a, b in zip(_multipliers(supplied, slice(None)), _multipliers(held, bus))):
        return None  # no bound at these multipliers, so that others were tried, which the regions do not have
    return Division(parts, ~usable, regions, supplied, bus, held, tree)


def by_regions(
    model: Model,
    status: States,
    closed: Bools,
    value: float,
    loss: float,
    cutoff: float,
    most: tuple[Effort, ...],
    over: Callable[[], bool],
    goal: float = math.inf,
) -> Outcome | None:
    """Search a node by its regions; None where it has fewer than two, or one is left without a bound.

    Args:
        status: (m) states of the branches at the node. closed: (m) the best radial state known.
        value: of this state. loss: greatest loss of the states with at most this value.
        cutoff: states of interest have a lower value.
        most: effort of the searches in regions, the smallest ones first, and with which they go on where the bound is
            above the goal. over: called regularly; True stops.
    """
    nothing = np.zeros(len(model.p))
    root = process(model, status, nothing, nothing, nothing, cutoff)
    if root.bound >= cutoff:
        return Outcome(root.bound, root, closed, 1)
    division = divided(model, root, closed, value, loss)
    if division is None:
        return None
    regions, bound = division.regions, -np.inf
    tolerance = SHARE * (value - cutoff) / len(regions)
    for effort in most:
        spent = 0
        for region in sorted(regions, key=lambda region: len(region.branches)):
            region.search(tolerance, replace(effort, operations=effort.operations - spent), over)
            spent += region.operations
        bound = division.supplied.bound + sum(region.bound for region in regions)
        if not goal < bound < cutoff:
            break
    if not np.isfinite(bound):  # some part is not bounded by any multipliers
        return None
    found, chosen = root.status.copy(), division.tree.copy()
    for region in regions:
        chosen[region.branches] = region.closed
        decided = region.decide(cutoff - bound + region.bound)
        if decided is None:
            bound = cutoff
            break
        found[region.branches] = decided
    nodes = 1 + sum(region.nodes for region in regions)
    return Outcome(bound, replace(root, status=found), chosen, nodes)


def _rounded(values: Floats, digits: int) -> Floats:
    """The nearest multiples of 2^-`digits`."""
    return np.asarray(np.rint(np.ldexp(values, digits)) * 2.0**-digits, dtype=np.float64)


def _multipliers(node: Node, bus: Ints | slice) -> tuple[Floats, Floats, Floats]:
    """Multipliers of some buses at a node."""
    return node.work.y[bus], node.work.mu[bus], node.work.phi[bus]
