"""Restoration: the ties that feed what a fault cut off, one for each part, so that the limits hold.

Every choice of at most one tie a part is a state, and each is judged by its exact AC power flow. Where there are more
than `MOST` choices, only ties that hold alone are combined, the `FEW` of least loss of each part: then a restoration of
several parts at once may be missed, and the verdict is on the safe side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.network import Network
from openpoint.powerflow.balanced import FlowStatus, solve
from openpoint.studies.secure.model.faults import Fault

TOLERANCE = 1e-6
"""Share of a limit by which it may be exceeded, as in the check of every AC state."""
MOST = 512
FEW = 3
CELLS = 2_000_000
"""Buses and branches of the states that are solved in one call, so that memory stays small."""

Choice = tuple[int | None, ...]
"""The tie of each part, None for one that stays dark."""


@dataclass(frozen=True)
class Judged:
    """A state after a fault.

    Attributes:
        ties: closed, one a part or None. served: (parts) whether the part has supply.
        excess: the largest share by which a limit is exceeded, 0 or below where all hold; inf without a power flow.
        loss: per unit. v_min, v_max: pu, of all buses with supply. loading: largest share of a rating, nan without.
        worst: what exceeds its limit most: "voltage low", "voltage high", "current", its number; "" where none does.
    """

    ties: Choice
    served: tuple[bool, ...]
    excess: float
    loss: float
    v_min: float
    v_max: float
    loading: float
    worst: tuple[str, int]

    @property
    def holds(self) -> bool:
        """Whether all limits hold."""
        return self.excess <= TOLERANCE


@dataclass(frozen=True)
class Restoration:
    """The best that ties do after a fault.

    Attributes:
        best: the state that serves most within the limits, None where no tie helps. nearest: of the states that serve
            something, that which exceeds its limits least, where none holds. is_whole: whether all choices were tried.
    """

    best: Judged | None
    nearest: Judged | None
    is_whole: bool

    @property
    def served(self) -> tuple[bool, ...]:
        return self.best.served if self.best else ()


def restorations(
    network: Network, closed: Bools, faults: Sequence[Fault], load: Floats, tell: Callable[[int], None]
) -> list[Restoration]:
    """The restoration of each fault.

    Args:
        network: with the limits of an emergency. closed: (E) the state before. faults: in this state.
        load: (N) of each bus, of which most is to be restored. tell: called with the number of faults judged.
    """
    asked: list[list[Choice]] = [_choices([[int(t) for t in part.ties] for part in fault.parts]) for fault in faults]
    whole = [len(choices) < MOST or _count(fault) <= MOST for choices, fault in zip(asked, faults)]
    judged = _judged(network, closed, faults, asked, tell)
    for k in (k for k, done in enumerate(whole) if not done):
        good = [[j for j in judged[k] if j.holds and j.ties[p] is not None] for p in range(len(faults[k].parts))]
        few = [[int(j.ties[p] or 0) for j in sorted(some, key=lambda j: j.loss)[:FEW]] for p, some in enumerate(good)]
        more = list(itertools.islice(_product(few), MOST))
        judged[k] += _judged(network, closed, [faults[k]], [more], lambda _: None)[0]
    return [_best(fault, states, load, done) for fault, states, done in zip(faults, judged, whole)]


def _count(fault: Fault) -> int:
    return math.prod(len(part.ties) + 1 for part in fault.parts) - 1


def _product(ties: Sequence[Sequence[int]]) -> Iterator[Choice]:
    """All choices but that of no tie."""
    every = itertools.product(*[(None, *own) for own in ties])
    return (choice for choice in every if any(tie is not None for tie in choice))


def _choices(ties: Sequence[Sequence[int]]) -> list[Choice]:
    """All choices; where there are too many, those of one tie alone."""
    if math.prod(len(own) + 1 for own in ties) - 1 <= MOST:
        return list(_product(ties))
    return [tuple(tie if p == part else None for p in range(len(ties))) for part, own in enumerate(ties) for tie in own]


def _judged(
    network: Network,
    closed: Bools,
    faults: Sequence[Fault],
    asked: Sequence[Sequence[Choice]],
    tell: Callable[[int], None],
) -> list[list[Judged]]:
    """Each choice as a state; those that join a part to nothing, or close a loop, are left out."""
    result: list[list[Judged]] = [[] for _ in faults]
    size = max(1, CELLS // (network.n_terminals + network.n_conductors))
    todo = [(k, choice) for k, choices in enumerate(asked) for choice in choices]
    for start in range(0, len(todo), size):
        some = todo[start : start + size]
        states = np.array([faults[k].state(closed, tuple(t for t in ties if t is not None)) for k, ties in some])
        for (k, _), judged in zip(some, _of_states(network, faults, some, states)):
            if judged is not None:
                result[k].append(judged)
        tell(some[-1][0])
    return result


def _of_states(
    network: Network, faults: Sequence[Fault], asked: Sequence[tuple[int, Choice]], states: Bools
) -> Iterator[Judged | None]:
    flows = solve(network, states)
    v, i = np.abs(flows.v), np.abs(flows.i_series)
    live = flows.energised.copy()
    rated = np.isfinite(network.l_max)
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(live & (network.w_min > 0.0), np.sqrt(network.w_min) / v - 1.0, -np.inf)
        high = np.where(live, v / np.sqrt(network.w_max) - 1.0, -np.inf)
        loading = np.where(rated, i / np.sqrt(network.l_max), -np.inf)
    for row, (k, ties) in enumerate(asked):
        served = tuple(bool(live[row, part.buses[0]]) for part in faults[k].parts)
        wanted = tuple(tie is not None for tie in ties)
        dark = any(want and not have for want, have in zip(wanted, served))
        if dark or flows.status[row] == FlowStatus.NOT_RADIAL:
            yield None
            continue
        if not flows.converged[row]:
            yield Judged(ties, served, math.inf, math.inf, math.nan, math.nan, math.nan, ("no power flow", -1))
            continue
        yield _judge(ties, served, low[row], high[row], loading[row], v[row][live[row]], float(flows.loss[row]))


def _judge(
    ties: Choice, served: tuple[bool, ...], low: Floats, high: Floats, loading: Floats, v: Floats, loss: float
) -> Judged:
    """The figures of a state with a power flow."""
    kinds = (("voltage low", low), ("voltage high", high), ("current", loading - 1.0))
    found = [(float(excess.max()), kind, int(excess.argmax())) for kind, excess in kinds]
    most, kind, number = max(found)
    worst = (kind, number) if most > TOLERANCE else ("", -1)
    full = float(loading.max())
    return Judged(
        ties,
        served,
        most,
        loss,
        float(v.min()),
        float(v.max()),
        full if math.isfinite(full) else math.nan,
        worst,
    )


def _best(fault: Fault, states: Sequence[Judged], load: Floats, whole: bool) -> Restoration:
    worth = [float(load[part.buses].sum()) for part in fault.parts]

    def served(state: Judged) -> float:
        return sum(own for own, has in zip(worth, state.served) if has)

    held = [state for state in states if state.holds]
    # Of those that serve as much, the fewest ties, then the least loss.
    best = min(held, key=lambda s: (-served(s), sum(t is not None for t in s.ties), s.loss), default=None)
    full = [state for state in states if all(state.served)] or list(states)
    nearest = None if best and all(best.served) else min(full, key=lambda s: s.excess, default=None)
    return Restoration(best, nearest, whole)
