"""Branch exchange with incremental flows: what `openpoint.search.exchange.descent` computes, for one grid."""

from __future__ import annotations

from collections.abc import Iterator

from openpoint.arrays import Bools
from openpoint.network import Network
from openpoint.powerflow.arrays import work_for
from openpoint.powerflow.balanced import kernel_input
from openpoint.search.exchange.arrays import Rules, tree_for
from openpoint.search.exchange.descent import begin, improve

AT_ONCE = 1_000_000
"""Buses of the flows of one call: at most a tenth of a second, so that time limits are met."""
PROMISING = 0.5
"""Exchanges that are estimated to lose more are tried up to this share of what they move, see `rank`."""
ENDLESS = 2**62
LEAST = 1e-9
"""Relative change of the objective value that counts."""


class IncrementalExchange:
    """Branch exchange from one radial state after another.

    Attributes:
        buses: of all power flows so far; the work done.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules, self.tree = rules, tree_for(rules)
        self.work = work_for(len(rules.source))
        self.work.position[:] = -1

    @property
    def buses(self) -> int:
        return int(self.tree.buses[0])

    def states(
        self, network: Network, closed: Bools, value: float, effort_limit: float, seed: int = 0
    ) -> Iterator[Bools]:
        """The best (E) state so far, after every piece of work, the last one at the end.

        Args:
            network: with the loads. closed: (E) a radial state whose flow has a solution. value: its objective value.
            effort_limit: buses of flows without a better local optimum after which to stop; 0: at the first one.
            seed: of the random numbers.
        """
        tree, wires, loads = self.tree, *kernel_input(network)
        tree.closed[:] = closed
        tree.random[0] = 1 + seed % 2147483646
        done = not begin(wires, self.rules, tree, self.work)
        effort_limit = min(effort_limit, ENDLESS) if tree.waiting[0] > 0 else 0  # a perturbation needs an open branch
        while not done:
            fixed = wires, loads, self.rules, tree, self.work
            done = improve(*fixed, PROMISING, LEAST * abs(value), AT_ONCE, int(effort_limit))
            yield (tree.closed_kept if tree.kept[0] else tree.closed).copy()
