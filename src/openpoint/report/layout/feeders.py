"""A schematic of a grid: its forest of closed branches, rows of the feeders, ways of the branches between them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import sub

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.grid.grid import Grid


@dataclass(frozen=True)
class Forest:
    """Rooted trees over all N buses.

    Attributes:
        roots: buses without a parent: the sources in their order, then one bus of every part without a source.
        parent, parent_branch: (N) bus and branch towards the root, -1 at a root.
        hops: (N) number of branches to the root.
        children: (N) buses fed by a bus.
        order: all buses, parents before children.
    """

    roots: tuple[int, ...]
    parent: tuple[int, ...]
    parent_branch: tuple[int, ...]
    hops: tuple[int, ...]
    children: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]


def ends(grid: Grid) -> tuple[tuple[int, int], ...]:
    """Bus numbers (from, to) of every branch, in the order of `Grid.branches`."""
    number = {name: i for i, name in enumerate(grid.buses["name"])}
    return tuple((number[a], number[b]) for a, b in grid.branches().select("from_bus", "to_bus").iter_rows())


def source_buses(grid: Grid) -> tuple[int, ...]:
    """Bus numbers of the sources, each once."""
    number = {name: i for i, name in enumerate(grid.buses["name"])}
    return tuple(dict.fromkeys(number[name] for name in grid.sources["bus"]))


def spanning_forest(
    n: int, branches: Sequence[tuple[int, int]], roots: Sequence[int], closed: Sequence[bool], *, use_open: bool = True
) -> Forest:
    """A breadth-first forest from the roots over closed branches.

    Buses that no closed path reaches hang on an open branch if `use_open`; what is still left starts a tree of its own,
    so that every bus has a place.
    """
    neighbours: list[list[tuple[int, int]]] = [[] for _ in range(n)]
    for e, (a, b) in enumerate(branches):
        if a != b:
            neighbours[a].append((b, e))
            neighbours[b].append((a, e))
    parent, by = [-1] * n, [-1] * n
    seen = [False] * n
    order: list[int] = []
    found: list[int] = []
    waiting: deque[tuple[int, int, int]] = deque()

    def grow(queue: deque[int]) -> None:
        while queue:
            bus = queue.popleft()
            order.append(bus)
            for other, e in neighbours[bus]:
                if seen[other]:
                    continue
                if closed[e]:
                    seen[other], parent[other], by[other] = True, bus, e
                    queue.append(other)
                elif use_open:
                    waiting.append((bus, other, e))

    def start(buses: Sequence[int]) -> None:
        for bus in buses:
            seen[bus] = True
        found.extend(buses)
        grow(deque(buses))
        while waiting:
            bus, other, e = waiting.popleft()
            if not seen[other]:
                seen[other], parent[other], by[other] = True, bus, e
                grow(deque([other]))

    start(list(dict.fromkeys(roots)))
    for bus in sorted(range(n), key=lambda i: (len(neighbours[i]) != 1, i)):
        # A feeder that nothing feeds reads best when it starts at one of its ends.
        if not seen[bus]:
            start([bus])
    hops = [0] * n
    children: list[list[int]] = [[] for _ in range(n)]
    # A part hung on an open branch may come after its parent's children, so parents first holds, hops by order too.
    for bus in order:
        if parent[bus] >= 0:
            hops[bus] = hops[parent[bus]] + 1
            children[parent[bus]].append(bus)
    return Forest(
        roots=tuple(found),
        parent=tuple(parent),
        parent_branch=tuple(by),
        hops=tuple(hops),
        children=tuple(tuple(c) for c in children),
        order=tuple(order),
    )


_OVER_BUS, _ALONG_LINE, _CROSSING, _BEND, _LENGTH = 15.0, 12.0, 1.2, 0.35, 0.22
_NEAR = 0.13  # two parallel lines closer than this are read as one
# Names stand at the upper right of a bus, so lanes keep to the right half between columns, and to the upper half
# between rows (rows count downwards here).
_LANES_X = (0.5, 0.64, 0.78)
_LANES_Y = (0.5, 0.36, 0.22)
_LEAVE = (0.5, 0.36, 0.22, -0.5, -0.64, -0.78)
_RADIUS = 0.14


def elbow(parent: Floats, child: Floats) -> Floats:
    """(k, 2) way from a bus up or down its column, then along the row of its child."""
    if parent[1] == child[1] or parent[0] == child[0]:
        return np.array([parent, child])
    return np.array([parent, [parent[0], child[1]], child])


def rounded(way: Floats, radius: float = _RADIUS) -> Floats:
    """The way with its right angles replaced by short arcs."""
    points = [way[0]]
    for before, corner, after in zip(way[:-2], way[1:-1], way[2:], strict=True):
        a, b = before - corner, after - corner
        la, lb = float(np.hypot(*a)), float(np.hypot(*b))
        if la < 1e-9 or lb < 1e-9:
            continue
        r = min(radius, la / 2, lb / 2)
        start, end = corner + a / la * r, corner + b / lb * r
        t = np.linspace(0.0, 1.0, 5)[:, None]
        points.extend((1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end)
    points.append(way[-1])
    return np.array(points)


def route_ties(xy: Floats, tree: Sequence[Floats], ties: Sequence[tuple[int, int]]) -> list[Floats]:
    """(k, 2) way of every tie between its buses, with right angles.

    Args:
        xy: (N, 2) columns and rows of the buses, whole numbers.
        tree: ways already drawn.
        ties: pairs of buses.
    """
    segments = [np.stack([way[:-1], way[1:]], axis=1) for way in tree]
    lines = np.concatenate(segments) if segments else np.zeros((0, 2, 2))
    span = [float(np.abs(xy[a] - xy[b]).sum()) for a, b in ties]
    ways: list[Floats] = [np.zeros((0, 2))] * len(ties)
    for k in sorted(range(len(ties)), key=lambda i: (span[i], i)):
        a, b = xy[ties[k][0]], xy[ties[k][1]]
        choices = _choices(a, b, len(ties))
        costs = _costs(choices, lines, xy)
        best = choices[int(np.argmin(costs))]
        keep = np.concatenate([[True], np.any(np.abs(np.diff(best, axis=0)) > 1e-9, axis=1)])
        way = _straightened(best[keep])
        if len(way) < 2:
            way = np.array([a, b])
        ways[k] = way
        lines = np.concatenate([lines, np.stack([way[:-1], way[1:]], axis=1)])
    return ways


def _straightened(way: Floats) -> Floats:
    """The way without points in the middle of a straight piece."""
    keep = [0]
    for i in range(1, len(way) - 1):
        u, v = way[i] - way[keep[-1]], way[i + 1] - way[i]
        if abs(u[0] * v[1] - u[1] * v[0]) > 1e-9:
            keep.append(i)
    return way[[*keep, len(way) - 1]] if len(way) > 1 else way


def _lanes(lo: float, hi: float, most: int, lanes: tuple[float, ...]) -> list[float]:
    """Lanes between and just around whole numbers lo … hi, evenly thinned to about `most`."""
    cells = list(range(int(lo) - 1, int(hi) + 1))
    if len(cells) > most:
        step = len(cells) / most
        cells = sorted({cells[int(i * step)] for i in range(most)} | {cells[0], cells[-1]})
    return [c + f for c in cells for f in lanes]


def _choices(a: Floats, b: Floats, n_ties: int) -> Floats:
    """(C, 6, 2) ways from a to b; shorter ones repeat their last point."""
    (xa, ya), (xb, yb) = a, b
    most = 8 if n_ties <= 60 else 3
    xs = _lanes(min(xa, xb), max(xa, xb) + 1, most, _LANES_X)
    ys = _lanes(min(ya, yb), max(ya, yb) + 1, most, _LANES_Y)
    found: list[list[tuple[float, float]]] = []
    if xa == xb or ya == yb:
        found.append([(xa, ya), (xb, yb)])
    found += [[(xa, ya), (xa, yb), (xb, yb)], [(xa, ya), (xb, ya), (xb, yb)]]
    found += [[(xa, ya), (xa, y), (xb, y), (xb, yb)] for y in ys]
    found += [[(xa, ya), (x, ya), (x, yb), (xb, yb)] for x in xs]
    for x in xs:
        # Out along a row or a lane on one side, up or down a lane between columns, in the same way on the other side.
        for fa in _LEAVE:
            found.append([(xa, ya), (xa, ya + fa), (x, ya + fa), (x, yb), (xb, yb)])
            found.append([(xa, ya), (x, ya), (x, yb + fa), (xb, yb + fa), (xb, yb)])
            found += [[(xa, ya), (xa, ya + fa), (x, ya + fa), (x, yb + fb), (xb, yb + fb), (xb, yb)] for fb in _LEAVE]
    for y in ys:
        for fa in _LANES_X:
            found.append([(xa, ya), (xa + fa, ya), (xa + fa, y), (xb, y), (xb, yb)])
            found.append([(xa, ya), (xa, y), (xb + fa, y), (xb + fa, yb), (xb, yb)])
    full = np.empty((len(found), 6, 2))
    for i, way in enumerate(found):
        full[i] = [*way, *[way[-1]] * (6 - len(way))]
    return full


def _costs(choices: Floats, lines: Floats, xy: Floats) -> Floats:
    """(C) cost of every way, given the lines already drawn and the buses."""
    start, end = choices[:, :-1], choices[:, 1:]
    lo, hi = np.minimum(start, end), np.maximum(start, end)
    length = (hi - lo).sum(axis=2)
    cost: Floats = _LENGTH * length.sum(axis=1) + _BEND * np.maximum((length > 1e-9).sum(axis=1) - 1, 0)
    box_lo, box_hi = lo.min(axis=(0, 1)) - 0.2, hi.max(axis=(0, 1)) + 0.2
    line_lo, line_hi = lines.min(axis=1), lines.max(axis=1)
    near = np.all((line_hi >= box_lo) & (line_lo <= box_hi), axis=1)
    line_lo, line_hi = line_lo[near], line_hi[near]
    buses = xy[np.all((xy >= box_lo) & (xy <= box_hi), axis=1)]
    for axis in (0, 1):
        # Pieces along `axis`: they cross lines along the other axis and must not run along lines of the same axis.
        other = 1 - axis
        rows, pieces = np.nonzero((hi - lo)[:, :, axis] > 1e-9)
        found = np.column_stack([lo[rows, pieces, axis], hi[rows, pieces, axis], lo[rows, pieces, other]])
        # Most ways share their pieces: each is weighed once.
        distinct, which = np.unique(found, axis=0, return_inverse=True)
        p_lo, p_hi, at = distinct.T
        along = (line_hi - line_lo)[:, axis] > 1e-9
        s_lo, s_hi, s_at = line_lo[along, axis], line_hi[along, axis], line_lo[along, other]
        shared = np.minimum(p_hi[:, None], s_hi) - np.maximum(p_lo[:, None], s_lo)
        shared = np.where(np.abs(at[:, None] - s_at) < _NEAR, np.maximum(shared, 0.0), 0.0).sum(axis=1)
        across = (line_hi - line_lo)[:, other] > 1e-9
        c_lo, c_hi, c_at = line_lo[across, other], line_hi[across, other], line_lo[across, axis]
        tiny = 1e-6
        crossed = (p_lo[:, None] < c_at - tiny) & (c_at + tiny < p_hi[:, None])
        crossed &= (c_lo - tiny < at[:, None]) & (at[:, None] < c_hi + tiny)
        over = np.abs(buses[:, other] - at[:, None]) < 0.2
        over &= (buses[:, axis] > p_lo[:, None] + tiny) & (buses[:, axis] < p_hi[:, None] - tiny)
        piece_cost = _ALONG_LINE * shared + _CROSSING * crossed.sum(axis=1) + _OVER_BUS * over.sum(axis=1)
        np.add.at(cost, rows, piece_cost[which.ravel()])
    return cost


_Move = tuple[str, int, int]
# Layouts tried, and buses placed in them: fixed numbers, so that a picture never depends on the clock.
_TRIES, _WORK = 800, 150_000
_FREE = 10**6


@dataclass
class _Block:
    """The space that a feeder with its laterals takes: lowest and highest row in every column from `first` on.

    Lists, because most have a few columns, for which arrays take several times as long.
    """

    first: int
    up: list[int]
    down: list[int]

    def copy(self) -> _Block:
        return _Block(self.first, self.up.copy(), self.down.copy())


_Packed = tuple[_Block, dict[int, int]]
"""The space of a feeder with its laterals, and how far from it the row of each of these is."""


class _Packer:
    """Packs the rows of one forest for given sides.

    What a feeder takes is kept until a lateral in it moves (`forget`): a move concerns only the feeders
    between it and the source.
    """

    def __init__(self, forest: Forest) -> None:
        self.forest = forest
        self._packed: dict[int, _Packed] = {}
        n = len(forest.parent)
        reach = [0] * n
        size = [1] * n
        for bus in reversed(forest.order):
            for child in forest.children[bus]:
                reach[bus] = max(reach[bus], reach[child] + 1)
                size[bus] += size[child]
        self.size = size
        self.main: list[int] = [-1] * n
        self.laterals: list[int] = []
        for bus in forest.order:
            if forest.children[bus]:
                self.main[bus] = max(forest.children[bus], key=lambda c: (reach[c], size[c], -c))
                self.laterals += [c for c in forest.children[bus] if c != self.main[bus]]
        self.feeder: dict[int, list[int]] = {}
        self._leaving: dict[int, list[list[int]]] = {}
        for head in (*forest.roots, *self.laterals):
            feeder = [head]
            while self.main[feeder[-1]] >= 0:
                feeder.append(self.main[feeder[-1]])
            self.feeder[head] = feeder
            leaving = ([c for c in forest.children[bus] if c != self.main[bus]] for bus in reversed(feeder))
            self._leaving[head] = [laterals for laterals in leaving if laterals]  # from the far end
        self._head = {bus: head for head, feeder in self.feeder.items() for bus in feeder}
        self._number = np.zeros(n, dtype=np.int64)  # of the feeder of a bus
        for number, feeder in enumerate(self.feeder.values()):
            self._number[feeder] = number

    def start(self) -> dict[int, int]:
        """First sides: the smaller laterals of a bus in turn below and above, so that both sides fill evenly."""
        side: dict[int, int] = {}
        weight: dict[int, list[int]] = {}
        for head, leaving in self._leaving.items():
            weight[head] = [0, 0]
            for laterals in reversed(leaving):
                for child in sorted(laterals, key=lambda c: (-self.size[c], c)):
                    low = 0 if weight[head][0] <= weight[head][1] else 1
                    weight[head][low] += self.size[child]
                    side[child] = 1 if low == 0 else -1
        return side

    def rows(self, side: dict[int, int], rank: dict[int, int], roots: Sequence[int]) -> Ints:
        """Row of every bus; larger is lower. Of the laterals of a bus, those of lower rank lie nearer."""
        base: dict[int, int] = {}
        total: _Block | None = None
        for root in roots:
            block, _ = self._block(root, side, rank)
            if total is None:
                total, base[root] = block.copy(), 0
            else:
                base[root] = self._push(total, block, 1, extra=0)
        for head in self.laterals:
            under = self._head[self.forest.parent[head]]
            base[head] = base[under] + self._packed[under][1][head]
        row = np.array([base[head] for head in self.feeder], dtype=np.int64)[self._number]
        return row - int(row.min(initial=0))

    def forget(self, moved: int) -> dict[int, _Packed]:
        """Forget what the feeders around a lateral take; what they took, for `recall`. A root is in no feeder."""
        lost: dict[int, _Packed] = {}
        while (above := self.forest.parent[moved]) >= 0:
            moved = self._head[above]
            if moved in self._packed:
                lost[moved] = self._packed.pop(moved)
        return lost

    def forget_all(self) -> None:
        """Forget what all feeders take."""
        self._packed.clear()

    def recall(self, lost: dict[int, _Packed]) -> None:
        """The move was undone: these feeders take what they took."""
        self._packed |= lost

    def _block(self, head: int, side: dict[int, int], rank: dict[int, int]) -> _Packed:
        if head in self._packed:
            return self._packed[head]
        feeder = self.feeder[head]
        first = self.forest.hops[head]
        block = _Block(first, [0] * len(feeder), [0] * len(feeder))
        offset: dict[int, int] = {}
        for laterals in self._leaving[head]:
            for child in sorted(laterals, key=rank.__getitem__) if len(laterals) > 1 else laterals:
                lateral, _ = self._block(child, side, rank)
                offset[child] = self._push(block, lateral, side[child], extra=1)
        self._packed[head] = block, offset
        return self._packed[head]

    @staticmethod
    def _push(block: _Block, lateral: _Block, side: int, extra: int) -> int:
        """Row of the lateral relative to the block, as near as it fits, and the block grown by it.

        `extra` = 1 keeps the column before the lateral free for its way down from the feeder.
        """
        lo = lateral.first - block.first
        hi = lo + len(lateral.up)
        if hi > len(block.up):
            # Columns to the right of everything so far are free: a neutral value that no lateral is stopped by.
            pad = hi - len(block.up)
            block.up += [_FREE] * pad
            block.down += [-_FREE] * pad
        up, down = block.up[lo:hi], block.down[lo:hi]
        if side > 0:
            row: int = max(map(sub, down, lateral.up)) + 1
            row = max(row, block.down[lo - 1] + 1) if extra else row
        else:
            row = min(map(sub, up, lateral.down)) - 1
            row = min(row, block.up[lo - 1] - 1) if extra else row
        block.up[lo:hi] = [a if a < b + row else b + row for a, b in zip(up, lateral.up)]
        block.down[lo:hi] = [a if a > b + row else b + row for a, b in zip(down, lateral.down)]
        if extra:
            block.up[lo - 1] = min(block.up[lo - 1], row)
            block.down[lo - 1] = max(block.down[lo - 1], row)
        return row


def place_rows(forest: Forest, ties: Sequence[tuple[int, int]]) -> Ints:
    """Row of every bus of the forest, larger is lower; `ties` are the pairs of buses that other branches join.

    Deterministic. Two buses never share both row and column.
    """
    packer = _Packer(forest)
    side = packer.start()
    # Small laterals stay near the feeder, long ones go outside: shorter verticals in all.
    rank = {c: k for k, c in enumerate(sorted(packer.laterals, key=lambda c: (packer.size[c], c)))}
    roots = list(forest.roots)
    hops = np.array(forest.hops, dtype=np.int64)
    a = np.array([t[0] for t in ties], dtype=np.int64)
    b = np.array([t[1] for t in ties], dtype=np.int64)
    heads = np.array(packer.laterals, dtype=np.int64)
    feeding = np.array([forest.parent[h] for h in packer.laterals], dtype=np.int64)

    def cost() -> float:
        row = packer.rows(side, rank, roots)
        apart = np.abs(row[a] - row[b])
        # Ties between ends in one row run around what lies between them.
        around = np.where(apart == 0, 1.0 + 0.1 * np.abs(hops[a] - hops[b]), 0.0)
        drops = np.abs(row[heads] - row[feeding])
        return float((apart + around).sum() + 0.35 * drops.sum() + 1.5 * row.max(initial=0))

    tries = min(_TRIES, max(2, _WORK // max(1, len(hops))))
    moves = _moves(packer)
    shake = np.random.default_rng(0)
    best, kept = np.inf, (dict(side), dict(rank), list(roots))
    while tries > 0:
        value, used = _descend(packer, moves, cost, (side, rank, roots), tries)
        tries -= used
        if value < best - 1e-9:
            best, kept = value, (dict(side), dict(rank), list(roots))
        if not moves:
            break
        # From the best so far, a few moves by chance and down again.
        side.update(kept[0])
        rank.update(kept[1])
        roots[:] = kept[2]
        for k in shake.integers(0, len(moves), 4):
            _apply(moves[k], side, rank, roots)
        packer.forget_all()
    packer.forget_all()
    return packer.rows(*kept)


def _descend(
    packer: _Packer,
    moves: Sequence[_Move],
    cost: Callable[[], float],
    state: tuple[dict[int, int], dict[int, int], list[int]],
    tries: int,
) -> tuple[float, int]:
    """Take every move that lowers the cost until none does or `tries` are used; the cost, and the tries used."""
    best, used, better = cost(), 1, True
    while better:
        better = False
        for move in moves:
            if used >= tries:
                return best, used
            _apply(move, *state)
            lost = packer.forget(move[1]) if move[0] != "root" else {}
            used += 1
            if (new := cost()) < best - 1e-9:
                best, better = new, True
            else:
                _apply(move, *state)
                packer.recall(lost)
    return best, used


def _moves(packer: _Packer) -> list[_Move]:
    """What the search tries, large laterals first: another side, two laterals of a bus or two sources swapped."""
    moves = [("side", head, head) for head in sorted(packer.laterals, key=lambda c: (-packer.size[c], c))]
    for children in packer.forest.children:
        laterals = [c for c in children if c in packer.feeder]
        moves += [("swap", c, d) for i, c in enumerate(laterals) for d in laterals[i + 1 :]]
    n = len(packer.forest.roots)
    return moves + [("root", i, j) for i in range(n - 1) for j in range(i + 1, n)]


def _apply(move: _Move, side: dict[int, int], rank: dict[int, int], roots: list[int]) -> None:
    """Make a move; made twice it is undone."""
    kind, i, j = move
    if kind == "side":
        side[i] = -side[i]
    elif kind == "swap":
        side[i], side[j] = side[j], side[i]
        rank[i], rank[j] = rank[j], rank[i]
    else:
        roots[i], roots[j] = roots[j], roots[i]
