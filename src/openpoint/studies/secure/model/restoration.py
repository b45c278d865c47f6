"""Restoration: the ties that feed what a fault cut off, one for each part, so that the limits hold.

Every choice of at most one tie a part is a state, and each is judged by its exact AC power flow. Where there are more
than `MOST` choices, only ties that hold alone are combined, the `FEW` of least loss of each part: then a restoration of
several parts at once may be missed, and the verdict is on the safe side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.network import Network
from openpoint.network.stations import Stations, open_held_meshes
from openpoint.powerflow.balanced import FlowStatus, solve
from openpoint.powerflow.meshed import solve_meshed
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
    stations: Stations, faults: Sequence[Fault], load: Floats, tell: Callable[[int], None]
) -> list[Restoration]:
    """The restoration of each fault.

    Args:
        stations: the network with the limits of an emergency, and the one with its held meshes opened, both in the
            state before. faults: in this state.
        load: (N) of each bus, of which most is to be restored. tell: called with the number of faults judged.
    """
    asked: list[list[Choice]] = [_choices([[int(t) for t in part.ties] for part in fault.parts]) for fault in faults]
    for fault, choices in zip(faults, asked):
        if fault.is_held:  # what other branches take over may be too much for them
            choices.append((None,) * len(fault.parts))
    whole = [len(choices) < MOST or _count(fault) <= MOST for choices, fault in zip(asked, faults)]
    judged = _judged(stations, faults, asked, tell)
    for k in (k for k, done in enumerate(whole) if not done):
        good = [[j for j in judged[k] if j.holds and j.ties[p] is not None] for p in range(len(faults[k].parts))]
        few = [[int(j.ties[p] or 0) for j in sorted(some, key=lambda j: j.loss)[:FEW]] for p, some in enumerate(good)]
        more = list(itertools.islice(_product(few), MOST))
        judged[k] += _judged(stations, [faults[k]], [more], lambda _: None)[0]
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
    stations: Stations,
    faults: Sequence[Fault],
    asked: Sequence[Sequence[Choice]],
    tell: Callable[[int], None],
) -> list[list[Judged]]:
    """Each choice as a state; those that join a part to nothing, or close a loop, are left out."""
    result: list[list[Judged]] = [[] for _ in faults]
    opened = stations.opened
    size = max(1, CELLS // (opened.n_terminals + opened.n_conductors))
    todo = [(k, choice) for k, choices in enumerate(asked) for choice in choices]
    for k, ties in todo:
        if faults[k].is_held and (judged := _of_meshed(stations.whole, faults[k], ties)) is not None:
            result[k].append(judged)
    todo = [(k, ties) for k, ties in todo if not faults[k].is_held]
    for start in range(0, len(todo), size):
        some = todo[start : start + size]
        states = np.array([faults[k].state(opened.closed, _closed(ties)) for k, ties in some])
        for (k, _), found in zip(some, _of_states(opened, faults, some, states)):
            if found is not None:
                result[k].append(found)
        tell(some[-1][0])
    return result


def _closed(ties: Choice) -> tuple[int, ...]:
    return tuple(tie for tie in ties if tie is not None)


def _of_meshed(network: Network, fault: Fault, ties: Choice) -> Judged | None:
    """A state that may have loops; None where a part that is to be fed is not."""
    closed = fault.state(network.closed, _closed(ties))
    opened = open_held_meshes(replace(network, closed=closed)).opened
    if solve(opened, opened.closed).status[0] != FlowStatus.NOT_RADIAL:
        return next(_of_states(opened, [fault], [(0, ties)], opened.closed[None]))
    served = (True,) * len(fault.parts)
    flow = solve_meshed(network, closed)  # none where a bus is without supply
    if flow is None:
        return _without_flow(ties, served) if any(ties) else None
    live = np.ones(network.n_terminals, dtype=np.bool_)
    shares = _shares(network, np.abs(flow.v)[None], np.abs(flow.i_series)[None], live[None])
    low, high, loading = (share[0] for share in shares)
    return _judge(ties, served, low, high, loading, np.abs(flow.v), flow.loss)


def _without_flow(ties: Choice, served: tuple[bool, ...]) -> Judged:
    return Judged(ties, served, math.inf, math.inf, math.nan, math.nan, math.nan, ("no power flow", -1))


def _shares(network: Network, v: Floats, i: Floats, live: Bools) -> tuple[Floats, Floats, Floats]:
    """(K, N) shares by which limits of voltage are exceeded, low and high, and (K, E) shares of the ratings."""
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(live & (network.w_min > 0.0), np.sqrt(network.w_min) / v - 1.0, -np.inf)
        high = np.where(live, v / np.sqrt(network.w_max) - 1.0, -np.inf)
        loading = np.where(np.isfinite(network.l_max), i / np.sqrt(network.l_max), -np.inf)
    return low, high, loading


def _of_states(
    network: Network, faults: Sequence[Fault], asked: Sequence[tuple[int, Choice]], states: Bools
) -> Iterator[Judged | None]:
    flows = solve(network, states)
    v, live = np.abs(flows.v), flows.energised
    low, high, loading = _shares(network, v, np.abs(flows.i_series), live)
    for row, (k, ties) in enumerate(asked):
        served = tuple(bool(live[row, part.buses[0]]) for part in faults[k].parts)
        wanted = tuple(tie is not None for tie in ties)
        dark = any(want and not have for want, have in zip(wanted, served))
        if dark or flows.status[row] == FlowStatus.NOT_RADIAL:
            yield None
            continue
        if not flows.converged[row]:
            yield _without_flow(ties, served)
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
