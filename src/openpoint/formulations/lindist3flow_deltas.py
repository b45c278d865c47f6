"""Zero sequence at deltas: where a current may circulate, where a neutral floats, and which voltages regulators tie.

All of these depend on where the grid is fed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Ints
from openpoint.graph import energised
from openpoint.network import Network


@dataclass(frozen=True)
class ClosedDeltas:
    """C deltas in which a circulating current is possible, not determined by powers or voltage magnitudes.

    Attributes:
        conductors: (C, 3). floating: (C, 3) terminals behind them, whose neutral floats.
    """

    conductors: Ints
    floating: Ints


def closed_deltas(network: Network, feeding: Ints, joined: Bools) -> ClosedDeltas:
    """Three-phase delta-deltas, closed banks of windings between lines, and deltas behind a fed wye.

    Args:
        feeding: terminals that hold a voltage, or may. joined: (E) conductors that are closed, or may be.
    """
    lone = network.windings
    found: list[tuple[Ints, bool]] = []  # conductors, whether it is their from side that floats
    for conductors in [*by_branch(network), *_banks(network)]:
        e = conductors[0]
        connection = network.branch_connections[network.conductor_branch[e]]
        if len(conductors) == 3 and "delta" in connection and joined[conductors].all():
            others = joined.copy()
            others[conductors] = False
            if e in lone.conductor and _beside(network, conductors, others):
                continue
            fr_fed, to_fed = _fed(network, conductors, feeding, others)
            if connection == "delta-delta":
                found.append((conductors, to_fed and not fr_fed))
            elif not (fr_fed if connection == "delta-wye" else to_fed):
                found.append((conductors, connection == "delta-wye"))
    chosen = np.array([c for c, _ in found], dtype=np.int64).reshape(-1, 3)
    floats = [(network.terminal_fr if back else network.terminal_to)[c] for c, back in found]
    return ClosedDeltas(chosen, np.array(floats, dtype=np.int64).reshape(-1, 3))


def floating_terminals(network: Network, deltas: ClosedDeltas, joined: Bools) -> Bools:
    """(N) terminals behind closed deltas, reached over three-phase branches without a delta.

    Args:
        joined: (E) conductors that are closed, or may be.
    """
    n = network.n_terminals
    deltas_of = np.array(["delta" in c for c in network.branch_connections], dtype=np.bool_)
    three = np.bincount(network.conductor_branch, minlength=len(deltas_of)) == 3
    passing = joined & (three & ~deltas_of)[network.conductor_branch]
    return energised(n, network.terminal_fr, network.terminal_to, passing, deltas.floating.ravel())


def tied_windings(network: Network, feeding: Ints, joined: Bools) -> Ints:
    """(U) 1 where a winding between two lines is fed at its from side, -1 where at its to side.

    Its other phase is joined by a parallel branch, as in an open delta; 0 where it is not.

    Args:
        feeding, joined: as for `closed_deltas`.
    """
    lone, direction = network.windings, np.zeros(len(network.windings.conductor), dtype=np.int64)
    fr, to = network.terminal_fr, network.terminal_to
    for conductors in _banks(network):
        others = joined.copy()
        others[conductors] = False
        fr_fed, to_fed = _fed(network, conductors, feeding, others & ~_parallel(network, conductors))
        for u in np.flatnonzero(np.isin(lone.conductor, conductors)):
            ends = (lone.return_fr[u], lone.return_to[u])
            tie = ((fr == ends[0]) & (to == ends[1])) | ((fr == ends[1]) & (to == ends[0]))
            tie[lone.conductor] = False
            if (tie & others).any():
                direction[u] = -1 if to_fed and not fr_fed else 1
    return direction


def by_branch(network: Network) -> list[Ints]:
    """Conductors of each branch that has any."""
    starts = np.flatnonzero(np.diff(network.conductor_branch, prepend=-1))
    return np.split(np.arange(network.n_conductors), starts[1:]) if len(starts) else []


def _banks(network: Network) -> list[Ints]:
    """Windings between lines that join the same two buses."""
    ends = network.terminal_bus[network.terminal_fr], network.terminal_bus[network.terminal_to]
    banks: dict[tuple[int, int], list[int]] = {}
    for e in network.windings.conductor.tolist():
        banks.setdefault((int(ends[0][e]), int(ends[1][e])), []).append(e)
    return [np.array(units, dtype=np.int64) for units in banks.values()]


def _fed(network: Network, conductors: Ints, feeding: Ints, others: Bools) -> tuple[bool, bool]:
    """Whether their from side and their to side is reached without them."""
    fed = energised(network.n_terminals, network.terminal_fr, network.terminal_to, others, feeding)
    return bool(fed[network.terminal_fr[conductors]].any()), bool(fed[network.terminal_to[conductors]].any())


def _beside(network: Network, conductors: Ints, others: Bools) -> bool:
    """Whether another conductor joins the same buses as a bank of windings between lines."""
    return bool((_parallel(network, conductors) & others).any())


def _parallel(network: Network, conductors: Ints) -> Bools:
    """(E) conductors between the same buses."""
    ends = network.terminal_bus[network.terminal_fr], network.terminal_bus[network.terminal_to]
    one, two = ends[0][conductors[0]], ends[1][conductors[0]]
    return np.asarray(((ends[0] == one) & (ends[1] == two)) | ((ends[0] == two) & (ends[1] == one)))
