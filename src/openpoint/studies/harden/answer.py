"""From the outcome of a method to the result of hardening: exact costs, operating points, what the plan is worth.

What a plan is worth: against no plan, against knowing the disaster in advance, and against simpler plans.

With z(x, u) the investment of the plan x and what the disaster u costs after it, and ρ the expectation over the
disasters (over ambiguous probabilities, the worst expectation), the figures are those of Birge and Louveaux,
Introduction to Stochastic Programming (2nd ed. 2011), chapter 4:

    here-and-now        RP   = min_x ρ[z(x, u)]                     the plan that `harden` finds
    wait-and-see        WS   = ρ[min_x z(x, u)]                     another plan for every disaster, known in advance
    value of knowing    EVPI = RP − WS                              (expected value of perfect information)
    mean-value plan     EEV  = ρ[z(x̄, u)],  x̄ ∈ argmin_x z(x, ū)    the plan for the mean disaster, in all disasters
    value of the plan   VSS  = EEV − RP                             (value of the stochastic solution)

Always WS ≤ RP ≤ EEV. The mean ū of disasters is how likely each branch is to break, and no disaster: a line cannot
break by a third. With the integers of the recourse every line that may break would count as broken; so z(x, ū) has
the recourse without them, which lets a line that breaks with probability u be closed up to the share 1 − u. That
z(x, ū) is convex in u and, by Jensen's inequality, at most the mean of the costs. The plan x̄ itself is whole.

The most likely plan is the best one for the disaster of the highest probability (the first of several), in all
disasters: the reference scenario of Birge (Mathematical Programming 24, 1982, 314–325). Where plans tie for one
disaster or for the mean, one is taken, and the others may cost more or less in all.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats
from openpoint.enclosure.ports import of_open_ends
from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.network.stations import without_meshes
from openpoint.results.ac_tables import of_couplers
from openpoint.results.columns import dtypes, finite, frame
from openpoint.results.common import iterations_table
from openpoint.studies.harden import aftermath as single
from openpoint.studies.harden.aftermath import GAP, AfterDisaster, Aftermath, Standing
from openpoint.studies.harden.every_load import standing
from openpoint.studies.harden.model import HardenProgram, Threat
from openpoint.studies.harden.restoration import RestorationModel
from openpoint.studies.harden.result import DISASTERS, ITERATIONS, HardenResult
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Outcome, Termination, relative_gap
from openpoint.twostage.methods.solving import ExtensiveForm, Solve, StoppedError, wait_and_see
from openpoint.twostage.program import AnyProgram
from openpoint.twostage.risk import Expectation, probability_set
from openpoint.twostage.uncertainty import AmbiguousScenarios, Box, Budget, Certain, Scenarios, listed


def disasters(
    program: HardenProgram,
    threat: Threat,
    values: Floats | None,
    weights: Floats | None,
    shown: Sequence[AfterDisaster],
) -> pl.DataFrame:
    """A row a distinct disaster, or one for the worst attack."""
    given = threat.disasters
    if given is None:
        rows = [
            _row(program, (each.name, 1, None, None, _names(program, each.plan.broken)), each.plan.cost_usd, each)
            for each in shown
        ]
        return frame(DISASTERS, rows)
    by_number = {each.number: each for each in shown}
    rows = []
    for k, name in enumerate(given.names):
        cost = None if values is None else float(values[k])
        weight = None if weights is None else float(weights[k])
        probability = float(given.probabilities[k])
        head = (name, int(threat.count[k]), probability, weight, _names(program, given.broken[k]))
        rows.append(_row(program, head, cost, by_number.get(k)))
    return frame(DISASTERS, rows)


def _row(
    program: HardenProgram, head: tuple[object, ...], cost: float | None, after: AfterDisaster | None
) -> tuple[object, ...]:
    """A disaster: name, number, probability, weight and what breaks, then what follows from it."""
    load = single.load_kw(program).sum()
    shed = _shed_by_cost(program, cost) if after is None else single.shed_kw(after.plan)
    share = None if shed is None else 100.0 * shed / load if load > 0.0 else 0.0
    if after is None:
        return (*head, cost, shed, share, None, None, None, "", "")
    known = after.standing
    first = known.broken[0] if known and known.broken else None
    limit = "" if first is None else f"{first.kind} at {first.name}: {first.value:.5g} {first.unit}"
    state = len(after.plan.roots), finite(after.check.max_mismatch), len(after.violations)
    return (*head, cost, shed, share, *state, "" if known is None else known.word, limit)


def _shed_by_cost(program: HardenProgram, cost: float | None) -> float | None:
    """The load shed at a cost, where nothing else costs anything and all loads are worth the same."""
    voll = program.voll_usd_per_kw
    if cost is None or program.closed_line_usd > 0.0 or voll[0] <= 0.0 or np.ptp(voll) > 0.0:
        return None
    return cost / float(voll[0])


def _names(program: HardenProgram, branches: Bools) -> str:
    return join_names(program.network.branch_names[e] for e in np.flatnonzero(branches))


def after_disasters(program: HardenProgram, grid: Grid, shown: Sequence[AfterDisaster]) -> dict[str, pl.DataFrame]:
    """Buses, branches, what feeds and limits broken, after every disaster shown."""
    return {
        "buses": _all("buses", [single.bus_table(program, each) for each in shown]),
        "branches": _all("branches", [single.branch_table(program, grid, each) for each in shown]),
        "sources": _all("sources", [single.source_table(program, grid, each) for each in shown]),
        "violations": _all("violations", [single.violation_table(each) for each in shown]),
        "witnesses": _all("witnesses", [single.witness_table(each) for each in shown]),
    }


def _all(name: str, frames: list[pl.DataFrame]) -> pl.DataFrame:
    schema = dtypes(HardenResult.shape.tables[name])
    return pl.concat([pl.DataFrame(schema=schema), *(frame.cast(pl.Schema(schema)) for frame in frames)])


PRICED = 1e-6
"""Relative gap to which a plan is priced in a disaster."""


@final
@dataclass(frozen=True)
class PlanValue:
    """Figures in $, None where they are unknown; see the module."""

    wait_and_see_usd: float | None = None
    evpi_usd: float | None = None
    most_likely_plan_usd: float | None = None
    mean_value_plan_usd: float | None = None
    vss_usd: float | None = None


def plan_value(
    model: RestorationModel,
    cost_usd: float,
    *,
    gap: float,
    deadline: Deadline,
    report: Callable[[str], None],
) -> PlanValue:
    """The figures for a program with finitely many disasters whose best plan costs `cost_usd`.

    Args:
        model: the program, compiled.
        cost_usd: RP.
        gap: relative gap of the programs that are solved on the way.
        deadline: when to stop.
        report: called with what is being computed.

    Raises:
        StoppedError: before all was known.
    """
    program, uncertainty = model.program, model.program.uncertainty
    assert isinstance(uncertainty, Scenarios | AmbiguousScenarios)
    solve = _solver(gap, deadline, report, len(uncertainty.values))
    outcomes = wait_and_see(program, solve)
    waiting = _rho(program, np.array([outcome.upper_bound for outcome in outcomes]))
    probabilities = uncertainty.probabilities
    assert probabilities is not None
    likely = outcomes[int(np.argmax(probabilities))].decision
    report("value of information: mean-value plan")
    mean = np.asarray(probabilities @ uncertainty.values)
    middle = solve(relaxed(program).with_uncertainty(Certain(mean), Expectation())).decision
    assert likely is not None
    assert middle is not None
    likely_usd, mean_usd = (plan_cost(model, np.round(plan), deadline) for plan in (likely, middle))
    return PlanValue(waiting, cost_usd - waiting, likely_usd, mean_usd, mean_usd - cost_usd)


def plan_cost(model: RestorationModel, decision: Floats, deadline: Deadline) -> float:
    """ρ[z(x, u)] of a given plan x (H + G), in $; every disaster is priced to its optimum.

    Raises:
        StoppedError: before all was known.
    """
    program, uncertainty = model.program, model.program.uncertainty
    assert isinstance(uncertainty, Scenarios | AmbiguousScenarios)
    costs = np.empty(len(uncertainty.values))
    for k, realisation in enumerate(uncertainty.values):
        costs[k] = model.plan(decision, realisation, gap=PRICED, deadline=deadline).cost_usd
        if deadline.over():
            raise StoppedError
    return program.first_stage_cost(decision) + _rho(program, costs)


def relaxed(program: HardenProgram) -> HardenProgram:
    """The program whose recourse has no integers."""
    return dataclasses.replace(program, integral=False)


def _solver(gap: float, deadline: Deadline, report: Callable[[str], None], count: int) -> Solve:
    """One disaster is one mixed-integer program: the one-piece form, with nothing to decompose."""
    solved = 0

    def solve(program: AnyProgram) -> Outcome:
        nonlocal solved
        solved += 1
        if solved <= count:
            report(f"value of information: disaster {solved} of {count}")
        if deadline.over():
            raise StoppedError
        outcome = ExtensiveForm(solver="highs", gap=gap).solve(program, None, deadline)
        if outcome.termination not in (Termination.OPTIMAL, Termination.GAP):
            raise StoppedError
        return outcome

    return solve


def _rho(program: HardenProgram, costs: Floats) -> float:
    uncertainty = program.uncertainty
    assert isinstance(uncertainty, Scenarios | AmbiguousScenarios)
    return probability_set(uncertainty, program.risk).worst(costs)[0]


VALUED_MOST = 50
"""Distinct disasters up to which the value of information is computed unasked: it takes a program for each."""
SHOWN_MOST = 20
"""Disasters whose operating points are computed and shown: those that weigh most."""
VERIFIED_S = 0.2
"""Seconds for operating points in any case, also where the method has used up the time."""
UNASKED_S = 30.0
"""Seconds that the value of information may take unasked, or as long as the plan itself took."""


@dataclass(frozen=True)
class Run:
    """How the answer is made.

    Attributes:
        method: name and options, for people. gap: of the method. took_s: seconds that it took.
        wanted: whether the value of information is wanted; None = where there are few disasters.
        deadline: of the whole study. report: called with what is being computed. shares: of the set of loads, by group.
    """

    method: str
    gap: float
    took_s: float
    wanted: bool | None
    deadline: Deadline
    report: Callable[[str], None]
    shares: Mapping[str, float]


@dataclass(frozen=True)
class _Costed:
    """A plan with its costs: the decision (H + G), all costs, the costs and weights of the disasters, those shown."""

    decision: Floats
    cost_usd: float
    values: Floats
    weights: Floats | None
    shown: Sequence[AfterDisaster] = field(default=())


def answer(grid: Grid, program: HardenProgram, threat: Threat, outcome: Outcome, run: Run) -> HardenResult:
    """The result of an outcome."""
    notes = list[str]()
    aftermath = Aftermath(program)
    costed = _costed(aftermath, threat, outcome, run, notes)
    shown = () if costed is None else costed.shown
    if run.shares:
        shown = _over_the_set(program, grid, shown, run)
    value, without = PlanValue(), None
    if costed is not None:
        value, without = _value(aftermath.model, costed.cost_usd, run, notes)
    notes += _doubts(outcome, shown)
    cost_usd = None if costed is None else costed.cost_usd
    lower = outcome.lower_bound if cost_usd is None else min(outcome.lower_bound, cost_usd)
    hardened, generators = ((), ()) if costed is None else _bought(program, costed.decision)
    names = program.network.branch_names
    held = program.stations or without_meshes(program.network)
    attack = shown[0].plan.broken if shown and threat.disasters is None else np.zeros(len(names), dtype=np.bool_)
    after = after_disasters(program, grid, shown)
    return HardenResult(
        grid=grid,
        method=run.method,
        termination=outcome.termination,
        seconds=outcome.seconds,
        uncertainty=threat.words,
        any_lines=threat.any_lines,
        cost_usd=cost_usd,
        investment_usd=None if costed is None else program.first_stage_cost(costed.decision),
        lower_bound_usd=lower,
        gap=math.inf if cost_usd is None else relative_gap(lower, cost_usd),
        hardened_branches=hardened,
        generators=generators,
        without_plan_usd=without,
        **dataclasses.asdict(value),
        worst_attack=tuple(names[e] for e in np.flatnonzero(attack)),
        ac_max_mismatch_pu=max((each.check.max_mismatch for each in shown if each.check.converged), default=None),
        disasters=disasters(
            program,
            threat,
            None if costed is None else costed.values,
            None if costed is None else costed.weights,
            shown,
        ),
        buses=after["buses"],
        branches=after["branches"],
        sources=after["sources"],
        violations=after["violations"],
        witnesses=after["witnesses"],
        for_every=", ".join(f"{group} ±{100 * share:g} %" for group, share in run.shares.items()),
        iterations=iterations_table(outcome.log, ITERATIONS),
        notes=(
            *grid.figure_notes,
            *of_couplers(held, "in loops that stay closed are not checked"),
            *of_open_ends(program.network, run.shares),
            *notes,
        ),
    )


def _over_the_set(program: HardenProgram, grid: Grid, shown: Sequence[AfterDisaster], run: Run) -> list[AfterDisaster]:
    """The operating points with what is known of them over the set of loads; open where the time is up."""
    found = []
    for k, each in enumerate(shown):
        run.report(f"operating points for every load of the set: {k + 1} of {len(shown)}")
        known = Standing("open") if run.deadline.over() else standing(program, grid, each, run.shares)
        found.append(dataclasses.replace(each, standing=known))
    return found


def _bought(program: HardenProgram, decision: Floats) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the hardened branches, and of the buses with a backup generator."""
    net, count = program.network, len(program.lines)
    hardened = tuple(net.branch_names[e] for e in program.lines[decision[:count] > 0.5])
    return hardened, tuple(net.bus_names[net.terminal_bus[n]] for n in program.buses[decision[count:] > 0.5])


def _costed(aftermath: Aftermath, threat: Threat, outcome: Outcome, run: Run, notes: list[str]) -> _Costed | None:
    """The plan of an outcome with exact costs, as far as disasters are shown; None where there is no plan."""
    program = aftermath.model.program
    if outcome.decision is None or outcome.values is None:
        return None
    decision = np.round(outcome.decision)
    if threat.disasters is None:
        run.report("operating point after the worst attack")
        after, worst = _worst_attack(aftermath, decision, outcome.values, run.deadline)
        return _Costed(decision, program.first_stage_cost(decision) + worst, np.array([worst]), None, (after,))
    uncertainty, values = program.uncertainty, outcome.values.copy()
    assert not isinstance(uncertainty, Box | Budget)
    probabilities = probability_set(uncertainty, program.risk)
    weight = probabilities.worst(values)[1]
    weight = np.multiply(weight, values, out=np.zeros_like(values), where=weight > 0.0)  # a cost without a bound is inf
    chosen = np.sort(np.argsort(-weight, kind="stable")[:SHOWN_MOST])
    if len(chosen) < len(values):
        notes.append(
            f"operating points are shown for the {len(chosen)} of {len(values)} distinct disasters that weigh most; "
            "the costs of the others are those of the method, exact to its gap"
        )
    found = dict[int, AfterDisaster]()
    late = run.deadline.after(VERIFIED_S)
    for k in sorted(chosen, key=lambda k: -weight[k]):
        if found and late.over():
            break
        run.report(f"operating points after the disasters: {len(found) + 1} of {len(chosen)}")
        part = run.deadline.within(run.deadline.left() / (len(chosen) - len(found)))
        found[k] = aftermath.after(decision, uncertainty.values[k], threat.disasters.names[k], int(k), part)
        values[k] = min(values[k], found[k].plan.cost_usd)
    if run.deadline.over():
        notes.append(
            f"{_stopped(run)} before all operating points were computed: {len(found)} of {len(chosen)} are shown, and "
            "after some of these disasters less load may have to be shed than they say"
        )
    rho, weights = probabilities.worst(values)
    shown = [found[k] for k in chosen if k in found]
    return _Costed(decision, program.first_stage_cost(decision) + rho, values, weights, shown)


def _stopped(run: Run) -> str:
    return "Ctrl-C came" if run.deadline.interrupted() else "the time was up"


def _worst_attack(
    aftermath: Aftermath, decision: Floats, values: Floats, deadline: Deadline
) -> tuple[AfterDisaster, float]:
    """The worst attack and its cost: of those with the highest bounds, priced until no other can be worse, or as long
    as there is time."""
    attacks, bounds = listed(aftermath.model.program.uncertainty), values.copy()
    priced = np.zeros(len(bounds), dtype=np.bool_)
    while not priced[k := int(np.argmax(bounds))] and not deadline.over():
        try:
            found = aftermath.model.plan(decision, attacks[k], gap=GAP, deadline=deadline)
        except StoppedError:
            break
        bounds[k] = min(bounds[k], found.cost_usd)
        priced[k] = True
    return aftermath.after(decision, attacks[k], "worst attack", deadline=deadline), float(bounds.max())


def _value(model: RestorationModel, cost_usd: float, run: Run, notes: list[str]) -> tuple[PlanValue, float | None]:
    """What the plan is worth, and the cost without any; unknown where not wanted or stopped."""
    program = model.program
    uncertainty, wanted = program.uncertainty, run.wanted
    if isinstance(uncertainty, Box | Budget):
        if wanted:
            notes.append("the value of information is not defined where any lines may break: attacks have no odds")
        return PlanValue(), None
    if wanted is None and len(uncertainty.values) > VALUED_MOST:
        notes.append(
            f"the value of information was not computed: there are more than {VALUED_MOST} distinct disasters, and it "
            "takes a study of each (value_of_information=True, or --value-of-information)"
        )
        wanted = False
    if wanted is False:
        return PlanValue(), None
    without: float | None = None
    deadline = run.deadline if wanted else run.deadline.within(max(UNASKED_S, run.took_s))
    try:
        run.report("value of information: no plan")
        without = plan_cost(model, np.zeros(len(program.costs)), deadline)
        return plan_value(model, cost_usd, gap=0.1 * run.gap, deadline=deadline, report=run.report), without
    except StoppedError:
        notes.append(
            "the value of information was stopped by Ctrl-C, by the time limit, or because nobody asked for it and it "
            "takes long; ask for it by value_of_information=True (--value-of-information)"
        )
        return PlanValue(), without


def _doubts(outcome: Outcome, shown: Sequence[AfterDisaster]) -> list[str]:
    """Notes on the answer."""
    doubts = []
    if outcome.termination is Termination.INFEASIBLE:
        doubts.append(
            "no operating point keeps the voltage limits even with all load shed: widen the limits, or make branches "
            "switchable that tie a source to buses with other limits"
        )
    if unsolved := [each.name for each in shown if not each.check.converged]:
        doubts.append(f"no AC power flow solution after {', '.join(unsolved)}: the linear model is too far off there")
    if broken := [each for each in shown if each.violations]:
        doubts.append(
            f"the exact AC power flow breaks limits after {len(broken)} of {len(shown)} disasters shown, by the losses "
            "that the linear model leaves out: see the violations; tighter limits or a smaller generator_kw leave room"
        )
    return doubts
