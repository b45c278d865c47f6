"""The tree of a part of the paths as a certificate has it, with few multipliers."""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.arrays import Bools, Indices, Ints
from openpoint.compiled.jit import lean
from openpoint.search.paths.arrays import BACK, FORTH, OPEN
from openpoint.search.paths.part_search import NO_STATE, PartNodes
from openpoint.verify.part_node import NEW, SAME, ZERO, PartTree, divided, imply, leaf, places, take
from openpoint.verify.path_node import PathRoom, PathTable


def preorder(nodes: PartNodes, start: Indices, flipped: Bools, reverse: Bools) -> tuple[Ints, Ints]:
    """The tree in the order of `openpoint.verify.part_node`, and the rows of its leaves.

    Args:
        start: (K + 1) first position of each path. flipped: (K) whether the checker has power forth the other way.
        reverse: (K) and the positions of the path.
    """
    own = len(flipped)
    tree, leaves, todo = list[int](), list[int](), [0]
    while todo:
        row = todo.pop()
        if nodes.split[row] == NO_STATE:
            continue
        below, k = int(nodes.below[row]), int(nodes.split[row])
        if below < 0:
            tree.append(NEW)
            leaves.append(row)
            continue
        if nodes.at[row] >= 0:
            at = int(nodes.at[row])
            tree.append(own + (int(start[k]) + int(start[k + 1]) - 2 - at if reverse[k] else at))
            todo += [below, below + 1] if reverse[k] else [below + 1, below]
            continue
        tree.append(k)
        states = [bit for bit in (OPEN, FORTH, BACK) if nodes.mask[row, k] & bit]
        order = (OPEN, BACK, FORTH) if flipped[k] else (OPEN, FORTH, BACK)
        todo += [below + states.index(bit) for bit in reversed(order) if bit in states]
    return np.array(tree, dtype=np.int64), np.array(leaves, dtype=np.int64)


@lean
def share(table: PathTable, room: PathRoom, tree: PartTree, status: Any, mask: Any, goal: int) -> None:
    """Let leaves have the multipliers of the leaf before where these reach a goal, and so have none of their own.

    As `openpoint.verify.part_node.least_of_tree`, for a tree that covers its part.
    """
    top, at, value = 1, 0, 0
    while top > 0:
        top -= 1
        take(tree, mask, top)
        if not (places(table, tree, status, mask) and imply(table, tree, mask)):
            continue
        what = ZERO + tree.nodes[at]
        at += 1
        if what >= 0:
            top = divided(table, tree, mask, what, top)
            continue
        if leaf(table, room, tree, status, mask) >= goal:
            tree.nodes[at - 1] = SAME
        else:
            for j in range(tree.inner):
                room.y[j] = tree.values[value, j] << tree.shift
                room.mu[j] = tree.values[value, tree.inner + j] << tree.shift
        value += 1
