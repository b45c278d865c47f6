"""Restoration: the ties that feed what a fault cut off, one for each part, so that the limits hold.

Every choice of at most one tie a part is a state, and each is evaluated by its exact AC power flow. Where there are
more than `MOST` choices, only ties that hold alone are combined, the `FEW` of least loss of each part: then a
restoration of several parts at once may be missed, and the verdict is on the safe side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from openpoint.arrays import Floats
from openpoint.network.stations import Stations
from openpoint.studies.secure.model.faults import Fault
from openpoint.studies.secure.model.states import Choice, EvaluatedState, States
from openpoint.studies.secure.model.tree import Tree

MOST = 512
FEW = 3


@dataclass(frozen=True)
class Restoration:
    """The best that ties do after a fault.

    Attributes:
        best: the state that serves most within the limits, None where no tie helps. nearest: of the states that serve
            something, that which exceeds its limits least, where none holds. is_whole: whether all choices were tried.
    """

    best: EvaluatedState | None
    nearest: EvaluatedState | None
    is_whole: bool

    @property
    def served(self) -> tuple[bool, ...]:
        return self.best.served if self.best else ()


def needs_of(fault: Fault, load: Floats, customers: Floats | None) -> list[bool]:
    """Whether each part of a fault needs supply: it has load or customers, (N) of each bus."""
    return [
        bool(load[part.buses].any() or (customers is not None and customers[part.buses].any())) for part in fault.parts
    ]


def restorations(
    stations: Stations, tree: Tree, faults: Sequence[Fault], load: Floats, on_progress: Callable[[int], None]
) -> list[Restoration]:
    """The restoration of each fault.

    Args:
        stations: the network with the limits of an emergency, and the one with its held meshes opened, both in the
            state before. tree: of the latter. faults: in this state.
        load: (N) of each bus, of which most is to be restored. on_progress: called with the number of faults evaluated.
    """
    asked: list[list[Choice]] = [_choices([[int(t) for t in part.ties] for part in fault.parts]) for fault in faults]
    for fault, choices in zip(faults, asked):
        if fault.is_held:  # what other branches take over may be too much for them
            choices.append((None,) * len(fault.parts))
    whole = [len(choices) < MOST or _count(fault) <= MOST for choices, fault in zip(asked, faults)]
    states = States(stations, tree)
    evaluated = states.evaluated(faults, asked, on_progress)
    for k in (k for k, done in enumerate(whole) if not done):
        good = [[j for j in evaluated[k] if j.holds and j.ties[p] is not None] for p in range(len(faults[k].parts))]
        least = [sorted(some, key=lambda j: j.figures.loss)[:FEW] for some in good]
        few = [[tie for j in some if (tie := j.ties[p]) is not None] for p, some in enumerate(least)]
        more = list(itertools.islice(_product(few), MOST))
        evaluated[k] += states.evaluated([faults[k]], [more], lambda _: None)[0]
    return [_best(fault, found, load, done) for fault, found, done in zip(faults, evaluated, whole)]


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


def _best(fault: Fault, states: Sequence[EvaluatedState], load: Floats, whole: bool) -> Restoration:
    worth = [float(load[part.buses].sum()) for part in fault.parts]

    def served(state: EvaluatedState) -> float:
        return sum(own for own, has in zip(worth, state.served) if has)

    held = [state for state in states if state.holds]
    # Of those that serve as much, the fewest ties, then the least loss.
    best = min(held, key=lambda s: (-served(s), sum(t is not None for t in s.ties), s.figures.loss), default=None)
    full = [state for state in states if all(state.served)] or list(states)
    nearest = None if best and all(best.served) else min(full, key=lambda s: s.figures.excess, default=None)
    return Restoration(best, nearest, whole)
