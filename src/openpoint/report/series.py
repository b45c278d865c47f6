"""The numbers behind the charts: which rows, which limits, which curves. No drawing here."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.report.scene import Scene
from openpoint.twostage.log import Termination


@dataclass(frozen=True)
class Convergence:
    """Bounds over time; NaN where a bound is not yet known.

    Attributes:
        x, x_label: seconds, or the number of the iteration where time stood still.
        lower, upper, value: bounds, and the exact value of the decision tried.
        window: lowest and highest value worth showing.
        verdict: the gap at the end in words.
        unit: of the bounds.
    """

    x: Floats
    x_label: str
    lower: Floats
    upper: Floats
    value: Floats
    window: tuple[float, float]
    verdict: str
    unit: str

    @property
    def is_curve(self) -> bool:
        """Whether a bound is known at two times at least; a run that ended at once has no curve to show."""
        return any(len(np.unique(self.x[np.isfinite(bound)])) > 1 for bound in (self.lower, self.upper))


def convergence(log: pl.DataFrame, verdict: str) -> Convergence:
    """The curves of a log of iterations; the unit is that of its columns, which their names end with.

    Args:
        log: number, seconds, and lower_bound, upper_bound and value, in `_kw`, `_usd` or without a unit.
        verdict: the gap at the end in words.
    """
    ending, unit = unit_of(log)
    columns: dict[str, Floats] = {}
    for name in ("number", "seconds", "lower_bound", "upper_bound", "value"):
        column = name if name in ("number", "seconds") else name + ending
        values = log[column].cast(float).fill_null(math.nan).to_numpy() if column in log.columns else np.zeros(0)
        columns[name] = np.where(np.isfinite(values), values, math.nan).astype(np.float64)
    by_time = len(columns["seconds"]) > 1 and columns["seconds"][-1] > columns["seconds"][0]
    bounds = np.concatenate([columns["lower_bound"], columns["upper_bound"]])
    bounds = bounds[np.isfinite(bounds)]
    lo, hi = (float(bounds.min()), float(bounds.max())) if len(bounds) else (0.0, 1.0)
    pad = 0.08 * (hi - lo) or 0.02 * abs(hi) or 1.0
    return Convergence(
        x=columns["seconds"] if by_time else columns["number"],
        x_label="seconds" if by_time else "iteration",
        lower=columns["lower_bound"],
        upper=columns["upper_bound"],
        value=columns["value"],
        window=(lo - pad, hi + pad),
        verdict=verdict,
        unit=unit,
    )


def unit_of(log: pl.DataFrame) -> tuple[str, str]:
    """How the columns of a log end that hold bounds, and their unit; bounds of a sum of several units have none."""
    known = (("_usd", "$"), ("_kw", "kW"), ("", ""))
    return next(each for each in known if f"lower_bound{each[0]}" in log.columns or not each[0])


def gap_text(gap: float, termination: Termination) -> str:
    """The gap in words, also where there is none."""
    text = "no gap" if not math.isfinite(gap) else f"gap {gap:.2%}" if gap >= 5e-5 else "gap 0"
    return f"{termination.value}: {text}"


def loading_rows(scene: Scene, keys: list[str], most: int) -> tuple[list[int], int]:
    """The most stressed branches, the worst first, and how many others carry a current."""
    worst = np.max(np.stack([scene.stress(scene.states[key]) for key in keys]), axis=0)
    order = [int(e) for e in np.argsort(-worst, kind="stable") if worst[e] > 1e-9]
    return order[:most], max(0, len(order) - most)


def shown_limits(scene: Scene, v: Floats) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Voltage limits near the voltages v, which are drawn, and those too far off."""
    lo, hi = float(v.min()), float(v.max())
    reach = 0.6 * max(hi - lo, 0.01)
    found: list[tuple[str, float]] = []
    for name, values in (("lower", scene.v_min), ("upper", scene.v_max)):
        distinct = np.unique(values[np.isfinite(values) & (values > 0.0)])
        # Many different limits would hatch the picture: the tightest says enough.
        if len(distinct) > 4:
            distinct = distinct[-1:] if name == "lower" else distinct[:1]
        found += [(name, float(value)) for value in distinct]
    near = [limit for limit in found if lo - reach <= limit[1] <= hi + reach]
    return near, [limit for limit in found if limit not in near]
