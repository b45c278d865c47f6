"""What a certificate is about, in words: limits and prices, and whether they are those of the grid."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

import numpy as np

from openpoint.arrays import Complexes, Floats
from openpoint.network import Network
from openpoint.verify.futures import Futures
from openpoint.verify.measure import Between
from openpoint.verify.objective import Objective

SLACK = 3e-6
"""Relative tolerance of limits of squares (1e-6 of a voltage or current counts as kept)."""


def limits_in_words(
    net: Network, sources: Collection[int], w_min: list[float], w_max: list[float], l_max: list[float]
) -> list[str]:
    """The limits of voltages and currents, of which those of the sources' own buses do not count."""
    rated = min(l_max, default=math.inf) < math.inf
    inner = [bus for bus in range(net.n_terminals) if bus not in sources]
    pairs = [(w_min[b], net.w_min[b]) for b in inner] + [(net.w_max[b], w_max[b]) for b in inner]
    ranges = {(w_min[b], w_max[b]) for b in inner}
    if _same(pairs):
        words = ["the voltage limits of the grid"]
    elif len(ranges) > 1:
        words = ["the voltage limits in the file (not those of the grid)"]
    else:
        low, high = map(math.sqrt, ranges.pop())
        words = [f"voltages of {low:.4f} to {high:.4f} pu (not the limits of the grid)"]
    if not _same(zip(net.l_max, l_max, strict=True)):
        words.append("current limits of the file (not of the grid)" if rated else "current limits left out")
    elif rated:
        words.append("its current limits" if _same(pairs) else "the current limits of the grid")
    return words


def _same(pairs: Iterable[tuple[float, float]]) -> bool:
    """Whether limits equal those of the grid within the tolerance; pairs of the lower and the higher value."""
    return all(low <= high <= low * (1.0 + SLACK) for low, high in pairs)


def supply_in_words(objective: Objective, asked: Objective | None) -> str:
    """The limits of the power of sources and generators; `asked`: those of the grid, if they are known."""
    words = "limits of the power of sources and generators"
    if not objective.supply_given:
        return f"{words} left out"
    if asked is None:
        return f"the {words} in the file"
    return f"the {words}" if objective.limited_as(asked.supply) else f"{words} of the file (not of the grid)"


def futures_in_words(futures: Futures, asked: tuple[Complexes, Floats] | None) -> str:
    """The measure of the losses, and whose futures; `asked`: demands and probabilities that are known."""
    measure, count = futures.measure, futures.count
    risk = "worst expectation near the probabilities in the file of the loss"
    if isinstance(measure, Between):
        weights = [low / measure.whole for low in measure.lower]
        level = 1.0 - measure.whole / sum(measure.upper)
        if measure.lower == measure.upper:
            risk = "expectation of the loss" + ("" if max(weights) - min(weights) < SLACK else " by probabilities")
        elif not any(measure.lower) and min(measure.upper) >= measure.whole:
            risk = "greatest loss"
        elif not any(measure.lower) and _proportional(measure.upper, futures.weights):
            risk = f"mean of the greatest losses, those of probability {1.0 - level:.4g},"
        else:
            risk = "worst expectation between the probabilities in the file of the loss"
    beyond = " beyond that of each future in the file" if any(futures.reference) else ""
    whose = "of the file"
    if asked is not None:
        same = np.array_equal(asked[0], futures.demands) and np.array_equal(asked[1], futures.weights)
        whose = "of the table" if same else "of the file (not those of the table)"
    return f"{risk}{beyond} in the {count} futures {whose}"


def _proportional(upper: list[int], weights: list[float]) -> bool:
    most, whole = np.array(upper, dtype=float) / sum(upper), np.array(weights) / sum(weights)
    return bool(np.all(np.abs(most - whole) <= SLACK))


def prices_in_words(objective: Objective, asked: Objective | None, s_base_kva: float) -> str:
    """The prices by which states are compared; `asked`: those of the grid, if they are known."""
    cost = objective.cost
    if asked is not None and objective.priced_as(asked.cost):
        return "$/h at the prices of the grid"
    parts = (
        ("losses", np.array([cost.loss]), "per kW"),
        ("sources", cost.source, "per kW"),
        ("generators", cost.generator, "per kW"),
        ("squared output", cost.square / s_base_kva, "per kW²"),
        ("a generator on", cost.idle * s_base_kva, ""),
        ("squared currents", cost.current * s_base_kva, "per unit"),
        ("a device moved", np.array([cost.move]) * s_base_kva, ""),
    )
    prices = [f"{name} {_span(values)} {unit}".rstrip() for name, values, unit in parts if np.any(values != 0.0)]
    return f"at the prices in the file ({', '.join(prices)})"


def _span(values: np.ndarray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
