"""From the outcome of a method to the result of a day: every period again by exact AC power flow, and checked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.grid.grid import Grid
from openpoint.network.day import DayPlan
from openpoint.results import ac_tables as states
from openpoint.results import columns as c
from openpoint.results.columns import finite
from openpoint.results.common import iterations_table
from openpoint.studies.dispatch.day import tables
from openpoint.studies.dispatch.day.decided import decided, objective_means, remarks, uncertain_words
from openpoint.studies.dispatch.day.flow import (
    DayFlow,
    as_today,
    available_all,
    day_flow,
    forecast_of,
    untouched,
)
from openpoint.studies.dispatch.day.intraday import Rest
from openpoint.studies.dispatch.day.model.evaluation import operations
from openpoint.studies.dispatch.day.model.question import DayOutcome, DayQuestion, Operation
from openpoint.studies.dispatch.day.proofs import DayProof, proof_figures
from openpoint.studies.dispatch.day.result import DispatchDayResult
from openpoint.studies.dispatch.day.rolling import Planned, start_of
from openpoint.studies.dispatch.day.schema import CASES, ITERATIONS, STATES
from openpoint.studies.dispatch.day.tables import Shown, future_flows, futures, total_kwh, violations


@dataclass(frozen=True)
class Asked:
    """The question, in words.

    Attributes:
        grid: with what the day adds to it. day: name of the day. method: name and options. why: it was taken.
        notes: on the day. rest: where the rest of the day begins; None = the whole day is planned.
    """

    grid: Grid
    day: str
    method: str
    why: str
    notes: tuple[str, ...] = ()
    rest: Rest | None = None


def day_result(
    asked: Asked, question: DayQuestion, outcome: DayOutcome, samples: pl.DataFrame, proof: DayProof | None
) -> DispatchDayResult:
    """The result of a method; `samples`: plans in days drawn at random; `proof`: what is proved of its plan."""
    planned, stations = _planned(asked, question, outcome.plan), question.stations
    question, outcome = question.whole, outcome.with_plans(question.in_whole)
    shown = Shown(asked.grid, question, _flows(question, outcome))
    answered = outcome.plan is not None and math.isfinite(outcome.upper_bound)
    in_futures = future_flows(question, outcome)
    broken = tuple(each for case in ("forecast", "worst") for each in violations(shown, case))
    flows = [*(flow for case, flow in shown.known if case != "today"), *in_futures]
    checks = [check for flow in flows for check in flow.checks if check is not None]
    network, plan = question.network, outcome.plan
    first = network.closed if plan is None else plan.closed[0]
    first_open = states.open_names(network, first) if plan is not None else ()
    periods = tables.periods(shown)
    return DispatchDayResult(
        grid=asked.grid,
        method=asked.method,
        why_method=asked.why,
        termination=outcome.termination,
        seconds=outcome.seconds,
        day=asked.day,
        now=None if asked.rest is None else asked.rest.period,
        hours_passed=question.day.passed,
        topology=question.topology.value,
        positions=question.positions.value,
        objective_means=objective_means(question),
        uncertain=uncertain_words(question),
        objective_usd=outcome.upper_bound if answered else None,
        lower_bound_usd=outcome.lower_bound,
        gap=outcome.gap,
        totals=_totals(shown, periods),
        open_today=states.open_names(network, network.closed),
        open_branches=first_open,
        operations=0 if plan is None else int(operations(question, plan.closed).sum()),
        max_changes=question.rules.max_changes,
        violations=broken,
        violations_today=len(violations(shown, "today")),
        ac_max_mismatch_pu=finite(max((check.max_mismatch for check in checks), default=math.nan)),
        balance_max_kw=_balance_kw(shown, flows),
        periods=periods,
        costs=tables.costs(shown),
        decided=decided(question),
        uncertainty=tables.uncertainty(shown),
        switches=tables.switches(shown),
        stores=tables.stores(shown),
        generators=tables.generators(shown),
        renewables=tables.renewables(shown),
        sources=tables.sources(shown),
        devices=tables.devices(shown),
        demand=tables.demand(shown),
        voltages=tables.voltages(shown),
        branches=tables.branches(shown),
        flows=tables.flows(shown),
        states=c.empty(STATES) if planned is None else planned.states(),
        planned=planned,
        risk=None if question.scenarios is None else str(question.scenarios.risk),
        futures=futures(shown, in_futures),
        **proof_figures(question.day.names, proof),
        samples=samples,
        iterations=iterations_table(outcome.log, ITERATIONS),
        notes=(
            *asked.grid.figure_notes,
            *asked.notes,
            *(() if stations is None else states.of_couplers(stations)),
            *remarks(shown, outcome),
            *outcome.notes,
        ),
    )


def _planned(asked: Asked, question: DayQuestion, plan: DayPlan | None) -> Planned | None:
    if plan is None:
        return None
    start, measured = (start_of(question), None) if asked.rest is None else (asked.rest.start, asked.rest.measured)
    return Planned(asked.grid, question, plan, start, measured)


def _flows(question: DayQuestion, outcome: DayOutcome) -> dict[str, DayFlow | None]:
    day = question.day
    forecast = forecast_of(day)
    today = day_flow(question, as_today(question), forecast, untouched(day, forecast))

    def of(operation: Operation | None) -> DayFlow | None:
        if operation is None:
            return None
        return day_flow(question, operation.plan, operation.realisation, operation.recourse)

    return {"today": today, "forecast": of(outcome.forecast), "worst": of(outcome.worst)}


def _totals(shown: Shown, periods: pl.DataFrame) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    day = shown.question.day
    for case in CASES:
        flow, here = shown.flows.get(case), periods.filter(case=case)
        figures = dict.fromkeys(("loss", "purchased", "curtailed", "shed"), math.nan)
        cost = reactive = mean = math.nan
        if flow is not None:
            cost = float(flow.costs.sum())
            reactive = total_kwh(shown, np.maximum(flow.source_s.imag, 0.0).sum(axis=1))
            mean = float(day.hours @ np.abs(flow.v).mean(axis=1) / day.hours.sum())
            left = available_all(day, flow.realisation) - flow.recourse.renewable.real
            figures = {
                "loss": total_kwh(shown, flow.losses.sum(axis=1)),
                "purchased": total_kwh(shown, np.maximum(flow.source_s.real, 0.0).sum(axis=1)),
                "curtailed": total_kwh(shown, np.maximum(left, 0.0).sum(axis=1)),
                "shed": total_kwh(shown, flow.recourse.shed.real.sum(axis=1)),
            }
        found |= {f"cost_{case}_usd": finite(cost), f"v_mean_{case}_pu": finite(mean)}
        found[f"purchased_{case}_kvarh"] = finite(_without_dust(reactive))
        found |= {f"{name}_{case}_kwh": finite(_without_dust(value)) for name, value in figures.items()}
        low, high = here["v_min_pu"].min(), here["v_max_pu"].max()
        found[f"v_min_{case}_pu"] = low if isinstance(low, float) else None
        found[f"v_max_{case}_pu"] = high if isinstance(high, float) else None
    return found


def _without_dust(kwh: float) -> float:
    """Without what a solver leaves of 0."""
    return 0.0 if abs(kwh) < 1e-6 else kwh


def _balance_kw(shown: Shown, flows: list[DayFlow]) -> float | None:
    """The largest error of the energy balance of any period of the answer."""
    errors = [np.abs(flow.balance(shown.question)) for flow in flows]
    known = np.concatenate([*errors, np.empty(0)])
    known = known[np.isfinite(known)]
    return float(known.max()) * shown.base_kw if len(known) else None
