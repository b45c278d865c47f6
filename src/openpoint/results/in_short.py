"""A result in short: how good it is, what is to be done in the grid, and the figures that matter most."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from openpoint.names import join_names
from openpoint.results.base import SwitchedResult
from openpoint.studies.harden.result import HardenResult
from openpoint.studies.partition.result import PartitionLevels, PartitionResult
from openpoint.studies.partition.steps.result import PartitionStepsResult
from openpoint.studies.powerflow.study import PowerflowResult
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.result import ReconfigureResult
from openpoint.twostage.log import Termination

if TYPE_CHECKING:
    from openpoint.results.export import Result

Answered = ReconfigureResult | HardenResult | FuturesResult | PartitionResult | PartitionStepsResult


def in_short(result: Answered) -> str:
    """Why the run ended and what the answer does: `Proven optimal: 8 switchings (4 to close, 4 to open).`"""
    remedy, todo = result.termination.remedy, to_do(result)
    if not todo:
        return remedy
    if result.termination is Termination.OPTIMAL:
        return f"{remedy.removesuffix('.')}: {todo}."
    return f"{remedy} {todo[0].upper()}{todo[1:]}."


def to_do(result: Answered) -> str:
    """What the answer does in today's grid, in words; empty where there is no answer."""
    if isinstance(result, SwitchedResult):
        return _switchings([action for _, action in result.switching]) if result.has_answer else ""
    if isinstance(result, HardenResult):
        lines = _count(len(result.hardened_branches), "line")
        backups = _count(len(result.generators), "backup generator")
        bought = " and ".join(filter(None, (lines and f"{lines} to harden", backups and f"{backups} to buy")))
        return "" if result.cost_usd is None else bought or "nothing to buy"
    moved = [action for action in result.switches["switching"].to_list() if action]
    return "" if result.cost_usd is None else _switchings(moved)


def _switchings(actions: list[str]) -> str:
    """The number of actions, and how many of them close and open."""
    if not actions:
        return "nothing to switch"
    kinds = [f"{actions.count(action)} to {action}" for action in ("close", "open") if action in actions]
    return f"{_count(len(actions), 'switching')} ({', '.join(kinds)})"


def _count(number: int, one: str) -> str:
    return "" if not number else f"{number} {one}{'s' if number > 1 else ''}"


def headline(result: Result) -> str:
    """The grid, and the first sentence about the result."""
    name = result.grid.title or result.grid.name
    if isinstance(result, PowerflowResult):
        return f"{name}: power flow of today's state"
    if isinstance(result, PartitionLevels):
        return f"{name}: {len(result.by_level)} levels of uncertainty"
    return f"{name}: {in_short(result)}"


def facts(result: Result) -> dict[str, str]:
    """The figures that matter most, in words."""
    match result:
        case PowerflowResult():
            broken = len(result.violations)
            return {
                "loss": _kw(result.loss_kw),
                "voltage": f"{result.v_min_pu:.5f} to {result.v_max_pu:.5f} pu",
                "limits": f"{broken} broken" if broken else "kept",
            }
        case PartitionLevels():
            return {
                f"± {100.0 * level:g} %": f"serves {_kw(each.served_kw)}" for level, each in result.by_level.items()
            }
        case _:
            gap = f"{100.0 * result.gap:.4f} %" if math.isfinite(result.gap) else "not known"
            return {"ended": result.termination.value, **_answer(result), "gap": gap}


def _answer(result: Answered) -> dict[str, str]:
    if not to_do(result):
        return {"answer": "none"}
    match result:
        case ReconfigureResult():
            loss = f"{_kw(result.loss_before_kw)} → {_kw(result.loss_kw)}"
            return {"loss": loss, "open": join_names(result.open_branches) or "none"}
        case FuturesResult():
            return {result.risk: _kw(result.objective_kw), "open": join_names(result.open_branches) or "none"}
        case HardenResult():
            plan = {"harden": result.hardened_branches, "generators at": result.generators}
            return {"cost": f"${result.cost_usd:,.2f}", **{key: join_names(v) or "none" for key, v in plan.items()}}
        case PartitionResult():
            return {
                "serves": f"{_kw(result.served_kw)} of {_kw(result.total_kw)}",
                "islands": str(result.islands.height),
            }
        case _:
            return {
                "serves": f"{result.served_kwh:,.3f} of {result.total_kwh:,.3f} kWh",
                "steps": str(result.steps.height),
            }


def _kw(value: float | None) -> str:
    return "not known" if value is None else f"{value:,.3f} kW"
