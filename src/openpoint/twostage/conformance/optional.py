"""Rules on what a program may answer or leave out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from openpoint.arrays import Floats
from openpoint.twostage.conformance.fault import Fault
from openpoint.twostage.conformance.samples import TOLERANCE, Samples
from openpoint.twostage.conformance.values import exact_evaluation
from openpoint.twostage.program import RecourseBounds
from openpoint.twostage.risk import Expectation
from openpoint.twostage.uncertainty import Certain

GAP = 1e-4
"""Gap that a program with deterministic bounds is asked for."""


def with_uncertainty(samples: Samples) -> Iterator[Fault]:
    """The program with another uncertainty set differs in nothing else."""
    u = samples.realisations[0]
    if not len(u):  # nothing that could be uncertain
        return
    certain = Certain(u)
    other = samples.program.with_uncertainty(certain, Expectation())
    if other.uncertainty is not certain or not isinstance(other.risk, Expectation):
        remedy = "Give back a copy that has both, as dataclasses.replace(self, uncertainty=…, risk=…)"
        yield Fault("with_uncertainty", "the program given back has another uncertainty or risk", remedy)
        return
    if samples.program.uncertainty is certain:
        yield Fault("with_uncertainty", "the program itself was changed", "Give back a copy")
        return
    x = samples.decisions[0]
    here, there = samples.exact(x, u), _exact_of(samples, other, x, u)
    if here is not None and there is not None and not _no_more(abs(here - there) if here != there else 0.0, 0.0, here):
        message = f"the recourse of decision 0 costs {there:g} in the copy, {here:g} in the program"
        yield Fault("with_uncertainty", message, "Let the recourse depend on its arguments alone")


def recourse_bounds(samples: Samples) -> Iterator[Fault]:
    """Bounds enclose the cost, their slopes hold at other decisions, equal keys mean equal costs."""
    keys: dict[bytes, float] = {}
    for number, x in enumerate(samples.decisions):
        found = samples.program.recourse_bounds(x, samples.realisations)
        if found is None:
            return
        faults = list(_shapes(found, len(samples.realisations), samples.n))
        yield from faults
        if faults:
            return
        for k, u in enumerate(samples.realisations):
            cost = samples.exact(x, u)
            if cost is None:
                continue
            place = f"at decision {number}, realisation {k}"
            if not (_no_more(found.lower[k], cost, cost) and _no_more(cost, found.upper[k], cost)):
                message = f"{found.lower[k]:g} … {found.upper[k]:g} {place}, where the recourse costs {cost:g}"
                yield Fault("recourse_bounds", message, "Lower the lower bounds, or raise the upper ones")
                return
            known = keys.setdefault(found.cost_keys[k], cost)
            if not _no_more(abs(known - cost) if known != cost else 0.0, 0.0, cost):
                message = f"equal keys for costs of {known:g} and, {place}, {cost:g}"
                yield Fault("recourse_bounds", message, "Put all into the key that decides the cost")
                return
        fault = _elsewhere(samples, found, x)
        if fault is not None:
            yield fault
            return


def _shapes(found: RecourseBounds, count: int, n: int) -> Iterator[Fault]:
    for name, given, shape in (
        ("lower", found.lower.shape, (count,)),
        ("slope", found.slope.shape, (count, n)),
        ("upper", found.upper.shape, (count,)),
        ("may_improve", found.may_improve.shape, (count, n)),
        ("cost_keys", (len(found.cost_keys),), (count,)),
    ):
        if given != shape:
            yield Fault("recourse_bounds", f"{name} has the shape {given}", f"Give {shape}: realisations, entries")


def _elsewhere(samples: Samples, found: RecourseBounds, x: Floats) -> Fault | None:
    """Check the slopes at the other decisions, and that more ones cost no more."""
    for other in samples.decisions:
        for k, u in enumerate(samples.realisations):
            here, there = samples.exact(x, u), samples.exact(other, u)
            if here is None or there is None:
                continue
            by_slope = float(found.lower[k] + found.slope[k] @ (other - x))
            if not _no_more(by_slope, there, there):
                message = f"a slope says {by_slope:g} at another decision, which costs {there:g}"
                return Fault("recourse_bounds", message, "Steepen the slope downwards")
            if (other >= x - 0.5).all() and not _no_more(there, here, here):
                message = f"a decision with more ones costs {there:g}, one with fewer {here:g}"
                remedy = "Give None: cuts of these bounds take it that more ones cost no more"
                return Fault("recourse_bounds", message, remedy)
    return None


def reduced_program(samples: Samples) -> Iterator[Fault]:
    """The smaller program has the cost of the whole one at the decision."""
    for number, x in enumerate(samples.decisions):
        smaller = samples.program.reduced_program(x)
        if smaller is None:
            continue
        for u in samples.realisations[:2]:
            whole, small = samples.exact(x, u), _exact_of(samples, smaller.program, smaller.decision, u)
            if (
                whole is not None
                and small is not None
                and whole != small
                and not _no_more(abs(whole - small), 0.0, whole)
            ):
                message = f"it costs {small:g} at decision {number}, where the program costs {whole:g}"
                yield Fault("reduced_program", message, "Leave out only what is idle at that decision")
                return


def deferred_entries(samples: Samples) -> Iterator[Fault]:
    """A mask over the decision, of entries that can be 0 all at once."""
    mask = samples.program.deferred_entries()
    if mask is None:
        return
    if mask.shape != (samples.n,) or mask.dtype != np.bool_:
        message = f"shape {mask.shape} of {mask.dtype}"
        yield Fault("deferred_entries", message, f"Give a mask of shape ({samples.n},)")
        return
    found = samples.first.cheapest(mask.astype(np.float64))
    if found is not None and (found[0][mask] > 0.5).any():
        message = "no decision has all of them 0"
        yield Fault("deferred_entries", message, "Name only entries that may all be 0, or give None")


def saving_bounds(samples: Samples) -> Iterator[Fault]:
    """No more is saved by any entries than by the program that bounds the saving."""
    for number, x in enumerate(samples.decisions):
        for bound in samples.program.saving_bounds(x):
            entries = np.flatnonzero(bound.entries)
            if bound.count < 1 or bound.entries.shape != (samples.n,):
                message = f"count {bound.count}, a mask of shape {bound.entries.shape}"
                yield Fault("saving_bounds", message, f"Give a count of 1 or more and a mask ({samples.n},)")
                return
            every = np.where(bound.entries, 1.0, x)
            for u in samples.realisations[:2]:
                some = x.copy()
                some[samples.rng.permutation(entries)[: bound.count]] = 1.0
                cost, least = samples.exact(some, u), _exact_of(samples, bound.program, every, u)
                if cost is not None and least is not None and not _no_more(least, cost, cost):
                    message = f"{bound.count} entries more cost {cost:g} at decision {number}, the bound is {least:g}"
                    yield Fault("saving_bounds", message, "Relax the program that bounds the saving")
                    return


def deterministic_bounds(samples: Samples) -> Iterator[Fault]:
    """Bounds of a certain realisation are in order, and no sampled decision lies below them."""
    u = samples.realisations[0]
    certain = samples.program.with_uncertainty(Certain(u), Expectation())
    found = certain.deterministic_bounds(GAP)
    if found is None:
        return
    lower, upper = found
    if not lower <= upper + TOLERANCE * max(1.0, abs(upper)):
        yield Fault("deterministic_bounds", f"the lower one, {lower:g}, is above {upper:g}", "Swap or mend them")
    for number, (x, first) in enumerate(zip(samples.decisions, samples.costs)):
        evaluation = exact_evaluation(samples, x)
        cost = samples.exact(x, u)
        if evaluation is not None:
            cost = float(evaluation.values[0]) if evaluation.violations[0] == 0.0 else np.inf
        if cost is not None and not _no_more(lower, first + cost, cost):
            message = f"the lower one is {lower:g}, decision {number} costs {first + cost:g}"
            yield Fault("deterministic_bounds", message, "Give bounds of the least cost over all decisions")
            return


def _exact_of(samples: Samples, program: object, x: Floats, u: Floats) -> float | None:
    """Cost of the recourse of another program; None where no solver here takes it."""
    other = Samples(
        program,  # type: ignore[arg-type]
        samples.first,
        (x,),
        (0.0,),
        (),
        u[None, :],
        samples.rng,
        samples.complete_recourse,
    )
    return other.exact(x, u)


def _no_more(least: float, most: float, scale: float) -> bool:
    """Whether `least` is at most `most`, but for the accuracy of the solvers."""
    size = max(1.0, abs(scale)) if np.isfinite(scale) else 1.0
    return bool(least <= most + TOLERANCE * size)
