"""What a person sees of one topology for many futures, and of futures that were drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from rich.console import Console
from rich.text import Text

from openpoint.cli import words
from openpoint.cli.display import VIOLATIONS_SHOWN, show_rows, show_stop
from openpoint.studies.reconfigure.futures.words import against_mean

if TYPE_CHECKING:
    from openpoint.grid import Grid
    from openpoint.studies.reconfigure.futures.result import FuturesResult

_TITLES = {"before": "today", "mean": "mean future's", "after": "answer"}


def show_futures(out: Console, result: FuturesResult) -> None:
    """Why the run stopped, and three topologies next to each other."""
    show_stop(out, result)
    bound = f"bound {words.kw(result.lower_bound_kw)} kW"
    if result.objective_kw is None:
        share = "all futures" if result.limits_share >= 1.0 else f"{result.limits_share:.2%} of the futures"
        out.print(Text(f"No topology was found that keeps the limits in {share} ({bound})."))
    else:
        risk = result.risk if result.ambiguity is None else f"worst {result.risk}, {result.ambiguity}"
        out.print(Text(f"\n{risk.capitalize()}: {words.kw(result.objective_kw)} kW", "bold"))
    counts = {"planned": result.futures.height, "sample": result.sample.height}
    for name, title in (("planned", "futures planned for"), ("sample", "other futures")):
        plans = result.plans.filter(set=name)
        if plans.height:
            out.print(Text(f"\nIn {counts[name]} {title}", "bold"))
            show_rows(out, _comparison(result, plans), range(1, 7), head=True)
    out.print(Text(f"\n{against_mean(result)}"))
    out.print(Text(f"Open today: {words.names(result.open_before)}"))
    out.print(Text(f"Open for the mean future: {words.names(result.open_mean)}"))
    if result.objective_kw is not None:
        out.print(Text(f"Open branches: {words.names(result.open_branches)}", "bold"))
        for action in ("close", "open"):
            if branches := [name for name, what in result.switching if what == action]:
                out.print(Text(f"To {action}: {words.names(branches)}"))
        if not result.changes:
            out.print(Text("Nothing to switch: today's open branches are the answer."))
        out.print(Text(f"Gap: {words.percent(result.gap)} % ({bound})"))
    elif result.least_violation_open:
        out.print(Text(f"Least violation met with these branches open: {words.names(result.least_violation_open)}"))
    _show_check(out, result)


def _comparison(result: FuturesResult, plans: pl.DataFrame) -> list[list[str]]:
    rows = [["topology", "mean kW", "worst 10 % kW", "worst kW", "limits hold", "lowest pu", "highest pu"]]
    for plan in plans.iter_rows(named=True):
        title = _TITLES[plan["topology"]]
        if plan["topology"] == "after" and result.objective_kw is None:
            title = "least violation"
        losses = [words.kw(plan[key]) for key in ("loss_expected_kw", "loss_cvar90_kw", "loss_worst_kw")]
        volts = ["-" if plan[key] is None else f"{plan[key]:.4f}" for key in ("v_lowest_pu", "v_highest_pu")]
        rows.append([title, *losses, f"{plan['limits_kept_share']:.1%}", *volts])
    return rows


def _show_check(out: Console, result: FuturesResult) -> None:
    if result.ac_max_mismatch_pu is None:
        return
    broken = result.violations
    told = "no limit violated"
    if broken.height:
        futures = words.count(broken["future"].n_unique(), "future")
        told = f"{words.count(broken.height, 'limit')} violated in {futures}"
    out.print(Text(f"AC check of every future: largest mismatch {words.small(result.ac_max_mismatch_pu)} pu, {told}"))
    for row in broken.head(VIOLATIONS_SHOWN).iter_rows(named=True):
        place = words.safe(f"{row['kind']} at {row['name']} in {row['future']}")
        out.print(Text(f"  {place}: {row['value']:.5g} {row['unit']}, limit {row['limit']:.5g} {row['unit']}"))
    if (more := broken.height - VIOLATIONS_SHOWN) > 0:
        out.print(Text(f"  and {more} more; --json, --csv and --report list all"))


def statistics_rows(grid: Grid, statistics: pl.DataFrame) -> list[tuple[str, str]]:
    """What futures are like, next to today."""
    p = statistics["p_kw"]
    today = float(grid.loads["p_kw"].sum()) - float(grid.generators["p_kw"].sum())
    feeding = statistics.filter(pl.col("p_min_kw") < 0.0).height
    return [
        ("net demand today", f"{today:,.1f} kW"),
        ("net demand, lowest", _of(p.min())),
        ("net demand, mean", _of(p.mean())),
        ("net demand, highest", _of(p.max())),
        ("some bus feeds back in", f"{feeding / statistics.height:.1%} of the futures"),
    ]


def _of(value: object) -> str:
    return f"{value:,.1f} kW" if isinstance(value, float) else "-"
