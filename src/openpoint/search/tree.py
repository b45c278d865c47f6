"""Branch and bound: the one loop that drives every tree search, and the two kinds of memory for the nodes that wait.

A *tree* keeps the nodes that wait and knows how one is bounded and divided. `CompiledTree` has those of the compiled
topology search in its pool; a tree without a compiled loop keeps a `Queue`. A *turn* is anything that acts between
nodes: a heuristic, another search that takes turns with this one, a checkpoint, progress. Each says for how many nodes
it can wait, so that when it acts depends on the number of nodes and not on the size of the pieces they come in.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from openpoint.arrays import States
from openpoint.search.kernel.arrays import Model, Work, work_for
from openpoint.search.kernel.bookkeeping import (
    Counts,
    Pool,
    Record,
    counts,
    enlarged,
    lowest,
    operations,
    pool_for,
    record_for,
    without_done,
)
from openpoint.search.kernel.entries import EXHAUSTED, FULL, LEAF, PAUSED, WRITTEN, explore, leave

ROWS = 64
"""Rows of a new pool."""
Node = TypeVar("Node")


class Tree(Protocol):
    """Nodes that wait, and how they are bounded and divided."""

    def explore(self, most: int) -> int:
        """Process at most so many nodes: EXHAUSTED where none is left, LEAF at a radial state, else PAUSED."""
        ...

    @property
    def status(self) -> States:
        """(m) states of the branches at the current node; of a leaf all are decided."""
        ...


class Turn:
    """A turn: it acts between nodes; by itself it does nothing."""

    def before(self) -> int | None:
        """Act before nodes are processed; EXHAUSTED or PAUSED where that takes their place, else None."""
        return None

    def wait(self) -> float:
        """How many nodes may be processed until it is asked again; below 1 counts as 1."""
        return math.inf

    def after(self, event: int) -> None:
        """Act after nodes were processed, which ended with an event; not called once no node is left."""


def grow(
    tree: Tree,
    leaf: Callable[[States], None],
    over: Callable[[], bool],
    *,
    piece: Callable[[], int] = lambda: 1,
    turns: Sequence[Turn] = (),
) -> bool:
    """Process the nodes of a tree until none is left; whether that was so.

    Args:
        leaf: called with (m) states of the branches of each radial state that is reached.
        over: asked after each piece; True stops. piece: the number of nodes of the next piece.
        turns: what acts between nodes, in this order.
    """
    while True:
        event, most = None, float(piece())
        for turn in turns:
            event = turn.before()
            if event is not None:
                break
            most = min(most, turn.wait())
        if event is None:
            event = tree.explore(max(1, int(most)))
        if event == EXHAUSTED:
            return True
        if event == LEAF:
            leaf(tree.status)
        for turn in turns:
            turn.after(event)
        if over():
            return False


class Explorer(Protocol):
    """What processes nodes in place of the kernel alone."""

    def explore(self, pool: Pool, counts: Counts, most: int) -> int:
        """As `openpoint.search.kernel.entries.explore`."""
        ...

    def leave(self, pool: Pool, counts: Counts) -> None:
        """Keep what is its own of the current node with the row to which the node is written next."""
        ...

    def operations(self, counts: Counts) -> int:
        """About how many operations the search took so far."""
        ...


By = TypeVar("By", bound=Explorer)


class CompiledTree(Generic[By]):
    """The nodes of one search.

    Attributes:
        explorer: what processes them; None: the kernel alone.
        model, work, pool, counts, record: as of `openpoint.search.kernel.entries.explore`. take: writes the lines of
            the record where it is full.
    """

    def __init__(
        self,
        model: Model,
        work: Work | None = None,
        *,
        pool: Pool | None = None,
        count: Counts | None = None,
        record: Record | None = None,
        take: Callable[[], None] = lambda: None,
        rows: int = ROWS,
    ) -> None:
        """Without nodes; what is not given is made anew, the pool with so many rows, and nothing is recorded then."""
        self.model, self.work = model, work_for(model) if work is None else work
        self.pool = pool_for(model, rows) if pool is None else pool
        self.counts = counts() if count is None else count
        self.record, self.take = record_for(model, 0) if record is None else record, take
        self.explorer: By | None = None

    def begin(self, cutoff: float) -> None:
        """Make the states and multipliers in `work` the first node."""
        self.counts.cutoff[0], self.counts.active[0] = cutoff, 1

    def lower_cutoff(self, value: float) -> None:
        """Be done with nodes from this bound on."""
        self.counts.cutoff[0] = min(self.counts.cutoff[0], value)

    @property
    def cutoff(self) -> float:
        """The bound at which a node is done."""
        return float(self.counts.cutoff[0])

    @property
    def status(self) -> States:
        return self.work.status

    @property
    def nodes(self) -> int:
        """Nodes so far."""
        return int(self.counts.nodes[0])

    @property
    def operations(self) -> int:
        """About how many operations these took."""
        if self.explorer is not None:
            return self.explorer.operations(self.counts)
        return operations(self.model, self.counts, self.nodes)

    @property
    def left(self) -> bool:
        """Whether a node is left."""
        return bool(self.counts.active[0] or self.counts.size[0] or self.counts.stack[0])

    @property
    def lowest(self) -> float:
        """Least bound of the nodes that are done or open."""
        return lowest(self.counts, self.pool)

    def explore(self, most: int) -> int:
        """Process at most so many nodes, as `openpoint.search.tree.Tree`; a leaf is done with."""
        if self.explorer is not None:
            event = self.explorer.explore(self.pool, self.counts, most)
        else:
            event = self._process(most)
        if event == LEAF:
            self.counts.active[0] = 0
        elif event == FULL:
            self.pool, event = enlarged(self.pool), PAUSED
        elif event == WRITTEN:
            self.take()
            event = PAUSED
        return event

    def process_one(self) -> int:
        """Process one node by the kernel alone, as its `explore`; what follows from the event is left to the caller."""
        return self._process(1)

    def _process(self, most: int) -> int:
        return int(explore(self.model.specialised, self.work, self.pool, self.counts, self.record, most))

    def drop(self) -> None:
        """Drop all nodes: no state of interest is left."""
        self.counts.size[0] = self.counts.stack[0] = self.counts.active[0] = 0

    def make_room(self, rows: int) -> None:
        """Enlarge the pool until it has so many rows."""
        while len(self.pool.heap) < rows:
            self.pool = enlarged(self.pool)

    def leave(self) -> None:
        """The current node waits, too."""
        self.make_room(int(self.counts.size[0] + self.counts.stack[0]) + 1)
        if self.explorer is not None:
            self.explorer.leave(self.pool, self.counts)
        leave(self.model, self.work, self.pool, self.counts)

    def forget_done(self) -> None:
        """Free the rows of nodes that are done, where they take half of the memory."""
        if 2 * self.counts.size[0] > self.counts.room[0]:
            without_done(self.pool, self.counts)


PlainTree = CompiledTree[Explorer]
"""The nodes of a search that the kernel processes alone."""


@dataclass(order=True)
class _Waiting(Generic[Node]):
    bound: float
    number: int
    node: Node = field(compare=False)


class Queue(Generic[Node]):
    """Waiting nodes by their bounds; of equal bounds the one that came first is first.

    Attributes:
        floor: least bound of what is done.
    """

    def __init__(self, room: float = math.inf) -> None:
        """`room`: nodes of the heap, above which further ones go to a stack, from which they are taken first."""
        self.floor, self._room, self._count = math.inf, room, 0
        self._heap, self._stack = list[_Waiting[Node]](), list[_Waiting[Node]]()

    def __len__(self) -> int:
        return len(self._heap) + len(self._stack)

    def push(self, bound: float, node: Node) -> None:
        """Let a node wait."""
        self._count += 1
        waiting = _Waiting(bound, self._count, node)
        if len(self._heap) < self._room:
            heapq.heappush(self._heap, waiting)
        else:
            self._stack.append(waiting)

    def pop(self) -> tuple[float, Node]:
        """The next node and its bound: the last one of the stack, else that of least bound."""
        waiting = self._stack.pop() if self._stack else heapq.heappop(self._heap)
        return waiting.bound, waiting.node

    def done(self, bound: float) -> None:
        """Something with this bound is done."""
        self.floor = min(self.floor, bound)

    def drop(self, cutoff: float) -> list[Node]:
        """Be done with the nodes at the end of the stack whose bounds reach a cutoff, and return them."""
        found = list[Node]()
        while self._stack and self._stack[-1].bound >= cutoff:
            waiting = self._stack.pop()
            self.done(waiting.bound)
            found.append(waiting.node)
        return found

    def has(self, cutoff: float) -> bool:
        """Whether a node below a cutoff waits."""
        return bool(self._stack) or bool(self._heap and self._heap[0].bound < cutoff)

    @property
    def waiting(self) -> float:
        """Least bound of the nodes that wait; inf where none does."""
        return min([*(each.bound for each in (*self._heap[:1], *self._stack))], default=math.inf)

    @property
    def lowest(self) -> float:
        """Least bound of the nodes that wait and of what is done."""
        return min(self.floor, self.waiting)
