"""Exchanges of branches."""

from __future__ import annotations

import numpy as np
import pytest

from openpoint.formulations.radiality import contract
from openpoint.search.exchange.pairs import exchanges

FR, TO = np.array([0, 1, 2, 0]), np.array([1, 2, 3, 3])
FREE = np.zeros(4, dtype=np.bool_)


def test_every_state_one_exchange_away_is_found() -> None:
    near = exchanges(contract(4, FR, TO, np.array([0]), FREE, FREE), np.array([True, True, True, False]))
    assert sorted(np.flatnonzero(~state).tolist() for state in near) == [[0], [1], [2]]


@pytest.mark.parametrize("closed", [[True, False, False, False], [True, True, True, True], [False, True, True, False]])
def test_a_state_that_is_not_radial_has_none(closed: list[bool]) -> None:
    choices = contract(4, FR, TO, np.array([0]), FREE, FREE)
    assert exchanges(choices, np.array(closed)).shape == (0, 4)
