"""Rules on the recourse: that it exists, what it costs, and that what the methods conclude from it is true."""

from __future__ import annotations

from collections.abc import Iterator

import cvxpy as cp
import numpy as np

from openpoint.arrays import Floats
from openpoint.solvers.base import Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.twostage.conformance.fault import Fault
from openpoint.twostage.conformance.samples import TOLERANCE, Samples
from openpoint.twostage.program import ExactEvaluation, Goal
from openpoint.twostage.recourse.compile import compile_model
from openpoint.twostage.recourse.subproblem import Response

STEP = 1e-3
"""Step of a finite difference, as a share of the distance to another decision."""


def complete_recourse(samples: Samples) -> Iterator[Fault]:
    """With the limits left out, every decision has a recourse in every realisation."""
    if not samples.complete_recourse:
        return
    for place, x, u in _pairs(samples):
        if samples.exact(x, u, Goal.WITHOUT_LIMITS) == np.inf:
            remedy = (
                "Let the recourse fall short at a cost, put what may fail into `limits`, or say "
                "complete_recourse=False where such decisions are to be cut off"
            )
            yield Fault("recourse", f"there is none at {place}, limits left out", remedy)
            return


def numbers_as_variables(samples: Samples) -> Iterator[Fault]:
    """The recourse of numbers is the recourse of variables that are fixed at these numbers."""
    for place, x, u in list(_pairs(samples))[:4]:
        held = samples.respond(x, u)
        stage = samples.program.recourse(cp.Constant(x), cp.Constant(u), limits=True).hard()
        form = compile_model(stage.cost, [*stage.constraints, *(cone.constraint() for cone in stage.cones)])
        answer = ClarabelModel(form).solve()
        if held.rough or answer.status not in (Status.OPTIMAL, Status.INFEASIBLE):
            continue
        fresh = answer.value if answer.status is Status.OPTIMAL else np.inf
        known = held.reached if held.feasible else np.inf
        if not _near(fresh, known):
            remedy = "Let the model depend on its two arguments alone, by arithmetic: no values read, nothing kept"
            yield Fault("recourse", f"{fresh:g} with numbers at {place}, {known:g} with variables", remedy)
            return


def lower_bound(samples: Samples) -> Iterator[Fault]:
    """No recourse costs less than the lower bound of the program."""
    least = samples.program.recourse_lower_bound
    for place, x, u in _pairs(samples):
        cost = samples.exact(x, u)
        if cost is not None and cost < least - TOLERANCE * max(1.0, abs(least)):
            message = f"it is {least:g}, but the recourse costs {cost:g} at {place}"
            yield Fault("recourse_lower_bound", message, "Lower it: bounds of the first master rely on it")
            return


def cuts(samples: Samples) -> Iterator[Fault]:
    """A cut found at one decision and realisation holds at every other."""
    points = [(x, u) for x in (*samples.decisions, *samples.between) for u in samples.realisations[:2]]
    for at, there in ((a, b) for a in points for b in points if a is not b):
        response, other = samples.respond(*at), samples.respond(*there)
        if response.rough or other.rough or not other.feasible:
            continue
        by_cut = response.value + response.slope @ (there[0] - at[0]) + response.slope_u @ (there[1] - at[1])
        known = other.reached if response.feasible else 0.0
        if by_cut > known + _slack(response, known):
            remedy = "Write the recourse affine in decision, realisation and own variables together"
            yield Fault("recourse", f"a cut says {by_cut:g} where it costs {known:g}", remedy)
            return


def slopes(samples: Samples) -> Iterator[Fault]:
    """The slope lies between the finite differences to either side, between decisions."""
    for x, u in ((x, u) for x in samples.between for u in samples.realisations[:1]):
        for other in samples.decisions[:3]:
            way = STEP * (other - x)
            here, ahead, back = (samples.respond(x + step, u) for step in (0.0 * way, way, -way))
            if any(each.rough or not each.feasible for each in (here, ahead, back)):
                continue
            along, slack = float(here.slope @ way), _slack(here, here.value)
            if not (here.value - back.value - slack <= along <= ahead.value - here.value + slack):
                remedy = "Write the recourse affine in decision, realisation and own variables together"
                message = (
                    f"the slope says {along:g} for a step by which the value changes by {ahead.value - here.value:g}"
                )
                yield Fault("recourse", message, remedy)
                return


def evaluation(samples: Samples) -> Iterator[Fault]:
    """The exact evaluation has one cost and one violation a realisation, and costs no less than the recourse."""
    count = len(samples.realisations)
    for number, x in enumerate(samples.decisions):
        found = exact_evaluation(samples, x)
        if found is None:
            return
        if found.values.shape != (count,) or found.violations.shape != (count,):
            message = f"values {found.values.shape} and violations {found.violations.shape} of {count} realisations"
            yield Fault("evaluate", message, "Give one number for each realisation")
            return
        if np.isnan(found.values).any() or not (found.violations >= 0.0).all():
            remedy = "Give violations of 0 or more, and inf for values and violations where no state exists"
            yield Fault("evaluate", f"a value is nan or a violation below 0 at decision {number}", remedy)
            return
        for k, u in enumerate(samples.realisations):
            response = samples.respond(x, u)
            kept = found.violations[k] == 0.0 and response.feasible and not response.rough
            if kept and found.values[k] < response.value - _slack(response, response.value):
                message = f"{found.values[k]:g} at decision {number}, where the recourse costs {response.value:g}"
                remedy = "The recourse must be a relaxation: weaken it, or mend the evaluation"
                yield Fault("evaluate", message, remedy)
                return


def valid_inequalities(samples: Samples) -> Iterator[Fault]:
    """They cut off no decision that keeps the limits, and do not raise its recourse cost."""
    for number, x in enumerate(samples.decisions[:3]):
        evaluation = exact_evaluation(samples, x)
        if evaluation is not None and evaluation.values.shape != (len(samples.realisations),):
            return  # a fault of its own
        for k, u in enumerate(samples.realisations[:2]):
            cost = samples.exact(x, u) if evaluation is None else _kept(evaluation, k)
            if cost is None or not np.isfinite(cost):
                continue
            most = samples.program.first_stage_cost(x) + cost
            least = _with_inequalities(samples, x, u, most + TOLERANCE * max(1.0, abs(most)))
            if least is not None and least > cost + TOLERANCE * max(1.0, abs(cost)):
                what = "they leave it no recourse" if np.isinf(least) else f"with them it costs {least:g}"
                remedy = "Leave out the inequality that cuts it off, or make it weaker"
                yield Fault("valid_inequalities", f"decision {number} costs {cost:g}, but {what}", remedy)
                return


def exact_evaluation(samples: Samples, x: Floats) -> ExactEvaluation | None:
    """The program's own evaluation at a decision, with the dispatch of the recourse where it asks for that."""
    dispatch = [samples.respond(x, u).dispatch for u in samples.realisations]
    given = [each for each in dispatch if each is not None]
    return samples.program.evaluate(x, samples.realisations, given if len(given) == len(dispatch) else None)


def _kept(evaluation: ExactEvaluation, k: int) -> float:
    return float(evaluation.values[k]) if evaluation.violations[k] == 0.0 else np.inf


def _with_inequalities(samples: Samples, x: Floats, u: Floats, most: float) -> float | None:
    """Least recourse cost at a decision, integers relaxed, with the inequalities; inf where they leave none."""
    program = samples.program
    first = program.first_stage(with_recourse=True)
    stage = program.recourse(first.decision, cp.Constant(u), limits=True)
    more = program.valid_inequalities(first, stage, u, most=most, limits=True)
    if not more:
        return None
    hard = stage.hard()
    constraints = [*first.constraints, *hard.constraints, *more, first.decision == x]
    form = compile_model(hard.cost, [*constraints, *(cone.constraint() for cone in hard.cones)])
    answer = ClarabelModel(form).solve()
    if answer.status is Status.OPTIMAL:
        return answer.value
    return np.inf if answer.status is Status.INFEASIBLE else None


def _pairs(samples: Samples) -> Iterator[tuple[str, Floats, Floats]]:
    for number, x in enumerate(samples.decisions):
        for k, u in enumerate(samples.realisations):
            yield f"decision {number}, realisation {k}", x, u


def _near(a: float, b: float) -> bool:
    return bool(np.isclose(a, b, rtol=TOLERANCE, atol=TOLERANCE)) or a == b


def _slack(response: Response, value: float) -> float:
    slopes = float(np.abs(response.slope).sum()) + float(np.abs(response.slope_u).sum())
    return TOLERANCE * max(1.0, abs(value), slopes)
