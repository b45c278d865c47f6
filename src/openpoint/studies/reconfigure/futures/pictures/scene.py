"""What the pictures of a result for many futures show, as arrays: the grid at its extremes, and how figures spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.report.figure import style
from openpoint.report.scene import Scene, numbers
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.pictures.extremes import extremes_scene

TITLES = {"before": "today", "mean": "mean future's topology", "after": "answer"}
COLOURS = {"before": style.BEFORE, "mean": style.MEAN, "after": style.AFTER}


@dataclass(frozen=True)
class Spread:
    """Figures of K futures under one topology, NaN where there is no power flow solution.

    Attributes:
        key: `before`, `mean` or `after`. title: for people.
        weights: (K) probabilities, equal where nobody knows them.
        loss, v_min, v_max: (K) in kW and pu.
    """

    key: str
    title: str
    weights: Floats
    loss: Floats
    v_min: Floats
    v_max: Floats

    @property
    def colour(self) -> str:
        return COLOURS[self.key]


def spreads(result: FuturesResult, table: pl.DataFrame) -> list[Spread]:
    """Those of the topologies that differ; one that equals the answer is named in its title.

    Args:
        result: the result. table: its `futures` or its `sample`.
    """
    keys = ["before", "mean", "after"]
    opens = {"before": result.open_before, "mean": result.open_mean, "after": result.open_branches}
    titles = dict(TITLES)
    if result.objective_kw is None:
        keys.remove("after")
    for key in ("before", "mean"):
        if result.objective_kw is not None and opens[key] == result.open_branches:
            titles["after"] += f" (= {TITLES[key]})"
            keys.remove(key)
    probabilities = numbers(table, "probability")
    weights = np.full(table.height, 1.0 / max(table.height, 1)) if np.isnan(probabilities).any() else probabilities
    return [
        Spread(
            key,
            titles[key],
            weights,
            numbers(table, f"loss_{key}_kw"),
            numbers(table, f"v_min_{key}_pu"),
            numbers(table, f"v_max_{key}_pu"),
        )
        for key in keys
        if table[f"loss_{key}_kw"].is_not_null().any()
    ]


def cumulative(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Sorted values, each twice, and the share of the weight up to it: a staircase from 0 without NaN."""
    order = np.argsort(values, kind="stable")[: int(np.sum(~np.isnan(values)))]
    share = np.cumsum(weights[order])
    return np.repeat(values[order], 2), np.column_stack([np.concatenate([[0.0], share[:-1]]), share]).ravel()


def savings(all_of: list[Spread]) -> list[tuple[Spread, Floats]]:
    """What the answer saves in each future against the other topologies, kW, in ascending order."""
    after = next((each for each in all_of if each.key == "after"), None)
    if after is None:
        return []
    found = [(each, each.loss - after.loss) for each in all_of if each.key != "after"]
    return [(each, np.sort(saved[~np.isnan(saved)])) for each, saved in found]


def limits_of(result: FuturesResult) -> list[tuple[str, float]]:
    """The tightest voltage limits, where there are any."""
    lows, highs = numbers(result.buses, "v_min_pu"), numbers(result.buses, "v_max_pu")
    found = [("lower limit", lows, np.fmax), ("upper limit", highs, np.fmin)]
    return [(name, float(which.reduce(v))) for name, v, which in found if np.isfinite(v).any()]


def futures_scene(result: FuturesResult) -> Scene:
    """The grid with the lowest voltage and the highest current in any future, and the losses expected."""
    expected = dict(result.plans.filter(set="planned").select("topology", "loss_expected_kw").iter_rows())
    return extremes_scene(result, result.objective_kw is not None, "on average", "loss_expected_{}_kw", expected)
