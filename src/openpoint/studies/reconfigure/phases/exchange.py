"""Exact AC power flows of the topologies of a grid of any phases: branch exchange from an answer, and the best of many.

A topology that keeps more of its limits is better, whatever it loses; of those that keep all, the one that loses less.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from openpoint.arrays import Bools
from openpoint.errors import InputError, OptionError
from openpoint.formulations.radiality import by_branch
from openpoint.grid.balanced import balanced_equivalent
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.limits import Limits
from openpoint.powerflow.opendss import OpenDssCircuit, PhaseState, state_of
from openpoint.results.phase_violations import excess
from openpoint.search.exchange.pairs import exchanges_coupled
from openpoint.search.methods import TopologySearch
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.phases.model import PhasesProgram
from openpoint.studies.reconfigure.setup import radial_program
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Progress

# A radial state to begin with: the answer of topology search on the balanced equivalent of the grid.
#
# It neglects the unbalance, so nothing is proven by it; branch exchange by exact power flow goes on from there.


_LOG = logging.getLogger(__name__)

SEARCH = TopologySearch(gap=1e-3)
"""Smaller gaps are less than what the unbalance makes."""
AT_MOST_S = 10.0
"""Seconds for each of both searches; most end in less than one."""


def balanced_start(grid: Grid, options: ReconfigureOptions, deadline: Deadline) -> Bools | None:
    """(B) states of the branches of a grid with phases; None where its balanced equivalent has no answer in time.

    Limits are kept where the search finds a state that does so, else they are left out.
    """
    try:
        made = balanced_equivalent(grid)
        for limits in (options.limits, Limits(voltage=False, current=False)):
            asked = ReconfigureOptions(
                limits=limits,
                locked_open=options.locked_open,
                locked_closed=options.locked_closed,
                max_changes=options.max_changes,
                change_cost_kw=options.change_cost_kw,
            )
            outcome = SEARCH.solve(radial_program(made, asked), None, deadline.within(AT_MOST_S))
            if outcome.decision is not None:
                return _by_name(grid, made, outcome.decision > 0.5)
    except (InputError, OptionError) as error:
        _LOG.info("no start from the balanced equivalent: %s", error)
    return None


def _by_name(grid: Grid, made: Grid, closed: Bools) -> Bools:
    """The states of the branches of a grid; those that are no branch of the other one stay as they are today."""
    found = dict(zip(made.branches()["name"], closed.tolist(), strict=True))
    today = grid.branches().select("name", "closed").iter_rows()
    return np.array([found.get(name, state) for name, state in today])


BETTER = 1e-9
"""Relative difference that counts as better."""
LOG_EVERY_S = 1.0
"""Seconds between two lines of the log."""


@final
@dataclass(frozen=True)
class EvaluatedTopology:
    """A topology and its evaluation by the exact power flow.

    Attributes:
        closed: (B) state of the branches.
        violation: sum of the relative excesses of the squared limits.
        value_kw: loss and cost of the changes.
    """

    closed: Bools
    violation: float
    value_kw: float

    def better(self, than: EvaluatedTopology | None) -> bool:
        """Whether it is better than another topology, or than none."""
        if than is None or abs(self.violation - than.violation) > BETTER * max(1.0, than.violation):
            return than is None or self.violation < than.violation
        return self.value_kw < than.value_kw - BETTER * abs(than.value_kw)


@final
@dataclass
class PhasesAcEvaluator:
    """Exact power flows of topologies by OpenDSS: the circuit is compiled once, each topology computed once."""

    grid: Grid
    program: PhasesProgram
    _circuit: OpenDssCircuit | None = None
    _known: dict[bytes, EvaluatedTopology | None] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Topologies priced."""
        return len(self._known)

    def is_known(self, closed: Bools) -> bool:
        """Whether the price of a topology (B) takes no power flow any more."""
        return closed.tobytes() in self._known or not self.program.switching.allowed(closed)

    def state(self, closed: Bools) -> PhaseState:
        """The AC state of a topology (B), radial or not."""
        if self._circuit is None:
            self._circuit = OpenDssCircuit(self.grid, closed=closed)
        else:
            self._circuit.rewire(closed)
        net = self.program.network
        return state_of(self.grid, replace(net, closed=closed[net.conductor_branch]), self._circuit.solve())

    def with_limits(self, network: Network) -> PhasesAcEvaluator:
        """The same with other limits."""
        return PhasesAcEvaluator(self.grid, replace(self.program, network=network), self._circuit)

    def evaluate(self, closed: Bools) -> EvaluatedTopology | None:
        """The price of a radial topology (B); None where too much is changed or there is no state."""
        if not self.program.switching.allowed(closed):
            return None
        key = closed.tobytes()
        if key not in self._known:
            state = self.state(closed)
            value = state.loss_kw + self.program.first_stage_cost(closed.astype(np.float64))
            known = state.has_solution and bool(state.energised.all())
            self._known[key] = EvaluatedTopology(closed, excess(self.program.network, state), value) if known else None
        return self._known[key]


def branch_exchange_ac(
    evaluator: PhasesAcEvaluator,
    closed: Bools,
    stop: Callable[[], bool],
    on_evaluation: Callable[[EvaluatedTopology | None], None],
) -> EvaluatedTopology | None:
    """Repeat the best exchange from a radial state until none is better.

    Args:
        evaluator: the exact power flow. closed: (B) where to start. stop: asked before every power flow but the first.
        on_evaluation: called with the best after each.
    """
    choices, branch = evaluator.program.choices, evaluator.program.network.conductor_branch
    best = evaluator.evaluate(closed)
    on_evaluation(best)
    while True:
        here = best
        near = exchanges_coupled(choices, branch, (closed if here is None else here.closed)[branch])
        for state in near:
            if stop():
                return best
            priced = evaluator.evaluate(by_branch(evaluator.program.network, state))
            if priced is not None and priced.better(best):
                best = priced
            on_evaluation(best)
        if best is here:
            return best


def best_of(
    evaluator: PhasesAcEvaluator,
    states: Iterable[Bools],
    stop: Callable[[], bool],
    on_evaluation: Callable[[EvaluatedTopology | None], None],
    best: EvaluatedTopology | None = None,
) -> tuple[EvaluatedTopology | None, bool]:
    """The best of the topologies (B) given, and whether all of them were evaluated before `stop`.

    Args:
        evaluator: the exact power flow. states: those that are evaluated already take no power flow.
        stop: asked before every power flow.
        on_evaluation: called with the best after each. best: what is known already; None where none has a state.
    """
    for closed in states:
        if not evaluator.is_known(closed) and stop():
            return best, False
        priced = evaluator.evaluate(closed)
        if priced is not None and priced.better(best):
            best = priced
        on_evaluation(best)
    return best, True


@final
@dataclass
class EvaluationLog:
    """The log: a line a second while topologies are evaluated, and the lines of a method in between.

    Attributes:
        what: name of the step that evaluates topologies. evaluator: the exact power flow. progress: called with every
            line. deadline: of the log. lower, upper: bounds known. log: the lines. last_s: time of the last line.
    """

    what: str
    evaluator: PhasesAcEvaluator
    progress: Progress
    deadline: Deadline
    lower: float = -math.inf
    upper: float = math.inf
    log: list[Iteration] = field(default_factory=list)
    last_s: float = 0.0

    def on_evaluation(self, best: EvaluatedTopology | None) -> None:
        """The best so far, after one more topology."""
        if self.deadline.passed() - self.last_s >= LOG_EVERY_S:
            self.write_line(best, interim=True)

    def write_line(self, best: EvaluatedTopology | None, *, interim: bool = False) -> None:
        """A line."""
        self.last_s = self.deadline.passed()
        violation = 0.0 if best is None else best.violation
        value = math.inf if best is None or violation > 0.0 else best.value_kw
        words = f"{self.what}, {self.evaluator.count:,} topolog{'ies' if self.evaluator.count != 1 else 'y'}"
        self._add(Iteration(0, self.last_s, self.lower, self.upper, value, words, violation, "", interim))

    def add_line(self, line: Iteration) -> None:
        """A line of a method that runs now."""
        self._add(replace(line, seconds=self.deadline.passed()))

    def _add(self, line: Iteration) -> None:
        self.log.append(replace(line, number=len(self.log) + 1))
        self.progress(self.log[-1])
