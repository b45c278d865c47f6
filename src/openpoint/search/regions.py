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

The supplied part and the regions of a node (`openpoint.search.regions`), and the voltages that states have at hubs.

**Ranges.** Down the supplied part w falls by 2 (r p + x q) − |z|² l. What arrives at the far end of a branch is at
least the least demand that may lie beyond it, what leaves at the near end at most the greatest and the losses, which
the value of the best state known limits. A region counts whole where all its hubs lie beyond the branch, else for any
part of its buses. Hubs whose range is too wide are left to the regions.

Theory: docs/methods.md M13.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from openpoint.arrays import Bools, Floats, Ints, States
from openpoint.graph import components
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, Model, Work, work_for
from openpoint.search.kernel.bookkeeping import states_of
from openpoint.search.kernel.entries import span
from openpoint.search.model.build import adjacency, eliminate, pattern
from openpoint.search.tree import PlainTree, grow


@dataclass(frozen=True)
class Parts:
    """The supplied part and the regions of a node.

    Attributes:
        supplied: (N) buses of the supplied part. region: (N) number of the region, -1 in the supplied part.
        count: number of regions.
    """

    supplied: Bools
    region: Ints
    count: int

    def branches(self, model: Model, status: States) -> list[Bools]:
        """(m) branches of each region that are not open, including those to its hubs."""
        one = np.maximum(self.region[model.fr], self.region[model.to])
        return [(status != OPEN) & (one == k) for k in range(self.count)]

    def hubs(self, model: Model, branches: Ints) -> Ints:
        """Buses of the supplied part at these branches."""
        ends = np.unique(np.concatenate([model.fr[branches], model.to[branches]]))
        return np.asarray(ends[self.supplied[ends]], dtype=np.int64)


def parts_of(model: Model, status: States, usable: Bools) -> Parts:
    """The parts of a node; the supplied part contains only buses that are `usable`, (N), or reached from such."""
    n, size = model.n, len(model.p)
    fr, to = np.minimum(model.fr, n), np.minimum(model.to, n)
    through = (status == CLOSED) & usable[model.fr] & usable[model.to]
    label = components(size, fr[through], to[through])
    supplied = label == label[n]
    supplied[n:] = True
    apart = (status != OPEN) & ~supplied[model.fr] & ~supplied[model.to]
    label = components(size, model.fr[apart], model.to[apart])
    region = np.full(size, -1)
    names, number = np.unique(label[~supplied], return_inverse=True)
    region[~supplied] = number
    return Parts(supplied, region, len(names))


def voltages(model: Model, parts: Parts, branches: list[Ints], tree: Work, loss: float) -> tuple[Floats, Floats]:
    """(N) least and greatest squared voltages in the supplied part, in any completion with a loss of at most `loss`.

    Args:
        branches: of each region. tree: a completion of the node, with its forest.
    """
    ends = np.concatenate([model.fr, model.to])
    low, high = np.zeros((2, len(model.p))), np.zeros((2, len(model.p)))
    v = np.sqrt(model.w_max)
    by_bus = ((model.p, model.p_span, model.p_v, model.p_w), (model.q, model.q_span, model.q_v, model.q_w))
    for k, (power, more, current, steady) in enumerate(by_bus):
        low[k] = power + np.minimum(0.0, current) * v + np.minimum(0.0, steady) * model.w_max
        high[k] = power + more + np.maximum(0.0, current) * v + np.maximum(0.0, steady) * model.w_max
        at_fr, at_to = ((model.g_fr, model.g_to), (-model.b_fr, -model.b_to))[k]
        taken = np.concatenate([at_fr * model.k_fr, at_to * model.k_to]) * model.w_max[ends]
        np.add.at(low[k], ends, np.minimum(0.0, taken))
        np.add.at(high[k], ends, np.maximum(0.0, taken))
    lossy = np.divide(model.x, model.r, out=np.where(model.x > 0.0, np.inf, 0.0), where=model.r > 0.0)
    lost = np.array([loss, loss * float(lossy.max(initial=0.0))]) if loss > 0.0 else np.zeros(2)
    least, most = model.w_min.copy(), model.w_max.copy()
    if not model.passive:
        return least, most
    hubs = [parts.hubs(model, some) for some in branches]
    # Beyond a bus: least and greatest demand of the supplied part, and the number of hubs of each region.
    beyond_low, beyond_high = low.T * parts.supplied[:, None], high.T * parts.supplied[:, None]
    met: list[dict[int, int]] = [{} for _ in model.p]
    for k, some in enumerate(hubs):
        for hub in some.tolist():
            met[hub][k] = 1
    inside = [parts.region == k for k in range(parts.count)]
    whole = [(low[:, some].sum(axis=1), high[:, some].sum(axis=1)) for some in inside]
    any_part = [
        (np.minimum(low[:, some], 0.0).sum(axis=1), np.maximum(high[:, some], 0.0).sum(axis=1)) for some in inside
    ]
    order = [bus for bus in tree.order.tolist() if parts.supplied[bus]]
    for bus in reversed(order):
        if (above := int(tree.parent[bus])) >= 0:
            beyond_low[above] += beyond_low[bus]
            beyond_high[above] += beyond_high[bus]
            for k, number in met[bus].items():
                met[above][k] = met[above].get(k, 0) + number
    for bus in order:
        if (above := int(tree.parent[bus])) < 0:
            continue
        e = int(tree.edge[bus])
        down = model.fr[e] == above
        k_above, k_bus = (model.k_fr[e], model.k_to[e]) if down else (model.k_to[e], model.k_fr[e])
        some, all_of = beyond_low[bus].copy(), beyond_high[bus] + lost
        for k, number in met[bus].items():
            few, many = whole[k] if number == len(hubs[k]) else any_part[k]
            some += few
            all_of += many
        z = model.r[e], model.x[e]
        greatest = sum(2.0 * a * float(b) for a, b in zip(z, all_of) if a > 0.0)  # the losses may be unbounded
        smallest = sum(2.0 * a * float(b) for a, b in zip(z, some))
        least[bus] = max(least[bus], (k_above * least[above] - greatest) / k_bus)
        most[bus] = min(most[bus], (k_above * most[above] - smallest) / k_bus)
    return least, most


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
    tree = PlainTree(model, rows=2)
    work = tree.work
    work.status[:] = status
    work.y[:], work.mu[:], work.phi[:] = y, mu, phi
    tree.begin(cutoff)
    tree.process_one()
    found = work.status.copy()
    if tree.counts.size[0]:
        found[states_of(tree.pool, tree.pool.heap[0], len(found)) != found] = UNDECIDED
    return Node(work, float(tree.counts.bound[0]), found)


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
        self.bound, self.more = -np.inf, 0
        self.tree = PlainTree(model)
        work = self.tree.work
        work.status[:], work.y[:], work.mu[:], work.phi[:] = self.begin
        self.tree.begin(np.inf)

    def worth(self, closed: Bools) -> float:
        """The value g of a state, starting from the held multipliers: those of the node may be too different."""
        state = np.where(closed, CLOSED, OPEN).astype(np.int8)
        return process(self.model, state, *self.held, self.far).bound

    def search(self, tolerance: float, most: Effort, over: Callable[[], bool]) -> None:
        """Find the least g of the region's states to a tolerance, with `most` effort in all, or hardly more."""
        tree = self.tree
        tree.counts.cutoff[0] = self.best - tolerance

        def enough() -> bool:
            spent = tree.operations >= most.operations and tree.nodes >= most.least
            return over() or tree.nodes >= most.nodes or spent

        def leaf(status: States) -> None:
            closed = status == CLOSED
            value = max(float(tree.counts.bound[0]), self.worth(closed))
            tree.counts.floor[0] = min(tree.counts.floor[0], value)
            if value < self.best:
                self.best, self.closed = value, closed
                tree.counts.cutoff[0] = value - tolerance

        if not enough():
            grow(tree, leaf, enough, piece=lambda: CHUNK)
        self.bound = min(tree.lowest, tree.cutoff)

    @property
    def nodes(self) -> int:
        """Nodes so far."""
        return self.tree.nodes + self.more

    def decide(self, cutoff: float) -> States | None:
        """(m') branches that are decided in all states with g below a cutoff; None where there is no such state."""
        self.more += 1
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
            spent += region.tree.operations
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
