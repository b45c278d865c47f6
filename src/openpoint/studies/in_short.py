"""The first sentence about a result: how good it is, and what is to be done in the grid."""

from __future__ import annotations

from openpoint.studies.export import switching_list
from openpoint.studies.futures_result import FuturesResult
from openpoint.studies.harden_result import HardenResult
from openpoint.studies.partition_result import PartitionResult
from openpoint.studies.partition_steps_result import PartitionStepsResult
from openpoint.studies.result import ReconfigureResult
from openpoint.twostage.log import Termination

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
    if isinstance(result, ReconfigureResult):
        return "" if result.loss_kw is None else _switchings([action for _, action in switching_list(result)])
    if isinstance(result, FuturesResult):
        return "" if result.objective_kw is None else _switchings([action for _, action in result.switching])
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
