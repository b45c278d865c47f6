"""What the answer costs in each future of a day, by exact AC power flow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from openpoint.results import columns as c
from openpoint.results.columns import finite
from openpoint.studies.dispatch.day.flow import DayFlow, available_all, day_flows
from openpoint.studies.dispatch.day.limits import broken_limits
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.studies.dispatch.day.schema import FUTURES
from openpoint.studies.dispatch.day.tables import Shown, total_kwh


def future_flows(question: DayQuestion, outcome: DayOutcome) -> list[DayFlow]:
    """The flows of the plan in every future, apart from the method that found it."""
    found = dict[int, DayFlow]()
    plans = [id(each.plan) for each in outcome.scenarios]  # with a late recourse every future has its own
    for first in dict.fromkeys(plans):
        some = [k for k, plan in enumerate(plans) if plan == first]
        days = [(outcome.scenarios[k].realisation, outcome.scenarios[k].recourse) for k in some]
        found |= zip(some, day_flows(question, outcome.scenarios[some[0]].plan, days), strict=True)
    return [found[k] for k in range(len(plans))]


def futures(shown: Shown, flows: Sequence[DayFlow]) -> pl.DataFrame:
    """A row for every future."""
    days = shown.question.scenarios
    if days is None or not flows:
        return c.empty(FUTURES)
    costs = np.array([float(flow.costs.sum()) for flow in flows])
    weights = days.weights.worst(costs)[1] if np.isfinite(costs).all() else np.full(len(flows), np.nan)
    known = days.probabilities if days.probabilities is not None else np.full(len(flows), np.nan)
    rows = [
        (name, finite(float(p)), finite(float(w)), finite(float(cost)), *_figures(shown, flow))
        for name, p, w, cost, flow in zip(days.names, known, weights, costs, flows, strict=True)
    ]
    return shown.rows(FUTURES, rows)


def _figures(shown: Shown, flow: DayFlow) -> tuple[object, ...]:
    left = available_all(shown.question.day, flow.realisation) - flow.recourse.renewable.real
    size = np.abs(flow.v)
    return (
        total_kwh(shown, np.maximum(flow.source_s.real, 0.0).sum(axis=1)),
        total_kwh(shown, flow.losses.sum(axis=1)),
        total_kwh(shown, np.maximum(left, 0.0).sum(axis=1)),
        total_kwh(shown, np.maximum(flow.recourse.shed, 0.0).sum(axis=1)),
        float(size.min()),
        float(size.max()),
        len(broken_limits(shown, "worst", flow)),
    )
