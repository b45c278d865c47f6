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

**Least flows.** A junction is fed by one path. What arrives there is at least its own load and what every other path
at it draws in each of its possible states but those that feed the junction.

**Voltages.** A junction is at most as high as the best of the paths that may feed it makes it, at their least flows.
"""

from __future__ import annotations

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import Model
from openpoint.search.paths.arrays import Paths, PathWork

SWEEPS = 3
"""Sweeps up and down along a path."""
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
    for _ in range(SWEEPS):
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
    for position in range(begin, end):
        p, q = 0.0, 0.0
        if position > begin:
            bus = paths.beyond[position - 1]
            w = work.top[paths.u_bus[k]]
            p, q = along(model, paths, work, True, begin, position, w, work.load_p[bus], work.load_q[bus])
        work.u_p[position] = p
        work.u_q[position] = q
        p, q = 0.0, 0.0
        if position < end - 1:
            bus = paths.beyond[position]
            w = work.top[paths.v_bus[k]]
            p, q = along(model, paths, work, False, position + 1, end, w, work.load_p[bus], work.load_q[bus])
        work.v_p[position] = p
        work.v_q[position] = q


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
def sent(work: PathWork, d: int, f: float, g: float) -> tuple[float, float]:
    """Least power sent into a closed path where f, g arrive."""
    s, square = work.send, f * f + g * g
    p = f + s[d, 0] + s[d, 1] * square + s[d, 2] * f + s[d, 3] * g
    return p, g + s[d, 4] + s[d, 5] * square + s[d, 6] * f + s[d, 7] * g
