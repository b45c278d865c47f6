"""A hardening in the terminal: the plan, its cost, every disaster after it, and what the plan is worth."""

from __future__ import annotations

import polars as pl

from openpoint.report.terminal import words
from openpoint.report.terminal.view import Line, Rows, View, ac_check, stop, violation_rows
from openpoint.studies.harden.result import HardenResult

DISASTERS_SHOWN = 12


def view(result: HardenResult) -> View:
    """Why the run stopped, the plan, and what happens after it."""
    bound = f"bound {words.usd(result.lower_bound_usd)}"
    lines = stop(result)
    if result.cost_usd is None or result.investment_usd is None:
        return [*lines, Line(f"No plan was found ({bound}).")]
    lines += [
        Line(f"\nCost {words.usd(result.cost_usd)}: {result.uncertainty}", "bold"),
        Rows(_sums(result, result.cost_usd, result.investment_usd)),
        Line(f"Harden: {words.names(result.hardened_branches)}", "bold"),
        Line(f"Backup generators at: {words.names(result.generators)}", "bold"),
    ]
    if result.worst_attack:
        lines.append(Line(f"Worst attack after that: {words.names(result.worst_attack)}"))
    lines.append(Line(f"Gap: {words.percent(result.gap)} % ({bound})"))
    lines += [*_disasters(result), *_value(result)]
    if result.ac_max_mismatch_pu is not None:
        lines += [Line(), *ac_check(result.ac_max_mismatch_pu, result.violations.height)]
    return [*lines, *violation_rows(result.violations, "after", "disaster")]


def _sums(result: HardenResult, cost_usd: float, investment_usd: float) -> list[tuple[str, str]]:
    outage = "of the worst attack" if result.any_lines is not None else "of outages, expected"
    rows = [("investment", words.usd(investment_usd)), (outage, words.usd(cost_usd - investment_usd))]
    if result.without_plan_usd is not None:
        rows.append(("without a plan", words.usd(result.without_plan_usd)))
    return rows


def _disasters(result: HardenResult) -> View:
    """The disasters that weigh most."""
    table = result.disasters.with_columns(risk=pl.col("weight").fill_null(1.0) * pl.col("cost_usd"))
    shown = table.sort("risk", descending=True, nulls_last=True, maintain_order=True).head(DISASTERS_SHOWN)
    attacked = result.any_lines is not None
    ambiguous = not attacked and not result.disasters["weight"].equals(result.disasters["probability"])
    shares = [*(["probability"] if not attacked else []), *(["weight"] if ambiguous else [])]
    heads = {"probability": "probability", "weight": "worst case"}
    rows = [["disaster", *(heads[key] for key in shares), "cost", "shed kW", "islands", "broken"]]
    for row in shown.iter_rows(named=True):
        islands = "-" if row["islands"] is None else str(row["islands"])
        name = words.safe(row["disaster"]) + (f" (+{row['count'] - 1} equal)" if row["count"] > 1 else "")
        figures = [words.usd(row["cost_usd"]), words.kw(row["shed_kw"]), islands]
        rows.append([name, *(_share(row[key]) for key in shares), *figures, words.safe(row["broken"]) or "nothing"])
    lines: View = [Line(), Rows(rows, range(1, len(rows[0]) - 1), head=True)]
    if (more := table.height - shown.height) > 0:
        lines.append(Line(f"and {more} more that weigh less; --json, --csv and --report list all"))
    return lines


def _value(result: HardenResult) -> View:
    if result.wait_and_see_usd is None:
        return []
    rows = [
        (
            "if the disaster were known in advance",
            words.usd(result.wait_and_see_usd),
            f"knowing it would save {words.usd(result.evpi_usd)}",
        ),
        ("plan for the most likely disaster", words.usd(result.most_likely_plan_usd), ""),
        (
            "plan for the mean disaster",
            words.usd(result.mean_value_plan_usd),
            f"this plan saves over that {words.usd(result.vss_usd)}",
        ),
    ]
    return [Line("\nWhat the plan is worth", "bold"), Rows(rows, (1,))]


def _share(probability: float | None) -> str:
    return "-" if probability is None else f"{probability:.4g}"
