"""The mathematical model of reconfiguration on grids of any phases: LinDist3Flow and its quadratic loss.

min  loss_kw(x) + c · changes(x)
s.t. x radial over terminals and conductors, locked branches kept, at most N changes;  LinDist3Flow at x;  limits

The decision x is the state of every branch, whose conductors open and close together. Loads are taken at the reference
voltages, which are the exact ones of a known state of the grid, and the loss around them (`lindist3flow`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Self, final

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.formulations.lindist3flow import LinDist3Flow, lindist3flow, rating_excess
from openpoint.formulations.lindist3flow_equations import loss_cones
from openpoint.formulations.lindist3flow_model import LinearModel, voltage_limited
from openpoint.formulations.phases import PhasesQuestion
from openpoint.formulations.radiality import radiality
from openpoint.solvers.modelling import cp
from openpoint.twostage.program import ExactEvaluation, FirstStage, Limit, PlainProgram, SecondStage
from openpoint.twostage.risk import Expectation, Risk
from openpoint.twostage.uncertainty import Certain, Uncertainty
from openpoint.twostage.workers.pool import never

ROUNDS = 4
"""Weights drawn for every tree wanted near a fractional decision; many lead to the same tree."""
TREES_TRIED = 100
"""Radial states among which one is sought that keeps to the number of changes."""
NOISE = 0.3
"""Most that is added to an entry of a fractional decision before it is rounded again."""


@final
@dataclass(frozen=True, kw_only=True)
class PhasesProgram(PlainProgram):
    """Reconfiguration of a grid of any phases as a two-stage program; nothing is dispatched.

    Attributes:
        model: the linear model, whose loads do not follow the voltages, with what is asked.
    """

    model: LinearModel

    integer_recourse = False
    recourse_lower_bound = 0.0
    distance_min = 2
    uncertainty: Certain = field(default_factory=lambda: Certain(np.zeros(0)))
    risk: Risk = field(default_factory=Expectation)

    def with_uncertainty(self, uncertainty: Uncertainty, risk: Risk) -> Self:
        """Itself: nothing is uncertain."""
        return self

    @property
    def question(self) -> PhasesQuestion:
        """What is asked."""
        return self.model.question

    def first_stage(self, *, with_recourse: bool) -> FirstStage:
        """Radial choices, locked branches, number and cost of changes."""
        asked, switching = self.question, self.question.switching
        tree = radiality(asked.choices, consuming=np.zeros(asked.choices.n_blocks, dtype=np.bool_))
        closed = cp.Variable(len(asked.today), name="state")
        constraints = [
            *tree.constraints,
            tree.closed == closed[asked.network.conductor_branch],  # conductors open and close together
            *switching.limit(closed),
        ]
        return FirstStage(closed, tree.integers, constraints, switching.cost_kw * switching.changes(closed))

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> SecondStage:
        """The linear power flow, whose cost is the loss in kW."""
        model = self.model
        flow = self._power_flow(decision, limits=limits)
        cone, loss, tied = loss_cones(model.terms, decision, flow.p, flow.q)
        constraints = [*flow.constraints, *tied]
        if model.idle.any():
            idle = cp.Variable(name="loss_idle")
            constraints.append(idle == model.idle @ decision)
            loss = loss + idle
        return SecondStage(constraints, (cone,), self._limits(decision, flow), model.base_kw * loss)

    def _power_flow(self, closed: cp.Expression, *, limits: bool) -> LinDist3Flow:
        """LinDist3Flow at the demand of the reference voltages; ratings are limits of their own."""
        model, net = self.model, self.model.limited
        w = cp.Variable(net.n_terminals, name="w")
        return lindist3flow(
            net.with_limits(w_min=net.w_min, w_max=net.w_max, l_max=np.full(net.n_conductors, np.inf)),
            closed,
            model.demand.at(w, model.coefficients.w_delta),
            bounds=model.voltage_bounds(limits=limits),
            most=model.carried,
            always=self.question.always,
            reference=model.reference,
            w=w,
        )

    def _limits(self, closed: cp.Expression, flow: LinDist3Flow) -> tuple[Limit, ...]:
        """w̲ ≤ w ≤ w̄ and the ratings, as excesses relative to the squared limit."""
        net = self.model.limited
        low, high = voltage_limited(net)
        kept = []
        if low.any():
            kept.append(Limit("voltage low", 1 - cp.multiply(1 / net.w_min[low], flow.w[low])))
        if high.any():
            kept.append(Limit("voltage high", cp.multiply(1 / net.w_max[high], flow.w[high]) - 1))
        if np.isfinite(net.l_max).any():
            kept.append(Limit("current", rating_excess(net, closed, flow.p, flow.q)))
        return tuple(kept)

    def evaluate(self, decision: Floats, realisations: Floats, dispatch: Sequence[Floats] | None) -> ExactEvaluation:
        """The same flow without a solver: exact for the linear model."""
        loss, excess = self.model.evaluate(decision > 0.5, self.question.devices.today)
        return ExactEvaluation(np.array([loss]), np.array([excess]), None, True)

    def first_stage_cost(self, decision: Floats) -> float:
        """Cost of the changes, in kW."""
        return float(self.question.switching.cost(decision > 0.5))

    # Radial states worth trying, those of heavy branches first (Kruskal 1956).

    def warm_starts(self, stop: Callable[[], bool] = never) -> Sequence[Floats]:
        """Today's tree and that of least impedance."""
        net = self.model.network
        impedance = np.zeros(len(net.branch_names))
        np.maximum.at(impedance, net.conductor_branch, np.abs(net.z.diagonal()))
        weights = self.question.today.astype(np.float64), -impedance
        return [tree.astype(np.float64) for weight in weights for tree in islice(self._trees(weight), 1)]

    def rounding_heuristic(self, decision: Floats, count: int, stop: Callable[[], bool] = never) -> Iterable[Floats]:
        """Heaviest trees under the fractional decision, shaken."""
        rng = np.random.default_rng(0)
        seen: set[bytes] = set()
        for k in range(ROUNDS * count):
            weight = decision + (NOISE * rng.random(len(decision)) if k else 0.0)
            tree = next(self._trees(weight), None)
            if tree is not None and tree.tobytes() not in seen and len(seen) < count:
                seen.add(tree.tobytes())
                yield tree.astype(np.float64)

    def _trees(self, weight: Floats) -> Iterator[Bools]:
        """Some radial states (B) that keep to the number of changes, those of heavy branches first."""
        return filter(self.question.switching.allowed, islice(self.question.states(weight), TREES_TRIED))
