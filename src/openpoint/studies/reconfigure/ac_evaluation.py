"""The exact evaluation of radial states: AC power flow, many states in many futures at once.

Primal heuristics of reconfiguration: radial states to start from, and near a fractional decision.

Warm starts are local optima of branch exchange (Civanlar et al. 1988; Baran and Wu 1989) from the tree nearest to
today's state and from the tree of least impedance. A fractional decision is rounded to the heaviest spanning tree under
it (Kruskal 1956), again with noise added.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.formulations.radiality import Choices, Switching, heaviest_tree
from openpoint.network import Network
from openpoint.powerflow.balanced import losses, solve
from openpoint.powerflow.state import Ensemble, ensemble, excesses, is_limited
from openpoint.search.exchange.pairs import descend, exchanges
from openpoint.twostage.log import Outcome
from openpoint.twostage.program import ExactEvaluation, Objective
from openpoint.twostage.workers.pool import never

TRIAL_MOST = 20_000
"""Power flows solved at once: what their voltages take in memory."""
FLOWS = 4_000
"""Power flows between two looks at the clock."""


@final
@dataclass(frozen=True)
class AcEvaluator:
    """AC power flows of states of the branches in all futures.

    Attributes:
        network: the grid with the limits to keep.
        demands: (K, N) demand of constant power in every future.
        objective: how the losses in the futures become one.
        switching: number and cost of changes.
    """

    network: Network
    demands: Complexes
    objective: Objective
    switching: Switching

    def evaluate(self, closed: Bools, demands: Complexes, dispatch: Sequence[Floats] | None) -> ExactEvaluation:
        """One state (E) under demands (K, N), with the generators at a dispatch, active and reactive power in turn."""
        net = self.network
        p, q = net.generator_s.real, net.generator_s.imag
        today = np.clip(p, net.p_min, net.p_max) + 1j * np.clip(q, net.q_min, net.q_max)
        chosen = [today] * len(demands) if dispatch is None else [each[0::2] + 1j * each[1::2] for each in dispatch]
        state: Ensemble | None = None
        if self.switching.allowed(closed):
            state = ensemble(net, closed, demands, np.array(chosen).reshape(len(demands), -1))
        final = not len(net.generator_names)
        if state is None or not np.isfinite(state.loss).any():
            nothing = np.full(len(demands), np.inf)
            return ExactEvaluation(nothing, nothing, None, final)
        return ExactEvaluation(state.loss * net.s_base_kva, state.excess, state, final)

    def objectives(self, closed: Bools) -> Floats:
        """(C) objective of C states, (C, E); inf where limits are missed too often or no state exists."""
        value = np.full(len(closed), np.inf)
        few = np.flatnonzero(self.switching.allowed(closed))
        value[few] = self.objective.many(self.switching.cost(closed[few]), *self.flows(closed[few]))
        return value

    def violations(self, closed: Bools) -> Floats:
        """(C) violation of C states, (C, E), over the futures; inf where no state exists or too much is changed."""
        value = np.full(len(closed), np.inf)
        few = np.flatnonzero(self.switching.allowed(closed))
        value[few] = self.flows(closed[few])[1].sum(axis=1)
        return value

    def flows(self, closed: Bools) -> tuple[Floats, Floats]:
        """(C, K) loss in kW and violation of C states in the futures."""
        net, k = self.network, len(self.demands)
        loss = np.full((len(closed), k), np.inf)
        violation = np.full((len(closed), k), np.inf)
        step = max(1, TRIAL_MOST // k)
        for begin in range(0, len(closed), step):
            part = slice(begin, min(begin + step, len(closed)))
            states, demand = np.repeat(closed[part], k, axis=0), np.tile(self.demands, (len(closed[part]), 1))
            lost, _ = losses(net, states, s_power=demand)
            excess = np.where(np.isfinite(lost), 0.0, np.inf)
            good = np.flatnonzero(np.isfinite(lost))
            if is_limited(net) and len(good):
                excess[good] = excesses(net, solve(net, states[good], s_power=demand[good]))
            loss[part], violation[part] = lost.reshape(-1, k) * net.s_base_kva, excess.reshape(-1, k)
        return loss, violation

    @property
    def chunk(self) -> int:
        """States between two looks at the clock."""
        return max(1, min(4096, FLOWS // len(self.demands)))

    def best_of(
        self, chunks: Iterable[Bools], stop: Callable[[], bool]
    ) -> tuple[Bools | None, float, Bools | None, int]:
        """Of chunks of states, (C, E): the one of least objective and its value, the one of least violation, and how
        many were tried. The first two chunks are tried in any case."""
        value, violation, tried = math.inf, math.inf, 0
        best: Bools | None = None
        least: Bools | None = None
        for k, chunk in enumerate(chunks):
            if k > 1 and stop():
                break
            tried += len(chunk)
            closed = chunk[self.switching.allowed(chunk)]
            if not len(closed):
                continue
            lost, excess = self.flows(closed)
            values, violations = self.objective.many(self.switching.cost(closed), lost, excess), excess.sum(axis=1)
            if values.min() < value:
                value, best = float(values.min()), closed[values.argmin()]
            if violations.min() < violation:
                violation, least = float(violations.min()), closed[violations.argmin()]
        return best, value, least, tried


def states_of(outcome: Outcome) -> Ensemble | None:
    """The AC states that `AcEvaluator.evaluate` handed over with the decision of an outcome; None where it has none."""
    assert outcome.state is None or isinstance(outcome.state, Ensemble)
    return outcome.state


RIVAL_ROUNDS = 6
"""Trees around which exchanges are tried for rivals of the best start."""
FEW = 3
"""Futures up to which good states to start from take so little time that nothing stops the search for them."""
PIECE = 2_000
"""Power flows between two questions whether to stop."""
NOISE = 0.3
"""Most that is added to an entry of a fractional decision before it is rounded again."""


def first_trees(choices: Choices, network: Network) -> list[Bools]:
    """(E) radial states that take no search: the one most like today's, and the one of least impedance."""
    weights = network.closed.astype(float), -np.abs(network.z.diagonal())
    return [heaviest_tree(choices, weight) > 0.5 for weight in weights]


@final
@dataclass
class TreeHeuristics:
    """Radial states worth trying, by spanning trees and branch exchange.

    Attributes:
        choices: what is left to decide. evaluator: of radial states.
    """

    choices: Choices
    evaluator: AcEvaluator
    _starts: list[Floats] = field(default_factory=list, init=False)

    @property
    def piece(self) -> int:
        """States between two questions whether to stop."""
        return max(1, PIECE // len(self.evaluator.demands))

    def warm_starts(self, stop: Callable[[], bool] = never) -> Sequence[Floats]:
        """The tree nearest to today's state, and where branch exchange leads from it and from least impedance.

        The best comes last. Found once, and kept.
        """
        if not self._starts:
            self._starts.extend(self._exchanged(never if len(self.evaluator.demands) <= FEW else stop))
        return self._starts

    def least_of_trees(self) -> float:
        """The least objective value of the trees that exchange starts from; inf where none keeps the limits."""
        trees = self._starting_trees()
        return float(self.evaluator.objectives(np.array(trees) > 0.5).min()) if trees else np.inf

    def _exchanged(self, stop: Callable[[], bool]) -> list[Floats]:
        violations, objectives, found = self.evaluator.violations, self.evaluator.objectives, self._starting_trees()
        ends = []
        for start in found[:1] if stop() else found:
            closed = start > 0.5
            violation, closed = descend(self.choices, closed, violations, enough=0.0, stop=stop, piece=self.piece)
            if violation == 0.0:
                closed = descend(self.choices, closed, objectives, stop=stop, piece=self.piece)[1]
            ends.append(closed.astype(float))
            if stop():
                break
        best = np.argsort([-objectives(end[None, :] > 0.5)[0] for end in ends], kind="stable")
        return found[:1] + [ends[k] for k in best]

    def rounded(self, decision: Floats, count: int, stop: Callable[[], bool] = never) -> Iterable[Floats]:
        """Half of them heaviest trees under the fractional decision, shaken; half the best around the best start."""
        rng = np.random.default_rng(0)
        seen: set[bytes] = set()
        trees = [decision] + [decision + NOISE * rng.random(len(decision)) for _ in range(count // 2)]
        for tree in [t for weight in trees for t in self._trees(weight)] + self._rivals(count // 2, stop):
            if (key := tree.tobytes()) not in seen:
                seen.add(key)
                yield tree

    def _rivals(self, count: int, stop: Callable[[], bool]) -> list[Floats]:
        """The best trees that exchanges lead to from the best start, and from the best of those."""
        if not self._starts:
            return []
        value: dict[bytes, float] = {}
        known: list[Bools] = []
        asked: set[bytes] = set()
        around = self._starts[-1] > 0.5
        for _ in range(RIVAL_ROUNDS):
            asked.add(around.tobytes())
            found = exchanges(self.choices, around)
            found = found[self.evaluator.switching.allowed(found)]
            found = found[[x.tobytes() not in value for x in found]]
            for begin in range(0, len(found), self.piece):
                if stop():
                    return []
                some = found[begin : begin + self.piece]
                value |= {x.tobytes(): float(each) for x, each in zip(some, self.evaluator.objectives(some))}
                known += list(some)
            known.sort(key=lambda x: value[x.tobytes()])
            fresh = [x for x in known if x.tobytes() not in asked and np.isfinite(value[x.tobytes()])]
            if not fresh:
                break
            around = fresh[0]
        return [x.astype(float) for x in known[:count]]

    def _starting_trees(self) -> list[Floats]:
        trees = first_trees(self.choices, self.evaluator.network)
        return [tree.astype(float) for tree in trees if self.evaluator.switching.allowed(tree)]

    def _trees(self, weight: Floats) -> list[Floats]:
        """The heaviest tree that keeps the locks and the number of changes, if it does."""
        tree = heaviest_tree(self.choices, weight)
        return [tree] if self.evaluator.switching.allowed(tree > 0.5) else []
