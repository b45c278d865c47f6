"""A lower bound of a day with a given topology that rests on arithmetic alone, whatever the accuracy of a solver.

It is the closed-form bound of the search for the topology (`topology.relaxation`) where all branches are decided, on a
mixture of the days that the method found to be bad. Its multipliers and weights come from solvers, but it holds for any
of them. Limits of voltages and currents are not in it, nor that losses are not free where they pay, so it can be lower
than the bound of the cone program, which is the dual value of a solver less what its residual can cost.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from openpoint.errors import OptionError
from openpoint.network.devices import DeviceKind
from openpoint.search.kernel.arrays import CLOSED, OPEN
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.studies.dispatch.day.topology.relaxation import DayRelaxation, search_model
from openpoint.studies.dispatch.day.topology.weights import mixture, worst_mixture
from openpoint.twostage.deadline import Deadline

ACCURACY = 1e-8
"""Relative, of the program of the multipliers: one bound is computed, where a search has thousands."""
STEPS = 5
"""Times that the multipliers are found from the terms of the last bound."""


def with_closed_bound(question: DayQuestion, outcome: DayOutcome, deadline: Deadline) -> DayOutcome:
    """The outcome with its `closed_bound`, as which its lower bound is at least.

    It stays as it is without days or with a topology or positions that this bound is not made for.
    """
    moves = question.devices.count > len(question.devices.of(DeviceKind.UNIT))
    given = question.topology is Cadence.FIXED and not (moves and question.positions is not Cadence.FIXED)
    if not given or not outcome.days or outcome.plan is None or deadline.over():
        return outcome
    try:
        bound = min(closed_bound(question, outcome), outcome.upper_bound)
    except OptionError:  # nothing bounds a voltage from above
        return outcome
    return replace(outcome, closed_bound=bound, lower_bound=max(bound, outcome.lower_bound))


def closed_bound(question: DayQuestion, outcome: DayOutcome) -> float:
    """No plan with today's topology costs less in the worst of the days of an outcome; $.

    They have the weights that the method found where it found any; else these are sought.

    Raises:
        OptionError: nothing bounds a voltage from above.
    """
    closed = question.network.closed
    once = replace(question, topology=Cadence.ONCE, max_changes=None, must_close=closed, must_open=~closed)
    _, branch, _ = search_model(once)
    status = np.where(closed[branch], CLOSED, OPEN).astype(np.int8)
    if outcome.binding:
        mixed = mixture([day for day, _ in outcome.binding], np.array([weight for _, weight in outcome.binding]))
    else:
        mixed = worst_mixture(once, status, list(outcome.days))
    relaxation = DayRelaxation(once, mixed.copies, mixed.weights, narrows=False, accuracy=ACCURACY)
    found = relaxation.bound(status, None, STEPS)
    return -np.inf if found is None else found.value
