"""The mathematical model of reconfiguration on grids of any phases: LinDist3Flow and its quadratic loss.

min  loss_kw(x) + c · changes(x)
s.t. x radial over terminals and conductors, locked branches kept, at most N changes;  LinDist3Flow at x;  limits

The decision x is the state of every branch, whose conductors open and close together. Loads are taken at the reference
voltages, which are the exact ones of a known state of the grid, and the loss around them (`lindist3flow`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Self, final

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.formulations.lindist3flow import Demand, LinDist3Flow, lindist3flow, rating_excess
from openpoint.formulations.lindist3flow_equations import LossTerms, coefficients, idle_loss, loss_cones, loss_terms
from openpoint.formulations.lindist3flow_solve import evaluate, no_load
from openpoint.formulations.radiality import (
    Choices,
    Switching,
    by_branch,
    choices_of,
    is_radial_state,
    radial_states,
    radiality,
)
from openpoint.network import Network
from openpoint.network.limits import at_kept_limits
from openpoint.network.load_shares import phase_bases
from openpoint.solvers.modelling import cp
from openpoint.twostage.program import ExactEvaluation, FirstStage, Limit, PlainProgram, SecondStage
from openpoint.twostage.risk import Expectation, Risk
from openpoint.twostage.uncertainty import Certain, Uncertainty
from openpoint.twostage.workers.pool import never

# Primal heuristics of reconfiguration on grids of any phases: radial states near a weight of the branches.


ROUNDS = 4
"""Weights drawn for every tree wanted near a fractional decision; many lead to the same tree."""
TREES_TRIED = 100
"""Radial states among which one is sought that keeps to the number of changes."""
NOISE = 0.3
"""Most that is added to an entry of a fractional decision before it is rounded again."""


@final
@dataclass(frozen=True)
class CoupledTreeHeuristics:
    """Radial states worth trying, those of heavy branches first (Kruskal 1956).

    Attributes:
        network: the grid. choices: what is left to decide, over conductors. switching: number of changes.
    """

    network: Network
    choices: Choices
    switching: Switching

    def warm_starts(self) -> Sequence[Floats]:
        """Today's tree and that of least impedance."""
        today = self.switching.today.astype(np.float64)
        found = [*islice(self.trees(today), 1), *islice(self.trees(-self._impedance()), 1)]
        return [tree.astype(np.float64) for tree in found]

    def rounded(self, decision: Floats, count: int) -> Iterable[Floats]:
        """Heaviest trees under the fractional decision, shaken."""
        rng = np.random.default_rng(0)
        seen: set[bytes] = set()
        for k in range(ROUNDS * count):
            weight = decision + (NOISE * rng.random(len(decision)) if k else 0.0)
            tree = next(self.trees(weight), None)
            if tree is not None and tree.tobytes() not in seen and len(seen) < count:
                seen.add(tree.tobytes())
                yield tree.astype(np.float64)

    def trees(self, weight: Floats) -> Iterator[Bools]:
        """Some radial states (B) that keep to the number of changes, those of heavy branches first."""
        states = islice(radial_states(self.choices, self.network.conductor_branch, weight), TREES_TRIED)
        found = (by_branch(self.network, state) for state in states)
        return (tree for tree in found if self.switching.allowed(tree))

    def _impedance(self) -> Floats:
        """(B) largest impedance of each branch."""
        largest = np.zeros(len(self.network.branch_names))
        np.maximum.at(largest, self.network.conductor_branch, np.abs(self.network.z.diagonal()))
        return largest


# The evaluation of a topology by LinDist3Flow without a solver: exact for the linear model.


V_LEAST_PU, V_MOST_PU = 0.5, 1.5
"""Voltages beyond which a linear flow says nothing: states that leave them are left out."""


@final
@dataclass(frozen=True)
class LinearEvaluator:
    """Loss and violation of radial states in the linear model.

    Attributes:
        network: the grid with the limits to keep.
        demand: (N) and (D) what is drawn. reference: (N) voltages without load, around which voltages are linear.
        terms: the squares that the loss is made of. idle: (B) what transformers lose without load.
        base_kw: kW of one per unit of power of a phase.
    """

    network: Network
    demand: tuple[Complexes, Complexes]
    reference: Complexes
    terms: LossTerms
    idle: Floats
    base_kw: float

    def evaluate(self, closed: Bools) -> tuple[float, float]:
        """Loss in kW and sum of the excesses of the limits of a radial state (B).

        The excess is inf where voltages leave what the model can say anything about.
        """
        net = self.network
        flow = evaluate(net, closed, *self.demand, reference=self.reference)
        w, s = flow.w[0], flow.s[0]
        loss = float(self.terms.loss(s)[0] + self.idle[closed].sum()) * self.base_kw
        if w.min() < V_LEAST_PU**2 or w.max() > V_MOST_PU**2:
            return loss, math.inf
        low, high = voltage_limited(net)
        rated = np.asarray(
            rating_excess(net, cp.Constant(closed * 1.0), cp.Constant(s.real), cp.Constant(s.imag)).value
        )
        parts = [1.0 - w[low] / net.w_min[low], w[high] / net.w_max[high] - 1.0, rated]
        return loss, sum(float(np.maximum(part, 0.0).sum()) for part in parts)


def voltage_limited(network: Network) -> tuple[Bools, Bools]:
    """(N) terminals with a lower, and with an upper limit of voltage."""
    return network.w_min > 0.0, np.isfinite(network.w_max)


@final
@dataclass(frozen=True, kw_only=True)
class PhasesProgram(PlainProgram):
    """Reconfiguration of a grid of any phases as a two-stage program; nothing is dispatched.

    Attributes:
        network: the grid with the limits to keep.
        must_close, must_open: (B) branches whose state is given.
        v: (N) reference voltages.
        max_changes: most branches whose state may differ from today's; None = any number.
        change_cost_kw: cost of a change, in kW of loss.
    """

    network: Network
    must_close: Bools
    must_open: Bools
    v: Complexes
    max_changes: int | None = None
    change_cost_kw: float = 0.0

    integer_recourse = False
    recourse_lower_bound = 0.0
    distance_min = 2
    uncertainty: Certain = field(default_factory=lambda: Certain(np.zeros(0)))
    risk: Risk = field(default_factory=Expectation)

    def with_uncertainty(self, uncertainty: Uncertainty, risk: Risk) -> Self:
        """Itself: nothing is uncertain."""
        return self

    @cached_property
    def limited(self) -> Network:
        """The network with limits as far out as they count as kept."""
        return at_kept_limits(self.network)

    @cached_property
    def switching(self) -> Switching:
        """Number and cost of changes."""
        return Switching(self.today, self.max_changes, self.change_cost_kw)

    @cached_property
    def heuristics(self) -> CoupledTreeHeuristics:
        """Radial states worth trying."""
        return CoupledTreeHeuristics(self.network, self.choices, self.switching)

    @cached_property
    def linear(self) -> LinearEvaluator:
        """The evaluation of radial states without a solver."""
        return LinearEvaluator(self.limited, self.demand, self.reference, self.terms, self.idle, self.price_base_kw)

    @cached_property
    def today(self) -> Bools:
        """(B) today's state."""
        return by_branch(self.network, self.network.closed)

    @cached_property
    def choices(self) -> Choices:
        """What is left to decide, over conductors."""
        return choices_of(self.network, self.must_close, self.must_open)

    @cached_property
    def price_base_kw(self) -> float:
        """kW of one per unit of power of a phase."""
        return self.network.s_base_kva / phase_bases(self.network.terminal_phase[0])

    @cached_property
    def terms(self) -> LossTerms:
        """The squares that the loss is made of."""
        return loss_terms(self.network, self.v)

    @cached_property
    def idle(self) -> Floats:
        """(B) what transformers lose without load."""
        return idle_loss(self.network, self.v)

    @cached_property
    def demand(self) -> tuple[Complexes, Complexes]:
        """(N) and (D) what is drawn at the reference voltages, net of all generation."""
        return demand_at(self.network, self.v)

    @cached_property
    def reference(self) -> Complexes:
        """(N) voltages without load of a radial state, around which voltages are linear."""
        if is_radial_state(self.network, self.today):
            return no_load(self.network, self.today)
        tree = next(self.heuristics.trees(self.today.astype(np.float64)), None)
        return self.v if tree is None else no_load(self.network, tree)

    def first_stage(self, *, with_recourse: bool) -> FirstStage:
        """Radial choices, locked branches, number and cost of changes."""
        tree = radiality(self.choices, consuming=np.zeros(self.choices.n_blocks, dtype=np.bool_))
        closed = cp.Variable(len(self.today), name="state")
        constraints = [
            *tree.constraints,
            tree.closed == closed[self.network.conductor_branch],  # conductors open and close together
            *self.switching.limit(closed),
        ]
        return FirstStage(closed, tree.integers, constraints, self.change_cost_kw * self.switching.changes(closed))

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> SecondStage:
        """The linear power flow, whose cost is the loss in kW."""
        flow = self._power_flow(decision, limits=limits)
        cone, loss, tied = loss_cones(self.terms, decision, flow.p, flow.q)
        idle_loss, idle = self._idle_loss(decision)
        if idle_loss is not None:
            loss = loss + idle_loss
        constraints = [*flow.constraints, *tied, *idle]
        return SecondStage(constraints, (cone,), self._limits(decision, flow), self.price_base_kw * loss)

    def _power_flow(self, closed: cp.Expression, *, limits: bool) -> LinDist3Flow:
        """LinDist3Flow at the demand of the reference voltages; ratings are limits of their own."""
        net = self.limited
        unrated = net.with_limits(w_min=net.w_min, w_max=net.w_max, l_max=np.full(net.n_conductors, np.inf))
        s, pairs = (cp.Constant(part) for part in self.demand)
        return lindist3flow(
            unrated,
            closed,
            Demand(cp.real(s), cp.imag(s), cp.real(pairs), cp.imag(pairs)),
            bounds=self._bounds(limits=limits),
            most=self._carried,
            always=by_branch(net, self.choices.state == 1.0),
            reference=self.reference,
        )

    def _idle_loss(self, closed: cp.Expression) -> tuple[cp.Variable | None, list[cp.Constraint]]:
        """Σ idle x: what the closed transformers lose without load."""
        if not self.idle.any():
            return None, []
        idle = cp.Variable(name="loss_idle")
        return idle, [idle == self.idle @ closed]

    def _limits(self, closed: cp.Expression, flow: LinDist3Flow) -> tuple[Limit, ...]:
        """w̲ ≤ w ≤ w̄ and the ratings, as excesses relative to the squared limit."""
        net = self.limited
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
        closed = decision > 0.5
        if not self.switching.allowed(closed):
            return ExactEvaluation(np.array([np.inf]), np.array([np.inf]), None, True)
        loss, excess = self.linear.evaluate(closed)
        return ExactEvaluation(np.array([loss]), np.array([excess]), None, True)

    def first_stage_cost(self, decision: Floats) -> float:
        """Cost of the changes, in kW."""
        return float(self.switching.cost(decision > 0.5))

    def warm_starts(self, stop: Callable[[], bool] = never) -> Sequence[Floats]:
        """See `CoupledTreeHeuristics`."""
        return self.heuristics.warm_starts()

    def rounding_heuristic(self, decision: Floats, count: int, stop: Callable[[], bool] = never) -> Iterable[Floats]:
        """See `CoupledTreeHeuristics`."""
        return self.heuristics.rounded(decision, count)

    def _bounds(self, *, limits: bool) -> tuple[Floats, Floats]:
        """(N) squared voltages that no point of interest leaves."""
        net, least, most = self.limited, V_LEAST_PU**2, V_MOST_PU**2
        if not limits:
            return np.full(net.n_terminals, least), np.full(net.n_terminals, most)
        return np.clip(net.w_min, least, most), np.clip(net.w_max, least, most)

    @cached_property
    def _carried(self) -> tuple[Floats, Floats]:
        """(E) active and reactive power that no conductor exceeds: what its phase demands in all, either way.

        A delta mixes active and reactive power of the phases, at most doubling what goes through.
        """
        net, (s, pairs) = self.network, self.demand
        drawn = s + np.asarray(coefficients(net, self.reference).s_delta @ pairs)
        deltas = sum("delta" in connection for connection in net.branch_connections)
        if deltas or len(net.windings.conductor):
            total = 2.0 ** min(deltas, 10) * float(np.abs(drawn).sum())
            return np.full(net.n_conductors, total), np.full(net.n_conductors, total)
        phases = np.array(net.terminal_phase)
        own = phases[:, None] == np.array(net.conductor_phase)[None, :]
        return np.abs(drawn.real) @ own, np.abs(drawn.imag) @ own


def demand_at(network: Network, v: Complexes) -> tuple[Complexes, Complexes]:
    """(N) and (D) what loads and capacitors draw at voltages v (N), per unit, net of all generation as it is today."""
    delta, u = network.delta, np.abs(v)
    between = np.abs(v[delta.fr] - v[delta.to]) / math.sqrt(3.0)
    s = network.s_power + network.s_current * u + network.s_impedance * u**2
    pairs = delta.s_power + delta.s_current * between + delta.s_impedance * between**2
    number = {(int(a), int(b)): k for k, (a, b) in enumerate(zip(delta.fr, delta.to))}
    for terminal, back, made in zip(network.generator_terminal, network.generator_return, network.generator_s):
        if back < 0:
            s[terminal] -= made
        else:
            pairs[number[int(terminal), int(back)]] -= made
    return s, pairs
