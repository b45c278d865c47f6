"""What results of partitioning write: summaries and tables, of one level of uncertainty or of several."""

from __future__ import annotations

from typing import Any

import polars as pl

from openpoint.studies.partition.ac.verdict import failures_table, samples_table
from openpoint.studies.partition.result import PartitionLevels, PartitionResult
from openpoint.studies.partition.steps.result import PartitionStepsResult


def partition_summary(result: PartitionResult) -> dict[str, Any]:
    """Everything of the result that is no table. Costs are in $, for an hour."""
    return {
        "method": result.method,
        "termination": result.termination.value,
        "remedy": result.termination.remedy,
        "seconds": result.seconds,
        "uncertainty": result.uncertainty,
        "uncertain_loads": list(result.uncertain_loads),
        "served_kw": result.served_kw,
        "total_kw": result.total_kw,
        "cost": result.cost_usd,
        "lost_cost": result.lost_usd,
        "generation_cost": result.generation_usd,
        "worst_recourse_cost": result.worst_recourse_usd,
        "lower_bound": result.lower_bound_usd,
        "gap": result.gap,
        "worst_slack_kw": result.worst_slack_kw,
        "energised_blocks": list(result.energised_blocks),
        "closed_switches": list(result.closed_switches),
        "open_switches": list(result.open_switches),
        "grid_forming": list(result.grid_forming),
        "notes": list(result.notes),
    }


def partition_tables(result: PartitionResult) -> dict[str, pl.DataFrame]:
    """The tables by name."""
    return {
        "islands": result.islands,
        "blocks": result.blocks,
        "generators": result.generators,
        "switches": result.switches,
        "samples": samples_table(result.samples),
        "failures": failures_table(result.samples),
        "iterations": result.iterations,
    }


def partition_document(result: PartitionResult) -> dict[str, Any]:
    """The whole result as plain values; names of an island are lists."""
    return {**partition_summary(result), **_rows(partition_tables(result), ["island"])}


def _rows(tables: dict[str, pl.DataFrame], key: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The rows of the tables; names of an island, which `key` tells, are lists."""
    rows = {name: frame.to_dicts() for name, frame in tables.items()}
    for row in rows["islands"]:
        here = {column: row[column] for column in key}
        row["blocks"] = tables["blocks"].filter(**here)["name"].to_list()
        row["grid_forming"] = tables["generators"].filter(**here, forms_grid=True)["name"].to_list()
    return rows


def levels_tables(result: PartitionLevels) -> dict[str, pl.DataFrame]:
    """The tables of all levels under each other, the level in front."""
    frames: dict[str, list[pl.DataFrame]] = {}
    for level, each in result.by_level.items():
        for name, frame in partition_tables(each).items():
            frames.setdefault(name, []).append(frame.select(pl.lit(level).alias("level"), pl.all()))
    return {name: pl.concat(parts) for name, parts in frames.items()}


def steps_summary(result: PartitionStepsResult) -> dict[str, Any]:
    """Everything of the result over time that is no table. Costs are in $."""
    return {
        "method": result.method,
        "termination": result.termination.value,
        "remedy": result.termination.remedy,
        "seconds": result.seconds,
        "uncertainty": result.uncertainty,
        "uncertain_loads": list(result.uncertain_loads),
        "max_actions": result.max_actions,
        "keep_energised": result.keep_energised,
        "served_kwh": result.served_kwh,
        "total_kwh": result.total_kwh,
        "cost": result.cost_usd,
        "lost_cost": result.lost_usd,
        "generation_cost": result.generation_usd,
        "worst_recourse_cost": result.worst_recourse_usd,
        "lower_bound": result.lower_bound_usd,
        "gap": result.gap,
        "worst_slack_kw": result.worst_slack_kw,
        "notes": list(result.notes),
    }


def steps_tables(result: PartitionStepsResult) -> dict[str, pl.DataFrame]:
    """The tables by name, the step in front."""
    return {
        "steps": result.steps,
        "switches": result.switches,
        "islands": result.islands,
        "blocks": result.blocks,
        "generators": result.generators,
        "storage": result.storage,
        "priorities": result.priorities,
        "iterations": result.iterations,
    }


def steps_document(result: PartitionStepsResult) -> dict[str, Any]:
    """The whole result over time as plain values; names of an island are lists."""
    return {**steps_summary(result), **_rows(steps_tables(result), ["step", "island"])}
