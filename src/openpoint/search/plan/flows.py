"""Limits, loading and voltages of states, by exact AC power flow: those of a switch plan, and those after faults."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.limits import LIMIT_TOLERANCE, rated_amperes
from openpoint.network.stations import Stations, open_held_meshes
from openpoint.powerflow.balanced import FlowStatus, close_loops, solve
from openpoint.powerflow.check import check_flow
from openpoint.powerflow.check_phases import balances
from openpoint.powerflow.meshed import solve_meshed
from openpoint.powerflow.opendss import OpenDssCircuit, PhaseFlows

CELLS = 2_000_000
"""Buses and branches of the states that are solved in one call, so that memory stays small."""


@dataclass(frozen=True)
class Figures:
    """Figures of a state, or of a part of it.

    Attributes:
        excess: the largest share by which a limit is exceeded, 0 where all are kept; inf without a power flow.
        worst: what exceeds its limit most, `voltage low`, `voltage high` or `current`, and its number; "" where none.
        loading: largest share of a rating, and the number of its branch; -inf and -1 where there is none.
        v_min: lowest voltage of a bus with supply, pu, and the number of the bus; inf and -1 where there is none.
    """

    excess: float
    worst: tuple[str, int]
    loading: tuple[float, int]
    v_min: tuple[float, int]

    @property
    def strain(self) -> float:
        """What a plan keeps low: the loading, or without ratings the drop of the lowest voltage from 1 pu."""
        loading, branch = self.loading
        return loading if branch >= 0 else 1.0 - self.v_min[0]

    def with_rest(self, rest: Figures) -> Figures:
        """The figures of this part and of the rest together."""
        worse = self if self.excess >= rest.excess else rest
        return Figures(worse.excess, worse.worst, max(self.loading, rest.loading), min(self.v_min, rest.v_min))

    def renumbered(self, buses: Ints, branches: Ints) -> Figures:
        """The same with the numbers that buses and branches have in another network."""
        (kind, worst), (loading, branch), (v_min, bus) = self.worst, self.loading, self.v_min
        return Figures(
            self.excess,
            (kind, int((branches if kind == "current" else buses)[worst]) if worst >= 0 else -1),
            (loading, int(branches[branch]) if branch >= 0 else -1),
            (v_min, int(buses[bus]) if bus >= 0 else -1),
        )


def without_figures(why: str) -> Figures:
    """The figures of a state that has none; why: what stands in the place of the worst limit."""
    return Figures(math.inf, (why, -1), (-math.inf, -1), (-math.inf, -1))


NO_FLOW = without_figures("no power flow")


@dataclass(frozen=True)
class Flow:
    """The exact power flow of a state: (N) voltages, 0 where there is no supply, (E) currents, mismatch; figures."""

    v: Complexes
    i: Floats
    mismatch: float
    figures: Figures


class AcStates(Protocol):
    """Exact power flows of states of the branches (B): radial, with loops, and with buses that are off."""

    def flow(self, closed: Bools) -> Flow | None:
        """The power flow of a state (B), None where there is none."""

    def figures(self, closed: Bools) -> list[Figures]:
        """The figures of states (K, B)."""

    def with_closed(self, closed: Bools, branches: Ints) -> list[Figures]:
        """The figures of the states in which one of K more branches is closed beside those of a state (B)."""


def ac_states(grid: Grid, network: Network) -> AcStates:
    """Those of a grid; network: of it, with limits."""
    return BalancedStates(open_held_meshes(network)) if network.is_balanced else PhaseStates(grid, network)


@dataclass(frozen=True)
class BalancedStates:
    """Those of a balanced network, in which a branch is one conductor; states with loops need supply at every bus.

    Attributes:
        stations: the network, and the one with its permanently closed loops opened.
    """

    stations: Stations

    @cached_property
    def limited(self) -> Network:
        """The network without limits of couplers in permanently closed loops: how these share their current is not
        known."""
        whole = self.stations.whole
        return replace(whole, l_max=np.where(self.stations.unlimited, np.inf, whole.l_max))

    def flow(self, closed: Bools) -> Flow | None:
        opened, whole = self.stations.opened, self.stations.whole
        radial = solve(opened, closed & ~self.stations.dropped)
        flows = solve_meshed(whole, closed) if radial.status[0] == FlowStatus.NOT_RADIAL else radial
        if flows is None or not flows.converged[0]:
            return None
        v, i = flows.v[0], flows.i_rated[0]
        return Flow(v, i, check_flow(whole, closed, v).max_mismatch, figures_of(self.limited, v, i))

    def figures(self, closed: Bools) -> list[Figures]:
        opened, found = self.stations.opened, list[Figures]()
        for some in parts(len(closed), opened):
            flows = solve(opened, closed[some] & ~self.stations.dropped)
            for row, status in enumerate(flows.status):
                if status == FlowStatus.NOT_RADIAL:
                    meshed = solve_meshed(self.stations.whole, closed[some][row])
                    loops = None if meshed is None else (meshed.v[0], meshed.i_rated[0])
                    found.append(NO_FLOW if loops is None else figures_of(self.limited, *loops))
                elif status == FlowStatus.CONVERGED:
                    found.append(figures_of(opened, flows.v[row], flows.i_rated[row]))
                else:
                    found.append(NO_FLOW)
        return found

    def with_closed(self, closed: Bools, branches: Ints) -> list[Figures]:
        opened, state = self.stations.opened, closed & ~self.stations.dropped
        flows = solve(opened, state)
        plain = (opened.tap[branches] == 1.0) & (opened.shift[branches] == 0.0)
        result: list[Figures | None] = [None] * len(branches)
        if flows.converged[0] and flows.energised[0].all():
            for some in parts(int(plain.sum()), opened):
                chosen = np.flatnonzero(plain)[some]
                loops = close_loops(opened, state, branches[chosen])
                for row, j in enumerate(chosen.tolist()):
                    result[j] = figures_of(opened, loops.v[row], loops.i[row]) if loops.found[row] else None
        for j, e in enumerate(branches.tolist()):
            if result[j] is None:
                more = closed.copy()
                more[e] = True
                result[j] = self.figures(more[None])[0]
        return [each for each in result if each is not None]


@dataclass(frozen=True)
class PhaseStates:
    """Those of a grid of any phases, by OpenDSS.

    Attributes:
        grid: sound. network: of it, with limits.
    """

    grid: Grid
    network: Network

    def flow(self, closed: Bools) -> Flow | None:
        found = self.solved(closed)
        if found is None:
            return None
        mismatch = balances(self.grid, self.network, found.v, closed=closed, energised=found.energised).mismatch[0]
        return Flow(found.v[0], self.rated(found), float(mismatch), self._figures(found))

    def figures(self, closed: Bools) -> list[Figures]:
        return [self._figures(self.solved(each)) for each in closed]

    def with_closed(self, closed: Bools, branches: Ints) -> list[Figures]:
        more = np.repeat(closed[None], len(branches), axis=0)
        more[np.arange(len(branches)), branches] = True
        return self.figures(more)

    @cached_property
    def _circuit(self) -> OpenDssCircuit:
        return OpenDssCircuit(self.grid)

    def solved(self, closed: Bools) -> PhaseFlows | None:
        """The flow of a state (B), buses without supply left out; None where there is none."""
        if not np.array_equal(self._circuit.state, closed):
            self._circuit.rewire(closed)
        found = self._circuit.solve()
        return found if found.converged[0] else None

    def _figures(self, found: PhaseFlows | None) -> Figures:
        return NO_FLOW if found is None else figures_of(self.network, found.v[0], self.rated(found))

    def rated(self, found: PhaseFlows) -> Floats:
        """(E) rated currents of a flow."""
        network = self.network
        rated: Floats = rated_amperes(network, found.i_fr_a[0], found.i_to_a[0]) / network.i_base_a
        return rated


def parts(count: int, network: Network) -> list[slice]:
    """Numbers of states in groups that fit into memory."""
    size = at_once(network)
    return [slice(begin, min(begin + size, count)) for begin in range(0, count, size)]


def at_once(network: Network) -> int:
    """How many states are solved in one call."""
    return max(1, CELLS // (network.n_terminals + network.n_conductors))


def figures_of(network: Network, v: Complexes | Floats, i: Floats) -> Figures:
    """The figures of voltages (N) or their magnitudes, 0 where there is no supply, and rated currents (E)."""
    size, live = np.abs(v), np.abs(v) > 0.0
    checked = live.copy()
    checked[network.source_terminal] = False
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(checked & (network.w_min > 0.0), 1.0 - size / np.sqrt(network.w_min), -np.inf)
        high = np.where(checked, size / np.sqrt(network.w_max) - 1.0, -np.inf)
        over = np.where(np.isfinite(network.l_max), i / np.sqrt(network.l_max) - 1.0, -np.inf)
        loading = np.where(np.isfinite(network.rating), i / network.rating, -np.inf)
    kinds = (("voltage low", low), ("voltage high", high), ("current", over))
    most, kind, excess = max(((_most(each), kind, each) for kind, each in kinds), key=lambda found: found[0])
    broken = most > LIMIT_TOLERANCE
    lowest = int(np.where(live, size, np.inf).argmin())
    peak = _most(loading)
    return Figures(
        most if broken else 0.0,
        (kind, int(excess.argmax())) if broken else ("", -1),
        (peak, int(loading.argmax()) if math.isfinite(peak) else -1),
        (float(size[lowest]), lowest) if live.any() else (math.inf, -1),
    )


def _most(values: Floats) -> float:
    return float(values.max(initial=-np.inf))
