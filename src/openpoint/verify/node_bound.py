"""The bound of a node of a grid, or of a part of one, at the multipliers of a line."""

from __future__ import annotations

from fractions import Fraction

from openpoint.arrays import States
from openpoint.verify.bound import Exact, Held
from openpoint.verify.data import Data
from openpoint.verify.devices import Places, Span
from openpoint.verify.fixed_point import fixed_point
from openpoint.verify.graph import Graph
from openpoint.verify.multipliers import Multipliers


class NodeBound:
    """The bound in fixed-point numbers, and in whole numbers of any length where that does not tell.

    Attributes:
        given: the multipliers of the last line. base: by bus what its multiplier of active power is given in addition
            to, times 2^`coarse` of the exact bound.
    """

    def __init__(
        self, data: Data[Fraction], graph: Graph, goal: Fraction, places: Places, held: Held | None = None
    ) -> None:
        """`goal`: the value that every bound must reach. held: multipliers of a part at its sources."""
        self.graph, self.exact = graph, Exact(data, graph, goal, places, held)
        self.quick = fixed_point(data, graph, goal, places, held)
        self.given = Multipliers(graph.n)
        self.base, self.base_mu = ([0] * graph.n, [0] * graph.n) if held is None else (held.y, held.mu)

    def reached(self, status: States, spans: list[Span]) -> bool:
        """Whether no state with these states of the branches has a value below the goal."""
        if self.quick is not None and self.quick.reached(status, self.given):
            return True
        found = self._exactly(status, spans)
        return found is not None and found >= self.exact.goal

    def value(self, status: States) -> Fraction | None:
        """The bound without devices, in whole numbers of any length; None where there is none."""
        found = self._exactly(status, [])
        return None if found is None else Fraction(found, 1 << self.exact.k + self.exact.fine)

    def _exactly(self, status: States, spans: list[Span]) -> int | None:
        given, exact = self.given, self.exact
        up = exact.coarse - given.bits
        y, mu = (
            [(k << up) + more for k, more in zip(part.tolist(), base, strict=True)]
            for part, base in ((given.y, self.base), (given.mu, self.base_mu))
        )
        states = status.tolist()
        order = self.graph.directed(states, set(given.tops), y)
        return exact.bound(states, order, y, mu, given.phi, given.near, spans)
