"""Compiled kernel of the backward/forward sweep on trees.

The sweep of Shirmohammadi, Hong, Semlyen and Luo, "A compensation-based power flow method for weakly meshed
distribution and transmission networks", IEEE Trans. Power Systems 3(2), 1988, in three changes of form:

- **Ratios vanish.** In a tree every bus k has one product t_k of the ideal ratios and of the source's angle between
  the source and itself. With v_k = t_k u_k and i_k = j_k / conj(t_k), power v conj(i) = u conj(j) is unchanged, u is
  continuous through an ideal ratio, and the magnitude of t is all that an impedance or a load sees of it. A ratio may
  so be met from either side, and the sweep itself runs without any.
- **Shunts are eliminated.** All that is linear at a bus (charging, capacitors, loads of constant impedance) is an
  admittance; the admittance seen below a bus is Y_k = y_k + Σ Y_c / (1 + z_c Y_c), and the sweep iterates on the loads
  of constant power and current alone: u_c = (u_p - z_c j_c) / (1 + z_c Y_c).
- Buses are renumbered in the order of a breadth-first search, so that parents come before children.

A flow without solution shows in the frame u as a real part that falls to zero (a load beyond the nose of its curve
turns the iteration into a rotation about the origin); it is stopped there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from openpoint.powerflow.compiled import compiled

Floats = npt.NDArray[np.float64]
Complexes = npt.NDArray[np.complex128]
Numbers = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

CONVERGED, NOT_CONVERGED, NOT_RADIAL = 0, 1, 2


class Wires(NamedTuple):
    """What does not change between flows: N buses, E branches, in per unit.

    Attributes:
        start: (N + 1) where the neighbours of a bus begin. neighbour, via: (2E) bus at the other end, and branch.
        fr: (E) from bus. z, y: (E) series impedance, shunt admittance of both ends together. tap, shift: (E).
        source, source_v: (S) buses that sources hold, and their voltages.
        has_ratio, has_shunt: whether any branch has a ratio or shift, or a shunt.
    """

    start: Numbers
    neighbour: Numbers
    via: Numbers
    fr: Numbers
    z: Complexes
    y: Complexes
    tap: Floats
    shift: Floats
    source: Numbers
    source_v: Complexes
    has_ratio: bool
    has_shunt: bool


class Work(NamedTuple):
    """Memory of one flow, by position in the tree: sources first, parents before children.

    Attributes:
        order, position: bus at a position, position of a bus (-1: not energised). parent: position of the parent.
        edge: branch to the parent. flipped: the parent is at its to end.
        z_re, z_im: impedance to the parent in the frame u. line_re, line_im: shunts of all branches at the bus.
        y_re, y_im: these and the loads of constant impedance. below_re, below_im: Y_k. d_re, d_im: 1 / (1 + z Y).
        half_re, half_im: half the shunt of the branch to the parent.
        size: |t|². turn: phase angle of t.
        p, q, a_p, a_q: load of constant power and of constant current (the latter times |t|).
        u_re, u_im: voltage. l_re, l_im: current of the loads. j_re, j_im: current in the branch to the parent.
    """

    order: Numbers
    position: Numbers
    parent: Numbers
    edge: Numbers
    flipped: Bools
    z_re: Floats
    z_im: Floats
    line_re: Floats
    line_im: Floats
    y_re: Floats
    y_im: Floats
    below_re: Floats
    below_im: Floats
    d_re: Floats
    d_im: Floats
    half_re: Floats
    half_im: Floats
    size: Floats
    turn: Floats
    p: Floats
    q: Floats
    a_p: Floats
    a_q: Floats
    u_re: Floats
    u_im: Floats
    l_re: Floats
    l_im: Floats
    j_re: Floats
    j_im: Floats


def work_for(n_bus: int) -> Work:
    """Fresh memory for flows of `n_bus` buses."""
    arrays: dict[str, Any] = {name: np.zeros(n_bus) for name in Work._fields}
    arrays |= {name: np.empty(n_bus, dtype=np.int32) for name in ("order", "position", "parent", "edge")}
    arrays["flipped"] = np.empty(n_bus, dtype=np.bool_)
    return Work(**arrays)


@compiled
def grow(wires: Wires, closed: Bools, work: Work) -> tuple[int, bool]:
    """Breadth-first search from all sources; fills order, position, parent, edge.

    Returns the number of energised buses and whether they are trees with one source each.
    """
    order, position, parent, edge = work.order, work.position, work.parent, work.edge
    position[:] = -1
    radial = True
    n = 0
    for source in wires.source:
        if position[source] >= 0:
            radial = False
            continue
        position[source] = n
        order[n] = source
        parent[n] = -1
        edge[n] = -1
        n += 1
    head = 0
    while head < n:
        bus = order[head]
        came = edge[head]
        for a in range(wires.start[bus], wires.start[bus + 1]):
            e = wires.via[a]
            if e == came or not closed[e]:
                continue
            other = wires.neighbour[a]
            if position[other] >= 0:
                radial = False
                continue
            position[other] = n
            order[n] = other
            parent[n] = head
            edge[n] = e
            n += 1
        head += 1
    return n, radial


@compiled
def refer(wires: Wires, n: int, work: Work) -> None:
    """Bring impedances, shunts and ratios of the tree into the frame u."""
    size, turn, parent = work.size, work.turn, work.parent
    for k in range(n):
        work.line_re[k] = 0.0
        work.line_im[k] = 0.0
    for k in range(n):
        up = parent[k]
        if up < 0:  # a radial tree has source k at position k
            turn[k] = np.angle(wires.source_v[k])
            size[k] = 1.0
            continue
        e = work.edge[k]
        flipped = wires.fr[e] != work.order[up]
        work.flipped[k] = flipped
        seen = 1.0
        if wires.has_ratio:
            square = wires.tap[e] * wires.tap[e]
            if flipped:
                size[k] = size[up] * square
                turn[k] = turn[up] + wires.shift[e]
                seen = size[up]
            else:
                size[k] = size[up] / square
                turn[k] = turn[up] - wires.shift[e]
                seen = size[k]
        else:
            size[k] = 1.0
            turn[k] = turn[up]
        work.z_re[k] = wires.z[e].real / seen
        work.z_im[k] = wires.z[e].imag / seen
        if wires.has_shunt:
            re = 0.5 * wires.y[e].real * seen
            im = 0.5 * wires.y[e].imag * seen
            work.half_re[k] = re
            work.half_im[k] = im
            work.line_re[k] += re
            work.line_im[k] += im
            work.line_re[up] += re
            work.line_im[up] += im


@compiled
def load(
    n: int, s_power: Complexes, s_current: Complexes, s_impedance: Complexes, linear: bool, current: bool, work: Work
) -> None:
    """Bring the loads of one flow into the frame u, eliminate the shunts, start from the voltages of the sources."""
    for k in range(n):
        bus = work.order[k]
        work.p[k] = s_power[bus].real
        work.q[k] = s_power[bus].imag
        if current:
            scale = np.sqrt(work.size[k])
            work.a_p[k] = s_current[bus].real * scale
            work.a_q[k] = s_current[bus].imag * scale
        up = work.parent[k]
        if up >= 0:
            work.u_re[k] = work.u_re[up]
            work.u_im[k] = 0.0
    if not linear:
        return
    for k in range(n):
        s = s_impedance[work.order[k]]
        work.y_re[k] = work.line_re[k] + s.real * work.size[k]
        work.y_im[k] = work.line_im[k] - s.imag * work.size[k]
        work.below_re[k] = work.y_re[k]
        work.below_im[k] = work.y_im[k]
    for k in range(n - 1, -1, -1):
        up = work.parent[k]
        if up < 0:
            break
        y = complex(work.below_re[k], work.below_im[k])
        d = 1.0 / (1.0 + complex(work.z_re[k], work.z_im[k]) * y)
        work.d_re[k] = d.real
        work.d_im[k] = d.imag
        work.below_re[up] += (y * d).real
        work.below_im[up] += (y * d).imag


@compiled
def load_currents(n: int, current: bool, work: Work) -> float:
    """Currents of the loads at the present voltages; returns the largest change of power they mean at any bus."""
    change = 0.0
    for k in range(n):
        re = work.u_re[k]
        im = work.u_im[k]
        w = re * re + im * im
        p = work.p[k]
        q = work.q[k]
        if current:
            v = np.sqrt(w)
            p += work.a_p[k] * v
            q += work.a_q[k] * v
        l_re = (p * re + q * im) / w
        l_im = (p * im - q * re) / w
        step = ((l_re - work.l_re[k]) ** 2 + (l_im - work.l_im[k]) ** 2) * w
        if work.parent[k] >= 0 and not step <= change:  # not <=: nan is the largest of all
            change = step
        work.l_re[k] = l_re
        work.l_im[k] = l_im
    return float(np.sqrt(change))


@compiled
def sweep(n: int, roots: int, linear: bool, current: bool, tolerance: float, iterations: int, work: Work) -> int:
    """Iterate until no voltage moves by more than `tolerance`; returns the status."""
    parent, z_re, z_im = work.parent, work.z_re, work.z_im
    u_re, u_im, l_re, l_im, j_re, j_im = work.u_re, work.u_im, work.l_re, work.l_im, work.j_re, work.j_im
    p, q, a_p, a_q, d_re, d_im = work.p, work.q, work.a_p, work.a_q, work.d_re, work.d_im
    for _ in range(iterations):
        for k in range(n):
            re = u_re[k]
            im = u_im[k]
            w = re * re + im * im
            p_k = p[k]
            q_k = q[k]
            if current:
                v = np.sqrt(w)
                p_k += a_p[k] * v
                q_k += a_q[k] * v
            inverse = 1.0 / w
            l_re[k] = (p_k * re + q_k * im) * inverse
            l_im[k] = (p_k * im - q_k * re) * inverse
            j_re[k] = l_re[k]
            j_im[k] = l_im[k]
        if linear:
            for k in range(n - 1, roots - 1, -1):
                up = parent[k]
                j_re[up] += j_re[k] * d_re[k] - j_im[k] * d_im[k]
                j_im[up] += j_re[k] * d_im[k] + j_im[k] * d_re[k]
        else:
            for k in range(n - 1, roots - 1, -1):
                up = parent[k]
                j_re[up] += j_re[k]
                j_im[up] += j_im[k]
        change = 0.0
        lost = False
        for k in range(roots, n):
            up = parent[k]
            re = u_re[up] - (z_re[k] * j_re[k] - z_im[k] * j_im[k])
            im = u_im[up] - (z_re[k] * j_im[k] + z_im[k] * j_re[k])
            if linear:
                re, im = re * d_re[k] - im * d_im[k], re * d_im[k] + im * d_re[k]
            step = (re - u_re[k]) ** 2 + (im - u_im[k]) ** 2
            change = max(change, step)
            lost |= not re > 0.0  # true for nan also
            u_re[k] = re
            u_im[k] = im
        if lost:
            return NOT_CONVERGED
        if change <= tolerance * tolerance:
            # The branches carry the loads of the voltages before this step: what is missing is the mismatch.
            mismatch = load_currents(n, current, work)
            return CONVERGED if mismatch <= 1e3 * tolerance else NOT_CONVERGED
    return NOT_CONVERGED


@compiled
def collect(n: int, roots: int, linear: bool, work: Work) -> float:
    """Currents of all branches at the voltages found; returns the active loss."""
    u_re, u_im, j_re, j_im = work.u_re, work.u_im, work.j_re, work.j_im
    for k in range(n):
        j_re[k] = work.l_re[k]
        j_im[k] = work.l_im[k]
    if linear:
        for k in range(n):
            j_re[k] += work.y_re[k] * u_re[k] - work.y_im[k] * u_im[k]
            j_im[k] += work.y_re[k] * u_im[k] + work.y_im[k] * u_re[k]
    loss = 0.0
    for k in range(n - 1, roots - 1, -1):
        up = work.parent[k]
        j_re[up] += j_re[k]
        j_im[up] += j_im[k]
        loss += work.z_re[k] * (j_re[k] * j_re[k] + j_im[k] * j_im[k])
        if linear:
            w = u_re[k] * u_re[k] + u_im[k] * u_im[k] + u_re[up] * u_re[up] + u_im[up] * u_im[up]
            loss += work.half_re[k] * w
    return loss


@compiled
def flow(
    wires: Wires,
    n: int,
    s_power: Complexes,
    s_current: Complexes,
    s_impedance: Complexes,
    linear: bool,
    current: bool,
    tolerance: float,
    iterations: int,
    work: Work,
) -> tuple[int, float]:
    """One flow on the tree in `work`: status and loss, voltages and currents in `work`."""
    roots = len(wires.source)
    for k in range(roots):
        work.u_re[k] = abs(wires.source_v[k])
        work.u_im[k] = 0.0
    load(n, s_power, s_current, s_impedance, linear, current, work)
    status = sweep(n, roots, linear, current, tolerance, iterations, work)
    if status != CONVERGED:
        return status, np.inf
    return status, collect(n, roots, linear, work)


@compiled
def loss_of_many(
    wires: Wires,
    closed: Bools,
    s_power: Complexes,
    s_current: Complexes,
    s_impedance: Complexes,
    linear: bool,
    current: bool,
    tolerance: float,
    iterations: int,
    work: Work,
    loss: Floats,
    status: npt.NDArray[np.int8],
) -> None:
    """Loss and status of K flows; inputs have K rows or one."""
    n, radial = 0, False
    for k in range(len(loss)):
        if k == 0 or len(closed) > 1:
            n, radial = grow(wires, closed[k if len(closed) > 1 else 0], work)
            if radial:
                refer(wires, n, work)
        loss[k] = np.inf
        status[k] = NOT_RADIAL
        if radial:
            status[k], loss[k] = flow(
                wires,
                n,
                s_power[k if len(s_power) > 1 else 0],
                s_current[k if len(s_current) > 1 else 0],
                s_impedance[k if len(s_impedance) > 1 else 0],
                linear,
                current,
                tolerance,
                iterations,
                work,
            )


@compiled
def many(
    wires: Wires,
    closed: Bools,
    s_power: Complexes,
    s_current: Complexes,
    s_impedance: Complexes,
    linear: bool,
    current: bool,
    tolerance: float,
    iterations: int,
    work: Work,
    loss: Floats,
    status: npt.NDArray[np.int8],
    energised: Bools,
    v: Complexes,
    i_series: Complexes,
    s_fr: Complexes,
    s_to: Complexes,
    source_s: Complexes,
) -> None:
    """All results of K flows; inputs have K rows or one, outputs K; complex outputs arrive as zeros."""
    n, radial = 0, False
    for k in range(len(loss)):
        if k == 0 or len(closed) > 1:
            n, radial = grow(wires, closed[k if len(closed) > 1 else 0], work)
            if radial:
                refer(wires, n, work)
        for m in range(n):
            energised[k, work.order[m]] = True
        loss[k] = np.inf
        status[k] = NOT_RADIAL
        if radial:
            status[k], loss[k] = flow(
                wires,
                n,
                s_power[k if len(s_power) > 1 else 0],
                s_current[k if len(s_current) > 1 else 0],
                s_impedance[k if len(s_impedance) > 1 else 0],
                linear,
                current,
                tolerance,
                iterations,
                work,
            )
        if status[k] == CONVERGED:
            write(wires, n, work, v[k], i_series[k], s_fr[k], s_to[k], source_s[k])
        else:
            nothing = complex(np.nan, np.nan)
            v[k] = nothing
            i_series[k] = nothing
            s_fr[k] = nothing
            s_to[k] = nothing
            source_s[k] = nothing


@compiled
def write(
    wires: Wires,
    n: int,
    work: Work,
    v: Complexes,
    i_series: Complexes,
    s_fr: Complexes,
    s_to: Complexes,
    source_s: Complexes,
) -> None:
    """Bring a flow out of the frame u."""
    for k in range(len(wires.source)):
        source_s[k] = complex(work.u_re[k], work.u_im[k]) * complex(work.j_re[k], -work.j_im[k])
    for k in range(n):
        bus = work.order[k]
        u = complex(work.u_re[k], work.u_im[k])
        turn = complex(np.cos(work.turn[k]), np.sin(work.turn[k]))
        v[bus] = u * turn * np.sqrt(work.size[k])
        up = work.parent[k]
        if up < 0:
            v[bus] = wires.source_v[k]
            continue
        e = work.edge[k]
        u_up = complex(work.u_re[up], work.u_im[up])
        j = complex(work.j_re[k], work.j_im[k])
        half = complex(work.half_re[k], work.half_im[k]) if wires.has_shunt else 0.0j
        s_upper = u_up * (j + half * u_up).conjugate()
        s_lower = u * (half * u - j).conjugate()
        # The series impedance lies at the to side: its frame is that of the bus there.
        if work.flipped[k]:
            at, direction = up, -1.0
            s_fr[e], s_to[e] = s_lower, s_upper
        else:
            at, direction = k, 1.0
            s_fr[e], s_to[e] = s_upper, s_lower
        frame = complex(np.cos(work.turn[at]), np.sin(work.turn[at])) * (direction / np.sqrt(work.size[at]))
        i_series[e] = j * frame
