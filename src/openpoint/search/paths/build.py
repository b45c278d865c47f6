"""The junctions and paths of a search model, and what the path bound needs of it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.search.kernel.arrays import Model
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
