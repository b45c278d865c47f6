"""Compiled: what follows from the states of branches by the graph alone, and bounds with one branch more open."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.compiled.jit import compiled, inlined
from openpoint.search.phases.bound import Squares, lower
from openpoint.search.phases.deviation import Ranges, Sizes, deviate, exceed, no_ranges, sizes_for
from openpoint.search.phases.flow import CHANGE, CLOSED, LOOP, OPEN, UNDECIDED, Trees, forest, swept, trees_for
from openpoint.search.phases.model import Blocks
from openpoint.search.phases.multipliers import Pattern, opened, rise, settle


class Graph(NamedTuple):
    """Room of a search for bridges: (n) integers each."""

    leader: Ints
    stack: Ints
    least: Ints
    number: Ints
    position: Ints
    above: Ints


def graph_for(blocks: Blocks) -> Graph:
    """Empty arrays for a grid."""
    return Graph(*(np.zeros(len(blocks.has), dtype=np.int64) for _ in range(6)))


@inlined
def _leader(leader: Ints, bus: int) -> int:
    while leader[bus] != bus:
        leader[bus] = leader[leader[bus]]
        bus = leader[bus]
    return bus


@compiled
def propagate(blocks: Blocks, status: States, graph: Graph) -> bool:
    """Open what would close a loop and close bridges, until nothing follows; False where no radial state is left."""
    while True:
        if not _join(blocks, status, graph):
            return False
        changed, fed = _bridges(blocks, status, graph)
        if not fed:
            return False
        if not changed:
            return True


@inlined
def _join(blocks: Blocks, status: States, graph: Graph) -> bool:
    """Open the undecided branches whose ends closed ones join; False where closed ones make a loop."""
    source = -1
    for b in range(len(blocks.has)):
        graph.leader[b] = b
        if blocks.is_source[b]:
            source = b if source < 0 else source
            graph.leader[b] = source
    for wanted in (CLOSED, UNDECIDED):
        for e in range(len(status)):
            if status[e] != wanted:
                continue
            a, b = _leader(graph.leader, blocks.fr[e]), _leader(graph.leader, blocks.to[e])
            if a == b and wanted == CLOSED:
                return False
            if a == b:
                status[e] = OPEN
            elif wanted == CLOSED:
                graph.leader[a] = b
    return True


@inlined
def _bridges(blocks: Blocks, status: States, graph: Graph) -> tuple[bool, bool]:
    """Close undecided bridges (Tarjan 1974); whether any was, and whether all buses are reached from sources."""
    n, count, clock, changed = len(blocks.has), 0, 1, False
    number, least, position, above, stack = graph.number, graph.least, graph.position, graph.above, graph.stack
    for b in range(n):
        number[b] = -1
        if blocks.is_source[b]:
            number[b] = least[b] = 0
            count += 1
    for source in range(n):
        if not blocks.is_source[source]:
            continue
        stack[0], position[source], above[source], depth = source, blocks.start[source], -1, 1
        while depth > 0:
            a = stack[depth - 1]
            if position[a] < blocks.start[a + 1]:
                e = blocks.around[position[a]]
                position[a] += 1
                if status[e] == OPEN or status[e] == LOOP or e == above[a]:
                    continue
                b = blocks.to[e] if blocks.fr[e] == a else blocks.fr[e]
                if number[b] < 0:
                    number[b] = least[b] = clock
                    clock += 1
                    count += 1
                    above[b], position[b], stack[depth] = e, blocks.start[b], b
                    depth += 1
                else:
                    least[a] = min(least[a], number[b])
            else:
                depth -= 1
                if depth > 0:
                    parent, e = stack[depth - 1], above[a]
                    least[parent] = min(least[parent], least[a])
                    if least[a] > number[parent] and status[e] == UNDECIDED:
                        status[e] = CLOSED
                        changed = True
    return changed, count == n


PROBE_SHARE = 0.7
"""Share of what a bound lacks to the cutoff from which on the estimate of a probe is worth the probe."""
TRIES, IN_VAIN = 32, 8
"""Branches that are tried at a node, at most, and after how many in a row without a better score no more are."""
LEAST_GAIN = 0.01
"""Least gain in the score, as a share of the gap to the cutoff; with a gain of 0 the product of both would be 0."""


@inlined
def copy_matrix(matrix: Complexes, into: Complexes) -> None:
    """Copy a matrix of three columns; slice assignments need more of numba."""
    for k in range(len(matrix)):
        for j in range(3):
            into[k, j] = matrix[k, j]


@inlined
def _with_open(
    blocks: Blocks,
    status: States,
    e: int,
    priority: Ints,
    h: Complexes,
    here: float,
    trees: Trees,
    found: Squares,
    pattern: Pattern,
    graph: Graph,
    trial: States,
    stepped: Complexes,
) -> float:
    """The bound with one branch more open, with multipliers after a step; `here`: that of the node as it settled."""
    for k in range(len(status)):
        trial[k] = status[k]
    trial[e] = OPEN
    if not propagate(blocks, trial, graph):
        return math.inf
    value = -math.inf
    copy_matrix(pattern.node.v, trees.v)
    if here > -math.inf and opened(blocks, e, h, stepped, pattern):
        value = lower(blocks, trial, priority, stepped, trees, found)
    if value < here or here == -math.inf:
        copy_matrix(h, stepped)
        value = max(value, lower(blocks, trial, priority, h, trees, found))
    return value


@compiled
def probe(
    blocks: Blocks,
    status: States,
    priority: Ints,
    h: Complexes,
    cutoff: float,
    share: float,
    trees: Trees,
    found: Squares,
    pattern: Pattern,
    graph: Graph,
    value: Floats,
    guess: Floats,
) -> int:
    """Bounds with an undecided branch open, after a step; those that reach the cutoff are closed. How many these are.

    Args:
        share: of what the bound lacks to the cutoff, from which on estimated bounds are worth that.
        value, guess: (m) the bounds and their estimates, −inf where there is none.
    """
    trial, stepped = status.copy(), h.copy()
    count, here, highest = 0, settle(blocks, status, priority, h, trees, found, pattern), -1
    for e in range(len(status)):
        value[e] = guess[e] = -math.inf
        if status[e] == UNDECIDED:
            guess[e] = here + rise(blocks, e, h, pattern) if here > -math.inf else math.inf
            if highest < 0 or guess[e] > guess[highest]:
                highest = e
    least = here + share * (cutoff - here) if share > 0.0 else -math.inf
    for e in range(len(status)):
        if status[e] == UNDECIDED and (guess[e] >= least or e == highest):
            value[e] = _with_open(blocks, status, e, priority, h, here, trees, found, pattern, graph, trial, stepped)
            if value[e] >= cutoff:
                status[e] = CLOSED
                count += 1
                value[e] = math.inf
                if not propagate(blocks, status, graph):
                    return -1
    return count


DONE = -1
"""What `choose` gives where a branch was found that cannot be closed."""


@compiled
def choose(
    blocks: Blocks,
    status: States,
    allowed: Bools,
    priority: Ints,
    h: Complexes,
    base: float,
    cutoff: float,
    trees: Trees,
    found: Squares,
    pattern: Pattern,
    graph: Graph,
    value: Floats,
    guess: Floats,
    stepped: Complexes,
) -> int:
    """The branch to decide next, after `probe` closed none; one that cannot be closed is opened at once.

    The score is the product of the gains of the bound with the branch open, estimated, and closed, at the same
    multipliers (Achterberg, Koch and Martin 2005), each counted up to the cutoff.

    Args:
        allowed: (m) branches to choose among. base: the bound of the node.
        stepped: set to the multipliers with the branch open, of which `value` has the bound then.
    """
    trial = status.copy()
    tried = ~allowed
    chosen, best, vain, least = -1, -math.inf, 0, LEAST_GAIN * (cutoff - base)
    for _ in range(TRIES):
        e = -1
        for k in range(len(status)):
            if status[k] == UNDECIDED and not tried[k]:
                guess[k] = value[k] if value[k] > -math.inf else guess[k]
                if e < 0 or guess[k] > guess[e]:
                    e = k
        if e < 0 or vain == IN_VAIN:
            break
        tried[e] = True
        trial[:] = status
        trial[e] = CLOSED
        closed = math.inf
        if propagate(blocks, trial, graph):
            trees.v[:] = pattern.node.v
            closed = lower(blocks, trial, priority, h, trees, found)
        if closed >= cutoff:
            status[e] = OPEN
            return DONE
        score = max(min(guess[e], cutoff) - base, least) * max(closed - base, least)
        vain += 1
        if score > best:
            chosen, best, vain = e, score, 0
    value[chosen] = _with_open(blocks, status, chosen, priority, h, base, trees, found, pattern, graph, trial, stepped)
    return chosen


SURE = 1e-4
"""Relative excess of a squared limit from which it is broken for sure: sweeps and OpenDSS differ by some 1e-6."""
STOPS = 3e-2, 1e-3, 1e-6, CHANGE
"""Changes of a voltage, pu, at which the flow of a state may end, if it is proved then that it loses enough: of most
states one or two rounds prove it."""


class Swept(NamedTuple):
    """Radial states of interest, and room to find them.

    Attributes:
        status: (K, m). loss, least: (K) in the core, and what it is at least in the whole grid. waiting: (D, m) partial
            states. counts: (2) states swept so far, and whether the last one has a flow. over: (n) by how much limits
            are exceeded. mildest: (m) of the states that break limits for certain the one with the least largest
            excess; excess: (1) that.
    """

    status: States
    loss: Floats
    least: Floats
    waiting: States
    counts: Ints
    over: Floats
    mildest: States
    excess: Floats


def swept_for(blocks: Blocks, most: int) -> Swept:
    """Empty arrays for at most so many states of a grid."""
    m, depth = len(blocks.fr), int(blocks.movable.sum()) + 2
    states = (np.zeros((rows, m), dtype=np.int8) for rows in (most, depth))
    found = next(states), np.zeros(most), np.zeros(most), next(states), np.zeros(2, dtype=np.int64)
    return Swept(*found, np.zeros(len(blocks.has)), np.zeros(m, dtype=np.int8), np.full(1, math.inf))


@compiled
def complete(
    blocks: Blocks,
    sizes: Sizes,
    status: States,
    priority: Ints,
    enough: float,
    trees: Trees,
    graph: Graph,
    ranges: Ranges,
    limited: bool,
    found: Swept,
) -> int:
    """The flows of all radial states that are left: of how many it is not proved that they lose `enough` or more.

    Those that do not feed every phase are left out and, if `limited`, those that break limits for certain.

    Neighbours in this order have most branches in common, and each flow begins with the voltages of the one before. It
    is made as exact as the proof needs.
    """
    waiting, depth, count, near = found.waiting, 1, 0, False
    waiting[0] = status
    while depth > 0:
        depth -= 1
        here = waiting[depth]
        if not propagate(blocks, here, graph):
            continue
        chosen = -1
        for e in range(len(here)):
            if here[e] == UNDECIDED:
                chosen = e
                break
        if chosen >= 0:
            waiting[depth + 1] = here
            here[chosen], waiting[depth + 1, chosen] = OPEN, CLOSED
            depth += 2
            continue
        warm, loss, least = found.counts[1] == 1, math.inf, -math.inf
        for change in STOPS:
            loss = swept(blocks, here, priority, trees, change, warm)
            if warm and loss == math.inf:
                loss = swept(blocks, here, priority, trees, change, False)
            warm = loss < math.inf
            if not warm:
                break
            if loss >= enough and near and not limited:
                least = loss - deviate(blocks, sizes, here, trees, True)
                if least >= enough:
                    break
            if (loss >= enough and not (near and change == STOPS[0])) or change == CHANGE or limited:
                less = deviate(blocks, sizes, here, trees, False)
                least, near = loss - less, less < math.inf
            if limited and least > -math.inf:
                most = exceed(blocks, sizes, here, trees, ranges, found.over)
                if most > SURE:
                    if most < found.excess[0]:
                        found.excess[0] = most
                        found.mildest[:] = here
                    least = math.inf
            if least >= enough:
                break
        if not warm and forest(blocks, here, priority, trees) < 0:  # nor does it feed every phase in the whole grid
            continue
        found.counts[0] += 1
        found.counts[1] = 1 if warm else 0
        if not least >= enough:
            found.status[count], found.loss[count], found.least[count] = here, loss, least
            count += 1
    return count


@dataclass(frozen=True)
class OneState:
    """A radial state (m), its loss, and what that is at least in the whole grid."""

    status: States
    loss: float
    least: float


class AllStates:
    """The flows of all radial states of a grid that are left, at most so many; without those that break `ranges`.

    Attributes:
        count: of flows so far.
    """

    def __init__(self, blocks: Blocks, most: int, *, sequences: bool = True, ranges: Ranges | None = None) -> None:
        self.blocks, self._sizes = blocks, sizes_for(blocks, sequences=sequences)
        self._ranges, self._limited = no_ranges(blocks) if ranges is None else ranges, ranges is not None
        self._priority: Ints = np.argsort(-blocks.has.sum(axis=1), kind="stable")
        self._trees, self._graph, self._found = trees_for(blocks), graph_for(blocks), swept_for(blocks, most)

    @property
    def count(self) -> int:
        return int(self._found.counts[0])

    @property
    def mildest(self) -> tuple[float, States]:
        """Of the states that broke limits for certain the least of the largest excesses, inf if there is none."""
        return float(self._found.excess[0]), self._found.mildest

    def left(self, status: States) -> float:
        """How many states are left in one (m)."""
        return states_left(self.blocks, status)

    def of(self, status: States, enough: float) -> list[OneState]:
        """Those that are left in a state (m) and may lose less than `enough`, and those without a flow."""
        found = self._found
        tools = self._priority, enough, self._trees, self._graph, self._ranges, self._limited, found
        count = complete(self.blocks, self._sizes, status, *tools)
        parts = found.status[:count].copy(), found.loss[:count].tolist(), found.least[:count].tolist()
        return [OneState(*each) for each in zip(*parts, strict=True)]


MANY = 700.0
"""Largest logarithm of a number of states that is told apart: beyond, floats end."""


def states_left(blocks: Blocks, status: States) -> float:
    """How many states are radial, but for rounding, counted as trees of what is undecided (Kirchhoff)."""
    return math.exp(min(float(_logarithm(blocks, status)) - 1e-6, MANY))


@compiled
def _logarithm(blocks: Blocks, status: States) -> float:
    """That of the number of radial states: of the determinant of the Laplacian of parts, without the first one."""
    n, source, count = len(blocks.has), -1, 0
    leader, part = np.arange(n), np.zeros(n, dtype=np.int64)
    for b in range(n):
        if blocks.is_source[b]:
            source = b if source < 0 else source
            leader[b] = source
    for e in range(len(status)):
        if status[e] == CLOSED or status[e] == LOOP:
            leader[_leader(leader, blocks.fr[e])] = _leader(leader, blocks.to[e])
    for b in range(n):
        if leader[b] == b:
            part[b] = count
            count += 1
    laplacian = np.zeros((count, count))
    for e in range(len(status)):
        if status[e] == UNDECIDED:
            i, j = part[_leader(leader, blocks.fr[e])], part[_leader(leader, blocks.to[e])]
            if i != j:
                laplacian[i, i] += 1.0
                laplacian[j, j] += 1.0
                laplacian[max(i, j), min(i, j)] -= 1.0
    found = 0.0
    for k in range(count - 1):
        pivot = laplacian[k, k]
        if not pivot > 0.0:
            return -math.inf
        found += math.log(pivot)
        for i in range(k + 1, count):
            if laplacian[i, k] != 0.0:
                f = laplacian[i, k] / pivot
                for j in range(k + 1, i + 1):
                    laplacian[i, j] -= f * laplacian[j, k]
    return found
