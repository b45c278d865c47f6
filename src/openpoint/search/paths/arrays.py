"""The arrays of the path bound: junctions, the paths between them, and the current node.

The *core* of a grid is what is left when dangling trees are pruned again and again. Junctions are the buses of the core
with three or more branches, and all sources together as one more, the last. A *path* is a chain of branches of the core
between two junctions, which need not be different. Its buses between these are its interior.

The junctions and paths of a search model, and what the path bound needs of it.

A partition of paths into parts: junctions in groups between which little power is lost, and each path with one.

Rows of a pool that keep the multipliers of junctions only.

Beyond the junctions, how multipliers differ from those of the first node changes little within a path and next to
nothing within a dangling tree. So the difference is interpolated along the paths, by impedance, and is that of the
place where a dangling tree begins. The fixed point of the node then does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats, Indices, Ints, Singles, States
from openpoint.compiled.table import Table
from openpoint.graph import components
from openpoint.search.kernel.arrays import Model

OPEN, FORTH, BACK = 1, 2, 4
"""States of a path, as bits: open at one of its branches; closed, with power from u to v; from v to u."""
ANY = OPEN | FORTH | BACK
OF_NODE = ("mask", "y", "mu", "known_w")
"""What each node has of `PathWork`."""


@dataclass(frozen=True, eq=False)
class Paths(Table):
    """Junctions and paths. Buses and branches are those of `openpoint.search.kernel.arrays.Model`.

    Attributes:
        junctions: their number J, without that of the sources, which is J. bus: (J) bus of each.
        start: (K + 1) first position of each path; path k has the positions start[k] … start[k + 1] − 1, one a branch.
        branch: (B) of each position, from u to v. beyond: (B) bus at its far end seen from u.
        r, x: (K) sums along each path.
        u, v: (K) junctions at the ends. u_bus, v_bus: (K) buses there; those of different sources are different.
        first, at: paths at each junction, (J + 2) and (2K): 2k is end u of path k, 2k + 1 its end v.
        pruned, above, by: (T) buses of dangling trees, farthest first; bus above each, and branch to it.
        metric: (J, J) inverse of the Laplacian of the junctions, in which multipliers are improved.
    """

    junctions: int
    bus: Indices
    start: Indices
    branch: Indices
    beyond: Indices
    r: Floats
    x: Floats
    u: Indices
    v: Indices
    u_bus: Indices
    v_bus: Indices
    first: Indices
    at: Indices
    pruned: Indices
    above: Indices
    by: Indices
    metric: Floats


@dataclass(frozen=True, eq=False)
class PathWork(Table):
    """The bound of the current node by its paths.

    Attributes:
        mask: (K) states that a path may have, as bits. opened: (K) position of its open branch, −1 = none.
        y, mu: (J + 1) multipliers of the balances of junctions, >= 0; 0 at the sources; first_y, first_mu: those that
            the first node left.
        highest, top: (N) upper bounds of the squared voltages, of the root and of the node.
        steady: (1) what is lost beside the loss of the grid of the paths, at least (`openpoint.search.paths.drawn`).
        load_p, load_q: (N) load of a bus of the core with the least infeed of its dangling trees; nominal: (N) without
            their losses. inner: (K) nominal active load within a path, less the prices of its branches.
        stub: (B, 8) least p, q drawn from u and then v where the path is open at a branch, at any node, and the losses
            in these. u_p, u_q, v_p, v_q: (B) what is drawn so at the highest voltages of the node.
        end_p, end_q: (2K) least power that arrives where the path is closed, forth (2k) and back (2k + 1).
        known_p, known_q: (2K) least of these that are known beforehand, of parts; else 0.
        known_w, first_w: (J) upper bounds of the squared voltages of junctions that the cutoff implies at the node and
            below, and at all nodes.
        send: (2K, 8) power sent then, as coefficients: p = f + s0 + s1 (f² + g²) + s2 f + s3 g with f, g the power that
            arrives, and q = g + s4 + s5 (f² + g²) + s6 f + s7 g.
        about_p, about_q: (2K) flow about which these are best; first_about_p, first_about_q: that of the first node.
        most: (2) p and q of such a flow at most.
        drop: (2K) least drop of the squared voltage then.
        least_p, least_q: (2K) least power drawn from end u and end v in any state that does not feed that end.
        recv_p, recv_q, chain: (B) of one sweep: power and squared voltage at the far end of each branch.
        power_about, chain_about: (B, 6), (B, 3) the same of a sweep about a flow: p, q and w with their slopes by f and
            g. sent_about: (6) p, q sent.
        arrive: (2K, 3) greatest squared voltage where the path ends, as an affine function of what arrives.
        kappa: (J + 1) prices of squared voltages (`openpoint.search.paths.bound`). order: arcs on which these are
            priced, the first `priced` ones. w_tail: (J + 1) about the squared voltages at their near ends.
        chain_y, chain_mu, chain_nu: (B) multipliers within these. sent_p, sent_q: (2K) what is sent there.
        square: (2K) what the squared distance to the flow of least cost costs at least; −1 where voltages are priced.
        place: (K) best branch to open, its position. open_cost: (K) least cost where open. cost: (2K) of the arcs.
        toll: (2K) what is taken off the costs of arcs, of which others keep account (`openpoint.search.paths.border`).
        flow_p, flow_q: (2K) power that arrives, at the least cost. state: (K) state in the last evaluation.
        residual_p, residual_q: (J) missing balance in the last evaluation. step_p, step_q: (J) of an improvement.
        y_best, mu_best, p_best, q_best: the best multipliers so far, and the residuals there.
        share: (K, 3) how often each state was chosen lately. sure: (K) most of these, where several are left.
            middle, apart: (K) mean place where it was open lately, −1 = none, and mean distance to that, of parts
            (`openpoint.search.paths.search`).
        kept_mask, kept_y, kept_mu: what the node has of these while its paths are tried; kept_p, kept_q: (2K) of
            `about_p`, `about_q`. kept_state, kept_place: (K) of its last evaluation.
        tried: (3) bounds with a path in each state.
        forced: (K, 3) lower bound with the path in that state.
        both: bounds of the node by its paths and without. tally: nodes bounded by paths, and those of them where it
            pruned the node, excluded states, or was the higher bound. A path that is tried counts as a node.
        trials: nodes whose paths were tried, those of them where that gained, and whether there are any by now.
        heap, left, right, arc, leader, tree, seen, trail: memory of `openpoint.search.paths.bound`, over arcs or
            nodes and cycles. key, late: (2K) costs in the heaps. dual: costs that nodes and cycles have paid.
    """

    mask: States
    opened: Indices
    y: Floats
    mu: Floats
    first_y: Floats
    first_mu: Floats
    highest: Floats
    top: Floats
    steady: Floats
    load_p: Floats
    load_q: Floats
    nominal: Floats
    inner: Floats
    stub: Floats
    u_p: Floats
    u_q: Floats
    v_p: Floats
    v_q: Floats
    end_p: Floats
    end_q: Floats
    known_p: Floats
    known_q: Floats
    known_w: Floats
    first_w: Floats
    send: Floats
    about_p: Floats
    about_q: Floats
    first_about_p: Floats
    first_about_q: Floats
    most: Floats
    drop: Floats
    least_p: Floats
    least_q: Floats
    recv_p: Floats
    recv_q: Floats
    chain: Floats
    power_about: Floats
    chain_about: Floats
    sent_about: Floats
    arrive: Floats
    kappa: Floats
    w_tail: Floats
    order: Indices
    priced: Ints
    chain_y: Floats
    chain_mu: Floats
    chain_nu: Floats
    square: Floats
    sent_p: Floats
    sent_q: Floats
    place: Indices
    open_cost: Floats
    cost: Floats
    toll: Floats
    flow_p: Floats
    flow_q: Floats
    state: States
    residual_p: Floats
    residual_q: Floats
    step_p: Floats
    step_q: Floats
    y_best: Floats
    mu_best: Floats
    p_best: Floats
    q_best: Floats
    share: Floats
    middle: Floats
    apart: Floats
    sure: Floats
    kept_mask: States
    kept_y: Floats
    kept_mu: Floats
    kept_p: Floats
    kept_q: Floats
    kept_state: States
    kept_place: Indices
    tried: Floats
    forced: Floats
    key: Floats
    late: Floats
    left: Indices
    right: Indices
    heap: Indices
    arc: Indices
    leader: Indices
    tree: Indices
    seen: Indices
    trail: Indices
    dual: Floats
    both: Floats
    tally: Ints
    trials: Ints


def path_work_for(paths: Paths, buses: int) -> PathWork:
    """New arrays: every path may have every state that its ends allow, and all multipliers are 0."""
    j, k, b = paths.junctions, len(paths.u), len(paths.branch)
    arrays: dict[str, Any] = {name: np.zeros(buses) for name in ("highest", "top", "load_p", "load_q", "nominal")}
    arrays |= {
        name: np.zeros(j + 1) for name in ("y", "mu", "first_y", "first_mu", "y_best", "mu_best", "kept_y", "kept_mu")
    }
    arrays |= {name: np.zeros(b) for name in ("u_p", "u_q", "v_p", "v_q", "recv_p", "recv_q", "chain")}
    arrays |= {name: np.zeros(k) for name in ("inner", "open_cost", "middle", "apart", "sure")}
    by_arc = ("end_p", "end_q", "drop", "least_p", "least_q", "cost", "toll", "flow_p", "flow_q", "key", "late")
    arrays |= {name: np.zeros(j + 1) for name in ("kappa", "w_tail")}
    arrays |= {name: np.zeros(b) for name in ("chain_y", "chain_mu", "chain_nu")}
    arrays |= {name: np.zeros(2 * k) for name in ("square", "sent_p", "sent_q", "kept_p", "kept_q")}
    arrays |= {"arrive": np.zeros((2 * k, 3)), "order": np.zeros(k, dtype=np.int32)}
    arrays["priced"] = np.zeros(1, dtype=np.int64)
    by_state = [f"{name}_{part}" for name in ("known", "about", "first_about") for part in "pq"]
    arrays |= {name: np.zeros(2 * k) for name in (*by_arc, *by_state)}
    arrays |= {name: np.zeros(j) for name in ("residual_p", "residual_q", "step_p", "step_q", "p_best", "q_best")}
    arrays |= {name: np.full(j, np.inf) for name in ("known_w", "first_w")}
    arrays |= {"power_about": np.zeros((b, 6)), "chain_about": np.zeros((b, 3)), "sent_about": np.zeros(6)}
    arrays |= {
        "send": np.zeros((2 * k, 8)),
        "stub": np.zeros((b, 8)),
        "share": np.zeros((k, 3)),
        "forced": np.zeros((k, 3)),
    }
    arrays |= {name: np.zeros(2 * k, dtype=np.int32) for name in ("left", "right")}
    nodes = ("heap", "arc", "leader", "tree", "seen", "trail")
    arrays |= {name: np.zeros(2 * j + 2, dtype=np.int32) for name in nodes}
    arrays |= {"dual": np.zeros(2 * j + 2), "place": np.zeros(k, dtype=np.int32)}
    arrays |= {"both": np.zeros(2), "steady": np.zeros(1), "most": np.full(2, np.inf), "tried": np.zeros(3)}
    arrays |= {"tally": np.zeros(2, dtype=np.int64), "trials": np.zeros(3, dtype=np.int64)}
    arrays["opened"] = np.full(k, -1, dtype=np.int32)
    mask = np.where(paths.u == paths.v, OPEN, ANY)
    mask[paths.u == j] &= ~BACK
    mask[paths.v == j] &= ~FORTH
    arrays |= {name: mask.astype(np.int8) for name in ("mask", "kept_mask")}
    arrays |= {"kept_state": np.zeros(k, dtype=np.int8), "kept_place": np.zeros(k, dtype=np.int32)}
    return PathWork(state=np.zeros(k, dtype=np.int8), **arrays)


@dataclass(frozen=True, eq=False)
class PathPool(Table):
    """What rows of a pool have in addition.

    Attributes:
        mask: (C, K). y, mu: (C, J + 1) multipliers of paths, nan = none yet. known_w: (C, J), rounded upwards.
    """

    mask: States
    y: Singles
    mu: Singles
    known_w: Singles


def path_pool_for(work: PathWork, capacity: int) -> PathPool:
    """Memory for so many rows, which are written before they are read."""
    mask = np.zeros((capacity, len(work.mask)), dtype=np.int8)
    widths = {name: len(getattr(work, name)) for name in OF_NODE[1:]}
    return PathPool(mask, **{name: np.zeros((capacity, size), dtype=np.float32) for name, size in widths.items()})


def enlarged(pool: PathPool, work: PathWork, capacity: int) -> PathPool:
    """The pool with a higher capacity. Rows that were never in use take no memory yet."""
    wider = path_pool_for(work, capacity)
    for field in fields(pool):
        getattr(wider, field.name)[: len(pool.mask)] = getattr(pool, field.name)
    return wider


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
    pruned, above, by, core = dangling(model, fr, to)
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


def dangling(model: Model, fr: Ints, to: Ints) -> tuple[Ints, Ints, Ints, Bools]:
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
