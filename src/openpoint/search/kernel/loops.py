"""Compiled: what every exchange of branches would change, estimated from the currents of one tree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Floats, Indices
from openpoint.compiled.jit import inlined
from openpoint.compiled.table import Table
from openpoint.search.kernel.arrays import OPEN, Model, Work


@dataclass(frozen=True, eq=False)
class Loops(Table):
    """Input and output arrays of `rank`, in addition to the tree.

    Attributes:
        free: (m) branches that may change. i_re, i_im: (m) current from fr to to.
        close, away, change: of each exchange the branch to close, that to open, the estimated change of the loss.
    """

    free: Bools
    i_re: Floats
    i_im: Floats
    close: Indices
    away: Indices
    change: Floats


def loops_for(free: Bools, room: int) -> Loops:
    """Empty arrays with room for `room` exchanges."""
    m = len(free)
    close, away = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    return Loops(free, np.zeros(m), np.zeros(m), close, away, np.empty(room))


@inlined
def rank(model: Model, work: Work, loops: Loops) -> int:
    """Estimated change of the loss by every exchange (Civanlar et al. 1988, with the currents of an exact flow).

    Closing e and opening k of the loop sends the current ψ of k through e. With R and S the sums around the loop of r
    and of r times the current in the direction of ψ, the same load currents then lose R |ψ|² + 2 Re(ψ* S) more.

    Requires the tree in `work`, directed by `root`. Returns the number of exchanges; those that do not fit in the
    arrays are not written.
    """
    free, i_re, i_im, change = loops.free, loops.i_re, loops.i_im, loops.change
    depth = work.rank
    for k in range(len(work.order)):
        j = work.order[k]
        depth[j] = 0 if work.edge[j] < 0 else depth[work.parent[j]] + 1
    count = 0
    for e in range(len(free)):
        if work.status[e] != OPEN or not free[e]:
            continue
        r = model.r[e]
        s_re, s_im = 0.0, 0.0
        for walk in range(2):  # sums around the loop, then the exchanges
            i, j = model.fr[e], model.to[e]
            while i != j and (work.edge[i] >= 0 or work.edge[j] >= 0):
                at_fr = work.edge[j] < 0 or (work.edge[i] >= 0 and depth[i] >= depth[j])
                bus = i if at_fr else j
                k = work.edge[bus]
                # The current down to the bus, counted with ψ > 0 where ψ runs from `to` to `fr` through e.
                sign = (1.0 if model.to[k] == bus else -1.0) * (-1.0 if at_fr else 1.0)
                if walk == 0:
                    r += model.r[k]
                    s_re += sign * model.r[k] * i_re[k]
                    s_im += sign * model.r[k] * i_im[k]
                elif free[k]:
                    if count < len(change):
                        psi_re, psi_im = -sign * i_re[k], -sign * i_im[k]
                        loops.close[count] = e
                        loops.away[count] = k
                        change[count] = r * (psi_re**2 + psi_im**2) + 2.0 * (psi_re * s_re + psi_im * s_im)
                    count += 1
                if at_fr:
                    i = work.parent[bus]
                else:
                    j = work.parent[bus]
    return count
