"""Costs of generators in `mpc.gencost`: polynomials in MW become prices in kW.

Source: R. D. Zimmerman, C. E. Murillo-Sánchez, MATPOWER User's Manual, appendix B, table B-4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from openpoint.io.matpower.case import Matrix

_PIECEWISE, _POLYNOMIAL = 1, 2
_NCOST, _FIRST = 3, 4


@dataclass(frozen=True)
class Cost:
    """What a generator costs while it is on: on + linear p + square p² in $/h, p in kW."""

    square: float
    linear: float
    on: float


def read_costs(matrix: Matrix | None) -> tuple[dict[int, Cost], list[tuple[int, str]]]:
    """Costs by the row of the generator, from 1, and line and reason of those that are not read.

    Rows after those of the generators are costs of reactive power; who reads the costs leaves them.
    """
    costs: dict[int, Cost] = {}
    not_read: list[tuple[int, str]] = []
    if matrix is not None:
        for row, (line, cells) in enumerate(zip(matrix.lines, matrix.values.tolist()), start=1):
            cost = _cost(cells)
            if isinstance(cost, Cost):
                costs[row] = cost
            else:
                not_read.append((line, cost))
    return costs, not_read


def _cost(cells: list[float]) -> Cost | str:
    """The cost in a row, or why it is not read."""
    if cells[0] == _PIECEWISE:
        return "costs that are piecewise linear are not read"
    count = cells[_NCOST] if len(cells) > _NCOST else math.nan
    if cells[0] != _POLYNOMIAL or not 0 <= count <= len(cells) - _FIRST or count != int(count):
        return "this is no cost of model 1 or 2 with its coefficients"
    by_power = cells[_FIRST : _FIRST + int(count)][::-1]
    if not all(map(math.isfinite, by_power)):
        return "a coefficient is no finite number"
    if any(by_power[3:]):
        return "costs of a higher power than the square are not read"
    on, linear, square = (*by_power, 0.0, 0.0, 0.0)[:3]
    if square < 0 or on < 0:
        return "costs with a negative square or constant are not read"
    return Cost(square / 1e6, linear / 1e3, on)
