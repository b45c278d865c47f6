"""A branch-and-bound tree as a checker goes through it: the current node, and the open sides still to be checked.

Regions: a node whose parts are bounded one by one, each by a tree of its own.

Buses that closed branches join to the sources are *supplied*, as far as they are asked to be. The branches that are not
open at other buses fall into *regions*, whose only common buses are supplied ones, their *hubs*. As the supplied part
is one tree, the radial states of the node are all combinations of one state for each region, radial if its hubs are
taken for one bus.

**The bound.** That of `openpoint.verify.fixed_point` adds terms of branches and of buses. Give all supplied buses h
multipliers y_h, μ_h once for all states, and regions k at their hubs prices κ_kh of w_h, which are added in the region
and subtracted in the supplied part. So for every state of the node

    loss = g_0 + Σ g_k      g_k >= the bound of region k with any multipliers of its own, its hubs being sources with
                                   y_h, μ_h, where −A_h w_h is −(A_h − κ_kh) w_h, w_h in its range
                            g_0 >= the same of the supplied part, where −A_h w_h is −(A_h + Σ κ_kh) w_h

and bounds of the regions, each valid for all its states, add up: g_0 + Σ_k min g_k is a bound of the node.

**Ranges at hubs.** It suffices that no state with a loss below the bound claimed, L, has less. Let w_j = w_i −
2 (r p + x q) + |z|² l at a branch of the supplied part from i down to j, where p − r l and q − x l arrive. It falls by
2 (r (p − r l) + x (q − x l)) + |z|² l, so by 2 (r P + x Q) at least, P and Q the least that may be drawn beyond; and by
2 (r p + x q) at most, p and q the most that may be drawn beyond and all losses, of which the active ones are L at most,
the reactive ones L max x / r. Beyond are the supplied buses below, and of each region all buses, if all its hubs are
below, or any of them. This requires r, x >= 0.

Covered are losses of loads of constant power, without outputs to choose, shunts and ratios.

Theory: docs/methods.md M13.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from openpoint.arrays import States
from openpoint.verify.claim import Claim
from openpoint.verify.data import Data
from openpoint.verify.fixed_point import COARSE, Held, NodeBound, Undecided
from openpoint.verify.graph import CLOSED, FREE, OPEN, Graph
from openpoint.verify.lines import (
    Apply,
    Bound,
    ByRegions,
    From,
    Given,
    Line,
    Multipliers,
    Nothing,
    OfRegion,
    Probe,
    Sizes,
    Split,
)
from openpoint.verify.schema import CertificateError


@dataclass
class State:
    """The state of a node.

    Attributes:
        status: of the branches. values: by future a bound of its loss.
        closings: branches that cannot be open, to be closed together. tried: by future and branch how often it was
            bounded since the node began or branches were closed. opened: by branch that may not be, bounds of
            futures with it open. alive: whether a radial state is left.
    """

    status: States
    values: dict[int, int]
    closings: set[int] = field(default_factory=set)
    opened: dict[int, dict[int, int]] = field(default_factory=dict)
    tried: Counter[tuple[int, int | None]] = field(default_factory=Counter)
    alive: bool = True


class Tree:
    """The nodes of a tree.

    Attributes:
        node: number of the current one, from 1. state: of it; None where it is done. waiting: by node the side that it
            has left open.
    """

    def __init__(self, graph: Graph, first: State) -> None:
        self.graph, self.waiting, self.node = graph, dict[int, State](), 0
        self.state: State | None = None
        self.enter(first)

    @property
    def done(self) -> bool:
        """Whether no node is left."""
        return self.state is None and not self.waiting

    @property
    def here(self) -> State:
        """The state of the current node."""
        assert self.state is not None
        return self.state

    def step(self, line: Line) -> bool:
        """Follow a line without a bound; whether it is one.

        Raises:
            CertificateError: it does not hold at the current node.
        """
        if (self.state is None) != isinstance(line, From):
            raise CertificateError(f"'{line.word}' where a node {'is done' if self.state is None else 'is not'}")
        if isinstance(line, From):
            if line.node not in self.waiting:
                raise CertificateError(f"node {line.node} has no open side left")
            self.enter(self.waiting.pop(line.node))
            return True
        here = self.here
        if not here.alive and not isinstance(line, Nothing):
            raise CertificateError("no radial state is left here, and the line says otherwise")
        if isinstance(line, Probe | Split) and not self.is_free(line.branch):
            raise CertificateError(f"branch {line.branch} is decided already, or probed")
        if isinstance(line, Nothing) and not here.alive:
            self.state = None
        elif isinstance(line, Split):
            other = self.with_open(line.branch)
            here.status[line.branch] = CLOSED
            self.leave(State(other, here.values | here.opened.get(line.branch, {})))
        elif isinstance(line, Apply):
            if not here.closings:
                raise CertificateError("there is nothing to close: no branch was probed")
            here.status[list(here.closings)] = CLOSED
            self._follow()
        else:
            return False
        return True

    def asked(self, line: Bound | Probe) -> States:
        """The states of the branches in which a bound has to be reached."""
        return self.here.status if isinstance(line, Bound) else self.with_open(line.branch)

    def accept(self, line: Bound | Probe) -> None:
        """Go on after a bound that is reached."""
        if isinstance(line, Bound):
            self.state = None
        else:
            self.here.closings.add(line.branch)

    def enter(self, state: State) -> None:
        """Go on to the next node."""
        self.node += 1
        self.state = state
        self._follow()

    def _follow(self) -> None:
        """Work out what follows from the graph, and forget what was tried."""
        here = self.here
        here.closings, here.opened, here.alive = set(), {}, self.graph.consequences(here.status)
        here.tried.clear()

    def leave(self, other: State) -> None:
        """Go on with the current node where it has left a side open."""
        self.waiting[self.node] = other
        self.enter(self.here)

    def is_free(self, branch: int) -> bool:
        """Whether this branch is undecided here, and not to be closed."""
        return bool(self.here.status[branch] == FREE) and branch not in self.here.closings

    def with_open(self, branch: int) -> States:
        """The states of the branches with this one open."""
        status = self.here.status.copy()
        status[branch] = OPEN
        return status

    @property
    def decided(self) -> bool:
        """Whether no branch is undecided here."""
        return not bool(np.any(self.here.status == FREE))


DIGITS = 64
"""Binary digits of rounded voltages."""
Pair = tuple[Fraction, Fraction]
BY_BRANCH = ("r", "x", "tap", "g", "b", "g_open_fr", "b_open_fr", "g_open_to", "b_open_to", "l_max", "price")
LOADS = ("p", "q", "p_span", "q_span", "p_v", "q_v", "p_w", "q_w")


def obstacles(data: Data) -> list[str]:
    """What a grid has for which no regions are covered."""
    shunts = (*data.g, *data.b, *data.g_open_fr, *data.b_open_fr, *data.g_open_to, *data.b_open_to)
    found = {
        "outputs to choose": any((*data.p_span, *data.q_span)),
        "loads that depend on the voltage": any((*data.p_v, *data.q_v, *data.p_w, *data.q_w)),
        "shunts": any(shunts),
        "ratios": any(tap != 1 for tap in data.tap),
        "negative impedances": min((*data.r, *data.x), default=0) < 0,
    }
    return [what for what, there in found.items() if there]


@dataclass(frozen=True)
class Parts:
    """The supplied part of a node and its regions.

    Attributes:
        supplied: numbers of its buses, ascending. inside: of its branches, all of them closed. region: by bus the
            number of its region, -1 in the supplied part. buses, hubs, branches: by region, ascending; regions are
            numbered by their first bus.
    """

    supplied: list[int]
    inside: list[int]
    region: list[int]
    buses: list[list[int]]
    hubs: list[list[int]]
    branches: list[list[int]]


def parts_of(graph: Graph, status: Sequence[int], apart: set[int]) -> Parts:
    """The parts of a node; buses in `apart`, and what is joined to the sources through them only, are not supplied.

    Raises:
        CertificateError: a branch between supplied buses is undecided, or a region has no hub.
    """
    live = [e for e, state in enumerate(status) if state != OPEN]
    ends = graph.around([e for e in live if status[e] == CLOSED])
    supplied, waiting = set(graph.sources), sorted(graph.sources)
    while waiting:
        for _, other in ends[waiting.pop()]:
            if other not in supplied and other not in apart:
                supplied.add(other)
                waiting.append(other)
    ways = graph.around([e for e in live if graph.fr[e] not in supplied and graph.to[e] not in supplied])
    region, buses = [-1] * graph.n, list[list[int]]()
    for first in range(graph.n):
        if first in supplied or region[first] >= 0:
            continue
        region[first], some = len(buses), [first]
        for bus in some:
            for _, other in ways[bus]:
                if region[other] < 0:
                    region[other] = len(buses)
                    some.append(other)
        buses.append(sorted(some))
    inside, branches = list[int](), [list[int]() for _ in buses]
    hubs = [set[int]() for _ in buses]
    for e in live:
        a, b = graph.fr[e], graph.to[e]
        k = max(region[a], region[b])
        if k < 0:
            inside.append(e)
            continue
        branches[k].append(e)
        hubs[k].update({a, b} & supplied)
    if any(status[e] != CLOSED for e in inside) or not all(hubs):
        raise CertificateError("a branch between supplied buses is undecided, or a region has no hub")
    return Parts(sorted(supplied), inside, region, buses, [sorted(some) for some in hubs], branches)


def ranges(data: Data, graph: Graph, parts: Parts, lost: Fraction) -> list[Pair]:
    """By bus the least and greatest squared voltages of the states with a loss of at most `lost`."""
    live = [*parts.inside, *(e for some in parts.branches for e in some)]
    lossy = [_up(data.x[e] / data.r[e]) if data.r[e] else None for e in live if data.r[e] or data.x[e]]
    known = None not in lossy  # else reactive losses have no bound
    more = lost, lost * max((rate for rate in lossy if rate is not None), default=Fraction(0))
    below = list(data.p), list(data.q)
    met: dict[int, dict[int, int]] = {j: {} for j in parts.supplied}
    for k, hubs in enumerate(parts.hubs):
        for hub in hubs:
            met[hub][k] = 1
    states = [OPEN] * len(graph.fr)
    for e in parts.inside:
        states[e] = CLOSED
    order = [row for row in graph.directed(states, set(), [0] * graph.n) if row[1] >= 0]
    for bus, above, _ in reversed(order):
        for side in below:
            side[above] += side[bus]
        for k, number in met[bus].items():
            met[above][k] = met[above].get(k, 0) + number
    found = list(zip(data.w_min, data.w_max, strict=True))
    for bus, above, e in order:
        fall_least, fall_most = Fraction(0), Fraction(0)
        for z, power, side, extra in zip((data.r[e], data.x[e]), (data.p, data.q), below, more, strict=True):
            least = most = side[bus]
            for k, number in met[bus].items():
                some, every = [power[j] for j in parts.buses[k]], number == len(parts.hubs[k])
                least += sum((p for p in some if every or p < 0), Fraction(0))
                most += sum((p for p in some if every or p > 0), Fraction(0))
            fall_least += 2 * z * least
            fall_most += 2 * z * (most + extra)
        low, high = found[bus]
        if known or not data.x[e]:
            low = max(low, _up(found[above][0] - fall_most, above=False))
        found[bus] = low, min(high, _up(found[above][1] - fall_least))
    return found


def _up(value: Fraction, above: bool = True) -> Fraction:
    """Rounded up, or down."""
    scaled = value * (1 << DIGITS)
    return Fraction(math.ceil(scaled) if above else math.floor(scaled), 1 << DIGITS)


def part_of(data: Data, graph: Graph, buses: list[int], sources: list[int], branches: list[int]) -> tuple[Data, Graph]:
    """The data and the graph of some branches and buses, which are numbered within the part, ascending."""
    bus = sorted([*buses, *sources])
    number = {j: k for k, j in enumerate(bus)}
    columns: dict[str, Any] = {name: [getattr(data, name)[e] for e in branches] for name in BY_BRANCH}
    columns |= {name: [getattr(data, name)[j] for j in bus] for name in (*LOADS, "w_min", "w_max", "worth")}
    fr, to = ([number[side[e]] for e in branches] for side in (graph.fr, graph.to))
    fresh = {k for k, e in enumerate(branches) if e in graph.fresh}
    within = Graph(len(bus), fr, to, {number[j] for j in sources}, fresh, graph.most)
    return replace(data, **columns), within


class Region:
    """The tree of a region, in which branches and buses are numbered within it.

    Attributes:
        bound: what no state of the region has less than, once the tree is done. tree: its nodes.
    """

    def __init__(self, bound: NodeBound, goal: Fraction, status: States) -> None:
        self.bounds, self.bound = bound, goal
        self.tree = Tree(bound.graph, State(status, {}))

    def line(self, line: Line, is_mine: Callable[[], bool]) -> None:
        """Check a line of the tree."""
        tree = self.tree
        if tree.step(line):
            return
        if not isinstance(line, Bound | Probe) or line.given is None:
            raise CertificateError(f"'{line.word}' does not hold in a region")
        self.bounds.given.take(line.given)
        if is_mine() and not self.bounds.reached(tree.asked(line)):
            raise Undecided("the bound of these multipliers does not reach the bound claimed of the region")
        tree.accept(line)


class Regions:
    """The parts of a node, whose regions follow one after the other.

    Attributes:
        nodes: of all their trees.
    """

    def __init__(self, claim: Claim, data: Data, status: States, line: ByRegions) -> None:
        """
        Raises:
            CertificateError: regions do not cover the grid, or the parts are none.
        """
        if why := obstacles(data):
            raise CertificateError(f"regions do not cover a grid with {', '.join(why)}")
        self.claim, self.data, self.status, self.nodes = claim, data, status, 0
        self.parts = parts_of(claim.graph, status.tolist(), set(line.apart))
        self.held = Multipliers(claim.graph.n)
        self.held.take(line.given)
        self.w = ranges(data, claim.graph, self.parts, max(claim.goal, Fraction(0)))
        self.worth = [Fraction(0)] * claim.graph.n
        self.total, self.begun = Fraction(0), 0
        self.region: Region | None = None

    def line(self, line: Line, is_mine: Callable[[], bool]) -> bool:
        """Check a line; whether it is the last one, and the bounds add up to the one claimed.

        Raises:
            CertificateError: it does not hold, or they do not.
        """
        if self.region is None:
            if not isinstance(line, OfRegion):
                raise CertificateError(f"'{line.word}' where a region begins")
            self.region = self._region(line)
            return False
        self.region.line(line, is_mine)
        if not self.region.tree.done:
            return False
        self.total += self.region.bound
        self.nodes += self.region.tree.node
        self.region, self.begun = None, self.begun + 1
        if self.begun < len(self.parts.buses):
            return False
        if self.total + self._supplied() < self.claim.goal:
            raise Undecided("the bounds of the regions do not add up to the bound claimed")
        return True

    @property
    def sizes(self) -> Sizes | None:
        """Of the region whose tree goes on; None where the next one begins."""
        graph = None if self.region is None else self.region.tree.graph
        return None if graph is None else Sizes(graph.n, len(graph.fr), 0)

    def _region(self, line: OfRegion) -> Region:
        """The next region; its prices are those of the hubs, times 2^`COARSE`."""
        k, goal = self.begun, Fraction(line.bound)
        buses, hubs, branches = self.parts.buses[k], self.parts.hubs[k], self.parts.branches[k]
        if len(line.prices) != len(hubs):
            raise CertificateError(f"the region has {len(hubs)} hubs, not {len(line.prices)}")
        kappa = {hub: Fraction(price, 1 << COARSE) for hub, price in zip(hubs, line.prices, strict=True)}
        for hub, price in kappa.items():
            self.worth[hub] -= price
        data, n = self.data, self.claim.graph.n
        columns: dict[str, Any] = {
            name: [Fraction(0) if j in kappa else value for j, value in enumerate(getattr(data, name))]
            for name in LOADS
        }
        columns |= {
            name: [self.w[j][side] if j in kappa else value for j, value in enumerate(getattr(data, name))]
            for side, name in enumerate(("w_min", "w_max"))
        }
        columns["worth"] = [kappa.get(j, Fraction(0)) for j in range(n)]
        part, graph = part_of(replace(data, **columns), self.claim.graph, buses, hubs, branches)
        up = COARSE - self.held.bits
        firm = [
            [int(values[j]) << up if j in kappa else 0 for j in sorted([*buses, *hubs])]
            for values in (self.held.y, self.held.mu)
        ]
        of = NodeBound(part, graph, goal, Held(*firm))
        return Region(of, goal, self.status[branches].copy())

    def _supplied(self) -> Fraction:
        """The bound of the supplied part."""
        graph, parts, held = self.claim.graph, self.parts, self.held
        sources = sorted(graph.sources)
        buses = [j for j in parts.supplied if j not in graph.sources]
        part, within = part_of(replace(self.data, worth=self.worth), graph, buses, sources, parts.inside)
        nothing = Held([0] * within.n, [0] * within.n)
        of = NodeBound(part, within, self.claim.goal, nothing)
        number = {j: k for k, j in enumerate(parts.supplied)}
        phi, near = ({number[j]: value for j, value in some.items() if j in number} for some in (held.phi, held.near))
        of.given.take(Given(held.bits, held.y[parts.supplied], held.mu[parts.supplied], [], phi, near))
        found = of.value(np.full(len(parts.inside), CLOSED, dtype=np.int8))
        if found is None:
            raise Undecided("the supplied part has no bound")
        return found
