"""Tangents of cones: every point of the cone keeps them, and the point at which they are made does not."""

from __future__ import annotations

import numpy as np
import pytest

from openpoint.arrays import Floats
from openpoint.twostage.recourse.tangents import Tangents

COLUMNS = tuple(np.array([k]) for k in range(4))


def tangents_at(point: Floats) -> Floats:
    """(rows, 4) the tangents at a point (u, u, s, t) of one cone."""
    return Tangents(COLUMNS, 4).rows(tuple(point[:, None]), 1e-5, settled=False).toarray()


@pytest.mark.parametrize("t", [1.0, 1e-2, 1e-5, 0.0])
@pytest.mark.parametrize("s", [1e-3, 0.0])
def test_a_point_outside_is_cut_off_and_no_point_of_the_cone_is(s: float, t: float) -> None:
    outside = np.array([0.3, -0.2, s, t])
    rows = tangents_at(outside)
    assert len(rows) == 1
    assert (rows @ outside > 1e-6).all()
    rng = np.random.default_rng(7)
    u, share = rng.normal(size=(500, 2)), 10.0 ** rng.uniform(-6.0, 2.0, 500)
    inside = np.column_stack([u, (u**2).sum(axis=1) / share, share])
    assert (rows @ inside.T <= 1e-9 * np.abs(inside).sum(axis=1)).all()


def test_a_tangent_where_s_and_t_are_nothing_is_no_steeper_than_one() -> None:
    rows = tangents_at(np.array([0.3, -0.2, 0.0, 0.0]))
    assert np.abs(rows).max() == pytest.approx(2.0 * 0.3 / np.hypot(0.3, 0.2))


@pytest.mark.parametrize("point", [(0.3, -0.2, 0.13, 1.0), (0.0, 0.0, 0.0, 0.0), (1e-8, 0.0, 0.0, 0.0)])
def test_a_point_of_the_cone_needs_no_tangent(point: tuple[float, ...]) -> None:
    assert not len(tangents_at(np.array(point)))
