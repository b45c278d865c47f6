"""Sets of probability vectors, as polytopes: a risk is the worst expectation over such a set.

Expectation, conditional value at risk, worst case and worst expectation over an ambiguity set are all

    ρ(θ) = max { pᵀθ : p ∈ P },    P = { p = C z : G z ≤ h, E z = f, z ≥ 0 }

and differ in P only (Artzner et al. 1999; Shapiro 2017). The linear dual expresses ρ in a minimisation.

Theory: docs/methods.md M25.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats
from openpoint.errors import OpenpointError, OptionError
from openpoint.solvers.modelling import cp

SUM_TOLERANCE = 1e-6
"""Largest difference of a sum of probabilities from 1 that counts as rounding in tables."""
SPREAD = 1e4
"""Between the least and the greatest value, in the linear program of the worst vector, whose tolerance is 1e-7."""


@dataclass(frozen=True)
class Between:
    """The probability vectors with lower ≤ p ≤ upper, (K) each."""

    lower: Floats
    upper: Floats


@dataclass(frozen=True)
class Near:
    """The probability vectors that moving probability makes of a nominal one: probability times distance ≤ radius.

    Attributes:
        nominal: (K). distance: (K, K), 0 on the diagonal; None: 1 between any two.
    """

    nominal: Floats
    radius: float
    distance: Floats | None


@dataclass(frozen=True)
class ProbabilitySet:
    """The set { p = C z : G z ≤ h, E z = f, z ≥ 0 } of probability vectors of K realisations.

    `only` is the vector where the set has no other. `form` says the same in fewer numbers, where it has such a form.
    """

    c: sp.csr_array
    g: sp.csr_array
    h: Floats
    e: sp.csr_array
    f: Floats
    only: Floats | None = None
    form: Between | Near | None = None

    def worst(self, values: Floats) -> tuple[float, Floats]:
        """max pᵀ values, and a p that attains it; `inf` where an infinite value can have weight.

        Raises:
            OptionError: the set is empty.
        """
        endless = ~np.isfinite(values)
        if endless.any():
            weight, p = self.worst(endless.astype(np.float64))
            if weight > 0.0:
                return np.inf, p
            values = np.where(endless, float(values[~endless].min(initial=0.0)), values)
        if self.only is not None:
            return float(self.only @ values), self.only
        # Probabilities sum to 1, so that shifted values have the same worst vector. The solver compares them with an
        # absolute tolerance, which regrets of 1e-8 per unit do not exceed.
        spread = float(np.ptp(values))
        scaled = (values - values.max()) * (SPREAD / spread) if spread > 0.0 else np.zeros_like(values)
        from scipy.optimize import linprog

        answer = linprog(  # type: ignore[call-overload]
            -(self.c.T @ scaled), A_ub=self.g, b_ub=self.h, A_eq=self.e, b_eq=self.f, bounds=(0, None), method="highs"
        )
        if answer.status == 2:
            raise OptionError("no probabilities keep all the bounds asked for; widen the ambiguity set")
        if answer.status != 0:
            raise OpenpointError(f"the worst probabilities were not found: {answer.message}")
        p = np.maximum(self.c @ answer.x, 0.0)
        p /= p.sum()
        return float(p @ values), p

    def block(self, theta: cp.Expression) -> tuple[cp.Expression, list[cp.Constraint]]:
        """ρ(θ) in a minimisation, by the dual of the set: an affine expression and its constraints."""
        if self.only is not None:
            return self.only @ theta, []
        mu = cp.Variable(len(self.f), name="risk_mu")
        total, gain = self.f @ mu, self.e.T @ mu
        if len(self.h):
            over = cp.Variable(len(self.h), nonneg=True, name="risk_lambda")
            total, gain = total + self.h @ over, gain + self.g.T @ over
        return total, [gain >= self.c.T @ theta]


def exactly(probabilities: Floats) -> ProbabilitySet:
    """The set of one vector."""
    k = len(probabilities)
    eye = sp.csr_array(sp.eye_array(k))
    form = Between(probabilities, probabilities)
    return ProbabilitySet(eye, sp.csr_array((0, k)), np.empty(0), eye, probabilities, probabilities, form)


def all_of(k: int) -> ProbabilitySet:
    """The set of all probability vectors; its risk is the worst case."""
    if k == 1:
        return exactly(np.ones(1))
    return _simplex(k, sp.csr_array((0, k)), np.empty(0), Between(np.zeros(k), np.ones(k)))


def tail_of(probabilities: Floats, level: float) -> ProbabilitySet:
    """The set of conditional value at risk: no probability above p / (1 − level) (Rockafellar and Uryasev 2000)."""
    k = len(probabilities)
    most = probabilities / (1.0 - level)
    return _simplex(k, sp.csr_array(sp.eye_array(k)), most, Between(np.zeros(k), most))


def _simplex(k: int, g: sp.csr_array, h: Floats, form: Between | None = None) -> ProbabilitySet:
    ones = sp.csr_array(np.ones((1, k)))
    return ProbabilitySet(sp.csr_array(sp.eye_array(k)), g, h, ones, np.ones(1), form=form)


class Ambiguity(Protocol):
    """An ambiguity set: probability vectors near the nominal one, or with given properties."""

    def around(self, probabilities: Floats | None, count: int) -> ProbabilitySet:
        """The set for `count` scenarios with nominal probabilities, if it needs them."""
        ...


@dataclass(frozen=True)
class TotalVariation:
    """Probability vectors q with ½ Σ |q − p| ≤ radius: with 0 the nominal vector only, with 1 every vector."""

    radius: float

    def __post_init__(self) -> None:
        _nonnegative("radius of total variation", self.radius)

    def around(self, probabilities: Floats | None, count: int) -> ProbabilitySet:
        p = _needed(probabilities, "total variation")
        if self.radius == 0.0:
            return exactly(p)
        eye, ones = sp.eye_array(count), np.ones((1, count))  # z = (q, what q exceeds p by)
        exceeds = sp.hstack([eye, -eye])
        g = sp.csr_array(sp.vstack([exceeds, sp.hstack([sp.csr_array((1, count)), sp.csr_array(ones)])]))
        e = sp.csr_array(sp.hstack([sp.csr_array(ones), sp.csr_array((1, count))]))
        c = sp.csr_array(sp.hstack([eye, sp.csr_array((count, count))]))
        return ProbabilitySet(c, g, np.append(p, self.radius), e, np.ones(1), form=Near(p, self.radius, None))


@dataclass(frozen=True)
class ProbabilityBox:
    """Probability vectors with lower ≤ q ≤ upper, (K) each."""

    lower: Floats
    upper: Floats

    def __post_init__(self) -> None:
        if np.any(self.lower < 0) or np.any(self.lower > self.upper):
            raise OptionError("bounds of probabilities are negative or crossed; give 0 ≤ lower ≤ upper")
        if self.lower.sum() > 1.0 + SUM_TOLERANCE or self.upper.sum() < 1.0 - SUM_TOLERANCE:
            raise OptionError(
                f"no probabilities lie within these bounds: the lower ones sum to {self.lower.sum():g}, the upper ones "
                f"to {self.upper.sum():g}, and 1 must lie between; widen them"
            )

    def around(self, probabilities: Floats | None, count: int) -> ProbabilitySet:
        eye = sp.eye_array(count)
        g, form = sp.csr_array(sp.vstack([eye, -eye])), Between(self.lower, self.upper)
        return _simplex(count, g, np.concatenate([self.upper, -self.lower]), form)


@dataclass(frozen=True)
class Moments:
    """Bounds on expected features, lower ≤ Σ_k q_k features[k] ≤ upper, such as the probability that a line breaks.

    Attributes:
        features: (K, J). lower, upper: (J); infinite where there is no bound.
    """

    features: Floats
    lower: Floats
    upper: Floats

    def __post_init__(self) -> None:
        if np.any(self.lower > self.upper):
            raise OptionError("moment bounds are crossed: a lower one lies above its upper one; swap them")

    def around(self, probabilities: Floats | None, count: int) -> ProbabilitySet:
        high, low = np.isfinite(self.upper), np.isfinite(self.lower)
        g = sp.csr_array(np.vstack([self.features.T[high], -self.features.T[low]]))
        return _simplex(count, g, np.concatenate([self.upper[high], -self.lower[low]]))


@dataclass(frozen=True)
class Wasserstein:
    """Probability vectors within a transport distance: probability moved times distance, in all at most the radius.

    Wasserstein-1 (Mohajerin Esfahani, Kuhn 2018).

    Attributes:
        radius: 0 is the nominal vector; the largest distance admits every vector.
        distance: (K, K) between scenarios, 0 on the diagonal.
    """

    radius: float
    distance: Floats

    def __post_init__(self) -> None:
        _nonnegative("Wasserstein radius", self.radius)
        if np.any(self.distance < 0) or np.any(np.diagonal(self.distance) != 0):
            raise OptionError("distances between scenarios must be 0 or more, and 0 from each to itself")

    def around(self, probabilities: Floats | None, count: int) -> ProbabilitySet:
        p = _needed(probabilities, "a Wasserstein ball")
        if self.radius == 0.0:
            return exactly(p)
        eye, ones = sp.eye_array(count), np.ones((1, count))  # z[i count + j] goes from i to j
        arrive = sp.csr_array(sp.kron(sp.csr_array(ones), eye))
        leave = sp.csr_array(sp.kron(eye, sp.csr_array(ones)))
        cost = sp.csr_array(self.distance.reshape(1, -1))
        form = Near(p, self.radius, self.distance)
        return ProbabilitySet(arrive, cost, np.array([self.radius]), leave, p, form=form)


def check_probabilities(p: Floats, count: int) -> None:
    """Refuse what is not a probability vector of `count` scenarios.

    Raises:
        OptionError: saying what is wrong.
    """
    if p.shape != (count,):
        raise OptionError(f"{len(p)} probabilities for {count} scenarios; give one each")
    if not np.isfinite(p).all() or np.any(p < 0):
        raise OptionError("probabilities must be finite and 0 or more")
    if abs(float(p.sum()) - 1.0) > SUM_TOLERANCE:
        raise OptionError(f"probabilities sum to {p.sum():.6g}; they must sum to 1")


def _needed(probabilities: Floats | None, what: str) -> Floats:
    if probabilities is None:
        raise OptionError(f"{what} is a distance from nominal probabilities; give them with the scenarios")
    return probabilities


def _nonnegative(name: str, value: float) -> None:
    if not value >= 0.0:
        raise OptionError(f"{name} is {value:g}; give 0 or more")
