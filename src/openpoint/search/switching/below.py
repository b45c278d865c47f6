"""Which radial states a search for all below a threshold is asked for, when it stops, and what it has found.

The three searches that answer alike: of one period (`openpoint.search.switching.period`), of several periods that share
one state (`joint`), and of many steps in groups (`grouped`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from openpoint.arrays import Bools, Floats, Ints, Singles, States
from openpoint.search.kernel.arrays import CLOSED, OPEN


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The states with a value, their prices included, below a threshold.

    Attributes:
        prices: (E) of closed branches, of any sign; of all periods together where several share the state.
        threshold: of the value with prices; weighted where the values are.
        least: (T) lower bounds of the weighted values of all periods, -inf where none is known; for shared states only.
        every: all of them; else the threshold falls to the value of each state found, and the last is the best.
        given: (E) and (E) branches that are closed, and that are open, beside those of the period itself.
        most_nodes, most_states: nodes, and states found, after which to stop. over: called regularly; True stops.
    """

    prices: Floats
    threshold: float
    least: Floats = field(default_factory=lambda: np.empty(0))
    every: bool = False
    given: tuple[Bools, Bools] | None = None
    most_nodes: int | None = None
    most_states: int | None = None
    over: Callable[[], bool] = lambda: False

    def divided(self, weight: float) -> Wanted:
        """The same question about values that are not weighted."""
        return replace(self, prices=self.prices / weight, threshold=self.threshold / weight)

    def give(self, status: States, branch: Ints) -> None:
        """Put the given branches into (m) states of the branches of a search model, whose numbers are `branch`."""
        if self.given is not None:
            status[self.given[0][branch]] = CLOSED
            status[self.given[1][branch]] = OPEN

    def enough(self, nodes: int, states: int) -> bool:
        """Whether to stop after so many nodes, and with so many states found."""
        return (
            self.over()
            or (self.most_nodes is not None and nodes >= self.most_nodes)
            or (self.most_states is not None and states > self.most_states)
        )


@dataclass(frozen=True)
class Below:
    """What was found below a threshold.

    Attributes:
        states: (K, E), without an order. values: (K) with the prices. lower_bound: no state below the threshold but
            those found has a lower value; the threshold itself where the search came to its end.
        complete: whether it did. nodes: bounded.
    """

    states: Bools
    values: Floats
    lower_bound: float
    complete: bool
    nodes: int

    def times(self, weight: float) -> Below:
        """The same with weighted values."""
        return replace(self, values=weight * self.values, lower_bound=weight * self.lower_bound)


def no_states(branches: int) -> Below:
    """What is found where there is no radial state."""
    return Below(np.zeros((0, branches), dtype=np.bool_), np.empty(0), math.inf, True, 0)


def stacked(states: Sequence[Bools], branches: int) -> Bools:
    """(K, E) states found one by one."""
    return np.array(states, dtype=np.bool_).reshape(len(states), branches)


@dataclass(order=True)
class OpenNode:
    """An open node: its bound, number, states (m), and what else the search keeps of it."""

    bound: float
    number: int
    status: States = field(compare=False)
    kept: Floats | Singles = field(compare=False)
