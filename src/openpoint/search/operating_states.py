"""Enumeration of operating states: all radial topologies with all positions of the devices, by exact power flow."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices
from openpoint.search.enumeration import count_topologies, topologies

AT_ONCE = 20_000
"""States evaluated between two looks at `stop`."""
DRAWS = 40
"""Outputs drawn around the best known ones of a state, in each of several rounds."""
COARSE, FINE = 4, 40
"""Rounds for every state, and further rounds for the best one."""
NARROWER = 0.4, 0.75
"""By how much the range of the draws shrinks from one round to the next: for every state, and for the best one."""


@dataclass(frozen=True)
class OperatingState:
    """An operating state, its cost and its violation, exact.

    Attributes:
        closed: (E). positions: (D). generation: (G), 0 where a unit is off. value: cost. violation: sum of the
            relative excesses of the limits, 0 where all are kept.
    """

    closed: Bools
    positions: Ints
    generation: Complexes
    value: float
    violation: float

    def beats(self, other: OperatingState | None) -> bool:
        """Whether its violation is less, or equal with a lower cost."""
        return other is None or (self.violation, self.value) < (other.violation, other.value)


@dataclass(frozen=True)
class Enumerated:
    """The end of an enumeration.

    Attributes:
        best: state of least violation, of these that of least cost; None where none has a power flow.
        states: number evaluated. complete: whether all were. exact: whether `best` is proven to be the best when
            all were: outputs with a range are sampled, and then its cost is an upper bound alone.
    """

    best: OperatingState | None
    states: int
    complete: bool
    exact: bool


class StateEvaluator(Protocol):
    """The evaluator of operating states, such as an `OperatingPointEvaluator`."""

    @property
    def network(self) -> Network: ...
    @property
    def devices(self) -> Devices: ...
    def on(self, positions: Ints) -> Bools:
        """(K, G) whether each generator is on."""
        ...

    def evaluate(self, closed: Bools, positions: Ints, generation: Complexes | None = None) -> tuple[Floats, Floats]:
        """(K) costs and (K) violations of states."""
        ...


def count_positions(devices: Devices) -> int:
    """Number of combinations of positions."""
    return math.prod(devices.sizes.tolist())


def best_operating_state(
    evaluator: StateEvaluator,
    *,
    locked_closed: Bools | None = None,
    locked_open: Bools | None = None,
    max_changes: int | None = None,
    limit: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Enumerated:
    """The best of all operating states.

    Args:
        evaluator: the grid, its devices, costs and limits.
        locked_closed, locked_open: (E) branches that keep their state; default: those that are not switchable.
        max_changes: most branches whose state may differ from today's.
        limit: refuse to start when there are more states than this.
        stop: called regularly; True ends the enumeration.

    Raises:
        OptionError: more states than `limit`, a branch locked both ways, or several phases.
    """
    network, devices = evaluator.network, evaluator.devices
    combinations = count_positions(devices)
    trees = count_topologies(network, locked_closed=locked_closed, locked_open=locked_open)
    if limit is not None and trees * combinations > limit:
        raise OptionError(
            f"there are {trees:,} radial topologies with {combinations:,} combinations of positions each, more than "
            f"the limit of {limit:,} states; lock branches, hold devices, or raise it"
        )
    chosen = bool(np.any(network.p_max > network.p_min) or np.any(network.q_max > network.q_min))
    best: OperatingState | None = None
    count, complete = 0, True
    for closed in topologies(network, locked_closed=locked_closed, locked_open=locked_open):
        if not complete:
            break
        if max_changes is not None:
            closed = closed[(closed != network.closed).sum(axis=1) <= max_changes]
        for begin in range(0, len(closed) * combinations, AT_ONCE):
            if stop():
                complete = False
                break
            pair = np.arange(begin, min(begin + AT_ONCE, len(closed) * combinations))
            states, positions = closed[pair % len(closed)], combination(devices, pair // len(closed))
            found = _best_of(evaluator, states, positions, chosen)
            count += len(pair)
            if found is not None and found.beats(best):
                best = found
    if best is not None and chosen:
        best = _refined(evaluator, best)
    return Enumerated(best, count, complete, exact=not chosen)


def combination(devices: Devices, number: Ints) -> Ints:
    """(K, D) positions of the combinations of these numbers, (K); voltages and ratios change last."""
    held = np.isin(devices.kind, (DeviceKind.VOLTAGE, DeviceKind.TAP))
    order = np.argsort(~held, kind="stable")
    positions = np.zeros((len(number), devices.count), dtype=np.int64)
    for d in order[::-1]:
        number, positions[:, d] = np.divmod(number, devices.sizes[d])
    return positions


def _best_of(evaluator: StateEvaluator, closed: Bools, positions: Ints, chosen: bool) -> OperatingState | None:
    """The best of (K, E) and (K, D), with outputs found by sampling where any are to be `chosen`."""
    today = _within(evaluator, evaluator.network.generator_s[None, :])
    generation = np.repeat(today, len(closed), axis=0)
    if chosen:
        width = 1.0
        for _ in range(COARSE):
            generation, value, violation = _sampled(evaluator, closed, positions, generation, width)
            width *= NARROWER[0]
    else:
        value, violation = evaluator.evaluate(closed, positions, generation)
    k = int(np.lexsort((value, violation))[0])
    if math.isinf(value[k]):
        return None
    on = evaluator.on(positions[k : k + 1])[0]
    output = np.where(on, generation[k], 0.0)
    return OperatingState(closed[k], positions[k], output, float(value[k]), float(violation[k]))


def _refined(evaluator: StateEvaluator, best: OperatingState) -> OperatingState:
    """The state with better outputs, if there are any near."""
    width, closed, positions = 0.3, best.closed[None, :], best.positions[None, :]
    generation = _within(evaluator, best.generation[None, :])
    for _ in range(FINE):
        generation, value, violation = _sampled(evaluator, closed, positions, generation, width)
        width *= NARROWER[1]
    output = np.where(evaluator.on(positions)[0], generation[0], 0.0)
    found = OperatingState(best.closed, best.positions, output, float(value[0]), float(violation[0]))
    return found if found.beats(best) else best


def _sampled(
    evaluator: StateEvaluator, closed: Bools, positions: Ints, generation: Complexes, width: float
) -> tuple[Complexes, Floats, Floats]:
    """(K, G) the best of the outputs of K states and of some drawn around them, and their (K) costs and violations.

    `width`: of the range drawn from, as a share of the whole range. One draw in five is an end of the range.
    """
    net, rng = evaluator.network, np.random.default_rng(0)
    least, span = np.concatenate([net.p_min, net.q_min]), np.concatenate([net.p_max, net.q_max])
    span = span - least
    now = np.concatenate([generation.real, generation.imag], axis=1)[:, None, :]
    drawn = now + width * span * (rng.random((len(now), DRAWS, len(least))) - 0.5)
    ends = np.where(rng.random(drawn.shape) < 0.5, least, least + span)
    drawn = np.clip(np.where(rng.random(drawn.shape) < 0.2, ends, drawn), least, least + span)
    drawn = np.concatenate([now, drawn], axis=1)
    count, half = drawn.shape[1], drawn.shape[2] // 2
    outputs = drawn[..., :half] + 1j * drawn[..., half:]
    value, violation = (
        part.reshape(-1, count)
        for part in evaluator.evaluate(
            np.repeat(closed, count, axis=0), np.repeat(positions, count, axis=0), outputs.reshape(-1, half)
        )
    )
    row, first = np.arange(len(now)), np.lexsort((value, violation), axis=1)[:, 0]
    return outputs[row, first], value[row, first], violation[row, first]


def _within(evaluator: StateEvaluator, s: Complexes) -> Complexes:
    """Outputs within their ranges that are nearest to these."""
    net = evaluator.network
    return np.asarray(np.clip(s.real, net.p_min, net.p_max) + 1j * np.clip(s.imag, net.q_min, net.q_max))
