"""The arrays of power flows of many steps, `LANES` of them at once (`openpoint.powerflow.series_kernel`)."""

from __future__ import annotations

from dataclasses import dataclass

from openpoint.arrays import Floats, Indices, Ints, States
from openpoint.compiled.table import Table

LANES = 32
"""Steps that are computed at once."""
P, Q, U_RE, U_IM, L_RE, L_IM, J_RE, J_IM = (number * LANES for number in range(8))
"""Where the numbers of a bus begin in its part of `Lanes.cells`: power, voltage, current of the load, of the branch."""
WIDTH = 8 * LANES
"""Numbers of a bus."""


@dataclass(frozen=True, eq=False)
class Demands(Table):
    """Demands of constant power in T steps: every bus follows some of d profiles.

    Attributes:
        profile: (T, d) values. start: (N + 1) where the shares of a bus begin. follows: (L) profile of a share.
        p, q: (L) power of a share per unit of its profile.
    """

    profile: Floats
    start: Indices
    follows: Indices
    p: Floats
    q: Floats


@dataclass(frozen=True, eq=False)
class Found(Table):
    """What is kept of T flows over N buses and E branches; per unit.

    Attributes:
        hours: (T) length of each step. w_min, w_max, l_max: (N), (N), (E) limits to which flows are compared, with the
            tolerance in them; no limits at sources.
        loss: (T) active power lost, inf where no flow exists. low, high: (T) least and greatest squared voltage of any
            bus but the sources. excess: (T) sum of the excesses of the limits, as `ensemble.excesses`.
        low_of, high_of: (N) least and greatest squared voltage of a bus. low_at, high_at: (N) step of it.
        current_of: (E) greatest squared rated current. current_at: (E) step of it. energy: (E) energy lost in
            the branch.
        status: (T) FlowStatus.
    """

    hours: Floats
    w_min: Floats
    w_max: Floats
    l_max: Floats
    loss: Floats
    low: Floats
    high: Floats
    excess: Floats
    low_of: Floats
    low_at: Ints
    high_of: Floats
    high_at: Ints
    current_of: Floats
    current_at: Ints
    energy: Floats
    status: States


@dataclass(frozen=True, eq=False)
class Lanes(Table):
    """Memory of `LANES` flows.

    Attributes:
        cells: (N × WIDTH) numbers of the buses by position in the tree. change, mismatch: (LANES) of the last sweep.
        row: (LANES) squares of voltages or currents.
    """

    cells: Floats
    change: Floats
    mismatch: Floats
    row: Floats
