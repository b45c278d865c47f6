"""What a result for many futures writes: its summary and its tables."""

from __future__ import annotations

from typing import Any

import polars as pl

from openpoint.results.base import switched
from openpoint.studies.reconfigure.futures.result import FuturesResult


def futures_summary(result: FuturesResult) -> dict[str, Any]:
    """Everything of the result that is no table."""
    return {
        "method": result.method,
        "termination": result.termination.value,
        "remedy": result.termination.remedy,
        "seconds": result.seconds,
        "futures_count": result.futures.height,
        "sample_count": result.sample.height,
        "risk": result.risk,
        "ambiguity": result.ambiguity,
        "limits_share": result.limits_share,
        "objective_kw": result.objective_kw,
        "lower_bound_kw": result.lower_bound_kw,
        "gap": result.gap,
        "open_before": list(result.open_before),
        "open_mean": list(result.open_mean),
        "open_branches": list(result.open_branches),
        "changes": switched(result),
        "ac_max_mismatch_pu": result.ac_max_mismatch_pu,
        "least_violation_open": list(result.least_violation_open),
        "notes": list(result.notes),
    }


def futures_tables(result: FuturesResult) -> dict[str, pl.DataFrame]:
    """The tables by name."""
    return {
        "switching_list": result.switching_list,
        "plans": result.plans,
        "futures": result.futures,
        "sample": result.sample,
        "buses": result.buses,
        "branches": result.branches,
        "violations": result.violations,
        "iterations": result.iterations,
    }
