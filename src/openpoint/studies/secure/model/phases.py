"""Faults of grids of phases a, b, c: what is parted and joined by the graph of buses, states after faults by OpenDSS.

A part that a fault cut off counts as fed where each phase of its buses is. Branches beside each other in different
phases, like the units of a regulator, are isolated together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.graph import energised
from openpoint.network import Network
from openpoint.network.stations import Stations, without_meshes
from openpoint.search.plan.flows import NO_FLOW, PhaseStates, figures_of, without_figures
from openpoint.studies.secure.model.faults import Fault, Sections
from openpoint.studies.secure.model.states import (
    Choice,
    EvaluatedState,
    closed_ties,
    part_of,
)

NOT_ALL = without_figures("phases")


def graph_of(network: Network) -> Network:
    """A network of a terminal for each bus and a conductor for each branch, for what follows from the graph alone.

    Levels and limits of voltage are those of the buses, ratings those of the branches.
    """
    buses = np.unique(network.terminal_bus, return_index=True)[1]
    branches = np.unique(network.conductor_branch, return_index=True)[1]
    found = part_of(network, buses, branches, place=network.terminal_bus).network
    return replace(
        found,
        source_terminal=np.unique(found.source_terminal),
        terminal_phase=("1",) * len(buses),
        conductor_phase=("1",) * len(branches),
    )


def units_together(network: Network, sections: Sections) -> Sections:
    """The sections of the graph of a network in which branches between the same buses in different phases share one."""
    phases, ends = dict[int, set[str]](), dict[int, tuple[int, ...]]()
    at = np.stack([network.terminal_fr, network.terminal_to], axis=1)
    for e, pair in zip(network.conductor_branch.tolist(), np.sort(network.terminal_bus[at]).tolist(), strict=True):
        ends[e] = tuple(pair)
    for e, phase in zip(network.conductor_branch.tolist(), network.conductor_phase, strict=True):
        phases.setdefault(e, set()).add(phase)
    of_branch, beside = sections.of_branch.copy(), dict[tuple[int, ...], list[int]]()
    for e, pair in ends.items():
        unit = next((other for other in beside.get(pair, ()) if not phases[e] & phases[other]), None)
        if unit is not None:
            of_branch[of_branch == of_branch[e]] = of_branch[unit]
        beside.setdefault(pair, []).append(e)
    return replace(sections, of_branch=of_branch)


def loops_opened(graph: Network) -> Stations:
    """The graph, and a tree or forest of it: without a branch of each loop that stays closed."""
    held = np.flatnonzero(graph.closed & ~graph.switchable)
    dropped = np.zeros(graph.n_conductors, dtype=np.bool_)
    dropped[held[~graph.in_forest(held)]] = True
    return replace(without_meshes(graph), opened=replace(graph, closed=graph.closed & ~dropped), dropped=dropped)


@dataclass(frozen=True)
class PhaseFaultStates:
    """States after faults.

    Attributes:
        graph: with the state before. exact: the power flow, with the limits of an emergency.
    """

    graph: Network
    exact: PhaseStates

    def evaluated(
        self, faults: Sequence[Fault], asked: Sequence[Sequence[Choice]], on_progress: Callable[[int], None]
    ) -> list[list[EvaluatedState]]:
        """As `openpoint.studies.secure.model.states.States.evaluated`."""
        result: list[list[EvaluatedState]] = []
        for fault, choices in zip(faults, asked, strict=True):
            result.append([found for ties in choices if (found := self._state(fault, ties)) is not None])
            on_progress(len(result))
        return result

    def _state(self, fault: Fault, ties: Choice) -> EvaluatedState | None:
        """A state; None where a tie joins a part to nothing, or closes a loop."""
        graph, network = self.graph, self.exact.network
        closed = graph.closed.copy()
        closed[fault.opened] = False
        closed[list(closed_ties(ties))] = True
        if self._loops(closed) > self._loops(closed & ~graph.switchable):
            return None
        on, fr, to = closed[network.conductor_branch], network.terminal_fr, network.terminal_to
        live = energised(network.n_terminals, fr, to, on, network.source_terminal)
        fed = [live[np.isin(network.terminal_bus, part.buses)] for part in fault.parts]
        served = tuple(bool(each.all()) for each in fed)
        if not all(each.any() for tie, each in zip(ties, fed, strict=True) if tie is not None):
            return None
        some = np.zeros(graph.n_terminals, dtype=np.bool_)
        some[network.terminal_bus[live]] = True
        if not live[some[network.terminal_bus]].all():
            return EvaluatedState(ties, served, NOT_ALL)
        found = self.exact.solved(closed)
        if found is None:
            return EvaluatedState(ties, served, NO_FLOW)
        figures = figures_of(network, found.v[0], self.exact.rated(found))
        figures = figures.renumbered(network.terminal_bus, network.conductor_branch)
        return EvaluatedState(ties, served, figures, float(found.loss_kw[0]) / graph.s_base_kva)

    def _loops(self, closed: Bools) -> int:
        return int((~self.graph.in_forest(np.flatnonzero(closed))).sum())


def lowest(network: Network, v: Floats) -> Floats:
    """(buses) the lowest of the voltages (N) of its phases."""
    found = np.full(len(network.bus_names), np.inf)
    np.minimum.at(found, network.terminal_bus, v)
    return found
