"""A grid with charging, magnetising branches and ratios as one that only draws, of which the path bound holds.

**The drawing grid.** Let no bus feed in active power, r, x and all conductances be >= 0, and ratios stand only at
sources, on the side of the source. Let h bound all squared voltages of the states of interest. A bus of a radial state
is fed by one branch. So what the buses S beyond a branch feed in of reactive power by charging and capacitors, beyond
what they draw, is at most Σ_S −N_j with

    N_j = Q_j − h (what stays at j while branches are open + the most that one branch at j has in addition when closed)

Let T_j be the sum of N over a bus and the dangling trees at it; beyond a branch of a dangling tree lies such a tree,
beyond a branch of the core are whole trees of core buses that are joined. *Bare* are core buses with T < 0; those
joined to each other are a *group* U of excess e(U) = Σ_U max(0, −T_j). Every other core bus j may draw
s_j = T_j − Σ e(U), a sum over the groups next to it. Where that is < 0 it is called bare, too, and groups are formed
anew, until there is none. Bare core buses draw nothing, a dangling tree at most max(0, T_j), and loads Q̂ >= 0 are
shared out so that no tree draws more than it may. The drawing grid has the active loads, Q̂, the same impedances, no
admittance, no ratio, and sources that hold κ w + Δ, κ the greatest ratio there, and

    Δ = 2 max over groups of e(U) Σ_U (greatest x of a branch at the bus) + 2 max over dangling trees of Σ x max(0, −T)

with the last sum over the branches from the core to a bus. If a bare core bus, or a tree with T < 0, draws active
power, the drawing grid has neither reactive loads nor reactances.

**Statement.** In every radial state of interest the drawing grid has a power flow, whose loss is at most Σ r l of the
grid itself.

*Proof.* Call a branch *dry* where S, the buses beyond it, lies within a group with its trees, or is a tree with T < 0.
Beyond any other the core buses of S are joined, so that each group that S meets is next to one of S that is not bare,
and Σ_S N_j >= Σ_S Q̂_j >= 0: reactive power of at least Σ_S Q̂_j + Σ x l arrives at its far end. At that of a dry branch
it is at least −e + Σ x l, with e of its group or −T of its tree. Active power of at least Σ_S P_j + Σ r l arrives
either way. What is beyond a dry branch of the core lies beyond those before it, so that all such on the way to a bus
are of one group, and each is at another of its buses. Let a_j be the sum of 2 x e over the dry branches on the way to
j: a_j <= Δ. With ŵ_j = w_j + Δ − a_j >= w_j (κ w in place of w at sources) and the powers at far ends,

    ŵ_far <= ŵ_near − 2 (r p̂ + x q̂) − |z|² l̂

for all p̂ <= p, q̂ <= max(0, q), l̂ <= l, with q̂ = 0 on dry branches: there the drawing grid has no power at all, or no
reactances. From the far ends on, with l̂ ŵ_far = p̂² + q̂², p̂ = Σ_S P_j + Σ r l̂, q̂ = Σ_S Q̂_j + Σ x l̂, it follows that
l̂ <= l, as p̂² + q̂² <= p² + q² and ŵ >= w. Now raise all ŵ to what the law gives at these powers, lower the powers to
what the new ŵ give, and so on. Voltages only rise and powers only fall, and both are bounded: the limit is a power flow
of the drawing grid with no more loss. ∎

So the loss is at least that of the drawing grid and what admittances lose in every state, of which
`least_steady_loss` counts the transformers at sources: with near-end powers p, q

    g w_far >= g (κ w_source − 2 (r p + x q))

and all p together are at most all loads and the loss, all q >= 0 at most what draws reactive power and Σ x l.

Theory: docs/methods.md M48.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats, States
from openpoint.graph import components
from openpoint.search.kernel.arrays import CLOSED, Model
from openpoint.search.paths.arrays import dangling


def drawing(model: Model) -> Model:
    """The drawing grid as a model, which is the same where there are neither admittances nor ratios.

    What it cannot leave out stays, so that `openpoint.search.paths.arrays.obstacles` names it.
    """
    ratios = bool(np.any(model.k_fr != 1.0) or np.any(model.k_to != 1.0))
    inner, at = np.arange(len(model.p)) < model.n, (model.fr, model.to)
    far = np.concatenate([model.k_fr[inner[model.fr]], model.k_to[inner[model.to]]])
    stays = np.any(far != 1.0) or np.any(model.p[inner] < 0.0) or np.any(model.p_w < model.worth)
    if not (model.shunts or ratios) or stays or not model.passive or model.devices or model.loss_price != 1.0:
        return model
    source = np.where(np.bincount(np.concatenate(at), minlength=len(model.p)) > 0, 0.0, model.w_max)
    for bus, k in zip(at, (model.k_fr, model.k_to), strict=True):
        np.maximum.at(source, bus, k * model.w_max[bus])
    reactive, more, plain = _drawn(model, inner)
    none, ones = np.zeros(len(model.fr)), np.ones(len(model.fr))
    held = source[~inner] + more
    away: dict[str, Any] = dict.fromkeys(("g_fr", "b_fr", "g_to", "b_to"), none)
    away |= dict.fromkeys(("p_w", "q_w", "worth"), np.zeros(len(model.p)))
    return replace(
        model,
        q=np.where(inner, 0.0 if plain else reactive, model.q),
        x=none if plain else model.x,
        z2=model.r**2 if plain else model.z2,
        w_max=np.concatenate([np.full(model.n, held.max()), held]),
        **away,
        k_fr=ones,
        k_to=ones,
        shunts=False,
    )


def _drawn(model: Model, inner: Bools) -> tuple[Floats, float, bool]:
    """(N) Q̂, Δ, and whether something bare draws active power."""
    net, steepest = _net(model)
    fr, to = np.minimum(model.fr, model.n).astype(np.int64), np.minimum(model.to, model.n).astype(np.int64)
    pruned, above, by, of_core = dangling(model, fr, to)
    trees = list(zip(pruned.tolist(), above.tolist(), by.tolist()))
    total, power, may, below = net.copy(), model.p.copy(), np.maximum(0.0, net), np.zeros(len(net))
    for j, i, _ in trees:
        may[j] = max(0.0, min(total[j], may[j] + below[j]))
        total[i] += total[j]
        power[i] += power[j]
        below[i] += may[j]
    rise, draws = np.zeros(len(net)), False
    for j, i, e in reversed(trees):
        rise[j] = rise[i] + 2.0 * model.x[e] * max(0.0, -total[j])
        draws |= bool(total[j] < 0.0 and power[j] > 0.0)
    core = inner.copy()
    core[pruned] = False
    left, bare, more = _of_core(model, core, of_core, total, steepest)
    may[core] = np.minimum(left, np.maximum(0.0, net) + below)[core]
    drawn = np.zeros(len(net))
    share = np.zeros(len(net))
    share[~inner] = 1.0
    for j, i in [*((j, j) for j in np.flatnonzero(core).tolist()), *((j, i) for j, i, _ in reversed(trees))]:
        if i != j:
            may[j] *= share[i]
        drawn[j] = min(max(0.0, net[j]), may[j])
        share[j] = min(1.0, (may[j] - drawn[j]) / below[j]) if below[j] > 0.0 else 0.0
    return drawn, more + float(rise.max(initial=0.0)), draws or bool(np.any(power[bare] > 0.0))


def _net(model: Model) -> tuple[Floats, Floats]:
    """(N) N of the buses, and the greatest x of a branch at each."""
    high, size = float(model.w_max.max()), len(model.p)
    added = np.maximum(0.0, model.k_fr * model.b_fr) + np.maximum(0.0, model.k_to * model.b_to)
    most, steepest = np.zeros((2, size))
    for bus in (model.fr, model.to):
        np.maximum.at(most, bus, added)
        np.maximum.at(steepest, bus, model.x)
    return model.q - high * (np.maximum(0.0, -model.q_w) + most), steepest


def _of_core(
    model: Model, core: Bools, branches: Bools, total: Floats, steepest: Floats
) -> tuple[Floats, Bools, float]:
    """(N) s of core buses, which of them are bare, and their part of Δ.

    Args:
        core: (N) core buses that no source holds. branches: (m) of the core. total: (N) T. steepest: as of `_net`.
    """
    size = len(total)
    ends = np.concatenate([model.fr, model.to])[np.tile(branches, 2)]
    others = np.concatenate([model.to, model.fr])[np.tile(branches, 2)]
    bare = core & (total < 0.0)
    while True:
        within = bare[ends] & bare[others]
        group = components(size, ends[within], others[within])
        excess = np.bincount(group, np.where(bare, np.maximum(0.0, -total), 0.0), size)
        next_to = core[ends] & ~bare[ends] & bare[others]
        pairs = np.unique(np.stack([ends[next_to], group[others[next_to]]]), axis=1)
        left = np.where(core & ~bare, total, 0.0)
        np.subtract.at(left, pairs[0], excess[pairs[1]])
        short = core & (left < 0.0)
        if not short.any():
            break
        bare |= short
    length = np.bincount(group, np.where(bare, steepest, 0.0), size)
    return left, bare, 2.0 * float((excess * length).max(initial=0.0))


def least_steady_loss(model: Model, drawn: Model, status: States, value: float) -> float:
    """Loss of the admittances of closed branches at sources, at least, in every state that loses at most `value`.

    Args:
        drawn: its drawing grid. status: (m) branches that are decided in every state.
        value: the loss that states of interest do not exceed.
    """
    if not model.shunts or drawn is model:
        return 0.0
    high, inner = float(model.w_max.max()), np.arange(len(model.p)) < model.n
    total, beyond, by_r, by_x = 0.0, 0.0, 0.0, 0.0
    for near, other, k, g, g_far in (
        (model.fr, model.to, model.k_fr, model.g_fr, model.g_to),
        (model.to, model.fr, model.k_to, model.g_to, model.g_fr),
    ):
        e = np.flatnonzero((status == CLOSED) & ~inner[near] & inner[other])
        w, g_there = k[e] * model.w_min[near[e]], np.maximum(0.0, g_far[e])
        total += float((np.maximum(0.0, g[e]) * w).sum())
        beyond += float((g_there * w).sum())
        by_r = max(by_r, float((g_there * model.r[e]).max(initial=0.0)))
        by_x = max(by_x, float((g_there * model.x[e]).max(initial=0.0)))
    lossless = (model.r == 0.0) & (model.x > 0.0)
    steepest = float(np.divide(model.x, model.r, out=np.zeros(len(model.r)), where=model.r > 0.0).max(initial=0.0))
    p = float((np.maximum(0.0, model.p) + high * np.maximum(0.0, model.p_w))[inner].sum()) + value
    q = float((np.maximum(0.0, model.q) + high * np.maximum(0.0, model.q_w))[inner].sum()) + steepest * value
    q -= high * float((np.minimum(0.0, model.k_fr * model.b_fr) + np.minimum(0.0, model.k_to * model.b_to)).sum())
    return total if lossless.any() else total + max(0.0, beyond - 2.0 * (by_r * p + by_x * q))
