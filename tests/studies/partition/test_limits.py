"""Partitioning stopped by a time limit or by Ctrl-C: the best verified plan and its gap are kept, and soon."""

from __future__ import annotations

import polars as pl
import pytest

import openpoint
from openpoint.grid import Grid
from openpoint.studies.partition.study import partition
from openpoint.twostage.log import Iteration, Termination
from openpoint.twostage.methods.decomposition import Benders, ColumnAndConstraint
from openpoint.twostage.methods.extensive import ExtensiveForm
from tests.builders.clock import Wish, held

LATE = 30.0
"""Most of a held clock beyond a limit, half a second a look."""
WAYS = {
    "climb": (30, lambda limit: ColumnAndConstraint(gap=0.0, time_limit_s=limit)),
    "dual": (30, lambda limit: ColumnAndConstraint(gap=0.0, time_limit_s=limit, separation="dual")),
    "vertices": (14, lambda limit: ColumnAndConstraint(gap=0.0, time_limit_s=limit, separation="vertices")),
    "benders": (30, lambda limit: Benders(gap=0.0, time_limit_s=limit, relaxation=False)),
    "extensive": (3, lambda limit: ExtensiveForm(solver="highs", gap=0.0, time_limit_s=limit)),
}


def grid() -> Grid:
    """Generators large enough that searches for the worst loads take long: nothing is soon found to be violated."""
    whole = openpoint.read("ieee37-microgrids")
    larger = [pl.col(name) * 1.5 for name in ("p_max_kw", "q_min_kvar", "q_max_kvar")]
    return whole.with_tables(generators=whole.generators.with_columns(larger))


@pytest.mark.parametrize("way", WAYS)
def test_a_short_time_limit_keeps_a_verified_plan(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (loads, make), limit = WAYS[way], 3.5 if way == "extensive" else 10.5
    lines: list[Iteration] = []
    clock = held(monkeypatch, 0.5)
    result = partition(grid(), uncertainty=0.25, uncertain_loads=loads, method=make(limit), progress=lines.append)
    assert result.termination is Termination.TIME
    assert clock.now <= limit + LATE
    assert result.cost_usd is not None
    assert result.lower_bound_usd <= result.cost_usd
    assert result.worst_slack_kw == 0.0


@pytest.mark.parametrize("way", ["climb", "dual", "vertices", "benders"])
def test_ctrl_c_keeps_a_verified_plan(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loads, make = WAYS[way]
    wish = Wish(monkeypatch, 25)
    result = partition(grid(), uncertainty=0.25, uncertain_loads=loads, method=make(None))
    assert result.termination is Termination.INTERRUPTED
    assert wish.asked <= wish.at + 2 * LATE
    assert result.cost_usd is not None
    assert result.lower_bound_usd <= result.cost_usd
