"""The junctions and paths of a search model, and what the path bound needs of it.

A partition of paths into parts: junctions in groups between which little power is lost, and each path with one.

Rows of a pool that keep the multipliers of junctions only.

Beyond the junctions, how multipliers differ from those of the first node changes little within a path and next to
nothing within a dangling tree. So the difference is interpolated along the paths, by impedance, and is that of the
place where a dangling tree begins. The fixed point of the node then does the rest.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.graph import components
from openpoint.search.kernel.arrays import Model
from openpoint.search.kernel.bookkeeping import Anchors
from openpoint.search.paths.arrays import Paths


def obstacles(model: Model) -> list[str]:
    """Why the path bound does not hold for this model; empty where it does.

    Its sweeps need power that runs away from the sources everywhere and constant loads: less power must give less loss.
    """
    inner = slice(0, model.n)
    found = {
        "generation, or loads that feed reactive power": bool(np.any(model.p[inner] < 0) or np.any(model.q[inner] < 0)),
        "capacitors, charging or loads of constant impedance": model.shunts or bool(model.worth.any()),
        "loads of constant current": model.currents,
        "generators, banks or sources that are dispatched": model.dispatchable or model.spans or model.costly,
        "devices that may be set": model.devices,
        "ratios of transformers": bool(np.any(model.k_fr != 1.0) or np.any(model.k_to != 1.0)),
        "negative resistances or reactances": not model.passive,
        "another objective than the loss": bool(
            model.loss_price != 1.0 or model.current_price.any() or model.y_first.any() or len(model.by_price)
        ),
    }
    return [name for name, there in found.items() if there]


def paths_of(model: Model) -> Paths:
    """The paths of a model; the graph of its branches is connected."""
    n = model.n
    fr, to = np.minimum(model.fr, n).astype(np.int64), np.minimum(model.to, n).astype(np.int64)
    pruned, above, by, core = _dangling(model, fr, to)
    degree = np.bincount(np.concatenate([fr[core], to[core]]), minlength=n + 1)
    is_junction = degree >= 3
    is_junction[n] = False
    bus = np.flatnonzero(is_junction)
    number = np.full(n + 1, -1)
    number[bus], number[n] = np.arange(len(bus)), len(bus)
    start, branch, beyond, ends = [0], [], [], []
    seen = ~core
    for begin in [*bus.tolist(), n]:
        for a in range(model.start[begin], model.start[begin + 1]):
            e = int(model.via[a])
            if seen[e]:
                continue
            first = int(model.fr[e]) if fr[e] == begin else int(model.to[e])
            here = begin
            while True:
                seen[e] = True
                forth = fr[e] == here
                far = int(model.to[e] if forth else model.fr[e])
                branch.append(e)
                beyond.append(far)
                here = min(far, n)
                if number[here] >= 0:
                    break
                e = next(int(via) for via in model.via[model.start[here] : model.start[here + 1]] if not seen[via])
            start.append(len(branch))
            ends.append((number[begin], number[here], first, far))
    r, x = (np.array([along[branch[a:b]].sum() for a, b in pairwise(start)]) for along in (model.r, model.x))
    u, v, u_bus, v_bus = np.array(ends, dtype=np.int32).reshape(-1, 4).T.copy()
    at = [[2 * k + end for end in (0, 1) for k in np.flatnonzero((u, v)[end] == j)] for j in range(len(bus) + 1)]
    return Paths(
        junctions=len(bus),
        bus=bus.astype(np.int32),
        start=np.array(start, dtype=np.int32),
        branch=np.array(branch, dtype=np.int32),
        beyond=np.array(beyond, dtype=np.int32),
        r=r,
        x=x,
        u=u,
        v=v,
        u_bus=u_bus,
        v_bus=v_bus,
        first=np.cumsum([0, *(len(some) for some in at)]).astype(np.int32),
        at=np.array([a for some in at for a in some], dtype=np.int32),
        pruned=pruned.astype(np.int32),
        above=above.astype(np.int32),
        by=by.astype(np.int32),
        metric=metric_of(len(bus), u.astype(np.int64), v.astype(np.int64), r),
    )


def _dangling(model: Model, fr: Ints, to: Ints) -> tuple[Ints, Ints, Ints, Bools]:
    """Buses of dangling trees, farthest first, the bus above each, the branch to it; (m) branches of the core."""
    n = model.n
    degree = np.bincount(np.concatenate([fr, to]), minlength=n + 1)
    core = np.ones(len(fr), dtype=bool)
    ends = np.flatnonzero(degree[:n] == 1).tolist()
    pruned, above, by = [], [], []
    while ends:
        j = ends.pop()
        e = next(int(via) for via in model.via[model.start[j] : model.start[j + 1]] if core[via])
        core[e] = False
        far = int(model.to[e] if model.fr[e] == j else model.fr[e])
        pruned.append(j)
        above.append(far)
        by.append(e)
        degree[min(far, n)] -= 1
        if far < n and degree[far] == 1:
            ends.append(far)
    return np.array(pruned, dtype=np.int64), np.array(above, dtype=np.int64), np.array(by, dtype=np.int64), core


def metric_of(size: int, u: Ints, v: Ints, length: Floats) -> Floats:
    """The inverse Laplacian of the junctions 0 … size − 1, with 1 / 2 Σ r for each path: the curvature of the loss.

    Junction `size` is that of the sources; `length` is Σ r.
    """
    weight = 0.5 / np.maximum(length, 1e-6 * max(float(length.max(initial=0.0)), 1e-12))
    laplacian = np.zeros((size + 1, size + 1))
    apart = u != v
    np.add.at(laplacian, (u[apart], v[apart]), -weight[apart])
    np.add.at(laplacian, (v[apart], u[apart]), -weight[apart])
    np.fill_diagonal(laplacian, -laplacian.sum(axis=1))
    return np.ascontiguousarray(np.linalg.inv(laplacian[:size, :size])) if size else np.zeros((0, 0))


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
    component = components(len(group), *np.nonzero(between > 0.0))
    if component.any():
        return [group[component == c] for c in range(component.max() + 1)]
    from scipy.linalg import eigh

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


WORTH = 4
"""Buses per junction from which on junctions alone are kept."""


def anchors_of(model: Model, paths: Paths) -> Anchors | None:
    """The junctions as anchors; None where they save little, or multipliers of sources or devices must be kept, too."""
    size, none = len(model.p), paths.junctions
    if model.costly or model.spans or model.devices or size < WORTH * max(paths.junctions, 1):
        return None
    near, far = np.full((2, size), none, dtype=np.int32)
    share = np.zeros(size)
    near[paths.bus] = far[paths.bus] = np.arange(paths.junctions)
    length = np.sqrt(model.z2)
    for k in range(len(paths.u)):
        some = slice(paths.start[k], paths.start[k + 1])
        at = np.cumsum(length[paths.branch[some]])
        inner = paths.beyond[some][:-1]
        near[inner], far[inner] = paths.u[k], paths.v[k]
        share[inner] = at[:-1] / at[-1] if at[-1] > 0.0 else 0.5
    for bus, above in zip(paths.pruned[::-1], paths.above[::-1], strict=True):
        near[bus], far[bus], share[bus] = near[above], far[above], share[above]
    return Anchors(paths.bus, near, far, share)
