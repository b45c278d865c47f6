"""What every answer of every solver must keep: one helper for all, so that a new solver is checked by one line."""

import numpy as np

from openpoint.arrays import Floats
from openpoint.solvers.base import Answer, StandardForm, Status


def assert_solved(form: StandardForm, answer: Answer, *, tolerance: float, integral: bool = False) -> None:
    """Status, primal feasibility, integrality, and value and bound of a solved model."""
    assert answer.status is Status.OPTIMAL
    slack = form.b - form.a @ answer.x
    assert cone_distance(form, slack) <= tolerance
    value = float(form.c @ answer.x) + form.offset
    scale = max(1.0, abs(value))
    assert abs(value - answer.value) <= tolerance * scale
    assert answer.bound <= answer.value + tolerance * scale
    if integral:
        assert np.abs(answer.x[form.integers] - np.round(answer.x[form.integers])).max(initial=0.0) <= tolerance


def assert_optimal(form: StandardForm, answer: Answer, *, tolerance: float) -> None:
    """The conditions of optimality of a cone program: primal, dual, complementarity, no gap."""
    assert_solved(form, answer, tolerance=tolerance)
    slack = form.b - form.a @ answer.x
    scale = max(1.0, float(np.abs(answer.z).max(initial=0.0)))
    assert np.abs(form.a.T @ answer.z + form.c).max(initial=0.0) <= tolerance * scale
    assert cone_distance(form, answer.z, dual=True) <= tolerance * scale
    assert abs(float(slack @ answer.z)) <= tolerance * scale * max(1.0, abs(answer.value))
    assert abs(answer.value - answer.bound) <= tolerance * scale * max(1.0, abs(answer.value))


def assert_infeasible_ray(form: StandardForm, answer: Answer, *, tolerance: float) -> None:
    """A certificate that no point exists: Aᵀz = 0, z in the dual cone, bᵀz < 0."""
    assert answer.status is Status.INFEASIBLE
    z = answer.z / -float(form.b @ answer.z)
    assert float(form.b @ z) < 0.0
    assert np.abs(form.a.T @ z).max(initial=0.0) <= tolerance * max(1.0, float(np.abs(z).max(initial=0.0)))
    assert cone_distance(form, z, dual=True) <= tolerance * max(1.0, float(np.abs(z).max(initial=0.0)))


def cone_distance(form: StandardForm, s: Floats, *, dual: bool = False) -> float:
    """How far s lies outside {0}ᵃ × R₊ᵇ × SOC × …; the dual of the first part is free, the others are their own."""
    far = [0.0]
    if not dual and form.n_zero:
        far.append(float(np.abs(s[: form.n_zero]).max()))
    at = form.n_zero + form.n_nonneg
    if form.n_nonneg:
        far.append(float(-s[form.n_zero : at].min()))
    for dimension in form.cones:
        part = s[at : at + dimension]
        far.append(float(np.linalg.norm(part[1:]) - part[0]))
        at += dimension
    return max(far)
