"""The paths of the checker, and those of the search among them."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from openpoint.arrays import Bools, Ints, States
from openpoint.network import Network
from openpoint.search.kernel.arrays import Model
from openpoint.search.model.build import Numbering
from openpoint.search.paths.arrays import Paths, PathWork
from openpoint.search.paths.build import obstacles, paths_of
from openpoint.verify import paths as checker
from openpoint.verify.data import read
from openpoint.verify.graph import CLOSED as IS_CLOSED
from openpoint.verify.graph import FREE, Graph
from openpoint.verify.graph import OPEN as IS_OPEN
from openpoint.verify.part_node import PathTable
from openpoint.verify.paths import PathNodes, nodes_of

_LOG = logging.getLogger(__name__)

BITS = 26
"""Binary digits of the multipliers; fewer where these suffice."""


@dataclass(frozen=True, eq=False)
class CheckedPaths:
    """The paths of the checker, and those of the search among them.

    Attributes:
        paths: of the search. nodes: the checker's table, closed paths bounded at their least flows. branch: (m) branch
            of the network. branches: of the network, their number.
        path: (K) path of the search at each of the checker; flipped: (K) whether it is directed the other way. at: (K)
            of each path of the search one branch, and forth: (K) whether that is directed as the path.
        junction: (J) the same of junctions. swept: what the checker knows of the paths.
    """

    paths: Paths
    nodes: PathNodes
    branch: Ints
    branches: int
    path: Ints
    flipped: Bools
    at: Ints
    forth: Bools
    junction: Ints
    swept: checker.Swept

    @property
    def arcs(self) -> Ints:
        """(2K) arcs of the search at each of the checker."""
        return (2 * self.path[:, None] + np.where(self.flipped[:, None], [1, 0], [0, 1])).reshape(-1)

    def paths_of(self, some: Ints) -> list[int]:
        """Numbers that paths of the search have in the checker."""
        number = np.empty(len(self.path), dtype=np.int64)
        number[self.path] = np.arange(len(self.path))
        found: list[int] = number[some].tolist()
        return found

    def branch_of(self, some: Ints) -> Ints:
        """The first branches of paths of the search, which numbers them."""
        found: Ints = self.at[some]
        return found

    def of_checker(self, status: States) -> States:
        """(E) states of the branches of the checker, by (m) of the search."""
        whole = np.full(self.branches, IS_OPEN, dtype=np.int8)
        whole[self.branch] = status
        return whole

    def fill(self, paths: Paths, of: PathWork, table: PathTable) -> None:
        """Take over what a table of the checker has of the paths."""
        one = 2.0**table.d
        bus = paths.bus[self.junction]
        of.load_p[bus], of.load_q[bus] = table.load_p / one, table.load_q / one
        of.nominal[:] = of.load_p
        if paths.junctions:
            of.nominal[bus[0]] -= table.fixed / one
        for name, to in (("f", of.end_p), ("g", of.end_q), ("s", of.send)):
            to[self.arcs] = getattr(table, name) / one
        of.inner[self.path] = table.load / one
        for k, own in enumerate(self.path.tolist()):
            here = np.arange(table.start[k], table.start[k + 1])
            at = np.arange(paths.start[own], paths.start[own + 1])
            sides = ("v", "u") if self.flipped[k] else ("u", "v")
            if self.branch[paths.branch[at[0]]] != table.branch[here[0]]:
                at = at[::-1]
            for mine, theirs in zip(sides, ("u", "v"), strict=True):
                for part in "pq":
                    getattr(of, f"{mine}_{part}")[at] = getattr(table, f"{theirs}_{part}")[here] / one


def checked_paths(
    network: Network, model: Model, numbering: Numbering, locks: tuple[Bools, Bools]
) -> CheckedPaths | None:
    """The paths of the checker; None where it has none.

    Args:
        locks: (E) branches that must be closed, and that must be open.
    """
    data = read(network, [0.0] * network.n_conductors, Fraction(0))
    if obstacles(model) or checker.obstacles(data) or model.priced:
        return None
    fr, to = network.terminal_fr, network.terminal_to
    squares = {
        bus: Fraction(v.real) ** 2 + Fraction(v.imag) ** 2
        for bus, v in zip(network.source_terminal.tolist(), network.source_v.tolist(), strict=True)
    }
    graph = Graph(network.n_terminals, fr.tolist(), to.tolist(), set(squares), set(), math.inf)
    status = np.where(fr == to, IS_OPEN, FREE)
    for state, locked in ((IS_OPEN, locks[1]), (IS_CLOSED, locks[0])):
        status[locked] = state
    try:
        swept = checker.swept(data, graph, squares, status.tolist())
        nodes = nodes_of(swept, np.zeros((2 * len(swept.paths), 2), dtype=np.int64))
    except OverflowError:
        _LOG.info("no bound by paths in the certificate: the loads are too large for the numbers of the checker")
        return None
    paths = paths_of(model)
    table, bus = nodes.table, numbering.bus[paths.bus]
    if sorted(bus.tolist()) != nodes.buses.tolist() or len(paths.u) != len(table.u):
        return None
    place = {int(j): at for at, j in enumerate(bus)}
    junction = np.array([place[j] for j in nodes.buses.tolist()], dtype=np.int64)
    of = {int(numbering.branch[paths.branch[at]]): k for k, at in enumerate(paths.start[:-1])}
    of |= {int(numbering.branch[paths.branch[at - 1]]): k for k, at in enumerate(paths.start[1:])}
    path = np.array([of[e] for e in table.branch[table.start[:-1]].tolist()], dtype=np.int64)
    flipped = np.append(junction, paths.junctions)[table.u] != paths.u[path]
    at = paths.branch[paths.start[:-1]].astype(np.int64)
    forth = model.fr[at] == paths.u_bus
    return CheckedPaths(paths, nodes, numbering.branch, network.n_conductors, path, flipped, at, forth, junction, swept)
