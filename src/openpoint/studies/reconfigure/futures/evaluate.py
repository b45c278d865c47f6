"""One topology in many futures: exact AC states, each verified on its own, and their figures."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.network import Network
from openpoint.network.limits import LIMIT_TOLERANCE
from openpoint.powerflow.balanced import Flows, solve
from openpoint.powerflow.check import AcCheck, check_flows
from openpoint.powerflow.state import AcState
from openpoint.results import ac_tables as states
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.twostage.methods.benders import Benders
from openpoint.twostage.program import Goal
from openpoint.twostage.recourse.evaluation import RecourseSolver
from openpoint.twostage.recourse.subproblem import Response
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
        states: K verified states, None where none exists.
        v_min, v_max: (K) over the buses that are no source. loading: (K) percent, over the branches with a rating.
    """

    closed: Bools
    loss_kw: Floats
    v: Floats
    i: Floats
    loss: Floats
    states: tuple[AcState | None, ...]
    v_min: Floats
    v_max: Floats
    loading: Floats

    @property
    def checks(self) -> list[AcCheck]:
        """Those of the states that exist."""
        return [state.check for state in self.states if state is not None]

    @property
    def broken(self) -> list[int | None]:
        """(K) number of limits that do not hold."""
        return [None if state is None else _count(state.check) for state in self.states]

    @property
    def kept(self) -> Bools:
        """(K) whether all limits hold."""
        return np.array([count == 0 for count in self.broken])


def evaluate_futures(
    program: RadialProgram, closed: Bools, generation: Complexes | None, executor: Choice
) -> FuturesEvaluation:
    """A topology in all futures of a program.

    Args:
        program: with the futures. closed: (E).
        generation: (K, G) injections of the dispatchable generators; None = the best ones are to be found.
        executor: where they are found.
    """
    network, demand = program.network, program.demands
    if generation is None:
        generation = _dispatch(program, closed, executor)
    flows = solve(network, closed, s_power=demand, generation=generation)
    known = flows.converged & flows.energised.all(axis=1)
    v, i = (np.where(known[:, None], np.abs(part), np.nan) for part in (flows.v, flows.i_rated))
    inner = np.setdiff1d(np.arange(network.n_terminals), network.source_terminal)
    inner = inner if len(inner) else np.arange(network.n_terminals)
    rated = np.isfinite(network.l_max)
    loading = 100.0 * i[:, rated] / np.sqrt(network.l_max[rated])
    good = np.flatnonzero(known)
    checks = check_flows(
        network, closed, flows.v[good], demand[good], generation=generation[good], tolerance=LIMIT_TOLERANCE
    )
    check_of = dict(zip(good.tolist(), checks, strict=True))
    return FuturesEvaluation(
        closed=closed,
        loss_kw=np.where(known, flows.loss, np.inf) * network.s_base_kva,
        v=v,
        i=i,
        loss=np.where(known[:, None], (flows.s_fr + flows.s_to).real, np.nan) * network.s_base_kva,
        states=tuple(
            _state(closed, flows, k, generation[k], check_of[k]) if k in check_of else None for k in range(len(v))
        ),
        v_min=v[:, inner].min(axis=1),
        v_max=v[:, inner].max(axis=1),
        loading=loading.max(axis=1) if rated.any() else np.full(len(v), np.nan),
    )


def violations(network: Network, names: tuple[str, ...], evaluation: FuturesEvaluation | None) -> pl.DataFrame:
    """The limits that a topology breaks, a row each, in the order of the futures."""
    rows = [
        {"future": name, "kind": v.kind, "name": v.name, "value": v.value, "limit": v.limit, "unit": v.unit}
        for name, state in zip(names, () if evaluation is None else evaluation.states)
        for v in states.violations(network, state)
    ]
    texts = ("future", "kind", "name", "unit")
    order = ("future", "kind", "name", "value", "limit", "unit")
    return pl.DataFrame(rows, schema={key: pl.String if key in texts else pl.Float64 for key in order})


def _state(closed: Bools, flows: Flows, k: int, generation: Complexes, check: AcCheck) -> AcState:
    """Flow number k with its independent check."""
    ends = flows.i_rated[k], flows.s_fr[k], flows.s_to[k]
    return AcState(closed, generation, flows.v[k], *ends, flows.source_s[k], float(flows.loss[k]), check)


def _dispatch(program: RadialProgram, closed: Bools, executor: Choice) -> Complexes:
    """(K, G) injections of least loss that keep the limits, else of least violation."""
    network, futures = program.network, program.uncertainty.values
    given = np.tile(network.generator_s, (len(futures), 1))
    if not len(network.generator_names):
        return given
    try:
        with executor.open() as workers:
            answers, hopeless, least = _answers(program, closed, workers)
    except WorkersLostError as error:  # the answer is there, and only its outputs in the futures are not
        _LOG.warning("%s", error)
        with InProcess().open() as workers:
            answers, hopeless, least = _answers(program, closed, workers)
    for k, answer in [*enumerate(answers), *zip(hopeless, least)]:
        if answer.dispatch is not None:
            given[k] = answer.dispatch[0::2] + 1j * answer.dispatch[1::2]
    return given


def _answers(
    program: RadialProgram, closed: Bools, workers: Workers
) -> tuple[list[Response], list[int], list[Response]]:
    """Of all futures the answer of least loss, the numbers of those without one, and their least violation."""
    futures, recourse, decision = program.uncertainty.values, RecourseSolver(program, workers), closed.astype(float)
    answers = recourse.solve(Goal.COST, decision, list(futures)) or []
    hopeless = [k for k, answer in enumerate(answers) if not answer.feasible]
    return answers, hopeless, recourse.solve(Goal.VIOLATION, decision, [futures[k] for k in hopeless]) or []


def executor_of(method: object) -> Choice:
    """Where a method solves its subproblems."""
    return method.executor if isinstance(method, Benders) else InProcess()


def _count(check: AcCheck) -> int:
    return len(check.v_low) + len(check.v_high) + len(check.overloaded)
