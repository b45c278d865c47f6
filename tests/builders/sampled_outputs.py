"""The best operating state of a grid with outputs to choose: these are sampled, so that its cost is no less than the
least there is."""

from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network import Network
from openpoint.network.devices import Devices
from openpoint.network.freedom import SwitchingRules
from openpoint.search import enumeration
from openpoint.search.enumeration import Enumerated, OperatingState, StateEvaluator

DRAWS = 40
"""Outputs drawn around the best known ones of a state, in each of several rounds."""
COARSE, FINE = 4, 40
"""Rounds for every state, and further rounds for the best one."""
NARROWER = 0.4, 0.75
"""By how much the range of the draws shrinks from one round to the next: for every state, and for the best one."""


def has_outputs_to_choose(network: Network) -> bool:
    """Whether the output of a generator has a range."""
    return bool(np.any(network.p_max > network.p_min) or np.any(network.q_max > network.q_min))


def best_operating_state(evaluator: StateEvaluator, max_changes: int | None = None) -> Enumerated:
    """The best of all states, with sampled outputs where there are any to choose."""
    rules = SwitchingRules.of(evaluator.network, max_changes)
    if not has_outputs_to_choose(evaluator.network):
        return enumeration.best_operating_state(evaluator, rules)
    sampled = SampledOutputs(evaluator)
    found = enumeration.best_operating_state(sampled, rules)
    return found if found.best is None else replace(found, best=sampled.refined(found.best))


@dataclass(frozen=True)
class SampledOutputs:
    """An evaluator of states that gives each the best of the outputs that it draws."""

    inner: StateEvaluator

    @property
    def network(self) -> Network:
        return self.inner.network

    @property
    def devices(self) -> Devices:
        return self.inner.devices

    def on(self, positions: Ints) -> Bools:
        return self.inner.on(positions)

    def evaluate(self, closed: Bools, positions: Ints, generation: Complexes | None = None) -> tuple[Floats, Floats]:
        assert generation is not None
        return self.outputs(closed, positions, generation)[1:]

    def outputs(self, closed: Bools, positions: Ints, generation: Complexes) -> tuple[Complexes, Floats, Floats]:
        """(K, G) the best outputs that are found from one on, and their (K) costs and violations."""
        value = violation = np.full(len(closed), np.inf)
        generation, width = np.repeat(generation[None, :], len(closed), axis=0), 1.0
        for _ in range(COARSE):
            generation, value, violation = self._drawn(closed, positions, generation, width)
            width *= NARROWER[0]
        return generation, value, violation

    def refined(self, best: OperatingState) -> OperatingState:
        """The state with the best outputs that are found."""
        width, closed, positions = 0.3, best.closed[None, :], best.positions[None, :]
        generation, value, violation = self.outputs(closed, positions, best.generation)
        for _ in range(FINE):
            generation, value, violation = self._drawn(closed, positions, generation, width)
            width *= NARROWER[1]
        output = np.where(self.on(positions)[0], generation[0], 0.0)
        found = OperatingState(best.closed, best.positions, output, float(value[0]), float(violation[0]))
        return found if found.beats(best) else best

    def _drawn(
        self, closed: Bools, positions: Ints, generation: Complexes, width: float
    ) -> tuple[Complexes, Floats, Floats]:
        """(K, G) the best of the outputs of K states and of some drawn around them, and their (K) costs and violations.

        `width`: of the range drawn from, as a share of the whole range. One draw in five is an end of the range.
        """
        net, rng = self.network, np.random.default_rng(0)
        least, span = np.concatenate([net.p_min, net.q_min]), np.concatenate([net.p_max, net.q_max])
        span = span - least
        now = np.concatenate([generation.real, generation.imag], axis=1)[:, None, :]
        drawn = now + width * span * (rng.random((len(now), DRAWS, len(least))) - 0.5)
        ends = np.where(rng.random(drawn.shape) < 0.5, least, least + span)
        drawn = np.clip(np.where(rng.random(drawn.shape) < 0.2, ends, drawn), least, least + span)
        drawn = np.concatenate([np.clip(now, least, least + span), drawn], axis=1)
        count, half = drawn.shape[1], drawn.shape[2] // 2
        outputs = drawn[..., :half] + 1j * drawn[..., half:]
        value, violation = (
            part.reshape(-1, count)
            for part in self.inner.evaluate(
                np.repeat(closed, count, axis=0), np.repeat(positions, count, axis=0), outputs.reshape(-1, half)
            )
        )
        row, first = np.arange(len(now)), np.lexsort((value, violation), axis=1)[:, 0]
        return outputs[row, first], value[row, first], violation[row, first]
