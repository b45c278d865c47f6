"""Rules on the form of a model: variables, shapes, and that it is affine where the methods take it to be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import cvxpy as cp
import numpy as np
from cvxpy.constraints.nonpos import Inequality
from cvxpy.constraints.zero import Equality

from openpoint.twostage.conformance.fault import Fault
from openpoint.twostage.program import AnyProgram, Cone, Limit, parts
from openpoint.twostage.risk import check_risk
from openpoint.twostage.uncertainty import centre


def uncertainty(program: AnyProgram) -> Iterator[Fault]:
    """Realisations are vectors of numbers, the risk is defined on them, numbers of the program lie in their ranges."""
    middle = np.asarray(centre(program.uncertainty))
    if middle.ndim != 1 or not np.isfinite(middle).all():
        remedy = "Give each realisation as a vector (m) of finite numbers, scenarios as an array (K, m)"
        yield Fault("uncertainty", f"a realisation has the shape {middle.shape}, or is not finite", remedy)
    check_risk(program.uncertainty, program.risk)
    if not 0.0 < program.limits_share <= 1.0:
        remedy = "Give a share above 0; 1 where the limits are always kept"
        yield Fault("limits_share", f"it is {program.limits_share}", remedy)
    if not np.isfinite(program.recourse_lower_bound):
        remedy = "Give a number that no recourse cost is below; the first master is unbounded without"
        yield Fault("recourse_lower_bound", f"it is {program.recourse_lower_bound}", remedy)
    if program.distance_min < 1:
        yield Fault(
            "distance_min", f"it is {program.distance_min}", "Two decisions differ in one entry at least: give 1"
        )


def first_stage(program: AnyProgram) -> Iterator[Fault]:
    """A vector of variables, linear constraints, an affine cost; integers are declared beside CVXPY."""
    for with_recourse in (False, True):
        stage = program.first_stage(with_recourse=with_recourse)
        part = f"first_stage(with_recourse={with_recourse})"
        if not isinstance(stage.decision, cp.Variable) or stage.decision.ndim != 1:
            remedy = "Stack what is decided: x = cp.Variable(n) and x == cp.hstack([...])"
            yield Fault(part, f"the decision is {_shaped(stage.decision)}, not a variable of shape (n,)", remedy)
            continue
        yield from _linear(part, stage.constraints, "decision and own variables")
        yield from _affine_scalar(part, "cost", stage.cost)
        yield from _plain(part, "the decision", [stage.decision])
        yield from _plain(part, "integers", stage.integers)


def recourse(program: AnyProgram) -> Iterator[Fault]:
    """Affine in decision, realisation and own variables together, cones apart; new variables at every call."""
    decision = cp.Variable(program.first_stage(with_recourse=False).decision.size, name="decision")
    realisation = cp.Variable(len(centre(program.uncertainty)), name="realisation")
    stage = program.recourse(decision, realisation, limits=True)
    together = "decision, realisation and own variables together"
    yield from _linear("recourse", stage.constraints, together)
    yield from _affine_scalar("recourse", "cost", stage.cost)
    yield from _plain("recourse", "integers", stage.integers)
    if program.integer_recourse not in (None, bool(stage.integers)):
        found = "has integers" if stage.integers else "has none"
        message = f"it is {program.integer_recourse}, but the recourse {found}"
        yield Fault("integer_recourse", message, f"Say {bool(stage.integers)}, or leave it out")
    for limit in stage.limits:
        yield from _limit(limit, together)
    for cone in stage.cones:
        yield from _cone(cone)
    again = program.recourse(decision, realisation, limits=True)
    own = [_variables(each) - {decision.id, realisation.id} for each in (stage, again)]
    if own[0] & own[1]:
        remedy = "Make them inside `recourse`: a model may hold several recourses side by side"
        yield Fault("recourse", f"two calls share {len(own[0] & own[1])} variables", remedy)


def _variables(stage: Any) -> set[int]:
    expressions = [stage.cost, *stage.constraints, *(limit.excess for limit in stage.limits)]
    found = {v.id for each in expressions for v in each.variables()}
    return found | {part.id for cone in stage.cones for part in parts(cone)}


def _linear(part: str, constraints: Iterable[cp.Constraint], what: str) -> Iterator[Fault]:
    for number, constraint in enumerate(constraints):
        if not isinstance(constraint, Equality | Inequality):
            kind = type(constraint).__name__
            remedy = "Write it with ==, <= or >=; cones of a recourse go into `cones`, as Cone(u, s, t)"
            yield Fault(part, f"constraint {number} is a {kind}, `{_short(constraint)}`", remedy)
        elif not all(each.is_affine() for each in constraint.args):
            remedy = "Write products of them by bounds on the factors, or as a Cone"
            yield Fault(part, f"constraint {number}, `{_short(constraint)}`, is not affine in {what}", remedy)
        elif constraint.parameters():
            remedy = "Put numbers in its place; what changes from solve to solve is decision or realisation"
            yield Fault(part, f"constraint {number}, `{_short(constraint)}`, has a parameter", remedy)


def _affine_scalar(part: str, name: str, expression: cp.Expression) -> Iterator[Fault]:
    if not isinstance(expression, cp.Expression):
        remedy = "Make it an expression; a constant is cp.Constant(0.0)"
        yield Fault(part, f"the {name} is {_shaped(expression)}", remedy)
    elif expression.size != 1 or not expression.is_affine():
        remedy = "Make it one affine number; what is quadratic goes through a Cone"
        yield Fault(part, f"the {name} has the shape {expression.shape}, or is not affine", remedy)


def _plain(part: str, name: str, variables: Sequence[cp.Variable]) -> Iterator[Fault]:
    for variable in variables:
        if not isinstance(variable, cp.Variable):
            yield Fault(part, f"{name}: {_shaped(variable)} is no variable", "Give variables, not parts of one")
        elif any(variable.attributes.values()):
            kinds = ", ".join(
                key for key, value in variable.attributes.items() if value is not False and value is not None
            )
            remedy = "Leave it out: write signs as constraints, and name integer variables in `integers` alone"
            yield Fault(part, f"{name}: {variable.name()} is declared as {kinds} in CVXPY", remedy)


def _limit(limit: Limit, together: str) -> Iterator[Fault]:
    part = f"recourse, limit {limit.name!r}"
    if limit.excess.ndim > 1:
        yield Fault(part, f"the excess has the shape {limit.excess.shape}", "Make it a vector: cp.vec or cp.hstack")
    if not limit.excess.is_affine():
        yield Fault(part, f"the excess is not affine in {together}", "Write it as an affine vector that is 0 or less")


def _cone(cone: Cone) -> Iterator[Fault]:
    shapes = {part.shape for part in parts(cone)}
    if not all(isinstance(part, cp.Variable) for part in parts(cone)):
        remedy = "Give each part a variable of its own that equals the expression"
        yield Fault("recourse, cone", "its parts are not all variables", remedy)
    elif len(shapes) > 1 or len(next(iter(shapes))) != 1:
        remedy = "Give u, s and t the same shape (k): entry i of each makes one cone"
        yield Fault("recourse, cone", f"its parts have the shapes {sorted(shapes)}", remedy)
    else:
        yield from _plain("recourse", "a cone", parts(cone))


def _shaped(given: object) -> str:
    shape = getattr(given, "shape", None)
    return type(given).__name__ if shape is None else f"a {type(given).__name__} of shape {shape}"


def _short(constraint: cp.Constraint) -> str:
    text = " ".join(str(constraint).split())
    return text if len(text) <= 60 else f"{text[:60]}…"
