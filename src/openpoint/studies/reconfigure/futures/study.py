"""Reconfigure for many futures: one topology for all of them, next to today's and to that of the mean future alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.grid.today import locked_note, why_no_loss
from openpoint.network import Network
from openpoint.network.stations import Stations
from openpoint.report.terminal import words
from openpoint.results import ac_tables as states
from openpoint.results.columns import finite
from openpoint.results.iterations import iterations_table
from openpoint.scenarios.futures import Futures, FuturesRecipe, name_of, read_futures, text_of
from openpoint.search.exchange.pairs import descend
from openpoint.search.methods import Enumeration, TopologySearch
from openpoint.studies.accepted import refuse
from openpoint.studies.reconfigure.ac_evaluation import states_of
from openpoint.studies.reconfigure.futures import evaluate
from openpoint.studies.reconfigure.futures.evaluate import (
    Compared,
    FuturesEvaluation,
    evaluate_futures,
    executor_of,
    violations,
)
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.methods import BranchExchange, ProvingMethod, quickest, searchable
from openpoint.studies.reconfigure.model import RadialProgram, as_realisation
from openpoint.studies.reconfigure.options import ReconfigureFuturesOptions
from openpoint.studies.reconfigure.result import ITERATIONS
from openpoint.studies.reconfigure.setup import radial_program
from openpoint.studies.study import Prepared, function
from openpoint.twostage.ambiguity import Ambiguity
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import PROVEN_GAP, Iteration, Outcome, Progress, Termination
from openpoint.twostage.methods.solving import NoSolutionError
from openpoint.twostage.risk import CVaR, Expectation, Regret, Risk, probability_set
from openpoint.twostage.uncertainty import AmbiguousScenarios, Certain, Finite, Scenarios

SAME = 1e-9
"""Relative difference of losses that are the same."""
QUICK_S = 0.25
"""Seconds for the topology of the mean future where the method has used up the time."""


@dataclass(frozen=True)
class FuturesUncertainty:
    """The futures and how they count; see `openpoint.reconfigure`.

    Raises:
        OptionError: the parts contradict each other.
    """

    futures: Futures
    risk: Risk
    ambiguity: Ambiguity | FuturesRecipe | None
    limits_share: float
    sample: Futures | None

    def __post_init__(self) -> None:
        if not 0.0 < self.limits_share <= 1.0:
            raise OptionError(f"limits_share is {self.limits_share:g}; give a share above 0, up to 1 (all futures)")
        if self.ambiguity is not None and not isinstance(_inner(self.risk), Expectation):
            raise OptionError(
                f"{self.risk} of ambiguous probabilities is not defined; use Expectation(), or leave ambiguity out"
            )
        needed = self.ambiguity is not None or isinstance(_inner(self.risk), Expectation | CVaR)
        if needed and self.futures.probabilities is None:
            what = "ambiguity" if self.ambiguity is not None else str(self.risk)
            raise OptionError(
                f"{what} needs probabilities, and these futures have none: give them in a column probability, or use "
                "WorstCase() or Regret() (--risk worst or regret)"
            )

    @property
    def words(self) -> tuple[str, str | None]:
        """Risk and ambiguity for people."""
        return str(self.risk), None if self.ambiguity is None else name_of(self._set())

    def uncertainty(self, s_base_kva: float) -> Finite:
        """The futures as realisations in per unit."""
        values = _realisations(self.futures, s_base_kva)
        if self.ambiguity is None:
            return Scenarios(values, self.futures.probabilities)
        return AmbiguousScenarios(values, self.futures.probabilities, self._set())

    def before(self, program: RadialProgram) -> RadialProgram:
        """The program of a grid with these futures."""
        uncertainty = self.uncertainty(program.network.s_base_kva)
        asked = program.asked
        if asked is not None:
            share, ambiguity = float(self.limits_share), text_of(self.ambiguity)
            asked = replace(asked, futures=True, risk=self.risk.text, ambiguity=ambiguity, limits_share=share)
        return replace(program, futures=uncertainty, risk=self.risk, limits_share=self.limits_share, asked=asked)

    def sampled(self, s_base_kva: float) -> Finite | None:
        """The sample as realisations; None where the risk is not defined on it."""
        if self.sample is None or self.ambiguity is not None:
            return None
        if self.sample.probabilities is None and isinstance(_inner(self.risk), Expectation | CVaR):
            return None
        return Scenarios(_realisations(self.sample, s_base_kva), self.sample.probabilities)

    def _set(self) -> Ambiguity:
        assert self.ambiguity is not None
        return self.ambiguity(self.futures) if callable(self.ambiguity) else self.ambiguity


def prepare(grid: Grid, options: ReconfigureFuturesOptions) -> Prepared[FuturesResult]:
    """The radial state of least loss for many futures, one topology for all of them.

        min  ρ[loss] + change_cost_kw · changes   over radial states;  exact AC power flow in every future;  limits

    ρ says how the losses of the futures become one number (`openpoint.search.futures`). Where generators are dispatched
    in every future, a mixed-integer master chooses the topology, and a second-order cone power flow (Farivar and Low
    2013) values it and answers with cuts (`openpoint.twostage.methods.decomposition`).

    Raises:
        InputError: the grid or the futures have faults, or a locked branch is unknown.
        OptionError: options that contradict each other, futures of another grid, unknown probabilities, branch
            exchange, a grid of several phases, or a share of kept limits where generators can be dispatched.
    """
    grid, options = options.on(grid)
    refuse("reconfigure-futures", grid)
    program, stations = radial_program(grid, options)
    others = None if options.sample is None else read_futures(options.sample, grid)
    planned = read_futures(options.futures, grid)
    uncertainty = FuturesUncertainty(planned, options.measure, options.probabilities, options.limits_share, others)
    method = options.chosen
    if method is None:
        gap = PROVEN_GAP if options.gap is None else options.gap
        method = quickest(uncertainty.before(program), gap=gap, time_limit_s=options.time_limit_s)
    network = program.network
    if isinstance(method, BranchExchange):
        raise OptionError("branch exchange is for one demand; use TopologySearch or Benders for many futures")
    for futures in (uncertainty.futures, uncertainty.sample):
        if futures is not None and futures.bus_names != network.bus_names:
            raise OptionError("these futures are of another grid: their buses are not those of this grid, in its order")
    if uncertainty.limits_share < 1.0 and len(network.generator_names):
        raise OptionError(
            "limits_share below 1 is not possible where generators can be dispatched: which limits they would give up "
            "is not defined; use limits_share=1, or clear the limits of the generators to fix their output"
        )
    return PreparedFutures(grid, program, stations, uncertainty, method)


@dataclass(frozen=True)
class PreparedFutures:
    """A question about many futures of a balanced grid, ready to be solved.

    Attributes:
        grid: with what is asked for given to the choice. program: its network, limits and locks, under today's demand,
            permanently closed loops opened.
        stations: the permanently closed loops.
        uncertainty: the futures. method: named, or chosen for the program.
    """

    grid: Grid
    program: RadialProgram
    stations: Stations
    uncertainty: FuturesUncertainty
    method: ProvingMethod
    unit: str = "kW"

    @property
    def heading(self) -> str:
        """How many futures there are, and the method."""
        sample = self.uncertainty.sample
        others = "" if sample is None else f", tested also in {words.count(len(sample), 'other')}"
        return f"futures: {len(self.uncertainty.futures)}{others}\nmethod: {words.method(self.method)}"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> FuturesResult:
        """The result, verified by exact AC power flow in every future."""
        grid, program, uncertainty, method = self.grid, self.program, self.uncertainty, self.method
        network, stations = program.network, self.stations
        with deadline_of(method.time_limit_s, deadline) as deadline:
            uncertain = uncertainty.before(program)
            began = deadline.passed()
            try:
                outcome = method.solve(uncertain, progress, deadline)
            except NoSolutionError as error:
                name = uncertainty.futures.names[error.realisation]
                raise NoSolutionError(error.realisation, error.termination, f"future {name}") from None
            # Regret takes a solution of every future alone, which the outcome does not count.
            outcome = replace(outcome, seconds=deadline.passed() - began)
            notes = list(states.of_couplers(stations))
            if outcome.infeasible_alone:
                names = ", ".join(uncertainty.futures.names[k] for k in outcome.infeasible_alone)
                notes.append(
                    f"proven: no topology keeps the limits in {names}, not even one chosen for that future alone"
                )
            mean = _mean_topology(program, uncertainty.futures, method, outcome, deadline, notes)
            if mean is not None:
                outcome = _at_least_as_good(uncertain, mean, method, outcome, deadline, notes)
            planned = _compare(uncertain, stations, mean, outcome, method)
            sampled = None
            if uncertainty.sample is not None and not deadline.over():
                others = replace(uncertain, futures=Scenarios(_realisations(uncertainty.sample, network.s_base_kva)))
                sampled = _compare(others, stations, mean, replace(outcome, state=None), method, planned.after)
            elif uncertainty.sample is not None:
                what = "Ctrl-C came" if deadline.interrupted() else "the time was up"
                notes.append(f"{what} before the answer was evaluated in the sample: it is left out")
            return _result(grid, uncertain, stations.whole, uncertainty, method, outcome, planned, sampled, notes)


def _mean_topology(
    program: RadialProgram,
    futures: Futures,
    method: ProvingMethod,
    outcome: Outcome,
    deadline: Deadline,
    notes: list[str],
) -> Bools | None:
    """(E) what would be chosen if the mean future were certain; None where that keeps no limits."""
    if outcome.termination is Termination.INTERRUPTED or deadline.interrupted():
        notes.append("interrupted: there is no topology of the mean future to compare with")
        return None
    alone = replace(program, futures=Certain(_realisations(futures.mean(), program.network.s_base_kva)[0]))
    if not isinstance(method, Enumeration) and searchable(alone):
        memory = method.memory_mb if isinstance(method, TopologySearch) else TopologySearch().memory_mb
        method = TopologySearch(gap=method.gap, memory_mb=memory)
    found = method.solve(alone, None, deadline.after(QUICK_S) if deadline.over() else deadline)
    if found.decision is None:
        notes.append(f"the mean future has no topology of its own that keeps the limits ({found.termination})")
        return None
    if found.termination not in (Termination.OPTIMAL, Termination.GAP):
        notes.append(f"the topology of the mean future is proven to a gap of {found.gap:.2%} only")
    return found.decision > 0.5


def _at_least_as_good(
    program: RadialProgram,
    mean: Bools,
    method: ProvingMethod,
    outcome: Outcome,
    deadline: Deadline,
    notes: list[str],
) -> Outcome:
    """The outcome, unless the mean future's topology is better than the best that a method found until it was stopped.

    Then branch exchange from there gives the answer. A dispatch or a regret takes more than a price to compare.
    """
    if len(program.network.generator_names) or isinstance(program.risk, Regret):
        return outcome
    if not program.ac.objectives(mean[None, :])[0] < outcome.upper_bound * (1.0 - SAME):
        return outcome
    piece = program.heuristics.piece
    value, closed = descend(program.choices, mean, program.ac.objectives, stop=deadline.over, piece=piece)
    decision = closed.astype(float)
    verdict = program.evaluate(decision, program.uncertainty.values, None)
    last = Iteration(len(outcome.log) + 1, outcome.seconds, outcome.lower_bound, value, value, "mean future + exchange")
    outcome = replace(
        outcome,
        decision=decision,
        state=verdict.state,
        upper_bound=value,
        values=verdict.values,
        log=(*outcome.log, last),
    )
    notes.append("the answer was found by branch exchange from the topology of the mean future, not by the method")
    if isinstance(method, Enumeration):
        return outcome
    gap = method.least_gap if isinstance(method, TopologySearch) else method.gap
    return replace(outcome, termination=Termination.GAP) if outcome.gap <= gap else outcome


def _compare(
    program: RadialProgram,
    stations: Stations,
    mean: Bools | None,
    outcome: Outcome,
    method: ProvingMethod,
    after: FuturesEvaluation | None = None,
) -> Compared:
    """Three topologies in the futures of a program; `after` names that of the answer where the outcome has no state."""
    executor, state = executor_of(method), states_of(outcome)
    evaluation: FuturesEvaluation | None = None
    if state is not None:
        evaluation = evaluate_futures(program, stations, state.closed, state.generation, executor)
    elif after is not None:
        evaluation = evaluate_futures(program, stations, after.closed, None, executor)
    return Compared(
        before=evaluate_futures(program, stations, program.network.closed, None, executor),
        mean=None if mean is None else evaluate_futures(program, stations, mean, None, executor),
        after=evaluation,
    )


def _result(
    grid: Grid,
    program: RadialProgram,
    network: Network,
    uncertainty: FuturesUncertainty,
    method: ProvingMethod,
    outcome: Outcome,
    planned: Compared,
    sampled: Compared | None,
    notes: list[str],
) -> FuturesResult:
    futures = uncertainty.futures
    after = planned.after
    answer = after if outcome.decision is not None else None
    if not np.isfinite(planned.before.loss_kw).any():
        notes.append(why_no_loss(grid, " in any future"))
    if outcome.termination is Termination.INFEASIBLE and after is None:
        notes.append("no radial state has a power flow solution in every future: check the loads of the futures")
    weights = None if answer is None else _risk(program.uncertainty, program.risk, answer.loss_kw)[1]
    risk, ambiguity = uncertainty.words
    plans = evaluate.plans("planned", futures, planned, lambda loss: _risk(program.uncertainty, program.risk, loss)[0])
    sample = evaluate.futures(None, None, None)
    if sampled is not None and uncertainty.sample is not None:
        others = uncertainty.sampled(network.s_base_kva)
        plans = plans.vstack(
            evaluate.plans(
                "sample",
                uncertainty.sample,
                sampled,
                lambda loss: math.nan if others is None else _risk(others, program.risk, loss)[0],
            )
        )
        sample = evaluate.futures(uncertainty.sample, sampled, None)
    checks = [] if after is None else after.checks
    return FuturesResult(
        grid=grid,
        method=str(method),
        termination=outcome.termination,
        seconds=outcome.seconds,
        risk=risk,
        ambiguity=ambiguity,
        limits_share=uncertainty.limits_share,
        open_before=states.open_names(network, network.closed),
        open_mean=() if planned.mean is None else states.open_names(network, planned.mean.closed),
        open_branches=() if answer is None else states.open_names(network, answer.closed),
        objective_kw=None if answer is None else finite(outcome.upper_bound),
        lower_bound_kw=outcome.lower_bound,
        gap=outcome.gap,
        ac_max_mismatch_pu=max((check.max_mismatch for check in checks), default=None),
        least_violation_open=() if answer is not None or after is None else states.open_names(network, after.closed),
        plans=plans,
        futures=evaluate.futures(futures, planned, weights),
        sample=sample.drop("weight"),
        violations=violations(network, futures.names, after),
        buses=evaluate.buses(network, planned),
        branches=evaluate.branches(grid, network, planned, futures.weights),
        iterations=iterations_table(outcome.log, ITERATIONS),
        notes=(*grid.figure_notes, *locked_note(grid), *notes),
    )


def _risk(uncertainty: Finite, risk: Risk, loss_kw: Floats) -> tuple[float, Floats | None]:
    """The risk of losses, and the probabilities that count; nan where it takes more: what each future loses alone."""
    if isinstance(risk, Regret):
        return math.nan, None
    return probability_set(uncertainty, risk).worst(loss_kw)


def _realisations(futures: Futures, s_base_kva: float) -> Floats:
    demand: Complexes = np.asarray(futures.p_kw + 1j * futures.q_kvar, dtype=np.complex128)
    return as_realisation(demand / s_base_kva)


def _inner(risk: Risk) -> Risk:
    return risk.of if isinstance(risk, Regret) else risk


reconfigure_futures = function("reconfigure_futures", ReconfigureFuturesOptions, prepare)
