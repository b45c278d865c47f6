"""The tree of a part of the paths in a certificate: what the checker finds of each node decides.

Nodes are bounded as those of the search (`openpoint.search.paths.ascent`), and with the multipliers found so the
checker bounds them again (`openpoint.verify.part_node`). States and places of paths that reach the goal so are taken
out, and a node that reaches it is at its end. A node that the search of the part has bounded has its multipliers, and
is divided as there (`openpoint.search.paths.search.PartNodes`); the path to divide of others is found by trials.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

from openpoint.arrays import Bools, Floats, Indices, Ints, States
from openpoint.search.kernel.arrays import CLOSED
from openpoint.search.paths import entries
from openpoint.search.paths.border import Part
from openpoint.verify import path_parts as checker
from openpoint.verify.part_node import NEW, SAME, TAKE, bound_at, stands
from openpoint.verify.path_cost import BACK, BROKEN, FORTH, NEVER

BITS = 24
"""Binary digits of multipliers."""
FIRST, NEXT, TRIAL = 100, 60, 8
"""Evaluations of the first node, of others, and of trials, at most, twice."""
TRIES = 20
"""Paths that are tried at a node at most."""
AGAIN = 4
"""Times that a node is bounded again because something was taken out."""
LEAST_GAIN = 1e-3
"""Least gain in the score, as a share of the gap."""
SHORT = 1e-9
"""Share of the goal by which what is tried may miss it."""


@dataclass(eq=False)
class Node:
    """A node, with states and places as the checker numbers them.

    Attributes:
        mask, low, high: (K) states of the paths, those from outside among them; (own) places where they may be open.
        y, mu: of the search. values: (2 inner) multipliers of the file, at which its bound is `bound`.
        taken: what was taken out, as numbers of the file, with the multipliers of each. over: whether nothing is left.
        split: path or place by which it is divided, as in the file; below: the nodes into which it is, in order.
        row: of the search of the part, -1 where it has none that says how to go on.
    """

    mask: States
    low: Ints
    high: Ints
    y: Floats
    mu: Floats
    values: Ints
    bound: float
    taken: list[tuple[int, Ints]] = field(default_factory=list)
    over: bool = False
    split: int = -1
    below: list[Node] = field(default_factory=list)
    row: int = -1


class ProofTree:
    """The tree of a part.

    Attributes:
        goal: the bound that is wanted. open: nodes to come, with the bound expected of each. least: bound of all that
            cannot be divided. count: nodes so far. tried: paths that were tried at them.
    """

    def __init__(
        self, part: Part, own: checker.Part, column: Ints, turned: tuple[Bools, Bools], goal: float, huge: float
    ) -> None:
        """`part`: after its search, at the prices in `work`, and the same part of the checker.

        Args:
            column: (inner) of each inner junction of the checker, that of the search. turned: (own) whether the checker
                has the states and the places of a path the other way.
        """
        self.part, self.own, self.goal, self.huge = part, own, goal, huge
        self.column, (self.flipped, self.reverse) = column, turned
        work, size = part.work, own.count
        border = slice(part.inner, part.paths.junctions)
        bus = part.paths.bus[border]
        self.given = float(work.load_p[bus] @ work.y[border] + work.load_q[bus] @ work.mu[border])
        self.room, self.tree = (
            own.room(),
            own.tree(np.zeros(0, dtype=np.int64), np.zeros((0, 2 * own.inner), dtype=np.int64), BITS),
        )
        self.status, self.here = part.status.copy(), part.status.copy()
        of = np.repeat(np.arange(size), np.diff(own.table.start[: size + 1]))
        self.path, self.at = of, np.arange(len(of))
        self.ends = own.table.start[:size].astype(np.int64), own.table.start[1 : size + 1].astype(np.int64) - 1
        self.count, self.tried, self.serial, self.least = 0, 0, 0, np.inf
        assert part.nodes is not None
        self.rows = part.nodes
        first = self._node(own.mask.copy(), *self.ends, self.rows.y[0].copy(), self.rows.mu[0].copy(), None)
        if first is not None:
            first.row = 0
        self.first, self.open = first, [(first.bound, 0, first)] if first is not None else []

    @property
    def bound(self) -> float:
        """The least bound of all nodes."""
        return min([self.goal, self.least, *(node.bound for _, _, node in self.open)])

    def _values(self, y: Floats, mu: Floats) -> Ints:
        """Multipliers of inner junctions as in the file."""
        both = np.concatenate([y[self.column], mu[self.column]])
        found: Ints = np.rint(np.ldexp(np.maximum(both, 0.0), BITS)).astype(np.int64)
        return found

    def _stands(self, mask: States, low: Ints, high: Ints) -> bool:
        """Whether each path has a state left; changes the mask."""
        self.tree.low[:], self.tree.high[:] = low, high
        return bool(np.all(mask)) and bool(stands(self.own.table, self.tree, self.own.of.status, mask))

    def _bound(self, mask: States, low: Ints, high: Ints, values: Ints) -> float:
        """The checker's bound at such multipliers; inf where it has no state."""
        mask = mask.copy()
        if not self._stands(mask, low, high):
            return np.inf
        inner, shift = self.own.inner, self.own.table.d - BITS
        self.room.y[:inner], self.room.mu[:inner] = values[:inner] << shift, values[inner:] << shift
        found = int(bound_at(self.own.table, self.room, self.tree, self.own.of.status, mask))
        return np.inf if found == NEVER else float(np.ldexp(float(found), -self.own.table.d))

    def _node(self, mask: States, low: Ints, high: Ints, y: Floats, mu: Floats, values: Ints | None) -> Node | None:
        """A new node; None where it has no state."""
        if not self._stands(mask, low, high):
            return None
        values = self._values(y, mu) if values is None else values
        return Node(mask, low.copy(), high.copy(), y, mu, values, self._bound(mask, low, high, values))

    def _states(self, mask: States) -> States:
        """The states of own paths as the search has them, or back."""
        own = mask[: len(self.flipped)]
        turned = (own & BROKEN) | ((own & FORTH) << 1) | ((own & BACK) >> 1)
        return np.where(self.flipped, turned, own).astype(np.int8)

    def _search(self, node: Node, mask: States, most: int, forced: bool) -> float:
        """Bound a node as the search does, with other states; its bound less that of the border."""
        work, status = self.part.work, self.here
        size = len(self.flipped)
        work.mask[:size], work.mask[size:] = self._states(mask), BROKEN | FORTH
        begin, end = self.ends
        low = np.where(self.reverse, begin + end - node.high, node.low)
        high = np.where(self.reverse, begin + end - node.low, node.high)
        status[:] = np.where((self.at >= low[self.path]) & (self.at <= high[self.path]), self.status, CLOSED)
        work.y[:], work.mu[:] = node.y, node.mu
        goal = self.goal + self.given
        found = float(entries.part_node(self.part.model, self.part.paths, work, status, self.huge, goal, most, forced))
        return found - self.given

    def _take(self, node: Node, what: int, rest: tuple[States, Ints, Ints], values: Ints) -> None:
        """Take something out of a node, which has that number in the file."""
        node.taken.append((what, values))
        node.mask, node.low, node.high = rest
        node.over = not self._stands(node.mask, node.low, node.high)

    def _take_states(self, node: Node) -> bool:
        """Take out the states and places that the search excludes, where the checker does, too."""
        work, size, before = self.part.work, len(self.flipped), len(node.taken)
        limit = (self.goal + self.given) * (1.0 - SHORT)
        forced = work.forced[:size]
        forced = np.where(self.flipped[:, None], forced[:, [0, 2, 1]], forced)
        for k, s in np.argwhere(forced >= limit).tolist():
            if node.over:
                return True
            bit = 1 << s
            if not node.mask[k] & bit or node.mask[k] == bit:
                continue
            self._take_state(node, k, s)
        return self._take_places(node) or len(node.taken) > before

    def _take_state(self, node: Node, k: int, s: int) -> None:
        """Take out one of several states of a path where it reaches the goal."""
        only = node.mask.copy()
        only[k] = 1 << s
        if self._bound(only, node.low, node.high, node.values) >= self.goal:
            rest = node.mask.copy()
            rest[k] &= ~(1 << s)
            self._take(node, self._number(3 * k + s), (rest, node.low, node.high), node.values)

    def _number(self, what: int) -> int:
        return self.own.count + len(self.own.table.branch) + what

    def _take_places(self, node: Node) -> bool:
        """Take out the places at either end of a path that cost too much."""
        work, paths = self.part.work, self.part.paths
        u, v, k = paths.u[self.path], paths.v[self.path], self.path
        cost = (
            (1.0 + work.y[u]) * work.u_p + work.mu[u] * work.u_q + (1.0 + work.y[v]) * work.v_p + work.mu[v] * work.v_q
        )
        cost += (work.forced[:, 0] - work.open_cost - work.inner)[k]
        fits = (cost < (self.goal + self.given) * (1.0 - SHORT)) & (self.here != CLOSED)
        begin, end = self.ends
        lowest = np.minimum.reduceat(np.where(fits, self.at, len(self.at)), begin)
        highest = np.maximum.reduceat(np.where(fits, self.at, -1), begin)
        some = (highest >= 0) & (node.mask[: len(begin)] & BROKEN != 0) & (node.low < node.high)
        first = np.where(self.reverse, begin + end - highest, lowest)
        last = np.where(self.reverse, begin + end - lowest, highest)
        return self._take_beyond(node, first, last, some & ((first > node.low) | (last < node.high)))

    def _take_beyond(self, node: Node, first: Ints, last: Ints, some: Bools) -> bool:
        """Take out the places before the first and after the last one of some paths where they reach the goal."""
        taken = False
        for path in np.flatnonzero(some).tolist():
            if node.over or not node.mask[path] & BROKEN:
                continue
            for side, at in ((0, int(first[path]) - 1), (1, int(last[path]))):
                only_low, only_high, low, high = (part.copy() for part in (node.low, node.high, node.low, node.high))
                if side == 0:
                    only_high[path], low[path] = at, at + 1
                else:
                    only_low[path], high[path] = at + 1, at
                if low[path] <= node.low[path] and high[path] >= node.high[path]:
                    continue
                only = node.mask.copy()
                only[path] = BROKEN
                if self._bound(only, only_low, only_high, node.values) >= self.goal:
                    what = self._number(3 * self.own.count + 2 * at + side)
                    self._take(node, what, (node.mask.copy(), low, high), node.values)
                    taken = True
        return taken

    def step(self) -> bool:
        """Bound the node that comes next, and divide it; False where none is left."""
        if not self.open or self.least <= self.bound:
            return False
        _, _, node = heapq.heappop(self.open)
        self.count += 1
        children, taken = self._followed(node) if node.row >= 0 else list[tuple[Node, float]](), -1
        while not node.below and not (node.over or node.bound >= self.goal or taken == len(node.taken)):
            self._raise(node)
            taken = len(node.taken)
            if not (node.over or node.bound >= self.goal):
                children = self._divided(node)
        for child, expected in children:
            if child.bound < self.goal:
                self._push(child, expected)
        if not (node.below or node.over or node.bound >= self.goal):
            self.least = min(self.least, node.bound)  # nothing is left to divide
        return True

    def _followed(self, node: Node) -> list[tuple[Node, float]]:
        """Take out and divide as the search of the part did at this node; its children, none where that ends."""
        rows, row = self.rows, node.row
        begin, end = self.ends
        while node.bound < self.goal and not node.over and row >= 0:
            self._take_as(node, row)
            k, below, at = int(rows.split[row]), int(rows.below[row]), int(rows.at[row])
            if node.over or below < 0:
                break
            if at < 0:
                bits = [bit for bit in (BROKEN, FORTH, BACK) if node.mask[k] & bit]
                there = [bit for bit in (BROKEN, FORTH, BACK) if rows.mask[row, k] & bit]
                turn = {BROKEN: BROKEN, FORTH: BACK, BACK: FORTH} if self.flipped[k] else {}
                next_rows = [below + there.index(b) if (b := turn.get(bit, bit)) in there else -1 for bit in bits]
            else:
                next_rows = [below + 1, below] if self.reverse[k] else [below, below + 1]
                at = int(begin[k] + end[k]) - at - 1 if self.reverse[k] else at
                next_rows = next_rows[int(at < node.low[k]) : 1 + int(at < node.high[k])]
            if len(next_rows) == 1:
                row = next_rows[0]
                continue
            node.split, children = k if at < 0 else self.own.count + at, list[tuple[Node, float]]()
            for side, next_row in enumerate(next_rows):
                mask, low, high = node.mask.copy(), node.low.copy(), node.high.copy()
                if at < 0:
                    mask[k] = bits[side]
                elif side == 0:
                    high[k] = at
                else:
                    low[k] = at + 1
                of = rows if next_row >= 0 else None
                y, mu = (node.y, node.mu) if of is None else (of.y[next_row].copy(), of.mu[next_row].copy())
                child = self._child(node, mask, low, high, y, mu)
                if child is not None:
                    child.row = next_row
                    children.append((child, child.bound))
            return children
        return []

    def _take_as(self, node: Node, row: int) -> None:
        """Take out the states and places that the search of the part has excluded at a node, where the checker does."""
        size = len(self.flipped)
        wanted = self._states(np.append(self.rows.mask[row, :size], node.mask[size:]))
        for k, s in np.argwhere((node.mask[:size] & ~wanted)[:, None] >> np.arange(3) & 1).tolist():
            if node.over:
                return
            if node.mask[k] & (1 << s) and node.mask[k] != 1 << s:
                self._take_state(node, k, s)
        begin, end = self.ends
        low, high = self.rows.low[row, :size], self.rows.high[row, :size]
        first = np.where(self.reverse, begin + end - high, low)
        last = np.where(self.reverse, begin + end - low, high)
        self._take_beyond(node, first, last, (first > node.low) | (last < node.high))
        if node.taken and not node.over:
            node.bound = max(node.bound, self._bound(node.mask, node.low, node.high, node.values))

    def _push(self, node: Node, expected: float) -> None:
        self.serial += 1
        heapq.heappush(self.open, (max(node.bound, min(expected, self.goal)), self.serial, node))

    def _raise(self, node: Node) -> None:
        """Find better multipliers of a node, and take out what reaches the goal."""
        for turn in range(AGAIN):
            found = self._search(node, node.mask, (FIRST if self.count == 1 else NEXT) if turn == 0 else TRIAL, True)
            work = self.part.work
            if not -np.inf < found < np.inf:
                return
            values = self._values(work.y, work.mu)
            bound = self._bound(node.mask, node.low, node.high, values)
            if bound > node.bound:
                node.y, node.mu, node.values, node.bound = work.y.copy(), work.mu.copy(), values, bound
            if node.bound >= self.goal or not self._take_states(node) or node.over:
                return
            node.bound = max(node.bound, self._bound(node.mask, node.low, node.high, node.values))

    def _divided(self, node: Node) -> list[tuple[Node, float]]:
        """Divide a node by the path whose trials gain most; its children, with the bounds that these showed.

        Where trials took something out there are none yet.
        """
        size, work, before = len(self.flipped), self.part.work, len(node.taken)
        share = work.share[:size].max(axis=1)
        several = np.flatnonzero(node.mask[:size] & (node.mask[:size] - 1))
        places = work.middle[:size].copy(), work.apart[:size].copy(), work.place[:size].copy()
        if not len(several):
            return self._divided_by_place(node, *places)
        best, chosen, gap = -1.0, -1, self.goal - node.bound
        found = list[tuple[float, int, Floats, Floats]]()
        for k in several[np.argsort(share[several], kind="stable")][:TRIES].tolist():
            here = self._tried(node, k)
            if node.over or node.bound >= self.goal:
                return []
            gains = sorted(max(value - node.bound, LEAST_GAIN * gap) for value, *_ in here)
            if len(gains) > 1 and gains[0] * gains[1] > best:
                best, chosen, found = gains[0] * gains[1], k, here
        if len(node.taken) > before:
            return []
        node.split, children = chosen, list[tuple[Node, float]]()
        for value, bit, y, mu in found:
            mask = node.mask.copy()
            mask[chosen] = bit
            child = self._child(node, mask, node.low, node.high, y, mu)
            if child is not None:
                children.append((child, value))
        return children

    def _tried(self, node: Node, k: int) -> list[tuple[float, int, Floats, Floats]]:
        """The states of a path that do not reach the goal: bound, state, multipliers of each; takes out all others."""
        found, work = [], self.part.work
        self.tried += 1
        for bit in (BROKEN, FORTH, BACK):
            if node.over or not node.mask[k] & bit or node.mask[k] == bit:
                continue
            mask = node.mask.copy()
            mask[k] = bit
            value = self._search(node, mask, TRIAL, False)
            if value >= self.goal * (1.0 - SHORT):
                values = node.values if value == np.inf else self._values(work.y, work.mu)
                if self._bound(mask, node.low, node.high, values) >= self.goal:
                    rest = node.mask.copy()
                    rest[k] &= ~bit
                    self._take(node, self._number(3 * k + bit.bit_length() - 1), (rest, node.low, node.high), values)
                    continue
            found.append((min(value, self.goal), bit, work.y.copy(), work.mu.copy()))
        return found

    def _child(self, node: Node, mask: States, low: Ints, high: Ints, y: Floats, mu: Floats) -> Node | None:
        """A node below another one, with the better multipliers."""
        child = self._node(mask, low, high, y, mu, None)
        if child is not None:
            bound = self._bound(child.mask, low, high, node.values)
            if bound > child.bound:
                child.values, child.bound = node.values, bound
            node.below.append(child)
        return child

    def _divided_by_place(self, node: Node, middle: Floats, apart: Floats, place: Indices) -> list[tuple[Node, float]]:
        """Divide a node by the places where a path is open, that whose places were farthest from each other."""
        size = len(self.flipped)
        some = (node.mask[:size] == BROKEN) & (node.low < node.high)
        if not some.any():
            return []
        k = int(np.argmax(np.where(some, apart + 1e-6 * (node.high - node.low), -1.0)))
        at = middle[k] if middle[k] >= 0.0 else place[k]
        begin, end = int(self.ends[0][k]), int(self.ends[1][k])
        at = int(np.floor(begin + end - at if self.reverse[k] else at))
        at = min(max(at, int(node.low[k])), int(node.high[k]) - 1)
        node.split, children = self.own.count + at, []
        for side in (0, 1):
            low, high = node.low.copy(), node.high.copy()
            if side == 0:
                high[k] = at
            else:
                low[k] = at + 1
            child = self._child(node, node.mask.copy(), low, high, node.y, node.mu)
            if child is not None:
                children.append((child, child.bound))
        return children

    def written(self) -> tuple[Ints, Ints]:
        """The tree as in the file, and the rows of its multipliers."""
        numbers, rows, todo, now = list[int](), list[Ints](), [] if self.first is None else [self.first], None
        while todo:
            node = todo.pop()
            for what, values in node.taken:
                if now is not values:
                    numbers.append(TAKE)
                    rows.append(values)
                    now = values
                numbers.append(what)
            if node.over:
                continue
            if node.split >= 0:
                numbers.append(node.split)
                todo += reversed(node.below)
            elif now is node.values:
                numbers.append(SAME)
            else:
                numbers.append(NEW)
                rows.append(node.values)
                now = node.values
        values = np.array(rows, dtype=np.int64).reshape(len(rows), 2 * self.own.inner)
        return np.array(numbers, dtype=np.int64), values
