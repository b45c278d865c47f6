"""The parts of a grid that do not depend on each other, each with its flow and the enclosure of its ports."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.enclosure.bounds import Enclosure, NotEnclosed, enclose, first_order
from openpoint.enclosure.flow import PortFlow, part_norms
from openpoint.enclosure.ports import Ports
from openpoint.enclosure.ranges import Forms, modulus_ranges
from openpoint.enclosure.rounding import TINY, UNIT, lost, up
from openpoint.enclosure.sets import DeviationSet
from openpoint.enclosure.system import Solver, System, row_sums, system_of, times
from openpoint.grid.grid import Grid
from openpoint.network import Network

MOST_PORTS = 4000
"""Most ports of a part of a grid: its matrices are dense."""


GROWN, ROUNDS = 1.0 + 1e-3, 40
"""Currents are taken to be larger by so much than what was found, so that the next find is no larger; so many times."""
_WEIGHINGS = 50


class TooLarge(Exception):
    """A part has more than MOST_PORTS ports; its argument is how many."""


@dataclass(frozen=True)
class Response:
    """q quantities that are linear in the currents y of m ports, start − gain @ y.

    Attributes:
        start: (q), with start_error. gain: (q, m), with error; size: (q, m) its moduli. along: (q, k) at least the
            moduli of what a voltage along each branch that deviates adds.
    """

    start: Complexes
    start_error: Floats
    gain: Complexes
    error: Floats
    size: Floats
    along: Floats


@dataclass(frozen=True)
class LinearPart:
    """What is linear in a part, with m ports: u = u0 − z y.

    Attributes:
        states, ports: numbers in the grid. draws: (states, m) which of the states ports draw from.
        carrying: (k) states that are the currents of the branches that deviate. ohms: (k, k) at least by how much.
        found: (states, m + k + 1) of the states what a current of each port takes away, what a voltage along each of
            these branches adds, and what they are without; with found_error, (m + k + 1) bounds by column.
        z: (m, m), with z_error, (m) by column. u0: (m), with u0_error.
    """

    states: Ints
    ports: Ints
    draws: sp.csr_array
    carrying: Ints
    ohms: sp.csr_array
    found: Complexes
    found_error: Floats
    z: Complexes
    z_error: Floats
    u0: Complexes
    u0_error: float

    def flow(self, ports: Ports, u: Complexes | None = None) -> PortFlow:
        """The flow of the ports' powers, about these voltages where they are given.

        Raises:
            NoFlow: none was found.
        """
        loads = ports.s[self.ports], ports.degree[self.ports], ports.unit[self.ports]
        return PortFlow(self.z, self.z_error, self.u0, self.u0_error, *loads, u)

    @cached_property
    def carried(self) -> Response:
        """The currents of the branches that deviate."""
        return self.response(sp.csr_array(sp.eye_array(len(self.states), format="csr")[self.carrying]))

    def response(self, combine: sp.csr_array) -> Response:
        """The quantities combine @ state; combine: (q, states of the part)."""
        own, found = abs(combine), times(combine, self.found)
        share = lost(int(np.diff(combine.indptr).max(initial=0)))
        error = up(row_sums(own)[:, None] * self.found_error + share * times(own, np.abs(self.found)), len(self.states))
        m, size = self.draws.shape[1], up(np.abs(found[:, :-1]))
        along = up(size[:, m:] + error[:, m:-1])
        return Response(found[:, -1], error[:, -1], found[:, :m], error[:, :m], size[:, :m], along)


@dataclass(frozen=True)
class Part:
    """A part of the grid with the deviations of these numbers, and the enclosure of its ports.

    Attributes:
        nominal: the enclosure with the branches as they are. contraction: by which the map contracts at least, of the
            voltages and the currents of branches that deviate. along: (k) at least the voltages t of these.
    """

    linear: LinearPart
    moving: Ints
    known: Enclosure
    nominal: Enclosure
    contraction: float
    along: Floats

    def forms(self, response: Response) -> Forms:
        """What a response is of d − r."""
        known, flow = self.known, self.known.flow
        m, q, size, u = len(flow.u), len(response.start), flow.models.size, np.abs(flow.u)
        drawn, e = np.conj(flow.s / flow.u), known.d + known.r
        most = up((size + e + size * (flow.norms @ e + known.slack + known.drift)) / u, 2 * m)
        error = response.start_error + response.error @ most + response.size @ (size * known.slack / u)
        error += (lost(2 * m) + 128 * UNIT) * (np.abs(response.start) + response.size @ most)
        own, middle = np.zeros((q, len(self.moving)), dtype=complex), response.start - response.gain @ drawn
        loose = np.zeros(q)
        if len(self.along):
            loose = up(response.along @ self.along + response.size @ (size * known.drift / u), m + len(self.along))
        return Forms(middle, -(response.gain @ flow.currents), own, up(error, 2 * m), np.zeros(q), loose)


def linear_part(system: System, ports: Ports, states: Ints, here: Ints) -> LinearPart:
    """The linear part of states and ports.

    Raises:
        TooLarge, InputError: as of `openpoint.enclosure.grid.bounds_of`.
    """
    if len(here) > MOST_PORTS:
        raise TooLarge(len(here))
    matrix = sp.csr_array(system.matrix[states][:, states])
    solver = Solver(matrix, sp.csr_array(system.sizes[states][:, states]))
    draws = sp.csr_array(system.draws[states][:, here])
    m, (carrying, ohms) = len(here), _deviating(system, ports, states)
    along = sp.csr_array(sp.eye_array(len(states), format="csr")[:, carrying]).toarray()
    right = np.concatenate([draws.toarray(), along, system.given[states][:, None]], axis=1).astype(np.complex128)
    found, error = solver.solve(right, system.given_size)
    back = sp.csr_array(draws.T)
    ends = 2.0 if (ports.to[here] >= 0).any() else 1.0
    z, u0 = times(back, found[:, :m]), times(back, found[:, -1])
    z_error = up(ends * error[:m] + (8 * UNIT) * np.abs(z).max(axis=0, initial=0.0))
    u0_error = float(ends * error[-1] + 8 * UNIT * np.abs(u0).max(initial=0.0))
    return LinearPart(states, here, draws, carrying, ohms, found, error, z, z_error, u0, u0_error)


def _deviating(system: System, ports: Ports, states: Ints) -> tuple[Ints, sp.csr_array]:
    """Which states of a part are currents of branches that deviate, and by how much their impedances do at most."""
    first, count = len(system.free), len(system.used)
    carrying = np.flatnonzero((states >= first) & (states < first + count)) if any(ports.ohms) else np.zeros(0, int)
    here = system.used[states[carrying] - first]
    z = sp.csr_array(system.network.z[here][:, here])
    resistance, reactance = ports.ohms
    size = np.hypot(resistance * z.data.real, reactance * z.data.imag)
    ohms = sp.csr_array((np.where(size > 0.0, up(size), 0.0), z.indices, z.indptr), shape=z.shape)
    ohms.eliminate_zeros()
    deviates = np.flatnonzero(np.diff(ohms.indptr))
    return carrying[deviates], sp.csr_array(ohms[deviates][:, deviates])


def part_of(
    ports: Ports, among: DeviationSet, linear: LinearPart, moving: Ints, spread: Complexes | None = None
) -> Part:
    """A part with the deviations of these numbers; `spread`: (m, n) what they are, if not those of the ports.

    Raises:
        NotEnclosed, NoFlow: as of `openpoint.enclosure.grid.bounds_of`.
    """
    flow = linear.flow(ports)
    own = ports.spread[linear.ports][:, moving] if spread is None else spread
    nominal = enclose(flow, *first_order(flow, own), among)
    part = Part(linear, moving, nominal, nominal, nominal.contraction, np.zeros(len(linear.carrying)))
    return _loosened(part) if len(linear.carrying) else part


def _loosened(part: Part) -> Part:
    """The part with the branches that deviate: currents are sought that bound themselves.

    Raises:
        NotEnclosed: none were found, or it is not proved that flows are unique.
    """
    linear, nominal = part.linear, part.nominal
    flow, k = nominal.flow, len(linear.carrying)
    m, size, u = len(flow.u), flow.models.size, np.abs(flow.u)
    currents = linear.carried
    direct = up(linear.response(sp.csr_array(linear.draws.T)).along / u[:, None])
    whole = up(direct + flow.norms @ up(size[:, None] * direct), m)  # what a voltage along each adds to x
    most = modulus_ranges(nominal, part.forms(currents)).high
    for _ in range(ROUNDS):
        most = GROWN * most + TINY
        along = up(times(linear.ohms, most), k)
        known = enclose(flow, nominal.spread, nominal.first, nominal.set, up(whole @ along, k))
        found = replace(part, known=known, along=along)
        forms = found.forms(currents)
        now = modulus_ranges(known, forms).high
        if (now <= most).all():
            by_x = times(linear.ohms, part_norms(forms.rows) * known.slope)
            by_along = times(linear.ohms, currents.along + currents.size @ ((size / u)[:, None] * whole))
            doubt = flow.defect[:, None] * (size + known.slope)
            share = np.block([[flow.norms * known.slope + doubt, whole], [by_x, by_along]])
            contraction = contraction_of(up(share, 4 * (m + k)), np.concatenate([known.x, along]))[1]
            return replace(found, contraction=contraction)
        most = np.maximum(most, now)
    raise NotEnclosed


def contraction_of(share: Floats, weight: Floats) -> tuple[Floats, float]:
    """A weight w > 0 and λ < 1 with share · w ≤ λ w; weight: the first that is tried.

    Raises:
        NotEnclosed: none is below 1.
    """
    weight = weight + 1e-9 * weight.max(initial=0.0) + TINY
    for _ in range(_WEIGHINGS):
        image = up(share @ weight, len(weight))
        most = float(up(image / weight).max(initial=0.0))
        if most < 1.0:
            return weight, most
        weight = 0.5 * (weight / weight.max() + image / image.max())
    raise NotEnclosed


def largest_level(grid: Grid, network: Network, ports: Ports, budget: float | None) -> float:
    """The largest share of all deviations for which the flows are proven to exist and be unique, to 1 %, or 0.

    Args:
        grid, network, ports, budget: as of `openpoint.enclosure.grid.bounds_of`.

    Raises:
        NoFlow, InputError: as of `part_of` and `linear_part`.
    """
    system, among = system_of(grid, network, ports), DeviationSet(budget)
    known = [(linear_part(system, ports, states, here), moving) for states, here, moving in system.parts(ports)]

    def holds(level: float) -> bool:
        scaled = replace(ports, spread=level * ports.spread)
        try:
            for linear, moving in known:
                part_of(scaled, among, replace(linear, ohms=level * linear.ohms), moving)
        except NotEnclosed:
            return False
        return True

    low, high = 0.0, 1.0
    while high - low > 0.005:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
