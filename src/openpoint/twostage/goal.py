"""What the recourse of a two-stage program is solved for."""

from __future__ import annotations

import enum


class Goal(enum.Enum):
    """What the recourse minimises: cost with the limits kept, cost with the limits left out, or their violation."""

    COST = "cost"
    WITHOUT_LIMITS = "without limits"
    VIOLATION = "violation"
