"""The arrays of branch exchange with incremental flows.

A **feeder** is a branch closed at a source, with all that it supplies. The voltage of the source is given, so that
feeders do not influence each other: an exchange changes the flow in at most two of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats, Indices, Ints, States
from openpoint.compiled.table import Table
from openpoint.network import Network
from openpoint.network.limits import greatest_square, least_square
from openpoint.search.kernel.arrays import UNDECIDED, Model
from openpoint.search.model.build import Numbering


@dataclass(frozen=True, eq=False)
class Rules(Table):
    """The exchanges possible on a grid of N buses and E branches, and by what states are evaluated.

    Attributes:
        fr, to: (E) ends. source: (N) number of the source that holds the bus, -1 = none. free: (E) may be exchanged.
        r: (E) resistance by which exchanges are ranked. swap: (E) open today, so that closing the branch is a change.
        change_cost: per change, per unit. most_closings: how many branches that are open today may be closed.
        low, high: (N) squared voltages that count as kept. most: (E) the same for squared currents.
        w_min, w_max, l_max: the limits by which a violation is measured. limited: whether there are any limits.
    """

    fr: Indices
    to: Indices
    source: Indices
    free: Bools
    r: Floats
    swap: Bools
    change_cost: float
    most_closings: int
    low: Floats
    high: Floats
    most: Floats
    w_min: Floats
    w_max: Floats
    l_max: Floats
    limited: bool


@dataclass(frozen=True, eq=False)
class Tree(Table):
    """A radial state, the best one that is kept, and what is left to try.

    Attributes:
        closed: (E) branches. feeder: (N) first branch of the feeder that supplies a bus, -1 at sources.
        queue, queued: (E) open branches whose exchanges are to be tried, a ring, and which ones are in it. first,
            waiting: (1) its first place and its length.
        candidate, change: (N) branches to open and the estimated change of the loss, of the loop at hand.
        loss, violation, closings: (2) changes of loss and of violation so far, and branches closed that are open
            today; of the state and of that kept. kept: (1) whether one is. closed_kept, feeder_kept: the state kept.
        buses, flows: (1) buses of all flows computed, and their number. found: (1) buses when a state was kept.
        random: (1) the last random number.
    """

    closed: Bools
    feeder: Indices
    queue: Indices
    queued: Bools
    first: Ints
    waiting: Ints
    candidate: Indices
    change: Floats
    loss: Floats
    violation: Floats
    closings: Ints
    kept: Ints
    closed_kept: Bools
    feeder_kept: Indices
    buses: Ints
    flows: Ints
    found: Ints
    random: Ints


def accepted(network: Network) -> tuple[Floats, Floats, Floats]:
    """(N) least and (N) greatest squared voltages and (E) squared currents that count as kept; any at sources."""
    low, high = least_square(network.w_min), greatest_square(network.w_max)
    low[network.source_terminal], high[network.source_terminal] = 0.0, np.inf
    return low, high, greatest_square(network.l_max)


def rules_for(network: Network, model: Model, numbering: Numbering, status: States, change_cost: float) -> Rules:
    """The rules of a grid. status: (m) what is decided in every state, as `propagate` leaves it."""
    size, branch = network.n_conductors, numbering.branch
    source = np.full(network.n_terminals, -1, dtype=np.int32)
    source[network.source_terminal] = np.arange(len(network.source_terminal))
    free, swap, r = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_), np.zeros(size)
    free[branch], swap[branch], r[branch] = status == UNDECIDED, model.swap, model.r
    low, high, most = accepted(network)
    return Rules(
        fr=network.terminal_fr.astype(np.int32),
        to=network.terminal_to.astype(np.int32),
        source=source,
        free=free,
        r=r,
        swap=swap,
        change_cost=change_cost,
        most_closings=model.most_closings,
        low=low,
        high=high,
        most=most,
        w_min=network.w_min.copy(),
        w_max=network.w_max.copy(),
        l_max=network.l_max.copy(),
        limited=bool(np.any(low > 0.0) or np.any(high < np.inf) or np.any(most < np.inf)),
    )


def tree_for(rules: Rules) -> Tree:
    """New arrays for a radial state."""
    n_bus, size = len(rules.source), len(rules.fr)
    arrays: dict[str, Any] = {name: np.zeros(size, dtype=np.bool_) for name in ("closed", "queued", "closed_kept")}
    arrays |= {name: np.zeros(n_bus, dtype=np.int32) for name in ("feeder", "feeder_kept", "candidate")}
    numbers = ("first", "waiting", "kept", "buses", "flows", "found")
    arrays |= {name: np.zeros(1, dtype=np.int64) for name in numbers}
    arrays |= {"queue": np.zeros(size, dtype=np.int32), "change": np.zeros(n_bus), "closings": np.zeros(2, np.int64)}
    return Tree(loss=np.zeros(2), violation=np.zeros(2), random=np.ones(1, dtype=np.int64), **arrays)
