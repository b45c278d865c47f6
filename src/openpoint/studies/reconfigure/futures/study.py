"""Reconfigure for many futures: one topology for all of them, next to today's and to that of the mean future alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import OptionError
from openpoint.formulations.phases import Demands, PhasesQuestion
from openpoint.grid.balanced import HAS_PHASES, has_phases
from openpoint.grid.grid import Grid
from openpoint.grid.unfed import without_idle
from openpoint.names import join_names
from openpoint.network.stations import Stations
from openpoint.results import ac_tables as states
from openpoint.scenarios.futures import Futures, read_futures
from openpoint.search.exchange.pairs import descend
from openpoint.search.exchange.phases import PhasesEvaluator, first_state
from openpoint.search.methods import Enumeration, TopologySearch
from openpoint.search.phases.model import PhaseModel
from openpoint.studies.accepted import refuse
from openpoint.studies.reconfigure.ac_evaluation import states_of
from openpoint.studies.reconfigure.futures.answer import FuturesUncertainty, futures_result, realisations
from openpoint.studies.reconfigure.futures.evaluate import (
    Compared,
    FuturesEvaluation,
    evaluate_futures,
    evaluate_phases,
    executor_of,
)
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.methods import BranchExchange, ProvingMethod, quickest, searchable
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.studies.reconfigure.options import ReconfigureFuturesOptions
from openpoint.studies.reconfigure.phases.search import bounded_model, for_phases, question_of, search_phases
from openpoint.studies.reconfigure.setup import radial_program
from openpoint.studies.study import Prepared, function
from openpoint.twostage.ambiguity import exactly
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import PROVEN_GAP, Iteration, Outcome, Progress, Termination
from openpoint.twostage.methods.solving import NoSolutionError
from openpoint.twostage.risk import Regret, probability_set
from openpoint.twostage.uncertainty import Certain, Scenarios

_REMEDY = f"Take the balanced equivalent: {HAS_PHASES}"
MEAN_SHARE = 0.25
"""Most of the time left that the topology of the mean future may take, from which the search for all begins."""


def prepare_phases_futures(
    grid: Grid, options: ReconfigureFuturesOptions, uncertainty: FuturesUncertainty
) -> PreparedPhasesFutures:
    """All that a run on a grid of several phases needs.

    Raises:
        InputError: the grid has faults, or a locked branch is unknown.
        OptionError: another method than topology search, a grid that its bound is not valid for, regret, a certificate,
            or a demand where nothing feeds it.
    """
    method = options.chosen if options.chosen is not None else TopologySearch(time_limit_s=options.time_limit_s)
    if not isinstance(method, TopologySearch) or method.certificate is not None or options.executor is not None:
        raise OptionError(
            "many futures of a grid with phases a, b, c are for topology search, without certificate and executor; "
            "leave these out"
        )
    if isinstance(uncertainty.risk, Regret):
        raise OptionError("regret is for balanced grids; use Expectation(), CVaR(0.9) or WorstCase()")
    every = [each for each in (uncertainty.futures, uncertainty.sample) if each is not None]
    fed, changes = _changes(grid, every)
    question = question_of(_with_loads(fed, changes), options)
    demands = [_demands(question.grid, uncertainty, of, change) for of, change in zip(every, changes, strict=True)]
    method = for_phases(replace(method, gap=method.gap if method.gap is not None else options.gap))
    return PreparedPhasesFutures(fed, question, bounded_model(question, _REMEDY), uncertainty, demands, method)


def _changes(grid: Grid, every: list[Futures]) -> tuple[Grid, list[Complexes]]:
    """The grid that is fed, and by how much the demands (K, N) of its buses differ from today's."""
    today, fed = Futures.today(grid), without_idle(grid)
    number = {name: n for n, name in enumerate(today.bus_names)}
    left = np.array([number[name] for name in fed.buses["name"]], dtype=np.int64)
    dark = np.setdiff1d(np.arange(len(number)), left)
    changes = list[Complexes]()
    for futures in every:
        change = futures.p_kw - today.p_kw + 1j * (futures.q_kvar - today.q_kvar)
        if len(named := [today.bus_names[n] for n in dark if change[:, n].any()]):
            raise OptionError(
                f"futures change the demand at {join_names(named)}, which nothing feeds today: feed it first"
            )
        changes.append(change[:, left])
    return fed, changes


def _with_loads(grid: Grid, changes: list[Complexes]) -> Grid:
    """The grid with a load of constant power at every bus whose demand changes, one of 0 kW where there is none."""
    loads, names = grid.loads, set(grid.loads["name"])
    known = set(loads.filter(pl.col("model") == "power")["bus"])
    changed = np.any([change.any(axis=0) for change in changes], axis=0)
    delta = loads.height > 0 and (loads["connection"] == "delta").all()
    rows = []
    for bus, phases in grid.buses.filter(pl.Series(changed)).select("name", "phases").iter_rows():
        if bus not in known:
            name = f"futures at {bus}"
            while name in names:
                name += "'"
            connection = "delta" if delta and len(phases) > 1 else "wye"
            rows.append({"name": name, "bus": bus, "phases": phases, "connection": connection, "model": "power"})
    if not rows:
        return grid
    added = pl.DataFrame(rows).with_columns(p_kw=0.0, q_kvar=0.0)
    return grid.with_tables(loads=pl.concat([loads, added], how="diagonal").select(loads.columns))


def _demands(grid: Grid, uncertainty: FuturesUncertainty, futures: Futures, change: Complexes) -> Demands:
    """The futures as powers of the loads: those of constant power at a bus share its change as they share its power."""
    number = {name: n for n, name in enumerate(grid.buses["name"])}
    bus = np.array([number[name] for name in grid.loads["bus"]], dtype=np.int64)
    power = (grid.loads["model"] == "power").to_numpy()
    today = grid.loads["p_kw"].to_numpy() + 1j * grid.loads["q_kvar"].to_numpy()
    equal = _shares(power.astype(np.float64), bus, power.astype(np.float64))
    p = _shares(np.where(power, np.abs(today.real), 0.0), bus, equal)
    q = _shares(np.where(power, np.abs(today.imag), 0.0), bus, p)
    loads = today + p * change.real[:, bus] + 1j * q * change.imag[:, bus]
    if futures is uncertainty.futures:
        risk = probability_set(uncertainty.uncertainty(1.0), uncertainty.risk)
    else:
        risk = exactly(futures.weights)  # of a sample nothing is chosen by
    return Demands(loads, risk, futures.weights, uncertainty.limits_share)


def _shares(size: Floats, bus: Ints, otherwise: Floats) -> Floats:
    """(L) share of each load in the sizes at its bus; `otherwise` where they are none."""
    total = np.bincount(bus, size, minlength=int(bus.max(initial=0)) + 1)[bus]
    return np.where(total > 0.0, size / np.where(total > 0.0, total, 1.0), otherwise)


@dataclass(frozen=True)
class PreparedPhasesFutures:
    """A question about many futures of a grid with phases a, b, c, ready to be solved.

    Attributes:
        grid: what of it is fed. question: its network, limits and locks, with a load of constant power wherever a
            future changes the demand. model: what topology search bounds. uncertainty: the futures.
        demands: of the futures planned for, then of the sample where there is one. method: with its gap.
    """

    grid: Grid
    question: PhasesQuestion
    model: PhaseModel
    uncertainty: FuturesUncertainty
    demands: list[Demands]
    method: TopologySearch
    unit: str = "kW"

    @property
    def heading(self) -> str:
        """How many futures there are, and the method."""
        return self.uncertainty.heading(self.method)

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> FuturesResult:
        """The result, verified by exact AC power flow in every future."""
        network, futures = self.question.network, self.uncertainty.futures
        planned = self.demands[0]
        assert planned.loads_kva is not None
        with deadline_of(self.method.time_limit_s, deadline) as until:
            evaluator = PhasesEvaluator(replace(self.question, demands=planned))
            first = first_state(evaluator).closed
            mean_kva = futures.weights @ planned.loads_kva
            alone = evaluator.under(Demands(mean_kva[None, :], limits_share=1.0))
            part = until.within(MEAN_SHARE * until.left())
            mean_outcome, mean, _ = search_phases(alone, self.method, self.model, [first], None, part)
            mean_state = None if mean is None or mean.violation > 0.0 else mean.closed
            starts = [first] if mean_state is None else [mean_state, first]
            outcome, best, notes = search_phases(evaluator, self.method, self.model, starts, progress, until)
            found = list(notes)
            if mean_state is None:
                why = mean_outcome.termination
                found.append(f"the mean future has no topology of its own that keeps the limits ({why})")
            if len(network.generator_names):
                found.append("generators keep the output that they have today; their limits are not used")
            closed = self.question.today, mean_state, None if best is None else best.closed
            tested = [evaluator, *(evaluator.under(each) for each in self.demands[1:])]
            compared = [self._compared(each, closed) for each in tested]
            sampled = compared[1] if len(compared) > 1 else None
            return futures_result(
                *(self.grid, network, self.uncertainty, self.method, outcome, compared[0], sampled, found)
            )

    def _compared(self, evaluator: PhasesEvaluator, closed: tuple[Bools, Bools | None, Bools | None]) -> Compared:
        before, *others = (None if each is None else evaluate_phases(evaluator, each) for each in closed)
        assert before is not None
        return Compared(before, *others)


SAME = 1e-9
"""Relative difference of losses that are the same."""
QUICK_S = 0.25
"""Seconds for the topology of the mean future where the method has used up the time."""


def prepare(grid: Grid, options: ReconfigureFuturesOptions) -> Prepared[FuturesResult]:
    """The radial state of least loss for many futures, one topology for all of them.

        min  ρ[loss] + change_cost_kw · changes   over radial states;  exact AC power flow in every future;  limits

    ρ says how the losses of the futures become one number (`openpoint.search.futures`). Where generators are dispatched
    in every future, a mixed-integer master chooses the topology, and a second-order cone power flow (Farivar and Low
    2013) values it and answers with cuts (`openpoint.twostage.methods.decomposition`).

    Raises:
        InputError: the grid or the futures have faults, or a locked branch is unknown.
        OptionError: options that contradict each other, futures of another grid, unknown probabilities, branch
            exchange, or a share of kept limits where generators can be dispatched.
    """
    grid, options = options.on(grid)
    refuse("reconfigure-futures", grid)
    others = None if options.sample is None else read_futures(options.sample, grid)
    planned = read_futures(options.futures, grid)
    uncertainty = FuturesUncertainty(planned, options.measure, options.probabilities, options.limits_share, others)
    if has_phases(grid):
        return prepare_phases_futures(grid, options, uncertainty)
    program, stations = radial_program(grid, options)
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
        return self.uncertainty.heading(self.method)

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
                others = replace(uncertain, futures=Scenarios(realisations(uncertainty.sample, network.s_base_kva)))
                sampled = _compare(others, stations, mean, replace(outcome, state=None), method, planned.after)
            elif uncertainty.sample is not None:
                what = "Ctrl-C came" if deadline.interrupted() else "the time was up"
                notes.append(f"{what} before the answer was evaluated in the sample: it is left out")
            return futures_result(grid, stations.whole, uncertainty, method, outcome, planned, sampled, notes)


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
    alone = replace(program, futures=Certain(realisations(futures.mean(), program.network.s_base_kva)[0]))
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


reconfigure_futures = function("reconfigure_futures", ReconfigureFuturesOptions, prepare)
