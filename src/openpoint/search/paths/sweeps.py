"""Compiled: the least power and the highest voltages of paths, stubs and dangling trees.

All loads are >= 0 and there is nothing that feeds, so power runs away from the sources. With p, q arriving at the far
end of a branch,

    l = (p² + q²) / w_far      what is sent is p + r l, q + x l      w_far = w_near − 2 (r p + x q) − |z|² l

Less power beyond gives less power here and higher voltages, and higher voltages give less power (induction from the
far ends to the sources and back). So lower bounds of what arrives, with upper bounds of w, give lower bounds of what is
sent, and these give upper bounds of w again. Every sweep starts and ends with bounds.

**Closed paths.** If f, g arrive at the far end of a path, p = f + a arrives at a branch of it, with a at least the load
between and the losses that belong to the least f, g. The power sent is at least

    f + s0 + s1 (f² + g²) + s2 f + s3 g
    s0 = Σ (load + r (a² + b²) / w)    s1 = Σ r / w    s2 = 2 Σ r a / w    s3 = 2 Σ r b / w

That is best at the least flow. About another flow F₀ = (f₀, g₀), nowhere less than that, there is a better bound
(`closed_about`), as more power lowers the voltages within the path. Let F and w be power and squared voltage at the far
end of a branch when F₀ + δ arrives at the end of the path, and t >= 0 two numbers. Since |F − t w|² >= 0,

    l = |F|² / w >= 2 t·F − |t|² w

So with affine functions of δ, F_ of which F is never below and w_ of which w is never above, l is never below the
affine 2 t·F_ − |t|² w_. By the balances and the voltage law, both are passed on: from branch to branch up to the
sender, and then down with the voltages. Every sweep starts and ends with bounds; t = F_ / w_ at δ = 0 is the best
there. Where F_ >= 0 at the least flow, and so everywhere, since no slope of it is negative,

    l >= |F_|² / w_ = 2 t·F_ − |t|² w_ + |F_ − t w_|² / w_ >= 2 t·F_ − |t|² w_ + σ |δ|² / w_max

with D the slope of F_ − t w_, which is 0 at δ = 0, σ the least eigenvalue of DᵀD, and w_max the value of w_ at the
least flow.

**Stubs.** One whose sender has the squared voltage W loses at least L in these sweeps. At w = t W, t <= 1, it loses at
least L / t: let F(v) = v + 2 (r p + x q) + |z|² (p² + q²) / v be the near end's squared voltage of a branch at the
power p, q of the sweep, and v_far that of the sweep at the far end, so that F(v_far) = v_near. In a power flow with
the sender at w powers are no less than those of the sweep, so that F(w_far) <= w_near. If w_near <= t v_near, as at the
sender, then w_far <= t v_far: F(t v_far) >= t F(v_far) = t v_near >= w_near, and F rises above |z| |p + jq|; with
t v_far below that, t v_near < 2 (r p + x q) + 2 |z| |p + jq| <= F everywhere, and there is no such power flow. So
l >= (p² + q²) / (t v_far), which is 1 / t times that of the sweep, and the powers are no less again.

**Least flows.** A junction is fed by one path. What arrives there is at least its own load and what every other path
at it draws in each of its possible states but those that feed the junction.

**Voltages.** A junction is at most as high as the best of the paths that may feed it makes it, at their least flows.

What the states of branches and paths at a node imply for each other, and the sums of its paths.

A path has an open branch, or it is closed and power runs forth or back. Each junction is fed by one path.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Model
from openpoint.search.kernel.arrays import OPEN as IS_OPEN
from openpoint.search.paths.arrays import BACK, FORTH, OPEN, Paths, PathWork

SWEEPS, ALONG = 3, 2
"""Sweeps up and down of dangling trees, and along a path: each leaves about a hundredth of what the last one lacked."""
SOUND = 0.1
"""Where the flow on a branch about which a path is bounded is so near its greatest possible one that less than this is
left of the slope of its voltage, the voltage is only known to be at most the sender's."""
ROUNDS = 8
"""Rounds of least flows over all paths."""


@inlined
def lower_end(w: float, r: float, x: float, z2: float, p: float, q: float) -> float:
    """Squared voltage at the far end of a branch where p, q arrive: the larger root of its voltage law."""
    half = 0.5 * w - r * p - x * q
    square = half * half - z2 * (p * p + q * q)
    low: float = max(half + np.sqrt(max(square, 0.0)), 1e-6)
    return low


@inlined
def dangle(model: Model, paths: Paths, work: PathWork) -> None:
    """Loads of the core with the least infeed of its dangling trees, at the voltages in `work.top`, which it lowers."""
    top, p, q = work.top, work.load_p, work.load_q
    for k in range(len(paths.pruned) - 1, -1, -1):
        top[paths.pruned[k]] = min(top[paths.pruned[k]], top[paths.above[k]])
    for _ in range(SWEEPS):
        for j in range(len(p)):
            p[j] = model.p[j]
            q[j] = model.q[j]
            work.nominal[j] = model.p[j]
        for k in range(len(paths.pruned)):
            j, i, e = paths.pruned[k], paths.above[k], paths.by[k]
            l = (p[j] * p[j] + q[j] * q[j]) / top[j]
            p[i] += p[j] + model.r[e] * l
            q[i] += q[j] + model.x[e] * l
            work.nominal[i] += work.nominal[j]
        for k in range(len(paths.pruned) - 1, -1, -1):
            j, i, e = paths.pruned[k], paths.above[k], paths.by[k]
            top[j] = min(top[j], lower_end(top[i], model.r[e], model.x[e], model.z2[e], p[j], q[j]))


@inlined
def along(
    model: Model, paths: Paths, work: PathWork, forth: bool, begin: int, end: int, w: float, f: float, g: float
) -> tuple[float, float]:
    """Least power sent into the positions begin … end − 1 of a path, where f, g arrive at the far end of the last.

    Args:
        forth: directed from u to v; else the other way, from position end − 1 down to `begin`.
        w: highest squared voltage where the power is sent.

    Leaves what arrives at each branch, and the highest voltages there, in `recv_p`, `recv_q` and `chain`.
    """
    p, q, chain = work.recv_p, work.recv_q, work.chain
    for position in range(begin, end):
        chain[position] = w
    send_p, send_q = f, g
    for _ in range(ALONG):
        send_p, send_q = f, g
        for step in range(end - begin):
            position = end - 1 - step if forth else begin + step
            if step > 0:
                bus = paths.beyond[position] if forth else paths.beyond[position - 1]
                send_p += work.load_p[bus]
                send_q += work.load_q[bus]
            e = paths.branch[position]
            p[position] = send_p
            q[position] = send_q
            l = (send_p * send_p + send_q * send_q) / chain[position]
            send_p += model.r[e] * l
            send_q += model.x[e] * l
        near = w
        for step in range(end - begin):
            position = begin + step if forth else end - 1 - step
            e = paths.branch[position]
            near = lower_end(near, model.r[e], model.x[e], model.z2[e], p[position], q[position])
            chain[position] = near
    return send_p, send_q


@inlined
def stubs(model: Model, paths: Paths, work: PathWork, k: int) -> None:
    """Least power drawn from both ends of a path, open at each of its branches, at the voltages in `work.top`."""
    begin, end = paths.start[k], paths.start[k + 1]
    at_u, at_v = work.top[paths.u_bus[k]], work.top[paths.v_bus[k]]
    load_p, load_q, stub = 0.0, 0.0, work.stub
    for position in range(begin, end):
        p, q = 0.0, 0.0
        if position > begin:
            bus = paths.beyond[position - 1]
            load_p += work.load_p[bus]
            load_q += work.load_q[bus]
            p, q = along(model, paths, work, True, begin, position, at_u, work.load_p[bus], work.load_q[bus])
        stub[position, 0], stub[position, 1], stub[position, 4], stub[position, 5] = p, q, p - load_p, q - load_q
    load_p, load_q = 0.0, 0.0
    for step in range(end - begin):
        position = end - 1 - step
        p, q = 0.0, 0.0
        if step > 0:
            bus = paths.beyond[position]
            load_p += work.load_p[bus]
            load_q += work.load_q[bus]
            p, q = along(model, paths, work, False, position + 1, end, at_v, work.load_p[bus], work.load_q[bus])
        stub[position, 2], stub[position, 3], stub[position, 6], stub[position, 7] = p, q, p - load_p, q - load_q


@inlined
def draw_stubs(paths: Paths, work: PathWork) -> None:
    """What stubs draw at the voltages in `work.top`; those of `stub` are at the ones in `work.highest`."""
    for k in range(len(work.mask)):
        if work.mask[k] & OPEN == 0:
            continue
        more_u = work.highest[paths.u_bus[k]] / work.top[paths.u_bus[k]] - 1.0
        more_v = work.highest[paths.v_bus[k]] / work.top[paths.v_bus[k]] - 1.0
        for position in range(paths.start[k], paths.start[k + 1]):
            work.u_p[position] = work.stub[position, 0] + more_u * work.stub[position, 4]
            work.u_q[position] = work.stub[position, 1] + more_u * work.stub[position, 5]
            work.v_p[position] = work.stub[position, 2] + more_v * work.stub[position, 6]
            work.v_q[position] = work.stub[position, 3] + more_v * work.stub[position, 7]


@inlined
def closed(model: Model, paths: Paths, work: PathWork, k: int, forth: bool) -> None:
    """Coefficients of the power sent into a closed path, and its least drop of voltage, at the least flow."""
    begin, end = paths.start[k], paths.start[k + 1]
    d = 2 * k if forth else 2 * k + 1
    f, g = work.end_p[d], work.end_q[d]
    w = work.top[paths.u_bus[k] if forth else paths.v_bus[k]]
    along(model, paths, work, forth, begin, end, w, f, g)
    send = work.send
    for c in range(8):
        send[d, c] = 0.0
    drop = 0.0
    for position in range(begin, end):
        e = paths.branch[position]
        if position < end - 1:
            send[d, 0] += work.load_p[paths.beyond[position]]
            send[d, 4] += work.load_q[paths.beyond[position]]
        p, q, w_far = work.recv_p[position], work.recv_q[position], work.chain[position]
        a, b = p - f, q - g
        for c in range(2):
            z = (model.r[e] if c == 0 else model.x[e]) / w_far
            send[d, 4 * c] += z * (a * a + b * b)
            send[d, 4 * c + 1] += z
            send[d, 4 * c + 2] += 2.0 * z * a
            send[d, 4 * c + 3] += 2.0 * z * b
        drop += 2.0 * (model.r[e] * p + model.x[e] * q) + model.z2[e] * (p * p + q * q) / w_far
    work.drop[d] = drop


@inlined
def least_square(a: float, b: float, c: float, d: float) -> float:
    """Least eigenvalue of DᵀD of a matrix D = (a b; c d)."""
    half, det = 0.5 * (a * a + b * b + c * c + d * d), a * d - b * c
    least: float = half - np.sqrt(max(half * half - det * det, 0.0))
    return max(least, 0.0)


@inlined
def affine_up(model: Model, paths: Paths, work: PathWork, k: int, forth: bool, f: float, g: float) -> None:
    """Least power at the far ends of a closed path, and what is sent, as affine functions; see `closed_about`."""
    begin, end, chain, power = paths.start[k], paths.start[k + 1], work.chain_about, work.power_about
    p, p_f, p_g, q, q_f, q_g = f, 1.0, 0.0, g, 0.0, 1.0
    for step in range(end - begin):
        position = end - 1 - step if forth else begin + step
        if step > 0:
            bus = paths.beyond[position] if forth else paths.beyond[position - 1]
            p += work.load_p[bus]
            q += work.load_q[bus]
        power[position, 0], power[position, 1], power[position, 2] = p, p_f, p_g
        power[position, 3], power[position, 4], power[position, 5] = q, q_f, q_g
        e, w = paths.branch[position], chain[position, 0]
        t_p, t_q = p / w, q / w
        square = t_p * t_p + t_q * t_q
        l = t_p * p + t_q * q
        l_f = 2.0 * (t_p * p_f + t_q * q_f) - square * chain[position, 1]
        l_g = 2.0 * (t_p * p_g + t_q * q_g) - square * chain[position, 2]
        p, p_f, p_g = p + model.r[e] * l, p_f + model.r[e] * l_f, p_g + model.r[e] * l_g
        q, q_f, q_g = q + model.x[e] * l, q_f + model.x[e] * l_f, q_g + model.x[e] * l_g
    sent = work.sent_about
    sent[0], sent[1], sent[2], sent[3], sent[4], sent[5] = p, p_f, p_g, q, q_f, q_g


@inlined
def affine_down(model: Model, paths: Paths, work: PathWork, k: int, forth: bool, w: float) -> None:
    """Highest voltages at the far ends of a closed path as affine functions, after `affine_up`."""
    begin, end, chain, power = paths.start[k], paths.start[k + 1], work.chain_about, work.power_about
    highest, w_f, w_g = w, 0.0, 0.0
    for step in range(end - begin):
        position = begin + step if forth else end - 1 - step
        e = paths.branch[position]
        r, x, z2 = model.r[e], model.x[e], model.z2[e]
        p, q = power[position, 0], power[position, 3]
        half = 0.5 * w - r * p - x * q
        w = lower_end(w, r, x, z2, p, q)
        rest = 1.0 - z2 * (p * p + q * q) / (w * w)
        if half * half < z2 * (p * p + q * q) or half <= 0.0 or rest < SOUND:
            w, w_f, w_g = highest, 0.0, 0.0
        else:
            by_p, by_q = 2.0 * (r + z2 * p / w), 2.0 * (x + z2 * q / w)
            w_f = (w_f - by_p * power[position, 1] - by_q * power[position, 4]) / rest
            w_g = (w_g - by_p * power[position, 2] - by_q * power[position, 5]) / rest
        chain[position, 0], chain[position, 1], chain[position, 2] = w, w_f, w_g


@inlined
def closed_about(model: Model, paths: Paths, work: PathWork, k: int, forth: bool) -> None:
    """Coefficients of the power sent into a closed path that are best about the flow `about_p`, `about_q`."""
    begin, end = paths.start[k], paths.start[k + 1]
    d = 2 * k if forth else 2 * k + 1
    f = max(min(work.about_p[d], work.most[0]), work.end_p[d])
    g = max(min(work.about_q[d], work.most[1]), work.end_q[d])
    less_f, less_g = f - work.end_p[d], g - work.end_q[d]
    w = work.top[paths.u_bus[k] if forth else paths.v_bus[k]]
    chain, power, sent = work.chain_about, work.power_about, work.sent_about
    for position in range(begin, end):
        chain[position, 0], chain[position, 1], chain[position, 2] = w, 0.0, 0.0
    for _ in range(ALONG):
        affine_up(model, paths, work, k, forth, f, g)
        affine_down(model, paths, work, k, forth, w)
    affine_up(model, paths, work, k, forth, f, g)
    by_r, by_x = 0.0, 0.0
    for position in range(begin, end):
        p, p_f, p_g = power[position, 0], power[position, 1], power[position, 2]
        q, q_f, q_g = power[position, 3], power[position, 4], power[position, 5]
        if p < p_f * less_f + p_g * less_g or q < q_f * less_f + q_g * less_g:
            continue
        here, w_f, w_g = chain[position, 0], chain[position, 1], chain[position, 2]
        t_p, t_q, highest = p / here, q / here, here - w_f * less_f - w_g * less_g
        least = least_square(p_f - t_p * w_f, p_g - t_p * w_g, q_f - t_q * w_f, q_g - t_q * w_g)
        e = paths.branch[position]
        by_r += model.r[e] * least / highest
        by_x += model.x[e] * least / highest
    far = end - 1 if forth else begin
    work.arrive[d, 0] = chain[far, 0] - chain[far, 1] * f - chain[far, 2] * g
    work.arrive[d, 1] = chain[far, 1]
    work.arrive[d, 2] = chain[far, 2]
    for c in range(2):
        square, by_f, by_g = by_r if c == 0 else by_x, sent[3 * c + 1], sent[3 * c + 2]
        work.send[d, 4 * c] = sent[3 * c] - by_f * f - by_g * g + square * (f * f + g * g)
        work.send[d, 4 * c + 1] = square
        work.send[d, 4 * c + 2] = by_f - (1.0 if c == 0 else 0.0) - 2.0 * square * f
        work.send[d, 4 * c + 3] = by_g - (0.0 if c == 0 else 1.0) - 2.0 * square * g


@inlined
def sent(work: PathWork, d: int, f: float, g: float) -> tuple[float, float]:
    """Least power sent into a closed path where f, g arrive."""
    s, square = work.send, f * f + g * g
    p = f + s[d, 0] + s[d, 1] * square + s[d, 2] * f + s[d, 3] * g
    return p, g + s[d, 4] + s[d, 5] * square + s[d, 6] * f + s[d, 7] * g


TURNS = 2
"""Turns of dangling trees, stubs, least flows and highest voltages before the first node."""
MOST = 2.0
"""Flow about which a path is bounded at most, in all loads together: sums of much larger ones would lose digits."""
CHANGE = 1e-9
"""Change of a least flow, per unit of its own, that counts as none."""


@inlined
def feeds(mask: int, end: int) -> int:
    """The bit of a path's mask for feeding its end u (0) or v (1)."""
    return mask & (BACK if end == 0 else FORTH)


@inlined
def from_branches(paths: Paths, work: PathWork, status: Any) -> bool:
    """Restrict the states of paths by those of branches; False where none is left to a path."""
    for k in range(len(work.mask)):
        opened, undecided = 0, 0
        work.opened[k] = -1
        for position in range(paths.start[k], paths.start[k + 1]):
            state = status[paths.branch[position]]
            if state == IS_OPEN:
                opened += 1
                work.opened[k] = position
            undecided += state == UNDECIDED
        if opened > 1:
            return False
        if opened == 1:
            work.mask[k] &= OPEN
        elif undecided == 0:
            work.mask[k] &= FORTH | BACK
        if work.mask[k] == 0:
            return False
    return True


@inlined
def to_branches(paths: Paths, work: PathWork, status: Any) -> bool:
    """Decide branches by the states of paths; returns whether any was decided."""
    changed = False
    for k in range(len(work.mask)):
        one, undecided, opened = -1, 0, False
        for position in range(paths.start[k], paths.start[k + 1]):
            e = paths.branch[position]
            opened |= status[e] == IS_OPEN
            if status[e] == UNDECIDED:
                undecided += 1
                one = e
                if work.mask[k] & OPEN == 0:
                    status[e] = CLOSED
                    changed = True
        if work.mask[k] == OPEN and not opened and undecided == 1:
            status[one] = IS_OPEN
            changed = True
    return changed


@inlined
def one_feeder(paths: Paths, work: PathWork) -> bool:
    """Where only one path may feed a junction it does; where one must, no other does. False: a contradiction."""
    mask = work.mask
    again = True
    while again:
        again = False
        for j in range(paths.junctions):
            may, must, only = 0, -1, -1
            for a in range(paths.first[j], paths.first[j + 1]):
                k, end = paths.at[a] // 2, paths.at[a] % 2
                bit = feeds(mask[k], end)
                if bit != 0:
                    may += 1
                    only = a
                    if mask[k] == bit:
                        if must >= 0:
                            return False
                        must = a
            if may == 0:
                return False
            if may == 1 and must < 0:
                k, end = paths.at[only] // 2, paths.at[only] % 2
                mask[k] = feeds(mask[k], end)
                again = True
            elif may > 1 and must >= 0:
                for a in range(paths.first[j], paths.first[j + 1]):
                    k, end = paths.at[a] // 2, paths.at[a] % 2
                    if a != must and feeds(mask[k], end) != 0:
                        mask[k] &= ~feeds(mask[k], end)
                        if mask[k] == 0:
                            return False
                        again = True
    return True


@inlined
def may_open(paths: Paths, work: PathWork, status: Any, k: int, position: int) -> bool:
    """Whether path k, which may be open, may be so at a position. Requires `from_branches`."""
    may: bool = status[paths.branch[position]] == UNDECIDED if work.opened[k] < 0 else position == work.opened[k]
    return may


@inlined
def begin(model: Model, paths: Paths, work: PathWork, status: Any) -> None:
    """What holds at every node: loads of the core, upper bounds of its voltages, the least power of stubs."""
    for j in range(len(work.top)):
        work.highest[j] = model.w_max[j]
    for j in range(paths.junctions):
        work.highest[paths.bus[j]] = min(work.highest[paths.bus[j]], work.known_w[j])
    for k in range(len(work.mask)):
        work.inner[k] = 0.0
    work.most[0], work.most[1] = 0.0, 0.0
    for j in range(len(work.top)):
        work.most[0] += MOST * model.p[j]
        work.most[1] += MOST * model.q[j]
    for _ in range(TURNS):
        for j in range(len(work.top)):
            work.top[j] = work.highest[j]
        dangle(model, paths, work)
        for k in range(len(work.mask)):
            stubs(model, paths, work, k)
        sums(model, paths, work, status)
        for k in range(len(work.mask)):
            ends = max(work.top[paths.u_bus[k]], work.top[paths.v_bus[k]])
            for position in range(paths.start[k], paths.start[k + 1] - 1):
                bus = paths.beyond[position]
                work.top[bus] = min(work.top[bus], ends)
        for j in range(len(work.top)):
            work.highest[j] = work.top[j]
    for k in range(len(work.mask)):
        stubs(model, paths, work, k)
        for position in range(paths.start[k], paths.start[k + 1]):
            work.inner[k] -= model.price[paths.branch[position]]
            if position < paths.start[k + 1] - 1:
                work.inner[k] += work.nominal[paths.beyond[position]]


@inlined
def least_draws(paths: Paths, work: PathWork, status: Any) -> None:
    """Least power that paths draw at their ends where they do not feed these."""
    for k in range(len(work.mask)):
        for end in range(2):
            p, q = np.inf, np.inf
            if work.mask[k] & OPEN != 0:
                for position in range(paths.start[k], paths.start[k + 1]):
                    if may_open(paths, work, status, k, position):
                        p = min(p, work.u_p[position] if end == 0 else work.v_p[position])
                        q = min(q, work.u_q[position] if end == 0 else work.v_q[position])
            if feeds(work.mask[k], 1 - end) != 0:
                d = 2 * k + end
                p_sent, q_sent = sent(work, d, work.end_p[d], work.end_q[d])
                p, q = min(p, p_sent), min(q, q_sent)
            work.least_p[2 * k + end] = p if p < np.inf else 0.0
            work.least_q[2 * k + end] = q if q < np.inf else 0.0


@inlined
def least_flows(paths: Paths, work: PathWork) -> bool:
    """Raise the least power that arrives where a path is closed by what other paths at its far end draw.

    Returns whether any changed.
    """
    changed = False
    for j in range(paths.junctions):
        p, q = work.load_p[paths.bus[j]], work.load_q[paths.bus[j]]
        for a in range(paths.first[j], paths.first[j + 1]):
            p += work.least_p[paths.at[a]]
            q += work.least_q[paths.at[a]]
        for a in range(paths.first[j], paths.first[j + 1]):
            d = paths.at[a] ^ 1  # closed towards its end u, it is directed back
            p_here, q_here = p - work.least_p[paths.at[a]], q - work.least_q[paths.at[a]]
            changed |= p_here > work.end_p[d] * (1.0 + CHANGE) or q_here > work.end_q[d] * (1.0 + CHANGE)
            work.end_p[d] = max(work.end_p[d], p_here)
            work.end_q[d] = max(work.end_q[d], q_here)
    return changed


@inlined
def highest_voltages(paths: Paths, work: PathWork) -> None:
    """Lower the upper bounds of the voltages of junctions by the least drops of the paths that may feed them, and to
    what is known of them.
    """
    high = work.step_p
    for j in range(paths.junctions):
        high[j] = 0.0
    again = True
    while again:
        again = False
        for d in range(len(work.drop)):
            k, end = d // 2, 1 - d % 2
            if feeds(work.mask[k], end) == 0:
                continue
            near, far = (paths.u[k], paths.v[k]) if end == 1 else (paths.v[k], paths.u[k])
            bus = paths.u_bus[k] if end == 1 else paths.v_bus[k]
            w = (work.top[bus] if near == paths.junctions else high[near]) - work.drop[d]
            if far < paths.junctions:
                w = min(w, work.known_w[far])
            if far < paths.junctions and w > high[far]:
                high[far] = w
                again = True
    for j in range(paths.junctions):
        if high[j] > 0.0:
            work.top[paths.bus[j]] = min(work.top[paths.bus[j]], high[j])


@inlined
def all_closed(model: Model, paths: Paths, work: PathWork) -> None:
    """`closed` of all paths in the directions that they may have."""
    for k in range(len(work.mask)):
        if work.mask[k] & FORTH != 0:
            closed(model, paths, work, k, True)
        if work.mask[k] & BACK != 0:
            closed(model, paths, work, k, False)


@inlined
def about_flows(model: Model, paths: Paths, work: PathWork) -> None:
    """`closed_about` of all paths in the directions that they may have, about the flows of least cost last found."""
    for d in range(len(work.about_p)):
        if work.mask[d // 2] & (BACK if d % 2 else FORTH) != 0:
            work.about_p[d] = work.flow_p[d]
            work.about_q[d] = work.flow_q[d]
            closed_about(model, paths, work, d // 2, d % 2 == 0)


@inlined
def sums(model: Model, paths: Paths, work: PathWork, status: Any) -> None:
    """The least power of closed paths at the node, and the highest voltages of junctions."""
    for j in range(len(work.top)):
        work.top[j] = work.highest[j]
    draw_stubs(paths, work)
    for d in range(len(work.end_p)):
        work.end_p[d] = work.known_p[d]
        work.end_q[d] = work.known_q[d]
    all_closed(model, paths, work)
    for _ in range(ROUNDS):
        least_draws(paths, work, status)
        if not least_flows(paths, work):
            break
    all_closed(model, paths, work)
    highest_voltages(paths, work)
    draw_stubs(paths, work)
    work.priced[0] = 0
    for d in range(len(work.about_p)):
        if work.mask[d // 2] & (BACK if d % 2 else FORTH) != 0:
            closed_about(model, paths, work, d // 2, d % 2 == 0)
