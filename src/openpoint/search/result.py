"""Progress and result of a topology search."""

from __future__ import annotations

import math
from dataclasses import dataclass

from openpoint.arrays import Bools, Complexes, Ints
from openpoint.twostage.log import Termination

OPTIMAL = 1e-6
"""Relative gap below which a result counts as optimal."""
ENOUGH = 1e-4
"""Relative gap that is enough in a search that is long, unless one was asked for: 0.01 %, far less than loads are known
to."""
LONG = 1e7
"""Nodes times buses after which a search is long: some ten to thirty seconds of processor time."""
MEMORY = 1e9
"""Bytes of waiting nodes unless another limit is given."""
ENDED = Termination.OPTIMAL, Termination.GAP, Termination.RELAXATION
"""How searches end that have left no node."""


@dataclass(frozen=True)
class SearchProgress:
    """How far a search has come; values per unit.

    Attributes:
        seconds: since the start. nodes: done. open_nodes: waiting. depth: branchings above the current node.
        lower_bound: of the whole search. value: of the best state found, inf = none.
        explored: share of the search that is done, where each child of a node counts as half of it; 1 at the end.
        mark: a warning, or an empty text.
    """

    seconds: float
    nodes: int
    open_nodes: int
    depth: int
    lower_bound: float
    value: float
    explored: float
    mark: str = ""

    @property
    def gap(self) -> float:
        return gap_between(self.lower_bound, self.value)


@dataclass(frozen=True)
class SearchResult:
    """Result of a topology search; values per unit.

    Attributes:
        termination: OPTIMAL or GAP: proven to the gap; RELAXATION: the search is complete, but the relaxation is not
            exact on some tree with dispatchable generators; INFEASIBLE: proven that no radial state keeps the limits
            (or that all that do have a loss above the sum of all loads and generation); LOCAL: no exchange is better;
            TIME, ITERATIONS, INTERRUPTED: stopped.
        closed: (E) best state that keeps the limits; None if there is none. value: of that state, inf = none.
        generation: (G) output of the dispatchable generators in that state, or in `least_violation`.
        lower_bound: no radial state that keeps the limits has a lower value; -inf where nothing is proven.
        least_violation: (E) state with the least violation, if no state that keeps the limits was found; None else.
        nodes, probes, leaves: nodes bounded, bounds with one branch open, states evaluated at leaves.
        by_cone: leaves whose bound, for the best output of generators, comes from a cone solver.
        seconds: of the whole search, including the time before it was continued from a checkpoint.
        positions: (D) of the devices in the state of `closed` or `least_violation`; None where there is none.
        notes: what the proof rests on beside the search.
    """

    termination: Termination
    closed: Bools | None
    generation: Complexes | None
    value: float
    lower_bound: float
    least_violation: Bools | None
    nodes: int
    probes: int
    leaves: int
    by_cone: int
    seconds: float
    positions: Ints | None = None
    notes: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        return gap_between(self.lower_bound, self.value)


def reason_of(reason: Termination, holds: bool, unknown: bool, left: float, gap: float) -> Termination:
    """What a search ends as, OPTIMAL at first where no node is left.

    Args:
        holds: whether a state keeps the limits. unknown: whether the best dispatch of a tree is not proven.
        left: gap that is left. gap: that was asked for.
    """
    if reason is not Termination.OPTIMAL:
        return reason
    if not holds:
        return Termination.RELAXATION if unknown else Termination.INFEASIBLE
    if left <= OPTIMAL:
        return reason
    return Termination.GAP if left <= gap * (1.0 + 1e-9) else Termination.RELAXATION


def gap_between(lower: float, value: float) -> float:
    """(value − lower) / |value|, not below 0; inf where one is not finite, or the value is 0 and the bound less."""
    if not (math.isfinite(lower) and math.isfinite(value)):
        return math.inf
    if value <= lower:
        return 0.0
    return (value - lower) / abs(value) if value != 0.0 else math.inf
