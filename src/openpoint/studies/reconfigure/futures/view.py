"""One topology for many futures in the terminal: why the run stopped, and three topologies next to each other."""

from __future__ import annotations

from openpoint.report.terminal import words
from openpoint.report.terminal.view import Line, Rows, View, stop, switching, violated, violation_rows
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.futures.words import against_mean

_TITLES = {"before": "today", "mean": "mean future's", "after": "answer"}
_HEAD = ("topology", "mean kW", "worst 10 % kW", "worst kW", "limits hold", "lowest pu", "highest pu")


def view(result: FuturesResult) -> View:
    """Why the run stopped, and three topologies next to each other."""
    bound = f"bound {words.kw(result.lower_bound_kw)} kW"
    lines = stop(result)
    if result.objective_kw is None:
        share = "all futures" if result.limits_share >= 1.0 else f"{result.limits_share:.2%} of the futures"
        lines.append(Line(f"No topology was found that keeps the limits in {share} ({bound})."))
    else:
        risk = result.risk if result.ambiguity is None else f"worst {result.risk}, {result.ambiguity}"
        lines.append(Line(f"\n{risk.capitalize()}: {words.kw(result.objective_kw)} kW", "bold"))
    counts = {"planned": result.futures.height, "sample": result.sample.height}
    for name, title in (("planned", "futures planned for"), ("sample", "other futures")):
        plans = result.plans.filter(set=name)
        if plans.height:
            rows = [_HEAD, *(_plan(result, plan) for plan in plans.iter_rows(named=True))]
            lines += [Line(f"\nIn {counts[name]} {title}", "bold"), Rows(rows, range(1, 7), head=True)]
    lines.append(Line(f"\n{against_mean(result)}"))
    lines.append(Line(f"Open today: {words.names(result.open_before)}"))
    lines.append(Line(f"Open for the mean future: {words.names(result.open_mean)}"))
    if result.objective_kw is not None:
        lines += [*switching(result), Line(f"Gap: {words.percent(result.gap)} % ({bound})")]
    elif result.least_violation_open:
        lines.append(Line(f"Least violation met with these branches open: {words.names(result.least_violation_open)}"))
    return lines + _check(result)


def _plan(result: FuturesResult, plan: dict[str, object]) -> tuple[str, ...]:
    title = _TITLES[str(plan["topology"])]
    if plan["topology"] == "after" and result.objective_kw is None:
        title = "least violation"
    keys = ("loss_expected_kw", "loss_cvar90_kw", "loss_worst_kw", "limits_kept_share", "v_lowest_pu", "v_highest_pu")
    *losses, kept, low, high = (value if isinstance(value := plan[key], float) else None for key in keys)
    volts = ["-" if v is None else f"{v:.4f}" for v in (low, high)]
    return (title, *map(words.kw, losses), f"{kept:.1%}", *volts)


def _check(result: FuturesResult) -> View:
    if result.ac_max_mismatch_pu is None:
        return []
    broken = result.violations
    text = violated(broken.height)
    if broken.height:
        text += f" in {words.count(broken['future'].n_unique(), 'future')}"
    mismatch = words.small(result.ac_max_mismatch_pu)
    check = Line(f"AC check of every future: largest mismatch {mismatch} pu, {text}")
    return [check, *violation_rows(broken, "in", "future")]
