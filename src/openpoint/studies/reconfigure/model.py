"""The mathematical model of reconfiguration: which branches are closed, so that the grid is radial and loses least.

min  loss_kw(x) + c · changes(x)
s.t. x radial, locked branches kept, at most N changes;  DistFlow at x;  voltage and current limits
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, final

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import OptionError
from openpoint.formulations.radiality import Choices, Switching, choices_left, radiality
from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.search.dispatch import Cone, Threshold
from openpoint.search.enumeration import count_topologies, topologies
from openpoint.search.kernel.arrays import Model
from openpoint.search.methods import Log, TopologySearch
from openpoint.search.model.build import Numbering, build_model
from openpoint.search.result import SearchResult
from openpoint.search.topology import search_topologies
from openpoint.solvers.modelling import cp
from openpoint.studies.reconfigure.ac_evaluation import AcEvaluator, TreeHeuristics, first_trees
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination
from openpoint.twostage.program import AnyProgram, ExactEvaluation, FirstStage, PlainProgram, objective_of
from openpoint.twostage.risk import Expectation, Regret, Risk
from openpoint.twostage.uncertainty import Box, Budget, Certain, Finite, Uncertainty
from openpoint.twostage.workers.pool import never

if TYPE_CHECKING:  # what many futures and the cone program are made with; a search for one demand needs none of it
    from openpoint.formulations.distflow import DistFlow
    from openpoint.formulations.flow_ranges import Ranged
    from openpoint.search.futures.model import FuturesModel
    from openpoint.twostage.recourse.evaluation import Subproblem
    from openpoint.verify.asked import Asked

SHARP = 1e-7
"""Relative gap of what a future loses at best by itself, since a regret is a small difference of losses."""
DETERMINISTIC_S = 20.0
"""Seconds for one future alone; its bounds hold whether they meet or not."""
CONSUMES = 1e-4
"""Share of all demand from which a bus counts as one that must be supplied."""


@final
@dataclass(frozen=True)
class RadialChoice(FirstStage):
    """The first stage, with the arcs of the free branches (F); None where nothing is free."""

    arc_fr: cp.Variable | None
    arc_to: cp.Variable | None


@final
@dataclass(frozen=True)
class RadialProgram(PlainProgram[RadialChoice, "DistFlow"]):
    """Reconfiguration as a two-stage program: x is the state of every branch, the recourse is the power flow.

    Attributes:
        network: the grid with the limits to keep.
        rules: of switching.
        futures: demands that may come to be, a realisation the (2N) active and reactive constant power per unit; None =
            today's alone.
        risk: of the losses in the futures.
        limits_share: share of the futures in which the limits are kept.
        asked: the question in words, which a certificate states.
    """

    network: Network
    rules: SwitchingRules
    futures: Finite | None = None
    risk: Risk = field(default_factory=Expectation)
    limits_share: float = 1.0
    asked: Asked | None = None

    integer_recourse = False
    recourse_lower_bound = 0.0
    distance_min = 2

    @cached_property
    def uncertainty(self) -> Finite:
        """The demands that may come to be."""
        return self.futures or Certain(as_realisation(self.network.s_power))

    @cached_property
    def demands(self) -> Complexes:
        """(K, N) demand of constant power in every future."""
        return as_demand(self.uncertainty.values)

    @cached_property
    def switching(self) -> Switching:
        """Number and cost of changes."""
        cost_kw = self.rules.change_cost * self.network.s_base_kva
        return Switching(self.network.closed, self.rules.max_changes, cost_kw)

    @cached_property
    def ac(self) -> AcEvaluator:
        """Exact evaluation of radial states in the futures; regret is left to the method."""
        return AcEvaluator(self.network, self.demands, objective_of(self), self.switching)

    @cached_property
    def heuristics(self) -> TreeHeuristics:
        """Radial states worth trying."""
        return TreeHeuristics(self.choices, self.ac)

    @cached_property
    def one_demand(self) -> Network:
        """The network under the one demand.

        Raises:
            OptionError: there are many.
        """
        if not isinstance(self.uncertainty, Certain):
            raise OptionError("branch exchange is for one demand; use TopologySearch or Benders for many futures")
        return replace(self.network, s_power=self.demands[0])

    @cached_property
    def search_model(self) -> tuple[Model, Numbering]:
        """The arrays of topology search.

        Raises:
            OptionError: many futures, or a grid that the bound of topology search is not valid for.
        """
        return build_model(self.one_demand, self.rules)

    @cached_property
    def futures_model(self) -> FuturesModel:
        """The arrays of topology search for many futures.

        Raises:
            OptionError: a grid that its bound is not valid for, or generators to dispatch.
        """
        from openpoint.studies.reconfigure.many_futures import task_of

        return task_of(self, self.ac).built()

    @property
    def any(self) -> AnyProgram:
        """The program itself, for what takes any."""
        return self

    @cached_property
    def choices(self) -> Choices:
        """What is left to decide."""
        return choices_left(self.network, self.rules)

    # The model

    def first_stage(self, *, with_recourse: bool) -> RadialChoice:
        """Radial choices, locked branches, number and cost of changes."""
        tree = radiality(self.choices, consuming=self._consuming(with_recourse=with_recourse))
        constraints = [*tree.constraints, *self.switching.limit(tree.closed)]
        cost = self.switching.cost_kw * self.switching.changes(tree.closed)
        return RadialChoice(tree.closed, tree.integers, constraints, cost, tree.arc_fr, tree.arc_to)

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> DistFlow:
        """The power flow at a decision in a future."""
        from openpoint.formulations.distflow import voltage_bounds

        return self._flow(decision, realisation, voltage_bounds(self._least, limits=limits))

    def _flow(self, decision: cp.Expression, realisation: cp.Expression, ranges: tuple[Floats, Floats]) -> DistFlow:
        from openpoint.formulations.distflow import distflow

        return distflow(self._most, decision, ranges[1], realisation, w_lower=ranges[0])

    def valid_inequalities(
        self, first: RadialChoice, recourse: DistFlow, realisation: Floats, *, most: float, limits: bool
    ) -> Sequence[cp.Constraint]:
        """Bounds of flow and current by state, and where buses only consume, flow from parent to child."""
        from openpoint.formulations import distflow as valid
        from openpoint.formulations.distflow import voltage_bounds

        net, closed, flow = replace(self.network, s_power=as_demand(realisation)), first.decision, recourse
        loss = min(valid.loss_most(net), most / net.s_base_kva)
        p_most, q_most = valid.flow_most(net, loss)
        w_lower = voltage_bounds(self._least, limits=limits)[0]
        constraints = [
            *valid.voltage_if_closed(net, flow, closed, w_lower),
            *valid.current_if_closed(net, flow, closed, loss, limits=limits),
        ]
        if not self.consumes_p:
            constraints += valid.flow_if_closed(flow.p, closed, p_most)
        if not self.consumes_q:
            constraints += valid.flow_if_closed(flow.q, closed, q_most)
        if first.arc_fr is None or first.arc_to is None:
            return constraints
        ways = self.choices, (first.arc_fr, first.arc_to)
        if self.consumes_p:
            constraints += valid.flow_from_parent(net, *ways, flow.p, flow.l, net.r, net.s_power.real, p_most)
        if self.consumes_q:
            constraints += valid.flow_from_parent(net, *ways, flow.q, flow.l, net.x, net.s_power.imag, q_most)
        return constraints

    @cached_property
    def consumes_p(self) -> bool:
        """Whether every bus consumes active power, so that it runs from parent to child."""
        net = self._least
        loads = (net.s_power, net.s_current, net.s_impedance)
        return not len(net.generator_names) and all(bool(np.all(s.real >= 0)) for s in loads)

    @cached_property
    def consumes_q(self) -> bool:
        """The same for reactive power, charging included."""
        net = self._least
        loads = (net.s_power, net.s_current, net.s_impedance)
        idle = not len(net.generator_names) and bool(np.all(net.b_most <= 0))
        return idle and all(bool(np.all(s.imag >= 0)) for s in loads)

    @cached_property
    def _least(self) -> Network:
        """The network with the least demand of any future at every bus: what raises voltages most."""
        s = self.demands
        return replace(self.network, s_power=s.real.min(axis=0) + 1j * s.imag.min(axis=0))

    @cached_property
    def _most(self) -> Network:
        """The network with the largest power of any future at every bus, in whichever direction."""
        s = self.demands
        return replace(self.network, s_power=np.abs(s.real).max(axis=0) + 1j * np.abs(s.imag).max(axis=0))

    def _consuming(self, *, with_recourse: bool) -> Bools:
        """(blocks) that consume for certain, in a model that has the power flow: something must feed them."""
        if not (with_recourse and self.consumes_p):
            return np.zeros(self.choices.n_blocks, dtype=np.bool_)
        demand, load = self._least.s_power.real, np.zeros(self.choices.n_blocks)
        np.add.at(load, self.choices.block, demand)
        return np.asarray(load > CONSUMES * demand.sum())

    # What the methods ask for besides

    def with_uncertainty(self, uncertainty: Uncertainty, risk: Risk) -> RadialProgram:
        """The same grid before other futures."""
        assert not isinstance(uncertainty, Box | Budget)
        return replace(self, futures=uncertainty, risk=risk)

    def first_stage_cost(self, decision: Floats) -> float:
        """Cost of the changes, in kW."""
        return float(self.switching.cost(decision > 0.5))

    def warm_starts(self, stop: Callable[[], bool] = never) -> Sequence[Floats]:
        """See `TreeHeuristics`."""
        return self.heuristics.warm_starts(stop)

    def rounding_heuristic(self, decision: Floats, count: int, stop: Callable[[], bool] = never) -> Iterable[Floats]:
        """See `TreeHeuristics`."""
        return self.heuristics.rounded(decision, count, stop)

    def evaluate(self, decision: Floats, realisations: Floats, dispatch: Sequence[Floats] | None) -> ExactEvaluation:
        """Exact AC power flow in every future, at its dispatch."""
        return self.ac.evaluate(decision > 0.5, as_demand(realisations), dispatch)

    def dispatch(self, recourse: DistFlow) -> cp.Variable | None:
        """Injections of the dispatchable generators."""
        return recourse.s_gen

    def deterministic_bounds(self, gap: float, deadline: Deadline | None = None) -> tuple[float, float] | None:
        """Bounds by topology search, which is far quicker for one demand; with a gap of inf by one tree."""
        if math.isinf(gap) and math.isfinite(value := self.heuristics.least_of_trees()):
            return 0.0, value
        from openpoint.studies.reconfigure.many_futures import answer_for

        within, s = (deadline or Deadline()).within(DETERMINISTIC_S), self.network.s_base_kva
        found = answer_for(self, self.demands[0], within, gap if math.isinf(gap) else min(gap, SHARP))
        return None if found is None or found.closed is None else (found.lower_bound * s, found.value * s)

    def searched(self, search: TopologySearch, progress: Progress | None, deadline: Deadline) -> Outcome:
        """What topology search finds."""
        if not isinstance(self.uncertainty, Certain):
            from openpoint.studies.reconfigure.many_futures import search_many

            return search_many(self, search, progress, deadline)
        net = self.one_demand
        log = Log(net.s_base_kva, progress)
        found = search_topologies(
            net,
            self.rules,
            gap=search.gap,
            deadline=deadline,
            progress=log.on_progress,
            certificate=search.certificate,
            checkpoint=search.checkpoint,
            memory=1e6 * search.memory_mb,
            executor=search.executor,
            cone=self._cone() if len(net.generator_names) else None,
            built=self.search_model,
            asked=self.asked,
        )
        return self.outcome_of(found, log)

    def outcome_of(self, found: SearchResult, log: Log) -> Outcome:
        """What a search found, in the units of the program and evaluated by it; ends the log."""
        s = found.generation
        decision = _shown(found)
        dispatch = None if s is None else [np.stack([s.real, s.imag], axis=1).ravel()]
        verdict = None if decision is None else self.evaluate(decision, self.uncertainty.values, dispatch)
        value = math.inf
        if found.closed is not None and decision is not None and verdict is not None:
            value = self.first_stage_cost(decision) + float(verdict.values[0])
        return _ended(found, log, decision, verdict, min(found.lower_bound * log.s_base_kva, value), value)

    def evaluated(self, found: SearchResult, log: Log) -> Outcome:
        """What a search for many futures found, in the units of the program; ends the log."""
        s, decision = self.network.s_base_kva, _shown(found)
        verdict = None if decision is None else self.evaluate(decision, self.uncertainty.values, None)
        return _ended(found, log, decision, verdict, found.lower_bound * s, found.value * s)

    def _cone(self) -> Cone:
        """The cone program on a tree, compiled when it is first asked."""
        from openpoint.formulations.distflow import voltage_bounds
        from openpoint.formulations.flow_ranges import Ranged, bound_by_narrowing
        from openpoint.twostage.recourse.evaluation import Subproblem

        subproblem: list[Subproblem] = []

        def narrow(decision: cp.Variable, ranges: tuple[Floats, Floats]) -> Ranged:
            flow = self._flow(decision, cp.Constant(self.uncertainty.values[0]), ranges)
            return Ranged(flow, flow.w)

        def cone(closed: Bools, _: Ints, most: Threshold | None) -> tuple[float, Complexes | None]:
            if most is not None:
                s, state = self.network.s_base_kva, closed.astype(float)
                currents = np.setdiff1d(np.flatnonzero(self.network.s_current), self.network.source_terminal)
                ranges = voltage_bounds(self._least, limits=True)
                return bound_by_narrowing(narrow, state, ranges, currents, most.cost * s, most.over) / s, None
            if not subproblem:
                subproblem.append(Subproblem(self, len(closed)))
            found = subproblem[0].respond(closed.astype(float), self.uncertainty.values[0])
            if not found.feasible:
                return math.inf, None
            lower = found.value / self.network.s_base_kva
            return lower, None if found.dispatch is None else found.dispatch[0::2] + 1j * found.dispatch[1::2]

        return cone

    def enumerated(self, most: int, progress: Progress | None, deadline: Deadline) -> Outcome:
        """The best of all radial states; where none keeps the limits, the one of least violation.

        Raises:
            OptionError: more topologies than `most`, generators to dispatch, or regret.
        """
        net = self.network
        if len(net.generator_names):
            raise OptionError(
                "Enumeration cannot dispatch generators; use TopologySearch, or clear their limits to fix them"
            )
        if isinstance(self.risk, Regret):
            raise OptionError("Enumeration does not know what each future would cost alone; use Benders for regret")
        count = count_topologies(net, self.rules)
        if count > most:
            raise OptionError(
                f"{count:,} radial topologies are too many to enumerate (most {most:,}); use "
                "TopologySearch, or Benders for many futures"
            )
        began = deadline.passed()
        today = first_trees(self.choices, net)[0]  # tried first, should the time be up
        chunks = chain([today[None, :]], topologies(net, self.rules, chunk=self.ac.chunk))
        best, value, least, tried = self.ac.best_of(chunks, deadline.over)
        closed = least if best is None else best
        shown = None if closed is None else closed.astype(float)
        verdict = None if shown is None else self.evaluate(shown, self.uncertainty.values, None)
        reason, lower, words = Termination.INFEASIBLE, value, f"{count:,} topologies"
        if tried <= count:
            reason, lower, words = deadline.why, -math.inf, f"{tried - 1:,} of {words}"
        elif best is not None:
            reason = Termination.OPTIMAL
        last = Iteration(1, deadline.passed() - began, lower, value, value, words)
        if progress is not None:
            progress(last)
        return Outcome(
            reason,
            None if best is None else shown,
            None if verdict is None else verdict.state,
            lower,
            value,
            (last,),
            last.seconds,
            least_violation=shown if best is None else None,
            values=None if best is None or verdict is None else verdict.values,
        )


def as_realisation(demand: Complexes) -> Floats:
    """(…, 2N) real from (…, N) complex power."""
    return np.concatenate([demand.real, demand.imag], axis=-1)


def as_demand(realisation: Floats) -> Complexes:
    """(…, N) complex power from (…, 2N) real."""
    n = realisation.shape[-1] // 2
    return np.asarray(realisation[..., :n] + 1j * realisation[..., n:])


def _shown(found: SearchResult) -> Floats | None:
    """The decision of the answer, or of the state of least violation where there is none."""
    shown = found.least_violation if found.closed is None else found.closed
    return None if shown is None else shown.astype(float)


def _ended(
    found: SearchResult,
    log: Log,
    decision: Floats | None,
    verdict: ExactEvaluation | None,
    lower: float,
    value: float,
) -> Outcome:
    """The outcome of a search between these bounds, with the log at its end."""
    log.end(found, lower, value)
    return Outcome(
        termination=found.termination,
        decision=None if found.closed is None else decision,
        state=None if verdict is None else verdict.state,
        lower_bound=lower,
        upper_bound=value,
        log=tuple(log.lines),
        seconds=found.seconds,
        least_violation=None if found.least_violation is None else decision,
        values=None if found.closed is None or verdict is None else verdict.values,
        notes=found.notes,
    )
