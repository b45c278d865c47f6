"""What hardening knows of its recourse without solving it, generators included, against enumeration; rounded plans."""

import dataclasses
import itertools
import random
from collections.abc import Iterator
from functools import cache

import cvxpy as cp
import numpy as np
import pytest

from openpoint.grid import files
from openpoint.network import build_network
from openpoint.network.limits import Limits
from openpoint.solvers.base import Status
from openpoint.solvers.highs import HighsModel
from openpoint.studies.harden.model import Backup, BudgetRounding, HardenProgram
from openpoint.studies.harden.recourse_bounds import RestorationBounds
from openpoint.studies.harden.restoration import RestorationModel
from openpoint.twostage.methods.decomposition import Benders, ColumnAndConstraint
from openpoint.twostage.methods.solving import ExtensiveForm
from openpoint.twostage.program import RecourseBounds, objective_of
from openpoint.twostage.recourse.compile import compile_model
from openpoint.twostage.recourse.evaluation import Evaluation, RecourseSolver
from openpoint.twostage.recourse.mixed import MixedIntegerEvaluator, _monotone_cuts
from openpoint.twostage.risk import WorstCase
from openpoint.twostage.uncertainty import Budget, Scenarios, listed
from openpoint.twostage.workers.executors import InProcess
from tests.builders.disasters import A, B, C, brute_force, random_decision, random_program, zhang


def monotone_program(seed: int) -> HardenProgram:
    """A random program in which only branches that can be opened may be hardened, and a closed branch costs nothing."""
    rng = random.Random(seed)
    program = random_program(rng)
    lines = np.flatnonzero(~program.always_closed)
    program = dataclasses.replace(program, lines=lines, line_usd=program.line_usd[lines], closed_line_usd=0.0)
    broken = [[float(rng.random() < 0.5) for _ in range(len(program.always_closed))] for _ in range(2)]
    return dataclasses.replace(program, uncertainty=Scenarios(np.array(broken), np.full(2, 0.5)))


@cache
def sampled(seed: int) -> tuple[HardenProgram, np.ndarray, list[np.ndarray], np.ndarray]:
    """A program, its disasters, some decisions, and the exact cost of each in each disaster."""
    program = monotone_program(seed)
    rng = random.Random(seed + 1)
    disasters = listed(program.uncertainty)
    decisions = [np.zeros(len(program.costs)), *(random_decision(rng, program, 0.3) for _ in range(3))]
    exact = np.array([[brute_force(program, x, u) for u in disasters] for x in decisions])
    return program, disasters, decisions, exact


def test_bounds_enclose_and_slopes_hold_at_every_decision() -> None:
    """docs/methods.md M28."""
    closed = 0
    for seed in range(10):
        program, disasters, decisions, exact = sampled(seed)
        for x, costs in zip(decisions, exact):
            bounds = program.recourse_bounds(x, disasters)
            if not np.isfinite(costs).all():
                continue  # a source tied to limits that it breaks: no recourse, whatever is shed
            slack = 1e-6 * (1.0 + np.abs(costs))
            assert (bounds.lower <= bounds.least).all()
            assert (bounds.least <= costs + slack).all(), seed
            assert (bounds.upper >= costs - slack).all(), seed
            closed += int(np.sum(bounds.upper <= bounds.lower + slack))
            for other, there in zip(decisions, exact):
                said = bounds.lower + bounds.slope @ (other - x)
                assert (said <= there + 1e-6 * (1.0 + np.abs(there))).all(), seed
    assert closed >= 10  # it does not only hold, it often says all


def test_cuts_of_capped_flows_hold_at_every_decision() -> None:
    """docs/methods.md M28: made at decisions that are whole or fractional, whatever binds."""
    said = 0
    for seed in (*range(8), 274, 327):  # the last two may harden lines that stay open
        program, disasters, decisions, exact = sampled(seed)
        fractional = [np.random.default_rng(seed).random(len(program.costs)) * 0.5]
        for x in (*decisions, *fractional):
            found = program.relaxed_cuts(x, disasters)
            assert found is not None
            values, slopes = found
            for other, there in zip(decisions, exact):
                cut = values + slopes @ (other - x)
                assert (cut <= there + 1e-6 * (1.0 + np.abs(there))).all(), seed
            said += int((values > 0.0).sum())
    assert said >= 16


def tight_program(seed: int) -> HardenProgram:
    """A random program of loads alone whose voltages are the same everywhere and bind, so that trees say all."""
    rng = random.Random(seed)
    program = monotone_program(seed)
    while program.network.generator_names:
        seed += 1000
        program = monotone_program(seed)
    net = program.network
    n = net.n_terminals
    loads = np.array([complex(rng.uniform(0.2, 0.9), rng.uniform(-0.1, 0.4)) for _ in range(n)])
    net = dataclasses.replace(net, s_power=loads, tap=np.ones_like(net.tap), w_min=np.full(n, 0.9))
    net = dataclasses.replace(net, switchable=np.ones_like(net.switchable))
    lines = np.arange(net.n_conductors)
    some = np.zeros(0, dtype=np.int64)
    return dataclasses.replace(
        program, network=net, lines=lines, line_usd=np.full(len(lines), 100.0), buses=some, generator_usd=np.zeros(0)
    )


def test_all_spanning_trees_say_what_is_shed() -> None:
    closed = shed = 0
    for seed in range(15):
        program = tight_program(seed)
        nothing, disasters = np.zeros(len(program.costs)), listed(program.uncertainty)
        for broken in disasters:
            exact = brute_force(program, nothing, broken)
            lower, upper = program.better_bounds(nothing, broken)
            assert lower <= exact + 1e-6 * (1.0 + exact) <= upper + 2e-6 * (1.0 + exact), seed
            cut_off = program.recourse_bounds(nothing, broken[None, :]).lower[0]  # type: ignore[union-attr]
            shed += bool(exact > cut_off + 1e-3)
            closed += bool(upper - lower <= 1e-3 * (1.0 + exact))
    assert shed >= 5
    assert closed >= 20


def passive_program(seed: int) -> HardenProgram:
    """A program of loads alone as `tight_program`, of which none is capacitive, with taps beside the sources."""
    rng = random.Random(seed + 7)
    program = tight_program(seed)
    net = program.network
    p = [rng.uniform(0.2, 0.9) * rng.choice([0.3, 1.0]) * (rng.random() < 0.9) for _ in range(net.n_terminals)]
    loads = np.array([complex(each, each * rng.uniform(0.0, 1.2)) for each in p])
    source = [np.isin(end, net.source_terminal) for end in (net.terminal_fr, net.terminal_to)]
    tap = np.where(source[0] != source[1], [rng.choice([0.97, 1.0, 1.03]) for _ in net.tap], 1.0)
    net = dataclasses.replace(net, s_power=loads, tap=tap, w_min=np.full(net.n_terminals, rng.choice([0.7, 0.8, 0.9])))
    return dataclasses.replace(program, network=net)


def test_a_program_over_trees_says_what_is_shed() -> None:
    """docs/methods.md M28: also where taps beside the sources raise or lower voltages, seen from either end."""
    closed = shed = 0
    for seed in (*range(8), 52, 68, 98, 199):  # of 68, buses without service may feed each other in a loop
        program = passive_program(seed)
        nothing, disasters = np.zeros(len(program.costs)), listed(program.uncertainty)
        restoration_bounds = program._restoration_bounds
        assert restoration_bounds.has_program
        for broken in disasters:
            exact = brute_force(program, nothing, broken)
            slack = 1e-6 * (1.0 + exact)
            known = program.recourse_bounds(nothing, broken[None, :])
            assert known is not None
            assert known.least[0] <= exact + slack <= known.upper[0] + 2.0 * slack, seed
            whole = ~(broken > 0.5)
            if not (restoration_bounds._part_of(whole)[program.network.inner] == 0).any():
                continue
            lower = restoration_bounds._by_program(whole, np.inf, 0.0)
            upper = program.recourse_bounds(nothing, broken[None, :]).upper[0]  # type: ignore[union-attr]
            assert exact * (1.0 - 1e-4) - 1e-2 <= lower <= exact + slack <= upper + 2.0 * slack, seed
            shed += bool(exact > known.lower[0] + 1e-3)
            closed += bool(upper - lower <= 1e-3 * (1.0 + exact))
    assert shed >= 4
    assert closed >= 5


def test_a_program_over_trees_never_says_too_much_where_buses_feed_in() -> None:
    """docs/methods.md M28: infeed raises voltages, takes off what paths carry, and may be shed."""
    shed = near = 0
    for seed in range(24):
        program = passive_program(seed)
        rng = random.Random(seed)
        feeds = np.array([rng.random() < 0.3 for _ in range(program.network.n_terminals)])
        power = program.network.s_power * np.where(feeds, -rng.choice([0.1, 0.5, 1.5]), 1.0)
        program = dataclasses.replace(program, network=dataclasses.replace(program.network, s_power=power))
        nothing, disasters = np.zeros(len(program.costs)), listed(program.uncertainty)
        restoration_bounds = program._restoration_bounds
        for broken in disasters:
            whole = ~(broken > 0.5)
            inside = restoration_bounds._part_of(whole)[program.network.inner] == 0
            if not (inside.any() and restoration_bounds.has_program):
                continue
            exact = brute_force(program, nothing, broken)
            lower = restoration_bounds._by_program(whole, np.inf, 0.0)
            slack = 1e-6 * (1.0 + exact)
            assert lower <= exact + slack <= restoration_bounds._above(whole[None, :])[0] + 2.0 * slack, seed
            shed += bool(exact > restoration_bounds._below(whole, nothing, nothing.copy()) + 1e-3)
            near += bool(lower >= exact * (1.0 - 1e-4) - 1e-2)
    assert shed >= 4
    assert near >= 4


def test_a_search_over_trees_agrees_with_all_of_them() -> None:
    """docs/methods.md M28: on 33 buses, where chains are long, and leaves hang at them."""
    network = Limits(v_min_pu=0.93).applied(build_network(files.load("baran33")))
    n, e = network.n_terminals, network.n_conductors
    rng, none, shed = random.Random(3), np.zeros(0, dtype=np.int64), 0
    for _ in range(20):
        whole = np.ones(e, dtype=np.bool_)
        whole[rng.sample(range(e), 3)] = False
        all_trees, search = (
            RestorationBounds(network, np.arange(e), none, (0.0, 0.0), np.zeros(0), np.full(n, 14.0), 0)
            for _ in range(2)
        )
        best = all_trees._by_trees(whole, 2_000)
        if best > all_trees._below(whole, np.zeros(e), np.zeros(e)) + 1e-3:
            found = search._by_program(whole, np.inf, 0.0)
            assert found == pytest.approx(best, rel=2e-5, abs=1e-4)
            assert search._above(whole[None, :])[0] == pytest.approx(best, rel=1e-4)
            shed += 1
    assert shed >= 3


def test_a_search_over_trees_finds_the_tree_of_its_bound() -> None:
    """On 118 buses, where much hangs along the chains that are open."""
    network = Limits(v_min_pu=0.9).applied(build_network(files.load("zhang118")))
    n, e = network.n_terminals, network.n_conductors
    none, whole = np.zeros(0, dtype=np.int64), np.ones(e, dtype=np.bool_)
    whole[[76, 99]] = False
    search = RestorationBounds(network, np.arange(e), none, (0.0, 0.0), np.zeros(0), np.full(n, 14.0), 0)
    bound = search._by_program(whole, 800, 0.0025)
    assert 0.0 < bound <= search._above(whole[None, :])[0] <= bound * 1.003


def test_a_limit_ends_the_bounds_of_many_disasters_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    program = monotone_program(0)
    disasters = np.tile(listed(program.uncertainty), (300, 1))
    seconds, below = [0.0], RestorationBounds._below

    def slow(self: RestorationBounds, *args: np.ndarray) -> float:
        seconds[0] += 0.005
        return below(self, *args)

    monkeypatch.setattr(RestorationBounds, "_below", slow)
    found = program.recourse_bounds(np.zeros(len(program.costs)), disasters, lambda: seconds[0] > 1.0)
    assert 1.0 < seconds[0] <= 1.2
    assert np.isfinite(found.upper).all()
    assert (found.lower <= found.upper).all()


def test_cuts_are_exact_where_made_and_hold_elsewhere() -> None:
    """docs/methods.md M29."""
    for seed in range(10):
        program, disasters, decisions, exact = sampled(seed)
        for x, costs in zip(decisions, exact):
            bounds = program.recourse_bounds(x, disasters)
            if bounds is None or not np.isfinite(costs).all():
                continue
            for finding in _monotone_cuts(x, disasters, costs, bounds, 0.0):
                k, response = finding.k, finding.response
                assert response.value == costs[k]
                for other, there in zip(decisions, exact):
                    said = response.value + float(response.slope @ (other - x))
                    assert said <= there[k] + 1e-6 * (1.0 + abs(there[k])), seed


def test_a_study_without_an_outlook_has_none() -> None:
    program = zhang(A, B, odds=(0.5, 0.5))
    assert program.recourse_bounds(np.zeros(len(program.costs)), listed(program.uncertainty)) is None


def test_methods_agree_with_and_without_the_outlook(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the 13-bus grid: expectation over three disasters, and any two broken lines of six."""
    few = zhang(A, B, C, odds=(0.5, 0.3, 0.2), closed_line_usd=0.0, max_lines=2, max_generators=1)
    e = few.network.n_conductors
    attack = Budget(np.zeros(e), np.zeros(e), 1.0 * (np.arange(e) < 6), 2, whole=True)
    any_two = dataclasses.replace(few, uncertainty=attack, risk=WorstCase())
    with_it = [method.solve(few) for method in (Benders(relaxation=False), ColumnAndConstraint())]
    attacked = ColumnAndConstraint().solve(any_two)
    monkeypatch.setattr(HardenProgram, "recourse_bounds", lambda *_: None)
    without = ColumnAndConstraint().solve(few)
    oracle = ExtensiveForm(solver="highs").solve(few)
    for outcome in (*with_it, without):
        assert outcome.upper_bound == pytest.approx(oracle.upper_bound, rel=2e-4)
        assert outcome.lower_bound <= oracle.upper_bound * (1 + 1e-6)
    plain = ColumnAndConstraint(gap=0.01).solve(any_two)
    assert plain.lower_bound * (1 - 1e-6) <= attacked.upper_bound <= plain.upper_bound * (1 + 1e-6)


def test_trees_serve_every_disaster_that_spares_them() -> None:
    """The second look at the same disasters searches no more."""
    program = zhang(A, B, C, odds=(0.5, 0.3, 0.2), closed_line_usd=0.0)
    restoration_bounds = RestorationBounds(
        program.network, program.lines, program.buses, (0.1, 0.0), program.root_w, np.full(13, 14.0 * 1000), 1
    )
    disasters = listed(program.uncertainty)
    first: RecourseBounds = restoration_bounds.recourse_bounds(np.zeros(len(program.costs)), disasters)
    second: RecourseBounds = restoration_bounds.recourse_bounds(np.zeros(len(program.costs)), disasters)
    np.testing.assert_array_equal(first.upper, second.upper)
    np.testing.assert_allclose(first.upper, first.lower)


@pytest.mark.parametrize("piece", [1, 2, 1000])
def test_what_is_stopped_knows_looser_bounds(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openpoint.studies.harden.recourse_bounds.PIECE", piece)
    program = zhang(A, B, C, odds=(0.5, 0.3, 0.2), closed_line_usd=0.0)
    nothing, disasters = np.zeros(len(program.costs)), listed(program.uncertainty)
    stopped = program.recourse_bounds(nothing, disasters, lambda: True)
    whole = program.recourse_bounds(nothing, disasters)
    np.testing.assert_array_equal(stopped.lower, np.where(np.arange(3) < piece - 1, whole.lower, 0.0))
    assert stopped.may_improve[piece - 1 :].all()
    assert np.isfinite(stopped.upper).all()
    assert (stopped.upper > whole.upper * (1.0 + 1e-9)).any()


def test_branches_of_a_quick_restoration_serve_at_the_cost_that_is_known() -> None:
    program = zhang(A, B, C, odds=(0.5, 0.3, 0.2), closed_line_usd=0.0)
    model = RestorationModel(program)
    nothing, disasters = np.zeros(len(program.costs)), listed(program.uncertainty)
    known = program.recourse_bounds(nothing, disasters)
    for upper, broken in zip(known.upper, disasters):
        tree = program.tree(nothing, broken)
        assert not (tree & (broken > 0.5)).any()
        quick, least = model.plan(nothing, broken, tree=tree), model.plan(nothing, broken)
        assert least.cost_usd - 1e-6 <= quick.cost_usd <= upper + 1e-6
        assert not (quick.closed & ~tree).any()
        assert quick.bound_usd <= least.cost_usd + 1e-6


def program_of(seed: int, count: int) -> tuple[HardenProgram, random.Random]:
    """A random program of 4 buses that may buy so many generators, with two disasters, of which cuts say something."""
    rng = random.Random(seed)
    program = random_program(rng)
    while program.network.n_terminals != 4:
        program = random_program(rng)
    lines = np.flatnonzero(~program.always_closed)
    broken = [[float(rng.random() < 0.3) for _ in program.always_closed] for _ in range(2)]
    program = dataclasses.replace(
        program,
        lines=lines,
        line_usd=program.line_usd[lines],
        uncertainty=Scenarios(np.array(broken), np.full(2, 0.5)),
        closed_line_usd=0.0,
        max_generators=count,
    )
    return program, rng


def least(program: HardenProgram, decision: np.ndarray, broken: np.ndarray) -> float:
    stage = program.recourse(cp.Constant(decision), cp.Constant(broken), limits=True)
    answer = HighsModel(compile_model(stage.cost, stage.constraints, stage.integers)).solve(integral=True)
    return np.inf if answer.status is Status.INFEASIBLE else answer.value


def placed(program: HardenProgram, decision: np.ndarray, allowed: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """The decision with every choice of at most so many generators at the places that are allowed, (G)."""
    count = len(program.lines)
    for number in range(most + 1):
        for places in itertools.combinations(np.flatnonzero(allowed), number):
            x = decision.copy()
            x[count + np.array(places, dtype=int)] = 1.0
            yield x


def bought_lines(program: HardenProgram, rng: random.Random, share: float = 0.3) -> np.ndarray:
    x = np.zeros(len(program.costs))
    x[: len(program.lines)] = [float(rng.random() < share) for _ in program.lines]
    return x


def program_with_places(seed: int) -> HardenProgram:
    """A program of loads alone, as `passive_program`, with places for backup generators of a random size."""
    rng = random.Random(seed + 31)
    program = passive_program(seed)
    net = program.network
    buses = np.setdiff1d(np.arange(net.n_terminals), net.source_terminal)
    broken = np.array([[float(rng.random() < share) for _ in range(net.n_conductors)] for share in (0.15, 0.35)])
    return dataclasses.replace(
        program,
        buses=buses,
        generator_usd=np.full(len(buses), 100.0),
        max_generators=rng.choice((1, 2, 2, 3)),
        backup=Backup(rng.choice((20.0, 60.0, 150.0, 400.0)), rng.choice((0.0, 20.0, 60.0, 150.0))),
        uncertainty=Scenarios(broken, np.full(2, 0.5)),
    )


def test_all_trees_say_what_generators_save_at_every_place() -> None:
    """docs/methods.md M30: in one part with a source, in parts without, in islands, and any two or three of them."""
    lost = exact = closed = 0
    for seed in range(9, 14):
        program = program_with_places(seed)
        x = bought_lines(program, random.Random(seed), 0.2)
        disasters = listed(program.uncertainty)
        without = np.array([brute_force(program, x, u) for u in disasters])
        found, cut_off = program.added_bounds(x, disasters, without), program.recourse_bounds(x, disasters)
        assert found is not None
        assert cut_off is not None
        savings = found.savings(without)
        for number in range(1, program.generators_most + 1):
            for places in itertools.combinations(range(len(program.buses)), number):
                added = x.copy()
                added[len(program.lines) + np.array(places)] = 1.0
                for k, u in enumerate(disasters):
                    cost = brute_force(program, added, u)
                    slack = 1e-5 * (1.0 + cost)
                    least = max(found.more[k, number], found.recourse[k, places[0], places[-1]] if number < 3 else 0.0)
                    assert least <= cost + slack, seed
                    assert without[k] - savings[k, list(places)].sum() <= cost + slack, seed
                    lower, upper = program.better_bounds(added, u)
                    assert lower <= cost + slack, seed
                    assert cost <= upper + slack, seed
                    if without[k] > cut_off.lower[k] + 1.0:  # else nothing is shed for limits
                        lost += 1
                        exact += bool(least >= cost - 1e-3 * (1.0 + cost))
                        closed += bool(upper - lower <= 1e-3 * (1.0 + cost))
    assert lost >= 15
    assert exact >= 5
    assert closed >= 2


def test_places_without_a_generator_can_be_left_out() -> None:
    smaller = 0
    for seed in range(8):
        program, rng = program_of(seed, 2)
        x, broken = bought_lines(program, rng), program.uncertainty.values[1]
        x[len(program.lines) :] = [float(rng.random() < 0.4) for _ in program.buses]
        within = program.reduced_program(x)
        if within is not None:
            smaller += 1
            found = least(within.program, within.decision, broken)
            assert found == pytest.approx(brute_force(program, x, broken), rel=1e-6, abs=1e-3), seed
    assert smaller >= 4
    assert program.reduced_program(np.ones(len(program.costs))) is None


def appraised(program: HardenProgram, x: np.ndarray) -> Evaluation:
    with InProcess().open() as workers:
        evaluator = MixedIntegerEvaluator(program, objective_of(program), RecourseSolver(program, workers), 1e-7)
        found = evaluator.evaluate(x, again=True)
    assert found is not None
    return found


def test_a_disaster_that_was_searched_long_waits_for_those_that_were_not() -> None:
    program = tight_program(0)
    with InProcess().open() as workers:
        evaluator = MixedIntegerEvaluator(program, objective_of(program), RecourseSolver(program, workers), 1e-7)
    nothing, keys = np.zeros(len(program.costs)), [b"long", b"never"]
    evaluator._times[b"long"] = 2
    bounds = np.zeros(2), np.array([3.0, 1.0])  # 16 times the work, but 3 times the difference
    orders = [
        evaluator._next_to_solve(nothing, *bounds, np.zeros(2, dtype=np.bool_), keys, searched=searched).tolist()
        for searched in (False, True)
    ]
    assert orders == [[0, 1], [1, 0]]


@pytest.mark.parametrize("count", [1, 2])
def test_cuts_that_know_what_generators_save_hold_at_every_place(count: int) -> None:
    said = 0
    for seed in (9, 11):
        program, rng = dataclasses.replace(program_with_places(seed), max_generators=count), random.Random(seed)
        disasters = listed(program.uncertainty)
        x = bought_lines(program, rng, 0.2)
        if not np.isfinite([brute_force(program, x, u) for u in disasters]).all():
            continue
        findings = appraised(program, x).findings
        bounds = program.recourse_bounds(x, disasters)
        assert bounds is not None
        others = [*placed(program, x, np.ones(len(program.buses)), count)]
        others = others[count - 1 :: count]
        others += [each for _ in "ab" for each in placed(program, bought_lines(program, rng), np.ones(1), 1)]
        for other in others:
            there = [brute_force(program, other, u) for u in disasters]
            for finding in findings:
                cut = finding.response.value + float(finding.response.slope @ (other - x))
                assert cut <= there[finding.k] + 1e-6 * (1.0 + abs(there[finding.k])), seed
        for finding in findings:  # a generator saves less than all that is known to be lost
            rest = finding.response.value - bounds.lower[finding.k]
            mine = finding.response.slope[len(program.lines) :][bounds.may_improve[finding.k][len(program.lines) :]]
            said += bool(rest > 1e-3 and (mine > -rest + 1e-3).any())
    assert said >= 1


def any_two(**options: object) -> HardenProgram:
    program = zhang(A, B, C, odds=(0.5, 0.3, 0.2), closed_line_usd=0.0, max_lines=2, **options)
    e = program.network.n_conductors
    attack = Budget(np.zeros(e), np.zeros(e), np.ones(e), 2, whole=True)
    return dataclasses.replace(program, uncertainty=attack, risk=WorstCase())


def test_a_plan_with_generators_is_never_worse_than_the_best_without() -> None:
    """However early the search for places is stopped: the search without generators comes first."""
    without = ColumnAndConstraint().solve(any_two(max_generators=0))
    few = len([line for line in without.log if not line.interim])
    stopped = ColumnAndConstraint(max_iterations=few + 1).solve(any_two(max_generators=1))
    assert stopped.upper_bound <= without.upper_bound * (1 + 1e-9)
    assert stopped.lower_bound <= stopped.upper_bound
    whole = ColumnAndConstraint().solve(any_two(max_generators=1)).upper_bound
    for line in stopped.log[:few]:  # a bound of the search without generators is none of the whole
        assert line.lower_bound <= whole * (1 + 1e-6)


@pytest.mark.parametrize("count", [1, 2])
def test_methods_agree_where_generators_may_be_bought(count: int) -> None:
    for seed in range(200, 202):
        program, _ = program_of(seed, count)
        oracle = ExtensiveForm(solver="highs").solve(program)
        if oracle.decision is None:
            continue  # a source tied to limits that it breaks
        found = ColumnAndConstraint().solve(program)
        assert found.upper_bound == pytest.approx(oracle.upper_bound, rel=2e-4, abs=1e-3), seed
        assert found.lower_bound <= oracle.upper_bound * (1 + 1e-6) + 1e-3, seed


@pytest.mark.parametrize(
    ("lines", "generators", "budget"), [(None, None, None), (2, 1, None), (None, None, 900.0), (3, 0, 1300.0)]
)
def test_rounded_plans_keep_to_numbers_and_money(
    lines: int | None, generators: int | None, budget: float | None
) -> None:
    costs = np.array([400.0] * 6 + [150.0] * 4)
    rounding = BudgetRounding(costs, 6, lines, generators, budget)
    plans = list(rounding.plans(np.random.default_rng(1).random(10), 30))
    assert len({plan.tobytes() for plan in plans}) == len(plans) > 1
    for plan in plans:
        assert set(plan) <= {0.0, 1.0}
        assert lines is None or plan[:6].sum() <= lines
        assert generators is None or plan[6:].sum() <= generators
        assert budget is None or costs @ plan <= budget
