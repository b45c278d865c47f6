"""Write a result as JSON, CSV, Parquet or Excel: the same figures under the same names everywhere.

A result is a summary (one value a key) and some tables (buses, branches, …). JSON holds both in one document, whose
shape `json_schema` publishes; CSV and Parquet hold a file a table, the summary being the table of one row; Excel holds
a sheet a table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs

from openpoint.names import join_names
from openpoint.results.base import switched
from openpoint.studies.harden.export import harden_summary, harden_tables
from openpoint.studies.harden.result import HardenResult
from openpoint.studies.partition.export import (
    levels_tables,
    partition_document,
    partition_summary,
    partition_tables,
    steps_document,
    steps_summary,
    steps_tables,
)
from openpoint.studies.partition.result import PartitionLevels, PartitionResult
from openpoint.studies.partition.steps.result import PartitionStepsResult
from openpoint.studies.powerflow.study import PowerflowResult
from openpoint.studies.reconfigure.futures.export import futures_summary, futures_tables
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.result import ReconfigureResult, SoftLimits, Violation
from openpoint.version import __version__

Partitioned = PartitionResult | PartitionStepsResult | PartitionLevels
Result = ReconfigureResult | PowerflowResult | HardenResult | FuturesResult | Partitioned
Value = str | float | int | None


def to_json(result: Result) -> str:
    """The result as a JSON document, indented; what is infinite or not a number is null."""
    return json.dumps(document(result), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(result: Result, folder: str | Path) -> list[Path]:
    """Write a CSV file a table into the folder, which is made where missing; the paths written."""
    return [_write_csv(frame, path) for frame, path in _files(result, Path(folder), "csv")]


def to_parquet(result: Result, folder: str | Path) -> list[Path]:
    """Write a Parquet file a table into the folder, which is made where missing; the paths written."""
    return [_write_parquet(frame, path) for frame, path in _files(result, Path(folder), "parquet")]


def to_excel(result: Result, file: str | Path) -> Path:
    """Write one workbook with a sheet a table; the path written.

    Text is written as text: a bus called `=1+1` is no formula, one called `http://…` no link.
    """
    import xlsxwriter

    path = Path(file)
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(path, options) as book:
        bold = book.add_format({"bold": True})
        sheet = book.add_worksheet("summary")
        sheet.set_column(0, 0, 24)
        sheet.set_column(1, 1, 60)
        for row, (key, value) in enumerate(_summary_row(result).items()):
            sheet.write_string(row, 0, key, bold)
            _write_cell(sheet, row, 1, value)
        for name, frame in tables(result).items():
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 0)
            for column, header in enumerate(frame.columns):
                sheet.set_column(column, column, max(10, len(header) + 2))
                sheet.write_string(0, column, header, bold)
                for row, value in enumerate(frame[header], start=1):
                    _write_cell(sheet, row, column, value)
    return path


def document(result: Result) -> dict[str, Any]:
    """The result as plain Python values, in the order of the published schema."""
    if isinstance(result, PartitionLevels):
        levels = [{"level": level, **partition_document(each)} for level, each in result.by_level.items()]
        return {**summary(result), "levels": _plain(levels)}
    if isinstance(result, PartitionResult):
        return {**_head("partition", result), **_plain(partition_document(result))}
    if isinstance(result, PartitionStepsResult):
        return {**_head("partition-steps", result), **_plain(steps_document(result))}
    derived = _DERIVED if isinstance(result, ReconfigureResult | PowerflowResult) else ("switching_list",)
    rows = {name: frame.to_dicts() for name, frame in tables(result).items() if name not in derived}
    plain: dict[str, Any] = _plain({**summary(result), **rows})
    return plain


def summary(result: Result) -> dict[str, Any]:
    """Everything of the result that is no table."""
    if isinstance(result, PowerflowResult):
        return {**_head("powerflow", result), **_powerflow_summary(result)}
    if isinstance(result, HardenResult):
        return {**_head("harden", result), **harden_summary(result)}
    if isinstance(result, FuturesResult):
        return {**_head("futures", result), **futures_summary(result)}
    if isinstance(result, PartitionResult):
        return {**_head("partition", result), **partition_summary(result)}
    if isinstance(result, PartitionStepsResult):
        return {**_head("partition-steps", result), **steps_summary(result)}
    if isinstance(result, PartitionLevels):
        return {**_head("partition-levels", result), "level_count": len(result.by_level)}
    return {**_head("reconfigure", result), **_reconfigure_summary(result)}


def _head(study: str, result: Result) -> dict[str, Any]:
    return {"study": study, "version": __version__, "grid": result.grid.name}


def _powerflow_summary(result: PowerflowResult) -> dict[str, Any]:
    return {
        "loss_kw": result.loss_kw,
        "v_min_pu": result.v_min_pu,
        "v_min_bus": result.v_min_bus,
        "v_min_phase": result.v_min_phase,
        "v_max_pu": result.v_max_pu,
        "v_max_bus": result.v_max_bus,
        "v_max_phase": result.v_max_phase,
        "ac_max_mismatch_pu": result.ac_max_mismatch_pu,
        "violations": [_violation(v) for v in result.violations],
        "notes": list(result.notes),
    }


def _reconfigure_summary(result: ReconfigureResult) -> dict[str, Any]:
    return {
        "method": result.method,
        "termination": result.termination.value,
        "remedy": result.termination.remedy,
        "seconds": result.seconds,
        "loss_before_kw": result.loss_before_kw,
        "loss_kw": result.loss_kw,
        "objective_kw": result.objective_kw,
        "lower_bound_kw": result.lower_bound_kw,
        "gap": result.gap,
        "bound_of": result.bound_of,
        "linear_kw": result.linear_kw,
        "open_before": list(result.open_before),
        "open_branches": list(result.open_branches),
        "changes": switched(result),
        "v_min_pu": result.v_min_pu,
        "v_min_bus": result.v_min_bus,
        "v_min_phase": result.v_min_phase if result.v_min_bus is not None else None,
        "v_min_before_pu": result.v_min_before_pu,
        "v_min_before_bus": result.v_min_before_bus,
        "v_min_before_phase": result.v_min_before_phase if result.v_min_before_bus is not None else None,
        "ac_max_mismatch_pu": result.ac_max_mismatch_pu,
        "violations": [_violation(v) for v in result.violations],
        "least_violation": [_violation(v) for v in result.least_violation],
        "least_violation_open": list(result.least_violation_open),
        "soft_limits": None if result.soft_limits is None else _soft_limits(result.soft_limits),
        "notes": list(result.notes),
    }


def tables(result: Result) -> dict[str, pl.DataFrame]:
    """The tables of the result by name, violated limits included; infinity and NaN are null."""
    if isinstance(result, HardenResult):
        return {name: _finite(frame) for name, frame in harden_tables(result).items()}
    if isinstance(result, FuturesResult):
        return {name: _finite(frame) for name, frame in futures_tables(result).items()}
    if isinstance(result, PartitionResult):
        return {name: _finite(frame) for name, frame in partition_tables(result).items()}
    if isinstance(result, PartitionStepsResult):
        return {name: _finite(frame) for name, frame in steps_tables(result).items()}
    if isinstance(result, PartitionLevels):
        frames = {"levels": _levels(result), **levels_tables(result)}
        return {name: _finite(frame) for name, frame in frames.items()}
    frames = {"buses": result.buses, "branches": result.branches}
    if isinstance(result, PowerflowResult):
        frames |= {"sources": result.sources, "generators": result.generators}
    else:
        frames |= {"switching_list": result.switching_list, "phases": result.phases}
        frames |= {"generators": result.generators, "iterations": result.iterations}
    frames["violations"] = pl.DataFrame([_violation(v) for v in result.violations], schema=_VIOLATION)
    return {name: _finite(frame) for name, frame in frames.items()}


# Tables whose content the summary of the JSON document already holds.
_DERIVED = ("violations", "switching_list")


def _violation(violation: Violation) -> dict[str, Value]:
    return {
        "kind": violation.kind,
        "name": violation.name,
        "phase": violation.phase,
        "value": violation.value,
        "limit": violation.limit,
        "unit": violation.unit,
    }


def _soft_limits(soft: SoftLimits) -> dict[str, Any]:
    rows = [{"kind": r.kind, "name": r.name, "phase": r.phase, "percent": r.percent} for r in soft.relaxed]
    return {"proven": soft.proven, "least_percent": soft.least_percent, "relaxed": rows}


_VIOLATION: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("kind", "name", "phase"), pl.String),
    **dict.fromkeys(("value", "limit"), pl.Float64),
    "unit": pl.String,
}


def _finite(frame: pl.DataFrame) -> pl.DataFrame:
    numbers = cs.float()
    return frame.with_columns(pl.when(numbers.is_finite()).then(numbers))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value


def _summary_row(result: Result) -> dict[str, Value]:
    """The summary with one value a key, for tables: lists of names become text, lists of limits their number."""
    row: dict[str, Value] = {}
    for key, value in _plain(summary(result)).items():
        if key == "changes":
            for action in ("close", "open"):
                row[f"to_{action}"] = join_names(item["branch"] for item in value if item["action"] == action)
        elif isinstance(result, ReconfigureResult) and key == "soft_limits":
            soft = result.soft_limits
            row[key] = None if soft is None else "; ".join(str(limit) for limit in soft.relaxed)
        elif isinstance(value, dict):
            continue  # a table holds it
        elif not isinstance(value, list):
            row[key] = value
        elif all(isinstance(item, str) for item in value) and key not in _COUNTED:
            row[key] = join_names(value)
        else:
            row[key] = len(value)
    return row


_COUNTED = ("violations", "least_violation")


def _files(result: Result, folder: Path, ending: str) -> list[tuple[pl.DataFrame, Path]]:
    folder.mkdir(parents=True, exist_ok=True)
    frames = {"summary": _summary_frame(result), **tables(result)}
    return [(frame, folder / f"{name}.{ending}") for name, frame in frames.items()]


def _summary_frame(result: Result) -> pl.DataFrame:
    """One row; columns keep their type also where there is no value, so that files of many runs go together."""
    row = _summary_row(result)
    schema = {key: _NUMBERS.get(key, pl.Float64 if _is_number(key, value) else pl.String) for key, value in row.items()}
    return pl.DataFrame([row], schema=schema)


def _levels(result: PartitionLevels) -> pl.DataFrame:
    """The summaries of all levels under each other, the level in front."""
    rows = [
        _summary_frame(each).select(pl.lit(level).alias("level"), pl.all().exclude(_head("", each)))
        for level, each in result.by_level.items()
    ]
    return pl.concat(rows)


_NUMBERS: dict[str, type[pl.DataType]] = {
    "violations": pl.Int64,
    "least_violation": pl.Int64,
    "any_lines": pl.Int64,
    "futures_count": pl.Int64,
    "sample_count": pl.Int64,
    "level_count": pl.Int64,
    "max_actions": pl.Int64,
    "limits_share": pl.Float64,
    "seconds": pl.Float64,
    "gap": pl.Float64,
    "cost": pl.Float64,
    "lower_bound": pl.Float64,
}


def _is_number(key: str, value: Value) -> bool:
    return isinstance(value, float) or key.endswith(("_kw", "_pu", "_usd", "_cost"))


def _write_csv(frame: pl.DataFrame, path: Path) -> Path:
    frame.write_csv(path)
    return path


def _write_parquet(frame: pl.DataFrame, path: Path) -> Path:
    frame.write_parquet(path)
    return path


def _write_cell(sheet: Any, row: int, column: int, value: Value) -> None:
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, str):
        sheet.write_string(row, column, value)
    elif value is not None:
        sheet.write_number(row, column, value)
