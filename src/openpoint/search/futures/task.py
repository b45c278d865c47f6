"""What a search for many futures is given: the grid, its demands, a risk, and the exact evaluation of states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.network import Network
from openpoint.search.futures.alone import Alone, means_count
from openpoint.search.futures.model import FuturesModel, Span, futures_model, without_limits
from openpoint.twostage.ambiguity import ProbabilitySet


@dataclass(frozen=True)
class Verdicts:
    """What C radial states are worth, by exact AC power flow; per unit.

    Attributes:
        objective: (C) risk of the losses and cost of changes, inf where the limits are not kept.
        bound: (C) the same with the most that each future may lose alone, where that counts; finite without limits.
        losses: (C, K). violation: (C) of the limits in all futures.
        stopped: whether the time was up before all states were evaluated; of the others all is inf but the losses.
    """

    objective: Floats
    bound: Floats
    losses: Floats
    violation: Floats
    stopped: bool = False


class StateEvaluator(Protocol):
    """Exact evaluation of radial states in all futures."""

    def __call__(self, closed: Bools) -> Verdicts:
        """Of (C, E) states."""
        ...


@dataclass(frozen=True)
class FuturesTask:
    """What is searched: the radial state of least risk; per unit.

    Attributes:
        network: with the limits. demands: (K, N) constant power.
        must_close, must_open: (E) branches whose state is given.
        probabilities: the set over which the risk is the worst expectation.
        wait_and_see: (K) what each future loses at best, from above, where the risk is that of the regret; else 0.
        evaluate: exact evaluation of states.
        max_changes: most branches whose state may differ from today's. change_cost: cost of each.
        limits: whether the limits are kept in every future. span: of all demands that those given stand for, where
            they are means of groups (`openpoint.search.futures.groups`); None = they are all.
    """

    network: Network
    demands: Complexes
    must_close: Bools
    must_open: Bools
    probabilities: ProbabilitySet
    wait_and_see: Floats
    evaluate: StateEvaluator
    max_changes: int | None = None
    change_cost: float = 0.0
    limits: bool = True
    span: Span | None = None

    def alone(self, gap: float, built: FuturesModel) -> Alone | None:
        """The futures by themselves; None where these say nothing: for regret, and for some means of groups."""
        if self.wait_and_see.any() or (self.span is not None and not means_count(built)):
            return None
        net = self.network if self.limits and self.span is None else without_limits(self.network)
        locks, changes = (self.must_close, self.must_open), (self.max_changes, self.change_cost)
        return Alone(net, self.demands, locks, changes, gap)

    def built(self, *, by_loss: bool = True) -> FuturesModel:
        """The search model; `by_loss` as of `futures_model`, False for a certificate.

        Raises:
            OptionError: the bound is not valid for the grid.
        """
        return futures_model(
            self.network,
            self.demands,
            must_close=self.must_close,
            must_open=self.must_open,
            max_changes=self.max_changes,
            change_cost=self.change_cost,
            limits=self.limits,
            span=self.span,
            by_loss=by_loss,
        )
