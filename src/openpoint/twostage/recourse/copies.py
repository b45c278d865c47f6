"""Choice of the recourses that are embedded in the master: few of them, such that the bound is still strong.

The recourse is convex in decision and realisation together, so a copy at the mean of some realisations bounds the mean
of their costs from below (Jensen), whatever the risk. The bound is weaker the more these realisations differ: so a copy
stands for realisations that are alike, and those without weight in the risk need no copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import cvxpy as cp
import numpy as np
from scipy.cluster.hierarchy import fcluster, ward

from openpoint.arrays import Floats, Ints
from openpoint.twostage.objective import Objective
from openpoint.twostage.program import AnyProgram, FirstStage, Goal, SecondStage


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


SPREAD = 0.06
"""Largest share of the mean square of the realisations within the clusters. Below it another copy slows the master down
more than the better bound saves."""


def choose_copies(objective: Objective, values: Floats | None, best: float, count: int) -> list[RecourseCopy]:
    """Choose at most `count` copies of the recourse.

    Args:
        objective: of the program.
        values: (K) recourse costs of the best decision known; None where none is.
        best: its verified objective; `inf` where none is.
        count: most copies; 0 = none.
    """
    k = objective.count
    if count == 0:
        return []
    guess = objective.probabilities.worst(np.ones(k))[1] if values is None else objective.worst_probabilities(values)
    heavy = np.flatnonzero(guess > 1e-9)
    if len(heavy) <= count:
        return [_copy(objective, np.eye(k)[i], guess, best) for i in heavy]
    label = _alike(objective.realisations[heavy], guess[heavy], count)
    copies = []
    for cluster in np.unique(label):
        weights = np.zeros(k)
        weights[heavy[label == cluster]] = guess[heavy[label == cluster]]
        copies.append(_copy(objective, weights / weights.sum(), guess, best))
    return copies


def _alike(points: Floats, weights: Floats, most: int) -> Ints:
    """Label of each point: the fewest clusters within which the points spread little, at most so many."""
    tree = ward(points)
    size = float(weights @ (points**2).sum(axis=1))
    label = np.ones(len(points), dtype=np.int64)
    for count in range(1, most + 1):
        label = fcluster(tree, count, criterion="maxclust").astype(np.int64)
        within = 0.0
        for cluster in np.unique(label):
            members = label == cluster
            mean = np.average(points[members], axis=0, weights=weights[members])
            within += float(weights[members] @ ((points[members] - mean) ** 2).sum(axis=1))
        if within <= SPREAD * size:
            break
    return label


def _copy(objective: Objective, weights: Floats, probabilities: Floats, best: float) -> RecourseCopy:
    """A copy of the recourse, with an upper bound of its cost.

    Where f + ρ ≤ best, every probability vector p of the set has pᵀ(θ − W) + f ≤ best, with W the wait-and-see values.
    If p ≥ share · weights, the copy's part of pᵀθ is share times its cost, and the rest is at least (1 − share) times
    the lower bound of all recourse costs.
    """
    used = weights > 0.0
    share = float(np.min(probabilities[used] / weights[used]))
    most = np.inf
    if share > 1e-9 and np.isfinite(best):
        most = (best + float(probabilities @ objective.wait_and_see_upper) - (1.0 - share) * objective.floor) / share
    return RecourseCopy(weights, weights @ objective.realisations, most, share)
