"""Restoration after one disaster: the least-shedding plan, checked by graph, by balance and by exact AC power flow."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from openpoint import graph as topology
from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import OpenpointError
from openpoint.formulations.islands import nominal_demand, voltage_limits
from openpoint.network import Network
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.check import check_flow
from openpoint.solvers.base import Answer, StandardForm, Status
from openpoint.solvers.highs import HighsModel
from openpoint.solvers.modelling import cp
from openpoint.studies.harden.model import HardenProgram, Restoration
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.methods.solving import StoppedError
from openpoint.twostage.recourse.compile import compile_model

TOLERANCE = 1e-5
"""Power (per unit) and squared voltage by which a plan may miss an equation: ten times the solver's."""


@final
@dataclass(frozen=True)
class Plan:
    """The restored grid after one disaster, by the numbers of the network.

    Attributes:
        decision: what was bought. broken: (E) branches broken and not hardened.
        closed: (E) state of the branches; in a de-energised island only those that nobody can open are closed.
        roots: buses that hold the voltage of an island: sources first, then backup generators.
        island: (N) number of the island of each bus, its root's place in `roots`; −1 where de-energised.
        shed: (N) share of the net demand that is not met. shed_kw: (N) load that is not met.
        backup: (G) output of the backup generators, kW + j kvar, in the order of the program's buses.
        generation: (D) output of the grid's dispatchable generators, kW + j kvar.
        s: (E) flow from the from to the to bus, kW + j kvar. v: (N) voltage of the model, pu; 0 where de-energised.
        cost_usd: cost of the recourse. bound_usd: proven lower bound of it.
    """

    decision: Floats
    broken: Bools
    closed: Bools
    roots: Ints
    island: Ints
    shed: Floats
    shed_kw: Floats
    backup: Complexes
    generation: Complexes
    s: Complexes
    v: Floats
    cost_usd: float
    bound_usd: float


@final
@dataclass(frozen=True)
class PlanCheck:
    """Exact AC state of a plan: roots hold their voltage, all other generators run as planned.

    Attributes:
        converged: whether there is a state; figures are nan or empty where not.
        v: (N) complex voltage, pu, 0 where de-energised. i: (E) series current, per unit. loss_kw: of all branches.
        max_mismatch: see `AcCheck`. v_low, v_high: energised buses beyond the limits of the model, roots excepted.
        overloaded: branches whose current exceeds the rating.
        root_s: output of each root, kW + j kvar, losses included.
        strained: backup generators, by their place in the program's buses, that as roots exceed their limits.
    """

    converged: bool
    v: Complexes
    i: Complexes
    loss_kw: float
    max_mismatch: float
    v_low: Ints
    v_high: Ints
    overloaded: Ints
    root_s: Complexes
    strained: Ints

    @property
    def v_min(self) -> float:
        """Lowest voltage of an energised bus, pu."""
        v = np.abs(self.v)
        return float(np.min(v[v > 0], initial=math.inf)) if self.converged else math.nan


def restore(program: HardenProgram, decision: Floats, broken: Floats, *, gap: float = 0.0) -> Plan:
    """The least-shedding plan after one disaster; see `RestorationModel`, which serves many."""
    return RestorationModel(program).plan(decision, broken, gap=gap)


Recourse: TypeAlias = "Callable[[HardenProgram, cp.Expression, cp.Expression], Restoration]"
"""The model of a restoration: of a program, a decision and the broken branches (E)."""


def _least_shedding(program: HardenProgram, decision: cp.Expression, broken: cp.Expression) -> Restoration:
    return program.recourse(decision, broken, limits=True)


@final
class RestorationModel:
    """The recourse of a program, compiled once, for many decisions and disasters."""

    def __init__(self, program: HardenProgram, recourse: Recourse | None = None, more: int = 0) -> None:
        """Compile.

        Args:
            program: what to restore by. recourse: in place of that of the program.
            more: entries of the decision that belong to `recourse` alone.
        """
        self.program = program
        decision = cp.Variable(len(program.costs) + more, name="decision")
        broken = cp.Variable(program.network.n_conductors, name="broken")
        stage = self._stage = (recourse or _least_shedding)(program, decision, broken)
        self._form = compile_model(stage.cost, stage.constraints, stage.integers, also=(decision, broken))
        self._given = np.concatenate([self._form.of(decision), self._form.of(broken)])
        self._model = HighsModel(self._form)
        self._arcs = np.concatenate([self._form.of(stage.islands.arc_fr), self._form.of(stage.islands.arc_to)])
        self._restricted = False

    def plan(
        self,
        decision: Floats,
        broken: Floats,
        *,
        gap: float = 0.0,
        deadline: Deadline | None = None,
        tree: Bools | None = None,
    ) -> Plan:
        """The least-shedding plan after a disaster, or the best known when the time is up.

        Args:
            decision: (H + G) what was bought, then what is more. broken: (E) 1 where a branch is broken.
            gap: relative gap at which to stop. deadline: when to stop.
            tree: (E) the only branches that may be closed, which leaves little to decide.

        Raises:
            StoppedError: the time was up before there was any.
            OpenpointError: no plan exists: branches that nobody can open tie a source to a bus that its voltage does
                not suit.
        """
        count, until = len(self.program.costs), deadline or Deadline()
        decision = np.concatenate([np.round(decision[:count]), decision[count:]])
        self._model.fix(self._given, np.concatenate([decision, broken]))
        if tree is not None or self._restricted:
            most = np.ones(len(broken)) if tree is None else tree.astype(np.float64)
            self._model.set_bounds(self._arcs, np.zeros(2 * len(most)), np.tile(most, 2))
            self._restricted = tree is not None
        answer = self._model.solve(integral=True, gap=gap, cold=True, seconds=until.left(), stop=until.over)
        if answer.status is Status.LIMIT and answer.x is None:
            raise StoppedError
        if answer.status is Status.INFEASIBLE or answer.x is None:
            raise OpenpointError(
                "no restoration keeps the voltage limits: a branch that cannot be opened ties a source to a bus with "
                "other limits; widen them, or make the branch switchable"
            )
        plan = _plan(self.program, self._form, self._stage, answer, decision[:count], broken)
        return plan if tree is None else dataclasses.replace(plan, bound_usd=self.program.recourse_lower_bound)


def _plan(
    program: HardenProgram,
    form: StandardForm,
    stage: Restoration,
    answer: Answer,
    decision: Floats,
    broken: Floats,
) -> Plan:
    """The plan in an answer, without what is idle."""
    net = program.network
    assert answer.x is not None
    x = answer.x

    def value(variable: cp.Variable | None, rows: int) -> Floats:
        return np.zeros((rows, 0)) if variable is None else x[form.of(variable)].reshape(-1, rows).T

    arcs = x[form.of(stage.islands.arc_fr)] + x[form.of(stage.islands.arc_to)]
    root = np.zeros(0) if stage.islands.root is None else x[form.of(stage.islands.root)]
    shed = np.maximum(np.minimum(x[form.of(stage.shed)], 1.0), 0.0)
    backup, generation = (part[0] + 1j * part[1] for part in (value(stage.backup, 2), value(stage.s_gen, 2)))
    roots = np.concatenate([net.source_terminal, program.buses[root > 0.5]])
    closed, island = _alive(program, arcs > 0.5, roots, serves=_serving(program, shed))
    dead = island < 0
    roots = roots[np.isin(np.arange(len(roots)), island)]
    island = _numbered(net, closed, roots)
    s = net.s_base_kva * (x[form.of(stage.p)] + 1j * x[form.of(stage.q)])
    demand = nominal_demand(net)
    shed[dead] = 1.0
    return Plan(
        decision=decision,
        broken=(broken > 0.5) & ~program.hardened(decision),
        closed=closed,
        roots=roots,
        island=island,
        shed=shed,
        shed_kw=net.s_base_kva * np.maximum(demand.real, 0.0) * shed,
        backup=np.where(dead[program.buses], 0.0, net.s_base_kva * backup),
        generation=np.where(dead[net.generator_terminal], 0.0, net.s_base_kva * generation),
        s=np.where(closed & ~dead[net.terminal_fr], s, 0.0),
        v=np.where(dead, 0.0, np.sqrt(np.maximum(x[form.of(stage.w)], 0.0))),
        cost_usd=answer.value,
        bound_usd=answer.bound,
    )


def _serving(program: HardenProgram, shed: Floats) -> Bools:
    """(N) buses where anything is consumed or fed in."""
    return np.asarray((nominal_demand(program.network) != 0) & (shed < 1.0 - TOLERANCE))


def _numbered(net: Network, closed: Bools, roots: Ints) -> Ints:
    """(N) place of the island's root among the roots, −1 where there is none."""
    label = topology.islands(net.n_terminals, net.terminal_fr, net.terminal_to, closed)
    number = np.full(net.n_terminals, -1)
    number[label[roots]] = np.arange(len(roots))
    return np.asarray(number[label])


def _alive(program: HardenProgram, closed: Bools, roots: Ints, *, serves: Bools) -> tuple[Bools, Ints]:
    """States and islands without what is idle: roots that serve no load, branches closed where nothing is energised."""
    net = program.network
    island = _numbered(net, closed, roots)
    busy = np.isin(np.arange(len(roots)), island[serves])
    busy[: len(net.source_terminal)] = True
    island = np.where((island >= 0) & busy[island], island, -1)
    return closed & (program.always_closed | (island[net.terminal_fr] >= 0)), island


def operated(program: HardenProgram, plan: Plan) -> Network:
    """The network as a plan operates it: its roots are the sources, what is shed is no load."""
    net, s_base = program.network, program.network.s_base_kva
    is_root = np.isin(program.buses, plan.roots)
    kept = 1.0 - plan.shed
    s_power = net.s_power * kept
    np.subtract.at(s_power, program.buses[~is_root], plan.backup[~is_root] / s_base)
    low, high = voltage_limits(net)
    own = np.sqrt(program.root_w[_places(program, plan)])
    return dataclasses.replace(
        net,
        closed=plan.closed,
        w_min=low,
        w_max=high,
        source_terminal=plan.roots,
        source_v=np.concatenate([net.source_v, own.astype(np.complex128)]),
        s_power=s_power,
        s_current=net.s_current * kept,
        s_impedance=net.s_impedance * kept,
        generator_s=plan.generation / s_base,
    )


def _places(program: HardenProgram, plan: Plan) -> Ints:
    """The places, in the program's buses, of the backup generators that are roots."""
    roots = plan.roots[len(program.network.source_terminal) :]
    return np.array([int(np.flatnonzero(program.buses == bus)[0]) for bus in roots], dtype=np.int64)


def ac_check(program: HardenProgram, plan: Plan, energised: Network | None = None) -> PlanCheck:
    """Exact AC power flow of a plan; `energised`: of `operated`, at other loads."""
    s_base, sources = program.network.s_base_kva, len(program.network.source_terminal)
    energised = operated(program, plan) if energised is None else energised
    flows = solve(energised, plan.closed)
    check = check_flow(energised, plan.closed, flows.v[0])
    converged = bool(flows.converged[0])
    root_s = s_base * flows.source_s[0]
    output = np.zeros(len(program.buses), dtype=np.complex128)
    output[_places(program, plan)] = root_s[sources:]
    size = TOLERANCE * s_base
    beyond = (output.real > program.backup.p_kw + size) | (output.real < -size)
    beyond |= np.abs(output.imag) > program.backup.q_kvar + size
    return PlanCheck(
        converged=converged,
        v=flows.v[0],
        i=flows.i_series[0],
        loss_kw=check.loss * s_base,
        max_mismatch=check.max_mismatch,
        v_low=check.v_low,
        v_high=check.v_high,
        overloaded=check.overloaded,
        root_s=root_s,
        strained=np.flatnonzero(beyond) if converged else np.empty(0, dtype=np.int64),
    )
