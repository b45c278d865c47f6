"""Faults as limits and objectives, against all radial states of random grids judged by the model of `secure`."""

from __future__ import annotations

import math

import numpy as np
import pytest

from openpoint.arrays import Bools
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED
from openpoint.studies.reconfigure.faults import search as module
from openpoint.studies.reconfigure.faults.exchange import FaultExchange
from openpoint.studies.reconfigure.faults.search import (
    Found,
    IndexSearch,
    floors_of,
    none_keeps,
    search_loss,
    unkept_limits,
)
from openpoint.studies.reconfigure.faults.task import ENDLESS, FaultLimits, FaultTask, Sought, figure_of, unlimited
from openpoint.studies.secure.model.faults import tree_of
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination
from tests.builders.fault_tasks import Case, fault_case

GAP = 1e-6


@pytest.mark.parametrize("seed", range(30))
def test_all_states_bounds_and_optima(seed: int) -> None:
    case = fault_case(seed)
    if case is None:
        pytest.skip("today's state stays meshed")
    check_figures(case)
    check_bounds(case, np.random.default_rng(seed))
    check_optima(case)


def check_figures(case: Case) -> None:
    """The compiled judgement of every state is that of the model of `secure`."""
    for closed, expected in zip(case.states, case.figures, strict=True):
        found = case.evaluator.figures(closed)
        assert (found is None) == (expected is None)
        if found is None or expected is None:
            continue
        assert found.is_whole
        assert np.array_equal(found.unrestorable, expected.unrestorable)
        for sought in (Sought.SAIFI, Sought.SAIDI, Sought.ENS):
            assert figure_of(sought, found) == pytest.approx(figure_of(sought, expected), rel=1e-9, abs=1e-9)


def check_bounds(case: Case, rng: np.random.Generator) -> None:
    """At partial states no completion has less than the bounds, and every fault named is unrestorable in all."""
    e, fixed = case.network.n_conductors, ~case.network.switchable
    for sought in (Sought.SAIFI, Sought.SAIDI, Sought.ENS):
        bound = task_of(case, sought, unlimited(e)).bound
        for share in (0.0, 0.3, 0.6, 0.9, 1.0, None, None, None):
            closed = case.states[rng.integers(len(case.states))]
            known = near_sources(case, closed, rng) if share is None else rng.random(e) < share
            status = np.where(known, np.where(closed, CLOSED, OPEN), UNDECIDED).astype(np.int8)
            status[fixed] = np.where(case.network.closed, CLOSED, OPEN)[fixed]
            count = bound.faults(status, ENDLESS)
            fits = ~(case.states & (status == OPEN)).any(axis=1) & ~(~case.states & (status == CLOSED)).any(axis=1)
            for k in np.flatnonzero(fits):
                figures = case.figures[k]
                if figures is not None:
                    assert count <= figures.count
                    assert not (bound.work.lost & ~figures.unrestorable).any()
                    assert bound.interruptions <= figure_of(sought, figures) * (1.0 + 1e-9) + 1e-9


def near_sources(case: Case, closed: Bools, rng: np.random.Generator) -> Bools:
    """(E) branches decided where a search goes from the sources outwards: those at some buses that are fed first."""
    tree = tree_of(case.network, closed)
    assert tree is not None
    first = tree.order[: rng.integers(1, len(tree.order) + 1)]
    fr, to = case.network.terminal_fr, case.network.terminal_to
    return (np.isin(fr, first) | np.isin(to, first)) & (rng.random(len(fr)) < 0.9)


def check_optima(case: Case) -> int:
    """Search finds what the best of all states has, or that there is none; how many searches there were."""
    known = [figures for figures in case.figures if figures is not None]
    if not known:
        return 0
    e = case.network.n_conductors
    today = case.by_model(case.network.closed)
    least = min(figures.count for figures in known)
    every = np.ones(e, dtype=np.bool_)
    hours, times = (
        sorted(figure_of(index, figures) for figures in known)[len(known) // 2]
        for index in (Sought.SAIDI, Sought.SAIFI)
    )
    limits = [
        unlimited(e),
        FaultLimits(least, every),
        FaultLimits(least - 1, every),
        FaultLimits(ENDLESS, every, {Sought.SAIDI: hours}),
        FaultLimits(ENDLESS, every, {Sought.SAIFI: times, Sought.SAIDI: 1.1 * hours}),
        *([] if today is None else [FaultLimits(ENDLESS, today.unrestorable)]),
    ]
    asked = [(sought, each) for each in limits for sought in (Sought.LOSS, Sought.SAIDI)]
    asked += [(sought, each) for each in limits[:2] for sought in (Sought.SAIFI, Sought.ENS)]
    for sought, each in asked:
        check(case, task_of(case, sought, each))
    return len(asked)


@pytest.mark.parametrize("seed", range(4))
def test_all_states_are_evaluated_where_they_are_few(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case = fault_case(seed)
    assert case is not None
    monkeypatch.setattr(module, "QUICK", 1)
    task, whole = task_of(case, Sought.SAIDI, unlimited(case.network.n_conductors)), list[int]()
    monkeypatch.setattr(IndexSearch, "_divide", lambda *_: None)
    monkeypatch.setattr(FaultExchange, "kicks", lambda *_: None)
    search = IndexSearch(task, 0.0, Deadline(), lambda _: whole.append(1))
    found = search.solve([])  # no state to begin with, and no node that says anything
    _, miss = task.ac.evaluate(case.states)
    kept = [each for each, over in zip(case.figures, miss, strict=True) if each and over == 0.0]
    values = [figure_of(Sought.SAIDI, each) for each in kept]
    assert whole
    if not values:
        assert found.result.termination is Termination.INFEASIBLE
        return
    assert found.best is not None
    assert found.best.merit[2] == pytest.approx(min(values), rel=1e-12)
    assert found.result.termination is Termination.OPTIMAL
    assert found.result.lower_bound == pytest.approx(min(values), rel=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_floors_are_those_of_all_states(seed: int) -> None:
    """A limit just below the least of all states is proven to be kept by none, and one just above it is kept."""
    case = fault_case(seed)
    if case is None:
        pytest.skip("today's state stays meshed")
    e = case.network.n_conductors
    ac = task_of(case, Sought.LOSS, unlimited(e)).ac
    _, miss = ac.evaluate(case.states)
    for index in (Sought.SAIFI, Sought.SAIDI, Sought.ENS):
        values = [figure_of(index, each) for each, over in zip(case.figures, miss, strict=True) if each and over == 0.0]
        least = min(values, default=math.inf)
        if not 0.0 < least < math.inf:
            continue
        for factor in (0.999, 1.001):
            task = task_of(case, Sought.LOSS, unlimited(e).with_index(index, factor * least))
            (floor,) = floors_of(task, [case.network.closed], GAP, Deadline())
            assert floor.is_above == (factor < 1.0)
            assert floor.least <= least * (1.0 + 1e-9)
            assert floor.best is not None
            assert (figure_of(index, floor.best.figures) <= factor * least) == (factor > 1.0)
            found = none_keeps(task, [floor], 0.0)
            assert (found is None) == (factor > 1.0)
            if found is not None:
                (told,) = unkept_limits(task, found, [floor], {index: (1.0, "units")})
                assert told.startswith(f"{index.name}: no state has less than {floor.least:.6g} units, proven")


def check(case: Case, task: FaultTask) -> None:
    """One search against the best of all states."""
    loss, miss = task.ac.evaluate(case.states)
    best = math.inf
    for k, figures in enumerate(case.figures):
        if figures is not None and miss[k] == 0.0 and task.limits.excess(figures) == 0.0:
            value = float(loss[k]) if task.sought is Sought.LOSS else figure_of(task.sought, figures)
            best = min(best, value)
    found = solved(case, task)
    if math.isinf(best):
        assert found.result.termination is Termination.INFEASIBLE
        return
    assert found.result.termination in (Termination.OPTIMAL, Termination.GAP)
    assert found.result.value == pytest.approx(best, rel=2.0 * GAP, abs=1e-12)
    assert found.result.lower_bound <= best * (1.0 + 1e-9) + 1e-12


def solved(case: Case, task: FaultTask) -> Found:
    """What the search for the figure sought finds."""
    if task.sought is Sought.LOSS:
        return search_loss(task, [case.network.closed], gap=GAP, deadline=Deadline())
    return IndexSearch(task, GAP, Deadline(), None).solve([case.network.closed])


def task_of(case: Case, sought: Sought, limits: FaultLimits) -> FaultTask:
    """The task on a random grid, without limits of changes."""
    net, fixed = case.network, ~case.network.switchable
    return FaultTask(net, net.closed & fixed, ~net.closed & fixed, None, 0.0, case.evaluator, sought, limits)
