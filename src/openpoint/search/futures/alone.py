"""Every future by itself: what it loses at least in a state of its own, which no state for all futures can beat.

**The bound.** Let θ_k(x) be the loss of state x in future k, prices of changes included, and a_k <= θ_k(x) for every x
that keeps the limits in future k. The risk is ρ(θ) = max {pᵀθ : p ∈ P} with P a set of probability vectors, p >= 0, so
that ρ(θ(x)) >= ρ(a) for every x: the *wait-and-see* bound (Madansky 1960). For the regret, what the future loses at
best is subtracted from both, from above.

On large grids it is much higher than what the nodes of a search for all futures reach, since the search for one future
has the bound by paths (`openpoint.search.paths`), probes and regions. It leaves what the futures lose by having one
state instead of one each, so that it does not end a search by itself where they differ.

**Means of groups.** Where the demands are means m_g of the steps of groups (`openpoint.search.futures.groups`), the
loss of a radial state at the mean must be at most the mean of its losses. It is where no bus feeds in at the mean. In
the cone program min {Σ r l : balances, voltage law, l w >= p² + q²} of a state the demand s is a right side, so that
its value L(s) is convex, and the exact flow is feasible in it: L(s_t) <= θ(s_t) in every step t. At demands P, Q >= 0,
with r, x >= 0, L(m) = θ(m): with currents l the flows p, q grow and the voltages w fall, so that F(l) = (p² + q²) / w
grows in l, and each feasible point has l >= F(l). So its l is at least the least fixed point of F, which the iteration
from 0 reaches: the exact flow. Together θ(m_g) = L(m_g) <= mean of L(s_t) <= mean of θ(s_t). What a state loses at the
mean is bounded without limits here, since a state that keeps them in all steps might break them at the mean.

**Turns.** A round bounds every future by a search of at most so many nodes, later rounds by sixteen times as many. It
is due when the search for all futures has had as many operations, or up to a quarter of these where its gap is more
than `FAR` times as large, by as much. There are no more as soon as that search has the higher bound. Operations are
counted, so that no clock decides. There are none on grids of few buses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.network import Network
from openpoint.powerflow.balanced import losses
from openpoint.search.futures.model import FuturesModel
from openpoint.search.paths.build import obstacles
from openpoint.search.topology import search_topologies
from openpoint.twostage.ambiguity import ProbabilitySet
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination

FIRST, TIMES = 1, 16
"""Nodes of a future's search in the first round, and the factor from round to round."""
SETTING_UP, MORE, A_NODE = 300, 20_000, 2
"""Futures that the search for all futures bounds at its nodes in the time that the search for one takes to begin: so
many, and `MORE` by the number of buses; and that it takes for a node."""
SOONER, FAR = 4.0, 4.0
"""By how much sooner a round is due at most; from which ratio of the gaps on it is so."""
JUDGED = 16
"""States found in a round that are worth a power flow in every future, at most."""
LEAST = 100
"""Buses from which on there are rounds: on smaller grids the search for all futures ends within less time."""
SHARPER = 0.1
"""Gap to which one future is bounded, relative to that which is asked for."""


def means_count(built: FuturesModel) -> bool:
    """Whether the loss of any radial state at the means of demands is at most the mean of its losses (see above)."""
    return not obstacles(replace(built.model, p=built.p.min(axis=0), q=built.q.min(axis=0)))


class Alone:
    """Lower bounds of the least loss of every future by itself.

    Attributes:
        least: (K) bounds, 0 at the beginning, inf where no state keeps the limits; with the cost of changes; per unit.
        states: radial states of least loss found on the way, those of the last round.
    """

    def __init__(
        self,
        network: Network,
        demands: Complexes,
        locks: tuple[Bools, Bools],
        changes: tuple[int | None, float],
        gap: float,
    ) -> None:
        """`network`: with the limits to keep in every future. demands: (K, N). gap: asked for."""
        self.network, self.demands, self.locks, self.changes = network, demands, locks, changes
        self.gap = SHARPER * gap
        self.least: Floats = np.zeros(len(demands))
        self.states: list[Bools] = []
        self.nodes, self.ended, self.sooner = FIRST, False, 1.0
        self._proven: Bools = np.zeros(len(demands), dtype=bool)

    @property
    def due(self) -> float:
        """Futures that the search for all has bounded, at nodes of its own, when the next round is due."""
        count, buses = self.demands.shape
        none = self.ended or buses < LEAST
        return math.inf if none else count * (SETTING_UP + MORE / buses + A_NODE * self.nodes) / self.sooner

    def round(self, starts: Bools, deadline: Deadline, tell: Callable[[], None]) -> None:
        """Bound the futures that are not proven yet, heavy ones first; those for which the deadline leaves time.

        Args:
            starts: (S, E) radial states to begin with. tell: called after each future.
        """
        self.states = []
        size = np.abs(self.demands).sum(axis=1)
        for k in np.argsort(-size, kind="stable"):
            if self._proven[k]:
                continue
            if deadline.over():
                return
            found = search_topologies(
                replace(self.network, s_power=self.demands[k]),
                must_close=self.locks[0],
                must_open=self.locks[1],
                max_changes=self.changes[0],
                change_cost=self.changes[1],
                gap=self.gap,
                node_limit=self.nodes,
                starts=starts,
                deadline=deadline,
                kicks=False,
            )
            self.least[k] = max(self.least[k], found.lower_bound)
            self._proven[k] = found.termination in (
                *(Termination.OPTIMAL, Termination.GAP, Termination.INFEASIBLE, Termination.RELAXATION),
            )
            if found.closed is not None:
                self.states.append(found.closed)
            tell()
            if math.isinf(self.least[k]):
                break
        self.nodes *= TIMES
        self.ended = bool(self._proven.all()) or math.isinf(self.least.max())

    def best(self) -> Bools:
        """(C, E) some of the states that the last round found: those that lose least at the mean of the demands."""
        states = np.unique(np.array(self.states), axis=0)
        loss, _ = losses(self.network, states, s_power=self.demands.mean(axis=0))
        return states[np.argsort(loss, kind="stable")[:JUDGED]]

    def judge(self, bound: float, together: float, value: float) -> None:
        """Whether there are more rounds, and how soon; `bound`: of the futures alone, `together`: of the search for
        all, `value`: of the best state, inf where there is none."""
        self.ended |= bound <= together
        left = value - bound
        self.sooner = min(max((value - together) / (FAR * left), 1.0), SOONER) if 0.0 < left < math.inf else 1.0

    def bound(self, risk: ProbabilitySet, wait_and_see: Floats) -> float:
        """The wait-and-see bound."""
        if math.isinf(self.least.max()):
            return math.inf
        return float(risk.worst(self.least - wait_and_see)[0])
