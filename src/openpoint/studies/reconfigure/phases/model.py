"""The mathematical model of reconfiguration on grids of any phases: LinDist3Flow and its quadratic loss.

min  loss_kw(x) + c · changes(x)
s.t. x radial over terminals and conductors, locked branches kept, at most N changes;  LinDist3Flow at x;  limits

The decision x is the state of every branch, whose conductors open and close together. Loads are taken at the reference
voltages, which are the exact ones of a known state of the grid, and the loss around them (`lindist3flow_loss`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Self

import cvxpy as cp
import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.formulations.lindist3flow import Demand, lindist3flow, rating_excess
from openpoint.formulations.lindist3flow_equations import coefficients
from openpoint.formulations.lindist3flow_loss import LossTerms, idle_loss, loss_cones, loss_terms
from openpoint.formulations.lindist3flow_solve import evaluate, no_load
from openpoint.formulations.radiality import Choices, radiality
from openpoint.formulations.radiality_phases import contract_coupled, radial_states
from openpoint.network import Network
from openpoint.network.load_shares import phase_bases
from openpoint.powerflow.ensemble import LIMIT_TOLERANCE
from openpoint.twostage.program import ExactEvaluation, FirstStage, Limit, PlainProgram, SecondStage
from openpoint.twostage.risk import Expectation, Risk
from openpoint.twostage.uncertainty import Certain, Uncertainty
from openpoint.twostage.workers.pool import never

V_LEAST_PU, V_MOST_PU = 0.5, 1.5
"""Voltages beyond which a linear flow says nothing: states that leave them are left out."""
NEAR_ROUNDS = 4
"""Weights drawn for every tree wanted near a fractional decision; many lead to the same tree."""
TREES_TRIED = 100
"""Radial states among which one is sought that keeps to the number of changes."""


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

    recourse_lower_bound = 0.0
    distance_min = 2
    uncertainty: Certain = field(default_factory=lambda: Certain(np.zeros(0)))
    risk: Risk = field(default_factory=Expectation)

    def with_uncertainty(self, uncertainty: Uncertainty, risk: Risk) -> Self:
        """Itself: nothing is uncertain."""
        return self

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
        tree = next(self._trees(self.today.astype(np.float64)), None)
        return self.v if tree is None else no_load(self.network, tree)

    def first_stage(self, *, with_recourse: bool) -> FirstStage:
        """Radial choices, locked branches, number and cost of changes."""
        net = self.network
        block = radiality(self.choices, hungry=np.zeros(self.choices.n_blocks, dtype=np.bool_))
        closed = cp.Variable(len(self.today), name="state")
        changes = cp.sum(closed[~self.today]) + cp.sum(1 - closed[self.today])
        constraints = [*block.constraints, block.closed == closed[net.conductor_branch]]
        if self.max_changes is not None:
            constraints.append(changes <= self.max_changes)
        return FirstStage(closed, block.integers, constraints, self.change_cost_kw * changes)

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> SecondStage:
        """The linear power flow, whose cost is the loss in kW."""
        net = self.network
        unrated = net.with_limits(w_min=net.w_min, w_max=net.w_max, l_max=np.full(net.n_conductors, np.inf))
        s, pairs = (cp.Constant(part) for part in self.demand)
        flow = lindist3flow(
            unrated,
            decision,
            Demand(cp.real(s), cp.imag(s), cp.real(pairs), cp.imag(pairs)),
            bounds=self._bounds(limits=limits),
            most=self._carried,
            always=by_branch(net, self.choices.state == 1.0),
            reference=self.reference,
        )
        cone, loss, tied = loss_cones(self.terms, decision, flow.p, flow.q)
        if self.idle.any():
            idle = cp.Variable(name="loss_idle")
            loss, tied = loss + idle, [*tied, idle == self.idle @ decision]
        low, high = self._limited
        kept = []
        if low.any():
            kept.append(Limit("voltage low", 1 - cp.multiply(1 / net.w_min[low], flow.w[low])))
        if high.any():
            kept.append(Limit("voltage high", cp.multiply(1 / net.w_max[high], flow.w[high]) - 1))
        if np.isfinite(net.l_max).any():
            kept.append(Limit("current", rating_excess(net, decision, flow.p, flow.q)))
        return SecondStage([*flow.constraints, *tied], (cone,), tuple(kept), self.price_base_kw * loss)

    def evaluate(self, decision: Floats, realisations: Floats, dispatch: Sequence[Floats] | None) -> ExactEvaluation:
        """The same flow without a solver: exact for the linear model."""
        closed = decision > 0.5
        if not self.allowed(closed):
            return ExactEvaluation(np.array([np.inf]), np.array([np.inf]), None, True)
        loss, excess = self.linear(closed)
        return ExactEvaluation(np.array([loss]), np.array([excess if excess > LIMIT_TOLERANCE else 0.0]), None, True)

    def linear(self, closed: Bools) -> tuple[float, float]:
        """Loss in kW and sum of the excesses of the limits of a radial state (B), in the linear model.

        The excess is inf where voltages leave what the model can say anything about.
        """
        net = self.network
        flow = evaluate(net, closed, *self.demand, reference=self.reference)
        low, high = self._limited
        w, s = flow.w[0], flow.s[0]
        loss = float(self.terms.loss(s)[0] + self.idle[closed].sum()) * self.price_base_kw
        if w.min() < V_LEAST_PU**2 or w.max() > V_MOST_PU**2:
            return loss, math.inf
        rated = np.asarray(
            rating_excess(net, cp.Constant(closed * 1.0), cp.Constant(s.real), cp.Constant(s.imag)).value
        )
        parts = [1.0 - w[low] / net.w_min[low], w[high] / net.w_max[high] - 1.0, rated]
        return loss, sum(float(np.maximum(part, 0.0).sum()) for part in parts)

    def first_stage_cost(self, decision: Floats) -> float:
        """Cost of the changes, in kW."""
        return self.change_cost_kw * float(np.sum((decision > 0.5) != self.today))

    def warm_starts(self, stop: Callable[[], bool] = never) -> Sequence[Floats]:
        """Today's tree and that of least impedance."""
        found = [*islice(self._trees(self.today.astype(np.float64)), 1), *islice(self._trees(-self._impedance), 1)]
        return [tree.astype(np.float64) for tree in found]

    def rounding_heuristic(self, decision: Floats, count: int, stop: Callable[[], bool] = never) -> Iterable[Floats]:
        """Heaviest trees under the fractional decision, shaken."""
        rng = np.random.default_rng(0)
        seen: set[bytes] = set()
        for k in range(NEAR_ROUNDS * count):
            weight = decision + (0.3 * rng.random(len(decision)) if k else 0.0)
            tree = next(self._trees(weight), None)
            if tree is not None and tree.tobytes() not in seen and len(seen) < count:
                seen.add(tree.tobytes())
                yield tree.astype(np.float64)

    def allowed(self, closed: Bools) -> bool:
        """Whether a state (B) keeps to the number of changes."""
        return self.max_changes is None or int(np.sum(closed != self.today)) <= self.max_changes

    def _trees(self, weight: Floats) -> Iterator[Bools]:
        """Some radial states (B) that keep to the number of changes, those of heavy branches first."""
        states = islice(radial_states(self.choices, self.network.conductor_branch, weight), TREES_TRIED)
        return (tree for state in states if self.allowed(tree := by_branch(self.network, state)))

    @cached_property
    def _impedance(self) -> Floats:
        """(B) largest impedance of each branch."""
        largest = np.zeros(len(self.today))
        np.maximum.at(largest, self.network.conductor_branch, np.abs(self.network.z.diagonal()))
        return largest

    @cached_property
    def _limited(self) -> tuple[Bools, Bools]:
        """(N) terminals with a lower, and with an upper limit."""
        return self.network.w_min > 0.0, np.isfinite(self.network.w_max)

    def _bounds(self, *, limits: bool) -> tuple[Floats, Floats]:
        """(N) squared voltages that no point of interest leaves."""
        net, least, most = self.network, V_LEAST_PU**2, V_MOST_PU**2
        if not limits:
            return np.full(net.n_terminals, least), np.full(net.n_terminals, most)
        keep = 1.0 + LIMIT_TOLERANCE
        return np.clip(net.w_min / keep, least, most), np.clip(net.w_max * keep, least, most)

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


def choices_of(network: Network, must_close: Bools, must_open: Bools) -> Choices:
    """What is left to decide over conductors, of states given by branch (B)."""
    branch = network.conductor_branch
    return contract_coupled(
        network.n_terminals,
        network.terminal_fr,
        network.terminal_to,
        branch,
        network.source_terminal,
        must_close[branch],
        must_open[branch],
    )


def is_radial_state(network: Network, closed: Bools) -> bool:
    """Whether a state (B) reaches every terminal by one path from one source."""
    kept = choices_of(network, closed, ~closed)
    return not (kept.loop or kept.cut_off)


def by_branch(network: Network, state: Bools) -> Bools:
    """(B) state of the branches of that of their conductors (E)."""
    found = np.zeros(len(network.branch_names), dtype=np.bool_)
    found[network.conductor_branch] = state
    return found


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
