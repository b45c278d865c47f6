"""The second checker's own view of a year: demands of all steps in fractions, and the means of groups of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from openpoint.arrays import Ints
from openpoint.verify.steps import Steps

Numbers = list[Fraction]
Demand = tuple[Numbers, Numbers]
"""Active and reactive power of every bus."""


def demands_of(steps: Steps) -> list[Demand]:
    """The demand in every step."""
    found = []
    for row in steps.profile.tolist():
        p, q = [Fraction(0)] * steps.n, [Fraction(0)] * steps.n
        for bus, follows, power in zip(steps.bus.tolist(), steps.follows.tolist(), steps.power.tolist(), strict=True):
            p[bus] += Fraction(row[follows]) * Fraction(power.real)
            q[bus] += Fraction(row[follows]) * Fraction(power.imag)
        found.append((p, q))
    return found


def mean_of(rows: list[Numbers], hours: Numbers) -> Numbers:
    """The mean of rows by hours."""
    return [sum((h * v for h, v in zip(hours, column)), Fraction(0)) / sum(hours) for column in zip(*rows)]


def of_groups(every: list[Demand], hours: Numbers, label: Ints, count: int) -> tuple[list[Demand], Numbers]:
    """The mean demand of every group of steps, and its hours."""
    demands, lengths = [], []
    for group in range(count):
        members = np.flatnonzero(label == group).tolist()
        inside = [hours[t] for t in members]
        p, q = (mean_of([every[t][part] for t in members], inside) for part in (0, 1))
        demands.append((p, q))
        lengths.append(sum(inside, Fraction(0)))
    assert sum(lengths) == sum(hours)
    return demands, lengths
