"""Many futures of a grid with phases a, b, c: topology search with a bound of each future, OpenDSS as the judge."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import OptionError
from openpoint.formulations.phases import Demands, PhasesQuestion
from openpoint.grid.balanced import HAS_PHASES
from openpoint.grid.grid import Grid
from openpoint.grid.unfed import without_idle
from openpoint.names import join_names
from openpoint.network.limits import loadings, rated_amperes
from openpoint.powerflow.check_phases import balances
from openpoint.powerflow.opendss import PhaseState
from openpoint.results.phase_violations import violations
from openpoint.results.violation import Violation
from openpoint.scenarios.futures import Futures
from openpoint.search.exchange.phases import PhasesEvaluator, first_state
from openpoint.search.methods import TopologySearch
from openpoint.search.phases.model import PhaseModel
from openpoint.studies.reconfigure.futures.answer import FuturesUncertainty, futures_result
from openpoint.studies.reconfigure.futures.evaluate import Compared, FuturesEvaluation
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.options import ReconfigureFuturesOptions
from openpoint.studies.reconfigure.phases.search import bounded_model, for_phases, question_of, search_phases
from openpoint.twostage.ambiguity import exactly
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress
from openpoint.twostage.risk import Regret, probability_set

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
            kept = best is not None and best.violation == 0.0
            outcome = replace(outcome, decision=best.closed.astype(float) if best is not None and kept else None)
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


def evaluate_phases(evaluator: PhasesEvaluator, closed: Bools) -> FuturesEvaluation:
    """A topology (B) in all futures of an evaluator."""
    asked = evaluator.question
    network, loads = asked.network, asked.demands.loads_kva
    assert loads is not None
    flows = evaluator.flows(closed, asked.devices.today)
    known = flows.converged & flows.energised.all()
    at = np.flatnonzero(known)
    v = np.where(known[:, None], np.abs(flows.v), np.nan)
    i_a = np.where(known[:, None], rated_amperes(network, flows.i_fr_a, flows.i_to_a), np.nan)
    broken: list[tuple[Violation, ...] | None] = [None] * len(v)
    mismatch = np.full(len(v), np.nan)
    for k in at.tolist():
        powers = flows.s_fr_kva[k], flows.s_to_kva[k], flows.source_kva[k]
        broken[k] = violations(network, PhaseState(flows.energised, flows.v[k], i_a[k], *powers, np.nan))
    if len(at):
        mismatch[at] = balances(asked.grid, network, flows.v[at], closed=closed, loads_kva=loads[at]).mismatch
    i = i_a / network.i_base_a
    rated = np.isfinite(network.rating)
    inner = network.inner if len(network.inner) else np.arange(network.n_terminals)
    return FuturesEvaluation(
        closed=closed,
        loss_kw=np.where(known, flows.loss_kw, np.inf),
        v=v,
        i=i,
        loss=np.where(known[:, None], (flows.s_fr_kva + flows.s_to_kva).real, np.nan),
        violations=tuple(broken),
        mismatch=mismatch,
        v_min=v[:, inner].min(axis=1),
        v_max=v[:, inner].max(axis=1),
        loading=loadings(network, i)[:, rated].max(axis=1) if rated.any() else np.full(len(v), np.nan),
    )
