"""The check of a program: all rules at sampled decisions and realisations, all faults at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from openpoint.arrays import Floats
from openpoint.twostage.conformance import form, optional, sets, values
from openpoint.twostage.conformance.fault import Fault, ProgramError
from openpoint.twostage.conformance.samples import Samples, sampled
from openpoint.twostage.program import AnyProgram

T = TypeVar("T")

FORM: tuple[tuple[str, Callable[[AnyProgram], Iterator[Fault]]], ...] = (
    ("uncertainty", form.uncertainty),
    ("first_stage", form.first_stage),
    ("recourse", form.recourse),
)
VALUES: tuple[tuple[str, Callable[[Samples], Iterator[Fault]]], ...] = (
    ("first_stage_cost", sets.first_stage_cost),
    ("first_stage", sets.binary),
    ("distance_min", sets.distance),
    ("warm_starts", sets.warm_starts),
    ("rounding_heuristic", sets.rounding_heuristic),
    ("recourse", values.complete_recourse),
    ("recourse", values.numbers_as_variables),
    ("recourse_lower_bound", values.lower_bound),
    ("recourse", values.cuts),
    ("recourse", values.slopes),
    ("evaluate", values.evaluation),
    ("valid_inequalities", values.valid_inequalities),
    ("with_uncertainty", optional.with_uncertainty),
    ("recourse_bounds", optional.recourse_bounds),
    ("reduced_program", optional.reduced_program),
    ("deferred_entries", optional.deferred_entries),
    ("saving_bounds", optional.saving_bounds),
    ("deterministic_bounds", optional.deterministic_bounds),
)
"""The rules by the part of the program that they are about."""


def check_program(
    program: AnyProgram,
    *,
    decisions: Sequence[Floats] = (),
    count: int = 5,
    seed: int = 0,
    complete_recourse: bool = True,
) -> None:
    """Check that a two-stage program keeps the contract that all methods rely on.

    Use it in the tests of a program of your own. A program that breaks the contract may get a wrong answer that is
    called optimal. A check without faults is not a proof. It solves a few hundred small programs; small data suffice.

    Args:
        program: the program.
        decisions: (n) each, decisions that are tried besides those that are drawn.
        count: how many decisions and how many realisations are drawn.
        seed: of what is drawn.
        complete_recourse: whether every decision has a recourse in every realisation once the limits are left out.

    Raises:
        ProgramError: with every fault found; where the model has the wrong form, only with those of its form.
    """
    faults = program_faults(program, decisions=decisions, count=count, seed=seed, complete_recourse=complete_recourse)
    if faults:
        raise ProgramError(faults)


def program_faults(
    program: AnyProgram,
    *,
    decisions: Sequence[Floats] = (),
    count: int = 5,
    seed: int = 0,
    complete_recourse: bool = True,
) -> tuple[Fault, ...]:
    """The faults that `check_program` raises; empty where none was found."""
    faults = [fault for part, rule in FORM for fault in _found(part, rule, program)]
    if faults:
        return tuple(faults)
    rng = np.random.default_rng(seed)
    try:
        samples = sampled(program, decisions, count, rng, complete_recourse=complete_recourse)
    except Exception as error:
        return (_raised("first_stage", error),)
    if not samples.decisions:
        remedy = "Without any, every method ends as infeasible; relax the constraints, or mend their signs"
        return (Fault("first_stage", "no decision keeps its constraints", remedy),)
    return tuple(fault for part, rule in VALUES for fault in _found(part, rule, samples))


def _found(part: str, rule: Callable[[T], Iterator[Fault]], given: T) -> list[Fault]:
    """The faults by one rule; an error that the program raises is one."""
    found: list[Fault] = []
    try:
        found.extend(rule(given))
    except Exception as error:
        found.append(_raised(part, error))
    return found


def _raised(part: str, error: Exception) -> Fault:
    what = f"{type(error).__name__}: {error}".rstrip(".")
    return Fault(part, f"an error was raised, {what}", "Mend what raises it; the rest of this rule was not checked")
