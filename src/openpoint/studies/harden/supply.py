"""Backup generators in the recourse of hardening: where they were built, or scattered, which bounds every choice of
places from below.

A generator that stands in the part of the grid that still has its source holds up voltages there, and no cut of the
places chosen says how much others would help. What it can do anywhere follows from generators that are scattered: so
many of them, each of which may stand at several places in shares, and serve buses that are cut off without any branch
between them. Every plan with so many generators, wherever they stand, is a point of that:

- a generator within an island of a source is a whole share at its bus;
- in an island that a generator forms, every bus is served for itself; the power of these buses together, infeed
  deducted, is what the generators of the island give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.formulations.islands import Islands


@final
@dataclass(frozen=True)
class Supply:
    """What backup generators give.

    Attributes:
        output: (2, G) active and reactive output of the generators, per unit; None where there are none.
        p, q: (N) what they give at each bus. served: (N) most share of the load of a bus that can be served.
        constraints: linear.
    """

    output: cp.Variable | None
    p: cp.Expression
    q: cp.Expression
    served: cp.Expression
    constraints: list[cp.Constraint]


def built(places: Ints, size: tuple[float, float], chosen: cp.Expression, topology: Islands, n: int) -> Supply:
    """Generators of a size (active, reactive power, per unit) at the places that are chosen, (G) zeros and ones."""
    if not len(places):
        return Supply(None, cp.Constant(np.zeros(n)), cp.Constant(np.zeros(n)), topology.live, [])
    output, on = cp.Variable((2, len(places)), name="backup"), cp.Variable(len(places), name="on")
    constraints = [
        on <= chosen,
        on <= topology.live[places],
        topology.root <= on,  # a root is a generator that runs
        *_output_limits(output, size, on),
    ]
    at = _at(places, n)
    return Supply(output, at @ output[0], at @ output[1], topology.live, constraints)


def scattered(
    places: Ints,
    size: tuple[float, float],
    allowed: cp.Expression,
    topology: Islands,
    count: int,
    ranges: tuple[tuple[Floats, Floats], tuple[Floats, Floats]],
) -> Supply:
    """So many generators of a size, scattered over the places that are allowed.

    Args:
        places: (G) buses. allowed: (G) zeros and ones, alike at all places between which branches are whole.
        topology: of the islands of sources alone.
        count: of generators.
        ranges: of active and of reactive power: (N) least and most that a bus may take, from branches that cannot be
            opened too, where no source reaches it.
    """
    n = len(ranges[0][0])
    output, share = cp.Variable((2, len(places)), name="backup"), cp.Variable(len(places), name="share")
    apart, away, rest = cp.Variable((2, n), name="apart"), cp.Variable(n, name="away"), cp.Variable(name="rest")
    constraints = [
        share <= allowed,
        *_output_limits(output, size, share),
        *_served_apart(away, topology.live, allowed, places),
        *_number(share, rest, count),
        *_power_apart(apart, away, rest, size, ranges),
    ]
    at = _at(places, n)
    return Supply(output, at @ output[0] + apart[0], at @ output[1] + apart[1], topology.live + away, constraints)


def _output_limits(output: cp.Variable, size: tuple[float, float], share: cp.Expression) -> list[cp.Constraint]:
    """0 ≤ p ≤ p̄ share, |q| ≤ q̄ share."""
    p, q = size
    return [output[0] >= 0, output[0] <= p * share, output[1] >= -q * share, output[1] <= q * share]


def _served_apart(away: cp.Variable, live: cp.Expression, allowed: cp.Expression, places: Ints) -> list[cp.Constraint]:
    """0 ≤ away ≤ 1 − live, away ≤ allowed: served for itself is what no source reaches, where a place is allowed."""
    return [away >= 0, away <= 1 - live, away[places] <= allowed]


def _number(share: cp.Variable, rest: cp.Variable, count: int) -> list[cp.Constraint]:
    """Σ share + rest ≤ count: shares in islands of sources, and the rest apart from them."""
    return [rest >= 0, cp.sum(share) + rest <= count]


def _power_apart(
    apart: cp.Variable,
    away: cp.Variable,
    rest: cp.Variable,
    size: tuple[float, float],
    ranges: tuple[tuple[Floats, Floats], tuple[Floats, Floats]],
) -> list[cp.Constraint]:
    """0 ≤ Σ p ≤ p̄ rest, |Σ q| ≤ q̄ rest over the buses apart, each within its range where it is served."""
    constraints = [
        cp.sum(apart[0]) >= 0,
        cp.sum(apart[0]) <= size[0] * rest,
        cp.abs(cp.sum(apart[1])) <= size[1] * rest,
    ]
    for k, (least, most) in enumerate(ranges):
        constraints += [apart[k] >= cp.multiply(least, away), apart[k] <= cp.multiply(most, away)]
    return constraints


def _at(places: Ints, n: int) -> sp.csr_array:
    return sp.csr_array((np.ones(len(places)), (places, np.arange(len(places)))), (n, len(places)))
