"""The tables of a result of hardening, over all disasters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.results.ac_tables import finite
from openpoint.studies.harden import aftermath as single
from openpoint.studies.harden.aftermath import AfterDisaster
from openpoint.studies.harden.model import HardenProgram
from openpoint.studies.harden.threat import Threat
from openpoint.twostage.log import Outcome

DISASTERS: dict[str, Any] = {
    "disaster": pl.String,
    "count": pl.Int64,
    "probability": pl.Float64,
    "weight": pl.Float64,
    "broken": pl.String,
    "cost_usd": pl.Float64,
    "shed_kw": pl.Float64,
    "shed_percent": pl.Float64,
    "islands": pl.Int64,
    "ac_max_mismatch_pu": pl.Float64,
    "violations": pl.Int64,
}
BUSES: dict[str, Any] = {
    "disaster": pl.String,
    "name": pl.String,
    "island": pl.Int64,
    **dict.fromkeys(("load_kw", "shed_kw", "v_pu", "angle_degree"), pl.Float64),
}
BRANCHES: dict[str, Any] = {
    **dict.fromkeys(("disaster", "kind", "name", "from_bus", "to_bus", "state"), pl.String),
    "hardened": pl.Boolean,
    "switching": pl.String,
    **dict.fromkeys(("i_max_a", "i_a", "loading_percent", "p_from_kw", "q_from_kvar", "loss_kw"), pl.Float64),
}


def disasters(
    program: HardenProgram,
    threat: Threat,
    values: Floats | None,
    weights: Floats | None,
    shown: Sequence[AfterDisaster],
) -> pl.DataFrame:
    """A row a distinct disaster, or one for the worst attack."""
    given = threat.disasters
    if given is None:
        rows = [
            _row(program, each.name, 1, None, None, each.plan.cost_usd, _broken(program, each), each) for each in shown
        ]
        return pl.DataFrame(rows, schema=DISASTERS, orient="row")
    by_number = {each.number: each for each in shown}
    rows = []
    for k, name in enumerate(given.names):
        broken = join_names(program.network.branch_names[e] for e in np.flatnonzero(given.broken[k]))
        cost = None if values is None else float(values[k])
        weight = None if weights is None else float(weights[k])
        odds = float(given.probabilities[k])
        rows.append(_row(program, name, int(threat.count[k]), odds, weight, cost, broken, by_number.get(k)))
    return pl.DataFrame(rows, schema=DISASTERS, orient="row")


def _row(
    program: HardenProgram,
    name: str,
    count: int,
    probability: float | None,
    weight: float | None,
    cost: float | None,
    broken: str,
    after: AfterDisaster | None,
) -> tuple[object, ...]:
    head = (name, count, probability, weight, broken, cost)
    load = single.load_kw(program).sum()
    shed = _shed_by_cost(program, cost) if after is None else single.shed_kw(after.plan)
    share = None if shed is None else 100.0 * shed / load if load > 0.0 else 0.0
    if after is None:
        return (*head, shed, share, None, None, None)
    return (*head, shed, share, len(after.plan.roots), finite(after.check.max_mismatch), len(after.violations))


def _shed_by_cost(program: HardenProgram, cost: float | None) -> float | None:
    """The load shed at a cost, where nothing else costs anything and all loads are worth the same."""
    voll = program.voll_usd_per_kw
    if cost is None or program.closed_line_usd > 0.0 or voll[0] <= 0.0 or np.ptp(voll) > 0.0:
        return None
    return cost / float(voll[0])


def _broken(program: HardenProgram, after: AfterDisaster) -> str:
    return join_names(program.network.branch_names[e] for e in np.flatnonzero(after.plan.broken))


def buses(program: HardenProgram, shown: Sequence[AfterDisaster]) -> pl.DataFrame:
    """All buses after every disaster shown."""
    return _all(BUSES, [single.bus_table(program, each) for each in shown])


def branches(program: HardenProgram, grid: Grid, shown: Sequence[AfterDisaster]) -> pl.DataFrame:
    """All branches after every disaster shown."""
    return _all(BRANCHES, [single.branch_table(program, grid, each) for each in shown])


def sources(program: HardenProgram, grid: Grid, shown: Sequence[AfterDisaster]) -> pl.DataFrame:
    """All that feeds after every disaster shown."""
    return _all(single.SOURCES, [single.source_table(program, grid, each) for each in shown])


def violations(shown: Sequence[AfterDisaster]) -> pl.DataFrame:
    """All limits broken after every disaster shown."""
    return _all(single.VIOLATIONS, [single.violation_table(each) for each in shown])


def _all(schema: dict[str, Any], frames: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=schema), *(frame.cast(pl.Schema(schema)) for frame in frames)])


def iterations(outcome: Outcome) -> pl.DataFrame:
    """The log of the method, costs in $."""
    columns = {
        "number": ("number", pl.Int64),
        "seconds": ("seconds", pl.Float64),
        "lower_bound_usd": ("lower_bound", pl.Float64),
        "upper_bound_usd": ("upper_bound", pl.Float64),
        "gap": ("gap", pl.Float64),
        "value_usd": ("value", pl.Float64),
        "verdict": ("verdict", pl.String),
        "violation": ("violation", pl.Float64),
        "mark": ("mark", pl.String),
    }

    def cell(value: object) -> object:
        return finite(value) if isinstance(value, float) else value

    rows = [[cell(getattr(i, attribute)) for attribute, _ in columns.values()] for i in outcome.log]
    return pl.DataFrame(rows, schema={name: kind for name, (_, kind) in columns.items()}, orient="row")
