"""Dispatch over a day: open points and resources of all periods in one problem, against the worst of a budgeted set."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from openpoint.errors import OptionError
from openpoint.formulations.radiality import choices_left, refuse_impossible
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import names_in_words
from openpoint.network import Network, build_network
from openpoint.network.day import DayArrays, Demand
from openpoint.network.devices import DeviceKind, Devices, build_devices, build_prices, build_supply
from openpoint.network.freedom import SwitchingRules
from openpoint.network.limits import Limits
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.network.stations import Stations, open_held_meshes, refuse_shared_taps
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
    realisations_of,
)
from openpoint.studies.accepted import refuse
from openpoint.studies.dispatch.day.answer import Asked, day_result
from openpoint.studies.dispatch.day.decided import uncertain_words
from openpoint.studies.dispatch.day.intraday import Intraday
from openpoint.studies.dispatch.day.methods import METHODS, DayMethod, check_takes, choose
from openpoint.studies.dispatch.day.model.question import (
    Cadence,
    DayOutcome,
    DayQuestion,
    ScenarioDays,
    as_forecast,
    with_scenarios,
)
from openpoint.studies.dispatch.day.options import DayOptions, DispatchDayOptions
from openpoint.studies.dispatch.day.result import DispatchDayResult
from openpoint.studies.dispatch.day.samples import Planned, Sampling, compare, sample_days
from openpoint.studies.dispatch.day.schema import SAMPLES
from openpoint.studies.dispatch.day.verified import proved, verified, with_closed_bound
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress
from openpoint.twostage.risk import WorstCase

FUTURES_MOST = 5_000
"""Most futures of a day that are planned for: of each, every period is operated and kept."""


def question_of(grid: Grid, network: Network, day: DayArrays, options: DayOptions) -> DayQuestion:
    """The question about a day of a grid.

    Args:
        grid: with what the day adds to it. network: of this grid, without its loads. day: its arrays.
        options: what is asked.

    Raises:
        InputError: a locked branch is unknown, or locks that leave no radial state.
        OptionError: a grid of several phases, or nothing that options would let move.
    """
    network = Limits.given(options.limits).applied(network)
    every = build_devices(grid, network)
    positions = Cadence(options.positions)
    kept = every.kind == DeviceKind.UNIT
    if positions is not Cadence.FIXED and kept.all():
        raise OptionError(
            "positions are to be decided, and this grid has no tap changer, capacitor bank or source with a range of "
            "voltages; leave positions out"
        )
    switchable = network.switchable & (options.cadence is not Cadence.FIXED)
    named = options.locked_open, options.locked_closed, options.max_changes
    rules = SwitchingRules.locked(network, network.closed, switchable, *named)
    stations = _with_stations(network, every if positions is not Cadence.FIXED else None)
    prices = _prices(grid, network, options)
    if stations is not None:
        rules = rules.without(stations.dropped)
        _refuse_in_loops(network, stations, prices, day)
    refuse_impossible(grid, network, choices_left(network, rules), rules.must_close)
    _LOG.info("laid the day on the network")
    return DayQuestion(
        network=network if stations is None else stations.opened,
        devices=every.only(np.arange(every.count) if positions is not Cadence.FIXED else np.flatnonzero(kept)),
        supply=_supply(grid, network, options.source_max_kw),
        cost=prices,
        rules=rules,
        topology=options.cadence,
        positions=positions,
        day=replace(day, demand=_demand(day, options)),
        stations=stations,
    )


def _with_stations(network: Network, moving: Devices | None) -> Stations | None:
    """The network with its permanently closed loops opened; None where it has none.

    Each source stays by itself, also where several hold one voltage, since each has its price and its limits.

    Args:
        moving: devices whose positions are decided; None = none.

    Raises:
        InputError: taps of transformers in parallel that may move.
    """
    stations = open_held_meshes(network, network.source_terminal)
    if moving is not None:
        refuse_shared_taps(stations, moving, "Decide no positions (--positions fixed)")
    return stations if stations.dropped.any() else None


def _refuse_in_loops(network: Network, stations: Stations, prices: OperatingCost, day: DayArrays) -> None:
    """Refuse prices of losses and limits of powers of branches in permanently closed loops: their currents are those of
    the loop.

    Raises:
        OptionError: naming them.
    """
    looped = (stations.carrier != np.arange(network.n_conductors)) | (stations.share != 1.0) | stations.couplers
    limited = np.zeros_like(looped) if day.flow_max is None else np.isfinite(day.flow_max).any(axis=0)
    priced = prices.current > 0.0, "a price of losses (loss_price_usd_per_kwh)"
    for given, what in (priced, (limited, "branch_limits")):
        if (looped & given).any():
            names = [network.branch_names[network.conductor_branch[e]] for e in np.flatnonzero(looped & given)]
            raise OptionError(f"{names_in_words(names)}: {what} of a branch in a permanently closed loop; leave it out")


def scenario_days(options: DayOptions, futures: DayFutures | None, day: DayArrays) -> ScenarioDays | None:
    """The futures that options ask for, of a table or drawn from what is uncertain; None where they ask for none.

    Raises:
        OptionError: too many; the risk needs probabilities, and the table has none.
    """
    if futures is not None:
        names, probabilities, days = futures.names, futures.probabilities, realisations_of(futures, day.uncertain)
    elif isinstance(options.futures, int):
        count = options.futures
        names, probabilities = tuple(str(k + 1) for k in range(count)), np.full(count, 1.0 / count)
        days = sample_days(day.uncertain, count, seed=options.seed)
    else:
        return None
    if len(names) > FUTURES_MOST:
        raise OptionError(
            f"{len(names):,} futures are too many to operate and keep; give at most {FUTURES_MOST:,}, and test the "
            "plan on more days by samples"
        )
    if probabilities is None and not isinstance(options.measure, WorstCase):
        raise OptionError(
            f"{options.measure} needs probabilities, and the futures have none; give them, or the risk worst"
        )
    return ScenarioDays(names, days, probabilities, options.measure)


def _supply(grid: Grid, network: Network, most_kw: float | None) -> SupplyLimits:
    """Limits of sources and generators, no source above the most active power that is asked for."""
    supply = build_supply(grid, network)
    if most_kw is None:
        return supply
    return replace(supply, p_max=np.minimum(supply.p_max, most_kw / network.s_base_kva))


def _prices(grid: Grid, network: Network, options: DayOptions) -> OperatingCost:
    """Prices of generators, losses and switching; those of sources are in the day."""
    known = grid.with_tables(sources=grid.sources.with_columns(pl.col("price_usd_per_kwh").fill_null(0.0)))
    prices = build_prices(known, network)
    price, base = options.price, network.s_base_kva
    return replace(prices, loss=price["loss"], change=price["switching"] / base, move=price["moving"] / base)


def _demand(day: DayArrays, options: DayOptions) -> Demand:
    """What may be moved, with the shares that the options give to every bus."""
    size = day.demand.shift_buses.shape
    return replace(day.demand, **{f"shift_{name}": np.full(size, share) for name, share in options.shifted.items()})


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
    method, shown = (METHODS[name](gap=gap) for gap in (AIM * options.gap, options.gap))
    asked = Asked(grid, day_name, str(shown), why, notes, rest)
    sampling = Sampling(options.samples, options.seed + 1 if options.futures else options.seed)  # days not planned for
    return PreparedDay(question, method, options.gap, options.time_limit_s, sampling, asked)


@dataclass(frozen=True)
class PreparedDay:
    """A question about a day, ready to be solved.

    Attributes:
        question: as numbers. method: named, or chosen. gap: asked for. time_limit_s: of the run.
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
        found = METHODS[choose(sure)[0]](gap=self.gap).solve(sure, None, deadline)
        if found.plan is not None:
            plans.append(Planned("as forecast", found.plan, found.upper_bound))
        plans.append(Planned("answer", outcome.plan, outcome.upper_bound))
        bounded = None if self.question.scenarios is not None else self.question
        return compare(self.question, plans, self.sampling, bounded, deadline)


dispatch_day = function("dispatch_day", DispatchDayOptions, prepare)
