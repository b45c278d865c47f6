"""Violations: limits that an operating point breaks, and how they are written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openpoint.results import columns as c


def phase_words(phase: str | None) -> str:
    """The phase in words, for messages after the name of a bus or branch; empty in a balanced grid."""
    return "" if phase in ("1", None) else f", phase {phase}"


POWERS = {"active power": "kW", "reactive power": "kvar"}
"""Limits of a generator, with their units."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A violation: a limit that an operating point breaks.

    Attributes:
        kind: `voltage low`, `voltage high`, `current`, or of a generator `active power`, `reactive power`.
        name: bus or branch.
        value, limit: in the unit of `unit`.
        phase: of the bus or branch; "1" in a balanced grid.
    """

    kind: str
    name: str
    value: float
    limit: float
    phase: str = "1"

    @property
    def unit(self) -> str:
        return {"current": "A", **POWERS}.get(self.kind, "pu")

    @property
    def excess(self) -> float:
        """The violation relative to the limit."""
        return abs(self.value / self.limit - 1.0) if self.limit else math.inf

    @property
    def place(self) -> str:
        """Bus or branch, and its phase where there are several."""
        return self.name + phase_words(self.phase)

    @property
    def row(self) -> dict[str, Any]:
        """The violation as a row of the table."""
        return {key: getattr(self, key) for key in VIOLATIONS}

    def __str__(self) -> str:
        return f"{self.kind} at {self.place}: {self.value:.5g} {self.unit}, limit {self.limit:.5g} {self.unit}"


PHASES = ("1", "a", "b", "c")
PHASE = c.text("1 in a balanced grid, else a, b or c", options=PHASES)


def violation_columns(of_powers: Mapping[str, str], where: str, heading: str = "where") -> c.Table:
    """The columns of violations.

    Args:
        of_powers: limits of powers that may be broken beside those of voltage and current, each with its unit.
        where: what it may be broken at. heading: of that.
    """
    kinds = ["voltage low", "voltage high", "current", *of_powers]
    units = ["pu", "A", *dict.fromkeys(of_powers.values())]
    return {
        "kind": c.text("what is broken", "limit broken", options=kinds),
        "name": c.text(where, heading),
        "phase": PHASE,
        "value": c.number("what the AC power flow gives", "value", 4),
        "limit": c.number("what is allowed", "limit", 4),
        "unit": c.text("of value and limit", options=units),
    }


def without_phase(table: c.Table) -> c.Table:
    """The columns of a balanced grid."""
    return {name: column for name, column in table.items() if name != "phase"}


VIOLATIONS = violation_columns({}, "bus or branch", "bus or branch")
