"""Sets of probabilities and of realisations: the worst by definition and by duality; vertices against polyhedra."""

import itertools

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.errors import OptionError
from openpoint.twostage.ambiguity import (
    Ambiguity,
    Moments,
    ProbabilityBox,
    ProbabilitySet,
    TotalVariation,
    Wasserstein,
    all_of,
    exactly,
    tail_of,
)
from openpoint.twostage.uncertainty import BLOCK, Box, Budget, Polyhedral, Scenarios, centre, listed, listed_until


def case(seed: int, k: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, values, points of scenarios."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(k)), rng.uniform(-5.0, 20.0, k), rng.uniform(0.0, 1.0, (k, 2))


def distances(points: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(points[:, None, :] - points[None, :, :]).sum(axis=2))


def balls(seed: int, radius: float) -> list[Ambiguity]:
    p, _, points = case(seed)
    mean = p @ points
    return [
        TotalVariation(radius),
        ProbabilityBox(np.maximum(p - radius, 0.0), np.minimum(p + radius, 1.0)),
        Moments(points, mean - radius, mean + radius),
        Wasserstein(radius, distances(points)),
    ]


def tail_mean(p: np.ndarray, values: np.ndarray, level: float) -> float:
    """The mean of the worst 1 − level, by sorting."""
    left, total = 1.0 - level, 0.0
    for k in np.argsort(-values):
        taken = min(p[k], left)
        total, left = total + taken * values[k], left - taken
    return total / (1.0 - level)


@given(st.integers(0, 10**6), st.floats(0.0, 0.95))
def test_conditional_value_at_risk_is_the_mean_of_the_tail(seed: int, level: float) -> None:
    p, values, _ = case(seed)
    assert tail_of(p, level).worst(values)[0] == pytest.approx(tail_mean(p, values, level), rel=1e-7, abs=1e-7)


@given(st.integers(0, 10**6), st.floats(0.0, 1.0))
def test_total_variation_moves_weight_from_the_best_to_the_worst(seed: int, radius: float) -> None:
    p, values, _ = case(seed)
    q, left = p.copy(), radius
    for k in np.argsort(values):
        moved = min(q[k], left) if k != np.argmax(values) else 0.0
        q[k] -= moved
        q[np.argmax(values)] += moved
        left -= moved
    worst, found = TotalVariation(radius).around(p, len(p)).worst(values)
    assert worst == pytest.approx(float(q @ values), rel=1e-7, abs=1e-7)
    assert 0.5 * np.abs(found - p).sum() <= radius + 1e-7


@given(st.integers(0, 10**6), st.floats(0.0, 1.5))
def test_wasserstein_equals_its_dual_by_kantorovich(seed: int, radius: float) -> None:
    """sup = min over λ ≥ 0 of λ radius + Σ p_i max_j (v_j − λ d_ij) (Mohajerin Esfahani and Kuhn 2018)."""
    p, values, points = case(seed)
    d = distances(points)
    lam = cp.Variable(nonneg=True)
    reach = sum(p[i] * cp.max(values - lam * d[i]) for i in range(len(p)))
    expected = cp.Problem(cp.Minimize(lam * radius + reach)).solve(solver=cp.CLARABEL)
    assert Wasserstein(radius, d).around(p, len(p)).worst(values)[0] == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("kind", range(4))
@given(seed=st.integers(0, 10**6))
@settings(max_examples=13)
def test_balls_grow_from_the_nominal_to_the_worst_case(kind: int, seed: int) -> None:
    """Radius 0 is the expectation, a large one the worst case, monotone between."""
    p, values, _ = case(seed)
    risks = [balls(seed, radius)[kind].around(p, len(p)).worst(values)[0] for radius in (0.0, 0.05, 0.2, 0.5, 3.0)]
    assert (np.diff(risks) >= -1e-7).all()
    if kind != 2:  # equal moments leave the probabilities open
        assert risks[0] == pytest.approx(float(p @ values), rel=1e-7, abs=1e-7)
    assert risks[0] >= float(p @ values) - 1e-7
    assert risks[-1] == pytest.approx(values.max(), rel=1e-7, abs=1e-7)


def sets(seed: int) -> list[ProbabilitySet]:
    p, _, _ = case(seed)
    return [exactly(p), all_of(len(p)), tail_of(p, 0.7), *(b.around(p, len(p)) for b in balls(seed, 0.15))]


@pytest.mark.parametrize("which", range(7))
@given(seed=st.integers(0, 10**6))
@settings(max_examples=8)
def test_the_dual_block_is_the_worst(which: int, seed: int) -> None:
    """docs/methods.md M25."""
    _, values, _ = case(seed)
    chosen = sets(seed)[which]
    theta = cp.Variable(len(values))
    cost, constraints = chosen.block(theta)
    value = cp.Problem(cp.Minimize(cost), [*constraints, theta == values]).solve(solver=cp.CLARABEL)
    assert value == pytest.approx(chosen.worst(values)[0], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("which", range(7))
@given(seed=st.integers(0, 10**6))
@settings(max_examples=8)
def test_the_worst_is_attained_by_probabilities_and_coherent(which: int, seed: int) -> None:
    """It is the value of its p; it grows with the values, is convex, and moves along with a constant."""
    _, values, _ = case(seed)
    other = np.random.default_rng(seed + 1).uniform(-5.0, 20.0, len(values))
    chosen = sets(seed)[which]
    worst, p = chosen.worst(values)
    assert p.min() >= 0.0
    assert p.sum() == pytest.approx(1.0)
    assert float(p @ values) == pytest.approx(worst, rel=1e-6, abs=1e-6)
    assert chosen.worst(values + 3.0)[0] == pytest.approx(worst + 3.0, rel=1e-6, abs=1e-6)
    assert chosen.worst(values + np.abs(other))[0] >= worst - 1e-6
    assert chosen.worst(0.5 * (values + other))[0] <= 0.5 * (worst + chosen.worst(other)[0]) + 1e-6


@pytest.mark.parametrize("which", range(7))
@given(seed=st.integers(0, 10**6), size=st.sampled_from([1e-12, 1e-8, 1e9]), level=st.sampled_from([0.0, 1.0, 30.0]))
@settings(max_examples=8)
def test_the_worst_of_small_differences_is_found_as_exactly(which: int, seed: int, size: float, level: float) -> None:
    """The vector does not depend on the unit of the values, nor on a constant in them."""
    _, values, _ = case(seed)
    chosen = sets(seed)[which]
    worst, _ = chosen.worst(values)
    found = chosen.worst(size * (values + level))[0]
    assert found == pytest.approx(size * (worst + level), rel=1e-9, abs=1e-9 * size)


def test_the_worst_of_regrets_that_are_almost_none_is_the_greatest() -> None:
    values = np.array([0.0, 4e-8, 0.0, 3e-8])
    assert all_of(4).worst(values)[0] == pytest.approx(4e-8)
    assert all_of(2).worst(np.array([1.0, 1.0 + 1e-9]))[0] == pytest.approx(1.0 + 1e-9, rel=1e-12)


def test_what_is_infinite_counts_where_it_can_weigh() -> None:
    values = np.array([1.0, np.inf, 2.0])
    assert exactly(np.array([0.5, 0.0, 0.5])).worst(values)[0] == pytest.approx(1.5)
    assert exactly(np.array([0.5, 0.1, 0.4])).worst(values)[0] == np.inf
    assert all_of(3).worst(values)[0] == np.inf


def test_what_is_no_ball_is_refused() -> None:
    half = np.array([0.5, 0.5])
    for make, words in (
        (lambda: TotalVariation(-0.1), "0 or more"),
        (lambda: TotalVariation(0.1).around(None, 2), "nominal"),
        (lambda: ProbabilityBox(half, half / 2), "crossed"),
        (lambda: ProbabilityBox(half * 0, half / 2), "1 must lie between"),
        (lambda: Moments(np.ones((2, 1)), np.ones(1), np.zeros(1)), "crossed"),
        (lambda: Wasserstein(0.1, np.ones((2, 2))), "0 from each to itself"),
        (lambda: Moments(np.ones((2, 1)), np.full(1, 2.0), np.full(1, 3.0)).around(half, 2).worst(half), "widen"),
    ):
        with pytest.raises(OptionError, match=words):
            make()


sizes = st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=1, max_size=5)


@st.composite
def budgets(draw: st.DrawFn) -> Budget:
    down = np.array(draw(sizes))
    up = np.array([draw(st.sampled_from([0.0, 1.0, 3.0])) for _ in down])
    groups = None
    if draw(st.booleans()):
        groups = np.array([draw(st.integers(0, 1)) for _ in down], dtype=np.int64)
    nominal = np.arange(len(down), dtype=np.float64)
    return Budget(nominal, down, up, draw(st.integers(0, 3)), groups, whole=draw(st.booleans()))


def rows(values: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(np.round(row, 9)) for row in values}


def binaries(polyhedral: Polyhedral) -> np.ndarray:
    """Realisations of all binary ζ that keep the rows."""
    found = []
    for chosen in itertools.product((0.0, 1.0), repeat=polyhedral.steps.shape[1]):
        zeta = np.array(chosen)
        if (polyhedral.rows @ zeta <= polyhedral.upper + 1e-9).all():
            found.append(polyhedral.value(zeta))
    return np.array(found)


@given(budgets())
def test_a_budget_lists_as_many_as_it_counts(budget: Budget) -> None:
    vertices = listed(budget)
    assert len(vertices) == budget.count()
    assert len(rows(vertices)) == len(vertices)


@given(budgets())
def test_a_budget_lists_what_brute_force_finds(budget: Budget) -> None:
    """Every way to move entries down, up or not, with the number moved in each group kept (or used whole)."""
    groups = np.zeros(len(budget.nominal)) if budget.groups is None else budget.groups
    movable = (budget.up > 0) | (budget.down > 0)
    expected = set()
    for sides in itertools.product((-1, 0, 1), repeat=len(budget.nominal)):
        side = np.array(sides)
        if np.any((side < 0) & (budget.down == 0)) or np.any((side > 0) & (budget.up == 0)):
            continue
        moved = [int(np.sum((side != 0) & (groups == g))) for g in np.unique(groups)]
        most = [min(budget.most, int(np.sum(movable & (groups == g)))) for g in np.unique(groups)]
        if all(m == b if budget.whole else m <= b for m, b in zip(moved, most)):
            u = budget.nominal + np.where(side > 0, budget.up, 0) - np.where(side < 0, budget.down, 0)
            expected.add(tuple(np.round(u, 9)))
    assert rows(listed(budget)) == expected


@given(budgets())
def test_the_polyhedron_has_the_same_corners(budget: Budget) -> None:
    if not budget.whole:
        assert rows(binaries(budget.polyhedral())) == rows(listed(budget))


@given(st.lists(st.tuples(st.floats(-5, 5), st.sampled_from([0.0, 1.0, 2.5])), min_size=1, max_size=5))
def test_a_box_has_two_ends_an_entry(entries: list[tuple[float, float]]) -> None:
    lower = np.array([low for low, _ in entries])
    box = Box(lower, lower + np.array([width for _, width in entries]))
    vertices = listed(box)
    assert len(vertices) == box.count() == 2 ** sum(width > 0 for _, width in entries)
    assert rows(binaries(box.polyhedral())) == rows(vertices)
    assert (vertices >= box.lower).all()
    assert (vertices <= box.upper).all()
    assert ((box.lower <= centre(box)) & (centre(box) <= box.upper)).all()


def test_what_is_no_set_is_refused() -> None:
    one = np.ones(2)
    for make, words in (
        (lambda: Scenarios(np.empty((0, 2))), "empty"),
        (lambda: Scenarios(np.full((1, 2), np.nan)), "not finite"),
        (lambda: Scenarios(np.ones((2, 1)), np.array([0.5, 0.6])), "sum to 1.1"),
        (lambda: Scenarios(np.ones((2, 1)), np.array([1.5, -0.5])), "0 or more"),
        (lambda: Scenarios(np.ones((2, 1)), one[:1]), "1 probabilities for 2"),
        (lambda: Box(one, 0 * one), "empty"),
        (lambda: Budget(one, one, one, -1), "whole number"),
        (lambda: Budget(one, -one, one, 1), "negative"),
    ):
        with pytest.raises(OptionError, match=words):
            make()


def test_too_many_vertices_are_refused_with_the_way_out() -> None:
    with pytest.raises(OptionError, match="dual"):
        listed(Box(np.zeros(40), np.ones(40)))


def test_a_list_of_vertices_stops_when_asked() -> None:
    box, asked = Box(np.zeros(15), np.ones(15)), list[int]()

    def after(most: int) -> bool:
        asked.append(1)
        return len(asked) > most

    assert listed_until(box, lambda: after(3)) is None
    assert len(asked) == 4  # not the 32,768 / BLOCK that all of them take
    assert 2**15 / BLOCK > 4
    whole = listed_until(box, lambda: False)
    assert whole is not None
    assert len(np.unique(whole, axis=0)) == 2**15
