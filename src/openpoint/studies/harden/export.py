"""What a result of hardening writes: its summary and its tables."""

from __future__ import annotations

from typing import Any

import polars as pl

from openpoint.studies.harden.result import HardenResult


def harden_summary(result: HardenResult) -> dict[str, Any]:
    """Everything of the result that is no table."""
    return {
        "method": result.method,
        "termination": result.termination.value,
        "remedy": result.termination.remedy,
        "seconds": result.seconds,
        "uncertainty": result.uncertainty,
        "any_lines": result.any_lines,
        "cost_usd": result.cost_usd,
        "investment_usd": result.investment_usd,
        "lower_bound_usd": result.lower_bound_usd,
        "gap": result.gap,
        "hardened_branches": list(result.hardened_branches),
        "generators": list(result.generators),
        "shed_kw": result.shed_kw,
        "without_plan_usd": result.without_plan_usd,
        "wait_and_see_usd": result.wait_and_see_usd,
        "evpi_usd": result.evpi_usd,
        "most_likely_plan_usd": result.most_likely_plan_usd,
        "mean_value_plan_usd": result.mean_value_plan_usd,
        "vss_usd": result.vss_usd,
        "worst_attack": list(result.worst_attack),
        "ac_max_mismatch_pu": result.ac_max_mismatch_pu,
        "notes": list(result.notes),
    }


def harden_tables(result: HardenResult) -> dict[str, pl.DataFrame]:
    """The tables by name."""
    return {
        "disasters": result.disasters,
        "buses": result.buses,
        "branches": result.branches,
        "sources": result.sources,
        "violations": result.violations,
        "iterations": result.iterations,
    }
