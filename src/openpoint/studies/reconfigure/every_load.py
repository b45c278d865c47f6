"""Least loss among the radial states that keep their limits for every load of a set, proven by enclosures.

A topology search with a bound of the loss at the loads as they are, or at one realisation of the set where the greatest
loss is minimised. Each radial state that would be its best is judged: by realisations that broke limits of others, then
by its enclosure over the whole set. A state that is neither proved nor disproved is never the answer, but the lower
bound counts it. Theory: docs/every_load.md E10.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from openpoint.arrays import Bools
from openpoint.enclosure.judge import SetJudge, Verdict
from openpoint.enclosure.ports import of_open_ends
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.stations import Stations
from openpoint.results.realised import witness_of
from openpoint.search.exchange.ac_check import exchange_branches
from openpoint.search.methods import Log, TopologySearch
from openpoint.search.topology import search_topologies
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Outcome, Progress, Termination

START, START_GAP = 0.3, 0.01
"""Share of the time in which a state to start from is sought at the largest loads of the set, where exchange finds none
that is proved, and the gap at which that ends. Where there is none at these, there is none for the set."""


@dataclass(frozen=True)
class LoadSet:
    """A set of loads.

    Attributes:
        shares: by group (`load`, `generation`) how far powers deviate. budget: how many deviate fully at once, at most.
        greatest: whether the greatest loss over the set is minimised, and not that of the loads as they are.
    """

    shares: Mapping[str, float]
    budget: float | None = None
    greatest: bool = False


class ForEveryLoad:
    """The judge of radial states over a set (`openpoint.search.incumbent.Judge`).

    Attributes:
        most: the network with loads up and generation down, as far as a budget goes.
        known: by state what was judged so far, with its objective value.
    """

    def __init__(self, grid: Grid, program: RadialProgram, stations: Stations, of: LoadSet) -> None:
        self.judge = SetJudge(grid, stations.whole, of.shares, of.budget)
        self.grid, self.stations, self.of = grid, stations, of
        self.network, self.switching = program.network, program.switching
        self.most = self.judge.ports.realised(self.network, self.judge.up)
        self.known: dict[bytes, tuple[float, Verdict]] = {}

    def __call__(self, closed: Bools, value: float) -> tuple[float, float]:
        key = closed.tobytes()
        if key not in self.known:
            self.known[key] = value, self.verdict(closed)
        at_first, found = self.known[key]
        if found.word == "disproved":
            return math.inf, math.inf
        if found.word == "open":
            return math.inf, at_first
        changes = float(self.switching.cost(closed)) / self.network.s_base_kva
        return (found.most + changes if self.of.greatest else at_first), at_first

    def accepts(self, closed: Bools, value: float) -> tuple[float, float]:
        """The judge where the objective is another one."""
        word = self.verdict(closed).word
        return value if word == "proved" else math.inf, math.inf if word == "disproved" else value

    def heaviest(self, closed: Bools | None) -> Network:
        """The network at the realisation at which a state loses most; without one, loads up and generation down."""
        if closed is None or (found := self.judge.bounds(self._judged(closed))) is None:
            return self.most
        return self.judge.ports.realised(self.network, found.heaviest)

    def _judged(self, closed: Bools) -> Network:
        """A network with the flow and the limits of a radial state, without loops where there is one."""
        return replace(self.stations.opened, closed=closed) if self.stations.keeps_limits else self._whole(closed)

    def _whole(self, closed: Bools) -> Network:
        """The network in a radial state, with its permanently closed loops."""
        return replace(self.stations.whole, closed=closed | self.stations.dropped)

    def verdict(self, closed: Bools) -> Verdict:
        """What is known of a radial state, (E)."""
        return self.judge.verdict(self._judged(closed), replace(self.network, closed=closed))

    def witness(self) -> dict[str, Any]:
        """The witness against the disproved state of least objective value, as fields of the result."""
        found = [(value, key, verdict.at) for key, (value, verdict) in self.known.items() if verdict.at is not None]
        if not found:
            return {}
        _, key, at = min(found, key=lambda each: each[0])
        whole = self._whole(np.frombuffer(key, dtype=np.bool_))
        return witness_of(self.grid, whole, self.judge.ports, self.of.shares, at)

    def tally(self, below: float) -> Counter[str]:
        """How many states with a lower objective value were judged how."""
        return Counter(verdict.word for value, verdict in self.known.values() if value < below)


def necessary(network: Network, most: Network) -> Network:
    """The network with limits that each state keeps whose limits hold at another demand, where that is easily told.

    Where all power flows away from the sources, a drop of squared voltages and a current grow at least as much as the
    demand, if all of it grows alike (docs/every_load.md E10).

    Args:
        network: at the loads as they are. most: at the other demand.
    """
    own, other = network.s_power, most.s_power
    drawn = np.abs(own) > 0.0
    growth = np.unique(np.round((other[drawn] / own[drawn]).real, 12))
    plain = not (
        network.s_current.any()
        or network.s_impedance.any()
        or len(network.generator_names)
        or network.y_shunt.count_nonzero()
        or network.y_open_fr.any()
        or network.y_open_to.any()
        or (network.tap != 1.0).any()
    )
    positive = all(bool((part >= 0.0).all()) for part in (own.real, own.imag, network.r, network.x))
    if not (plain and positive and len(growth) == 1 and growth[0] > 1.0):
        return network
    by = float(growth[0]) * (1.0 - 1e-11)
    fed = float(np.min(np.abs(network.source_v) ** 2))
    w_min = np.where(network.w_min > 0.0, np.minimum(fed - (fed - network.w_min) / by, network.w_max), 0.0)
    return network.with_limits(w_min=np.maximum(w_min, network.w_min), w_max=network.w_max, l_max=network.l_max / by**2)


def solve_for_every(
    judge: ForEveryLoad,
    program: RadialProgram,
    search: TopologySearch,
    progress: Progress | None,
    deadline: Deadline,
) -> Outcome:
    """The outcome.

    Raises:
        OptionError: a grid that the bound of the search is not valid for.
    """
    network, log = program.network, Log(program.network.s_base_kva, progress)
    heavy = judge.most
    s = network.s_base_kva
    asked: dict[str, Any] = {
        "rules": program.rules,
        "deadline": deadline,
    }
    start = exchange_branches(heavy, **asked)
    objective = judge.heaviest(start.closed) if judge.of.greatest else network
    if (alone := exchange_branches(objective, **asked)).closed is not None:
        judge(alone.closed, alone.value)  # the state that loses least as far as this demand goes
    memory = 1e6 * search.memory_mb
    closed, found = start.closed, None
    if closed is None or judge.verdict(closed).word != "proved":
        within = {**asked, "deadline": deadline.within(START * deadline.left())}
        found = search_topologies(heavy, **within, gap=START_GAP, memory=memory, judge=judge.accepts)
        closed = found.closed
    if found is None or found.termination is not Termination.INFEASIBLE:
        found = search_topologies(
            objective if judge.of.greatest else necessary(network, heavy),
            **asked,
            gap=search.gap,
            starts=None if closed is None else closed[None, :],
            progress=log.on_progress,
            memory=memory,
            judge=judge,
        )
    outcome = program.evaluated(found, log)
    words, ends = judge.tally(found.value), of_open_ends(network, judge.of.shares)
    told = f"{words['disproved']:,} disproved, {words['open']:,} open"
    if found.closed is None:
        note = f"no topology is proved to keep all limits for every load and generation of the set: {told}"
        why = Termination.LIMITS if found.termination is Termination.RELAXATION else found.termination
        return replace(outcome, termination=why, notes=(note, *ends))
    what = "may have a lower greatest loss" if judge.of.greatest else "lose less at the loads as they are"
    held = "all limits hold for every load and generation of the set, proven in exact AC"
    note = f"{held}; of the topologies met that {what}, {told}"
    lower, value = min(found.lower_bound, found.value) * s, found.value * s
    return replace(outcome, notes=(note, *ends), lower_bound=lower, upper_bound=value)
