"""One topology in many futures: exact AC states, each verified on its own, and their figures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.limits import LIMIT_TOLERANCE, loadings, rated_amperes
from openpoint.network.stations import Stations
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.check import check_flows
from openpoint.powerflow.check_phases import balances
from openpoint.powerflow.meshed import flows_at, less_generation
from openpoint.powerflow.opendss import PhaseState
from openpoint.results import ac_tables as states
from openpoint.results.ac_tables import phase_violations
from openpoint.results.columns import empty, filled, frame
from openpoint.results.violation import Violation
from openpoint.scenarios.futures import Futures
from openpoint.search.exchange.phases import PhasesEvaluator
from openpoint.studies.reconfigure.futures.result import FUTURES, PLANS, TOPOLOGIES
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.twostage.ambiguity import tail_of
from openpoint.twostage.methods.decomposition import Benders
from openpoint.twostage.program import Goal
from openpoint.twostage.recourse.evaluation import RecourseSolver, Response
from openpoint.twostage.workers.executors import Choice, InProcess
from openpoint.twostage.workers.pool import Workers, WorkersLostError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class FuturesEvaluation:
    """A topology in K futures.

    Attributes:
        closed: (E) state of the branches.
        loss_kw: (K) inf where no state exists.
        v: (K, N) magnitudes in pu, and i: (K, E) in per unit, nan where no state exists.
        loss: (K, E) active power that each branch loses, kW.
        violations: K times the limits that do not hold, None where no state exists.
        mismatch: (K) largest power mismatch, per unit, by a check of its own; nan where there is none.
        v_min, v_max: (K) over the buses that are no source. loading: (K) percent, over the branches with a rating.
    """

    closed: Bools
    loss_kw: Floats
    v: Floats
    i: Floats
    loss: Floats
    violations: tuple[tuple[Violation, ...] | None, ...]
    mismatch: Floats
    v_min: Floats
    v_max: Floats
    loading: Floats

    @property
    def broken(self) -> list[int | None]:
        """(K) number of limits that do not hold."""
        return [None if each is None else len(each) for each in self.violations]

    @property
    def max_mismatch(self) -> float | None:
        """The largest in any future; None where no state exists."""
        return _extreme(self.mismatch, np.max)

    @property
    def kept(self) -> Bools:
        """(K) whether all limits hold."""
        return np.array([count == 0 for count in self.broken])


def evaluate_futures(
    program: RadialProgram, stations: Stations, closed: Bools, generation: Complexes | None, executor: Choice
) -> FuturesEvaluation:
    """A topology in all futures of a program, with its permanently closed loops closed.

    Args:
        program: with the futures. stations: its permanently closed loops. closed: (E).
        generation: (K, G) injections of the dispatchable generators; None = the best ones are to be found.
        executor: where they are found.
    """
    network, demand, opened = stations.whole, program.demands, closed & ~stations.dropped
    closed = closed | stations.dropped
    if generation is None:
        generation = _dispatch(program, opened, executor)
    flows = solve(program.network, opened, s_power=demand, generation=generation)
    if stations.dropped.any() and flows.energised.all():
        flows = flows_at(network, closed, flows.v, less_generation(network, demand, generation))
    known = flows.converged & flows.energised.all(axis=1)
    v, i = (np.where(known[:, None], np.abs(part), np.nan) for part in (flows.v, flows.i_rated))
    inner = network.inner
    inner = inner if len(inner) else np.arange(network.n_terminals)
    rated = np.isfinite(network.rating)
    loading = loadings(network, i)[:, rated]
    good = np.flatnonzero(known)
    checks = check_flows(
        network, closed, flows.v[good], demand[good], generation=generation[good], tolerance=LIMIT_TOLERANCE
    )
    broken: list[tuple[Violation, ...] | None] = [None] * len(v)
    mismatch = np.full(len(v), np.nan)
    for k, check in zip(good.tolist(), checks, strict=True):
        i_a = flows.i_rated[k] * network.i_base_a
        broken[k] = states.broken_limits(network, v[k], i_a, check.v_low, check.v_high, check.overloaded)
        mismatch[k] = check.max_mismatch
    return FuturesEvaluation(
        closed=closed,
        loss_kw=np.where(known, flows.loss, np.inf) * network.s_base_kva,
        v=v,
        i=i,
        loss=np.where(known[:, None], (flows.s_fr + flows.s_to).real, np.nan) * network.s_base_kva,
        violations=tuple(broken),
        mismatch=mismatch,
        v_min=v[:, inner].min(axis=1),
        v_max=v[:, inner].max(axis=1),
        loading=loading.max(axis=1) if rated.any() else np.full(len(v), np.nan),
    )


def violations(names: tuple[str, ...], evaluation: FuturesEvaluation | None) -> pl.DataFrame:
    """The limits that a topology breaks, a row each, in the order of the futures."""
    order = ("kind", "name", "phase", "value", "limit", "unit")
    rows = [
        {"future": name, **{key: getattr(v, key) for key in order}}
        for name, broken in zip(names, () if evaluation is None else evaluation.violations)
        for v in broken or ()
    ]
    schema = {key: pl.Float64 if key in ("value", "limit") else pl.String for key in ("future", *order)}
    return pl.DataFrame(rows, schema=schema)


def _dispatch(program: RadialProgram, closed: Bools, executor: Choice) -> Complexes:
    """(K, G) injections of least loss that keep the limits, else of least violation."""
    network, futures = program.network, program.uncertainty.values
    given = np.tile(network.generator_s, (len(futures), 1))
    if not len(network.generator_names):
        return given
    try:
        with executor.open() as workers:
            answers, infeasible_alone, least = _answers(program, closed, workers)
    except WorkersLostError as error:  # the answer is there, and only its outputs in the futures are not
        _LOG.warning("%s", error)
        with InProcess().open() as workers:
            answers, infeasible_alone, least = _answers(program, closed, workers)
    for k, answer in [*enumerate(answers), *zip(infeasible_alone, least)]:
        if answer.dispatch is not None:
            given[k] = answer.dispatch[0::2] + 1j * answer.dispatch[1::2]
    return given


def _answers(
    program: RadialProgram, closed: Bools, workers: Workers
) -> tuple[list[Response], list[int], list[Response]]:
    """Of all futures the answer of least loss, the numbers of those without one, and their least violation."""
    futures, recourse, decision = program.uncertainty.values, RecourseSolver(program, workers), closed.astype(float)
    answers = recourse.solve(Goal.COST, decision, list(futures)) or []
    infeasible_alone = [k for k, answer in enumerate(answers) if not answer.feasible]
    return (
        answers,
        infeasible_alone,
        recourse.solve(Goal.VIOLATION, decision, [futures[k] for k in infeasible_alone]) or [],
    )


def executor_of(method: object) -> Choice:
    """Where a method solves its subproblems."""
    return method.executor if isinstance(method, Benders) else InProcess()


TAIL = 0.9
"""Level of the conditional value at risk that every result tells."""


@dataclass(frozen=True)
class Compared:
    """Three topologies in the same futures; None where there is none."""

    before: FuturesEvaluation
    mean: FuturesEvaluation | None
    after: FuturesEvaluation | None

    def items(self) -> list[tuple[str, FuturesEvaluation | None]]:
        """With the names by which columns call them."""
        return list(zip(TOPOLOGIES, (self.before, self.mean, self.after)))


def futures(given: Futures | None, compared: Compared | None, weights: Floats | None) -> pl.DataFrame:
    """A row a future; none at all where none are given."""
    if given is None or compared is None:
        return empty(FUTURES)
    columns: dict[str, object] = {
        "future": list(given.names),
        "probability": given.probabilities,
        "weight": weights,
        "demand_kw": given.p_kw.sum(axis=1),
    }
    for which, evaluation in compared.items():
        if evaluation is not None:
            columns |= {
                f"loss_{which}_kw": evaluation.loss_kw,
                f"v_min_{which}_pu": evaluation.v_min,
                f"v_max_{which}_pu": evaluation.v_max,
                f"loading_{which}_percent": evaluation.loading,
                f"violations_{which}": evaluation.broken,
            }
    return filled(FUTURES, {name: values for name, values in columns.items() if values is not None})


def plans(name: str, given: Futures, compared: Compared, risk: Callable[[Floats], float]) -> pl.DataFrame:
    """A row a topology: its losses over the futures as single numbers, and how far they go."""
    rows = []
    for which, evaluation in compared.items():
        if evaluation is None:
            continue
        loss, weights = evaluation.loss_kw, given.weights
        worst = int(np.argmax(loss))
        row = {
            "set": name,
            "topology": which,
            "loss_expected_kw": _mean(loss, weights),
            "loss_cvar90_kw": tail_of(weights, TAIL).worst(loss)[0],
            "loss_worst_kw": float(loss[worst]),
            "worst_future": given.names[worst],
            "risk_kw": risk(loss),
            "limits_kept_share": min(float(evaluation.kept @ weights), 1.0),
            "unsolved": int(np.isinf(loss).sum()),
            "v_lowest_pu": _extreme(evaluation.v_min, np.min),
            "v_highest_pu": _extreme(evaluation.v_max, np.max),
            "loading_highest_percent": _extreme(evaluation.loading, np.max),
        }
        rows.append(row)
    return frame(PLANS, rows).with_columns(pl.selectors.float().fill_nan(None))


def buses(network: Network, compared: Compared) -> pl.DataFrame:
    """Lowest and highest voltage of every bus in any future and phase, today and in the answer."""
    first = np.searchsorted(network.terminal_bus, np.arange(len(network.bus_names)))
    columns: dict[str, object] = {
        "name": list(network.bus_names),
        "vn_kv": network.v_base_kv[first],
        **{name: limit[first] for name, limit in states.bus_limits(network).items()},
    }
    for which, evaluation in _two(compared):
        v = np.full((1, network.n_terminals), np.nan) if evaluation is None else evaluation.v
        columns[f"v_lowest_{which}_pu"] = _over(v, np.fmin, first)
        columns[f"v_highest_{which}_pu"] = _over(v, np.fmax, first)
    return states.frame(columns)


def branches(grid: Grid, network: Network, compared: Compared, weights: Floats) -> pl.DataFrame:
    """State of every branch in the three topologies; highest current and expected loss today and in the answer.

    Currents are those of the phase with the highest.
    """
    table = grid.branches()
    first = np.searchsorted(network.conductor_branch, np.arange(table.height))
    closed = dict(compared.items())
    columns: dict[str, object] = {
        **{name: table[name] for name in ("kind", "name", "from_bus", "to_bus", "switchable")},
        **{f"closed_{which}": _closed(closed[which], network) for which in TOPOLOGIES},
        **{name: limit[first] for name, limit in states.limits_of_current(network).items()},
    }
    for which, evaluation in _two(compared):
        nothing = np.full((1, network.n_conductors), np.nan)
        i, loss = (nothing, nothing) if evaluation is None else (evaluation.i, evaluation.loss)
        known = None if evaluation is None or np.isnan(loss).any() else np.add.reduceat(weights @ loss, first)
        columns[f"i_highest_{which}_a"] = _over(i * network.i_base_a, np.fmax, first)
        columns[f"loading_highest_{which}_percent"] = _over(loadings(network, i), np.fmax, first)
        columns[f"loss_expected_{which}_kw"] = nothing[0][first] if known is None else known
    return states.frame(columns)


def _closed(evaluation: FuturesEvaluation | None, network: Network) -> pl.Series:
    values = [None] * len(network.branch_names) if evaluation is None else evaluation.closed.tolist()
    return pl.Series(values, dtype=pl.Boolean)


def _two(compared: Compared) -> list[tuple[str, FuturesEvaluation | None]]:
    return [(which, evaluation) for which, evaluation in compared.items() if which != "mean"]


def _mean(loss: Floats, weights: Floats) -> float:
    counted = weights > 0.0
    return float(weights[counted] @ loss[counted])


def _extreme(values: Floats, of: Callable[[Floats], Any]) -> float | None:
    known = values[~np.isnan(values)]
    return float(of(known)) if len(known) else None


def _over(values: Floats, which: np.ufunc, first: Ints) -> Floats:
    """The lowest or highest over the futures that have a state, nan where none has, of columns from each `first` on."""
    return np.asarray(which.reduceat(which.reduce(values, axis=0), first))


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
        broken[k] = phase_violations(network, PhaseState(flows.energised, flows.v[k], i_a[k], *powers, np.nan))
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
