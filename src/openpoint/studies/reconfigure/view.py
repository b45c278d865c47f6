"""A reconfiguration in the terminal: why it stopped, and the grid before and after."""

from __future__ import annotations

import math

import polars as pl

from openpoint.report.switch_plan import plan_view
from openpoint.report.terminal import view as v
from openpoint.report.terminal import words
from openpoint.results.violation import phase_words
from openpoint.studies.reconfigure.result import SoftLimits, TopologyResult


def view(result: TopologyResult) -> v.View:
    """Why the run stopped, and the grid before and after."""
    lines = [*v.stop(result), *_answer(result), *v.ac_check(result.ac_max_mismatch_pu, len(result.violations))]
    lines += v.violations("Limits violated", result.violations)
    if result.soft_limits is not None:
        lines.append(v.Line(f"Limits relaxed for this answer: {words.safe(_relaxed(result.soft_limits))}", "bold red"))
    if result.plan is not None:
        lines += plan_view(result.plan)
    return [*lines, *v.least_violation(result)]


def _answer(result: TopologyResult) -> v.View:
    bound = f"bound {words.kw(result.lower_bound_kw)} kW"
    if result.loss_kw is None:
        return [v.Line(f"No topology that keeps the limits was found ({bound}).")]
    losses = f"{words.kw(result.loss_before_kw)} → {words.kw(result.loss_kw)} kW"
    is_loss = result.objective_kw is None or math.isclose(result.objective_kw, result.loss_kw, rel_tol=1e-9)
    objective = "" if is_loss else f" of {words.kw(result.objective_kw)} kW with changes"
    if result.linear_kw is not None:
        bound += f" of the linear model, its best {words.kw(result.linear_kw)} kW"
    return [
        v.Line(f"\nLoss {losses}{_saving(result)}", "bold"),
        v.Rows(before_after(result), head=True),
        v.Line(f"Open today: {words.names(result.open_before)}"),
        *v.switching(result, places(result)),
        v.proof(result.gap, bound, objective),
    ]


def places(result: TopologyResult) -> pl.DataFrame:
    """What is to be opened or closed; of a line that is switched at one end alone the bus there."""
    end = pl.col("open_end")
    at = pl.when(end == "from").then("from_bus").when(end == "to").then("to_bus")
    named = pl.when(end == "both").then("name").otherwise(pl.format("{} (at {})", "name", at))
    return result.switching_list.select("action", named.alias("name"))


def before_after(result: TopologyResult) -> list[tuple[str, str, str]]:
    before, after = (_loading(result.branches, f"loading_{when}_percent") for when in ("before", "after"))
    return [
        ("", "today", "answer"),
        ("loss", f"{words.kw(result.loss_before_kw)} kW", f"{words.kw(result.loss_kw)} kW"),
        (
            "lowest voltage",
            words.voltage(result.v_min_before_pu, result.v_min_before_bus) + phase_words(result.v_min_before_phase),
            words.voltage(result.v_min_pu, result.v_min_bus) + phase_words(result.v_min_phase),
        ),
        ("highest loading", before, after),
    ]


def _loading(branches: pl.DataFrame, column: str) -> str:
    known = branches.filter(pl.col(column).is_not_null()).sort(column)
    if known.is_empty():
        return "no ratings given"
    return f"{known[column][-1]:.1f} % at {words.safe(known['name'][-1])}"


def _saving(result: TopologyResult) -> str:
    before, after = result.loss_before_kw, result.loss_kw
    if before is None or after is None or before <= 0.0:
        return ""
    return f" ({100.0 * (after - before) / before:+.2f} %)"


def _relaxed(soft: SoftLimits) -> str:
    shown = [str(each) for each in soft.relaxed[: v.VIOLATIONS_SHOWN]]
    more = len(soft.relaxed) - len(shown)
    proof = "proven to be the least" if soft.proven else "not proven to be the least"
    return f"{', '.join(shown)}{f', and {more} more' if more else ''}; {proof}"
