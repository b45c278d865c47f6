"""Compiled: power flows of one radial topology in many steps, `LANES` of them at once.

The steps are divided into as many runs of neighbours as there are lanes, and lane b goes through run b. So every sweep
works on `LANES` steps whose voltages stand beside each other in memory, which the processor adds and multiplies with
one instruction, and it starts from the voltages of the step before, which are near. The sweep is that of
`openpoint.powerflow.kernel`. Where a step of a group has no solution, its steps are computed one by one.
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Bools
from openpoint.compiled.jit import inlined, lean
from openpoint.network.limits import LIMIT_TOLERANCE
from openpoint.powerflow.arrays import Loads, Wires, Work
from openpoint.powerflow.kernel import CONVERGED, charging_square, grow, hold, load, refer, sweep
from openpoint.powerflow.series_arrays import (
    J_IM,
    J_RE,
    L_IM,
    L_RE,
    LANES,
    U_IM,
    U_RE,
    WIDTH,
    Demands,
    Found,
    Lanes,
    P,
    Q,
)

LOWER, HIGHER = (1.0 - LIMIT_TOLERANCE) ** 2, (1.0 + LIMIT_TOLERANCE) ** 2
"""Shares of the limits of squares up to which they count as kept."""


@inlined
def take(demands: Demands, n: int, first: int, length: int, work: Work, lanes: Lanes) -> None:
    """Demands of the steps `first`, `first + length`, …; beyond the last step those of the last."""
    cells, steps = lanes.cells, len(demands.profile)
    for k in range(n):
        bus, at = work.order[k], k * WIDTH
        for b in range(LANES):
            cells[at + P + b] = 0.0
            cells[at + Q + b] = 0.0
        for share in range(demands.start[bus], demands.start[bus + 1]):
            p, q, which = demands.p[share], demands.q[share], demands.follows[share]
            for b in range(LANES):
                value = demands.profile[min(first + b * length, steps - 1), which]
                cells[at + P + b] += p * value
                cells[at + Q + b] += q * value


@inlined
def begin(n: int, roots: int, work: Work, lanes: Lanes) -> None:
    """Voltages of the sources everywhere, and no currents."""
    cells = lanes.cells
    for k in range(n):
        at = k * WIDTH
        up = work.parent[k] * WIDTH
        for b in range(LANES):
            cells[at + U_RE + b] = work.u_re[k] if k < roots else cells[up + U_RE + b]
            cells[at + U_IM + b] = 0.0
            cells[at + L_RE + b] = 0.0
            cells[at + L_IM + b] = 0.0


@inlined
def draw_lanes(n: int, roots: int, has_current: bool, work: Work, lanes: Lanes) -> None:
    """Currents of the loads at the present voltages, and the largest change of power (squared) at any bus."""
    cells, mismatch = lanes.cells, lanes.mismatch
    for b in range(LANES):
        mismatch[b] = 0.0
    for k in range(n):
        at = k * WIDTH
        a_p, a_q = 0.0, 0.0
        if has_current:
            a_p, a_q = work.a_p[k], work.a_q[k]
        counts = 1.0 if k >= roots else 0.0
        for b in range(LANES):
            re, im = cells[at + U_RE + b], cells[at + U_IM + b]
            w = re * re + im * im
            p, q = cells[at + P + b], cells[at + Q + b]
            if has_current:
                v = np.sqrt(w)
                p += a_p * v
                q += a_q * v
            inverse = 1.0 / w
            l_re = (p * re + q * im) * inverse
            l_im = (p * im - q * re) * inverse
            moved_re, moved_im = l_re - cells[at + L_RE + b], l_im - cells[at + L_IM + b]
            step = counts * (moved_re * moved_re + moved_im * moved_im) * w
            mismatch[b] = step if step > mismatch[b] else mismatch[b]
            cells[at + L_RE + b] = l_re
            cells[at + L_IM + b] = l_im
            cells[at + J_RE + b] = l_re
            cells[at + J_IM + b] = l_im


@inlined
def backward(n: int, roots: int, linear: bool, work: Work, lanes: Lanes) -> None:
    """Currents of the branches from those of the loads."""
    cells = lanes.cells
    for k in range(n - 1, roots - 1, -1):
        at, up = k * WIDTH, work.parent[k] * WIDTH
        if linear:
            d_re, d_im = work.d_re[k], work.d_im[k]
            for b in range(LANES):
                cells[up + J_RE + b] += cells[at + J_RE + b] * d_re - cells[at + J_IM + b] * d_im
                cells[up + J_IM + b] += cells[at + J_RE + b] * d_im + cells[at + J_IM + b] * d_re
        else:
            for b in range(LANES):
                cells[up + J_RE + b] += cells[at + J_RE + b]
                cells[up + J_IM + b] += cells[at + J_IM + b]


@inlined
def forward(n: int, roots: int, linear: bool, work: Work, lanes: Lanes) -> None:
    """Voltages from the currents of the branches, and the largest change (squared); inf where one is lost."""
    cells, change = lanes.cells, lanes.change
    for b in range(LANES):
        change[b] = 0.0
    for k in range(roots, n):
        at, up = k * WIDTH, work.parent[k] * WIDTH
        z_re, z_im = work.z_re[k], work.z_im[k]
        d_re, d_im = 1.0, 0.0
        if linear:
            d_re, d_im = work.d_re[k], work.d_im[k]
        for b in range(LANES):
            j_re, j_im = cells[at + J_RE + b], cells[at + J_IM + b]
            re = cells[up + U_RE + b] - (z_re * j_re - z_im * j_im)
            im = cells[up + U_IM + b] - (z_re * j_im + z_im * j_re)
            re, im = re * d_re - im * d_im, re * d_im + im * d_re
            moved_re, moved_im = re - cells[at + U_RE + b], im - cells[at + U_IM + b]
            step = moved_re * moved_re + moved_im * moved_im
            step = step if re > 0.0 else np.inf  # also where it is not a number
            change[b] = step if step > change[b] else change[b]
            cells[at + U_RE + b] = re
            cells[at + U_IM + b] = im


@inlined
def sweep_lanes(n: int, roots: int, loads: Loads, tolerance: float, iterations: int, work: Work, lanes: Lanes) -> bool:
    """Iterate until all lanes converge; False where one does not."""
    largest = np.inf
    for _ in range(iterations):
        draw_lanes(n, roots, loads.has_current, work, lanes)
        mismatch = 0.0
        for b in range(LANES):
            mismatch = max(mismatch, lanes.mismatch[b])
        if largest <= tolerance * tolerance and mismatch <= 1e4 * tolerance * tolerance:
            return True
        backward(n, roots, loads.linear, work, lanes)
        forward(n, roots, loads.linear, work, lanes)
        largest = 0.0
        for b in range(LANES):
            largest = max(largest, lanes.change[b])
        if not largest < np.inf:
            return False
    return False


@inlined
def alone(
    n: int, roots: int, lane: int, loads: Loads, tolerance: float, iterations: int, work: Work, lanes: Lanes
) -> int:
    """Compute the step in a lane by itself; its status."""
    load(n, loads, 0, work)
    for k in range(n):
        work.p[k] = lanes.cells[k * WIDTH + P + lane]
        work.q[k] = lanes.cells[k * WIDTH + Q + lane]
    status = sweep(n, roots, loads, tolerance, iterations, work)
    for k in range(n):
        at = k * WIDTH + lane
        lanes.cells[at + U_RE] = work.u_re[k]
        lanes.cells[at + U_IM] = work.u_im[k]
        lanes.cells[at + L_RE] = work.l_re[k]
        lanes.cells[at + L_IM] = work.l_im[k]
    return status


@inlined
def check_voltages(n: int, roots: int, first: int, length: int, work: Work, lanes: Lanes, found: Found) -> None:
    """Compare the voltages of the lanes with the limits and with the extremes so far."""
    cells, row = lanes.cells, lanes.row
    for k in range(roots, n):
        at, bus, size = k * WIDTH, work.order[k], work.size[k]
        least, most, w_min, w_max = found.low_of[bus], found.high_of[bus], found.w_min[bus], found.w_max[bus]
        for b in range(LANES):
            re, im = cells[at + U_RE + b], cells[at + U_IM + b]
            row[b] = (re * re + im * im) * size
        for b in range(LANES):
            step, w = first + b * length, row[b]
            if step >= len(found.loss) or found.status[step] != CONVERGED:
                continue
            if w < least:
                least = w
                found.low_at[bus] = step
            if w > most:
                most = w
                found.high_at[bus] = step
            found.low[step] = min(found.low[step], w)
            found.high[step] = max(found.high[step], w)
            if w < w_min * LOWER:
                found.excess[step] += 1.0 - w / w_min
            elif w > w_max * HIGHER:
                found.excess[step] += w / w_max - 1.0
        found.low_of[bus] = least
        found.high_of[bus] = most


@inlined
def check_currents(
    wires: Wires, n: int, roots: int, first: int, length: int, linear: bool, work: Work, lanes: Lanes, found: Found
) -> None:
    """Currents and losses of the branches at the voltages found, as `kernel.collect`, with limits and extremes."""
    cells, row = lanes.cells, lanes.row
    for k in range(n):
        at = k * WIDTH
        y_re, y_im = 0.0, 0.0
        if linear:
            y_re, y_im = work.y_re[k], work.y_im[k]
        for b in range(LANES):
            re, im = cells[at + U_RE + b], cells[at + U_IM + b]
            cells[at + J_RE + b] = cells[at + L_RE + b] + (y_re * re - y_im * im)
            cells[at + J_IM + b] = cells[at + L_IM + b] + (y_re * im + y_im * re)
    for k in range(n - 1, roots - 1, -1):
        at, parent, e = k * WIDTH, work.parent[k], work.edge[k]
        up = parent * WIDTH
        flipped = work.flipped[k]
        above = (wires.rated_to[e] if flipped else wires.rated_fr[e]) ** 2 / work.size[parent]
        below = (wires.rated_fr[e] if flipped else wires.rated_to[e]) ** 2 / work.size[k]
        most, limit, r, half, half_im = (
            found.current_of[e],
            found.l_max[e],
            work.z_re[k],
            work.half_re[k],
            work.half_im[k],
        )
        for b in range(LANES):
            j_re, j_im = cells[at + J_RE + b], cells[at + J_IM + b]
            cells[up + J_RE + b] += j_re
            cells[up + J_IM + b] += j_im
            row[b] = j_re * j_re + j_im * j_im
        for b in range(LANES):
            step, square = first + b * length, row[b]
            if step >= len(found.loss) or found.status[step] != CONVERGED:
                continue
            lost = r * square
            if not linear:
                square *= max(above, below)
            else:
                re, im, above_re, above_im = (
                    cells[at + U_RE + b],
                    cells[at + U_IM + b],
                    cells[up + U_RE + b],
                    cells[up + U_IM + b],
                )
                lost += half * (re * re + im * im + above_re * above_re + above_im * above_im)
                j_re, j_im = cells[at + J_RE + b], cells[at + J_IM + b]
                out_re, out_im = j_re - half * re + half_im * im, j_im - half * im - half_im * re
                in_re = j_re + half * above_re - half_im * above_im
                in_im = j_im + half * above_im + half_im * above_re
                square = max(above * (in_re * in_re + in_im * in_im), below * (out_re * out_re + out_im * out_im))
            found.loss[step] += lost
            found.energy[e] += lost * found.hours[step]
            if square > most:
                most = square
                found.current_at[e] = step
            if square > limit * HIGHER:
                found.excess[step] += square / limit - 1.0
        found.current_of[e] = most


@inlined
def add_open_lines(
    wires: Wires, closed: Bools, first: int, length: int, work: Work, lanes: Lanes, found: Found
) -> None:
    """Losses and charging currents of branches that are open at one end only."""
    cells = lanes.cells
    for h in range(len(wires.hung)):
        e, k = wires.hung[h], work.position[wires.hung_at[h]]
        if closed[e] or k < 0:
            continue
        at, g = k * WIDTH, wires.hung_y[h].real
        for b in range(LANES):
            step = first + b * length
            if step >= len(found.loss) or found.status[step] != CONVERGED:
                continue
            w = (cells[at + U_RE + b] ** 2 + cells[at + U_IM + b] ** 2) * work.size[k]
            found.loss[step] += g * w
            found.energy[e] += g * w * found.hours[step]
            square = charging_square(wires, h, w)
            if square > found.current_of[e]:
                found.current_of[e] = square
                found.current_at[e] = step
            if square > found.l_max[e] * HIGHER:
                found.excess[step] += square / found.l_max[e] - 1.0


@lean
def series(
    wires: Wires,
    closed: Bools,
    loads: Loads,
    demands: Demands,
    tolerance: float,
    iterations: int,
    work: Work,
    lanes: Lanes,
    found: Found,
    begun: int,
    end: int,
) -> int:
    """Compute a flow for each step; returns the number of energised buses, 0 where the state is not radial.

    `loads`: what does not depend on the step, one row each, without constant power. `found`: with 0 or the greatest
    and least numbers where a figure is added up or compared. Of its run each lane computes the steps from `begun` to
    `end`; the arrays go from a call to the next, which begins where that one ended.
    """
    roots, steps = len(wires.source), len(found.loss)
    n, radial = grow(wires, closed, work)
    if not radial:
        return 0
    for k in range(roots):  # a radial tree has source k at position k
        hold(wires, k, k, work)
    refer(wires, closed, n, work)
    load(n, loads, 0, work)
    if begun == 0:
        begin(n, roots, work, lanes)
    length = (steps + LANES - 1) // LANES
    for first in range(begun, end):
        take(demands, n, first, length, work, lanes)
        together = sweep_lanes(n, roots, loads, tolerance, iterations, work, lanes)
        for b in range(LANES):
            step = first + b * length
            status = CONVERGED if together else alone(n, roots, b, loads, tolerance, iterations, work, lanes)
            if step < steps:
                found.status[step] = status
                found.loss[step] = 0.0 if status == CONVERGED else np.inf
        check_voltages(n, roots, first, length, work, lanes, found)
        check_currents(wires, n, roots, first, length, loads.linear, work, lanes, found)
        if len(wires.hung) > 0:
            add_open_lines(wires, closed, first, length, work, lanes, found)
        if not together:
            load(n, loads, 0, work)
            begin(n, roots, work, lanes)
    return n
