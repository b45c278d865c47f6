"""Dispatch over a day: open points and resources of all periods in one problem, against the worst of a budgeted set."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.day import DayArrays
from openpoint.network.limits import Limits
from openpoint.report.terminal import words
from openpoint.results import columns as c
from openpoint.results.base import count_words
from openpoint.scenarios.day.build import build_day
from openpoint.scenarios.day.clock import NowLike, StateLike, period_at, read_measured
from openpoint.scenarios.day.faults import grid_of_day
from openpoint.scenarios.day.tables import Day, DayLike, read_day
from openpoint.scenarios.day.uncertain import (
    DayFutures,
    deviation_notes,
    futures_notes,
    read_day_futures,
)
from openpoint.studies.accepted import refuse
from openpoint.studies.dispatch.day.answer import Asked, day_result
from openpoint.studies.dispatch.day.decided import uncertain_words
from openpoint.studies.dispatch.day.intraday import Intraday
from openpoint.studies.dispatch.day.methods import DayMethod, check_takes, choose, method_of
from openpoint.studies.dispatch.day.model.question import DayQuestion, as_forecast, with_scenarios
from openpoint.studies.dispatch.day.options import DayOptions, DispatchDayOptions
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.studies.dispatch.day.proved import proved
from openpoint.studies.dispatch.day.result import DispatchDayResult
from openpoint.studies.dispatch.day.samples import Planned, Sampling, compare
from openpoint.studies.dispatch.day.schema import SAMPLES
from openpoint.studies.dispatch.day.setup import question_of, scenario_days
from openpoint.studies.dispatch.day.verified import verified, with_closed_bound
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress

_LOG = logging.getLogger(__name__)
AIM = 0.999
"""Share of the gap that a method aims at: an operation that is solved once more may cost more by rounding."""


def prepare(grid: Grid, options: DispatchDayOptions) -> Prepared[DispatchDayResult]:
    """The plan of a day of least cost at worst, or by a risk of futures, proven, and verified by AC in every period.

        min  starts + switching + max over realisations  Σ over periods of hours · (energy + losses + generators
             + curtailment + shedding + load moved + wear of stores)
        s.t. radial; exact AC power flow; limits of voltages, currents, sources, generators and stores; ramps

    Once it is known what a period brings are decided: what the sources deliver, curtailment, load that is shed or moves
    between buses, and reactive power of renewable sources. All else is decided beforehand. What was measured at `now`
    is a table of `openpoint.scenarios.day.schemas.MeasuredState`; what has no row is taken as at the start of the day,
    and `once` is then once for the rest.

    Raises:
        InputError: the grid or the day has faults, or a locked branch is unknown.
        OptionError: options that make no sense, or a method that cannot take the question.
    """
    return prepare_day(grid, options.day, options)


def prepare_day(grid: Grid, day: DayLike, options: DayOptions) -> PreparedDay:
    """All that a run needs: grid and day are checked, the network is built, the day laid on it, the method chosen.

    Raises:
        InputError, OptionError: as `dispatch_day`.
    """
    tables = read_day(day, grid)
    with_day, warnings = grid_of_day(grid, tables)
    with_day, options = options.on(with_day)
    refuse("dispatch-day", with_day)
    futures = None
    if options.futures is not None and not isinstance(options.futures, int):
        futures = read_day_futures(options.futures, with_day, tables)
    bare, arrays = _laid(with_day, tables, options, futures)
    intraday = None if options.now is None else _intraday(with_day, tables, options.now, options.state)
    if intraday is not None and (intraday.measured.height or intraday.faults):
        intraday.refuse_faults(question_of(with_day, bare, arrays, options))
        with_day = intraday.grid_now()
        bare, arrays = _laid(with_day, tables, options, futures)
    name = "day" if isinstance(day, Day) else os.path.basename(os.fspath(day).rstrip("/")) or "day"
    notes = tuple(str(each) for each in warnings)
    notes += deviation_notes(arrays.uncertain) if futures is None else futures_notes(futures, arrays.uncertain)
    return prepare_arrays(with_day, bare, arrays, name, options, notes, intraday, futures)


def _intraday(grid: Grid, day: Day, now: NowLike, state: StateLike | None) -> Intraday:
    """The period that begins now, and what was measured."""
    names, hours, starts_at = (day.periods[column].to_list() for column in ("period", "hours", "starts_at"))
    period = period_at(now, names, hours, starts_at)
    rows, faults = read_measured([] if state is None else state, names[period])
    return Intraday(period, names[period], rows, tuple(faults), grid)


def _laid(grid: Grid, day: Day, options: DayOptions, futures: DayFutures | None) -> tuple[Network, DayArrays]:
    """The network without its loads, and the arrays of the day."""
    network = Limits.given(options.limits).applied(build_network(grid))
    return build_day(grid, network, day, futures or options.uncertainty)


def prepare_arrays(
    grid: Grid,
    network: Network,
    day: DayArrays,
    day_name: str,
    options: DayOptions,
    notes: tuple[str, ...] = (),
    intraday: Intraday | None = None,
    futures: DayFutures | None = None,
) -> PreparedDay:
    """A run for a day that is in arrays already.

    Args:
        grid: with what the day adds to it. network: of this grid, without its loads. day: its arrays.
        day_name: of the day. options: what is asked. notes: on the day.
        intraday: where the rest of the day begins that is planned, on the grid as it is then; None = the whole day.
        futures: of the whole day, as the options name them.

    Raises:
        InputError, OptionError: as `dispatch_day`.
    """
    question = question_of(grid, network, day, options)
    rest = None
    if intraday is not None:
        question, rest, more = intraday.rest_of(question)
        notes = (*notes, *more)
    if (days := scenario_days(options, futures, day)) is not None:
        question = with_scenarios(question, days.of_last(question.day.periods))
    name, why = (options.method, "it was asked for") if options.method is not None else choose(question)
    check_takes(name, question)
    method, shown = (method_of(name, gap, options.time_limit_s) for gap in (AIM * options.gap, options.gap))
    asked = Asked(grid, day_name, str(shown), why, notes, rest)
    sampling = Sampling(options.samples, options.seed + 1 if options.futures else options.seed)  # days not planned for
    return PreparedDay(question, method, options.gap, options.time_limit_s, sampling, asked)


@dataclass(frozen=True)
class PreparedDay:
    """A question about a day, ready to be solved.

    Attributes:
        question: as numbers. method: named, or chosen. gap: asked for. time_limit_s: of the method.
        sampling: days drawn at random in which the plan is evaluated afterwards.
        asked: what was asked in words, with the grid.
    """

    question: DayQuestion
    method: DayMethod
    gap: float
    time_limit_s: float | None
    sampling: Sampling
    asked: Asked

    unit: str = "$"

    @property
    def heading(self) -> str:
        """The day, and the method."""
        return f"{words.safe(self.summary)}\nmethod: {words.method(self.asked.method)}, because {self.asked.why}"

    @property
    def summary(self) -> str:
        """The day in a line."""
        day = self.question.day
        batteries, vehicles = int((~day.stores.vehicle).sum()), int(day.stores.vehicle.sum())
        parts = [
            count_words(day.periods, "period") + f" ({day.hours.sum():g} h)",
            count_words(len(self.question.network.generator_names), "generator"),
            count_words(day.renewables.count, "renewable source"),
            count_words(batteries, "storage"),
            count_words(vehicles, "vehicle row"),
        ]
        uncertain = "; ".join(uncertain_words(self.question)) or "nothing"
        since = "" if self.asked.rest is None else f" from {self.asked.rest.period} on"
        return f"day {self.asked.day}{since}: {', '.join(filter(None, parts))}; uncertain: {uncertain}"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> DispatchDayResult:
        """The result, every period of it by exact AC power flow."""
        _LOG.info("stated the problem; the method begins")
        with deadline_of(self.time_limit_s, deadline) as until:
            outcome = self.method.solve(self.question, progress, until)
            _LOG.info("the method ended")
            outcome = with_closed_bound(self.question, outcome, until)
            outcome = verified(self.question, outcome, until, self.gap)
            _LOG.info("verified the worst realisation")
            given = self.asked.grid, self.question, self.method, self.gap
            outcome, proof = proved(*given, outcome, progress, until)
            samples = self._sampled(outcome, until)
        return day_result(self.asked, self.question, outcome, samples, proof)

    def _sampled(self, outcome: DayOutcome, deadline: Deadline) -> pl.DataFrame:
        """The plan in days drawn at random, beside today's and the one that is best as forecast."""
        if not self.sampling.count or outcome.plan is None or deadline.over():
            return c.empty(SAMPLES)
        plans, sure = list[Planned](), as_forecast(self.question)
        found = method_of(choose(sure)[0], self.gap, None).solve(sure, None, deadline)
        if found.plan is not None:
            plans.append(Planned("as forecast", found.plan, found.upper_bound))
        plans.append(Planned("answer", outcome.plan, outcome.upper_bound))
        bounded = None if self.question.scenarios is not None else self.question
        return compare(self.question, plans, self.sampling, bounded, deadline)


dispatch_day = function("dispatch_day", DispatchDayOptions, prepare)
