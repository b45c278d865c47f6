"""A branch-and-bound tree as a checker goes through it: the current node, and the open sides still to be checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import States
from openpoint.verify.devices import Span
from openpoint.verify.errors import CertificateError
from openpoint.verify.graph import Graph
from openpoint.verify.wires import CLOSED, FREE, OPEN


@dataclass
class State:
    """What is known at a node.

    Attributes:
        status: of the branches. spans: positions that each device may have. values: by future a bound of its loss.
        closings: branches that cannot be open, to be closed together. opened: by branch that may not be, bounds of
            futures with it open. ways: states that paths may have (`openpoint.verify.path_node`); None: any.
        alive: whether a radial state is left.
    """

    status: States
    spans: list[Span]
    values: dict[int, int]
    closings: list[int]
    opened: dict[int, dict[int, int]]
    ways: States | None = None
    alive: bool = True

    def beside(self, status: States, spans: list[Span], values: dict[int, int]) -> State:
        """The other side of a branching."""
        return State(status, spans, values, [], {}, None if self.ways is None else self.ways.copy())


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

    def step(self, word: str, rest: list[Any]) -> bool:
        """Follow a line without a bound; whether it is one.

        Raises:
            CertificateError: it does not hold at the current node.
        """
        if (self.state is None) != (word == "from"):
            raise CertificateError(f"'{word}' where a node {'is done' if self.state is None else 'is not'}")
        if word == "from":
            if rest[0] not in self.waiting:
                raise CertificateError(f"node {rest[0]} has no open side left")
            self.enter(self.waiting.pop(rest[0]))
            return True
        here = self.here
        if not here.alive and word != "none":
            raise CertificateError("no radial state is left here, and the line says otherwise")
        if word in ("probe", "split") and not self.is_free(rest[0]):
            raise CertificateError(f"there is no branch {rest[0]}, or it is decided already")
        if word == "none" and not here.alive:
            self.state = None
        elif word == "split":
            other = self.with_open(rest[0])
            here.status[rest[0]] = CLOSED
            self.leave(here.beside(other, here.spans, here.values | here.opened.get(rest[0], {})))
        elif word == "apply":
            here.status[here.closings] = CLOSED
            here.closings, here.opened, here.alive = [], {}, self.graph.consequences(here.status)
        else:
            return False
        return True

    def enter(self, state: State) -> None:
        """Go on to the next node."""
        self.node += 1
        self.state = state
        state.closings, state.opened, state.alive = [], {}, self.graph.consequences(state.status)

    def leave(self, other: State) -> None:
        """Go on with the current node where it has left a side open."""
        self.waiting[self.node] = other
        self.enter(self.here)

    def is_free(self, branch: Any) -> bool:
        """Whether this is a branch, and undecided here."""
        status = self.here.status
        return branch in range(len(status)) and bool(status[branch] == FREE)

    def with_open(self, branch: int) -> States:
        """The states of the branches with this one open."""
        status = self.here.status.copy()
        status[branch] = OPEN
        return status

    @property
    def decided(self) -> bool:
        """Whether no branch is undecided here."""
        return not bool(np.any(self.here.status == FREE))
