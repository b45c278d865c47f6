"""Embedded recourse: a copy of the recourse in the model of the first stage, at the mean of some realisations."""

from __future__ import annotations

from dataclasses import dataclass

import cvxpy as cp

from openpoint.arrays import Floats
from openpoint.twostage.goal import Goal
from openpoint.twostage.program import AnyProgram, FirstStage, SecondStage


@dataclass(frozen=True)
class RecourseCopy:
    """The choice of an embedded recourse: one at the weighted mean of realisations, by Jensen's inequality.

    Attributes:
        weights: (K), 0 or more, sum 1. The mean of the recourse costs under them is at least the cost of the copy.
        realisation: (m) the mean.
        most: upper bound of the copy's cost at every decision of interest, where f ≥ 0; `inf` where none is known.
        share: factor such that share · weights, summed over all copies, is at most a probability vector of the risk.
    """

    weights: Floats
    realisation: Floats
    most: float
    share: float = 0.0


@dataclass(frozen=True)
class EmbeddedRecourse:
    """A recourse in a model: its stage, the choice it was made from, and all constraints but those of the cones."""

    stage: SecondStage
    recourse: SecondStage
    constraints: list[cp.Constraint]


def embed_recourse(
    program: AnyProgram, first: FirstStage, theta: cp.Expression, copy: RecourseCopy, goal: Goal
) -> EmbeddedRecourse:
    """Embed a copy of the recourse, with θ ≥ its cost; the caller adds its cones."""
    always = goal is Goal.COST
    recourse: SecondStage = program.recourse(first.decision, cp.Constant(copy.realisation), limits=always)
    match goal:
        case Goal.COST:
            stage = recourse.hard()
        case Goal.WITHOUT_LIMITS:
            stage = recourse.without_limits()
        case Goal.VIOLATION:
            stage = recourse.softened()
    constraints = list(stage.constraints)
    constraints += program.valid_inequalities(first, recourse, copy.realisation, most=copy.most, limits=always)
    # A rotated cone includes s, t ≥ 0, which must be constraints where the caller leaves the cone out.
    constraints += [part >= 0 for cone in stage.cones for part in (cone.s, cone.t)]
    constraints.append(theta >= stage.cost)
    return EmbeddedRecourse(stage, recourse, constraints)
