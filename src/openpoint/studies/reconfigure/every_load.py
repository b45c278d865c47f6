"""Least loss today among the states that keep their limits for every load of a set, proven by enclosures.

All radial topologies are evaluated by exact AC power flow at the loads as they are, and judged from the least loss on,
each by its enclosure over the whole set: the first that is proved is the answer. A state that is neither proved nor
disproved is never one, but the lower bound counts it. Theory: docs/every_load.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from openpoint.arrays import Bools
from openpoint.enclosure.bounds import NotEnclosed
from openpoint.enclosure.flow import NoFlow
from openpoint.enclosure.grid import bounds_of
from openpoint.enclosure.parts import TooLarge
from openpoint.errors import InputError, OptionError
from openpoint.grid.grid import Grid
from openpoint.network.stations import Stations
from openpoint.search.enumeration import best_topologies, count_topologies
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination

MOST_TOPOLOGIES = 200_000
"""Radial topologies above which they are not tried one by one."""


def judged(grid: Grid, stations: Stations, closed: Bools, shares: Mapping[str, float], budget: float | None) -> str:
    """Whether a radial state keeps its limits for every load of a set: `proved`, `disproved`, or `open`."""
    network = replace(stations.whole, closed=closed | stations.dropped)
    try:
        return bounds_of(grid, network, shares, budget).verdict(network)
    except (NotEnclosed, NoFlow, TooLarge, InputError):
        return "open"


def solve_for_every(
    grid: Grid,
    program: RadialProgram,
    stations: Stations,
    shares: Mapping[str, float],
    budget: float | None,
    progress: Progress | None,
    deadline: Deadline,
) -> Outcome:
    """The outcome.

    Raises:
        OptionError: too many topologies.
    """
    net, closed, opened = program.network, program.must_close, program.must_open
    count = count_topologies(net, locked_closed=closed, locked_open=opened)
    if count > MOST_TOPOLOGIES:
        raise OptionError(
            f"for_every tries all radial topologies, and {count:,} are more than {MOST_TOPOLOGIES:,}; lock branches"
        )
    began = deadline.passed()
    values, states = best_topologies(
        net, program.ac.objectives, keep=count, locked_closed=closed, locked_open=opened, stop=deadline.over
    )
    stopped, tried = deadline.over(), {"disproved": 0, "open": 0}
    lower, best = -math.inf if stopped else math.inf, None
    for k, state in enumerate(states):
        if deadline.over():
            stopped = True
            lower = min(lower, float(values[k]))
            break
        verdict = judged(grid, stations, state, shares, budget)
        if verdict != "disproved":
            lower = min(lower, float(values[k]))
        if verdict == "proved":
            best = k
            break
        tried[verdict] += 1
    value = math.inf if best is None else float(values[best])
    decision = None if best is None else states[best].astype(float)
    shown = decision if decision is not None or not len(states) else states[0].astype(float)
    evaluated = None if shown is None else program.evaluate(shown, program.uncertainty.values, None)
    if best is not None:
        why = Termination.OPTIMAL if lower == value else Termination.RELAXATION
    else:
        why = Termination.LIMITS if tried["open"] else Termination.INFEASIBLE
    why = deadline.why if stopped else why
    words = f"{tried['disproved']:,} disproved, {tried['open']:,} open"
    last = Iteration(1, deadline.passed() - began, lower, value, value, f"{count:,} topologies, {words}")
    if progress is not None:
        progress(last)
    note = (
        "all limits hold for every load and generation of the set, proven in exact AC; of the topologies that lose "
        f"less at the loads as they are, {words}"
        if best is not None
        else f"no topology is proved to keep all limits for every load and generation of the set: {words}"
    )
    return Outcome(
        why,
        decision,
        None if evaluated is None else evaluated.state,
        lower,
        value,
        (last,),
        deadline.passed() - began,
        least_violation=None if best is not None else shown,
        values=None if evaluated is None or best is None else evaluated.values,
        notes=(note,),
    )
