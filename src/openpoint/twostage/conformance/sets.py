"""Rules on decisions: their cost, the entries in which they differ, and that heuristics give decisions only."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import cvxpy as cp
import numpy as np

from openpoint.arrays import Floats
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.conformance.fault import Fault
from openpoint.twostage.conformance.samples import INTEGRAL, TOLERANCE, Samples
from openpoint.twostage.recourse.compile import compile_model


def first_stage_cost(samples: Samples) -> Iterator[Fault]:
    """f at a decision equals the expression of the first stage."""
    for number, (decision, cost) in enumerate(zip(samples.decisions, samples.costs)):
        stated = samples.program.first_stage_cost(decision)
        if not np.isclose(stated, cost, rtol=TOLERANCE, atol=TOLERANCE):
            remedy = "Make the number and the cost of `first_stage` the same f(x)"
            yield Fault("first_stage_cost", f"{stated:g} at decision {number}, where the model says {cost:g}", remedy)


def binary(samples: Samples) -> Iterator[Fault]:
    """Decisions are of zeros and ones where the first stage declares it."""
    if not samples.first.stage.binary:
        return
    for number, decision in enumerate(samples.decisions):
        if np.abs(decision - (decision > 0.5)).max(initial=0.0) > INTEGRAL:
            entry = int(np.argmax(np.abs(decision - (decision > 0.5))))
            remedy = "Add the variable to `integers` with bounds 0 and 1, or say binary=False"
            yield Fault("first_stage", f"entry {entry} of decision {number} is {decision[entry]:g}", remedy)
            return


def distance(samples: Samples) -> Iterator[Fault]:
    """No two decisions differ in fewer entries than the program declares."""
    if not samples.first.stage.binary:
        return
    for decision in samples.decisions[:2]:
        found = _nearest(samples, decision)
        if found is not None and found < samples.program.distance_min - 0.5:
            message = f"it is {samples.program.distance_min}, but two decisions differ in {found:.0f} entries"
            yield Fault("distance_min", message, "Give the least number; 1 is always right")
            return


def _nearest(samples: Samples, decision: Floats) -> float | None:
    """In how many entries the nearest other decision differs; None where there is no other."""
    stage = samples.program.first_stage(with_recourse=False)
    ones = decision > 0.5
    apart = cp.sum(cp.multiply(np.where(ones, -1.0, 1.0), stage.decision)) + float(ones.sum())
    form = compile_model(apart, [*stage.constraints, apart >= 1], stage.integers, also=(stage.decision,))
    answer = HighsModel(form).solve(integral=True, cold=True)
    return None if answer.x is None else answer.value


def warm_starts(samples: Samples) -> Iterator[Fault]:
    """Warm starts are decisions."""
    yield from _are_decisions(samples, "warm_starts", samples.program.warm_starts())


def rounding_heuristic(samples: Samples) -> Iterator[Fault]:
    """Roundings are decisions, all different, and not more than asked for."""
    most = 3
    for middle in samples.between:
        found = list(itertools.islice(samples.program.rounding_heuristic(middle, most), most + 1))
        if len(found) > most:
            remedy = "Stop after `count`"
            yield Fault("rounding_heuristic", f"more than the {most} decisions asked for", remedy)
        if len({decision.tobytes() for decision in found}) < len(found):
            remedy = "Leave out those that were given before"
            yield Fault("rounding_heuristic", "a decision comes twice", remedy)
        yield from _are_decisions(samples, "rounding_heuristic", found)


def _are_decisions(samples: Samples, part: str, found: Iterable[Floats]) -> Iterator[Fault]:
    for number, decision in enumerate(found):
        if np.shape(decision) != (samples.n,):
            remedy = f"Give vectors of the length of the decision, {samples.n}"
            yield Fault(part, f"number {number} has the shape {np.shape(decision)}", remedy)
        elif not samples.first.has(np.asarray(decision, dtype=np.float64)):
            remedy = "Give only decisions that the first stage has: their value counts as an upper bound"
            yield Fault(part, f"number {number} breaks the constraints of the first stage", remedy)
