"""A partition of paths into parts: junctions in groups between which little power is lost, and each path with one."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh
from scipy.sparse.csgraph import connected_components

from openpoint.arrays import Floats, Ints
from openpoint.search.paths.arrays import Paths

NARROWEST = 0.3
"""Least share of the junctions on either side where a group is divided."""


def parts_of(paths: Paths, weight: Floats, most: int) -> list[Ints]:
    """Paths of each part; none of those between sources.

    Args:
        weight: (K) how much it matters that a path has both ends in its part.
        most: paths at the junctions of a group.
    """
    size = paths.junctions
    between = np.zeros((size + 1, size + 1))
    np.add.at(between, (paths.u, paths.v), weight)
    between = (between + between.T)[:size, :size]
    label = np.zeros(size + 1, dtype=np.int64)
    label[size] = -1
    todo, groups = [np.arange(size)], 0
    while todo:
        group = todo.pop()
        at = np.isin(paths.u, group) | np.isin(paths.v, group)
        if len(group) == 1 or at.sum() <= most:
            label[group] = groups
            groups += 1
        else:
            todo += _divided(group, between[np.ix_(group, group)])
    part = _assigned(paths, label, weight)
    return [some for g in range(groups) if len(some := np.flatnonzero(part == g))]


def _divided(group: Ints, between: Floats) -> list[Ints]:
    """The components of a group, or two sides of it by the second eigenvector of the Laplacian (Fiedler 1973)."""
    count, component = connected_components(between > 0.0)
    if count > 1:
        return [group[component == c] for c in range(count)]
    laplacian = np.diag(between.sum(axis=1)) - between
    order = np.argsort(eigh(laplacian, subset_by_index=(1, 1))[1][:, 0], kind="stable")
    sizes = np.arange(max(1, int(NARROWEST * len(group))), max(2, int((1.0 - NARROWEST) * len(group)) + 1))
    ratio = [between[np.ix_(order[:c], order[c:])].sum() / min(c, len(group) - c) for c in sizes]
    cut = sizes[int(np.argmin(ratio))]
    return [group[order[:cut]], group[order[cut:]]]


def _assigned(paths: Paths, label: Ints, weight: Floats) -> Ints:
    """(K) group of each path, −1 between sources. A path between two groups leaves that of the lighter junction.

    A junction that has lost one path loses all others to its neighbours, too, so that few junctions are concerned.
    """
    u, v = label[paths.u], label[paths.v]
    part = np.where(u < 0, v, u)
    at = np.bincount(paths.u, weight, len(label)) + np.bincount(paths.v, weight, len(label))
    loses = np.zeros(len(label), dtype=bool)
    cut = np.flatnonzero((u >= 0) & (v >= 0) & (u != v))
    for k in cut[np.argsort(-weight[cut], kind="stable")].tolist():
        a, b = int(paths.u[k]), int(paths.v[k])
        if not loses[a] and not loses[b]:
            loses[a if at[a] < at[b] else b] = True
        part[k] = label[b] if loses[a] else label[a]
    return part
