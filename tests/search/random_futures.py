"""Random small grids under many load vectors, every risk, and what each radial state is worth in them."""

from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.state import excesses
from openpoint.search.futures.model import FuturesTask, Verdicts
from openpoint.twostage.ambiguity import (
    ProbabilityBox,
    ProbabilitySet,
    TotalVariation,
    Wasserstein,
    all_of,
    exactly,
    tail_of,
)
from tests.builders.grids import all_topologies
from tests.search.random_grids import KINDS, random_grid

RISKS = ("expected", "worst", "cvar", "regret", "regret cvar", "total variation", "box", "wasserstein")


@dataclass(frozen=True)
class Brute:
    """The exact evaluation of states, without any code of the study."""

    network: Network
    demands: Complexes
    probabilities: ProbabilitySet
    alone: Floats
    max_changes: int | None
    change_cost: float
    limits: bool

    def __call__(self, closed: Bools) -> Verdicts:
        """Of (C, E) states, one after another."""
        losses, violation = self.flows(closed)
        changes = (closed != self.network.closed).sum(axis=1)
        kept = np.isfinite(losses).all(axis=1) & ((violation.sum(axis=1) == 0.0) | (not self.limits))
        if self.max_changes is not None:
            kept &= changes <= self.max_changes
        value = np.full(len(closed), np.inf)
        for c in np.flatnonzero(kept):
            value[c] = self.probabilities.worst(losses[c] - self.alone)[0] + self.change_cost * changes[c]
        return Verdicts(value, value, losses, violation.sum(axis=1))

    def flows(self, closed: Bools) -> tuple[Floats, Floats]:
        """(C, K) losses and violations."""
        shape = len(closed), len(self.demands)
        losses, violation = np.full(shape, np.inf), np.full(shape, np.inf)
        for c, state in enumerate(closed):
            flows = solve(self.network, state, s_power=self.demands)
            there = flows.converged & flows.energised.all(axis=1)
            losses[c] = np.where(there, flows.loss, np.inf)
            violation[c] = np.where(there, excesses(self.network, flows), np.inf)
        return losses, violation


def random_task(seed: int) -> tuple[FuturesTask, Bools, str]:
    """A task, all its radial states, and the name of its risk."""
    rng = np.random.default_rng([seed, 31])
    kind = [k for k in KINDS if "dispatch" not in k][seed % (len(KINDS) - 2)]
    network = random_grid(rng, kind)
    count, n = int(rng.integers(2, 13)), network.n_terminals
    demands = network.s_power * rng.uniform(0.1, 1.3, (count, 1)) * rng.uniform(0.5, 1.5, (count, n))
    if "generation" in kind:
        demands = np.where(rng.random(demands.shape) < 0.2, -demands.conj(), demands)
    risk = RISKS[seed % len(RISKS)]
    probabilities = probabilities_of(risk, rng, demands)
    states = all_topologies(network)
    limits = bool(rng.random() < 0.8)
    most = None if rng.random() < 0.7 else int(rng.integers(0, 5))
    cost = float(rng.choice([0.0, 0.0, 1e-4]))
    judge = Brute(network, demands, probabilities, np.zeros(count), most, cost, limits)
    if risk.startswith("regret") and len(states):
        losses, violation = judge.flows(states)
        alone = np.where((violation == 0.0) | (not limits), losses, np.inf).min(axis=0)
        judge = replace(judge, alone=np.where(np.isfinite(alone), alone, 0.0))
    task = FuturesTask(
        network=network,
        demands=demands,
        rules=SwitchingRules.of(network, most, cost),
        probabilities=probabilities,
        wait_and_see=judge.alone,
        evaluate=judge,
        limits=limits,
    )
    return task, states, risk


def probabilities_of(risk: str, rng: np.random.Generator, demands: Complexes) -> ProbabilitySet:
    """The set of probability vectors of a risk."""
    count = len(demands)
    p = rng.dirichlet(np.ones(count))
    match risk.removeprefix("regret").strip():
        case "worst" | "":
            return all_of(count)
        case "cvar":
            return tail_of(p, 0.7)
        case "total variation":
            return TotalVariation(0.2).around(p, count)
        case "box":
            return ProbabilityBox(0.5 * p, np.minimum(2.0 * p, 1.0)).around(p, count)
        case "wasserstein":
            distance = np.abs(demands[:, None, :] - demands[None, :, :]).sum(axis=2)
            return Wasserstein(0.2 * float(distance.mean()), distance).around(p, count)
    return exactly(p)
