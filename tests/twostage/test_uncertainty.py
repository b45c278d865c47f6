"""Sets of realisations: their vertices, their numbers, and the polyhedra whose corners they are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpoint.errors import OptionError
from openpoint.twostage.uncertainty import BLOCK, Box, Budget, Polyhedral, Scenarios, centre, listed, listed_until

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
