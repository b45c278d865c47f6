"""What a search tells of itself while it runs, and hands back."""

from __future__ import annotations

import math
from dataclasses import dataclass

from openpoint.arrays import Bools, Complexes
from openpoint.twostage.log import Termination


@dataclass(frozen=True)
class SearchProgress:
    """How far a search has come; values per unit.

    Attributes:
        seconds: since the start. nodes: done. open_nodes: waiting. depth: branchings above the node at hand.
        lower_bound: of the whole search. value: of the best state found, inf = none.
        explored: share of the search that is done: of a node that is branched, half lies on either side; 1 at the end.
        mark: a warning, else empty.
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
    """What a search found; values per unit.

    Attributes:
        termination: OPTIMAL or GAP: proven to the gap; RELAXATION: as far as the relaxation goes, which is not exact on
            some tree with generators to dispatch; INFEASIBLE: proven that no radial state keeps the limits (or
            that those which do lose more than all that is taken and fed); LOCAL: no exchange is better; TIME,
            ITERATIONS, INTERRUPTED: stopped.
        closed: (E) best state that keeps the limits; None if there is none. value: of that state, inf = none.
        generation: (G) output of the dispatchable generators in that state, or in that of least violation.
        lower_bound: no radial state that keeps the limits is worth less; -inf where nothing is proven.
        least_violation: (E) state of the smallest violation among those met while none kept the limits; None else.
        nodes, probes, leaves: nodes bounded, bounds with one branch open, states judged at leaves.
        by_cone: leaves whose bound, for the best output of generators, is that of a cone solver.
        seconds: of the whole search, before a break too.
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

    @property
    def gap(self) -> float:
        return gap_between(self.lower_bound, self.value)


def gap_between(lower: float, value: float) -> float:
    """(value − lower) / |value|, not below 0; inf where one is not finite."""
    if not (math.isfinite(lower) and math.isfinite(value)):
        return math.inf
    return max(0.0, value - lower) / abs(value) if value != lower else 0.0
