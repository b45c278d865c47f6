"""Growth as words of a command, and what planning for many futures was worth in words of a person."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

from openpoint.errors import OptionError
from openpoint.scenarios.growth import Growth
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.twostage.log import Termination

GROWTHS = {"moderate": Growth, "solar": Growth.solar}
_SETS = {"planned": "the futures planned for", "sample": "the other futures"}


def read_growth(name: str, assumptions: Iterable[str]) -> Growth:
    """Growth by its name, with assumptions such as `pv_adoption=0.8` in place of its own.

    Raises:
        OptionError: another name, an assumption that is none, or figures out of range.
    """
    if name not in GROWTHS:
        raise OptionError(f"the growth {name!r} is not known; give {' or '.join(GROWTHS)}")
    growth = GROWTHS[name]()
    known = [field.name for field in dataclasses.fields(Growth) if field.name != "snapshots"]
    changes: dict[str, float] = {}
    for text in assumptions:
        key, _, figure = text.partition("=")
        if key.strip() not in known:
            raise OptionError(f"{key.strip()!r} is no assumption on growth; there are {', '.join(known)}")
        try:
            changes[key.strip()] = float(figure)
        except ValueError:
            raise OptionError(f"{text!r} has no number; write {key.strip()}=0.5") from None
    return dataclasses.replace(growth, **changes)  # type: ignore[arg-type]


def against_mean(result: FuturesResult) -> str:
    """What planning for many futures changes against planning for their mean, in a sentence or two."""
    if result.objective_kw is None:
        return _way_out(result)
    if not result.open_mean:
        return "There is no topology of the mean future to compare with."
    if set(result.open_mean) == set(result.open_branches):
        return (
            "The best topology for the mean future alone is the same: planning for many futures changes nothing here."
        )
    texts = []
    for name, words in _SETS.items():
        plans = {row["topology"]: row for row in result.plans.filter(set=name).iter_rows(named=True)}
        if not {"mean", "after"} <= set(plans):
            continue
        saved = [_less(plans["mean"][key], plans["after"][key]) for key in ("loss_expected_kw", "loss_worst_kw")]
        if all(saved):
            texts.append(f"{saved[0]} on average and {saved[1]} in the worst of {words}")
    if not texts:
        return "The topology of the mean future has no power flow solution in some futures."
    return f"Against the best topology for the mean future alone, the answer loses {', '.join(texts)}."


def _way_out(result: FuturesResult) -> str:
    """What to ask for where no topology keeps the limits in enough futures."""
    proven = result.termination is Termination.INFEASIBLE
    text = "No topology keeps" if proven else "None that was looked at keeps"
    text += " the limits in as many futures as asked for."
    known = result.plans.filter(set="planned").sort("limits_kept_share", descending=True).row(0, named=True)
    if (share := math.floor(100 * known["limits_kept_share"]) / 100) <= 0.0:
        return f"{text} Other limits may do: --v-min, --v-max."
    of = {"before": "today's", "mean": "that of the mean future", "after": "that of least violation"}[known["topology"]]
    return f"{text} Of the topologies here, {of} keeps them in most: --limits-share {share:g} has an answer."


def _less(other: float | None, mine: float | None) -> str:
    """How much less mine is, in words; empty where one is not known."""
    if other is None or mine is None or max(other, mine) == float("inf"):
        return ""
    return f"{abs(other - mine):,.2f} kW {'less' if mine <= other else 'more'}"
