"""What a plan is worth: against no plan, against knowing the disaster in advance, and against simpler plans.

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
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from openpoint.arrays import Floats
from openpoint.studies.harden.model import HardenProgram
from openpoint.studies.harden.restoration import RestorationModel
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Outcome, Termination
from openpoint.twostage.methods.extensive import ExtensiveForm
from openpoint.twostage.methods.wait_and_see import Solve, StoppedError, wait_and_see
from openpoint.twostage.program import AnyProgram
from openpoint.twostage.risk import Expectation, probability_set
from openpoint.twostage.uncertainty import AmbiguousScenarios, Certain, Scenarios

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
