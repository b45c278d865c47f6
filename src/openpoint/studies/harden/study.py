"""Harden: which lines to make safe, and where to put backup generators, before a disaster, so that all costs least."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from openpoint.grid.grid import Grid
from openpoint.report.terminal import words
from openpoint.studies.harden.answer import Run, answer
from openpoint.studies.harden.model import HardenProgram, Threat
from openpoint.studies.harden.options import HardenOptions
from openpoint.studies.harden.result import HardenResult
from openpoint.studies.harden.setup import harden_program
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import CUT_SHORT, PROVEN_GAP, Outcome, Progress
from openpoint.twostage.methods.decomposition import Benders, ColumnAndConstraint
from openpoint.twostage.methods.solving import ExtensiveForm, as_finite
from openpoint.twostage.risk import probability_set
from openpoint.twostage.uncertainty import Box, Budget

_LOG = logging.getLogger(__name__)

REPORT_EVERY_S = 1.0
"""Seconds between words on what is done after the plan is found."""
SHOWN_SHARE, SHOWN_S = 0.1, 2.0
"""Share of the time limit, and SHOWN_S seconds at most, that are kept for the operating points of the plan."""


def prepare(grid: Grid, options: HardenOptions) -> Prepared[HardenResult]:
    """The lines to harden and the places of backup generators for which investment and outages cost least.

        min  investment + ρ[ least cost of lost load after the disaster ]

    After a disaster the grid is reconfigured, islands form around backup generators, and as little load as possible is
    shed; all of it keeps a linear power flow (LinDistFlow) and is checked by an exact AC power flow. See
    `openpoint.studies.harden.model`. ρ is the expectation over the disasters; over ambiguous probabilities the worst
    expectation (Zhang et al., IJEPES 122, 2020, 106161); with `any_lines` the worst attack.

    Raises:
        InputError: the grid or the disasters have faults.
        OptionError: options that make no sense or contradict each other, a grid of several phases, or disasters that
            do not fit it.
    """
    program, threat = harden_program(grid, options)
    method = options.chosen or ColumnAndConstraint(
        gap=PROVEN_GAP if options.gap is None else options.gap, time_limit_s=options.time_limit_s
    )
    return PreparedHarden(grid, program, threat, method, options.value_of_information, options.shares)


@dataclass(frozen=True)
class PreparedHarden:
    """A question about a grid and what threatens it, ready to be solved.

    Attributes:
        program: the mathematical model, with the limits to keep. threat: what may break.
        method: named, or chosen. value_of_information: as of `harden`. shares: of the set of loads, by group.
    """

    grid: Grid
    program: HardenProgram
    threat: Threat
    method: ColumnAndConstraint | ExtensiveForm | Benders
    value_of_information: bool | None
    shares: Mapping[str, float]
    unit: str = "$"

    @property
    def heading(self) -> str:
        """The method."""
        return f"method: {words.method(self.method)}"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> HardenResult:
        """The result, verified by exact AC power flow."""
        method, wanted = self.method, self.value_of_information
        _LOG.info("stated the problem; the method begins")
        with deadline_of(method.time_limit_s, deadline) as until:
            found = method.solve(self.program, progress, _of_method(until))
            outcome = _or_nothing(self.program, found, until)
            _LOG.info("the method ended")
            report = _reporter(outcome, progress, until)
            run = Run(str(method), method.gap, outcome.seconds, wanted, until, report, self.shares)
            return answer(self.grid, self.program, self.threat, outcome, run)


harden = function("harden", HardenOptions, prepare)


def _of_method(deadline: Deadline) -> Deadline:
    """The time of the method: some is left for the operating points of its plan, which take about as much."""
    left = deadline.left()
    return deadline if math.isinf(left) else deadline.within(left - min(SHOWN_SHARE * left, SHOWN_S))


def _reporter(outcome: Outcome, progress: Progress | None, deadline: Deadline) -> Callable[[str], None]:
    """Reports, at most every second, what is done after the plan is found."""
    ended, shown_at = deadline.passed(), -math.inf

    def report(word: str) -> None:
        nonlocal shown_at
        now = deadline.passed()
        if progress is not None and outcome.log and now - shown_at >= REPORT_EVERY_S:
            shown_at, last = now, outcome.log[-1]
            spent = outcome.seconds + now - ended
            progress(replace(last, seconds=spent, verdict=word, value=math.inf, mark="", interim=True))

    return report


def _or_nothing(program: HardenProgram, outcome: Outcome, deadline: Deadline) -> Outcome:
    """To buy nothing is a plan, too, whose cost is known in part: what a method has that was stopped early."""
    if outcome.decision is not None or outcome.termination not in CUT_SHORT:
        return outcome
    finite, nothing = as_finite(program), np.zeros(len(program.costs))
    assert not isinstance(finite.uncertainty, Box | Budget)
    realisations = finite.uncertainty.values
    known = program.recourse_bounds(nothing, realisations, deadline.over)
    upper = np.full(len(realisations), program.nothing_served_usd) if known is None else known.upper
    if not np.isfinite(upper).all():
        return outcome
    cost = probability_set(finite.uncertainty, finite.risk).worst(upper)[0]
    lower = min(outcome.lower_bound, cost)
    return replace(outcome, decision=nothing, upper_bound=cost, lower_bound=lower, values=upper)
