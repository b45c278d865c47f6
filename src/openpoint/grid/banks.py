"""Capacitor banks: what they feed in at each number of steps; rows are of the table `capacitors`, without faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def kvar_by_steps(row: Mapping[str, Any]) -> list[float]:
    """Reactive power at nominal voltage with 0, 1, … steps on."""
    if row["levels_kvar"]:
        return [0.0, *row["levels_kvar"]]
    return [row["q_kvar"] * k / row["steps"] for k in range(row["steps"] + 1)]


def kvar_today(row: Mapping[str, Any]) -> float:
    """Reactive power at nominal voltage of the steps that are on today."""
    if row["levels_kvar"]:
        return kvar_by_steps(row)[int(row["steps_on"])]
    return float(row["q_kvar"] * row["steps_on"] / row["steps"])
