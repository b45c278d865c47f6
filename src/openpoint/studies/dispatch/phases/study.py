"""Dispatch of a grid of any phases: regulators, capacitors and switches.

The linear model proposes, exact power flow by OpenDSS has the last word: local search by exact power flow starts from
today's state and from the optimum of the linear model, and the better of both ends is the answer. Nothing proves it
optimal; the linear model says how good it is in its own terms. Where operating states are few, all are tried instead,
which proves the optimum of the exact power flow.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice, product

import numpy as np

from openpoint.arguments import Names
from openpoint.arrays import Bools, Ints
from openpoint.errors import OptionError
from openpoint.formulations.lindist3flow_model import (
    LinearAnswer,
    LinearModel,
    LinearState,
    evaluated,
    modelled,
    solve_linear,
)
from openpoint.formulations.phases import FREE, PhasesQuestion, Sought, phases_question
from openpoint.grid.grid import Grid
from openpoint.io.opendss.write import circuit_text
from openpoint.network import Network, build_network
from openpoint.network.devices import DeviceKind
from openpoint.network.limits import Limits
from openpoint.powerflow.opendss import PhaseState, phase_state
from openpoint.results.phase_violations import violations
from openpoint.results.violation import Violation
from openpoint.search.exchange.phases import Descent, EvaluatedState, EvaluationLog, PhasesEvaluator, best_of
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Progress, Termination, relative_gap

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


@dataclass(frozen=True)
class LinearFigures:
    """What is known of the linear model; none of it bounds the exact power flow.

    Attributes:
        bound_kw: lower bound of its optimum; -inf where there is none, inf where nothing keeps the limits in it.
        answer_kw: value of the answer in it, inf where it breaks a limit there.
    """

    bound_kw: float
    answer_kw: float

    @property
    def gap(self) -> float:
        """Of the answer within the linear model, relative; inf where one is not known."""
        return relative_gap(self.bound_kw, self.answer_kw)


@dataclass(frozen=True, kw_only=True)
class PhasesDispatch:
    """The answer of `dispatch_phases`. Its states are exact power flows by OpenDSS of circuits compiled anew.

    Attributes:
        grid: as it was. grid_after: with the switches, taps and steps of the answer; None where no state has a
            solution. network: arrays of the grid, with the limits kept.
        sought: what was minimised. before, after: exact states; None where there is no solution.
        value_before_kw, value_kw: what was minimised; nan where there is no solution.
        moves: what is set anew. violations: limits that the answer breaks, by as little as was found.
        linear: figures of the linear model. termination: why it ended. notes: for the user. log: the lines of the run.
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
    linear: LinearFigures
    termination: Termination
    notes: tuple[str, ...]
    log: tuple[Iteration, ...]
    evaluated: int
    seconds: float

    @property
    def keeps_limits(self) -> bool:
        """Whether the answer is a solution that breaks no limit."""
        return math.isfinite(self.value_kw) and not self.violations

    def dss(self) -> str:
        """The answer as an OpenDSS circuit, with its taps, steps and switches.

        Raises:
            ValueError: there is no answer.
        """
        if self.grid_after is None:
            raise ValueError("no state of this grid has a power flow solution, so there is nothing to write")
        return circuit_text(self.grid_after)


FEW = 1000
"""Operating states up to which all of them are tried by exact power flow."""
GAP = 1e-4
"""Relative gap of the linear model."""
TIME_LIMIT_S = 60.0
"""Time limit unless one is given; the linear model with switches seldom ends before it."""
FIRST_SHARE, LINEAR_SHARE = 0.3, 0.8
"""Shares of the time limit at which the search from today's state and the linear model end at the latest."""
TRIED = 20
"""Radial states among which one with a solution is sought where today's has none."""


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
    gap: float = GAP,
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
        few: operating states up to which all of them are tried. gap: of the linear model.
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
        return _Run(question, few, gap, deadline, progress).solve()


@dataclass
class _Run:
    """A run: what is asked, and the log so far."""

    question: PhasesQuestion
    few: int
    gap: float
    deadline: Deadline
    progress: Progress | None

    def __post_init__(self) -> None:
        self.evaluator = PhasesEvaluator(self.question)
        self.log = EvaluationLog(self.evaluator, self.progress, self.deadline)

    def solve(self) -> PhasesDispatch:
        start = self._start()
        if (states := self._all()) is not None:
            return self._by_trying(start, states)
        best = self._descend(start.closed, start.positions, self._until(FIRST_SHARE))
        self.log.write(best)
        model, notes = self._model(best), list[str]()
        answer = LinearAnswer(-math.inf, None, False)
        if model is not None and not self.deadline.over():
            known = [self._linear(model, state) for state in (best, start)]
            answer = solve_linear(
                model, self.gap, min(known, key=lambda each: each.value_kw), self._until(LINEAR_SHARE), self._bounds
            )
            if answer.best is not None:
                near = self._descend(answer.best.closed, self._whole(answer.best.positions), self.deadline)
                best = near if near.better(best) else best
                self.log.write(best)
        notes += self._notes(model, answer, best)
        linear = LinearFigures(answer.bound_kw, math.inf)
        if model is not None and model.question.devices.count < self.question.devices.count:
            linear = LinearFigures(-math.inf, math.inf)
        elif model is not None and self.question.is_radial(best.closed):
            linear = replace(linear, answer_kw=self._linear(model, best).value_kw)
        return self._result(best, linear, self._why(answer, best), tuple(notes))

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
        nothing = LinearFigures(-math.inf, math.inf)
        return self._result(best, nothing, why if complete else self.deadline.why, notes)

    def _start(self) -> EvaluatedState:
        """Today's state, or a radial state if today's is none or has no solution.

        Raises:
            OptionError: none has one.
        """
        for closed in self._starts():
            if (found := self.evaluator.evaluate(closed, self.question.devices.today)) is not None:
                return found
        raise OptionError(
            "no AC power flow of this grid has a solution, neither as it stands today nor with other open branches: "
            "check loads and impedances, and their units"
        )

    def _starts(self) -> Iterator[Bools]:
        asked, today = self.question, self.question.today
        kept = bool(today[asked.always].all() and not today[asked.never].any())
        if not len(asked.choices.free) or (kept and asked.is_radial(today)):
            yield today
        if len(asked.choices.free):
            yield from islice(asked.states(today.astype(np.float64)), TRIED)

    def _model(self, best: EvaluatedState) -> LinearModel | None:
        """The linear model around today's state, or the best one known; None where the grid has closed loops."""
        asked = self.question
        if not asked.is_radial(best.closed):
            return None
        flows = self.evaluator.flows(asked.today, asked.devices.today)
        if not (flows.converged[0] and flows.energised.all()):
            flows = self.evaluator.flows(best.closed, best.positions)
        return LinearModel(replace(asked, devices=asked.devices.only(modelled(asked))), flows)

    def _linear(self, model: LinearModel, state: EvaluatedState) -> LinearState:
        return evaluated(model, state.closed, state.positions[modelled(self.question)])

    def _whole(self, positions: Ints) -> Ints:
        """(D) positions of all devices; those that the linear model does not have as they are today."""
        whole = self.question.devices.today.copy()
        whole[modelled(self.question)] = positions
        return whole

    def _descend(self, closed: Bools, positions: Ints, deadline: Deadline) -> EvaluatedState:
        found = Descent(self.evaluator, deadline.over, self.log.on_evaluation).run(closed, positions)
        return found or EvaluatedState(closed, positions, math.inf, math.inf)

    def _until(self, share: float) -> Deadline:
        """The deadline of a part that ends at a share of the time limit."""
        whole = self.deadline.passed() + self.deadline.left()
        return self.deadline if math.isinf(whole) else self.deadline.within(share * whole - self.deadline.passed())

    def _bounds(self, lower: float, upper: float) -> None:
        """New bounds of the linear model."""
        self.log.lower, self.log.upper = lower, upper
        self.log.add(Iteration(0, self.deadline.passed(), lower, upper, math.inf, "linear model", interim=True))

    def _notes(self, model: LinearModel | None, answer: LinearAnswer, best: EvaluatedState) -> list[str]:
        notes = ["bounds are those of the linear model (LinDist3Flow), not of the exact power flow"]
        if model is None:
            return ["today's state has closed loops, of which the linear model knows nothing: there is no bound"]
        if model.question.devices.count < self.question.devices.count:
            notes = ["regulators in an open delta stay as they are in the linear model, so that there is no bound"]
        if answer.bound_kw == math.inf:
            text = "this keeps them" if best.violation == 0.0 else "nothing that was tried does either"
            notes.append(f"in the linear model nothing keeps the limits; by exact power flow {text}")
        return notes

    def _why(self, answer: LinearAnswer, best: EvaluatedState) -> Termination:
        if self.deadline.interrupted():
            return Termination.INTERRUPTED
        if best.violation > 0.0:
            return Termination.LIMITS
        if answer.complete and answer.bound_kw < math.inf:
            return Termination.LINEAR
        return self.deadline.why if self.deadline.over() or answer.bound_kw > -math.inf else Termination.LOCAL

    def _result(
        self,
        best: EvaluatedState,
        linear: LinearFigures,
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
            linear=linear,
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
