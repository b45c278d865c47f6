"""Blocks: the connected parts of a grid when all switchable branches are open, and the block graph of the switches.

A block is energised as a whole or not at all. Blocks are numbered by their first bus in the order of the table and
named after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Ints
from openpoint.errors import InputError, Problem
from openpoint.graph import components, forest
from openpoint.network import Network


@dataclass(frozen=True)
class Blocks:
    """The block graph: B blocks, S switchable branches.

    Attributes:
        names: (B) name of each block, that of its first bus.
        of_bus: (buses) block of each bus. of_terminal: (N) block of each terminal.
        switches: (S) numbers of the switchable branches, in the order of the network.
        fr, to: (S) blocks that a switchable branch joins; equal where it lies within one block.
        ahead, back: (S) whether the branch has all phases of the block `to`, and of the block `fr`: only then can it
            feed that block.
        lost: (B) whether the block holds a bus of a substation.
    """

    names: tuple[str, ...]
    of_bus: Ints
    of_terminal: Ints
    switches: Ints
    fr: Ints
    to: Ints
    ahead: Bools
    back: Bools
    lost: Bools

    @property
    def count(self) -> int:
        """B."""
        return len(self.names)

    def islands(self, closed: Bools) -> Ints:
        """(B) number of the island of each block under the state of the switches (S)."""
        return components(self.count, self.fr[closed], self.to[closed])

    def buses(self, block: int) -> Ints:
        """Numbers of the buses of a block."""
        return np.flatnonzero(self.of_bus == block)


def blocks(network: Network) -> Blocks:
    """The blocks of a network."""
    n = len(network.bus_names)
    first = np.unique(network.conductor_branch, return_index=True)[1]
    branch = network.conductor_branch[first]
    fr, to = network.terminal_bus[network.terminal_fr[first]], network.terminal_bus[network.terminal_to[first]]
    switchable, closed = network.switchable[first], network.closed[first]
    fixed = np.flatnonzero(closed & ~switchable)
    of_bus = components(n, fr[fixed], to[fixed])
    count = int(of_bus.max(initial=-1)) + 1
    heads = [int(np.argmax(of_bus == block)) for block in range(count)]
    lost = np.zeros(count, dtype=np.bool_)
    lost[of_bus[network.terminal_bus[network.source_terminal]]] = True
    moving = np.flatnonzero(switchable)
    of_terminal, phases = of_bus[network.terminal_bus], np.array(network.terminal_phase)
    within = [set(phases[of_terminal == block]) for block in range(count)]
    passing = [set(phases[network.terminal_fr[network.conductor_branch == k]]) for k in branch[moving]]

    def feeds(far: Ints) -> Bools:
        return np.array([within[block] <= has for block, has in zip(far, passing)], dtype=np.bool_)

    from_block, to_block = of_bus[fr[moving]], of_bus[to[moving]]
    return Blocks(
        names=tuple(network.bus_names[head] for head in heads),
        of_bus=of_bus,
        of_terminal=of_terminal,
        switches=branch[moving],
        fr=from_block,
        to=to_block,
        ahead=feeds(to_block),
        back=feeds(from_block),
        lost=lost,
    )


def refuse_loops(network: Network) -> None:
    """Refuse loops within a block, so that no island could be radial, phase by phase.

    Single-phase units of different phases side by side are none.

    Raises:
        InputError: naming each branch that closes one.
    """
    fixed = np.flatnonzero(network.closed & ~network.switchable)
    tree = forest(network.n_terminals, network.terminal_fr[fixed], network.terminal_to[fixed])
    if not tree.all():
        loop = ", ".join(network.branch_names[b] for b in np.unique(network.conductor_branch[fixed[~tree]]))
        what = "closed and not switchable, it closes a loop within a block"
        raise InputError(
            [
                Problem(
                    "branches",
                    loop,
                    "",
                    what,
                    "Make one branch of the loop switchable (`openpoint convert --switchable`), or open it",
                )
            ]
        )
