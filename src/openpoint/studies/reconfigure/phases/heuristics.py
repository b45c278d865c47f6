"""Primal heuristics of reconfiguration on grids of any phases: radial states near a weight of the branches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import final

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.formulations.radiality import Choices, Switching, by_branch, radial_states
from openpoint.network import Network

ROUNDS = 4
"""Weights drawn for every tree wanted near a fractional decision; many lead to the same tree."""
TREES_TRIED = 100
"""Radial states among which one is sought that keeps to the number of changes."""
NOISE = 0.3
"""Most that is added to an entry of a fractional decision before it is rounded again."""


@final
@dataclass(frozen=True)
class CoupledTreeHeuristics:
    """Radial states worth trying, those of heavy branches first (Kruskal 1956).

    Attributes:
        network: the grid. choices: what is left to decide, over conductors. switching: number of changes.
    """

    network: Network
    choices: Choices
    switching: Switching

    def warm_starts(self) -> Sequence[Floats]:
        """Today's tree and that of least impedance."""
        today = self.switching.today.astype(np.float64)
        found = [*islice(self.trees(today), 1), *islice(self.trees(-self._impedance()), 1)]
        return [tree.astype(np.float64) for tree in found]

    def rounded(self, decision: Floats, count: int) -> Iterable[Floats]:
        """Heaviest trees under the fractional decision, shaken."""
        rng = np.random.default_rng(0)
        seen: set[bytes] = set()
        for k in range(ROUNDS * count):
            weight = decision + (NOISE * rng.random(len(decision)) if k else 0.0)
            tree = next(self.trees(weight), None)
            if tree is not None and tree.tobytes() not in seen and len(seen) < count:
                seen.add(tree.tobytes())
                yield tree.astype(np.float64)

    def trees(self, weight: Floats) -> Iterator[Bools]:
        """Some radial states (B) that keep to the number of changes, those of heavy branches first."""
        states = islice(radial_states(self.choices, self.network.conductor_branch, weight), TREES_TRIED)
        found = (by_branch(self.network, state) for state in states)
        return (tree for tree in found if self.switching.allowed(tree))

    def _impedance(self) -> Floats:
        """(B) largest impedance of each branch."""
        largest = np.zeros(len(self.network.branch_names))
        np.maximum.at(largest, self.network.conductor_branch, np.abs(self.network.z.diagonal()))
        return largest
