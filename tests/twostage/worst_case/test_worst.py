"""The worst realisation of a set against all vertices; realisations drawn are uniform in their set."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace

import cvxpy as cp
import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination
from openpoint.twostage.methods.decomposition import ColumnAndConstraint
from openpoint.twostage.program import Goal, SecondStage
from openpoint.twostage.recourse.compile import template_of
from openpoint.twostage.recourse.evaluation import RecourseSolver
from openpoint.twostage.risk import WorstCase
from openpoint.twostage.uncertainty import Box, Budget, Certain, Scenarios, Uncertainty, _eulerian, _order, draw, listed
from openpoint.twostage.workers.executors import InProcess, Processes
from openpoint.twostage.worst_case import worst as linear_worst_module
from openpoint.twostage.worst_case import worst as worst_module
from openpoint.twostage.worst_case.separation import LinearRecourse, starting_points, vertex_along, worst_by_policy
from openpoint.twostage.worst_case.worst import (
    VERTICES_AT_ONCE,
    EvaluatedRealisation,
    LinearWorst,
    decided,
    linear_worst,
)
from tests.twostage.depots import Depots, depots


def uncertain(seed: int, kind: str) -> Depots:
    """Depots before a box or a budget around their mean demand; towns may not be short in odd seeds."""
    program = depots(seed)
    values = listed(program.uncertainty)
    mean, half = values.mean(axis=0), 0.6 * (values.max(axis=0) - values.min(axis=0))
    chosen: Uncertainty = Box(mean - half, mean + half)
    if kind == "budget":
        chosen = Budget(mean, half, half, 2)
    return replace(program, uncertainty=chosen, risk=WorstCase(), short_most=0.5 if seed % 2 else None)


def separation(program: Depots) -> LinearWorst:
    with InProcess().open() as workers:
        recourse = RecourseSolver(program, workers)
        found = linear_worst(recourse, len(program.fixed), program.uncertainty.polyhedral())  # type: ignore[union-attr]
    assert found is not None
    return found


def by_vertices(worst: LinearWorst, decision: np.ndarray, vertices: np.ndarray) -> EvaluatedRealisation | None:
    with InProcess().open() as workers:
        return worst.by_vertices(decision, vertices, workers)


@pytest.mark.parametrize("kind", ["box", "budget"])
def test_climbing_with_proof_equals_all_vertices(kind: str) -> None:
    kept = 0
    for seed in range(4):
        program = uncertain(seed, kind)
        worst, vertices = separation(program), listed(program.uncertainty)
        for decision in program.decisions()[seed % 2 :: 2]:
            exact, climbed = by_vertices(worst, decision, vertices), worst.by_climbing(decision)
            assert climbed is not None
            if np.isfinite(exact[0]):
                kept += 1
                assert climbed[0] >= exact[0] - 1e-6  # a bound, and here what an affine policy attains is close
                assert climbed[1][0].response.reached <= exact[0] + 1e-6
            else:
                assert climbed[0] == np.inf
                assert climbed[1][0].response.value > 0.0
    assert kept > 10


@pytest.mark.parametrize("kind", ["box", "budget"])
def test_a_policy_bounds_every_realisation_and_its_faces_bound_closer(kind: str) -> None:
    """docs/methods.md M32."""
    for seed in range(4):
        program = replace(uncertain(seed, kind), short_most=None)
        polyhedral = program.uncertainty.polyhedral()  # type: ignore[union-attr]
        template = template_of(program, len(program.fixed))
        rng = np.random.default_rng(seed)
        for decision in program.decisions()[1::2]:
            bound = worst_by_policy(template, polyhedral, decision)
            points = [
                *listed(program.uncertainty),
                *(polyhedral.origin + polyhedral.steps @ z for z in _inside(rng, polyhedral)),
            ]
            exact = program.exact_all(decision, np.array(points)).max()
            assert bound >= exact - 1e-6
            faces = [worst_by_policy(template, decided(polyhedral, 0, way), decision) for way in (0.0, 1.0)]
            assert max(f for f in faces if f is not None) <= bound + 1e-6
            assert max(f for f in faces if f is not None) >= exact - 1e-6


def _inside(rng: np.random.Generator, polyhedral: object) -> list[np.ndarray]:
    z = rng.random((5, polyhedral.steps.shape[1]))  # type: ignore[attr-defined]
    if len(polyhedral.upper):  # type: ignore[attr-defined]
        z /= np.maximum(1.0, (z @ polyhedral.rows.T / polyhedral.upper).max(axis=1))[:, None]  # type: ignore[attr-defined]
    return list(z)


def test_no_policy_where_a_realisation_breaks_a_limit() -> None:
    for seed in (1, 3, 5):
        program = uncertain(seed, "box")
        template = template_of(program, len(program.fixed))
        polyhedral = program.uncertainty.polyhedral()  # type: ignore[union-attr]
        assert worst_by_policy(template, polyhedral, np.zeros(len(program.fixed))) is None


@pytest.mark.parametrize("kind", ["box", "budget"])
def test_the_optimum_is_the_same_by_climbing_and_by_the_dual(kind: str) -> None:
    for seed in range(4):
        program = uncertain(seed, kind)
        by_all = ColumnAndConstraint(gap=1e-6, separation="vertices").solve(program)
        for way in ("climb", "dual"):
            other = ColumnAndConstraint(gap=1e-6, separation=way).solve(program)  # type: ignore[arg-type]
            assert other.termination in (by_all.termination, Termination.ACCURACY)
            if by_all.decision is not None:
                assert other.lower_bound == pytest.approx(by_all.upper_bound, rel=1e-5)


def test_the_farthest_vertex_is_the_farthest() -> None:
    rng = np.random.default_rng(0)
    for chosen in (Box(np.zeros(5), np.ones(5)), Budget(np.zeros(5), np.ones(5), np.full(5, 2.0), 2)):
        vertices = listed(chosen)
        for slope in rng.standard_normal((20, 5)):
            assert slope @ vertex_along(chosen.polyhedral(), slope) == pytest.approx((vertices @ slope).max())
        assert {u.tobytes() for u in starting_points(chosen.polyhedral(), 8)} <= {(u + 0.0).tobytes() for u in vertices}


@pytest.mark.parametrize("kind", ["box", "budget"])
def test_where_no_policy_is_found_the_dual_and_the_faces_have_the_word(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that fails proves nothing: the answer must be the same without it."""
    found = 0
    for seed in (1, 3):
        program = uncertain(seed, kind)
        worst, vertices = separation(program), listed(program.uncertainty)
        whole = program.uncertainty.polyhedral()  # type: ignore[union-attr]

        def only_on_faces(*given: object) -> float | None:
            return None if np.array_equal(given[1].steps, whole.steps) else worst_by_policy(*given)  # type: ignore[attr-defined,arg-type]  # noqa: B023

        monkeypatch.setattr(linear_worst_module, "worst_by_policy", only_on_faces)
        for decision in program.decisions():
            exact, climbed = by_vertices(worst, decision, vertices), worst.by_climbing(decision)
            assert np.isfinite(exact[0]) == np.isfinite(climbed[0])
            if np.isfinite(exact[0]):
                found += 1
                assert climbed[0] >= exact[0] - 1e-6
    assert found


def test_the_dual_finds_what_climbs_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    """With climbs that see nothing, violations are found all the same, and their largest is that of all vertices."""
    program = uncertain(1, "box")
    vertices = listed(program.uncertainty)
    blind = separation(program)
    monkeypatch.setattr(linear_worst_module, "starting_points", lambda polyhedral, count: [polyhedral.origin])
    wrong = 0
    for decision in program.decisions():
        exact = by_vertices(separation(program), decision, vertices)
        climbed = blind.by_climbing(decision)
        assert np.isfinite(exact[0]) == np.isfinite(climbed[0])
        wrong += not np.isfinite(exact[0])
        largest = blind.violation(decision)
        assert largest is not None
        if not np.isfinite(exact[0]):
            assert largest[0] == pytest.approx(exact[1][0].response.reached, abs=1e-5)
    assert wrong


def test_vertices_tried_by_processes_give_the_same_answer_bit_for_bit() -> None:
    program = replace(uncertain(1, "box"), uncertainty=Box(np.zeros(7), np.ones(7)), transport=np.ones((4, 7)))
    assert program.uncertainty.count() > VERTICES_AT_ONCE  # type: ignore[union-attr]
    outcomes = [
        ColumnAndConstraint(gap=1e-6, separation="vertices", executor=executor).solve(program)
        for executor in (InProcess(), Processes(2))
    ]
    assert outcomes[0].upper_bound == outcomes[1].upper_bound
    assert outcomes[0].lower_bound == outcomes[1].lower_bound
    assert outcomes[0].upper_bound == pytest.approx(
        ColumnAndConstraint(gap=1e-6, separation="climb").solve(program).upper_bound, rel=1e-5
    )


@pytest.mark.parametrize("way", ["climb", "dual", "vertices"])
def test_a_search_that_is_stopped_claims_nothing(way: str) -> None:
    """At whatever moment it is stopped, the answer is none, or what is true without the stop."""
    for seed in (0, 1):
        program = uncertain(seed, "budget")
        worst, vertices = separation(program), listed(program.uncertainty)
        for decision in program.decisions()[::3]:
            exact = by_vertices(worst, decision, vertices)
            assert exact is not None
            for patience in (0, 1, 3, 10, 30, 100):
                asked = iter(range(10**9))

                def stop(asked: Iterator[int] = asked, patience: int = patience) -> bool:
                    return next(asked) >= patience

                with InProcess().open() as workers:
                    found = {
                        "climb": lambda: worst.by_climbing(decision, stop),  # noqa: B023
                        "dual": lambda: worst.by_dual(decision, stop),  # noqa: B023
                        "vertices": lambda: worst.by_vertices(decision, vertices, workers, stop),  # noqa: B023
                    }[way]()
                assert found is None or found[0] >= exact[0] - 1e-6


def test_a_set_of_many_vertices_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recourse with cones is solved in every vertex, block by block; the clock here counts how often it is asked."""
    monkeypatch.setattr(worst_module, "BLOCK", 4)
    mean = np.full(3, 1.5)
    program = depots(1, cones=True)
    program = replace(program, uncertainty=Budget(mean, mean / 2, mean / 2, 2), risk=WorstCase())
    every = ColumnAndConstraint(gap=1e-4, separation="vertices").solve(program)
    assert every.termination in (Termination.OPTIMAL, Termination.GAP)
    for seconds in (3, 10, 40):
        ticks = itertools.count()
        limit = Deadline(float(seconds), clock=lambda ticks=ticks: float(next(ticks)))  # type: ignore[misc]
        cut = ColumnAndConstraint(gap=1e-4, separation="vertices").solve(program, None, limit)
        assert cut.termination is Termination.TIME
        assert cut.lower_bound <= every.upper_bound * (1.0 + 1e-6)
        assert next(ticks) <= seconds + 30


def test_a_tolerant_recourse_is_what_cvxpy_makes_of_it() -> None:
    """Limits that may be exceeded by some, as rows of the compiled recourse and as a model of their own."""

    class Tolerant(Depots):
        def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> SecondStage:
            return super().recourse(decision, realisation, limits=limits).tolerant(0.3)

    rng, told = np.random.default_rng(0), 0
    for seed in range(3):
        program = replace(depots(seed), short_most=0.2)
        given = {each.name: getattr(program, each.name) for each in fields(program)}
        ours, theirs = (
            template_of(program, len(program.fixed)).tolerant(0.3),
            template_of(Tolerant(**given), len(program.fixed)),
        )
        mine, other = LinearRecourse(ours, Goal.COST), LinearRecourse(theirs, Goal.COST)
        for decision in program.decisions():
            u = rng.uniform(0.0, 2.0, len(ours.u))
            a, b = mine.at(decision, u), other.at(decision, u)
            assert (a is None) == (b is None)
            if a is not None and b is not None:
                told += 1
                assert a.value == pytest.approx(b.value, rel=1e-7, abs=1e-7)
    assert told >= 3


def test_a_box_is_drawn_from_side_to_side() -> None:
    box = Box(np.array([-1.0, 2.0, 3.0]), np.array([1.0, 4.0, 3.0]))
    drawn = draw(box, 4000, 0)
    assert np.all((drawn >= box.lower) & (drawn <= box.upper))
    assert drawn.mean(axis=0) == pytest.approx([0.0, 3.0, 3.0], abs=0.05)
    assert drawn.std(axis=0) == pytest.approx([3**-0.5, 3**-0.5, 0.0], abs=0.03)
    assert np.array_equal(drawn, draw(box, 4000, 0))
    assert not np.array_equal(drawn, draw(box, 4000, 1))


@pytest.mark.parametrize(("m", "most"), [(3, 1), (4, 2), (5, 3), (3, 3)])
def test_a_budget_set_has_the_moments_of_the_cube_cut_off(m: int, most: int) -> None:
    """Against rejection; for the simplex against its known moments as well."""
    cube = np.random.default_rng(1).uniform(size=(400_000, m))
    kept = cube[cube.sum(axis=1) <= most]
    shares = np.abs(draw(Budget(np.zeros(m), np.ones(m), np.ones(m), most), 40_000, 0))
    assert shares.sum(axis=1).max() <= most + 1e-12
    assert shares.mean(axis=0) == pytest.approx(kept.mean(axis=0), abs=0.01)
    assert (shares**2).mean(axis=0) == pytest.approx((kept**2).mean(axis=0), abs=0.01)
    assert np.cov(shares.T).ravel() == pytest.approx(np.cov(kept.T).ravel(), abs=0.01)
    assert np.quantile(shares.sum(axis=1), [0.1, 0.5, 0.9]) == pytest.approx(
        np.quantile(kept.sum(axis=1), [0.1, 0.5, 0.9]), abs=0.02
    )
    if most == 1:
        assert shares.mean(axis=0) == pytest.approx([1 / (m + 1)] * m, abs=0.01)


def test_sides_are_as_likely_as_they_are_long_and_groups_have_budgets_of_their_own() -> None:
    down, up = np.array([1.0, 2.0, 0.0, 1.0, 0.0]), np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    budget = Budget(np.full(5, 7.0), down, up, 1, groups=np.array([0, 0, 0, 1, 1]))
    moved = draw(budget, 20_000, 3) - 7.0
    assert (moved > 0).mean(axis=0) == pytest.approx([1 / 2, 1 / 3, 1.0, 1 / 2, 0.0], abs=0.02)
    shares = np.abs(moved[:, :3]) / np.where(moved[:, :3] > 0, up[:3], np.maximum(down[:3], 1.0))
    assert shares.sum(axis=1).max() <= 1.0 + 1e-12
    assert np.abs(moved[:, 3]).mean() == pytest.approx(1 / 2, abs=0.02)
    assert np.all(draw(Budget(np.full(2, 7.0), np.ones(2), np.ones(2), 0), 5, 0) == 7.0)


def test_orders_with_so_many_ascents_are_all_as_likely() -> None:
    numbers, chance = _eulerian(5), random.Random(0)
    for ascents in range(5):
        every = [
            order
            for order in itertools.permutations(range(5))
            if sum(b > a for a, b in itertools.pairwise(order)) == ascents
        ]
        assert numbers[5][ascents] == len(every)
        met = Counter(tuple(_order(5, ascents, numbers, chance)) for _ in range(100 * len(every)))
        assert set(met) == set(every)
        assert min(met.values()) > 50


def test_many_entries_with_a_small_budget_take_no_time() -> None:
    m = 200
    drawn = np.abs(draw(Budget(np.zeros(m), np.ones(m), np.ones(m), 5), 50, 0))
    assert drawn.sum(axis=1).max() <= 5.0 + 1e-9
    assert drawn.sum(axis=1).min() > 4.0  # of so many entries hardly any volume lies deep inside


def test_certain_loads_have_one_realisation_and_scenarios_are_not_drawn_from() -> None:
    assert draw(Certain(np.array([1.0, 2.0])), 10, 0).tolist() == [[1.0, 2.0]]
    with pytest.raises(OptionError, match="evaluate each"):
        draw(Scenarios(np.zeros((2, 1)), np.full(2, 0.5)), 10, 0)
