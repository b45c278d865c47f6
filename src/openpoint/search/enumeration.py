"""Enumeration: all radial topologies of a grid, each exactly once, and their number.

A radial topology connects every bus to exactly one source without a loop. With all sources merged into one bus these
are the spanning trees of the graph of the branches that may be closed and that contain those that must be.

Enumeration of operating states: all radial topologies with all positions of the devices, by exact power flow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Protocol

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Indices, Ints, States
from openpoint.compiled.jit import lean
from openpoint.errors import OptionError
from openpoint.graph import components, forest
from openpoint.grid.balanced import HAS_PHASES
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices
from openpoint.network.freedom import SwitchingRules
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED
from openpoint.search.kernel.forest import close_bridges, find


class Walk(NamedTuple):
    """State of an enumeration between two chunks: n buses, m branches that may be closed, F of them open at a time.

    The open branches are chosen in ascending order. At depth d the first d are chosen; `leader[d]` joins the buses
    that branches already decided as closed connect.

    Attributes:
        fr, to, decided: (m) ends, and whether the branch must be closed.
        start, neighbour, via: adjacency of the buses.
        chosen: (F) open branches. at: (F) next branch to try at each depth. depth: (1).
        bridge: (F, m) CLOSED where the branch holds the rest together at this depth. leader: (F, n) union-find.
        status: (m) OPEN or UNDECIDED. memory: (4, n) of the search for bridges.
    """

    fr: Indices
    to: Indices
    decided: Bools
    start: Indices
    neighbour: Indices
    via: Indices
    chosen: Indices
    at: Indices
    depth: Indices
    bridge: States
    leader: Indices
    status: States
    memory: Indices


@lean
def find_bridges(walk: Walk, bridge: States) -> None:
    """Mark the branches whose opening would disconnect the graph of branches not yet open."""
    for e in range(len(bridge)):
        bridge[e] = UNDECIDED
    memory = walk.memory[0], walk.memory[1], walk.memory[2], walk.memory[3]
    close_bridges(walk.fr, walk.to, walk.start, walk.neighbour, walk.via, walk.status, bridge, memory)


@lean
def walk_on(walk: Walk, out: Indices) -> int:
    """Write the open branches of the next topologies into `out` (rows, F); returns their number.

    Every node of the enumeration has a completion: the branches decided as closed contain no loop, and the branches
    that are not open connect all buses. So every node leads to a topology, and the bridges are found once for all
    leaves of a node.
    """
    n_open = out.shape[1]
    m = len(walk.fr)
    written = 0
    depth = walk.depth[0]
    while depth >= 0:
        leader, bridge = walk.leader[depth], walk.bridge[depth]
        e = walk.at[depth]
        down = False
        while e < m:
            if walk.decided[e] or walk.status[e] == OPEN:
                e += 1
                continue
            may_open = bridge[e] != CLOSED
            if may_open and depth == n_open - 1:
                if written == len(out):
                    walk.at[depth] = e
                    walk.depth[0] = depth
                    return written
                walk.chosen[depth] = e
                for k in range(n_open):  # numba takes seconds to compile the copy of a whole row
                    out[written, k] = walk.chosen[k]
                written += 1
            # In all further topologies at this depth e is closed; it must not close a loop.
            u, v = find(leader, walk.fr[e]), find(leader, walk.to[e])
            down = may_open and depth < n_open - 1
            if down:
                for k in range(len(leader)):
                    walk.leader[depth + 1, k] = leader[k]
                walk.chosen[depth] = e
                walk.status[e] = OPEN
                walk.at[depth + 1] = e + 1
            if u == v:
                walk.at[depth] = m
            else:
                leader[u] = v
                walk.at[depth] = e + 1
            e = walk.at[depth]
            if down:
                depth += 1
                find_bridges(walk, walk.bridge[depth])
                break
        if not down:
            depth -= 1
            if depth >= 0:
                walk.status[walk.chosen[depth]] = UNDECIDED
    walk.depth[0] = -1
    return written


def topologies(network: Network, rules: SwitchingRules | None = None, *, chunk: int = 4096) -> Iterator[Bools]:
    """All radial topologies, each once, in chunks of (K, E) states of the branches, K <= chunk.

    Args:
        network: a balanced network.
        rules: whose locks are kept; default: what is not switchable keeps its state.
        chunk: topologies in a chunk.

    Raises:
        OptionError: a branch locked both ways, or several phases.
    """
    return _chunks(network, *_choice(network, rules), chunk)


def count_topologies(network: Network, rules: SwitchingRules | None = None) -> int:
    """How many radial topologies there are, exactly, by Kirchhoff's theorem; arguments as in `topologies`."""
    return _count(network, *_choice(network, rules))


def _choice(network: Network, rules: SwitchingRules | None) -> tuple[Bools, Bools]:
    """(E) branches that must be closed, and branches that may be."""
    if not network.is_balanced:
        raise OptionError(f"topologies are enumerated on balanced grids; {HAS_PHASES}")
    rules = SwitchingRules.of(network) if rules is None else rules
    if (both := rules.must_close & rules.must_open).any():
        names = ", ".join(network.branch_names[e] for e in network.conductor_branch[both][:5])
        raise OptionError(f"locked both open and closed: {names}")
    return rules.must_close, ~rules.must_open


def _ends(network: Network, may: Bools) -> tuple[Indices, Indices, int]:
    """Ends of the branches that may be closed with all sources as the last bus, and the number of buses."""
    others = network.inner
    number = np.full(network.n_terminals, len(others), dtype=np.int32)
    number[others] = np.arange(len(others))
    return number[network.terminal_fr[may]], number[network.terminal_to[may]], len(others) + 1


def _merged(fr: Indices, to: Indices, n: int) -> Indices | None:
    """(n) lowest-numbered bus that the given branches connect to each bus; None when the branches contain a loop."""
    ends = fr.astype(np.int64), to.astype(np.int64)
    if not forest(n, *ends).all():
        return None
    part = components(n, *ends)
    return np.unique(part, return_index=True)[1][part].astype(np.int32)


def _chunks(network: Network, must: Bools, may: Bools, chunk: int) -> Iterator[Bools]:
    fr, to, n = _ends(network, may)
    leader = _merged(fr[must[may]], to[must[may]], n)
    if leader is None or _count(network, must, may) == 0:
        return
    n_open = len(fr) - (n - 1)
    numbers = np.flatnonzero(may)
    if n_open == 0:
        yield may[None, :].copy()
        return
    ends, others = np.concatenate([fr, to]), np.concatenate([to, fr])
    by_bus = np.argsort(ends, kind="stable")
    walk = Walk(
        fr=fr,
        to=to,
        decided=must[may],
        start=np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=n))]).astype(np.int32),
        neighbour=others[by_bus],
        via=np.tile(np.arange(len(fr), dtype=np.int32), 2)[by_bus],
        chosen=np.zeros(n_open, dtype=np.int32),
        at=np.zeros(n_open, dtype=np.int32),
        depth=np.zeros(1, dtype=np.int32),
        bridge=np.zeros((n_open, len(fr)), dtype=np.int8),
        leader=np.tile(leader, (n_open, 1)),
        status=np.full(len(fr), UNDECIDED, dtype=np.int8),
        memory=np.empty((4, n), dtype=np.int32),
    )
    find_bridges(walk, walk.bridge[0])
    out = np.empty((chunk, n_open), dtype=np.int32)
    while rows := walk_on(walk, out):
        closed = np.repeat(may[None, :], rows, axis=0)
        closed[np.arange(rows)[:, None], numbers[out[:rows]]] = False
        yield closed


def _count(network: Network, must: Bools, may: Bools) -> int:
    """Number of spanning trees: the determinant of the reduced Laplacian, by elimination in exact fractions.

    The bus with the fewest neighbours goes first: grids are close to trees, so little fill-in arises. Branches that
    must be closed are contracted.
    """
    fr, to, n = _ends(network, may)
    leader = _merged(fr[must[may]], to[must[may]], n)
    if leader is None:
        return 0
    label = leader.tolist()
    weight: dict[int, dict[int, Fraction]] = {bus: {} for bus in set(label)}
    for u, v in zip((label[b] for b in fr), (label[b] for b in to), strict=True):
        if u != v:
            weight[u][v] = weight[u].get(v, Fraction(0)) + 1
            weight[v][u] = weight[u][v]
    root = label[-1]
    queue: dict[int, set[int]] = {}
    for bus, around in weight.items():
        if bus != root:
            queue.setdefault(len(around), set()).add(bus)
    product = Fraction(1)
    for _ in range(len(weight) - 1):
        degree = min(d for d, buses in queue.items() if buses)
        bus = queue[degree].pop()
        around = weight.pop(bus)
        total = sum(around.values(), Fraction(0))
        if not total:
            return 0
        product *= total
        sides = list(around.items())
        before = {u: len(weight[u]) for u, _ in sides}
        for i, (u, w_u) in enumerate(sides):
            del weight[u][bus]
            for v, w_v in sides[:i]:
                weight[u][v] = weight[u].get(v, Fraction(0)) + w_u * w_v / total
                weight[v][u] = weight[u][v]
        for u, old in before.items():
            if u != root:
                queue[old].discard(u)
                queue.setdefault(len(weight[u]), set()).add(u)
    return int(product)


AT_ONCE = 20_000
"""States evaluated between two looks at `stop`."""


@dataclass(frozen=True)
class OperatingState:
    """An operating state, its cost and its violation, exact.

    Attributes:
        closed: (E). positions: (D). generation: (G), 0 where a unit is off. value: cost. violation: sum of the
            relative excesses of the limits, 0 where all are kept.
    """

    closed: Bools
    positions: Ints
    generation: Complexes
    value: float
    violation: float

    def beats(self, other: OperatingState | None) -> bool:
        """Whether its violation is less, or equal with a lower cost."""
        return other is None or (self.violation, self.value) < (other.violation, other.value)


@dataclass(frozen=True)
class Enumerated:
    """The end of an enumeration.

    Attributes:
        best: state of least violation, of these that of least cost; None where none has a power flow.
        states: number evaluated. complete: whether all were.
    """

    best: OperatingState | None
    states: int
    complete: bool


class StateEvaluator(Protocol):
    """The evaluator of operating states, such as an `OperatingPointEvaluator`."""

    @property
    def network(self) -> Network: ...
    @property
    def devices(self) -> Devices: ...
    def on(self, positions: Ints) -> Bools:
        """(K, G) whether each generator is on."""
        ...

    def evaluate(self, closed: Bools, positions: Ints, generation: Complexes | None = None) -> tuple[Floats, Floats]:
        """(K) costs and (K) violations of states."""
        ...


def count_positions(devices: Devices) -> int:
    """Number of combinations of positions."""
    return math.prod(devices.sizes.tolist())


def best_operating_state(
    evaluator: StateEvaluator,
    rules: SwitchingRules | None = None,
    *,
    limit: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Enumerated:
    """The best of all operating states; outputs of generators are not chosen.

    Args:
        evaluator: the grid, its devices, costs and limits.
        rules: whose locks and limit of changes are kept; default: what is not switchable keeps its state.
        limit: refuse to start when there are more states than this.
        stop: called regularly; True ends the enumeration.

    Raises:
        OptionError: more states than `limit`, a branch locked both ways, or several phases.
    """
    network, devices = evaluator.network, evaluator.devices
    combinations = count_positions(devices)
    trees = count_topologies(network, rules)
    if limit is not None and trees * combinations > limit:
        raise OptionError(
            f"there are {trees:,} radial topologies with {combinations:,} combinations of positions each, more than "
            f"the limit of {limit:,} states; lock branches, hold devices, or raise it"
        )
    best: OperatingState | None = None
    count, complete = 0, True
    for closed in topologies(network, rules):
        if not complete:
            break
        if rules is not None and rules.max_changes is not None:
            closed = closed[(closed != network.closed).sum(axis=1) <= rules.max_changes]
        for begin in range(0, len(closed) * combinations, AT_ONCE):
            if stop():
                complete = False
                break
            pair = np.arange(begin, min(begin + AT_ONCE, len(closed) * combinations))
            states, positions = closed[pair % len(closed)], combination(devices, pair // len(closed))
            found = _best_of(evaluator, states, positions)
            count += len(pair)
            if found is not None and found.beats(best):
                best = found
    return Enumerated(best, count, complete)


def combination(devices: Devices, number: Ints) -> Ints:
    """(K, D) positions of the combinations of these numbers, (K); voltages and ratios change last."""
    held = np.isin(devices.kind, (DeviceKind.VOLTAGE, DeviceKind.TAP))
    order = np.argsort(~held, kind="stable")
    positions = np.zeros((len(number), devices.count), dtype=np.int64)
    for d in order[::-1]:
        number, positions[:, d] = np.divmod(number, devices.sizes[d])
    return positions


def _best_of(evaluator: StateEvaluator, closed: Bools, positions: Ints) -> OperatingState | None:
    """The best of (K, E) and (K, D), with the outputs within their ranges that are nearest to those of today."""
    net = evaluator.network
    today, low, high = net.generator_s, (net.p_min, net.q_min), (net.p_max, net.q_max)
    output = np.asarray(np.clip(today.real, low[0], high[0]) + 1j * np.clip(today.imag, low[1], high[1]))
    value, violation = evaluator.evaluate(closed, positions, output)
    k = int(np.lexsort((value, violation))[0])
    if math.isinf(value[k]):
        return None
    output = np.where(evaluator.on(positions[k : k + 1])[0], output, 0.0)
    return OperatingState(closed[k], positions[k], output, float(value[k]), float(violation[k]))
