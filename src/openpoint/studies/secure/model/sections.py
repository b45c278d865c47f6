"""Sections: what stays joined to a fault when every switch around it is opened.

A switch stands at an end of a line where its `switch_ends` say so, else where it opens if it is switchable; at both
ends of a transformer, which has breakers, and of what is a switch itself; and at that end of a line at which it leaves
a station, where its breaker trips, or at which the data say that a breaker stands. A station is made of the buses of a
source, and of those at the side of lower voltage of a transformer, with what bus couplers join to them. Buses and
conductors are the nodes of a graph, ends without a switch its edges; a section is a component of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Ints
from openpoint.graph import components
from openpoint.grid.grid import Grid
from openpoint.network import Network


@dataclass(frozen=True)
class Sections:
    """The sections of a grid of N buses and E branches.

    Attributes:
        of_bus: (N) section of each bus. of_branch: (E) section of the conductor of each branch.
        breaker_fr, breaker_to: (E) whether a breaker that trips stands at the from or to end.
    """

    of_bus: Ints
    of_branch: Ints
    breaker_fr: Bools
    breaker_to: Bools

    @property
    def count(self) -> int:
        return int(max(self.of_bus.max(initial=-1), self.of_branch.max(initial=-1))) + 1


def sections_of(grid: Grid, network: Network, breakers: Mapping[str, str] | None = None) -> Sections:
    """The sections of a balanced grid. `breakers`: ends (from, to or both) of lines where others trip, too."""
    n, e = network.n_terminals, network.n_conductors
    lines = np.array([kind == "lines" for kind in network.branch_kinds], dtype=np.bool_)
    transformers = np.array([kind == "transformers" for kind in network.branch_kinds], dtype=np.bool_)
    station = _station(grid, network, transformers)
    breaker_fr = transformers | (lines & station[network.terminal_fr])
    breaker_to = transformers | (lines & station[network.terminal_to])
    trips = [(breakers or {}).get(name, "") for name in network.branch_names]
    breaker_fr |= np.array([end in ("both", "from") for end in trips], dtype=np.bool_)
    breaker_to |= np.array([end in ("both", "to") for end in trips], dtype=np.bool_)
    ends = _switch_ends(grid)
    switch_ends = [ends.get(name, "both") for name in network.branch_names]
    idle = lines & ~network.switchable & ~network.closed  # out of service: joins nothing
    switch_fr = breaker_fr | idle | np.array([end in ("both", "from") for end in switch_ends], dtype=np.bool_)
    switch_to = breaker_to | idle | np.array([end in ("both", "to") for end in switch_ends], dtype=np.bool_)
    conductor = n + np.arange(e)
    fr = np.concatenate([network.terminal_fr[~switch_fr], network.terminal_to[~switch_to]])
    to = np.concatenate([conductor[~switch_fr], conductor[~switch_to]])
    part = components(n + e, fr, to)
    return Sections(part[:n], part[n:], breaker_fr, breaker_to)


def _switch_ends(grid: Grid) -> dict[str, str]:
    """Ends of each line at which a switch stands that may be operated: both, from, to or none."""
    table = grid.lines.select("name", "switch_ends", "open_end", "switchable", "locked_reason").iter_rows()
    return {name: "none" if why else ends or (opens if may else "none") for name, ends, opens, may, why in table}


def _station(grid: Grid, network: Network, transformers: Bools) -> Bools:
    """(N) whether the bus is one of a station: lines that leave it have a breaker there."""
    start = np.zeros(network.n_terminals, dtype=np.bool_)
    start[network.source_terminal] = True
    fr, to = network.terminal_fr[transformers], network.terminal_to[transformers]
    v_fr, v_to = network.v_base_kv[fr], network.v_base_kv[to]
    start[np.where(v_to < v_fr, to, fr)[v_to != v_fr]] = True
    couplers = np.array([kind == "switches" for kind in network.branch_kinds], dtype=np.bool_)
    part = components(network.n_terminals, network.terminal_fr[couplers], network.terminal_to[couplers])
    return np.asarray(np.isin(part, part[start]))


def every_line_alone(sections: Sections) -> Sections:
    """The sections if every branch could be isolated at both of its ends."""
    n, e = len(sections.of_bus), len(sections.of_branch)
    return Sections(np.arange(n), n + np.arange(e), sections.breaker_fr, sections.breaker_to)
