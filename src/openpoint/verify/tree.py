"""A branch-and-bound tree as a checker goes through it: the current node, and the open sides still to be checked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from openpoint.arrays import States
from openpoint.verify.devices import Span
from openpoint.verify.graph import Graph
from openpoint.verify.lines import Apply, Bound, From, Line, Nothing, Probe, Split
from openpoint.verify.schema import CertificateError
from openpoint.verify.wires import CLOSED, FREE, OPEN


@dataclass
class State:
    """The state of a node.

    Attributes:
        status: of the branches. spans: positions that each device may have. values: by future a bound of its loss.
        closings: branches that cannot be open, to be closed together. tried: by future and branch how often it was
            bounded since the node began or branches were closed. opened: by branch that may not be, bounds of
            futures with it open. alive: whether a radial state is left.
    """

    status: States
    spans: list[Span]
    values: dict[int, int]
    closings: set[int]
    opened: dict[int, dict[int, int]]
    tried: Counter[tuple[int, int | None]] = field(default_factory=Counter)
    alive: bool = True

    def beside(self, status: States, spans: list[Span], values: dict[int, int]) -> State:
        """The other side of a branching."""
        return State(status, spans, values, set(), {})


class Tree:
    """The nodes of a tree.

    Attributes:
        node: number of the current one, from 1. state: of it; None where it is done. waiting: by node the side that it
            has left open.
    """

    def __init__(self, graph: Graph, first: State) -> None:
        self.graph, self.waiting, self.node = graph, dict[int, State](), 0
        self.state: State | None = None
        self.enter(first)

    @property
    def done(self) -> bool:
        """Whether no node is left."""
        return self.state is None and not self.waiting

    @property
    def here(self) -> State:
        """The state of the current node."""
        assert self.state is not None
        return self.state

    def step(self, line: Line) -> bool:
        """Follow a line without a bound; whether it is one.

        Raises:
            CertificateError: it does not hold at the current node.
        """
        if (self.state is None) != isinstance(line, From):
            raise CertificateError(f"'{line.word}' where a node {'is done' if self.state is None else 'is not'}")
        if isinstance(line, From):
            if line.node not in self.waiting:
                raise CertificateError(f"node {line.node} has no open side left")
            self.enter(self.waiting.pop(line.node))
            return True
        here = self.here
        if not here.alive and not isinstance(line, Nothing):
            raise CertificateError("no radial state is left here, and the line says otherwise")
        if isinstance(line, Probe | Split) and not self.is_free(line.branch):
            raise CertificateError(f"branch {line.branch} is decided already, or probed")
        if isinstance(line, Nothing) and not here.alive:
            self.state = None
        elif isinstance(line, Split):
            other = self.with_open(line.branch)
            here.status[line.branch] = CLOSED
            self.leave(here.beside(other, here.spans, here.values | here.opened.get(line.branch, {})))
        elif isinstance(line, Apply):
            if not here.closings:
                raise CertificateError("there is nothing to close: no branch was probed")
            here.status[list(here.closings)] = CLOSED
            self._follow()
        else:
            return False
        return True

    def asked(self, line: Bound | Probe) -> States:
        """The states of the branches in which a bound has to be reached."""
        return self.here.status if isinstance(line, Bound) else self.with_open(line.branch)

    def accept(self, line: Bound | Probe) -> None:
        """Go on after a bound that is reached."""
        if isinstance(line, Bound):
            self.state = None
        else:
            self.here.closings.add(line.branch)

    def enter(self, state: State) -> None:
        """Go on to the next node."""
        self.node += 1
        self.state = state
        self._follow()

    def _follow(self) -> None:
        """Work out what follows from the graph, and forget what was tried."""
        here = self.here
        here.closings, here.opened, here.alive = set(), {}, self.graph.consequences(here.status)
        here.tried.clear()

    def leave(self, other: State) -> None:
        """Go on with the current node where it has left a side open."""
        self.waiting[self.node] = other
        self.enter(self.here)

    def is_free(self, branch: int) -> bool:
        """Whether this branch is undecided here, and not to be closed."""
        return bool(self.here.status[branch] == FREE) and branch not in self.here.closings

    def with_open(self, branch: int) -> States:
        """The states of the branches with this one open."""
        status = self.here.status.copy()
        status[branch] = OPEN
        return status

    @property
    def decided(self) -> bool:
        """Whether no branch is undecided here."""
        return not bool(np.any(self.here.status == FREE))
