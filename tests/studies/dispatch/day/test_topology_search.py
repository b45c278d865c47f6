"""The topology of a day: bounds below every completion, the search against all topologies, locks, limits of time."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.network.devices import DeviceKind, Devices, with_positions
from openpoint.network.freedom import SwitchingRules
from openpoint.search.enumeration import topologies
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED
from openpoint.studies.dispatch.day.model.day_master import DayMaster
from openpoint.studies.dispatch.day.model.hour_block import HourTemplates
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns, ScenarioPool
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.topology.method import (
    DayTopologySearch,
    first_status,
    forecast,
    mixture,
    worst_mixture,
)
from openpoint.studies.dispatch.day.topology.relaxation import DayRelaxation
from openpoint.studies.dispatch.day.topology.tree import in_series, loops, probe
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.interrupt import Interrupt
from openpoint.twostage.log import Iteration, Termination
from tests.builders.days import PERIODS, small_day
from tests.powerflow.small_networks import Branch, make_network


def two_loops(hours: int = 1, seed: int = 0, v_min: float = 0.9) -> DayQuestion:
    """The small day with another tie and impedances by seed: 11 or more topologies."""
    question, rng = small_day(hours), np.random.default_rng(seed)
    net, ties = question.network, [(3, 5), (2, 4)]
    ends = [*zip(net.terminal_fr[:5], net.terminal_to[:5], strict=True), *ties]
    z = (0.02 + 0.04 * rng.random(len(ends))) * (1.0 + 0.8j)
    branches = [Branch(int(a), int(b), z[e], closed=e < 5) for e, (a, b) in enumerate(ends)]
    meshed = make_network(6, branches, {0: 1.0 + 0.0j}, generators=[(3, 0.0j)], v_limits=(v_min, 1.1))
    meshed = replace(meshed, p_min=net.p_min, p_max=net.p_max, q_min=net.q_min, q_max=net.q_max)
    free = np.zeros(len(ends), dtype=np.bool_)
    cost = replace(question.cost, current=np.zeros(len(ends)))
    return replace(question, network=meshed, cost=cost, rules=SwitchingRules(free, free))


def all_trees(question: DayQuestion) -> np.ndarray:
    """(K, E) the topologies that the question allows."""
    fixed, rules = SwitchingRules.of(question.network), question.rules
    both = SwitchingRules(rules.must_close | fixed.must_close, rules.must_open | fixed.must_open)
    return np.concatenate(list(topologies(question.network, both)))


def cone_bound(question: DayQuestion, tree: np.ndarray, days: list[np.ndarray], templates: HourTemplates) -> float:
    """The cone program of a topology over some days."""
    master = DayMaster(question, np.tile(tree, (PERIODS, 1)), templates=templates)
    for day in days:
        master.add_day(day)
    return master.solve().bound


@pytest.mark.parametrize("seed", range(2))
def test_no_bound_is_above_the_best_completion(seed: int) -> None:
    """docs/methods.md M38."""
    binds = seed == 1  # lower limits of the voltage, which the bound leaves out
    question, rng = two_loops(0, seed, 0.9 if binds else 0.0), np.random.default_rng(seed)
    expected = forecast(question.day)
    relaxation = DayRelaxation(question, expected.copies, expected.weights)
    trees, templates = all_trees(question), HourTemplates(question)
    days = [np.ones((PERIODS, 2))]
    best = np.array([cone_bound(question, tree, days, templates) for tree in trees])
    states = np.where(trees[:, relaxation.branch], CLOSED, OPEN)
    for value, state in zip(best, states, strict=True):
        found = relaxation.bound(state.astype(np.int8), None, 3)
        assert found.value <= value + 1e-6 * abs(value)
        assert found.value >= value - (1e-2 if binds else 2e-4) * abs(value)
    decided = first_status(question, relaxation)
    for _ in range(10):
        status = decided.copy()
        some = rng.permutation(np.flatnonzero(decided == UNDECIDED))[: rng.integers(0, 4)]
        status[some] = rng.integers(0, 2, len(some))
        agrees = ((states == status) | (status == UNDECIDED)).all(axis=1)
        found = relaxation.bound(status, None, 2)
        assert (found is not None) == agrees.any()
        if found is None:
            continue
        assert found.value <= best[agrees].min() + 1e-6 * abs(best[agrees].min())
        for e, bound in enumerate(probe(relaxation, status, found)):
            opened = agrees & (states[:, e] == OPEN)
            if status[e] == UNDECIDED and opened.any():
                assert bound <= best[opened].min() + 1e-6 * abs(best[opened].min())


def test_a_bound_at_wrong_multipliers_is_below_one_at_right_ones() -> None:
    question = two_loops(0)
    expected = forecast(question.day)
    relaxation = DayRelaxation(question, expected.copies, expected.weights)
    status = np.where(question.network.closed[relaxation.branch], CLOSED, OPEN).astype(np.int8)
    values = []
    for times in (1, 2, 4):
        found = relaxation.bound(status.copy(), None, times)
        values.append(found.value)
    assert values[0] <= values[1] + 1e-7
    assert values[1] <= values[2] + 1e-7
    assert values[2] - values[1] < values[1] - values[0]  # the fixed point converges


def test_weights_of_days_reach_the_robust_bound() -> None:
    question, pool = two_loops(1), ScenarioPool(HourTemplates(two_loops(1)))
    outcome = PeriodColumns(gap=1e-5).solve(question, pool=pool)
    relaxation = DayRelaxation(question, *_copies(question))
    status = np.where(question.network.closed[relaxation.branch], CLOSED, OPEN).astype(np.int8)
    mixed = worst_mixture(question, status, pool.days)
    for t in range(PERIODS):
        assert sum(w for c, w in zip(mixed.copies, mixed.weights, strict=True) if c.period == t) == pytest.approx(1.0)
    found = DayRelaxation(question, mixed.copies, mixed.weights).bound(status, None, 3)
    assert found.value <= outcome.upper_bound
    assert found.value >= outcome.lower_bound * (1.0 - 2e-3)
    one = mixture(pool.days[:1], np.ones(1))
    alone = DayRelaxation(question, one.copies, one.weights).bound(status, None, 3)
    assert alone.value <= found.value + 1e-4 * abs(found.value)
    stopped = worst_mixture(question, status, pool.days, lambda: True)
    early = DayRelaxation(question, stopped.copies, stopped.weights).bound(status, None, 3)
    assert early.value <= outcome.upper_bound


def test_the_search_finds_the_best_of_all_topologies() -> None:
    question = two_loops(1)
    outcome = DayTopologySearch(gap=1e-3).solve(question)
    pool = ScenarioPool(HourTemplates(question))
    all_ = [PeriodColumns(gap=2e-4).solve(question, closed=tree, pool=pool) for tree in all_trees(question)]
    best = min(all_, key=lambda each: each.upper_bound)
    assert outcome.termination is Termination.GAP
    assert outcome.lower_bound <= best.upper_bound
    assert outcome.upper_bound >= min(each.lower_bound for each in all_) - 1e-9
    assert outcome.upper_bound <= best.upper_bound * (1.0 + 1e-3)
    assert outcome.gap <= 1e-3
    assert (outcome.plan.closed == outcome.plan.closed[0]).all()
    bounds = [line.lower_bound for line in outcome.log]
    assert bounds == sorted(bounds)


def with_devices(question: DayQuestion) -> DayQuestion:
    """With a bank, a tap changer and a source whose voltage may be set, of two positions each."""
    places = {DeviceKind.BANK: (4, [0.0, 0.2]), DeviceKind.VOLTAGE: (0, [1.0, 1.04]), DeviceKind.TAP: (1, [1.0, 1.03])}
    devices = Devices(
        tuple(kind.name for kind in places),
        np.array([int(kind) for kind in places]),
        np.array([place for place, _ in places.values()]),
        tuple(np.array(values) for _, values in places.values()),
        np.zeros(len(places), dtype=np.int64),
        np.zeros(len(places), dtype=np.int64),
    )
    return replace(question, devices=devices, positions=Cadence.ONCE)


def test_bounds_and_plans_with_positions_are_those_of_the_best_positions() -> None:
    question = two_loops(0)
    moving = with_devices(question)
    expected = forecast(question.day)
    relaxation = DayRelaxation(moving, expected.copies, expected.weights)
    trees, days = all_trees(question)[::4], [np.ones((PERIODS, 2))]
    states = np.where(trees[:, relaxation.branch], CLOSED, OPEN).astype(np.int8)
    best = np.full(len(trees), np.inf)
    for positions in ([0, 0, 0], [1, 1, 1]):
        fixed = replace(question, network=with_positions(question.network, moving.devices, np.array(positions)))
        templates = HourTemplates(fixed)
        best = np.minimum(best, [cone_bound(fixed, tree, days, templates) for tree in trees])
    for value, state in zip(best, states, strict=True):
        found = relaxation.bound(state, None, 3)
        assert value * (1.0 - 1e-2) <= found.value <= value * (1.0 + 1e-6)
    outcome = DayTopologySearch().solve(moving)
    assert outcome.plan is not None
    assert outcome.gap <= 1e-3
    assert outcome.lower_bound <= best.min()
    assert outcome.upper_bound <= best.min() * (1.0 + 2e-3)


def test_locks_and_the_number_of_changes_are_kept() -> None:
    question = two_loops(0)
    today = question.network.closed
    outcome = DayTopologySearch().solve(replace(question, rules=replace(question.rules, max_changes=2)))
    assert (outcome.plan.closed[0] != today).sum() <= 2
    still = DayTopologySearch().solve(replace(question, rules=replace(question.rules, max_changes=0)))
    np.testing.assert_array_equal(still.plan.closed[0], today)
    third = replace(question.rules, must_close=today & (np.arange(7) == 2))
    kept = DayTopologySearch().solve(replace(question, rules=third))
    assert kept.plan.closed[0][2]
    assert still.lower_bound >= outcome.lower_bound * (1.0 - 2e-3)


def test_a_price_of_switch_operations_is_in_both_bounds() -> None:
    question = two_loops(0)
    free = DayTopologySearch().solve(question)
    assert free.plan is not None
    other = next(tree for tree in all_trees(question) if (tree != free.plan.closed[0]).any())
    moved = replace(question, network=replace(question.network, closed=other))
    dear = DayTopologySearch().solve(replace(moved, cost=replace(question.cost, change=1e3)))
    np.testing.assert_array_equal(dear.plan.closed[0], other)
    assert dear.gap <= 1e-3


def test_an_interrupted_search_keeps_its_bound() -> None:
    interrupt = Interrupt()
    interrupt.requested = True
    outcome = DayTopologySearch().solve(two_loops(0), None, Deadline(None, interrupt=interrupt))
    assert outcome.termination is Termination.INTERRUPTED
    assert np.isfinite(outcome.lower_bound)
    assert outcome.lower_bound <= outcome.upper_bound


def test_a_plan_with_todays_topology_is_there_early() -> None:
    """A search that ends before any exchange has a plan, whose worst case is verified."""
    question, interrupt = two_loops(1), Interrupt()

    def until_today(line: Iteration) -> None:
        interrupt.requested |= line.verdict == "today"

    cut = DayTopologySearch().solve(question, until_today, Deadline(None, interrupt=interrupt))
    assert cut.termination is Termination.INTERRUPTED
    np.testing.assert_array_equal(cut.plan.closed[0], question.network.closed)
    assert not cut.worst.violations.any()
    whole = DayTopologySearch().solve(question)
    assert cut.lower_bound <= whole.upper_bound * (1.0 + 1e-6)
    assert cut.upper_bound >= whole.lower_bound * (1.0 - 1e-6)


def test_nothing_is_compiled_once_the_time_is_up() -> None:
    question = two_loops(1)
    known = ScenarioPool(HourTemplates(question))
    cut = DayTopologySearch().solve(question, None, Deadline(0.0), pool=known)
    assert cut.termination is Termination.TIME
    assert cut.plan is None
    assert np.isfinite(cut.lower_bound)
    assert not known.templates._kept


def test_no_early_plan_with_a_topology_that_is_not_allowed() -> None:
    question = two_loops(0)
    locked = question.network.closed & question.network.switchable & (np.arange(question.network.n_conductors) > 0)
    must_open = np.zeros_like(locked)
    must_open[np.flatnonzero(locked)[0]] = True
    found = DayTopologySearch().solve(replace(question, rules=replace(question.rules, must_open=must_open)))
    assert not (found.plan.closed[0] & must_open).any()
    assert "today" not in [line.verdict for line in found.log]
    assert "today" in [line.verdict for line in DayTopologySearch().solve(question).log]


def test_bounds_of_opened_branches_are_those_of_one_after_another() -> None:
    """All at once, and each by itself at the multipliers of the same node; a cutoff leaves out second tries."""
    question = two_loops(1)
    relaxation = DayRelaxation(question, *_copies(question))
    status = first_status(question, relaxation)
    found = relaxation.bound(status, None, 2)
    at = np.flatnonzero(status == UNDECIDED)
    more = np.random.default_rng(0).normal(0.0, 1e-3, (2, len(at), *found.y.shape))
    together = relaxation.values_opened(status, found, at, more[0], more[1])
    alone = [relaxation.values_opened(status, found, at[k : k + 1], *more[:, k : k + 1])[0] for k in range(len(at))]
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    every = probe(relaxation, status, found)
    cutoff = float(np.median(every[at]))
    some = probe(relaxation, status, found, cutoff)
    np.testing.assert_allclose(some[every < cutoff], every[every < cutoff], rtol=1e-12)
    assert (some[every >= cutoff] >= cutoff * (1.0 - 1e-12)).all()


def test_loops_are_those_of_branches_that_are_not_open() -> None:
    question = two_loops(0)
    relaxation = DayRelaxation(question, *_copies(question))
    status = first_status(question, relaxation)
    found = {tuple(relaxation.branch[loop].tolist()) for loop in loops(relaxation, status)}
    assert {(1, 3, 6), (2, 4, 5, 6)} <= found
    status[relaxation.branch == 6] = OPEN
    assert {tuple(relaxation.branch[loop].tolist()) for loop in loops(relaxation, status)} == {(1, 2, 3, 4, 5)}


def test_branches_in_series_are_in_the_same_loops() -> None:
    """On random graphs: the loops found from one branch of each series are as short as those from every branch."""
    for seed in range(15):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(4, 9))
        tree = [(int(rng.integers(0, k)), k) for k in range(1, n)]
        more = [tuple(rng.choice(n, 2, replace=False).tolist()) for _ in range(int(rng.integers(1, 4)))]
        fr, to = (np.array(side) for side in zip(*tree, *more, strict=True))
        series = in_series(fr, to, np.arange(len(fr)))
        for a, b in itertools.combinations(range(len(fr)), 2):
            without_a, without_b = (bridges(fr, to, n, e) for e in (a, b))
            both_in_loops = not (without_a[a] or without_b[b])
            if both_in_loops and series[a] == series[b]:  # opening one leaves the other in no loop
                assert without_a[b]
                assert without_b[a]


def bridges(fr: np.ndarray, to: np.ndarray, n: int, opened: int) -> np.ndarray:
    """Whether a branch is in no loop, once another is open; of that one, whether it was in none before."""
    kept = [e for e in range(len(fr)) if e != opened]

    def joined(without: set[int]) -> bool:
        group = list(range(n))
        for e in range(len(fr)):
            if e not in without:
                old, new = group[fr[e]], group[to[e]]
                group = [new if g == old else g for g in group]
        return len(set(group)) == 1

    found = np.zeros(len(fr), dtype=np.bool_)
    for e in kept:
        found[e] = not joined({e, opened})
    found[opened] = not joined({opened})
    return found


def test_questions_that_it_does_not_answer() -> None:
    question = two_loops(0)
    with pytest.raises(OptionError, match="once"):
        DayTopologySearch().solve(replace(question, topology=Cadence.HOURLY))


def _copies(question: DayQuestion) -> tuple[tuple, np.ndarray]:  # type: ignore[type-arg]
    expected = forecast(question.day)
    return expected.copies, expected.weights
