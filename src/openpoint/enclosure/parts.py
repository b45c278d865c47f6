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
from openpoint.enclosure.rounding import UNIT, up
from openpoint.enclosure.sets import DeviationSet
from openpoint.enclosure.system import Solver, System, row_sums, system_of, times
from openpoint.grid.grid import Grid
from openpoint.network import Network

MOST_PORTS = 4000
"""Most ports of a part of a grid: its matrices are dense."""


class TooLarge(Exception):
    """A part has more than MOST_PORTS ports; its argument is how many."""


@dataclass(frozen=True)
class Part:
    """A part of the grid: its states, the enclosure of its ports, and what its states are.

    Attributes:
        states, ports, moving: numbers of its states, ports and deviations in the grid.
        known: the enclosure. state: (states) in the middle. rows: (states, 2 m) of d − r. error: of every state.
    """

    states: Ints
    ports: Ints
    moving: Ints
    known: Enclosure
    state: Complexes
    rows: Complexes
    error: float

    def forms(self, combine: sp.csr_array) -> Forms:
        """The quantities combine @ state; combine: (q, states of the grid)."""
        own = combine if len(self.states) == combine.shape[1] else sp.csr_array(combine[:, self.states])
        size = row_sums(abs(own))
        rows = times(own, self.rows)
        reach = np.tile(self.known.d + self.known.r, 2)
        rounding = (32 * UNIT) * (times(abs(own), np.abs(self.state)) + np.abs(rows) @ reach)
        error = up(size * self.error + rounding * (size > 0.0), rows.shape[1])
        q = len(size)
        return Forms(times(own, self.state), rows, np.zeros((q, len(self.moving)), dtype=complex), error, np.zeros(q))


@dataclass(frozen=True)
class LinearPart:
    """What is linear in a part, with m ports: u = u0 − z y.

    Attributes:
        states, ports: numbers in the grid. solver: of the states. draws: (states, m) which of them ports draw from.
        z: (m, m), with z_error, (m) bounds by column. u0: (m), with u0_error.
    """

    states: Ints
    ports: Ints
    solver: Solver
    draws: sp.csr_array
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
    return LinearPart(states, here, solver, draws, z, z_error, u0, u0_error)


def part_of(system: System, ports: Ports, among: DeviationSet, linear: LinearPart, moving: Ints) -> Part:
    """A part with the deviations of these numbers.

    Raises:
        NotEnclosed, NoFlow: as of `openpoint.enclosure.grid.bounds_of`.
    """
    flow = linear.flow(ports)
    spread, first = first_order(flow, sp.csr_array(ports.spread[linear.ports][:, moving]))
    known = enclose(flow, spread, first, among)
    return part_about(system, linear, moving, known)


def part_about(system: System, linear: LinearPart, moving: Ints, known: Enclosure) -> Part:
    """The part of an enclosure."""
    flow, solver, draws = known.flow, linear.solver, linear.draws
    m, size = len(flow.u), flow.models.size
    drawn = np.conj(flow.s / flow.u)
    middle, error = solver.solve((system.given[linear.states] - draws @ drawn)[:, None], system.given_size)
    unit = np.concatenate([np.eye(m), 1j * np.eye(m)], axis=1)
    of_e = (unit - flow.apply_linear(flow.jacobian)) / flow.u[:, None]  # of conj(y)
    rows, rows_error = solver.solve(-(draws @ np.conj(of_e)))
    of_size = (1.0 + size[:, None] * flow.norms) / np.abs(flow.u)[:, None]
    entry = (64 * UNIT) * (np.abs(drawn).max(initial=0.0) + of_size.max(initial=0.0) * (known.d + known.r).sum())
    width = np.diff(draws.indptr).max(initial=0)
    missed = abs(draws) @ up(size * known.slack / np.abs(flow.u))
    off = error[0] + (rows_error[:m] + rows_error[m:]) @ (known.d + known.r)
    off += solver.norm * (missed.max(initial=0.0) + width * entry)
    off = float(up(np.array(off), 8 * m))
    return Part(linear.states, linear.ports, moving, known, middle[:, 0], rows, off)


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
