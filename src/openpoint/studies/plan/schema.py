"""The shape of what `openpoint plan` writes."""

from __future__ import annotations

from openpoint.results.schema import Schema, names
from openpoint.results.shape import Shape
from openpoint.results.switch_plan import PLAN_KEYS, STEPS

_KEYS: dict[str, Schema] = {
    "open_before": names("branches that are open before the plan"),
    "open_after": names("branches that are open after it"),
    **PLAN_KEYS,
}

PLAN = Shape("plan", "plan", "Result of openpoint plan", _KEYS, {"switch_plan": STEPS})
