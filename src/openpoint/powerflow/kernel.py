"""Compiled kernel of the backward/forward sweep on trees.

The sweep of Shirmohammadi, Hong, Semlyen and Luo, "A compensation-based power flow method for weakly meshed
distribution and transmission networks", IEEE Trans. Power Systems 3(2), 1988, in changes of form:

- **Ratios are eliminated.** In a tree every bus k has one product t_k of the source's angle and the ideal ratios
  between the source and the bus. With v_k = t_k u_k and i_k = j_k / conj(t_k), power v conj(i) = u conj(j) is
  unchanged, u is continuous across an ideal ratio, and impedances and loads depend on the magnitude of t only. So a
  ratio may be at either end of a branch, and the sweep itself contains none.
- **Shunts are eliminated.** All that is linear at a bus (charging, capacitors, loads of constant impedance) is an
  admittance; the admittance seen below a bus is Y_k = y_k + Σ Y_c / (1 + z_c Y_c), and the sweep iterates on the loads
  of constant power and current alone: u_c = (u_p - z_c j_c) / (1 + z_c Y_c).
- An open branch that is energised from one end is an admittance too, whose conductance counts as loss.
- Buses are renumbered in the order of a breadth-first search, so that parents come before children.

A flow without solution shows in the frame u as a real part that falls to zero (a load beyond the nose of its curve
turns the iteration into a rotation about the origin); it is stopped there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats, States
from openpoint.compiled.jit import inlined, lean
from openpoint.powerflow.arrays import Loads, Output, Wires, Work

CONVERGED, NOT_CONVERGED, NOT_RADIAL = 0, 1, 2


@inlined
def grow(wires: Wires, closed: Bools, work: Work) -> tuple[int, bool]:
    """Breadth-first search from all sources; fills order, position, parent, edge.

    Returns the number of energised buses and whether they are trees with one source each.
    """
    order, position = work.order, work.position
    for bus in range(len(position)):
        position[bus] = -1
    radial = True
    n = 0
    for k in range(len(wires.source)):
        source = wires.source[k]
        if position[source] >= 0:
            radial = False
            continue
        position[source] = n
        order[n] = source
        work.parent[n] = -1
        work.edge[n] = -1
        n += 1
    n, tree = spread(wires, closed, 0, n, work)
    return n, radial and tree


@inlined
def spread(wires: Wires, closed: Any, head: int, n: int, work: Work) -> tuple[int, bool]:
    """Continue the breadth-first search at position `head`, where `n` buses have a position; returns as `grow`."""
    order, position, parent, edge = work.order, work.position, work.parent, work.edge
    radial = True
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


@inlined
def hold(wires: Wires, source: int, k: int, work: Work) -> None:
    """The frame u of a source at position k, and its voltage there."""
    v = wires.source_v[source]
    work.turn[k] = np.arctan2(v.imag, v.real)
    work.size[k] = 1.0
    work.u_re[k] = np.hypot(v.real, v.imag)
    work.u_im[k] = 0.0


@inlined
def refer(wires: Wires, closed: Any, n: int, work: Work) -> None:
    """Refer impedances, shunts and ratios of the tree to the frame u, with open branches energised from one end.

    Requires `hold` for the sources.
    """
    size, turn, parent = work.size, work.turn, work.parent
    for k in range(n):
        work.line_re[k] = 0.0
        work.line_im[k] = 0.0
    for k in range(n):
        up = parent[k]
        if up < 0:
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
        z, y = wires.z[e], wires.y[e]
        work.z_re[k] = z.real / seen
        work.z_im[k] = z.imag / seen
        re, im = 0.5 * y.real * seen, 0.5 * y.imag * seen
        work.half_re[k] = re
        work.half_im[k] = im
        work.line_re[k] += re
        work.line_im[k] += im
        work.line_re[up] += re
        work.line_im[up] += im
    if len(wires.hung) == 0:
        return
    for k in range(n):
        work.hung_re[k] = 0.0
    for h in range(len(wires.hung)):
        k = work.position[wires.hung_at[h]]
        if k >= 0 and not closed[wires.hung[h]]:
            y = wires.hung_y[h]
            work.hung_re[k] += y.real * size[k]
            work.line_re[k] += y.real * size[k]
            work.line_im[k] += y.imag * size[k]


@inlined
def load(n: int, loads: Loads, number: int, work: Work) -> None:
    """Refer the loads of one flow to the frame u, eliminate the shunts, start from the voltages of the sources."""
    s_power = loads.s_power[number if len(loads.s_power) > 1 else 0]
    s_current = loads.s_current[number if len(loads.s_current) > 1 else 0]
    s_impedance = loads.s_impedance[number if len(loads.s_impedance) > 1 else 0]
    for k in range(n):
        bus = work.order[k]
        work.p[k] = s_power[bus].real
        work.q[k] = s_power[bus].imag
        if loads.has_current:
            scale = np.sqrt(work.size[k])
            work.a_p[k] = s_current[bus].real * scale
            work.a_q[k] = s_current[bus].imag * scale
        up = work.parent[k]
        if up >= 0:
            work.u_re[k] = work.u_re[up]
            work.u_im[k] = 0.0
    if not loads.linear:
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
        y_re, y_im, z_re, z_im = work.below_re[k], work.below_im[k], work.z_re[k], work.z_im[k]
        re, im = 1.0 + z_re * y_re - z_im * y_im, z_re * y_im + z_im * y_re
        square = re * re + im * im
        d_re, d_im = re / square, -im / square
        work.d_re[k] = d_re
        work.d_im[k] = d_im
        work.below_re[up] += y_re * d_re - y_im * d_im
        work.below_im[up] += y_re * d_im + y_im * d_re


@inlined
def draw(n: int, roots: int, has_current: bool, work: Work) -> float:
    """Currents of the loads at the present voltages; returns the largest change of power (squared) at any bus.

    The branches carry the currents drawn before, so this change is the mismatch of the power balance.
    """
    change = 0.0
    for k in range(n):
        re = work.u_re[k]
        im = work.u_im[k]
        w = re * re + im * im
        p = work.p[k]
        q = work.q[k]
        if has_current:
            v = np.sqrt(w)
            p += work.a_p[k] * v
            q += work.a_q[k] * v
        inverse = 1.0 / w
        l_re = (p * re + q * im) * inverse
        l_im = (p * im - q * re) * inverse
        step = ((l_re - work.l_re[k]) ** 2 + (l_im - work.l_im[k]) ** 2) * w
        if k >= roots:
            change = max(change, step)
        work.l_re[k] = l_re
        work.l_im[k] = l_im
        work.j_re[k] = l_re
        work.j_im[k] = l_im
    return change


@inlined
def sweep(n: int, roots: int, loads: Loads, tolerance: float, iterations: int, work: Work) -> int:
    """Iterate until no voltage moves by more than `tolerance` and the powers balance; returns the status."""
    parent, z_re, z_im, d_re, d_im = work.parent, work.z_re, work.z_im, work.d_re, work.d_im
    u_re, u_im, j_re, j_im = work.u_re, work.u_im, work.j_re, work.j_im
    change = np.inf
    for _ in range(iterations):
        mismatch = draw(n, roots, loads.has_current, work)
        if change <= tolerance * tolerance and mismatch <= 1e4 * tolerance * tolerance:
            return CONVERGED
        if loads.linear:
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
            if loads.linear:
                re, im = re * d_re[k] - im * d_im[k], re * d_im[k] + im * d_re[k]
            change = max(change, (re - u_re[k]) ** 2 + (im - u_im[k]) ** 2)
            lost |= not re > 0.0  # true for nan also
            u_re[k] = re
            u_im[k] = im
        if lost:
            return NOT_CONVERGED
    return NOT_CONVERGED


@inlined
def collect(n: int, roots: int, linear: bool, hangs: bool, work: Work) -> float:
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
    if hangs:
        for k in range(n):
            loss += work.hung_re[k] * (u_re[k] * u_re[k] + u_im[k] * u_im[k])
    return loss


@inlined
def entering(u_re: float, u_im: float, half_re: float, half_im: float, j_re: float, j_im: float) -> complex:
    """Power u conj(j + half u) that enters a branch at an end with voltage u."""
    re = j_re + half_re * u_re - half_im * u_im
    im = j_im + half_re * u_im + half_im * u_re
    return complex(u_re * re + u_im * im, u_im * re - u_re * im)


@inlined
def turned(re: float, im: float, angle: float, scale: float) -> complex:
    """A complex number times `scale`, rotated by an angle."""
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return complex(re * c - im * s, re * s + im * c)


@inlined
def rated_square(wires: Wires, e: int, k: int, work: Work) -> float:
    """Squared rated current of the branch from position k to its parent (`openpoint.network.limits`)."""
    up, fr, to = work.parent[k], wires.rated_fr[e], wires.rated_to[e]
    upper, lower = (to, fr) if work.flipped[k] else (fr, to)
    half_re, half_im, j_re, j_im = work.half_re[k], work.half_im[k], work.j_re[k], work.j_im[k]
    re = j_re + half_re * work.u_re[up] - half_im * work.u_im[up]
    im = j_im + half_re * work.u_im[up] + half_im * work.u_re[up]
    above = upper * upper * (re * re + im * im) / work.size[up]
    re = j_re - half_re * work.u_re[k] + half_im * work.u_im[k]
    im = j_im - half_re * work.u_im[k] - half_im * work.u_re[k]
    below = lower * lower * (re * re + im * im) / work.size[k]
    found: float = max(above, below)
    return found


@inlined
def charging_square(wires: Wires, h: int, w: float) -> float:
    """Squared rated current of an open branch that is energised from one end, whose squared voltage is w."""
    e, y = wires.hung[h], wires.hung_y[h]
    rated = wires.rated_fr[e] if wires.fr[e] == wires.hung_at[h] else wires.rated_to[e]
    found: float = rated * rated * (y.real * y.real + y.imag * y.imag) * w
    return found


@inlined
def write(wires: Wires, closed: Bools, n: int, number: int, converged: bool, work: Work, output: Output) -> None:
    """Write the results of a flow, transformed from the frame u to actual voltages and currents."""
    v, i_series, s_fr, s_to = output.v[number], output.i_series[number], output.s_fr[number], output.s_to[number]
    i_rated = output.i_rated[number]
    for k in range(n):
        output.energised[number, work.order[k]] = True
    if not converged:
        for array in (v, i_series, s_fr, s_to, output.source_s[number]):
            array[:] = complex(np.nan, np.nan)
        i_rated[:] = np.nan
        return
    u_re, u_im, j_re, j_im = work.u_re, work.u_im, work.j_re, work.j_im
    for k in range(len(wires.source)):
        output.source_s[number, k] = entering(u_re[k], u_im[k], 0.0, 0.0, j_re[k], j_im[k])
    for k in range(n):
        bus = work.order[k]
        v[bus] = turned(u_re[k], u_im[k], work.turn[k], np.sqrt(work.size[k]))
        up = work.parent[k]
        if up < 0:
            v[bus] = wires.source_v[k]
            continue
        e = work.edge[k]
        s_upper = entering(u_re[up], u_im[up], work.half_re[k], work.half_im[k], j_re[k], j_im[k])
        s_lower = entering(u_re[k], u_im[k], work.half_re[k], work.half_im[k], -j_re[k], -j_im[k])
        # The series impedance lies at the to side: its frame is that of the bus there.
        if work.flipped[k]:
            at, direction = up, -1.0
            s_fr[e], s_to[e] = s_lower, s_upper
        else:
            at, direction = k, 1.0
            s_fr[e], s_to[e] = s_upper, s_lower
        i_series[e] = turned(j_re[k], j_im[k], work.turn[at], direction / np.sqrt(work.size[at]))
        i_rated[e] = np.sqrt(rated_square(wires, e, k, work))
    for h in range(len(wires.hung)):
        e, bus = wires.hung[h], wires.hung_at[h]
        if closed[e] or work.position[bus] < 0:
            continue
        y, w = wires.hung_y[h], v[bus].real * v[bus].real + v[bus].imag * v[bus].imag
        if wires.fr[e] == bus:
            s_fr[e] = complex(y.real * w, -y.imag * w)
        else:
            s_to[e] = complex(y.real * w, -y.imag * w)
        i_rated[e] = np.sqrt(charging_square(wires, h, w))


@lean
def many(
    wires: Wires,
    closed: Bools,
    loads: Loads,
    tolerance: float,
    iterations: int,
    work: Work,
    loss: Floats,
    status: States,
    output: Output,
) -> None:
    """Compute K flows; `closed` and the loads have K rows or one."""
    roots = len(wires.source)
    n, radial = 0, False
    for number in range(len(loss)):
        state = closed[number if len(closed) > 1 else 0]
        if number == 0 or len(closed) > 1:
            n, radial = grow(wires, state, work)
            if radial:
                for k in range(roots):  # a radial tree has source k at position k
                    hold(wires, k, k, work)
                refer(wires, state, n, work)
        loss[number] = np.inf
        status[number] = NOT_RADIAL
        if radial:
            load(n, loads, number, work)
            status[number] = sweep(n, roots, loads, tolerance, iterations, work)
        if status[number] == CONVERGED:
            loss[number] = collect(n, roots, loads.linear, len(wires.hung) > 0, work)
        if len(output.v):
            write(wires, state, n, number, status[number] == CONVERGED, work, output)
