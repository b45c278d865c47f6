"""Exact AC power flow of one radial topology in many steps, such as the hours of a year.

Losses, extremes and violations are kept; the voltages of all steps together would take gigabytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.powerflow.arrays import Loads, work_for
from openpoint.powerflow.balanced import FlowStatus, wires_of
from openpoint.powerflow.series_arrays import LANES, WIDTH, Demands, Found, Lanes
from openpoint.powerflow.series_kernel import series

TOLERANCE = 1e-10
"""Largest change of any voltage in the last sweep, pu."""
ITERATIONS = 10_000
AT_ONCE = 1_000_000
"""Buses times steps that are computed between two looks at whether to stop: a twentieth of a second or so."""


@dataclass(frozen=True, eq=False)
class StepDemand:
    """Demands of constant power of N buses in T steps, per unit: every bus takes shares that follow d profiles.

    Attributes:
        profile: (T, d). bus, follows: (L) bus and profile of a share. power: (L) of a share at profile 1.
        n_buses: N.
    """

    profile: Floats
    bus: Ints
    follows: Ints
    power: Complexes
    n_buses: int

    def __len__(self) -> int:
        return len(self.profile)

    def rows(self, steps: slice | Ints) -> Complexes:
        """(t, N) demands of these steps."""
        return np.asarray(self.profile[steps] @ self.shares)

    @property
    def shares(self) -> Complexes:
        """(d, N) power of the buses at profile 1."""
        shares = np.zeros((self.profile.shape[1], self.n_buses), dtype=np.complex128)
        np.add.at(shares, (self.follows, self.bus), self.power)
        return shares

    def take(self, steps: Ints) -> StepDemand:
        """The same buses in some steps only."""
        return StepDemand(self.profile[steps], self.bus, self.follows, self.power, self.n_buses)


@dataclass(frozen=True, eq=False)
class SeriesFlows:
    """What is kept of T power flows over N buses and E branches, per unit.

    Steps without a flow have loss and excess inf, and nan elsewhere; extremes are those of the others.

    Attributes:
        loss: (T) active power that all branches take. excess: (T) as `ensemble.excesses`.
        v_low, v_high: (T) least and greatest voltage of any bus but the sources.
        v_low_of, v_high_of: (N) least and greatest voltage of a bus; nan at sources. v_low_at, v_high_at: (N) step of
            it, -1 = none.
        i_of: (E) greatest rated current. i_at: (E) step of it, -1 = none.
        energy: (E) loss times hours, added up.
    """

    loss: Floats
    excess: Floats
    v_low: Floats
    v_high: Floats
    v_low_of: Floats
    v_low_at: Ints
    v_high_of: Floats
    v_high_at: Ints
    i_of: Floats
    i_at: Ints
    energy: Floats


def solve_series(network: Network, closed: Bools, demand: StepDemand, hours: Floats) -> SeriesFlows:
    """Power flows of a state of the branches in every step; figures as of `openpoint.powerflow.balanced.solve`.

    Args:
        network: a balanced network. What it has beside loads of constant power is the same in all steps; generators
            have the output of today.
        closed: (E) a radial state that supplies every bus, else no step has a flow.
        demand: constant power of the steps. hours: (T) their length.

    Raises:
        OptionError: shapes do not fit, or the network has several phases.
    """
    found = series_until(network, closed, demand, hours, lambda: False)
    assert found is not None
    return found


def series_until(
    network: Network, closed: Bools, demand: StepDemand, hours: Floats, stop: Callable[[], bool]
) -> SeriesFlows | None:
    """As `solve_series`; None where `stop`, which is asked before every `AT_ONCE`, says True."""
    wires, n_buses, t = wires_of(network), network.n_terminals, len(demand)
    if demand.n_buses != n_buses or len(hours) != t or np.shape(closed) != (network.n_conductors,):
        raise OptionError(
            f"demands of {demand.n_buses} buses in {t} steps, {len(hours)} lengths and {len(closed)} branches do not "
            f"fit a network of {n_buses} buses and {network.n_conductors} branches"
        )
    fixed = np.zeros((1, n_buses), dtype=np.complex128)
    linear = wires.has_shunt or bool(network.s_impedance.any())
    current, impedance = (np.ascontiguousarray(s[None, :]) for s in (network.s_current, network.s_impedance))
    loads = Loads(fixed, current, impedance, linear, bool(current.any()))
    found = _empty(network, np.ascontiguousarray(hours, dtype=np.float64))
    lanes = Lanes(np.zeros(n_buses * WIDTH), np.zeros(LANES), np.zeros(LANES), np.zeros(LANES))
    state = np.require(closed, dtype=np.bool_, requirements=("C", "W"))
    shares = _by_bus(demand, network)
    given = wires, state, loads, shares, TOLERANCE, ITERATIONS, work_for(n_buses), lanes, found
    length, piece = -(-t // LANES), max(1, AT_ONCE // (LANES * n_buses))
    for begun in range(0, max(length, 1), piece):
        if stop():
            return None
        if series(*given, begun, min(begun + piece, length)) < n_buses:
            found.loss[:], found.status[:] = np.inf, FlowStatus.NOT_CONVERGED
            break
    return _kept(found)


def _by_bus(demand: StepDemand, network: Network) -> Demands:
    """The shares in the order of the buses, with today's outputs of generators."""
    profile, bus, follows, power = demand.profile, demand.bus, demand.follows, demand.power
    if network.generator_s.any():
        profile = np.hstack([profile, np.ones((len(profile), 1))])
        bus = np.concatenate([bus, network.generator_terminal])
        follows = np.concatenate([follows, np.full(len(network.generator_s), profile.shape[1] - 1)])
        power = np.concatenate([power, -network.generator_s])
    order = np.argsort(bus, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(bus, minlength=demand.n_buses))])
    return Demands(
        profile=np.require(profile, dtype=np.float64, requirements=("C", "W")),
        start=start.astype(np.int32),
        follows=follows[order].astype(np.int32),
        p=power.real[order].copy(),
        q=power.imag[order].copy(),
    )


def _empty(network: Network, hours: Floats) -> Found:
    t, n, e = len(hours), network.n_terminals, network.n_conductors
    return Found(
        hours=hours,
        w_min=network.w_min.copy(),
        w_max=network.w_max.copy(),
        l_max=network.l_max.copy(),
        loss=np.zeros(t),
        low=np.full(t, np.inf),
        high=np.zeros(t),
        excess=np.zeros(t),
        low_of=np.full(n, np.inf),
        low_at=np.full(n, -1, dtype=np.int64),
        high_of=np.zeros(n),
        high_at=np.full(n, -1, dtype=np.int64),
        current_of=np.zeros(e),
        current_at=np.full(e, -1, dtype=np.int64),
        energy=np.zeros(e),
        status=np.full(t, FlowStatus.NOT_CONVERGED, dtype=np.int8),
    )


def _kept(found: Found) -> SeriesFlows:
    solved, seen = found.status == FlowStatus.CONVERGED, found.low_at >= 0
    low, high = (np.sqrt(np.where(solved & np.isfinite(w), w, np.nan)) for w in (found.low, found.high))
    return SeriesFlows(
        loss=np.where(solved, found.loss, np.inf),
        excess=np.where(solved, found.excess, np.inf),
        v_low=low,
        v_high=high,
        v_low_of=np.sqrt(np.where(seen, found.low_of, np.nan)),
        v_low_at=found.low_at,
        v_high_of=np.sqrt(np.where(seen, found.high_of, np.nan)),
        v_high_at=found.high_at,
        i_of=np.sqrt(found.current_of),
        i_at=found.current_at,
        energy=found.energy,
    )
