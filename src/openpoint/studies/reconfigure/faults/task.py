"""The task of a search with faults: which figure is least, and what faults may do at most.

Branch exchange by losses and by what faults do: good states for a search with faults to begin with.

A step closes one branch and opens another of its loop. All steps are ranked by the exact power flow without a fault;
faults are evaluated in this order until a state is better. From a local optimum it goes on by perturbations of some
steps at random (iterated local search; Lourenço, Martin and Stützle 2003).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from openpoint.arrays import Bools, Floats, States
from openpoint.formulations.radiality import choices_left
from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.arrays import Wires, work_for
from openpoint.powerflow.balanced import kernel_input
from openpoint.search.exchange.ac_check import AcEvaluator
from openpoint.search.exchange.pairs import exchanges
from openpoint.studies.reconfigure.faults.arrays import FaultData, Least, fault_work, least_for, partial_work
from openpoint.studies.reconfigure.faults.bound_kernel import bound_faults
from openpoint.studies.reconfigure.faults.kernel import evaluate_faults

ENDLESS = 2**62


@dataclass(frozen=True)
class FaultFigures:
    """The effects of faults in a radial state.

    Attributes:
        closed: (E) the state. unrestorable: (E) faults after which one tie for each part leaves load or customers
            without supply that are not isolated.
        interruptions, hours: of customers a year, added up. kwh: energy not supplied a year, at today's load.
        is_whole: whether all choices of ties were tried.
    """

    closed: Bools
    unrestorable: Bools
    interruptions: float
    hours: float
    kwh: float
    is_whole: bool

    @property
    def count(self) -> int:
        """Number of faults that are not restorable."""
        return int(self.unrestorable.sum())


class FaultEvaluator:
    """Evaluates the faults of one radial state after another."""

    def __init__(self, network: Network, data: FaultData) -> None:
        """`network`: with the limits of an emergency, its permanently closed loops opened."""
        self.network, self.data, self.state = network, data, fault_work(data)
        self.wires, self.loads = kernel_input(network)
        self.least, self.partial = least_for(network, data), partial_work(data)
        self.work = work_for(network.n_terminals)
        self.work.position[:] = -1
        self._given = self.wires, self.loads, self.data, self.least, self.partial

    def count(self, closed: Bools, most: int = ENDLESS) -> int:
        """Number of faults that are not restorable, or one above `most`; below 0 where the state has no power flow."""
        self.state.closed[:] = closed
        return int(evaluate_faults(*self._given, self.state, self.work, most))

    def figures(self, closed: Bools) -> FaultFigures | None:
        """The figures of a state (E); None where it is not radial or has no power flow."""
        if self.count(closed) < 0:
            return None
        state = self.state
        times, hours, kwh = (float(total) for total in state.totals)
        return FaultFigures(
            state.closed.copy(), state.unrestorable.copy(), times, hours, kwh, is_whole=not state.loose[0]
        )


class PartialBound:
    """Bounds of partial states, one after another.

    Attributes:
        work: after `faults`, `lost` and `bound` are those of the state.
    """

    def __init__(self, wires: Wires, data: FaultData, least: Least) -> None:
        self.wires, self.data, self.least = wires, data, least
        self.work = partial_work(data)

    def faults(self, status: States, most: int) -> int:
        """Faults that no completion of (E) branches OPEN, CLOSED or UNDECIDED restores; stops above `most`."""
        self.work.status[:] = status
        return int(bound_faults(self.wires, self.data, self.least, self.work, most))

    @property
    def interruptions(self) -> float:
        """Bound of the interruptions in all completions of the state before."""
        return float(self.work.bound[0])


Merit = tuple[float, float, float, float]
"""By which states are compared: violation of limits, excess over what faults may do, the figure sought, the loss."""


ROUNDED = 1e-9
"""Relative difference up to which an index counts as kept: it is a sum of as many terms as there are branches."""


class Sought(StrEnum):
    """The figure that is least."""

    LOSS = "loss"
    SAIFI = "saifi"
    SAIDI = "saidi"
    ENS = "ens"


UNRESTORABLE = "unrestorable"
"""The number of faults that one tie for each part does not restore."""
FIGURES = (UNRESTORABLE, *(each.value for each in Sought if each is not Sought.LOSS))
"""What faults do, by the names of options."""


@dataclass(frozen=True)
class FaultLimits:
    """Limits of what faults do.

    Attributes:
        most: faults that one tie does not restore. may: (E) those that may be among them.
        at_most: the most of indices, in the unit of `figure_of`.
    """

    most: int
    may: Bools
    at_most: Mapping[Sought, float] = field(default_factory=dict)

    def excess(self, figures: FaultFigures) -> float:
        """By how much the faults of a state do more."""
        over = float(max(0, figures.count - self.most) + int((figures.unrestorable & ~self.may).sum()))
        for index, most in self.at_most.items():
            above = figure_of(index, figures) - most
            over += above / max(most, 1e-12) if above > ROUNDED * most else 0.0
        return over

    def with_index(self, index: Sought, most: float) -> FaultLimits:
        """The same with an index that is at most so much, too."""
        return replace(self, at_most={**self.at_most, index: min(most, self.at_most.get(index, math.inf))})

    def without_index(self, index: Sought) -> FaultLimits:
        """The same without the limit of an index."""
        return replace(self, at_most={each: most for each, most in self.at_most.items() if each is not index})


def unlimited(branches: int) -> FaultLimits:
    """No limit of what faults do."""
    return FaultLimits(ENDLESS, np.ones(branches, dtype=np.bool_))


def figure_of(sought: Sought, figures: FaultFigures) -> float:
    """Interruptions or hours of all customers a year, or energy not supplied."""
    known = {Sought.SAIFI: figures.interruptions, Sought.SAIDI: figures.hours, Sought.ENS: figures.kwh}
    return known[sought]


@dataclass(frozen=True)
class EvaluatedState:
    """A radial state. Attributes: closed: (E). merit, loss: per unit, with the cost of changes. figures: of faults."""

    closed: Bools
    merit: Merit
    loss: float
    figures: FaultFigures

    @property
    def holds(self) -> bool:
        """Whether it keeps all limits."""
        return self.merit[:2] == (0.0, 0.0)


def _ignore(_: EvaluatedState) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class FaultTask:
    """The task of a search.

    Attributes:
        network: with the limits without a fault, its permanently closed loops opened. rules: for its branches.
        faults: evaluates faults, with the limits of an emergency. sought: the figure that is least. limits: of faults.
        on_state: called with every state that is evaluated.
    """

    network: Network
    rules: SwitchingRules
    faults: FaultEvaluator
    sought: Sought
    limits: FaultLimits
    on_state: Callable[[EvaluatedState], None] = _ignore

    @cached_property
    def ac(self) -> AcEvaluator:
        """Exact losses and violations without a fault."""
        return AcEvaluator(self.network, self.rules.change_cost)

    @cached_property
    def bounds(self) -> dict[Sought, PartialBound]:
        """The bounds at partial states, by the index that they bound: first the one sought, then those limited."""
        named = [*([] if self.sought is Sought.LOSS else [self.sought]), *self.limits.at_most]
        return {index: self._bound_of(index) for index in named or [Sought.SAIDI]}

    @property
    def bound(self) -> PartialBound:
        """The bound of the index sought, or of the first one limited; of the unrestorable faults all are equal."""
        return next(iter(self.bounds.values()))

    def least(self, status: States) -> float | None:
        """Bound of the index sought in all completions of (E) states; None: none keeps the limits of faults."""
        for index, bound in self.bounds.items():
            if bound.faults(status, self.limits.most) > self.limits.most:
                return None
            if bound.interruptions > self.limits.at_most.get(index, math.inf) * (1.0 + ROUNDED):
                return None
        return self.bound.interruptions

    def _bound_of(self, index: Sought) -> PartialBound:
        data = self.faults.data
        rate, weight, repair = weights_of(index, data)
        own = data.own_load if index is Sought.ENS else data.own_customers
        fixed = 0.0
        for s in range(len(data.section)):
            failing = data.failing[data.first[s] : data.first[s + 1]]
            fixed += float(repair[failing][data.hangs[failing]].sum() * own[s])
        least = replace(
            self.faults.least,
            by_rate=rate.copy(),
            by_weight=weight.copy(),
            by_repair=repair.copy(),
            fixed=fixed,
            may=self.limits.may.copy(),
        )
        return PartialBound(self.faults.wires, data, least)

    def evaluated(self, closed: Bools, loss: float, violation: float) -> EvaluatedState | None:
        """A state with its faults; None where they cannot be evaluated. `loss`, `violation`: as `ac` found them."""
        figures = self.faults.figures(closed)
        if figures is None or not np.isfinite(loss):
            return None
        value = loss if self.sought is Sought.LOSS else figure_of(self.sought, figures)
        state = EvaluatedState(closed, (violation, self.limits.excess(figures), value, loss), loss, figures)
        self.on_state(state)
        return state

    def state(self, closed: Bools) -> EvaluatedState | None:
        """A state, with its loss and its faults."""
        loss, violation = self.ac.evaluate(closed[None, :])
        return self.evaluated(closed, float(loss[0]), float(violation[0]))


def weights_of(sought: Sought, data: FaultData) -> tuple[Floats, Floats, Floats]:
    """(E) least faults or hours a year, (N) customers or load, (E) hours of what waits for a repair in addition.

    Where a section has a branch that is remote, a completion may isolate it and close its ties by remote control alone.
    """
    if sought is Sought.SAIFI:
        return data.rate, data.customers, np.zeros_like(data.rate)
    return data.sooner, data.load if sought is Sought.ENS else data.customers, data.whole - data.sooner


PERTURBATION_STEPS = 3
"""Steps of a perturbation, at most."""
HOPELESS = 0.25
"""Share by which a step may lose more and still be evaluated, where the loss is not what is sought."""


class FaultExchange:
    """Branch exchange for one task.

    Attributes:
        choices: what the rules leave to decide. best: the best state so far.
        evaluations: number of states whose faults were evaluated. effort_limit: how many are worth evaluating at a
            time.
    """

    def __init__(self, task: FaultTask, over: Callable[[], bool], better: Callable[[EvaluatedState], None]) -> None:
        """`over`: called regularly; True stops. `better`: called with every state that is better than all before."""
        self.task, self.over, self.better = task, over, better
        self.choices = choices_left(task.network, task.rules)
        self.best: EvaluatedState | None = None
        self.evaluations = 0
        self.random = np.random.default_rng(1)
        self.effort_limit = 2 * int(np.sum(~task.rules.must_open & ~task.rules.must_close))

    def offer(self, closed: Bools, most: int) -> None:
        """Descend from a state, evaluating at most so many others."""
        state = self._evaluate(closed)
        if state is not None:
            self._descend(state, self.evaluations + most)

    def perturbations(self, most: int) -> None:
        """Perturbations from the best state, evaluating at most so many."""
        until = self.evaluations + most
        while self.best is not None and self.evaluations < until and not self.over():
            closed = self._kicked(self.best.closed)
            state = None if closed is None else self._evaluate(closed)
            if state is None:
                self.evaluations += 1
                continue
            self._descend(state, until)

    def _evaluate(self, closed: Bools) -> EvaluatedState | None:
        self.evaluations += 1
        state = self.task.state(closed)
        self.keep(state)
        return state

    def keep(self, state: EvaluatedState | None) -> None:
        """Take a state as the best, if it is better than all before."""
        if state is not None and (self.best is None or state.merit < self.best.merit):
            self.best = state
            self.better(state)

    def _descend(self, state: EvaluatedState, until: int) -> None:
        while not self.over() and self.evaluations < until:
            found = self._step(state, until)
            if found is None:
                return
            state = found

    def _step(self, state: EvaluatedState, until: int) -> EvaluatedState | None:
        """The first better neighbour, in the order of violations and losses."""
        near = self._near(state.closed)
        if not len(near):
            return None
        loss, violation = self.task.ac.evaluate(near)
        by_loss = self.task.sought is Sought.LOSS
        for k in np.lexsort((loss, violation)).tolist():
            if violation[k] > state.merit[0] or not np.isfinite(loss[k]):
                return None
            same = violation[k] == state.merit[0] and state.merit[1] == 0.0
            if same and loss[k] >= state.loss * (1.0 - 1e-9 if by_loss else 1.0 + HOPELESS):
                return None
            if self.evaluations >= until or self.over():
                return None
            self.evaluations += 1
            found = self.task.evaluated(near[k], float(loss[k]), float(violation[k]))
            if found is not None and found.merit < state.merit:
                self.keep(found)
                return found
        return None

    def _near(self, closed: Bools) -> Bools:
        """(K, E) radial states that one step leads to."""
        near, rules = exchanges(self.choices, closed), self.task.rules
        if rules.max_changes is not None:
            near = near[np.sum(near != self.task.network.closed, axis=1) <= rules.max_changes]
        return near

    def _kicked(self, closed: Bools) -> Bools | None:
        """The state after some steps at random."""
        for _ in range(int(self.random.integers(1, PERTURBATION_STEPS + 1))):
            near = self._near(closed)
            if not len(near):
                return None
            closed = near[int(self.random.integers(len(near)))]
        return closed
