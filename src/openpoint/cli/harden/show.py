"""What a person sees of a hardening: the plan, its cost, every disaster after it, and what the plan is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from rich.console import Console
from rich.text import Text

from openpoint.cli import words
from openpoint.cli.display import VIOLATIONS_SHOWN, show_rows, show_stop

if TYPE_CHECKING:
    from openpoint.studies.harden.result import HardenResult

DISASTERS_SHOWN = 12


def show_harden(out: Console, result: HardenResult, *, pictured: bool) -> None:
    """Why the run stopped, the plan, and what happens after it."""
    show_stop(out, result)
    bound = f"bound {words.usd(result.lower_bound_usd)}"
    if result.cost_usd is None or result.investment_usd is None:
        out.print(Text(f"No plan was found ({bound})."))
        return
    out.print(Text(f"\nCost {words.usd(result.cost_usd)}: {result.uncertainty}", "bold"))
    show_rows(out, _sums(result))
    out.print(Text(f"Harden: {words.names(result.hardened_branches)}", "bold"))
    out.print(Text(f"Backup generators at: {words.names(result.generators)}", "bold"))
    if result.worst_attack:
        out.print(Text(f"Worst attack after that: {words.names(result.worst_attack)}"))
    out.print(Text(f"Gap: {words.percent(result.gap)} % ({bound})"))
    _show_disasters(out, result)
    _show_value(out, result)
    _show_check(out, result)
    more = "" if pictured else "; --report FILE.html draws every disaster"
    out.print(Text(f"\nWhat to switch after each disaster: --json or --csv, table branches{more}.", "dim"))


def _sums(result: HardenResult) -> list[tuple[str, str]]:
    assert result.cost_usd is not None
    assert result.investment_usd is not None
    outage = "of the worst attack" if result.any_lines is not None else "of outages, expected"
    rows = [
        ("investment", words.usd(result.investment_usd)),
        (outage, words.usd(result.cost_usd - result.investment_usd)),
    ]
    if result.without_plan_usd is not None:
        rows.append(("without a plan", words.usd(result.without_plan_usd)))
    return rows


def _show_disasters(out: Console, result: HardenResult) -> None:
    """The disasters that weigh most."""
    table = result.disasters.with_columns(risk=pl.col("weight").fill_null(1.0) * pl.col("cost_usd"))
    shown = table.sort("risk", descending=True, nulls_last=True, maintain_order=True).head(DISASTERS_SHOWN)
    ambiguous = not result.disasters["weight"].equals(result.disasters["probability"])
    head = ["disaster", "probability", *(["worst case"] if ambiguous else []), "cost", "shed kW", "islands", "broken"]
    rows = [head]
    for row in shown.iter_rows(named=True):
        probabilities = [_share(row["probability"]), *([_share(row["weight"])] if ambiguous else [])]
        islands = "-" if row["islands"] is None else str(row["islands"])
        name = words.safe(row["disaster"]) + (f" (+{row['count'] - 1} equal)" if row["count"] > 1 else "")
        figures = [words.usd(row["cost_usd"]), words.kw(row["shed_kw"]), islands]
        rows.append([name, *probabilities, *figures, words.safe(row["broken"]) or "nothing"])
    if result.any_lines is not None:
        rows = [[cell for k, cell in enumerate(row) if head[k] not in ("probability", "worst case")] for row in rows]
    out.print()
    show_rows(out, rows, range(1, len(rows[0]) - 1), head=True)
    if (more := table.height - shown.height) > 0:
        out.print(Text(f"and {more} more that weigh less; --json, --csv and --report list all"))


def _show_value(out: Console, result: HardenResult) -> None:
    if result.wait_and_see_usd is None:
        return
    rows = [
        ("if the disaster were known in advance", words.usd(result.wait_and_see_usd), "knowing it would save"),
        ("plan for the most likely disaster", words.usd(result.most_likely_plan_usd), ""),
        ("plan for the mean disaster", words.usd(result.mean_value_plan_usd), "this plan saves over that"),
    ]
    saved = (result.evpi_usd, None, result.vss_usd)
    out.print(Text("\nWhat the plan is worth", "bold"))
    show_rows(
        out,
        [(what, cost, f"{told} {words.usd(by)}" if told else "") for (what, cost, told), by in zip(rows, saved)],
        (1,),
    )


def _show_check(out: Console, result: HardenResult) -> None:
    if result.ac_max_mismatch_pu is None:
        return
    broken = result.violations
    told = f"{words.count(broken.height, 'limit')} violated" if broken.height else "no limit violated"
    out.print(Text(f"\nAC check: largest mismatch {words.small(result.ac_max_mismatch_pu)} pu, {told}"))
    for row in broken.head(VIOLATIONS_SHOWN).iter_rows(named=True):
        place = words.safe(f"{row['kind']} at {row['name']} after {row['disaster']}")
        out.print(Text(f"  {place}: {row['value']:.5g} {row['unit']}, limit {row['limit']:.5g} {row['unit']}"))
    if (more := broken.height - VIOLATIONS_SHOWN) > 0:
        out.print(Text(f"  and {more} more; --json, --csv and --report list all"))


def _share(probability: float | None) -> str:
    return "-" if probability is None else f"{probability:.4g}"
