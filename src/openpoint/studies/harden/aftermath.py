"""The grid after a disaster under its own names and units: switchings, energised islands, AC power flow."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.errors import OpenpointError
from openpoint.formulations.islands import nominal_demand
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.limits import loadings, rated_currents
from openpoint.network.stations import without_meshes
from openpoint.results import ac_tables as states
from openpoint.results.columns import empty, frame
from openpoint.results.violation import Violation
from openpoint.results.witness import WITNESS
from openpoint.solvers.modelling import cp
from openpoint.studies.harden.model import HardenProgram, Restoration
from openpoint.studies.harden.restoration import Plan, PlanCheck, RestorationModel, ac_check
from openpoint.studies.harden.result import SOURCES, VIOLATIONS
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.methods.solving import StoppedError

GAP = 1e-7
"""Relative gap of the least cost."""
SLACK = 1e-8
"""By how much, in $ and as a share, the restoration with few switchings may cost more than the least: rounding."""
QUICK_S, QUICK_GAP = 0.25, 0.01
"""Seconds for a restoration within a given tree where the time is short, and its relative gap."""
NOTHING_KW = 1e-3
"""Shed load that is rounding."""


@final
@dataclass(frozen=True)
class Standing:
    """What is known of an operating point over a set of loads.

    Attributes:
        word: `proved`, `disproved` or `open`. broken: limits that it breaks at a load of the set, by exact AC power
            flow, the worst of each kind first. loads: all that deviates, with its power there.
    """

    word: str
    broken: tuple[Violation, ...] = ()
    loads: pl.DataFrame | None = None


@final
@dataclass(frozen=True)
class AfterDisaster:
    """One disaster after the plan: what the model does, the exact AC state, and the limits that this breaks.

    Attributes:
        name: of the disaster. number: among the distinct disasters; None for an attack.
        plan, check: see `restoration`.
        violations: the worst of each kind first. standing: over a set of loads; None: none is asked about.
    """

    name: str
    number: int | None
    plan: Plan
    check: PlanCheck
    violations: tuple[Violation, ...]
    standing: Standing | None = None


@final
class Aftermath:
    """The restoration after disasters, of least cost with the fewest switchings, checked by AC.

    Many ways of switching cost the same; a person wants to see what must be done and nothing else. Each model is
    compiled once, when it is first asked for.
    """

    def __init__(self, program: HardenProgram) -> None:
        self.model = RestorationModel(program)

    @cached_property
    def _quiet(self) -> RestorationModel:
        """The model with the fewest switchings; not compiled where the time is up before it is asked for."""
        program = self.model.program
        return RestorationModel(program, fewest_switchings, more=program.network.n_conductors + 1)

    def after(
        self,
        decision: Floats,
        broken: Floats,
        name: str,
        number: int | None = None,
        deadline: Deadline | None = None,
    ) -> AfterDisaster:
        """One disaster, (E); with a deadline the best restoration that is found in time, or a quick one."""
        program, until = self.model.program, deadline or Deadline()
        plan = self._least(decision, broken, until)
        check = ac_check(program, plan)
        return AfterDisaster(name, number, plan, check, violations_of(program, plan, check))

    def _least(self, decision: Floats, broken: Floats, deadline: Deadline) -> Plan:
        """The restoration of least cost with the fewest switchings, as far as the time allows."""
        timed = deadline.over() or math.isfinite(deadline.left())
        least = self._quick(decision, broken) if timed else None
        if not deadline.over():
            try:
                known = self.model.plan(decision, broken, gap=GAP, deadline=deadline)
                least = known if least is None or known.cost_usd <= least.cost_usd else least
            except StoppedError:
                least = least or self._quick(decision, broken)
        assert least is not None
        if deadline.over():
            return least
        most = least.cost_usd + SLACK * max(1.0, abs(least.cost_usd))
        try:
            quiet = self._quiet.plan(np.concatenate([least.decision, least.broken, [most]]), broken, deadline=deadline)
        except (OpenpointError, StoppedError):  # the slack was too small for the solver, or the time is up
            quiet = least
        return dataclasses.replace(quiet, cost_usd=least.cost_usd, bound_usd=least.bound_usd)

    def _quick(self, decision: Floats, broken: Floats) -> Plan:
        """A restoration within the tree that the program knows, as good as that gets in a moment."""
        tree = self.model.program.tree(decision, broken)
        try:
            return self.model.plan(decision, broken, gap=QUICK_GAP, tree=tree, deadline=Deadline(QUICK_S))
        except StoppedError:
            return self.model.plan(decision, broken, gap=1.0, tree=tree)


def fewest_switchings(program: HardenProgram, decision: cp.Expression, broken: cp.Expression) -> Restoration:
    """The recourse at limited cost whose cost is the number of switchings.

        min  Σ_{closed today} opened + Σ_{open today} closed      s.t.  the recourse,  its cost ≤ most

    Nobody need open a branch in a de-energised island, nor one that is broken, so that opening counts at energised ends
    of whole ones only: opened ≥ energised − closed − broken at both ends.

    Args:
        decision: that of the program, then (E) branches that are broken and not hardened, and the most cost, in $.
        broken: (E).
    """
    count = len(program.costs)
    out, most_usd = decision[count:-1], decision[-1]
    stage = program.recourse(decision[:count], broken, limits=True)
    net, closed, energised = program.network, stage.islands.closed, stage.islands.energised
    shut, loose = np.flatnonzero(net.closed), np.flatnonzero(~net.closed)
    opened = cp.Variable(len(shut), name="opened")
    rows = [*stage.constraints, stage.cost <= most_usd, opened >= 0]
    rows += [opened >= energised[end[shut]] - closed[shut] - out[shut] for end in (net.terminal_fr, net.terminal_to)]
    changes = cp.sum(opened) + cp.sum(closed[loose])
    if stage.islands.root is not None and stage.backup is not None:
        # Nor does a generator run for nothing.
        reactive, size = cp.Variable(len(program.buses)), program.backup.p_kw / net.s_base_kva
        rows += [reactive >= stage.backup[1], reactive >= -stage.backup[1]]
        changes = changes + 0.1 * cp.sum(stage.islands.root) + (0.05 / size) * cp.sum(stage.backup[0] + reactive)
    return dataclasses.replace(stage, constraints=rows, cost=changes)


def violations_of(program: HardenProgram, plan: Plan, check: PlanCheck) -> tuple[Violation, ...]:
    """The limits that the AC state breaks, the worst of each kind first."""
    if not check.converged:
        return ()
    net = program.network
    held = program.stations or without_meshes(net)
    v = np.abs(check.v)
    found: list[Violation] = []
    for kind, numbers, square in (("voltage low", check.v_low, net.w_min), ("voltage high", check.v_high, net.w_max)):
        limit = np.sqrt(square)
        worst = numbers[np.argsort(-np.abs(v[numbers] - limit[numbers]), kind="stable")]
        found += [Violation(kind, _bus(net, n), float(v[n]), float(limit[n])) for n in worst if np.isfinite(limit[n])]
    closes, rating = plan.closed | held.dropped, np.sqrt(held.whole.l_max)
    i = rated_currents(held.whole, check.v, *_ends(held.whole, check.v, held.currents(check.i), closes))
    with np.errstate(divide="ignore", invalid="ignore"):
        full = np.nan_to_num(i / rating)
    # Of branches in parallel, the fullest is as full as the one that stands for them.
    over = np.array([max(np.flatnonzero(held.carrier == e), key=full.__getitem__) for e in check.overloaded], dtype=int)
    for e in over[np.argsort(-full[over], kind="stable")]:
        base = float(net.i_base_a[e])
        found.append(Violation("current", net.branch_names[e], float(i[e]) * base, float(rating[e]) * base))
    output = backup_output(program, plan, check)
    for k in check.strained:
        name, s = _bus(net, program.buses[k]), output[k]
        if not 0.0 <= s.real <= program.backup.p_kw:
            found.append(Violation("active power", name, float(s.real), program.backup.p_kw if s.real > 0.0 else 0.0))
        if abs(s.imag) > program.backup.q_kvar:
            found.append(Violation("reactive power", name, float(abs(s.imag)), program.backup.q_kvar))
    return tuple(found)


def backup_output(program: HardenProgram, plan: Plan, check: PlanCheck) -> Complexes:
    """(G) output of the backup generators in kW + j kvar, with the losses that those carry that form an island."""
    output = plan.backup.copy()
    if check.converged:
        for root, s in zip(plan.roots, check.root_s):
            output[program.buses == root] = s
    return output


def _bus(network: Network, terminal: int) -> str:
    return network.bus_names[int(network.terminal_bus[terminal])]


def load_kw(program: HardenProgram) -> Floats:
    """(N) load of every bus, net of its infeed."""
    net = program.network
    return np.asarray(net.s_base_kva * np.maximum(nominal_demand(net).real, 0.0))


def shed_kw(plan: Plan) -> float:
    """Load shed in all."""
    total = float(plan.shed_kw.sum())
    return total if total >= NOTHING_KW else 0.0


def bus_table(program: HardenProgram, after: AfterDisaster) -> pl.DataFrame:
    """The buses after a disaster."""
    net, plan = program.network, after.plan
    dead = plan.island < 0
    v = np.where(dead, np.nan, after.check.v) if after.check.converged else np.full(net.n_terminals, np.nan + 0j)
    return states.frame(
        {
            "disaster": [after.name] * net.n_terminals,
            "name": list(net.bus_names),
            "island": plan.island + 1,
            "load_kw": load_kw(program),
            "shed_kw": np.where(plan.shed_kw < NOTHING_KW, 0.0, plan.shed_kw),
            "v_pu": np.abs(v),
            "angle_degree": np.degrees(np.angle(v)),
        }
    )


def branch_table(program: HardenProgram, grid: Grid, after: AfterDisaster) -> pl.DataFrame:
    """The branches after a disaster, and what must be switched: nothing where no end is energised."""
    held, plan = program.stations or without_meshes(program.network), after.plan
    net, closes = held.whole, plan.closed | held.dropped
    today, energised = net.closed, plan.island >= 0
    seen = (energised[net.terminal_fr] | energised[net.terminal_to]) & ~plan.broken & (closes != today)
    # A de-energised branch keeps today's state: nobody need drive out for it.
    closed = np.where(seen, closes, today & ~plan.broken)
    table = grid.branches()
    return states.frame(
        {
            "disaster": [after.name] * net.n_conductors,
            **{column: table[column] for column in ("kind", "name", "from_bus", "to_bus")},
            "state": np.where(plan.broken, "broken", np.where(closed, "closed", "open")),
            "hardened": program.hardened(plan.decision),
            "switching": np.where(seen, np.where(closed, "close", "open"), ""),
            **states.limits_of_current(net),
            **_flows(net, after.check.v, held.currents(after.check.i), closes, converged=after.check.converged),
        }
    )


def _flows(net: Network, v: Complexes, i: Complexes, closed: Bools, *, converged: bool) -> dict[str, Floats]:
    """Current, loading, power at the from end and loss of every branch; nan without an AC state, or if unknown."""
    if not converged:
        blank = np.full(net.n_conductors, np.nan)
        return dict.fromkeys(("i_a", "loading_percent", "p_from_kw", "q_from_kvar", "loss_kw"), blank)
    s_fr, s_to = _ends(net, v, i, closed)
    size = rated_currents(net, v, s_fr, s_to)
    return {
        "i_a": size * net.i_base_a,
        "loading_percent": loadings(net, size),
        "p_from_kw": s_fr.real * net.s_base_kva,
        "q_from_kvar": s_fr.imag * net.s_base_kva,
        "loss_kw": (s_fr + s_to).real * net.s_base_kva,
    }


def _ends(net: Network, v: Complexes, i: Complexes, closed: Bools) -> tuple[Complexes, Complexes]:
    """(E) power into the branches at their ends, per unit; i: series currents."""
    half = 0.5 * (net.g + 1j * net.b)
    inner, v_to = v[net.terminal_fr] / (net.tap * np.exp(1j * net.shift)), v[net.terminal_to]
    carries = closed & ((np.abs(i) != 0.0) | (np.abs(half) > 0.0))
    s_fr = np.where(carries, inner * np.conj(i + half * inner), 0.0)
    return s_fr, np.where(carries, v_to * np.conj(half * v_to - i), 0.0)


def source_table(program: HardenProgram, grid: Grid, after: AfterDisaster) -> pl.DataFrame:
    """What substations, backup generators and the grid's own generators deliver."""
    net, plan, check = program.network, after.plan, after.check
    rows = list[tuple[object, ...]]()

    def row(kind: str, unit: str, terminal: int, output: complex, *, forms: bool) -> None:
        rows.append(
            (after.name, kind, unit, _bus(net, terminal), forms, float(output.real) + 0.0, float(output.imag) + 0.0)
        )

    unknown = complex(np.nan, np.nan)
    for k, (unit, at) in enumerate(zip(grid.sources["name"], net.source_terminal)):
        row("substation", unit, int(at), check.root_s[k] if check.converged else unknown, forms=True)
    output = backup_output(program, plan, check)
    for place in np.flatnonzero(plan.decision[len(program.lines) :] > 0.5):
        bus = int(program.buses[place])
        row("backup", f"backup at {_bus(net, bus)}", bus, output[place], forms=bool(bus in plan.roots))
    for unit, at, s in zip(net.generator_names, net.generator_terminal, plan.generation):
        row("generator", unit, int(at), s, forms=False)
    return frame(SOURCES, rows).with_columns(pl.col("p_kw", "q_kvar").fill_nan(None))


def witness_table(after: AfterDisaster) -> pl.DataFrame:
    """The loads at which it breaks limits, of a set."""
    known = after.standing
    loads = empty(WITNESS) if known is None or known.loads is None else known.loads
    return loads.select(pl.lit(after.name).alias("disaster"), pl.all())


def violation_table(after: AfterDisaster) -> pl.DataFrame:
    """The limits that the AC state breaks."""
    rows = [(after.name, v.kind, v.name, v.value, v.limit, v.unit) for v in after.violations]
    return frame(VIOLATIONS, rows)
