"""Switching over several periods against all plans of small grids, and on built-in grids."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import OptionError
from openpoint.grid import files
from openpoint.network import build_network
from openpoint.network.freedom import SwitchingRules
from openpoint.network.operating_cost import least_loss
from openpoint.search.switching.problem import SinglePeriods, SwitchingOutcome, SwitchingProblem
from openpoint.search.switching.searches import JointSearch, PeriodSearch, Wanted
from openpoint.search.switching.solve import solve_switching
from openpoint.search.switching.states import best_plan, operations
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.interrupt import Interrupt
from openpoint.twostage.log import Iteration, Termination
from tests.builders.grids import all_topologies
from tests.search.random_grids import random_grid

KINDS: list[tuple[str, ...]] = [
    (),
    ("locks",),
    ("low",),
    ("ratings", "locks"),
    ("shunts", "ratios"),
    ("generation", "high"),
]


def random_problem(seed: int, kind: tuple[str, ...]) -> tuple[SwitchingProblem, Bools, Floats]:
    """Two to five periods with loads that differ, all radial states and (T, K) their weighted values."""
    rng = np.random.default_rng(seed)
    network = random_grid(rng, kind)
    periods = int(rng.integers(2, 6))
    factors = rng.uniform(0.1, 1.3, (periods, network.n_terminals))
    networks = tuple(replace(network, s_power=network.s_power * factor) for factor in factors)
    weights, before = rng.uniform(0.5, 2.0, periods), network.closed if rng.random() < 0.5 else None
    price = float(rng.choice([0.0, 0.0, 1e-4, 1e-3]))
    rules = SwitchingRules.of(network, None if rng.random() < 0.2 else int(rng.integers(0, 7)), price)
    problem = SwitchingProblem(networks, weights, rules, before=before)
    states = all_topologies(network)
    values = np.full((periods, len(states)), np.inf)
    for t, each in enumerate(networks):
        if len(states):
            search = PeriodSearch(each, SwitchingRules.of(network))
            values[t] = problem.weights[t] * search.values(states)
    return problem, states, values


def cost_of(problem: SwitchingProblem, plan: Bools, values: Floats) -> float:
    """Cost of a plan, inf where it has too many operations."""
    done = int(operations(plan, problem.before).sum())
    most, price = problem.rules.max_changes, problem.rules.change_cost
    return float(values.sum()) + price * done if most is None or done <= most else math.inf


def best_of(problem: SwitchingProblem, states: Bools, values: Floats) -> tuple[float, Ints | None]:
    """The plan of least value out of states."""
    rules = problem.rules
    return best_plan(states, values, before=problem.before, change=rules.change_cost, most=rules.max_changes)


@given(st.integers(0, 2**32 - 1))
def test_dynamic_programming_equals_all_sequences(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem, states, values = random_problem(seed, ())
    some = rng.permutation(len(states))[:5]
    states, values = states[some], values[:4, some]
    values[rng.random(values.shape) < 0.2] = np.inf
    problem = replace(problem, networks=problem.networks[:4], weights=problem.weights[:4])
    every = itertools.product(range(len(states)), repeat=len(values))
    costs = {each: cost_of(problem, states[list(each)], values[range(len(values)), each]) for each in every}
    best = min(costs.values(), default=math.inf)
    value, chosen = best_plan(
        states, values, before=problem.before, change=problem.rules.change_cost, most=problem.rules.max_changes
    )
    assert value == pytest.approx(best, rel=1e-12)
    assert (chosen is None) == math.isinf(best)
    assert chosen is None or costs[tuple(chosen.tolist())] == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "+".join(kind) or "plain")
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_equals_brute_force(kind: tuple[str, ...], seed: int) -> None:
    """docs/methods.md M39."""
    problem, states, values = random_problem(seed, kind)
    try:
        found = solve_switching(problem, gap=1e-6)
    except OptionError:
        return  # voltages without limit
    best, _ = best_plan(
        states, values, before=problem.before, change=problem.rules.change_cost, most=problem.rules.max_changes
    )
    assert found.lower_bound <= best + 1e-9 * abs(best) or math.isinf(best)
    if math.isinf(best):
        assert found.closed is None
        return
    assert found.termination is Termination.GAP
    assert found.upper_bound == pytest.approx(best, rel=2e-6, abs=1e-12)
    check(problem, found)


def check(problem: SwitchingProblem, found: SwitchingOutcome) -> None:
    """A plan is what it says to be."""
    assert found.values is not None
    assert cost_of(problem, found.closed, found.values) == pytest.approx(found.upper_bound, rel=1e-9, abs=1e-12)
    assert not (problem.rules.must_close & ~found.closed).any()
    assert not (problem.rules.must_open & found.closed).any()


def of_classes(name: str, periods: int = 4, most: int | None = None, **given: object) -> SwitchingProblem:
    """A built-in grid whose loads of three classes have their peaks one after another."""
    network = build_network(files.load(name))
    n = network.n_terminals
    network = network.with_limits(
        w_min=np.zeros(n), w_max=np.full(n, np.inf), l_max=np.full(network.n_conductors, np.inf)
    )
    kind = (np.arange(n) * 6 // n) % 3
    networks = tuple(
        replace(network, s_power=network.s_power * np.where(kind == t % 3, 1.0, 0.3 + 0.1 * t)) for t in range(periods)
    )
    none = np.zeros(network.n_conductors, dtype=np.bool_)
    rules, weights = SwitchingRules(none, none, most), np.full(periods, network.s_base_kva)
    return SwitchingProblem(networks, weights, rules, **given)  # type: ignore[arg-type]


def test_bounds_fall_with_the_number_of_operations() -> None:
    found = [solve_switching(of_classes("baran33", most=most)) for most in (0, 2, 4, 8, None)]
    for each in found:
        assert each.termination is Termination.GAP
        assert each.gap <= 1e-4
    for fewer, more in itertools.pairwise(found):
        assert more.lower_bound <= fewer.upper_bound
        assert more.upper_bound <= fewer.upper_bound * (1.0 + 1e-4)
    first, last = found[0], found[-1]
    assert (first.closed == first.closed[0]).all()
    alone = of_classes("baran33")
    values = []
    for network, weight in zip(alone.networks, alone.weights, strict=True):
        search = PeriodSearch(network, alone.rules)
        values.append(weight * search.below(Wanted(prices=np.zeros(network.n_conductors), threshold=1.0)).values.min())
    assert last.upper_bound == pytest.approx(sum(values), rel=1e-4)


def test_all_states_below_a_threshold_are_found() -> None:
    network = of_classes("civanlar16").networks[1]
    states = all_topologies(network)
    rng = np.random.default_rng(0)
    none = np.zeros(network.n_conductors, dtype=np.bool_)
    search = PeriodSearch(network, SwitchingRules(none, none))
    loss = search.values(states)
    for prices in (np.zeros(len(none)), *rng.normal(0.0, 0.01, (4, len(none)))):
        value = loss + states @ prices
        threshold = float(np.quantile(value[np.isfinite(value)], 0.3))
        found = search.below(Wanted(prices=prices, threshold=threshold, every=True))
        assert found.complete
        assert sorted(map(bytes, found.states)) == sorted(map(bytes, states[value < threshold]))
        best = search.below(Wanted(prices=prices, threshold=math.inf))
        assert best.values.min() == pytest.approx(value.min(), rel=1e-9)
        assert best.lower_bound == pytest.approx(value.min(), rel=1e-8)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "+".join(kind) or "plain")
@given(st.integers(0, 2**32 - 1))
@example(5000)  # what must be closed is a loop by itself
@settings(max_examples=8, deadline=None)
def test_states_that_serve_all_periods_are_those_of_all_states(kind: tuple[str, ...], seed: int) -> None:
    problem, states, values = random_problem(seed, kind)
    rng = np.random.default_rng(seed)
    rules = SwitchingRules.of(problem.networks[0])
    try:
        searches = [PeriodSearch(network, rules) for network in problem.networks]
    except OptionError:
        return  # voltages without limit
    scale = float(np.abs(values[np.isfinite(values)]).mean()) if np.isfinite(values).any() else 1.0
    prices = rng.choice([0.0, 0.2]) * scale * rng.standard_normal(states.shape[1])
    priced = values.sum(axis=0) + states @ prices
    kept = priced[np.isfinite(priced)]
    least = np.where(np.isfinite(values), values, math.inf).min(axis=1, initial=1.0) * (1.0 - 1e-9)
    threshold = float(np.quantile(kept, rng.random())) + 1e-9 * scale if len(kept) else scale
    wanted = Wanted(prices=prices, threshold=threshold, least=least, every=True)
    below = JointSearch(searches, problem.weights, wanted).below()
    assert below.complete
    assert {s.tobytes() for s in below.states} == {s.tobytes() for s in states[priced < threshold]}
    assert np.sort(below.values) == pytest.approx(np.sort(priced[priced < threshold]), rel=1e-9, abs=1e-12)
    if len(kept):
        closed = states[int(np.argmin(priced))] & (rng.random(states.shape[1]) < 0.3)
        wanted = Wanted(prices=prices, threshold=float(kept.max()) + scale, least=least)
        with_given = replace(wanted, given=(closed, np.zeros_like(closed)))
        best = JointSearch(searches, problem.weights, with_given).below()
        assert best.values.min() == pytest.approx(kept.min(), rel=1e-9, abs=1e-12)
        assert best.lower_bound == pytest.approx(kept.min(), rel=1e-6, abs=1e-9)
        short = JointSearch(searches, problem.weights, replace(wanted, most_nodes=1)).below()
        assert short.lower_bound <= kept.min() + 1e-12


def test_operations_count_from_today_and_cost() -> None:
    problem = of_classes("baran33", most=6)
    today = problem.networks[0].closed
    found = solve_switching(replace(problem, before=today))
    assert found.termination is Termination.GAP
    assert 0 < found.operations.sum() <= 6
    dear = solve_switching(
        replace(problem, before=today, rules=replace(problem.rules, max_changes=None, change_cost=1e6))
    )
    assert dear.closed is not None
    assert (dear.closed == today).all()


def test_stops_with_the_best_plan_and_a_bound() -> None:
    problem, interrupt = of_classes("baran33", most=2), Interrupt()

    def told(line: Iteration) -> None:
        interrupt.requested = line.number >= 2

    found = solve_switching(problem, gap=0.0, progress=told, deadline=Deadline(interrupt=interrupt))
    assert found.termination is Termination.INTERRUPTED
    check(problem, found)
    assert 0.0 < found.lower_bound <= found.upper_bound


def test_states_are_evaluated_in_pieces_so_that_the_limit_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, clock, piece = of_classes("baran33", most=2), [0.0], 10
    size = problem.networks[0].n_terminals * problem.periods
    monkeypatch.setattr("openpoint.search.switching.states.PIECE", piece * size)
    estimated = SinglePeriods.estimated

    def slow(self: SinglePeriods, t: int, states: Bools) -> tuple[Floats, Bools]:
        clock[0] += len(states) / problem.periods
        return estimated(self, t, states)

    monkeypatch.setattr(SinglePeriods, "estimated", slow)
    whole = solve_switching(problem, gap=0.0, deadline=Deadline(clock=lambda: clock[0]))
    evaluated = clock[0]
    assert evaluated > 20 * piece
    for share in (0.1, 0.6):
        clock[0] = 0.0
        found = solve_switching(problem, gap=0.0, deadline=Deadline(share * evaluated, clock=lambda: clock[0]))
        assert found.termination is Termination.TIME
        assert clock[0] <= share * evaluated + 2 * piece
        check(problem, found)
        assert found.lower_bound <= whole.upper_bound * (1.0 + 1e-9)


def test_names_what_it_cannot_do() -> None:
    problem = of_classes("baran33")
    with pytest.raises(OptionError, match=r"price of every period.*-1 operations"):
        replace(problem, weights=np.zeros(4), rules=replace(problem.rules, max_changes=-1))
    tight = tuple(replace(network, w_min=np.full(network.n_terminals, 0.99)) for network in problem.networks)
    found = solve_switching(replace(problem, networks=(*problem.networks[:2], tight[2], tight[3])))
    assert found.termination is Termination.INFEASIBLE
    assert found.infeasible == 2
    assert math.isinf(found.lower_bound)


def test_prices_of_sources_count() -> None:
    problem = of_classes("civanlar16", periods=3, most=4)
    network = problem.networks[0]
    sources = np.linspace(1.0, 1.2, len(network.source_terminal))
    plain = least_loss(0, len(sources), network.n_conductors)
    problem = replace(problem, costs=tuple(replace(plain, loss=0.0, source=sources) for _ in range(3)))
    states = all_topologies(network)
    values = np.stack(
        [
            weight * PeriodSearch(each, replace(problem.rules, max_changes=None), cost).values(states)
            for each, weight, cost in zip(problem.networks, problem.weights, problem.costs or (), strict=True)
        ]
    )
    best, _ = best_plan(states, values, before=None, change=0.0, most=4)
    assert solve_switching(problem, gap=1e-6).upper_bound == pytest.approx(best, rel=1e-6)
