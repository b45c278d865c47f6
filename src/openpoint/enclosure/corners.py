"""Two corners: the exact ranges of a balanced radial grid in which every load of a set draws power.

Where no branch has a ratio or a shunt and no p or q of the set is negative, the squared currents are the least fixed
point of a map that rises in them and in the loads. So currents, powers and losses are least at the least loads and
greatest at the greatest, voltages the other way round. Sweeps from zero, rounded down, stay below the fixed point; what
a sweep, rounded up, takes to no more lies above it. There are no matrices. Theory: docs/every_load.md E11.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats
from openpoint.compiled.jit import inlined, lean
from openpoint.enclosure.ports import Ports
from openpoint.enclosure.rounding import TINY, UNIT, lost
from openpoint.network import Network
from openpoint.powerflow.arrays import Wires, Work
from openpoint.powerflow.balanced import memory_for, wires_of
from openpoint.powerflow.kernel import grow

_STEP = 16 * UNIT
"""Share by which a step of a sweep, ten operations at most, is rounded outwards."""
_SWEEPS = 500
_STILL = 1e-15
"""Share of a squared current by which a sweep still changes it, once more sweeps raise the lower bound no more."""
_MOST_RAISED = 1e-6
"""Largest share by which squared currents are raised in search of some that a sweep takes to no more."""
_WEIGHINGS = 30
_LEAST_WEIGHT = 1e-9
"""Share of the greatest weight that every current has at least, as weights of a contraction must be above 0."""


@dataclass(frozen=True)
class Corners:
    """Lower and upper bounds (3, 2, …) at the least loads, at those as they are, and at the greatest, per unit.

    Attributes:
        greatest: (n) the realisation of the greatest loads; the least ones are at the opposite.
        w, current: (3, 2, N) and (3, 2, E) squares of voltages, and of currents. loss: (3, 2, 1) of all branches.
        p, q: (3, 2, S) what each of the terminals of sources delivers.
        contraction: below 1, of the map on the squared currents.
    """

    greatest: Floats
    w: Floats
    current: Floats
    loss: Floats
    p: Floats
    q: Floats
    contraction: float


def ends_of(network: Network, ports: Ports) -> tuple[Corners, Corners, Corners] | None:
    """The corners with the branches as they are, at their least, and at their greatest impedances; None as below."""
    corners = corners_of(network, ports)
    if corners is None or not any(ports.ohms):
        return None if corners is None else (corners, corners, corners)
    ends = [corners_of(_scaled(network, sign, *ports.ohms), ports) for sign in (-1.0, 1.0)]
    return None if ends[0] is None or ends[1] is None else (corners, ends[0], ends[1])


def _scaled(network: Network, sign: float, resistance: float, reactance: float) -> Network:
    """The network with the resistances and reactances of all branches at one end of their shares, rounded outwards."""
    factors = [(1.0 + sign * share) * (1.0 + sign * 4 * UNIT) for share in (resistance, reactance)]
    z = sp.csr_array(network.z.real * factors[0] + 1j * (network.z.imag * factors[1]))
    return replace(network, z=z)


def corners_of(network: Network, ports: Ports) -> Corners | None:
    """The two corners of a box; None where the grid or the set is of another kind, or nothing is proved."""
    if not network.is_balanced or ports.degree.any() or network.s_impedance.any():
        return None
    wires, entry = wires_of(network), ports.spread
    if wires.has_ratio or wires.has_shunt or min(wires.z.real.min(initial=0.0), wires.z.imag.min(initial=0.0)) < 0.0:
        return None
    m, n = entry.shape
    toward = np.bincount(entry.indices, entry.data.real + entry.data.imag, n)
    greatest = np.where(toward >= 0.0, 1.0, -1.0)
    port, step = np.repeat(np.arange(m), np.diff(entry.indptr)), entry.data * greatest[entry.indices]
    s, far = np.zeros((2, 2, network.n_terminals))
    s[:, ports.fr] = ports.s.real, ports.s.imag
    far[:, ports.fr] = np.bincount(port, step.real, m), np.bincount(port, step.imag, m)
    off = lost(n) * np.where(far > 0.0, np.abs(s) + far, 0.0)
    loads = np.array([(s - far - off, s - far + off), (s, s), (s + far - off, s + far + off)])
    # Where p of a load rises as its q falls, no realisation is a corner.
    if min(step.real.min(initial=0.0), step.imag.min(initial=0.0), loads.min(initial=0.0)) < 0.0:
        return None
    w, current = np.zeros((3, 2, network.n_terminals)), np.zeros((3, 2, network.n_conductors))
    supply, loss = np.zeros((2, 3, 2, len(network.source_terminal))), np.zeros((3, 2, 1))
    work = memory_for(network.n_terminals)
    share = float(_flows(wires, network.closed, work, loads, w, current, supply, loss))
    return Corners(greatest, w, current, loss, supply[0], supply[1], share) if share < 1.0 else None


@lean
def _flows(
    wires: Wires, closed: Bools, work: Work, loads: Floats, w: Floats, current: Floats, supply: Floats, loss: Floats
) -> float:
    """Fill the arrays of `Corners`, zeros at first; returns the contraction, inf where something is not proved."""
    n, is_radial = grow(wires, closed, work)
    if not is_radial:
        return np.inf
    roots, share = len(wires.source), 0.0
    for k in range(roots, n):
        z = wires.z[work.edge[k]]
        work.z_re[k] = z.real
        work.z_im[k] = z.imag
    for corner in range(3):
        for k in range(n):
            work.l_re[k] = 0.0
        for side in range(2):
            step = _STEP if side == 1 else -_STEP
            for k in range(n):
                work.p[k] = loads[corner, side, 0, work.order[k]]
                work.q[k] = loads[corner, side, 1, work.order[k]]
            for k in range(roots):
                v = wires.source_v[k]
                work.u_re[k] = (v.real * v.real + v.imag * v.imag) * (1.0 - step)
            if not (_bounded(n, roots, work) if side == 1 else _risen(n, roots, work)):
                return np.inf
            for k in range(n):
                w[corner, 1 - side, work.order[k]] = work.u_re[k]
                if k < roots:
                    supply[0, corner, side, k] = work.j_re[k]
                    supply[1, corner, side, k] = work.j_im[k]
                else:
                    current[corner, side, work.edge[k]] = work.l_re[k]
                    loss[corner, side, 0] = (loss[corner, side, 0] + work.z_re[k] * work.l_re[k]) * (1.0 + step)
        share = _contraction(n, roots, work)
    return share


@inlined
def _sweep(n: int, roots: int, step: float, work: Work) -> bool:
    """What the map makes of the squared currents l_re, in l_im, with flows j and squared voltages u_re; rounded up by a
    positive step, down by a negative one. False where a voltage falls to zero."""
    least = TINY if step > 0.0 else 0.0
    for k in range(n):
        work.j_re[k] = work.p[k]
        work.j_im[k] = work.q[k]
    for k in range(n - 1, roots - 1, -1):
        up = work.parent[k]
        work.j_re[up] = (work.j_re[up] + (work.j_re[k] + work.z_re[k] * work.l_re[k])) * (1.0 + step)
        work.j_im[up] = (work.j_im[up] + (work.j_im[k] + work.z_im[k] * work.l_re[k])) * (1.0 + step)
    for k in range(roots, n):
        r, x, p, q = work.z_re[k], work.z_im[k], work.j_re[k], work.j_im[k]
        drop = (2.0 * (r * p + x * q) + (r * r + x * x) * work.l_re[k]) * (1.0 + step)
        w = (work.u_re[work.parent[k]] - drop) * (1.0 - step)
        if not w > 0.0:
            return False
        work.u_re[k] = w
        work.l_im[k] = (p * p + q * q) / w * (1.0 + step) + least
    return True


@inlined
def _risen(n: int, roots: int, work: Work) -> bool:
    """Squared currents below those of the flow, from zero until they rise no more; False where they do not end."""
    for _ in range(_SWEEPS):
        if not _sweep(n, roots, -_STEP, work):
            return False
        is_still = True
        for k in range(roots, n):
            is_still &= work.l_im[k] - work.l_re[k] <= _STILL * work.l_im[k]
            work.l_re[k] = work.l_im[k]
        if is_still:
            return True
    return False


@inlined
def _bounded(n: int, roots: int, work: Work) -> bool:
    """From these squared currents above those of the flow; False where none are found: a sweep takes them to no more,
    and then once again."""
    for k in range(roots, n):
        work.y_re[k] = work.l_re[k]
    more = 1e-13
    while more < _MOST_RAISED:
        more *= 10.0
        for k in range(roots, n):
            work.l_re[k] = work.y_re[k] * (1.0 + more) + TINY
        if not _sweep(n, roots, _STEP, work):
            return False
        above = True
        for k in range(roots, n):
            above &= work.l_im[k] <= work.l_re[k]
        if above:
            for k in range(roots, n):
                work.l_re[k] = work.l_im[k]
            if not _sweep(n, roots, _STEP, work):
                return False
            for k in range(roots, n):
                work.l_re[k] = work.l_im[k]
            return True
    return False


@inlined
def _contraction(n: int, roots: int, work: Work) -> float:
    """The least factor found by which the map contracts, in a norm with a weight for each branch, up to the last
    squared currents: its derivative is nowhere greater."""
    most, best = 0.0, np.inf
    for k in range(roots, n):
        most = max(most, work.l_re[k])
    for k in range(roots, n):
        work.y_re[k] = work.l_re[k] + _LEAST_WEIGHT * most
    for _ in range(_WEIGHINGS):
        share, top = 0.0, 0.0
        for k in range(n):
            work.a_p[k] = work.a_q[k] = work.below_re[k] = 0.0
        for k in range(n - 1, roots - 1, -1):
            up = work.parent[k]
            work.a_p[up] = (work.a_p[up] + (work.a_p[k] + work.z_re[k] * work.y_re[k])) * (1.0 + _STEP)
            work.a_q[up] = (work.a_q[up] + (work.a_q[k] + work.z_im[k] * work.y_re[k])) * (1.0 + _STEP)
        for k in range(roots, n):
            r, x, p, q = work.z_re[k], work.z_im[k], work.a_p[k], work.a_q[k]
            drop = 2.0 * (r * p + x * q) + (r * r + x * x) * work.y_re[k]
            work.below_re[k] = (work.below_re[work.parent[k]] + drop) * (1.0 + _STEP)
            more = 2.0 * (work.j_re[k] * p + work.j_im[k] * q) + work.l_re[k] * work.below_re[k]
            work.y_im[k] = more / work.u_re[k] * (1.0 + _STEP) + TINY
            share = max(share, work.y_im[k] / work.y_re[k])
            top = max(top, work.y_im[k])
        if share >= best:
            break
        best = share
        for k in range(roots, n):
            work.y_re[k] = max(work.y_re[k] + work.y_im[k] * most / top, _LEAST_WEIGHT * most)
    return best * (1.0 + _STEP)
