"""Reconfigure for many futures: one topology for all of them, next to today's and to that of the mean future alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

from openpoint.arrays import Bools
from openpoint.errors import OptionError
from openpoint.grid.balanced import has_phases
from openpoint.grid.grid import Grid
from openpoint.network.stations import Stations
from openpoint.results import ac_tables as states
from openpoint.scenarios.futures import Futures, read_futures
from openpoint.search.exchange.pairs import descend
from openpoint.search.methods import Enumeration, TopologySearch
from openpoint.studies.accepted import refuse
from openpoint.studies.reconfigure.ac_evaluation import states_of
from openpoint.studies.reconfigure.futures.answer import FuturesUncertainty, futures_result, realisations
from openpoint.studies.reconfigure.futures.evaluate import (
    Compared,
    FuturesEvaluation,
    evaluate_futures,
    executor_of,
)
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.methods import BranchExchange, ProvingMethod, quickest, searchable
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.studies.reconfigure.options import ReconfigureFuturesOptions
from openpoint.studies.reconfigure.setup import radial_program
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import PROVEN_GAP, Iteration, Outcome, Progress, Termination
from openpoint.twostage.methods.solving import NoSolutionError
from openpoint.twostage.risk import Regret
from openpoint.twostage.uncertainty import Certain, Scenarios

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
        from openpoint.studies.reconfigure.futures.phases import prepare_phases_futures

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
