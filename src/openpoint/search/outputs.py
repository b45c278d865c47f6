"""Outputs of generators by sequential quadratic programming on the exact power flow (Kraft 1988).

Where the cone program is tight, its outputs are the best ones, but for what separates them from the limits. Where it
is not, they may miss a limit or cost more than others do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network import Network

DIFFERENCE = 1e-4
"""Change of an output for a derivative, as a share of its range."""
INSIDE = 1e-10
"""How far inside a limit outputs are aimed at, as a share of it: more than the accuracy of a power flow."""
MISSED = 1e-4
"""Excess above which no outputs near keep the limits, and none of less cost are sought."""
NEAR = 400
"""Limits that are looked at, at most; those that are nearest."""
ROUNDS = 3
"""How often limits that came near are added."""
STEPS = 60
"""Quadratic programs of a round, at most."""
ACCURACY = 1e-12
"""Relative gain of cost at which a round ends."""


class MarginEvaluator(Protocol):
    """The evaluator of operating states, such as an `OperatingPointEvaluator`."""

    @property
    def network(self) -> Network: ...
    def evaluate(self, closed: Bools, positions: Ints, generation: Complexes | None = None) -> tuple[Floats, Floats]:
        """(K) costs and (K) violations of states."""
        ...

    def margins(self, closed: Bools, positions: Ints, generation: Complexes) -> tuple[Floats, Floats]:
        """(K) costs of states, and (K, M) by how much they exceed what counts as kept of M limits, relative to these.

        Below 0 where there is room; both are inf where no flow exists.
        """
        ...


@dataclass
class _Outputs:
    """Outputs of one state as points between 0 and 1, and what they cost and exceed, with derivatives."""

    point: MarginEvaluator
    closed: Bools
    positions: Ints
    given: Complexes
    known: dict[bytes, tuple[float, Floats, Floats, Floats]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        net = self.point.network
        self.least = np.concatenate([net.p_min, net.q_min])
        self.range = np.concatenate([net.p_max, net.q_max]) - self.least
        self.free = np.flatnonzero(self.range > 0.0)

    @property
    def start(self) -> Floats:
        """The given outputs."""
        both = np.concatenate([self.given.real, self.given.imag])
        shares = (both[self.free] - self.least[self.free]) / self.range[self.free]
        return np.asarray(np.clip(shares, 0.0, 1.0))

    def at(self, x: Floats) -> Complexes:
        """(…, G) outputs of points (…, n)."""
        both = np.broadcast_to(np.concatenate([self.given.real, self.given.imag]), (*x.shape[:-1], 2 * len(self.given)))
        both = both.copy()
        both[..., self.free] = self.least[self.free] + x * self.range[self.free]
        p, q = np.split(both, 2, axis=-1)
        return np.asarray(p + 1j * q)

    def seen(self, x: Floats) -> tuple[float, Floats, Floats, Floats]:
        """Cost, (M) excesses, (n) and (M, n) their derivatives at a point; derivatives are 0 where they are unknown."""
        key = x.tobytes()
        if key not in self.known:
            step = DIFFERENCE * np.eye(len(x))
            values, excesses = self.point.margins(
                self.closed, self.positions, self.at(np.concatenate([x[None, :], x + step, x - step]))
            )
            ahead, behind = slice(1, 1 + len(x)), slice(1 + len(x), None)
            with np.errstate(invalid="ignore"):
                slope = (values[ahead] - values[behind]) / (2.0 * DIFFERENCE)
                slopes = (excesses[ahead] - excesses[behind]).T / (2.0 * DIFFERENCE)
            self.known[key] = float(values[0]), excesses[0], _number(slope), _number(slopes)
        return self.known[key]


def improved(
    point: MarginEvaluator,
    closed: Bools,
    positions: Ints,
    output: Complexes,
    within: Callable[[Complexes], Complexes],
) -> Complexes:
    """(G) outputs that miss the limits by less, or cost less, than those given, if there are any near.

    Args:
        point: exact evaluation. closed, positions: (E) and (D), the state.
        output: (G) to start from. within: puts outputs into their ranges.
    """
    outputs = _Outputs(point, closed, positions, output)
    x = outputs.start
    if not len(x) or not math.isfinite(outputs.seen(x)[0]):
        return output
    if outputs.seen(x)[1].max(initial=-1.0) > 0.0:
        x = _kept(outputs, x)
    if outputs.seen(x)[1].max(initial=-1.0) <= MISSED:
        x = _cheaper(outputs, x)
    other = within(outputs.at(x))
    values, violations = point.evaluate(closed, positions, np.stack([output, other]))
    best = int(np.lexsort((values, violations))[0])
    return other if best == 1 else output


def _kept(outputs: _Outputs, x: Floats) -> Floats:
    """The outputs near some that miss limits whose greatest excess is least; the first found that keep all."""
    excess = max(float(outputs.seen(x)[1].max()), 0.0)
    start, limits = np.append(x, excess), _nearest(outputs, x)
    found = _minimised(
        lambda z: (float(z[-1]), np.append(np.zeros(len(x)), 1.0)),
        lambda z: (
            z[-1] - outputs.seen(z[:-1])[1][limits],
            np.hstack([-outputs.seen(z[:-1])[3][limits], np.ones((len(limits), 1))]),
        ),
        start,
        [(0.0, 1.0)] * len(x) + [(-1e-3, max(excess, 1e-3))],
    )[:-1]
    return found if outputs.seen(found)[1].max() < excess else x


def _cheaper(outputs: _Outputs, x: Floats) -> Floats:
    """The outputs of least cost near some, with the limits kept that are near there."""
    scale = max(abs(outputs.seen(x)[0]), 1e-9)
    limits = np.empty(0, dtype=np.int64)

    def cost(z: Floats) -> tuple[float, Floats]:
        value, _, slope, _ = outputs.seen(z)
        return value / scale, slope / scale

    def room(z: Floats) -> tuple[Floats, Floats]:
        _, excess, _, slopes = outputs.seen(z)
        return -excess[limits] - INSIDE, -slopes[limits]

    for _ in range(ROUNDS):
        limits = np.union1d(limits, _nearest(outputs, x))
        x = _minimised(cost, room, x, [(0.0, 1.0)] * len(x))
        if np.delete(outputs.seen(x)[1], limits).max(initial=-1.0) <= 0.0:
            break
    return x


def _nearest(outputs: _Outputs, x: Floats) -> Ints:
    """Numbers of the limits that are nearest."""
    excess = outputs.seen(x)[1]
    return np.argsort(-excess, kind="stable")[:NEAR]


def _minimised(
    cost: Callable[[Floats], tuple[float, Floats]],
    room: Callable[[Floats], tuple[Floats, Floats]],
    start: Floats,
    ranges: list[tuple[float, float]],
) -> Floats:
    """A local optimum of a cost with room ≥ 0, both with their derivatives."""

    def finite(value: Any) -> Any:
        return np.clip(np.nan_to_num(value, nan=1e6, posinf=1e6, neginf=-1e6), -1e6, 1e6)

    kept = {"type": "ineq", "fun": lambda z: finite(room(z)[0]), "jac": lambda z: room(z)[1]}
    from scipy.optimize import minimize

    answer: Any = minimize(  # type: ignore[call-overload]
        lambda z: finite(cost(z)[0]),
        start,
        jac=lambda z: cost(z)[1],
        bounds=ranges,
        constraints=[kept],
        method="SLSQP",
        options={"maxiter": STEPS, "ftol": ACCURACY},
    )
    low, high = np.array(ranges).T
    return np.clip(np.asarray(answer.x, dtype=np.float64), low, high)


def _number(derivatives: Floats) -> Floats:
    return np.asarray(np.nan_to_num(derivatives, nan=0.0, posinf=0.0, neginf=0.0))
