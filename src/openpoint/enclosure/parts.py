"""The parts of a grid that do not depend on each other, each with its flow and the enclosure of its ports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.enclosure.bounds import Enclosure, NotEnclosed, enclose, first_order
from openpoint.enclosure.flow import PortFlow
from openpoint.enclosure.ports import Ports
from openpoint.enclosure.ranges import Forms
from openpoint.enclosure.rounding import UNIT, lost, up
from openpoint.enclosure.sets import DeviationSet
from openpoint.enclosure.system import Solver, System, row_sums, system_of, times
from openpoint.grid.grid import Grid
from openpoint.network import Network

MOST_PORTS = 4000
"""Most ports of a part of a grid: its matrices are dense."""


class TooLarge(Exception):
    """A part has more than MOST_PORTS ports; its argument is how many."""


@dataclass(frozen=True)
class Response:
    """q quantities that are linear in the currents y of m ports, start − gain @ y.

    Attributes:
        start: (q), with start_error. gain: (q, m), with error; size: (q, m) its moduli.
    """

    start: Complexes
    start_error: Floats
    gain: Complexes
    error: Floats
    size: Floats


@dataclass(frozen=True)
class LinearPart:
    """What is linear in a part, with m ports: u = u0 − z y.

    Attributes:
        states, ports: numbers in the grid. draws: (states, m) which of the states ports draw from.
        found: (states, m + 1) of the states what a current of each port takes away, and what they are without; with
            found_error, (m + 1) bounds by column. z: (m, m), with z_error, (m) by column. u0: (m), with u0_error.
    """

    states: Ints
    ports: Ints
    draws: sp.csr_array
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

    def response(self, combine: sp.csr_array) -> Response:
        """The quantities combine @ state; combine: (q, states of the part)."""
        own, found = abs(combine), times(combine, self.found)
        share = lost(int(np.diff(combine.indptr).max(initial=0)))
        error = up(row_sums(own)[:, None] * self.found_error + share * times(own, np.abs(self.found)), len(self.states))
        gain = found[:, :-1]
        return Response(found[:, -1], error[:, -1], gain, error[:, :-1], up(np.abs(gain)))


@dataclass(frozen=True)
class Part:
    """A part of the grid with the deviations of these numbers, and the enclosure of its ports."""

    linear: LinearPart
    moving: Ints
    known: Enclosure

    def forms(self, response: Response) -> Forms:
        """What a response is of d − r."""
        known, flow = self.known, self.known.flow
        m, q, size, u = len(flow.u), len(response.start), flow.models.size, np.abs(flow.u)
        drawn, e = np.conj(flow.s / flow.u), known.d + known.r
        most = up((size + e + size * (flow.norms @ e + known.slack)) / u, 2 * m)
        error = response.start_error + response.error @ most + response.size @ (size * known.slack / u)
        error += (lost(2 * m) + 128 * UNIT) * (np.abs(response.start) + response.size @ most)
        own, middle = np.zeros((q, len(self.moving)), dtype=complex), response.start - response.gain @ drawn
        return Forms(middle, -(response.gain @ flow.currents), own, up(error, 2 * m), np.zeros(q))


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
    right = np.concatenate([draws.toarray().astype(np.complex128), system.given[states][:, None]], axis=1)
    found, error = solver.solve(right, system.given_size)
    back = sp.csr_array(draws.T)
    ends = 2.0 if (ports.to[here] >= 0).any() else 1.0
    z, u0 = times(back, found[:, :-1]), times(back, found[:, -1])
    z_error = up(ends * error[:-1] + (8 * UNIT) * np.abs(z).max(axis=0, initial=0.0))
    u0_error = float(ends * error[-1] + 8 * UNIT * np.abs(u0).max(initial=0.0))
    return LinearPart(states, here, draws, found, error, z, z_error, u0, u0_error)


def part_of(ports: Ports, among: DeviationSet, linear: LinearPart, moving: Ints) -> Part:
    """A part with the deviations of these numbers.

    Raises:
        NotEnclosed, NoFlow: as of `openpoint.enclosure.grid.bounds_of`.
    """
    flow = linear.flow(ports)
    spread, first = first_order(flow, sp.csr_array(ports.spread[linear.ports][:, moving]))
    return Part(linear, moving, enclose(flow, spread, first, among))


def largest_level(grid: Grid, network: Network, ports: Ports, budget: float | None, at_most: float = 1.0) -> float:
    """The largest share of all deviations for which the flows are proven to exist and be unique, to 1 %, or 0.

    Args:
        grid, network, ports, budget: as of `openpoint.enclosure.grid.bounds_of`. at_most: of the share.

    Raises:
        NoFlow, InputError: as of `part_of` and `linear_part`.
    """
    system, among = system_of(grid, network, ports), DeviationSet(budget)
    known = []
    for states, here, moving in system.parts(ports):
        flow = linear_part(system, ports, states, here).flow(ports)
        known.append((flow, *first_order(flow, sp.csr_array(ports.spread[here][:, moving]))))

    def holds(level: float) -> bool:
        try:
            for flow, spread, first in known:
                enclose(flow, level * spread, level * first, among)
        except NotEnclosed:
            return False
        return True

    low, high = 0.0, at_most
    while high - low > 0.005 * at_most:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
