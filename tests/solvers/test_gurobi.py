"""Gurobi: what its own licence takes, and duals that are right or left out."""

from __future__ import annotations

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.solvers import gurobi
from openpoint.solvers.catalog import choose
from tests.solvers.conformance import assert_optimal
from tests.solvers.models import form_of, solvable

pytest.importorskip("gurobipy")


def test_gurobi_without_a_licence_takes_what_its_package_allows() -> None:
    """Where a licence is installed, everything is taken."""
    columns, cones = 2000, 50

    def wide(n: int) -> None:
        choose("gurobi", form_of(np.ones(n), -np.ones((1, n)), [-1.0], 0))

    def conic(n: int) -> None:
        choose("gurobi", form_of(np.ones(n), -np.eye(cones, n), np.zeros(cones), 0, [cones]))

    wide(columns)
    conic(200 - cones)
    if not gurobi._only_free():
        pytest.skip("a Gurobi licence is installed")
    with pytest.raises(
        OptionError, match=r"takes 2000 rows and 2000 columns, the model has 1 and 2001; .* or use highs"
    ):
        wide(columns + 1)
    with pytest.raises(
        OptionError, match=r"takes 2000 rows and 200 columns, the model has 51 and 201; .* or use clarabel"
    ):
        conic(201 - cones)
    rows = np.ones((2001, 2)) * np.arange(1.0, 2002.0)[:, None]
    with pytest.raises(OptionError, match="the model has 2001 and 2"):
        gurobi.check_licence(form_of([1.0, 1.0], rows, np.ones(2001), 0))


def test_duals_of_cone_programs_are_right_or_left_out() -> None:
    """At the apex of a cone the multipliers of u·u ≤ t² do not add up; of 40 models few have their optimum there."""
    missing = 0
    for seed in range(40):
        form = solvable(seed, cones=True)
        answer = gurobi.solve(form)
        if answer.z is None:
            missing += 1
            assert answer.bound == pytest.approx(answer.value, abs=1e-5)
        else:
            assert_optimal(form, answer, tolerance=1e-5)
    assert missing <= 3


def test_the_duals_of_an_optimum_at_the_apex_are_left_out_or_right() -> None:
    """min t over |(x, y)| ≤ t with x + y ≥ 0: the apex."""
    rows = [[-1.0, -1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]
    form = form_of([0.3, 0.2, 1.0], rows, np.zeros(4), 0, [3])
    answer = gurobi.solve(form)
    assert answer.value == pytest.approx(0.0, abs=1e-6)
    if answer.z is not None:
        assert_optimal(form, answer, tolerance=1e-5)
