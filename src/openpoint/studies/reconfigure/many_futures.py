"""Topology search for many futures: what a program provides for it, the states that it begins with, and its outcome.

The search is `openpoint.search.futures.search`. Where no state is known that keeps the limits, single futures are asked
first, those whose limits are broken most: as soon as more of them than may miss their limits have no state of their
own, no topology serves them all.
"""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, cast

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import OptionError
from openpoint.formulations.radiality import Choices, Switching
from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.state import is_limited
from openpoint.search.certificate import put_aside
from openpoint.search.exchange.pairs import descend
from openpoint.search.futures.model import FuturesModel, FuturesTask, Verdicts
from openpoint.search.futures.search import search_futures
from openpoint.search.futures.tree import FuturesCertificate
from openpoint.search.methods import Log, Searched, TopologySearch
from openpoint.search.result import SearchResult
from openpoint.search.topology import search_topologies
from openpoint.studies.reconfigure.ac_evaluation import PIECE, AcEvaluator, first_trees
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Outcome, Progress, Termination
from openpoint.twostage.methods.solving import WAIT_AND_SEE_SHARE, StoppedError, nothing_yet, wait_and_see_bounds
from openpoint.twostage.program import SHARE_TOLERANCE, AnyProgram, objective_of
from openpoint.twostage.risk import Regret
from openpoint.verify.asked import Asked

MEAN_SHARE = 0.1
"""Share of the time left, and MEAN_S seconds at most, for the topology of the mean future, to begin with."""
MEAN_S = 10.0
ALONE_GAP = 1e-3
"""Gap of the best loss of each future alone, relative to the gap asked for: regret is a small difference."""
FINEST = 1e-8
"""Least gap of these losses; the bound has a margin of 1e-9."""
ASKED_S = 20.0
"""Seconds of all questions whether a future has a state of its own that keeps the limits."""
EXCHANGE_SHARE = 0.3
"""Share of the time left for branch exchange in all futures, which on large grids would take all of it."""
EXPLAIN_S = 20.0
"""Seconds for the state of least violation."""
SCREEN = 8
"""Futures in which all exchanges are evaluated, to find those that are evaluated in all."""
BEST = 12
"""Exchanges that are evaluated in all futures."""


class SearchedFutures(Protocol):
    """What the search of many futures needs of a program; see `RadialProgram`."""

    @property
    def network(self) -> Network: ...
    @property
    def rules(self) -> SwitchingRules: ...
    @property
    def choices(self) -> Choices: ...
    @property
    def ac(self) -> AcEvaluator: ...
    @property
    def limits_share(self) -> float: ...
    @property
    def demands(self) -> Complexes: ...
    @property
    def switching(self) -> Switching: ...
    @property
    def futures_model(self) -> FuturesModel: ...
    @property
    def asked(self) -> Asked | None: ...
    @property
    def any(self) -> AnyProgram:
        """The program itself, for what takes any."""
        ...

    def evaluated(self, found: SearchResult, log: Log) -> Outcome:
        """What a search found, in the units of the program and evaluated by it; ends the log."""
        ...


def task_of(program: SearchedFutures, ac: AcEvaluator) -> FuturesTask:
    """What is searched, with the exact evaluation by `ac`."""
    s = program.network.s_base_kva
    return FuturesTask(
        network=program.network,
        demands=program.demands,
        rules=program.rules,
        probabilities=ac.objective.probabilities,
        wait_and_see=ac.objective.wait_and_see_upper / s,
        evaluate=partial(_verdicts, ac),
        limits=program.limits_share >= 1.0,
    )


def _verdicts(ac: AcEvaluator, closed: Bools) -> Verdicts:
    s, cost = ac.network.s_base_kva, ac.switching.cost(closed)
    loss, violation = ac.flows(closed)
    value = ac.objective.many(np.where(ac.switching.allowed(closed), cost, np.inf), loss, violation)
    bound = np.array([ac.objective.bound(*each) if np.isfinite(v) else np.inf for *each, v in zip(cost, loss, value)])
    return Verdicts(value / s, bound / s, loss / s, violation.sum(axis=1))


def search_many(
    program: SearchedFutures, search: TopologySearch, progress: Progress | None, deadline: Deadline
) -> Outcome:
    """The outcome of the search for many futures.

    Raises:
        OptionError: a grid that the bound is not valid for, a checkpoint asked for, or a certificate of a risk that
            it does not cover.
    """
    if search.checkpoint is not None:
        raise OptionError("checkpoints are for one demand; leave them out, or the futures")
    log = Log(program.network.s_base_kva, progress)
    if search.certificate is None:
        built = program.futures_model
    else:
        put_aside(search.certificate)
        built = task_of(program, program.ac).built(by_loss=False)
    gap = max(ALONE_GAP * search.least_gap, FINEST)
    by_itself = replace(search, gap=gap, certificate=None)
    alone: Alone | None = None
    if search.certificate is not None:
        refuse_uncovered(program.asked)
        if isinstance(program.any.risk, Regret) and (alone := proven_alone(program, gap, deadline)) is None:
            search = replace(search, certificate=None)
    try:
        values = (
            alone.bounds
            if alone is not None
            else wait_and_see_bounds(
                program.any,
                lambda single, part: by_itself.solve(cast(Searched[Outcome], single), None, part),
                deadline,
                gap,
                partial(_any_bounds, program),
            )
        )
    except StoppedError:
        return nothing_yet(deadline)
    ac = program.ac if values is None else replace(program.ac, objective=objective_of(program.any, wait_and_see=values))
    began = deadline.passed()
    starts, least, infeasible_alone = _starts(program, ac, deadline)
    if infeasible_alone:
        found = infeasible(least, deadline.passed() - began)
    else:
        task = task_of(program, ac)
        certificate = None
        if search.certificate is not None:
            proofs = () if alone is None else alone.proofs
            certificate = FuturesCertificate(search.certificate, task.network, built, program.asked, alone=proofs)
        found = searched(task, search, log, deadline, starts, built, certificate)
    found = explained(program, ac, found, least, deadline)
    outcome = program.evaluated(replace(found, seconds=deadline.passed() - began), log)
    return replace(outcome, infeasible_alone=infeasible_alone)


def searched(
    task: FuturesTask,
    search: TopologySearch,
    log: Log,
    deadline: Deadline,
    starts: Bools,
    built: FuturesModel,
    certificate: FuturesCertificate | None,
) -> SearchResult:
    """What the search of a task finds, from (S, E) states; `built`: what bounds it."""
    return search_futures(
        task,
        gap=search.least_gap,
        deadline=deadline,
        starts=starts,
        progress=log.on_progress,
        built=built,
        certificate=certificate,
        memory=1e6 * search.memory_mb,
    )


def explained(
    program: SearchedFutures, ac: AcEvaluator, found: SearchResult, least: Bools | None, deadline: Deadline
) -> SearchResult:
    """What was found; where nothing keeps the limits, with the state of least violation, from `least` if no other."""
    if found.closed is not None:
        return found
    start = least if found.least_violation is None else found.least_violation
    if start is None or deadline.over():
        return replace(found, least_violation=start)
    part, piece = deadline.within(EXPLAIN_S), max(1, PIECE // len(ac.demands))
    best = descend(program.choices, start, ac.violations, enough=0.0, stop=part.over, piece=piece)[1]
    return replace(found, least_violation=best)


def _any_bounds(program: SearchedFutures) -> tuple[Floats, Floats]:
    """(K) bounds in kW of the least loss of every future alone, from two trees; the upper one inf where both break
    limits."""
    states = np.array(first_trees(program.choices, program.network))
    loss, violation = program.ac.flows(states)
    cost = np.where(program.switching.allowed(states), program.switching.cost(states), np.inf)
    upper = np.where(violation > 0.0, np.inf, loss + cost[:, None]).min(axis=0)
    return np.zeros(len(upper)), upper


@dataclass(frozen=True, eq=False)
class Alone:
    """What each of K futures loses at best by itself: bounds in kW, (K) each, and certificates of them, not packed."""

    bounds: tuple[Floats, Floats]
    proofs: tuple[bytes, ...]


def proven_alone(program: SearchedFutures, gap: float, deadline: Deadline) -> Alone | None:
    """What each future loses at best by itself, with certificates; None where any of them has none."""
    s, bounds, proofs = program.network.s_base_kva, list[tuple[float, float]](), list[bytes]()
    whole, count = deadline.within(WAIT_AND_SEE_SHARE * deadline.left()), len(program.demands)
    with TemporaryDirectory() as folder:
        for k, demand in enumerate(program.demands):
            proof = Path(folder) / str(k)
            part = whole.within(whole.left() / (count - k))
            found = answer_for(program, demand, part, gap, certificate=proof)
            if found is None or not proof.exists():
                return None
            bounds.append((found.lower_bound * s, found.value * s))
            proofs.append(gzip.decompress(proof.read_bytes()))
    lower, upper = np.array(bounds).T
    return Alone((lower, upper), tuple(proofs))


def refuse_uncovered(asked: Asked | None) -> None:
    """Refuse sets of probabilities that no certificate covers.

    Raises:
        OptionError: naming what to do.
    """
    ambiguity = None if asked is None else asked.ambiguity
    if ambiguity is None:
        return
    if ambiguity.startswith("demand:"):
        raise OptionError(
            "certificates do not cover probabilities by their moments; leave it out, or use another ambiguity set"
        )
    if not ambiguity:
        raise OptionError(
            "a certificate names its ambiguity by a text such as tv:0.2, and this set has none; make it by a function "
            "of openpoint.scenarios.futures, or leave the certificate out"
        )


def infeasible(least: Bools | None, seconds: float) -> SearchResult:
    """What is found where no state keeps the limits, with the state of least violation."""
    return SearchResult(Termination.INFEASIBLE, None, None, math.inf, math.inf, least, 0, 0, 0, 0, seconds)


def _starts(
    program: SearchedFutures, ac: AcEvaluator, deadline: Deadline
) -> tuple[Bools, Bools | None, tuple[int, ...]]:
    """(S, E) states to begin with, the one of least violation if none keeps the limits, and futures by which none
    can."""
    states = first_trees(program.choices, program.network)
    mean = answer_for(
        program, ac.objective.weights @ program.demands, deadline.within(min(MEAN_S, MEAN_SHARE * deadline.left()))
    )
    states += [mean.closed] if mean is not None and mean.closed is not None else []
    values = ac.objectives(np.array(states))
    infeasible_alone, least = tuple[int, ...](), None
    if not np.isfinite(values).any():
        infeasible_alone, more = _ask_futures(program, ac, states, deadline.within(ASKED_S))
        states += more
        least = states[int(np.argmin(ac.violations(np.array(states))))]
        values = ac.objectives(np.array(states))
    if not infeasible_alone and np.isfinite(values).any():
        best = states[int(np.argmin(values))]
        states.append(exchanged(program, ac, best, deadline))
    return np.array(states), least, infeasible_alone


def exchanged(program: SearchedFutures, ac: AcEvaluator, best: Bools, deadline: Deadline) -> Bools:
    """The state to which branch exchange in all futures leads, in a share of the time left."""
    part = deadline.within(EXCHANGE_SHARE * deadline.left())
    return descend(program.choices, best, Screened(ac, best), stop=part.over)[1]


def answer_for(
    program: SearchedFutures,
    demand: Complexes,
    deadline: Deadline,
    gap: float = 1e-4,
    certificate: Path | None = None,
) -> SearchResult | None:
    """The answer for one demand, with its `certificate`; None where topology search cannot take it."""
    try:
        return search_topologies(
            replace(program.network, s_power=demand),
            program.rules,
            gap=gap,
            deadline=deadline,
            certificate=certificate,
        )
    except OptionError:
        return None


def _ask_futures(
    program: SearchedFutures, ac: AcEvaluator, states: list[Bools], deadline: Deadline
) -> tuple[tuple[int, ...], list[Bools]]:
    """Too many futures that have no state of their own that keeps the limits, if so many have none, and the states of
    those that have."""
    found, infeasible_alone = list[Bools](), list[int]()
    if not is_limited(program.network):
        return (), found
    violation = ac.flows(np.array(states))[1].min(axis=0)
    weights, violated, share = ac.objective.weights, 0.0, 1.0 - program.limits_share + SHARE_TOLERANCE
    for k in np.argsort(-violation, kind="stable"):
        if violation[k] <= 0.0 or deadline.over():
            break
        answer = answer_for(program, program.demands[k], deadline, gap=0.5)
        if answer is None:
            break
        if answer.termination is Termination.INFEASIBLE:
            violated += float(weights[k])
            infeasible_alone.append(int(k))
            if violated > share:
                return tuple(infeasible_alone), found
        elif answer.closed is not None:
            found.append(answer.closed)
            if program.limits_share >= 1.0 and len(found) == 3:
                break
    return (), found


@dataclass
class Screened:
    """Objective values of states near the best one: only the most promising are evaluated in all futures.

    All are ranked by their violations and losses in some futures, those that count most in the risk of the best one.
    """

    ac: AcEvaluator
    best: Bools

    def __call__(self, near: Bools) -> Floats:
        """(C) objective values of (C, E) states, inf of those that are not evaluated."""
        values = np.full(len(near), np.inf)
        if len(near) <= BEST:
            values[:] = self.ac.objectives(near)
            self.best = near[int(np.argmin(values))]
            return values
        few, weights = self._sample()
        loss, violation = replace(self.ac, demands=self.ac.demands[few]).flows(near)
        cost = np.where(self.ac.switching.allowed(near), self.ac.switching.cost(near), np.inf)
        promising = np.lexsort((cost + loss @ weights, violation.sum(axis=1)))[:BEST]
        values[promising] = self.ac.objectives(near[promising])
        self.best = near[int(np.argmin(values))]
        return values

    def _sample(self) -> tuple[Ints, Floats]:
        loss = self.ac.flows(self.best[None, :])[0][0]
        weights = self.ac.objective.worst_probabilities(loss)
        counting = np.flatnonzero(weights > 0.0)
        counting = counting[np.argsort(loss[counting], kind="stable")]
        few = counting[np.linspace(0, len(counting) - 1, min(SCREEN, len(counting))).round().astype(int)]
        return few, weights[few] / weights[few].sum()
