"""Synthetic years: profiles from a few formulas, to try what a year needs and to measure it.

They are no measurements, and no load of any real grid; every number here is an assumption.

With h the hour of the day, D the day of the year (from 0, a Monday) and g(m, s) = exp(−(h − m)²/2s²):

- household: (0.35 + 0.35 g(8, 2) + 0.65 g(19.5, 2.5)) · (1 + 0.25 cos 2π(D − 15)/365), 8 % more at weekends;
- commerce: (0.25 + 0.75 g(13, 4) · (1, at weekends 0.45)) · (1 + 0.1 cos 2π(D − 200)/365);
- industry: 0.45 + 0.5 g(12, 5) · (1, at weekends 0.2);
- sun: max(0, sin π(h − 12 + L/2)/L)^1.2 · (0.65 + 0.35 cos 2π(D − 172)/365) · (0.6 + 0.4 sin 2πD/4.3 · cos 2πD/11),
  with L = 12 + 4 cos 2π(D − 172)/365 hours of daylight.

The first three are multiplied by weather and chance, with t the hour of the year and phases a, b, c of each:
1 + 0.04 sin 2π(t/24 + a)/6.7 + 0.03 sin 2π(t + b)/37 + 0.02 sin 2π(t + c)/5.3. All are divided by their greatest value,
so that the power of a load in the grid is its greatest. The loads of the grid follow household, commerce
and industry in turn, in the order of its table; generators follow the sun.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.grid.grid import Grid

NAMES = {"synthetic-hours": 1.0, "synthetic-quarters": 0.25}
"""The built-in years, and the length of their steps in hours."""
KINDS = ("household", "commerce", "industry")
_PHASES = ((0.0, 3.0, 1.0), (2.1, 17.0, 2.3), (4.4, 29.0, 3.9))


def profiles(step_h: float) -> pl.DataFrame:
    """The table of profiles: starts_at, household, commerce, industry, sun."""
    t = np.arange(0.0, 8760.0, step_h)
    h, day = t % 24.0, t // 24.0
    weekend = day % 7 >= 5
    full = 2.0 * np.pi

    def peak(at: float, width: float) -> Floats:
        return np.asarray(np.exp(-0.5 * ((h - at) / width) ** 2))

    shapes = (
        (0.35 + 0.35 * peak(8.0, 2.0) + 0.65 * peak(19.5, 2.5))
        * (1.0 + 0.25 * np.cos(full * (day - 15.0) / 365.0))
        * np.where(weekend, 1.08, 1.0),
        (0.25 + 0.75 * peak(13.0, 4.0) * np.where(weekend, 0.45, 1.0))
        * (1.0 + 0.1 * np.cos(full * (day - 200.0) / 365.0)),
        0.45 + 0.5 * peak(12.0, 5.0) * np.where(weekend, 0.2, 1.0),
    )
    columns: dict[str, Floats] = {}
    for name, shape, (a, b, c) in zip(KINDS, shapes, _PHASES, strict=True):
        chance = 1.0 + 0.04 * np.sin(full * (t / 24.0 + a) / 6.7) + 0.03 * np.sin(full * (t + b) / 37.0)
        columns[name] = shape * (chance + 0.02 * np.sin(full * (t + c) / 5.3))
    season = np.cos(full * (day - 172.0) / 365.0)
    light = 12.0 + 4.0 * season
    height = np.maximum(0.0, np.sin(np.pi * np.clip((h - 12.0 + light / 2.0) / light, 0.0, 1.0)))
    cloud = 0.6 + 0.4 * np.sin(full * day / 4.3) * np.cos(full * day / 11.0)
    columns["sun"] = height**1.2 * (0.65 + 0.35 * season) * cloud
    starts = np.datetime64("2029-01-01T00:00") + (t * 60.0).round().astype("timedelta64[m]")
    data = {name: values / values.max() for name, values in columns.items()}
    return pl.DataFrame({"starts_at": [f"{s}+00:00" for s in starts.astype(str)], **data})


def followers(grid: Grid) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables load_profiles and generator_profiles of a grid."""
    loads = grid.loads.filter(pl.col("model") == "power")["name"].to_list()
    fed = grid.generators["name"].to_list()
    texts = {"profile": pl.String}
    return (
        pl.DataFrame(
            {"load": loads, "profile": [KINDS[n % len(KINDS)] for n in range(len(loads))]},
            schema={"load": pl.String, **texts},
        ),
        pl.DataFrame({"generator": fed, "profile": ["sun"] * len(fed)}, schema={"generator": pl.String, **texts}),
    )
