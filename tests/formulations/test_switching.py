"""The number of changes as an expression is the number counted."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

from openpoint.formulations.switching import Switching


@pytest.mark.parametrize("most", [None, 0, 2, 7])
def test_the_expression_counts_what_differs(most: int | None) -> None:
    rng = np.random.default_rng(7)
    switching = Switching(rng.random(7) < 0.6, most, 1.5)
    states = rng.random((50, 7)) < 0.5
    closed = cp.Variable(7)
    for state, cost, allowed in zip(states, switching.cost(states), switching.allowed(states)):
        closed.value = state.astype(float)
        changed = int(np.sum(state != switching.today))
        assert switching.changes(closed).value == pytest.approx(changed)
        assert cost == pytest.approx(1.5 * changed)
        assert switching.cost(state) == pytest.approx(cost)
        assert all(bound.value() for bound in switching.limit(closed)) == allowed == bool(switching.allowed(state))
        assert allowed == (most is None or changed <= most)
