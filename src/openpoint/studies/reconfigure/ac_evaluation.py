"""The exact evaluation of radial states: AC power flow, many states in many futures at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.formulations.radiality import Switching
from openpoint.network import Network
from openpoint.powerflow.balanced import losses, solve
from openpoint.powerflow.state import Ensemble, ensemble, excesses, is_limited
from openpoint.twostage.log import Outcome
from openpoint.twostage.objective import Objective
from openpoint.twostage.program import ExactEvaluation

TRIAL_MOST = 20_000
"""Power flows solved at once: what their voltages take in memory."""


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


def states_of(outcome: Outcome) -> Ensemble | None:
    """The AC states that `AcEvaluator.evaluate` handed over with the decision of an outcome; None where it has none."""
    assert outcome.state is None or isinstance(outcome.state, Ensemble)
    return outcome.state
