"""A dispatch over a day in the terminal: what is decided when, cost by part, and the day by period."""

from __future__ import annotations

import polars as pl

from openpoint.report.terminal import view as v
from openpoint.report.terminal import words
from openpoint.studies.dispatch.day.result import DispatchDayResult
from openpoint.studies.dispatch.day.schema import CASES

_HEAD = ("period", "$/kWh", "load", "source", "units", "solar", "wind", "stores", "cars", "shed", "loss", "v min", "$")
_MOST_SWITCHES = 30
_MOST_FUTURES = 5
SHED_KWH = 0.1
"""Energy below which a future counts as one without shedding."""
_FIGURES = (
    ("energy bought", "purchased_kwh", "kWh"),
    ("energy lost", "loss_kwh", "kWh"),
    ("renewable energy not taken", "curtailed_kwh", "kWh"),
    ("load shed", "shed_kwh", "kWh"),
    ("lowest voltage", "v_min_pu", "pu"),
    ("highest voltage", "v_max_pu", "pu"),
)


def view(result: DispatchDayResult) -> v.View:
    """Why the run stopped, and the day as today, as forecast and at worst."""
    lines = [*v.stop(result), *_rest(result), *_decided(result)]
    lines += v.violations("Limits violated" if result.has_answer else "Least violation met", result.violations)
    if not result.has_answer:
        return [*lines, v.Line(f"No plan that keeps all limits was found (bound {words.usd(result.lower_bound_usd)}).")]
    lines += [v.Line(), v.Rows(_cases(result), (1, 2, 3), head=True), v.Line(), *_periods(result), *_switching(result)]
    lines += [*_futures(result), *_samples(result)]
    bound, objective = f"bound {words.usd(result.lower_bound_usd)}", f" of {words.usd(result.objective_usd)}"
    balance = "" if result.balance_max_kw is None else f", energy balance to {words.small(result.balance_max_kw)} kW"
    check = v.ac_check(result.ac_max_mismatch_pu, len(result.violations), balance)
    return [*lines, v.proof(result.gap, bound, objective), *check]


def _rest(result: DispatchDayResult) -> v.View:
    if not result.hours_passed:
        return []
    begun = f"The rest of the day, from {words.safe(str(result.now))} on ({result.hours_passed:g} h have passed)"
    return [v.Line(f"{begun}: all figures are of it alone.", "bold")]


def _decided(result: DispatchDayResult) -> v.View:
    rows = [(f"  {what}", f"{when}: {stated}") for what, when, stated in result.decided.iter_rows()]
    uncertain = "; ".join(result.uncertain) or "nothing: all comes as forecast"
    return [v.Line("Decided:"), v.Rows(rows), v.Line(f"Uncertain: {words.safe(uncertain)}")]


def _cases(result: DispatchDayResult) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("", *CASES)]
    for part, *values in result.costs.select("part", *(f"{case}_usd" for case in CASES)).iter_rows():
        rows.append((part if part != "total" else "cost", *map(words.usd, values)))
    for name, figure, unit in _FIGURES:
        digits = 4 if unit == "pu" else 1
        values = [result.total(figure, case) for case in CASES]
        rows.append(
            (name, *("-" if value is None else f"{round(value, digits) + 0.0:,.{digits}f} {unit}" for value in values))
        )
    return rows


def _periods(result: DispatchDayResult) -> v.View:
    """The day by period, in the worst realisation where there is one that differs."""
    case = "worst" if result.uncertainty["deviates"].any() else "forecast"
    deviating = {
        period: ", ".join(names)
        for period, names in result.uncertainty.filter("deviates")
        .group_by("period", maintain_order=True)
        .agg("quantity")
        .iter_rows()
    }
    rows: list[tuple[str, ...]] = [(*_HEAD, "deviates")]
    for row in result.periods.filter(pl.col("case") == case).iter_rows(named=True):
        powers = [row[name] for name in (
            "load_kw", "source_kw", "generators_kw", "solar_kw", "wind_kw", "stores_kw", "vehicles_kw", "shed_kw",
            "loss_kw")]  # fmt: skip
        shown = ["-" if value is None else f"{round(value) + 0:,}" for value in powers]
        low = "-" if row["v_min_pu"] is None else f"{row['v_min_pu']:.4f}"
        deviations = words.safe(deviating.get(row["period"], ""))
        rows.append((words.safe(row["period"]), f"{row['price_usd_per_kwh']:.4f}", *shown, low,
                     words.usd(row["cost_usd"]), deviations))  # fmt: skip
    what = "The rest of the day" if result.hours_passed else "The day"
    worst = "dearest future" if result.futures.height else "worst realisation"
    title = f"{what} in its {worst}, kW:" if case == "worst" else f"{what} as forecast, kW:"
    return [v.Line(title, "bold"), v.Rows(rows, range(1, len(_HEAD)), head=True), v.Line()]


def _futures(result: DispatchDayResult) -> v.View:
    """The risk and the dearest futures."""
    if result.futures.is_empty():
        return []
    costs, shed = result.futures["cost_usd"], (result.futures["shed_kwh"] > SHED_KWH).sum()
    rows: list[tuple[str, ...]] = [("", "probability", "cost", "bought", "shed", "v min")]
    for row in result.futures.sort("cost_usd", descending=True).head(_MOST_FUTURES).iter_rows(named=True):
        shown = "-" if row["probability"] is None else f"{row['probability']:.4g}"
        powers = (f"{row['purchased_kwh']:,.0f} kWh", f"{row['shed_kwh'] + 0.0:,.1f} kWh")
        rows.append((words.safe(row["future"]), shown, words.usd(row["cost_usd"]), *powers, f"{row['v_min_pu']:.4f}"))
    lowest, highest = words.usd(costs.min()), words.usd(costs.max())  # type: ignore[arg-type]
    title = f"{words.count(len(costs), 'future')}, {result.risk} {words.usd(result.objective_usd)}"
    text = f"costs from {lowest} to {highest}, load shed in {shed}; the dearest:"
    return [v.Line(f"{title}: {text}", "bold"), v.Rows(rows, range(1, 6), head=True), v.Line()]


def _samples(result: DispatchDayResult) -> v.View:
    if result.samples.is_empty():
        return []
    head = ("", "worst of set", "mean", "95th percentile", "highest", "kWh shed", "days shed", "days outside")
    rows: list[tuple[str, ...]] = [head]
    for row in result.samples.iter_rows(named=True):
        costs = [words.usd(row[f"{name}_usd"]) for name in ("worst", "mean", "p95", "max")]
        shed = "-" if row["shed_kwh"] is None else f"{row['shed_kwh'] + 0.0:,.1f}"
        rows.append((row["plan"], *costs, shed, str(row["shed_days"]), str(row["outside_days"])))
    title = f"In {result.samples['days'][0]} days drawn at random, by AC:"
    return [v.Line(title, "bold"), v.Rows(rows, range(1, len(head)), head=True), v.Line()]


def _switching(result: DispatchDayResult) -> v.View:
    lines: v.View = [v.Line(f"Open branches: {words.names(result.open_branches)}", "bold")]
    listed = result.switches
    for period in listed["period"].unique(maintain_order=True).head(_MOST_SWITCHES):
        here = listed.filter(period=period)
        parts = [
            f"{action} {words.names(names)}"
            for action in ("close", "open")
            if (names := here.filter(action=action)["name"].to_list())
        ]
        lines.append(v.Line(f"  {words.safe(period)}: {'; '.join(parts)}"))
    return lines if listed.height else [*lines, v.Line("Nothing to switch: today's open branches are the answer.")]
