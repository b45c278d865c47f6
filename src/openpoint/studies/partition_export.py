"""What a result of partitioning writes."""

from __future__ import annotations

import json
import math
from typing import Any

from openpoint.studies.partition_result import PartitionResult


def partition_document(result: PartitionResult) -> dict[str, Any]:
    """The whole result as plain values; what is infinite is None. Costs are in $, for an hour."""
    return {
        "method": result.method,
        "termination": result.termination.value,
        "remedy": result.termination.remedy,
        "seconds": result.seconds,
        "uncertainty": result.uncertainty,
        "uncertain_loads": list(result.uncertain_loads),
        "served_kw": result.served_kw,
        "total_kw": result.total_kw,
        "cost": _finite(result.cost_usd),
        "lost_cost": result.lost_usd,
        "generation_cost": result.generation_usd,
        "worst_recourse_cost": _finite(result.worst_recourse_usd),
        "lower_bound": _finite(result.lower_bound_usd),
        "gap": _finite(result.gap),
        "worst_slack_kw": result.worst_slack_kw,
        "energised_blocks": list(result.energised_blocks),
        "closed_switches": list(result.closed_switches),
        "open_switches": list(result.open_switches),
        "grid_forming": list(result.grid_forming),
        "islands": [
            {**row, "blocks": row["blocks"].split(), "grid_forming": row["grid_forming"].split()}
            for row in result.islands.iter_rows(named=True)
        ],
        "blocks": result.blocks.to_dicts(),
        "generators": result.generators.to_dicts(),
        "switches": result.switches.to_dicts(),
        "iterations": result.iterations.to_dicts(),
        "notes": list(result.notes),
    }


def partition_json(result: PartitionResult) -> str:
    """The result as a JSON document, indented."""
    return json.dumps(partition_document(result), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
