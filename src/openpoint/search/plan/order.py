"""The best order of switching: shortest paths over states, each arc evaluated by exact AC power flows.

A plan is worse the larger, in this order,

1. its operations,
2. of these the operations of switches that are not remote-controlled,
3. the energy that is not supplied while an opening comes before its closing,
4. the highest strain of any state, both ends and those with a closed loop included (`Figures.strain`),
5. the number of pairs in which a manual operation comes before a remote one (where time allows: not proven),

and no state may break a limit, unless today's state or that of the answer breaks one, and then by no more than these.
Where no plan of fewest operations keeps that, others with a few operations more are tried, and then the limits give
way: by the least largest excess for which there is a plan.

Each is a shortest path by A* over states. 1 to 3 add up along a path, and what is left of 1 and 2 is at least what
differs from the goal, which falls by at most 1 an operation: this bound is consistent. 4 is the largest of a path; of
two paths to one state that are equal in 1 to 3 the one of lower strain is never worse for what follows, so that a state
is settled when it is first taken. With 4 as a limit 5 adds up in turn. The least largest excess is a bottleneck path.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np

from openpoint.search.plan.flows import Figures
from openpoint.search.plan.question import Move, Moves, PlanQuestion
from openpoint.twostage.deadline import Deadline

EXACT = 14
"""Exchanges up to which the best order is searched for; beyond, a beam of states finds a good one."""
MOST_STATES = 60_000
"""States whose power flow a search solves before it gives up the proof."""
MORE = 4
"""Additional operations that are tried where no plan of fewest operations keeps the limits."""
BEAM = 8
"""States of a step that the beam goes on with; once time is up, the best alone, if that leads anywhere."""
DIGITS = 9
"""Decimals in which sums of energy and strains are compared, so that the order of summation does not decide."""

Cost = tuple[float, ...]


@dataclass(frozen=True)
class Order:
    """An order of switching.

    Attributes:
        moves: in order; none where the states do not differ.
        excess: largest by which a limit is exceeded in a state, 0 where all are kept. allowed: that of both ends.
        fewest: operations that any plan needs. proven: whether no plan is better by 1 to 4.
        where: the states and the branches that they are about.
    """

    moves: tuple[Move, ...]
    excess: float
    allowed: float
    fewest: int
    proven: bool
    where: Moves

    @property
    def keeps_limits(self) -> bool:
        """Whether no state breaks a limit more than both ends do."""
        return self.excess <= self.allowed


class _GaveUp(Exception):
    """The search has solved as many states as it may, or its time is over."""


def best_order(question: PlanQuestion, deadline: Deadline | None = None) -> Order | None:
    """The best plan, None where no order was found in which every state has a power flow."""
    finder = _Finder(question, deadline or Deadline())
    plain = question.moves()
    exchanges = max((plain.start & ~plain.goal).bit_count(), (plain.goal & ~plain.start).bit_count())
    fewest = len(plain.branches)
    with finder.freely():
        ends = [finder.at(plain, state).excess for state in (plain.start, plain.goal)]
    if not all(map(math.isfinite, ends)):
        return None
    allowed = max(ends)

    def order(moves: list[Move], where: Moves, proven: bool) -> Order:
        excess = max([allowed, *(finder.arc(where, before, move)[0] for before, move in _along(where, moves))])
        return Order(tuple(moves), excess, allowed, fewest, proven, where)

    proven = exchanges <= EXACT
    try:
        if proven and (found := finder.best(plain, allowed)) is not None:
            return order(found, plain, True)
    except _GaveUp:
        proven = False
    if not proven and (found := finder.beam(plain, allowed)) is not None:
        made = order(found, plain, False)
        if made.keeps_limits:
            return made
    try:
        more = question.moves(question.more_branches)
        if len(more.branches) > fewest and (found := finder.best(more, allowed, most=fewest + MORE)) is not None:
            return order(found, more, proven)
    except _GaveUp:
        proven = False
    try:
        least = finder.least_excess(plain)
        if least is None:
            return None
        found = finder.best(plain, least)
        return None if found is None else order(found, plain, proven)
    except _GaveUp:
        found = finder.beam(plain, allowed)
        return None if found is None else order(found, plain, False)


def _along(where: Moves, moves: list[Move]) -> list[tuple[int, Move]]:
    """The state before each move, and the move."""
    states = [where.start, *(move.state for move in moves)]
    return list(zip(states, moves))


class _Finder:
    """Searches with the power flows that they have in common."""

    def __init__(self, question: PlanQuestion, deadline: Deadline) -> None:
        self._question, self._deadline = question, deadline
        self._ac = question.states
        self._known: dict[tuple[int, int], Figures] = {}
        self._most: float = MOST_STATES

    @contextmanager
    def freely(self) -> Iterator[None]:
        """Without a limit of states or of time."""
        limits = self._most, self._deadline
        self._most, self._deadline = math.inf, Deadline()
        try:
            yield
        finally:
            self._most, self._deadline = limits

    def at(self, where: Moves, state: int) -> Figures:
        """The figures of a state."""
        self._solve(where, [state])
        return self._known[len(where.branches), state]

    def _solve(self, where: Moves, states: Iterable[int]) -> None:
        """Solve those that are not known, together."""
        new = self._new(where, states)
        if new:
            found = self._ac.figures(np.array([where.closed(state) for state in new]))
            self._known |= {(len(where.branches), state): each for state, each in zip(new, found)}

    def _solve_loops(self, where: Moves, state: int, closings: Iterable[int]) -> None:
        """Solve the states with one more branch closed that are not known, together."""
        new = self._new(where, (state | bit for bit in closings))
        if new:
            branches = np.array([where.branch(other & ~state) for other in new])
            found = self._ac.with_closed(where.closed(state), branches)
            self._known |= {(len(where.branches), other): each for other, each in zip(new, found)}

    def _new(self, where: Moves, states: Iterable[int]) -> list[int]:
        new = [state for state in dict.fromkeys(states) if (len(where.branches), state) not in self._known]
        if new and (len(self._known) >= self._most or self._deadline.over()):
            raise _GaveUp
        return new

    def arc(self, where: Moves, state: int, move: Move) -> tuple[float, float, float]:
        """Excess, strain, and energy not supplied of the state between and the one after a move."""
        between = state & ~move.open if move.opens_first else state | move.close
        seen = [self.at(where, each) for each in dict.fromkeys((between, move.state))]
        hours = float(self._question.hours[where.branch(move.close)]) if move.opens_first else 0.0
        off = where.dark_kw(between) * hours if move.opens_first else 0.0
        return max(each.excess for each in seen), max(each.strain for each in seen), off

    def moves(self, where: Moves, state: int, *, additional: bool) -> list[Move]:
        """The moves out of a state, all solved; where a closed loop has no power flow, the opening comes first."""
        moves = where.moves(state, additional=additional)
        self._solve_loops(where, state, (move.close for move in moves if move.loops))
        for k, move in enumerate(moves):
            if move.loops and math.isinf(self.at(where, state | move.close).excess):
                moves[k] = move._replace(opens_first=True)
        self._solve(where, (move.state for move in moves))
        self._solve(where, (state & ~move.open for move in moves if move.opens_first))
        return moves

    def best(self, where: Moves, excess: float, most: int | None = None) -> list[Move] | None:
        """The best plan with no more than an excess; `most`: with additional operations, up to this number of all."""
        found = self._shortest(where, excess, math.inf, most)
        if found is None:
            return None
        peak = max([self._floor(where), *(self.arc(where, *each)[1] for each in _along(where, found))])
        try:
            return self._shortest(where, excess, peak, most) or found
        except _GaveUp:
            return found  # the best by 1 to 4

    def _shortest(self, where: Moves, excess: float, peak: float, most: int | None) -> list[Move] | None:
        """A* over 1 to 4, or with a highest strain `peak` over 1 to 3 and 5; arcs above an excess are left out."""
        tie, spent = count(), _Spent(last=0.0 if math.isfinite(peak) else self._floor(where))
        queue: list[tuple[Cost, int, int, int, _Spent]] = [((0.0,), 0, next(tie), where.start, spent)]
        came: dict[int, tuple[int, Move]] = {}
        best: dict[int, Cost] = {}
        settled: set[int] = set()
        while queue:
            _, _, _, state, spent = heapq.heappop(queue)
            if state in settled:
                continue
            settled.add(state)
            if state == where.goal:
                return _back(came, where.start, state)
            for move in self.moves(where, state, additional=most is not None):
                operated, ahead = move.close | move.open, _left(where, move.state)
                operations = spent.operations + operated.bit_count()
                if move.state in settled or (most is not None and operations + ahead[0] > most):
                    continue
                over, strained, off = self.arc(where, state, move)
                strained = round(strained, DIGITS)
                if over > excess or strained > round(peak, DIGITS):
                    continue
                manual = spent.manual + (operated & where.manual).bit_count()
                last = full = max(spent.last, strained)
                if math.isfinite(peak):
                    last = spent.last + _inversions(where, spent.manual, move)
                    full = last + manual * (ahead[0] - ahead[1])  # remote operations that are left follow these
                now = _Spent(operations, manual, round(spent.energy + off, DIGITS), last)
                cost = (operations + ahead[0], manual + ahead[1], now.energy, full)
                if move.state not in best or cost < best[move.state]:
                    best[move.state], came[move.state] = cost, (state, move)
                    # Of equal costs the state nearest to the goal comes first.
                    heapq.heappush(queue, (cost, ahead[0], next(tie), move.state, now))
        return None

    def _floor(self, where: Moves) -> float:
        """The strain of both ends, which no plan can avoid."""
        return round(max(self.at(where, state).strain for state in (where.start, where.goal)), DIGITS)

    def least_excess(self, where: Moves) -> float | None:
        """The least largest excess of a plan of fewest operations; None where none has a power flow in every state."""
        tie = count()
        queue = [(self.at(where, where.start).excess, (where.start ^ where.goal).bit_count(), next(tie), where.start)]
        settled: set[int] = set()
        while queue:
            excess, _, _, state = heapq.heappop(queue)
            if state == where.goal:
                return excess
            if state in settled:
                continue
            settled.add(state)
            for move in self.moves(where, state, additional=False):
                most = max(excess, self.arc(where, state, move)[0])
                if math.isfinite(most) and move.state not in settled:
                    left = (move.state ^ where.goal).bit_count()
                    heapq.heappush(queue, (most, left, next(tie), move.state))
        return None

    def beam(self, where: Moves, allowed: float) -> list[Move] | None:
        """A good plan of fewest operations: of each step the few best states are kept. No proof."""
        widths = (1, BEAM) if self._deadline.over() else (BEAM,)
        with self.freely():
            plans = (self._beam(where, allowed, width) for width in widths)
            return next((plan for plan in plans if plan is not None), None)

    def _beam(self, where: Moves, allowed: float, width: int) -> list[Move] | None:
        front: list[_Kept] = [_Kept((allowed, 0.0, self._floor(where), 0.0), where.start, 0, [])]
        while front[0].state != where.goal:
            grown: dict[int, _Kept] = {}
            for kept in front:
                for move in self.moves(where, kept.state, additional=False):
                    over, strained, off = self.arc(where, kept.state, move)
                    before, energy, peak, inversions = kept.cost
                    inversions += _inversions(where, kept.manual, move)
                    cost = (max(before, over), energy + off, max(peak, strained), inversions)
                    known = grown.get(move.state)
                    if math.isfinite(over) and (known is None or cost < known.cost):
                        manual = kept.manual + ((move.close | move.open) & where.manual).bit_count()
                        grown[move.state] = _Kept(cost, move.state, manual, [*kept.path, move])
            front = heapq.nsmallest(width, grown.values(), key=lambda kept: kept.cost)
            if not front:
                return None
        return front[0].path


class _Spent(NamedTuple):
    """The cost of a path: operations, manual ones, energy not supplied, and its strain or its inversions."""

    operations: int = 0
    manual: int = 0
    energy: float = 0.0
    last: float = 0.0


class _Kept(NamedTuple):
    """A state of the beam, the cost of the path to it, its manual operations, and the path."""

    cost: Cost
    state: int
    manual: int
    path: list[Move]


def _inversions(where: Moves, manual: int, move: Move) -> int:
    """Pairs in which a manual operation comes before a remote one of this move, after so many manual ones."""
    found = 0
    for bit in (move.open, move.close) if move.opens_first else (move.close, move.open):
        if bit & where.manual:
            manual += 1
        elif bit:
            found += manual
    return found


def _left(where: Moves, state: int) -> tuple[int, int]:
    """Operations that are left at least, and manual ones."""
    differs = state ^ where.goal
    return differs.bit_count(), (differs & where.manual).bit_count()


def _back(came: dict[int, tuple[int, Move]], start: int, state: int) -> list[Move]:
    moves: list[Move] = []
    while state != start:
        state, move = came[state]
        moves.append(move)
    return moves[::-1]
