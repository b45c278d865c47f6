"""Rows and columns of a schematic: feeders run straight to the right, laterals leave them up and down.

A column is the number of branches to the source. A bus continues straight on towards its longest way out; every other
way out is a lateral with a row of its own. Laterals are packed from the far end of a feeder to its near end, each as
close to the feeder as what already lies there allows: so no two lines of the tree cross. Which side a lateral leaves on
is free, and a short local search takes the sides (and the order of the sources) that keep the ties short.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import sub

import numpy as np

from openpoint.arrays import Ints
from openpoint.report.layout.forest import Forest

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
