"""Restoration by more than ties: by at most k closings, and by any switching.

A state that feeds every bus that a path leads to closes k branches once the section is isolated, and opens as many
others as keep it radial: k less the parts that are to be joined. `openpoint.search.topology` searches for such a state
and ends at the first that keeps the limits; where it ends without one, there is none. Whether any switching restores
the supply does not depend on the state before the fault: it is a property of the grid.

Restoration: the ties that feed what a fault cut off, one for each part, so that the limits hold.

Every choice of at most one tie a part is a state, and each is evaluated by its exact AC power flow. Where there are
more than `MOST` choices, only ties that hold alone are combined, the `FEW` of least loss of each part: then a
restoration of several parts at once may be missed, and the verdict is on the safe side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.network.stations import Stations
from openpoint.search.enumeration import count_topologies, topologies
from openpoint.search.plan.flows import at_once
from openpoint.search.result import SearchProgress
from openpoint.search.topology import search_topologies
from openpoint.studies.secure.model.faults import Fault
from openpoint.studies.secure.model.states import (
    Choice,
    EvaluatedState,
    Remainder,
    closed_ties,
    figures_and_loss,
    keeping,
    remainder_of,
)
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination
from openpoint.twostage.workers.pool import never

MOST = 512
FEW = 3


@dataclass(frozen=True)
class Restoration:
    """The best that ties do after a fault.

    Attributes:
        best: the state that serves most within the limits, None where no tie helps. nearest: of the states that serve
            something, that which exceeds its limits least, where none holds. is_whole: whether all choices were tried.
        others: states within the limits that serve as much, those that come next first.
    """

    best: EvaluatedState | None
    nearest: EvaluatedState | None
    is_whole: bool
    others: tuple[EvaluatedState, ...] = ()

    @property
    def choices(self) -> tuple[EvaluatedState, ...]:
        """The best state, and others that serve as much."""
        return () if self.best is None else (self.best, *self.others)

    @property
    def served(self) -> tuple[bool, ...]:
        return self.best.served if self.best else ()


def needs_of(fault: Fault, load: Floats, customers: Floats | None) -> list[bool]:
    """Whether each part of a fault needs supply: it has load or customers, (N) of each bus."""
    return [
        bool(load[part.buses].any() or (customers is not None and customers[part.buses].any())) for part in fault.parts
    ]


class Evaluated(Protocol):
    """Whoever evaluates states after faults."""

    def evaluated(
        self, faults: Sequence[Fault], asked: Sequence[Sequence[Choice]], on_progress: Callable[[int], None]
    ) -> list[list[EvaluatedState]]:
        """The states of choices of each fault; those that join a part to nothing, or close a loop, are left out."""


def restorations(
    states: Evaluated,
    faults: Sequence[Fault],
    load: Floats,
    on_progress: Callable[[int], None],
) -> list[Restoration]:
    """The restoration of each fault.

    Args:
        states: after them, within the limits of an emergency. faults: in one state.
        load: (N) of each bus, of which most is to be restored.
        on_progress: called with the number of faults evaluated.
    """
    asked: list[list[Choice]] = [_choices([[int(t) for t in part.ties] for part in fault.parts]) for fault in faults]
    for fault, choices in zip(faults, asked):
        if fault.is_held:  # what other branches take over may be too much for them
            choices.append((None,) * len(fault.parts))
    whole = [len(choices) < MOST or _count(fault) <= MOST for choices, fault in zip(asked, faults)]
    evaluated = states.evaluated(faults, asked, on_progress)
    for k in (k for k, done in enumerate(whole) if not done):
        good = [[j for j in evaluated[k] if j.holds and j.ties[p] is not None] for p in range(len(faults[k].parts))]
        least = [sorted(some, key=lambda j: j.loss)[:FEW] for some in good]
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
    held.sort(key=lambda s: (-served(s), sum(t is not None for t in s.ties), s.loss))
    best = held[0] if held else None
    others = tuple(state for state in held[1:] if served(state) == served(held[0]))
    tried = [state for state in states if closed_ties(state.ties)] or list(states)
    full = [state for state in tried if all(state.served)] or tried
    nearest = None if best and all(best.served) else min(full, key=lambda s: s.figures.excess, default=None)
    return Restoration(best, nearest, whole, others)


KNOWN = 2
"""Restored states of other faults from which a search starts: those found last."""
QUICK = 50
"""Nodes searched before the states are enumerated, where they are few."""
MOST_STATES, FEW_STATES = 50_000, 16
"""States of one number of closings that are enumerated at most, and how many a choice of ties has at least on average;
else the search goes on, which needs more time a state."""


class Answer(StrEnum):
    """Whether a state was found, proven not to be there, or neither."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Asked:
    """Which states may restore what the ties do not.

    Attributes:
        closings: most branches closed, though always one for each part that can be fed. any: whether it is asked, too,
            if any number does.
    """

    closings: int = 1
    any: bool = False

    @property
    def beyond_ties(self) -> bool:
        return self.any or self.closings > 1


@dataclass(frozen=True)
class Switching:
    """The restorability of a fault: what switching can restore of all that a path leads to.

    Attributes:
        reached: (parts) whether a path leads to it, else it is cut off for good; None where that was not looked at.
        within, by_any: whether at most as many closings as were asked for restore it all, and whether any number does.
        state: the state found; None where ties alone do, or none was found.
        closings: of this state, or of the ties. is_fewest: whether fewer are proven not to do.
    """

    reached: tuple[bool, ...] | None
    within: Answer
    by_any: Answer
    state: EvaluatedState | None = None
    closings: int | None = None
    is_fewest: bool = False


def switchings_after(
    stations: Stations,
    faults: Sequence[Fault],
    restorations: Sequence[Restoration],
    needs: Sequence[Sequence[bool]],
    asked: Asked,
    deadline: Deadline,
    on_progress: Callable[[int, int], None],
) -> list[Switching]:
    """The restorability after each fault.

    Args:
        stations: see `openpoint.studies.secure.model.switchings`. restorations: by ties, of the faults.
        needs: for each fault, which parts need supply. deadline: what is not decided then stays unknown.
        on_progress: called with the number of faults searched, and of all that ties do not restore.
    """
    result = [_by_ties(*each) for each in zip(faults, restorations, needs, strict=True)]
    open_ones = [k for k, found in enumerate(result) if found.by_any is Answer.UNKNOWN] if asked.beyond_ties else []
    known: list[Bools] = []
    for _ in range(2):  # what needs more than its share of the time is searched again in the time that is left
        for done, k in enumerate(open_ones):
            on_progress(done, len(open_ones))
            if deadline.over():
                break
            share = deadline.within(deadline.left() / (len(open_ones) - done))
            result[k], closed = _searched(stations, faults[k], restorations[k], needs[k], asked, share, known)
            known += [] if closed is None else [closed]
        if open_ones:
            on_progress(len(open_ones), len(open_ones))
        open_ones = [k for k in open_ones if _is_open(result[k], asked)]
        if deadline.over() or math.isinf(deadline.left()):
            break
    return result


def _searched(
    stations: Stations,
    fault: Fault,
    restoration: Restoration,
    needs: Sequence[bool],
    asked: Asked,
    deadline: Deadline,
    known: Sequence[Bools],
) -> tuple[Switching, Bools | None]:
    """What more than ties restore after a fault, and the (E) state of the whole network that does."""
    left = remainder_of(stations, fault)
    by_ties = _by_ties(fault, restoration, [need and there for need, there in zip(needs, left.reached)])
    if by_ties.by_any is Answer.YES:
        return replace(by_ties, reached=left.reached), None
    found = _Search(left, restoration.is_whole, deadline, known).answered(asked)
    if found.state is None:
        return found, None
    closed = left.whole.closed.copy()
    closed[list(closed_ties(found.state.ties))] = True
    closed[list(found.state.opened)] = False
    return found, closed


def _is_open(found: Switching, asked: Asked) -> bool:
    """Whether something asked is not known."""
    unknown = found.within is Answer.UNKNOWN and asked.closings > 1
    return unknown or (found.by_any is Answer.UNKNOWN and asked.any)


def taken(restoration: Restoration, switching: Switching) -> Restoration:
    """The restoration with the state of a switching, where that has no more closings than were asked for."""
    if switching.state is None or switching.within is not Answer.YES:
        return restoration
    return Restoration(switching.state, None, restoration.is_whole)


def _by_ties(fault: Fault, restoration: Restoration, needs: Sequence[bool]) -> Switching:
    """What is known from the ties: that they restore all, or no more than that."""
    best = restoration.best
    served = restoration.served or (False,) * len(fault.parts)
    reached = tuple(bool(len(part.ties)) for part in fault.parts)
    wanted = [has for has, need, there in zip(served, needs, reached, strict=True) if need and there]
    if all(wanted) and (best is not None or not fault.is_held):
        closings = len(closed_ties(best.ties)) if best and wanted else 0
        return Switching(reached, Answer.YES, Answer.YES, closings=closings, is_fewest=True)
    return Switching(None, Answer.NO if restoration.is_whole else Answer.UNKNOWN, Answer.UNKNOWN)


class _Search:
    """The search for a state after one fault."""

    def __init__(self, left: Remainder, ties_tried: bool, deadline: Deadline, known: Sequence[Bools]) -> None:
        """`ties_tried`: whether all choices of one tie a part were. `known`: (E) states to start from."""
        self.left, self.deadline, self.known = left, deadline, known
        self.first = left.least_closings + ties_tried

    def answered(self, asked: Asked) -> Switching:
        """The state of fewest closings if it has no more than are asked for, else the first one found."""
        most = max(asked.closings, self.left.least_closings)
        by_any, best = self._searched(None) if asked.any else (Answer.UNKNOWN, None)
        if by_any is Answer.NO:
            return Switching(self.left.reached, Answer.NO, Answer.NO, is_fewest=True)
        fewest = True  # whether all fewer closings are proven not to do
        for closings in range(self.first, most + 1 if best is None else min(most + 1, len(best.ties))):
            found, state = self._searched(closings)
            fewest &= found is not Answer.UNKNOWN
            if state is not None:
                best = state
                break
        without = Answer.NO if fewest else Answer.UNKNOWN
        if best is None:
            return Switching(self.left.reached, without, by_any)
        count = len(best.ties)
        within = Answer.YES if count <= most else without
        return Switching(self.left.reached, within, Answer.YES, best, count, fewest and count <= most + 1)

    def _searched(self, closings: int | None) -> tuple[Answer, EvaluatedState | None]:
        """Whether a state with at most so many closings keeps the limits, and one that does."""
        if not self.left.is_radial or self.deadline.over():
            return Answer.UNKNOWN, None
        over = self.deadline.over
        some = closings is not None and states_of(self.left, closings, MOST_STATES, over) <= MOST_STATES
        found = self._by_search(closings, QUICK if some else None)
        if found[0] is Answer.UNKNOWN and some and closings is not None:
            return self._by_enumeration(closings)
        return found

    def _by_search(self, closings: int | None, nodes: int | None) -> tuple[Answer, EvaluatedState | None]:
        network, found = self.left.part.network, [False]

        def look(progress: SearchProgress) -> None:
            found[0] |= np.isfinite(progress.value)

        starts = [closed[self.left.part.branches] for closed in self.known[-KNOWN:]]
        try:
            result = search_topologies(
                network,
                SwitchingRules.of(network, None if closings is None else 2 * closings - self.left.least_closings),
                starts=np.array(starts) if starts else None,
                node_limit=nodes,
                stop=lambda: found[0],
                progress=look,
                deadline=self.deadline,
            )
        except OptionError:  # a grid for which the bound of the search does not hold
            return Answer.UNKNOWN, None
        state = None if result.closed is None else evaluated(self.left, result.closed)
        if state is not None and state.holds:
            return Answer.YES, state
        return (Answer.NO if result.termination is Termination.INFEASIBLE else Answer.UNKNOWN), None

    def _by_enumeration(self, closings: int) -> tuple[Answer, EvaluatedState | None]:
        """As `_searched`, by the power flow of every state."""
        network = self.left.part.network
        for ties in ties_of(self.left, closings):
            for states in topologies(network, _with_ties(network, ties), chunk=at_once(network)):
                if self.deadline.over():
                    return Answer.UNKNOWN, None
                fits = np.flatnonzero(keeping(network, states))
                if len(fits) and (state := evaluated(self.left, states[fits[0]])).holds:
                    return Answer.YES, state
        return Answer.NO, None


def ties_of(left: Remainder, closings: int) -> Iterator[tuple[int, ...]]:
    """All choices of so many branches of the part to close."""
    network = left.part.network
    return itertools.combinations(np.flatnonzero(network.switchable & ~network.closed).tolist(), closings)


def states_of(left: Remainder, closings: int, most: int, over: Callable[[], bool] = never) -> int:
    """How many states have exactly so many closings; a number above `most` where there are more, or where `over`."""
    network = left.part.network
    if math.comb(int((network.switchable & ~network.closed).sum()), closings) > most // FEW_STATES:
        return most + 1
    count = 0
    for ties in ties_of(left, closings):
        if count > most or over():
            return most + 1
        count += count_topologies(network, _with_ties(network, ties))
    return count


def _with_ties(network: Network, ties: tuple[int, ...]) -> SwitchingRules:
    """The states in which these ties are closed, and no other."""
    closed, opened = network.closed & ~network.switchable, ~network.closed
    closed[list(ties)], opened[list(ties)] = True, False
    return SwitchingRules(closed, opened)


def evaluated(left: Remainder, closed: Bools) -> EvaluatedState:
    """A state of the part as one of the whole network, by exact AC power flow."""
    before, branches = left.part.network.closed, left.part.branches
    whole = left.whole.closed.copy()
    whole[branches] = closed
    ties = tuple(branches[closed & ~before].tolist())
    opened = tuple(branches[before & ~closed].tolist())
    return EvaluatedState(ties, left.reached, *figures_and_loss(left.whole, whole), opened)
