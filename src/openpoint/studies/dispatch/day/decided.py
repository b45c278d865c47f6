"""The stages of decision of a day and the parts of its objective, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import polars as pl

from openpoint.grid.today import why_no_loss
from openpoint.network.day import Uncertain
from openpoint.network.devices import DeviceKind
from openpoint.results import columns as c
from openpoint.studies.dispatch.day.model.question import DayOutcome, DayQuestion, ScenarioDays
from openpoint.studies.dispatch.day.schema import DECIDED
from openpoint.studies.dispatch.day.tables import Shown
from openpoint.twostage.log import relative_gap
from openpoint.twostage.risk import Expectation

_WHEN = {
    "fixed": "as today",
    "once": "once for the day, before it is known what comes",
    "hourly": "for every period, before it is known what comes",
    "recourse": "in every period, once it is known what came there",
}


def decided(question: DayQuestion) -> pl.DataFrame:
    """A row for every kind of decision that the day has."""
    now = {"fixed": "as it is now", "once": _WHEN["once"].replace("the day", "the rest of the day")}
    words = {**_WHEN, **(now if question.day.passed else {})}
    rows = [(what, when, stated or words[when]) for what, when, stated in _decisions(question)]
    return c.frame(DECIDED, rows)


def _decisions(question: DayQuestion) -> Iterator[tuple[str, str, str]]:
    day = question.day
    yield "topology", question.topology.value, ""
    if np.any(question.devices.kind != DeviceKind.UNIT):
        yield "taps, capacitor steps, voltages of sources", question.positions.value, ""
    if len(question.network.generator_names):
        if len(question.devices.of(DeviceKind.UNIT)):
            yield "which generators run", "hourly", ""
        yield "output of generators", "hourly", ""
    for vehicle, name in ((False, "batteries"), (True, "vehicles")):
        if np.any(day.stores.vehicle == vehicle):
            yield f"charge and discharge of {name}", "hourly", ""
    if np.any(day.demand.shift_time > 0.0):
        yield "load moved in time", "hourly", ""
    if np.any(day.demand.shift_buses > 0.0):
        yield "load moved between buses", "recourse", ""
    if day.renewables.count:
        yield "curtailment", "recourse", ""
    if np.any(day.renewables.s_max > 0.0):
        yield "reactive power of renewable sources", "recourse", ""
    if np.any(day.demand.shed_share > 0.0):
        yield "load shed", "recourse", ""
    yield "what the sources deliver", "recourse", "follows from the power flow"


def objective_means(question: DayQuestion) -> str:
    """What the objective is the cost of."""
    rest = " of the rest of the day" if question.day.passed else ""
    if question.scenarios is not None:
        risk = "in the mean" if isinstance(question.scenarios.risk, Expectation) else f"by {question.scenarios.risk}"
        return f"{risk} of {len(question.scenarios.names)} futures{rest}"
    return f"in the worst realisation{rest}" if question.day.uncertain.count else f"as forecast{rest}"


def uncertain_words(question: DayQuestion) -> tuple[str, ...]:
    """What is uncertain, by group: by how much, in how many periods, how many at once."""
    some = question.day.uncertain
    if question.scenarios is not None:
        return tuple(_futures_words(question.scenarios, some))
    at_once, sums = dict(some.groups), dict(some.sums)
    texts = []
    for group in dict.fromkeys(some.group):
        mine = np.flatnonzero(np.array(some.group) == group)
        down, up = 100.0 * some.down[:, mine].max(initial=0.0), 100.0 * some.up[:, mine].max(initial=0.0)
        spread = f"±{up:g} %" if down == up else f"−{down:g} … +{up:g} %"
        hours = sorted(set(some.hours[mine].tolist()))
        budget = f"in at most {hours[0]}" if len(hours) == 1 else f"in at most {hours[0]} to {hours[-1]}"
        who = "" if len(mine) == 1 else f", {len(mine)} quantities each"
        texts.append(f"{group} {spread} {budget} of {question.day.periods} periods{who}"
                    + (f", at most {at_once[group]} at once" if group in at_once else "")
                    + (f", their sum by at most {100.0 * sums[group]:g} %" if group in sums else ""))  # fmt: skip
    return tuple(texts)


def _futures_words(days: ScenarioDays, some: Uncertain) -> Iterator[str]:
    for group in dict.fromkeys(some.group):
        mine = np.flatnonzero(np.array(some.group) == group)
        shares = days.realisations[:, :, mine]
        who = "" if len(mine) == 1 else f", {len(mine)} quantities"
        yield f"{group} {shares.min():.3g} … {shares.max():.3g} of its forecast in {len(days.names)} futures{who}"


# What stands beside the figures of a day because it changes their meaning.


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
