"""States after a fault, each evaluated by its exact AC power flow.

An excerpt of a radial state: the feeders that a switching changes, as a network of their own.

A feeder is a bus that a source feeds by one branch, with all that is fed through it. The voltage of the source is
given, so that switching changes the flow of those feeders alone between which branches are opened and closed; all
others keep their voltages and currents.

The remainder: what switching may use after a fault, as a network in which every bus can be fed.

Left out are the section at fault and the buses that no path leads to any more, however one switches: *cut off for
good*. The power flow of a state of the remainder is that of the whole network in the same state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Ints
from openpoint.graph import energised
from openpoint.network import Network
from openpoint.network.limits import LIMIT_TOLERANCE, greatest_magnitude, least_magnitude
from openpoint.network.stations import Stations, open_held_meshes
from openpoint.powerflow.balanced import Flows, FlowStatus, solve
from openpoint.powerflow.meshed import solve_meshed
from openpoint.search.plan.flows import NO_FLOW, Figures, figures_of, parts, without_figures
from openpoint.studies.secure.model.faults import Fault, Tree
from openpoint.studies.secure.model.taps import TapControls, follow


@dataclass(frozen=True)
class Excerpt:
    """A part of a network, with the same state of its branches.

    Attributes:
        network: the part. buses, branches: numbers of its buses and branches in the whole.
        place: (N) number in the part of each bus of the whole, -1 outside.
    """

    network: Network
    buses: Ints
    branches: Ints
    place: Ints


def feeders_of(network: Network, tree: Tree) -> Ints:
    """(N) the first bus of the feeder of each bus; -1 at sources and without supply."""
    result = np.full(network.n_terminals, -1, dtype=np.int64)
    source = np.zeros(network.n_terminals, dtype=np.bool_)
    source[network.source_terminal] = True
    for bus in tree.order.tolist():
        e = int(tree.above[bus])
        if e < 0:
            continue
        parent = int(network.terminal_fr[e] + network.terminal_to[e]) - bus
        result[bus] = bus if source[parent] else result[parent]
    return result


def excerpt_of(network: Network, feeder: Ints, chosen: Ints) -> Excerpt:
    """The feeders `chosen`, with all sources, and what open branches connect to them."""
    fr, to = network.terminal_fr, network.terminal_to
    inside = np.isin(feeder, chosen)
    inside[network.source_terminal] = True
    at_end = ~network.closed & network.hangs & (inside[fr] | inside[to])
    kept = inside.copy()
    kept[fr[at_end]] = kept[to[at_end]] = True
    buses = np.flatnonzero(kept)
    branches = np.flatnonzero(kept[fr] & kept[to] & ((inside[fr] & inside[to]) | at_end))
    return part_of(network, buses, branches)


def part_of(network: Network, buses: Ints, branches: Ints, place: Ints | None = None) -> Excerpt:
    """The network of these buses, all sources among them, and of these branches between them.

    Args:
        place: (N) number in the part of each; default: that of the buses.
    """
    if place is None:
        place = np.full(network.n_terminals, -1, dtype=np.int64)
        place[buses] = np.arange(len(buses))
    of = network.conductor_branch[branches]
    units = np.flatnonzero(place[network.generator_terminal] >= 0)
    part = replace(
        network,
        bus_names=tuple(network.bus_names[n] for n in network.terminal_bus[buses]),
        branch_names=tuple(network.branch_names[e] for e in of),
        branch_kinds=tuple(network.branch_kinds[e] for e in of),
        branch_connections=tuple(network.branch_connections[e] for e in of),
        terminal_bus=np.arange(len(buses)),
        terminal_phase=tuple(network.terminal_phase[n] for n in buses),
        conductor_branch=np.arange(len(branches)),
        conductor_phase=tuple(network.conductor_phase[e] for e in branches),
        terminal_fr=place[network.terminal_fr[branches]],
        terminal_to=place[network.terminal_to[branches]],
        z=_diagonal(network.z, branches),
        y_shunt=_diagonal(network.y_shunt, branches),
        source_terminal=place[network.source_terminal],
        generator_names=tuple(network.generator_names[g] for g in units),
        generator_terminal=place[network.generator_terminal[units]],
        **{name: getattr(network, name)[buses] for name in _OF_BUSES},
        **{name: getattr(network, name)[branches] for name in _OF_BRANCHES},
        **{name: getattr(network, name)[units] for name in _OF_GENERATORS},
    )
    return Excerpt(part, buses, branches, place)


_OF_BUSES = ("v_base_kv", "w_min", "w_max", "s_power", "s_current", "s_impedance")
_RATINGS = ("l_max", "rating", "rated_fr", "rated_to", "i_base_a")
_OF_BRANCHES = ("tap", "shift", *_RATINGS, "switchable", "closed", "y_open_fr", "y_open_to")
_OF_GENERATORS = ("generator_return", "generator_s", "p_min", "p_max", "q_min", "q_max")


def _diagonal(matrix: sp.csr_array, rows: Ints) -> sp.csr_array:
    return sp.csr_array(sp.diags_array(np.asarray(matrix.diagonal())[rows]))


def whole_of(network: Network) -> Excerpt:
    """All of a network."""
    every = np.arange(network.n_terminals)
    return Excerpt(network, every, np.arange(network.n_conductors), every)


@dataclass(frozen=True)
class Remainder:
    """The grid that is left after a fault.

    Attributes:
        whole: the network with its permanently closed loops opened, in the state once the section is isolated.
        part: the buses that can be fed, and the branches between them that are closed or may be.
        reached: (parts of the fault) whether a path leads to it.
        is_radial: whether some state of the part is radial; not where a permanently closed loop is left.
    """

    whole: Network
    part: Excerpt
    reached: tuple[bool, ...]
    is_radial: bool

    @property
    def least_closings(self) -> int:
        """Fewest branches that are to be closed so that every bus of the part is fed."""
        network = self.part.network
        return network.n_terminals - len(network.source_terminal) - int(network.closed.sum())


def remainder_of(stations: Stations, fault: Fault) -> Remainder:
    """The grid that is left after a fault."""
    whole = _isolated(stations, fault)
    fr, to = whole.terminal_fr, whole.terminal_to
    usable = whole.closed | whole.switchable
    usable[fault.barred] = False
    fed = energised(whole.n_terminals, fr, to, usable, whole.source_terminal)
    inside = usable & fed[fr] & fed[to]
    part = part_of(_with_hanging(_with_fixed_outputs(whole), inside), np.flatnonzero(fed), np.flatnonzero(inside))
    held = np.flatnonzero(part.network.closed & ~part.network.switchable)
    trees = bool(part.network.in_forest(held).all())
    return Remainder(whole, part, tuple(bool(fed[each.buses[0]]) for each in fault.parts), trees)


def _isolated(stations: Stations, fault: Fault) -> Network:
    """The network in the state once the section is isolated."""
    network = stations.whole if fault.is_held else stations.opened
    closed = network.closed.copy()
    closed[fault.opened] = False
    network = replace(network, closed=closed)
    return open_held_meshes(network).opened if fault.is_held else network


def _with_fixed_outputs(network: Network) -> Network:
    """The network whose generators give what they give today."""
    p, q = network.generator_s.real.copy(), network.generator_s.imag.copy()
    return replace(network, p_min=p, p_max=p, q_min=q, q_max=q)


def _with_hanging(network: Network, inside: Bools) -> Network:
    """The network with the admittances of open branches that are not `inside` as loads of the buses at their ends."""
    load = network.s_impedance.copy()
    outside = ~inside
    np.add.at(load, network.terminal_fr[outside], network.y_open_fr[outside].conj())
    np.add.at(load, network.terminal_to[outside], network.y_open_to[outside].conj())
    return replace(network, s_impedance=load)


LARGE = 400
"""Buses from which on only the feeders that a switching changes are solved."""

Choice = tuple[int | None, ...]
"""The tie of each part, None for one that stays dark."""


_HUNT = without_figures("tap changers")


@dataclass(frozen=True)
class EvaluatedState:
    """A state after a fault.

    Attributes:
        ties: closed, one a part or None; where others are `opened`, beside those around the fault, all that are closed.
        served: (parts) whether the part has supply. figures: of the whole grid. loss: per unit, nan without a power
            flow. taps: number and position, from 0, of the tap changers that hold a voltage and stepped.
    """

    ties: Choice
    served: tuple[bool, ...]
    figures: Figures
    loss: float = math.nan
    opened: tuple[int, ...] = ()
    taps: tuple[tuple[int, int], ...] = ()

    @property
    def holds(self) -> bool:
        """Whether all limits hold."""
        return self.figures.excess <= LIMIT_TOLERANCE


@dataclass(frozen=True)
class States:
    """States after faults.

    Attributes:
        stations: the network with the limits of an emergency, and the one with its permanently closed loops opened.
            tree: of the latter. controls: tap changers that hold a voltage.
    """

    stations: Stations
    tree: Tree
    controls: TapControls

    def evaluated(
        self, faults: Sequence[Fault], asked: Sequence[Sequence[Choice]], on_progress: Callable[[int], None]
    ) -> list[list[EvaluatedState]]:
        """Each choice as a state; those that join a part to nothing, or close a loop, are left out.

        Args:
            faults: F. asked: (F) choices of each. on_progress: called with the number of faults evaluated.
        """
        result: list[list[EvaluatedState]] = [[] for _ in faults]
        groups: dict[tuple[int, ...], list[tuple[int, Choice]]] = {}
        for k, choices in enumerate(asked):
            for ties in choices:
                if faults[k].is_held:
                    result[k] += [
                        found for found in [_of_meshed(self.stations.whole, self.controls, faults[k], ties)] if found
                    ]
                else:
                    groups.setdefault(self._feeders(faults[k], ties), []).append((k, ties))
        done = 0
        for feeders, todo in groups.items():
            part, rest = self._part(np.array(feeders, dtype=np.int64))
            dropped = self.stations.dropped[part.branches]
            for some in (todo[each] for each in parts(len(todo), part.network)):
                for (k, _), found in zip(some, _of_states(part, rest, self.controls, dropped, faults, some)):
                    if found is not None:
                        result[k].append(found)
            done += len(todo)
            on_progress(done * len(faults) // sum(map(len, groups.values())))
        return result

    def _feeders(self, fault: Fault, ties: Choice) -> tuple[int, ...]:
        """The feeders that change; none stands for the whole network."""
        network, feeder = self.stations.opened, self._feeder
        if network.n_terminals < LARGE:
            return ()
        branches = np.array([*fault.opened.tolist(), *closed_ties(ties)], dtype=np.int64)
        ends = np.concatenate([network.terminal_fr[branches], network.terminal_to[branches]])
        return tuple(np.unique(feeder[ends][feeder[ends] >= 0]).tolist())

    @cached_property
    def _feeder(self) -> Ints:
        return feeders_of(self.stations.opened, self.tree)

    @cached_property
    def _before(self) -> Flows:
        return solve(self.stations.opened, self.stations.opened.closed)

    def _part(self, feeders: Ints) -> tuple[Excerpt, tuple[Figures, float] | None]:
        """The network of feeders, and figures and loss of the rest; the whole network where none is named."""
        network = self.stations.opened
        if not len(feeders):
            return whole_of(network), None
        part = excerpt_of(network, self._feeder, feeders)
        outside = (self.tree.place >= 0) & ~np.isin(self._feeder, feeders)
        flows = self._before
        own = solve(part.network, part.network.closed)
        carries = network.closed & outside[network.terminal_fr] & outside[network.terminal_to]
        outside[network.source_terminal] = False
        rest = figures_of(network, np.where(outside, flows.v[0], 0.0), np.where(carries, flows.i_rated[0], 0.0))
        return part, (rest, float(flows.loss[0] - own.loss[0]))


def closed_ties(ties: Choice) -> tuple[int, ...]:
    """The ties that are closed."""
    return tuple(tie for tie in ties if tie is not None)


def _of_states(
    part: Excerpt,
    rest: tuple[Figures, float] | None,
    controls: TapControls,
    dropped: Bools,
    faults: Sequence[Fault],
    asked: Sequence[tuple[int, Choice]],
) -> Iterator[EvaluatedState | None]:
    number = np.full(int(part.branches.max(initial=-1)) + 1, -1, dtype=np.int64)
    number[part.branches] = np.arange(len(part.branches))
    states = np.repeat(part.network.closed[None], len(asked), axis=0)
    for row, (k, ties) in enumerate(asked):
        states[row, number[faults[k].opened]] = False
        states[row, number[list(closed_ties(ties))]] = True
    own = controls.in_part(part.place, part.branches)
    flows, positions, hunts = follow(part.network, states, own, dropped)
    for row, (k, ties) in enumerate(asked):
        live = flows.energised[row]
        served = tuple(bool(live[part.place[fed.buses[0]]]) for fed in faults[k].parts)
        dark = any(tie is not None and not has for tie, has in zip(ties, served))
        if dark or flows.status[row] == FlowStatus.NOT_RADIAL:
            yield None
        elif hunts[row] or not flows.converged[row]:
            yield EvaluatedState(ties, served, _HUNT if hunts[row] else NO_FLOW)
        else:
            figures, loss = figures_of(part.network, flows.v[row], flows.i_rated[row]), float(flows.loss[row])
            figures = figures.renumbered(part.buses, part.branches)
            if rest is not None:
                figures, loss = figures.with_rest(rest[0]), loss + rest[1]
            yield EvaluatedState(ties, served, figures, loss, taps=own.steps(positions[row]))


def _of_meshed(network: Network, controls: TapControls, fault: Fault, ties: Choice) -> EvaluatedState | None:
    """A state that may have loops; None where a part that is to be fed is not."""
    closed = network.closed.copy()
    closed[fault.opened] = False
    closed[list(closed_ties(ties))] = True
    opened = open_held_meshes(replace(network, closed=closed)).opened
    if solve(opened, opened.closed).status[0] != FlowStatus.NOT_RADIAL:
        isolated, dropped = replace(fault, opened=fault.opened[:0]), closed & ~opened.closed
        return next(_of_states(whole_of(opened), None, controls, dropped, [isolated], [(0, ties)]))
    served = (True,) * len(fault.parts)
    flows, positions, hunts = follow(network, closed[None], controls, flow=_meshed_flows)
    if hunts[0] or not flows.converged[0]:  # none where a bus is without supply
        figures = _HUNT if hunts[0] else NO_FLOW
        return EvaluatedState(ties, served, figures) if closed_ties(ties) else None
    figures, loss = figures_of(network, flows.v[0], flows.i_rated[0]), float(flows.loss[0])
    return EvaluatedState(ties, served, figures, loss, taps=controls.steps(positions[0]))


def _meshed_flows(network: Network, states: Bools) -> Flows:
    """The flow of one state that may have loops."""
    flows = solve(network, states)
    flows.status[0] = FlowStatus.NOT_CONVERGED
    return solve_meshed(network, states[0]) or flows


def figures_and_loss(network: Network, closed: Bools) -> tuple[Figures, float]:
    """The figures of a state, (E), by exact AC power flow, and its loss; one with loops has no bus without supply."""
    flows = solve(network, closed)
    if flows.status[0] == FlowStatus.NOT_RADIAL:
        flows = _meshed_flows(network, closed[None])
    figures = figures_of(network, flows.v[0], flows.i_rated[0]) if flows.converged[0] else NO_FLOW
    return figures, float(flows.loss[0])


def keeping(network: Network, closed: Bools) -> Bools:
    """(K) whether states, (K, E), keep all limits, by exact AC power flow; every bus is to have supply."""
    flows = solve(network, closed)
    v, i = np.abs(flows.v), flows.i_rated
    fits = flows.converged & flows.energised.all(axis=1)
    fits &= (v >= least_magnitude(np.sqrt(network.w_min))).all(axis=1)
    fits &= (v <= greatest_magnitude(np.sqrt(network.w_max))).all(axis=1)
    return np.asarray(fits & (i <= greatest_magnitude(np.sqrt(network.l_max))).all(axis=1))
