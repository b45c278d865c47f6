"""What stands beside the figures of a day because it changes their meaning."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from openpoint.grid.today import why_no_loss
from openpoint.network.devices import DeviceKind
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.studies.dispatch.day.tables import Shown
from openpoint.twostage.log import relative_gap


def remarks(shown: Shown, outcome: DayOutcome) -> Iterator[str]:
    """The notes of a result."""
    question, today = shown.question, shown.flows.get("today")
    if passed := question.day.passed:
        yield (
            f"this is the rest of the day, from period {question.day.names[0]} on: the {passed:g} h before it are in "
            "no figure; today is the state at its start"
        )
    if today is None or not today.is_complete:
        yield why_no_loss(shown.grid, " in some period")
    yield from _on_today(question)
    yield from _on_recourse(question)
    yield from _on_prices(question)
    if question.scenarios is not None and outcome.plan is not None:
        yield (
            "the answer is best for these futures and keeps the limits in each of them; another day may cost more or "
            "break limits: test the plan in sampled days, too"
        )
    elif question.day.uncertain.count and outcome.plan is not None:
        yield (
            "the worst case is that of the budgeted set: a day outside it may cost more or break limits; test the "
            "plan on sampled days, too"
        )
    if math.isfinite(outcome.lower_bound):
        yield "the bound is that of the cone relaxation of the power flow: no operation by AC costs less"
    if math.isfinite(outcome.closed_bound):
        gap = relative_gap(outcome.closed_bound, outcome.upper_bound)
        yield (
            f"whatever the accuracy of a solver, no plan costs less than ${outcome.closed_bound:,.2f} in its worst "
            f"case (gap {100.0 * gap:.2g} %): a bound in closed form, without limits of voltages and currents"
        )


def _on_today(question: DayQuestion) -> Iterator[str]:
    stores = question.day.stores
    charged = stores.energy_end > stores.energy_start
    what = "today: topology, positions and outputs of generators as today, batteries rest"
    if charged.any():
        what += ", and what must be charged (vehicles) charges with full power from its arrival"
    if question.day.demand.moved_over_day.any():
        what += "; load moved so far is not made up for"
    if stores.count or question.day.passed:
        yield what


def _on_recourse(question: DayQuestion) -> Iterator[str]:
    day = question.day
    if np.any(day.demand.shift_buses > 0.0):
        yield (
            "load moves between buses in the same period, in sum 0, as in the publication: no energy is moved in time, "
            "and what makes customers elsewhere draw more is not modelled"
        )
    if np.any(day.demand.shift_time > 0.0):
        yield "load moved in time keeps its energy as forecast, and its power factor; its share of a deviation stays"


def _on_prices(question: DayQuestion) -> Iterator[str]:
    day = question.day
    negative = [name for name, price in zip(day.names, day.source_price.min(axis=1), strict=True) if price < 0.0]
    if negative:
        yield f"prices are negative in {', '.join(negative)}: losses pay there, which the bound takes into account"
    back = day.export_price.max(initial=0.0)
    if back > 0.0:
        yield f"energy that flows back into a source earns up to ${back:g} a kWh"
    elif question.day.renewables.count or len(question.devices.of(DeviceKind.UNIT)):
        yield "energy that flows back into a source earns nothing"
