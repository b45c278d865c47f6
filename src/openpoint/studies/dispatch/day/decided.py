"""What is decided when, and what the objective is the cost of, in words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from openpoint.network.day import Uncertain
from openpoint.network.devices import DeviceKind
from openpoint.results import columns as c
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion, ScenarioDays
from openpoint.studies.dispatch.day.schema import DECIDED
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
    at_once = dict(some.groups)
    texts = []
    for group in dict.fromkeys(some.group):
        mine = np.flatnonzero(np.array(some.group) == group)
        down, up = 100.0 * some.down[:, mine].max(initial=0.0), 100.0 * some.up[:, mine].max(initial=0.0)
        spread = f"±{up:g} %" if down == up else f"−{down:g} … +{up:g} %"
        hours = sorted(set(some.hours[mine].tolist()))
        budget = f"in at most {hours[0]}" if len(hours) == 1 else f"in at most {hours[0]} to {hours[-1]}"
        who = "" if len(mine) == 1 else f", {len(mine)} quantities each"
        texts.append(f"{group} {spread} {budget} of {question.day.periods} periods{who}"
                    + (f", at most {at_once[group]} at once" if group in at_once else ""))  # fmt: skip
    return tuple(texts)


def _futures_words(days: ScenarioDays, some: Uncertain) -> Iterator[str]:
    for group in dict.fromkeys(some.group):
        mine = np.flatnonzero(np.array(some.group) == group)
        shares = days.realisations[:, :, mine]
        who = "" if len(mine) == 1 else f", {len(mine)} quantities"
        yield f"{group} {shares.min():.3g} … {shares.max():.3g} of its forecast in {len(days.names)} futures{who}"


def switching_words(question: DayQuestion) -> str:
    """How switching is bounded and what it costs."""
    most = "any number of" if question.max_changes is None else f"at most {question.max_changes}"
    price = question.cost.change * question.network.s_base_kva
    often = {Cadence.FIXED: "no", Cadence.ONCE: most, Cadence.HOURLY: most}[question.topology]
    return f"{often} switch operations" + (f", ${price:g} each" if price else "")
