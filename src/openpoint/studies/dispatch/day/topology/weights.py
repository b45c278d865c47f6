"""Weights of days with which the bound of a radial state is near the worst case of its best plan.

The least cost g(λ) of the mixture of days with weights λ is concave in λ, and its greatest value is the robust optimum
over these days. At a solution x, which costs V_j(x) on day j, g(λ') ≤ λ'·V(x); the least of these cuts is raised by a
linear program (Kelley 1960). Any weights give a valid bound; these only make it strong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.optimize

from openpoint.arrays import Floats, Ints, States
from openpoint.network.day import DayArrays
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.topology.recourse import Copy
from openpoint.studies.dispatch.day.topology.relaxation import DayRelaxation

CUTS_MOST = 20
"""Mixtures that are tried, at most."""
LEAST = 2e-3
"""Least weight of a day that is tried, so that its copies are in the program and have a cost."""
CLOSE = 5e-5
"""Relative distance of the bound from the cuts at which no more are made."""


@dataclass(frozen=True)
class Mixture:
    """Copies of the days that have a weight, and (K) the weights of the copies.

    Attributes:
        of_day: (J, T) copies of each day, -1 where it has no weight.
    """

    copies: tuple[Copy, ...]
    weights: Floats
    of_day: Ints


def mixture(days: list[Floats], weights: Floats) -> Mixture:
    """Days (T, U) in these shares."""
    found: dict[tuple[int, bytes], int] = {}
    copies, by_copy = list[Copy](), list[float]()
    of_day = np.full((len(days), len(days[0])), -1, dtype=np.int64)
    for j, (day, weight) in enumerate(zip(days, weights, strict=True)):
        for t, row in enumerate(day if weight > 0.0 else []):
            k = found.setdefault((t, row.tobytes()), len(copies))
            if k == len(copies):
                copies.append(Copy(t, row))
                by_copy.append(0.0)
            by_copy[k] += float(weight)
            of_day[j, t] = k
    return Mixture(tuple(copies), np.array(by_copy), of_day)


def grouped(days: Floats, weights: Floats, costs: Floats | None = None, groups: int = 1) -> Mixture:
    """Days (K, T, U) with weights (K), those of a period in groups of like costs (K, T), each replaced by its mean."""
    copies, shares = list[Copy](), list[float]()
    for t in range(days.shape[1]):
        order = np.arange(len(days)) if costs is None else np.argsort(costs[:, t], kind="stable")
        for some in np.array_split(order, min(groups, len(days))):
            share = float(weights[some].sum())
            if share > 0.0:
                copies.append(Copy(t, weights[some] @ days[some, t] / share))
                shares.append(share)
    return Mixture(tuple(copies), np.array(shares), np.empty((0, days.shape[1]), dtype=np.int64))


def forecast(day: DayArrays) -> Mixture:
    """The forecast alone."""
    return mixture([np.ones((day.periods, day.uncertain.count))], np.ones(1))


def worst_mixture(
    question: DayQuestion, status: States, days: list[Floats], stop: Callable[[], bool] = lambda: False
) -> Mixture:
    """The days (T, U) with about the weights for which the bound of a radial state (m) is greatest, of those tried
    before the stop."""
    weights = np.full(len(days), 1.0 / len(days))
    whole = mixture(days, weights)
    # Columns that stay at a limit with some weights do not with others.
    relaxation = DayRelaxation(question, whole.copies, whole.weights, narrows=False)
    best, value, cuts, terms = weights, -np.inf, list[Floats](), None
    for _ in range(CUTS_MOST if len(days) > 1 else 0):
        found = relaxation.bound(status.copy(), terms, 3 if terms is None else 2)
        assert found is not None
        terms = found.conductances
        if found.value > value:
            best, value = weights, found.value
        first, by_copy = relaxation.costs_of_copies(found)
        cuts.append(first + by_copy[whole.of_day].sum(axis=1))
        weights, top = _highest(np.array(cuts))
        if top - value <= CLOSE * abs(top) or stop():
            break
        weights = np.maximum(weights, LEAST) / np.maximum(weights, LEAST).sum()
        relaxation.weigh(mixture(days, weights).weights)
    share = np.where(best > 2.0 * LEAST, best, 0.0)
    return mixture(days, share / share.sum())


def _highest(cuts: Floats) -> tuple[Floats, float]:
    """Weights for which the least of the cuts is greatest, and this value."""
    rows, count = cuts.shape
    middle = cuts.mean()
    answer = scipy.optimize.linprog(
        np.append(np.zeros(count), -1.0),
        A_ub=np.column_stack([middle - cuts, np.ones(rows)]),
        b_ub=np.zeros(rows),
        A_eq=np.append(np.ones(count), 0.0)[None, :],
        b_eq=np.ones(1),
        bounds=[(0.0, 1.0)] * count + [(None, None)],
    )
    assert answer.x is not None, answer.message
    return answer.x[:count], float(answer.x[count] + middle)
