"""Dispatch of a grid of any phases: regulators, capacitors and switches, every state by exact power flow (OpenDSS).

Where operating states are few, all are tried, which proves the optimum. Else local search starts from today's state,
and nothing proves where it ends.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice, product

import numpy as np

from openpoint.arguments import Names
from openpoint.arrays import Bools, Ints
from openpoint.errors import OptionError
from openpoint.formulations.phases import FREE, PhasesQuestion, Sought, phases_question
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.devices import DeviceKind
from openpoint.network.limits import Limits
from openpoint.powerflow.opendss import PhaseState, phase_state
from openpoint.results.phase_violations import violations
from openpoint.results.violation import Violation
from openpoint.search.exchange.phases import (
    Descent,
    EvaluatedState,
    EvaluationLog,
    PhasesEvaluator,
    best_of,
    first_state,
)
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Progress, Termination

# What dispatch finds in a grid of any phases.


@dataclass(frozen=True)
class Move:
    """The settings that are changed.

    Attributes:
        kind: `switch`, `tap changer` or `capacitor bank`. name: of its row.
        before, after: tap position or steps on; of a switch 1 closed, 0 open.
    """

    kind: str
    name: str
    before: int
    after: int


@dataclass(frozen=True, kw_only=True)
class PhasesDispatch:
    """The answer of `dispatch_phases`. Its states are exact power flows by OpenDSS of circuits compiled anew.

    Attributes:
        grid: as it was. grid_after: with the switches, taps and steps of the answer; None where no state has a
            solution. network: arrays of the grid, with the limits kept.
        sought: what was minimised. before, after: exact states; None where there is no solution.
        value_before_kw, value_kw: what was minimised; nan where there is no solution.
        moves: what is set anew. violations: limits that the answer breaks, by as little as was found.
        termination: why it ended. notes: for the user. log: the lines of the run.
        evaluated: states evaluated by exact power flow. seconds: of the run.
    """

    grid: Grid
    grid_after: Grid | None
    network: Network
    sought: Sought
    before: PhaseState | None
    after: PhaseState | None
    value_before_kw: float
    value_kw: float
    moves: tuple[Move, ...]
    violations: tuple[Violation, ...]
    termination: Termination
    notes: tuple[str, ...]
    log: tuple[Iteration, ...]
    evaluated: int
    seconds: float

    @property
    def keeps_limits(self) -> bool:
        """Whether the answer is a solution that breaks no limit."""
        return math.isfinite(self.value_kw) and not self.violations


FEW = 1000
"""Operating states up to which all of them are tried by exact power flow."""
TIME_LIMIT_S = 60.0
"""Time limit unless one is given."""


def dispatch_phases(
    grid: Grid,
    *,
    free: Collection[str] = FREE,
    sought: Sought | str = Sought.LOSS,
    limits: Limits | None = None,
    locked_open: Names = (),
    locked_closed: Names = (),
    max_changes: int | None = None,
    few: int = FEW,
    time_limit_s: float | None = TIME_LIMIT_S,
    progress: Progress | None = None,
    deadline: Deadline | None = None,
) -> PhasesDispatch:
    """The best switches, taps and capacitor steps that are found for a grid of any phases under today's demand.

    Args:
        free: of `FREE`; what else there is stays as it is today.
        sought: `loss`, or `source power`, which loads that follow the voltage make another question.
        limits: default: those of the grid. locked_open, locked_closed: branches that stay so.
        max_changes: most switches whose state may differ from today's; default: any number.
        few: operating states up to which all of them are tried.
        time_limit_s: of all; None = none. progress: called with every line of the log. deadline: in place of it.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or locks leave no radial state.
        OptionError: an option that does not exist, or a grid without any power flow solution.
    """
    if unknown := [word for word in free if word not in FREE]:
        raise OptionError(f"free names {', '.join(map(repr, unknown))}; what may be free is {', '.join(FREE)}")
    if sought not in tuple(Sought):
        raise OptionError(f"sought is {sought!r}; known are {', '.join(Sought)}")
    question = phases_question(
        grid,
        free=free,
        sought=Sought(sought),
        limits=limits,
        locked_open=locked_open,
        locked_closed=locked_closed,
        max_changes=max_changes,
    )
    with deadline_of(time_limit_s, deadline) as deadline:
        return _Run(question, few, deadline, progress).solve()


@dataclass
class _Run:
    """A run: what is asked, and the log so far."""

    question: PhasesQuestion
    few: int
    deadline: Deadline
    progress: Progress | None

    def __post_init__(self) -> None:
        self.evaluator = PhasesEvaluator(self.question)
        self.log = EvaluationLog(self.evaluator, self.progress, self.deadline)

    def solve(self) -> PhasesDispatch:
        start = first_state(self.evaluator)
        if (states := self._all()) is not None:
            return self._by_trying(start, states)
        found = Descent(self.evaluator, self.deadline.over, self.log.on_evaluation).run(start.closed, start.positions)
        best = found or start
        self.log.write(best)
        why = Termination.LOCAL if best.violation == 0.0 else Termination.LIMITS
        why = self.deadline.why if self.deadline.over() else why
        return self._result(best, why, ())

    def _all(self) -> list[tuple[Bools, Ints]] | None:
        """All operating states; None where they are more than a few."""
        asked, devices = self.question, self.question.devices
        count = math.prod((devices.high - devices.low + 1).tolist())
        if count > self.few:
            return None
        closed = list(islice(asked.states(), self.few // count + 1)) if len(asked.choices.free) else [asked.today]
        if len(closed) * count > self.few:
            return None
        ranges = [range(low, high + 1) for low, high in zip(devices.low.tolist(), devices.high.tolist())]
        every = [np.array(positions, dtype=np.int64) for positions in product(*ranges)]
        return [(state, positions) for state in closed for positions in every]

    def _by_trying(self, start: EvaluatedState, states: list[tuple[Bools, Ints]]) -> PhasesDispatch:
        """The best of all states by exact power flow, a proof unless the time ends first."""
        self.log.what = "all states"
        best, complete = best_of(self.evaluator, states, self.deadline.over, self.log.on_evaluation, start)
        best = best or start
        why = Termination.OPTIMAL if best.violation == 0.0 else Termination.INFEASIBLE
        if complete and best.violation == 0.0:
            self.log.lower = self.log.upper = best.value_kw
        self.log.write(best)
        notes = (f"all {len(states):,} operating states were tried by exact power flow",) if complete else ()
        return self._result(best, why if complete else self.deadline.why, notes)

    def _result(
        self,
        best: EvaluatedState,
        why: Termination,
        notes: tuple[str, ...],
    ) -> PhasesDispatch:
        asked, grid, network = self.question, self.question.grid, self.question.network
        after_grid = asked.grid_at(best.closed, best.positions)
        before, after = _verified(grid, network), _verified(after_grid, network)
        return PhasesDispatch(
            grid=grid,
            grid_after=after_grid,
            network=network,
            sought=asked.sought,
            before=before,
            after=after,
            value_before_kw=_value(asked.sought, before),
            value_kw=_value(asked.sought, after),
            moves=_moves(asked, best),
            violations=() if after is None else violations(network, after),
            termination=why,
            notes=notes,
            log=tuple(self.log.lines),
            evaluated=self.evaluator.count,
            seconds=self.deadline.passed(),
        )


def _verified(grid: Grid, limited: Network) -> PhaseState | None:
    """The exact state of a grid by a circuit compiled anew; None where a terminal has no supply or no solution is."""
    network = build_network(grid)
    network = network.with_limits(w_min=limited.w_min, w_max=limited.w_max, l_max=limited.l_max)
    state = phase_state(grid, network)
    return state if state.has_solution and state.energised.all() else None


def _value(sought: Sought, state: PhaseState | None) -> float:
    if state is None:
        return math.nan
    return state.loss_kw if sought is Sought.LOSS else float(state.source_kva.real.sum())


def _moves(asked: PhasesQuestion, best: EvaluatedState) -> tuple[Move, ...]:
    network, devices = asked.network, asked.devices
    switched = [
        Move("switch", network.branch_names[b], int(asked.today[b]), int(best.closed[b]))
        for b in np.flatnonzero(best.closed != asked.today)
    ]
    moved = [
        Move(
            "tap changer" if devices.kind[d] == DeviceKind.TAP else "capacitor bank",
            devices.names[d],
            int(devices.today[d]),
            int(best.positions[d]),
        )
        for d in np.flatnonzero(best.positions != devices.today)
    ]
    return (*switched, *moved)
