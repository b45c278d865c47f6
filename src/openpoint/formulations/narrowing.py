"""Bounds of a cone program by narrower ranges of the voltages, for loads of constant current.

Their power is c v with v = √w, of which a cone program knows a chord and tangents over the possible voltages. A wide
range leaves it free to choose v some percent beside √w. Of the states that cost no more than a known one, the program
itself finds the least and greatest w of every such bus, and is made anew with the narrower chords (bound tightening by
optimisation; Gleixner, Berthold, Müller and Weltge 2017). What a chord misses falls with the square of its width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.solvers.base import Answer, StandardForm, Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.solvers.modelling import cp
from openpoint.twostage.program import SecondStage
from openpoint.twostage.recourse.compile import compile_model
from openpoint.twostage.recourse.subproblem import MARGIN, RAY

ROUNDS = 8
"""How often ranges are narrowed, at most."""
MOST_BUSES = 60
"""Loads of constant current, at most; each takes two cone programs a round."""
SHRINKING = 0.7
"""Share of the widths of all ranges that has to be left, at most, for another round."""


class Ranged(NamedTuple):
    """A stage, and its (N) squared voltages."""

    stage: SecondStage
    w: cp.Variable


Model: TypeAlias = "Callable[[cp.Variable, tuple[Floats, Floats]], Ranged]"
"""From a decision and the (N) least and (N) greatest squared voltages to the stage."""


def bound_by_narrowing(
    model: Model,
    decision: Floats,
    ranges: tuple[Floats, Floats],
    buses: Ints,
    most: float,
    stop: Callable[[], bool],
) -> float:
    """A lower bound of the cost of a decision, or `most` where it is at least that; −inf where no more is known.

    Args:
        ranges: (N) least and (N) greatest squared voltages that keep the limits. buses: with loads of constant current.
        most: cost from which on a state is of no interest. stop: called regularly; True stops.
    """
    low, high = (part.copy() for part in ranges)
    bound = -math.inf
    for _ in range(ROUNDS if len(buses) <= MOST_BUSES else 0):
        chosen = cp.Variable(len(decision), name="decision")
        stage, w = model(chosen, (low, high))
        hard = stage.hard()
        constraints = [*hard.constraints, *(cone.constraint() for cone in hard.cones)]
        compiled = compile_model(hard.cost, constraints, also=(chosen, w))
        form = compiled.with_coupling(compiled.of(chosen))
        answer = ClarabelModel(form).solve(decision)
        if _excluded(form, decision, answer):
            return most
        bound = max(bound, _safe(answer))
        if bound >= most or stop():
            break
        cheap = form.with_inequalities(sp.csr_array(form.c[None, :]), np.array([most - form.offset]))
        width = float((high - low)[buses].sum())
        if not _narrow(cheap, decision, (low, high), buses, form.of(w), stop):
            return most
        if stop() or (high - low)[buses].sum() > SHRINKING * width:
            break
    return bound


def _narrow(
    form: StandardForm,
    decision: Floats,
    ranges: tuple[Floats, Floats],
    buses: Ints,
    columns: Ints,
    stop: Callable[[], bool],
) -> bool:
    """Narrow ranges in place to those of the points of a form; False where it has none."""
    solver = ClarabelModel(form)
    for bus in buses:
        for side, sign in enumerate((1.0, -1.0)):
            if stop():
                return True
            cost = np.zeros(len(form.c))
            cost[columns[bus]] = sign
            answer = solver.solve(decision, cost=cost)
            if _excluded(form, decision, answer):
                return False
            end = sign * _safe(answer)
            if np.isfinite(end) and side == 0:
                ranges[0][bus] = max(ranges[0][bus], min(end, ranges[1][bus]))
            elif np.isfinite(end):
                ranges[1][bus] = min(ranges[1][bus], max(end, ranges[0][bus]))
    return True


def _safe(answer: Answer) -> float:
    """The bound of an answer less the accuracy of the solver; −inf where there is none."""
    if answer.status is not Status.OPTIMAL:
        return -math.inf
    value = min(answer.bound, answer.value)
    return value - MARGIN * max(1.0, abs(value))


def _excluded(form: StandardForm, decision: Floats, answer: Answer) -> bool:
    """Whether an answer proves that a form has no point at a decision."""
    if answer.status is not Status.INFEASIBLE or answer.z is None:
        return False
    b = form.b.copy()
    b[: len(decision)] = decision
    depth = -float(b @ answer.z)
    return bool(depth > 0.0 and np.abs(form.a.T @ answer.z).max() <= RAY * depth)
