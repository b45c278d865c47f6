"""How a recourse stands in a model beside the first stage: a copy at the mean of some realisations."""

from __future__ import annotations

from dataclasses import dataclass

import cvxpy as cp

from openpoint.arrays import Floats
from openpoint.twostage.goal import Goal
from openpoint.twostage.program import AnyProgram, FirstStage, SecondStage


@dataclass(frozen=True)
class RecourseCopy:
    """A recourse that stands in a model: at the mean of realisations under weights, by Jensen's inequality.

    Attributes:
        weights: (K), 0 or more, sum 1. The mean of the recourse costs under them is at least the cost of the copy.
        realisation: (m) the mean.
        most: cost that the recourse of no decision of interest exceeds, where f ≥ 0; `inf` where none is known.
        share: with it the weights of all copies, share · weights, add up to at most some odds of the risk.
    """

    weights: Floats
    realisation: Floats
    most: float
    share: float = 0.0


@dataclass(frozen=True)
class EmbeddedRecourse:
    """A copy in a model: its stage, the recourse it was made of, and all constraints but those of the cones."""

    stage: SecondStage
    recourse: SecondStage
    constraints: list[cp.Constraint]


def embed_recourse(
    program: AnyProgram, first: FirstStage, theta: cp.Expression, copy: RecourseCopy, goal: Goal
) -> EmbeddedRecourse:
    """A copy of the recourse whose cost θ is not below; its cones are left to the caller."""
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
    # A rotated cone lies in s, t ≥ 0, which its variables must say themselves.
    constraints += [part >= 0 for cone in stage.cones for part in (cone.s, cone.t)]
    constraints.append(theta >= stage.cost)
    return EmbeddedRecourse(stage, recourse, constraints)
