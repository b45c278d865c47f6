"""A hand-made result of six buses: two feeders, a tie, an exchange of two branches."""

import math
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from openpoint.grid.grid import Grid
from openpoint.results.violation import Violation
from openpoint.studies.reconfigure.result import ReconfigureResult
from openpoint.twostage.log import Termination

BUSES = ["north", "a", "b", "c", "d", "e"]
# name, from, to, closed today, closed in the answer
BRANCHES = [
    ("n-a", "north", "a", True, True),
    ("a-b", "a", "b", True, True),
    ("b-c", "b", "c", True, False),
    ("n-d", "north", "d", True, True),
    ("d-e", "d", "e", True, True),
    ("c-e", "c", "e", False, True),
]
V_BEFORE = [1.0, 0.98, 0.96, 0.94, 0.99, 0.985]
V_AFTER = [1.0, 0.985, 0.975, 0.965, 0.985, 0.97]


def build_grid(names: dict[str, str] | None = None, places: bool = False, rated: bool = False) -> Grid:
    """The grid of six buses; `names` replaces names of buses and branches."""
    n = names or {}
    r = len(BRANCHES)
    lines: dict[str, Any] = {
        "name": [n.get(b[0], b[0]) for b in BRANCHES],
        "from_bus": [n.get(b[1], b[1]) for b in BRANCHES],
        "to_bus": [n.get(b[2], b[2]) for b in BRANCHES],
        "r_ohm": [0.1] * r,
        "x_ohm": [0.1] * r,
        "closed": [b[3] for b in BRANCHES],
    }
    if rated:
        lines["i_max_a"] = [50.0] * r
    buses: dict[str, Any] = {
        "name": [n.get(b, b) for b in BUSES],
        "vn_kv": [10.0] * 6,
        "v_min_pu": [0.95] * 6,
        "v_max_pu": [1.05] * 6,
    }
    if places:
        buses["x"] = [0.0, 1.0, 2.0, 2.0, 1.0, None]
        buses["y"] = [0.0, 1.0, 1.0, 0.0, -1.0, None]
    return Grid.from_tables(
        "six",
        {
            "buses": buses,
            "lines": lines,
            "sources": {"name": ["grid"], "bus": [n.get("north", "north")]},
            "loads": {"name": ["load c"], "bus": [n.get("c", "c")], "p_kw": [500.0], "q_kvar": [100.0]},
        },
        title=n.get("title", "Six buses"),
    )


def build_result(
    *,
    names: dict[str, str] | None = None,
    before: bool = True,
    answer: bool = True,
    least: bool = True,
    places: bool = False,
    rated: bool = False,
    log: bool = True,
    notes: tuple[str, ...] = (),
) -> ReconfigureResult:
    """A result on `build_grid`: without a state before, or infeasible with or without a state of least violation."""
    n = names or {}
    grid = build_grid(names, places, rated)
    known_after = answer or least
    none: list[float | None] = [None] * 6

    def column(values: list[float], known: bool) -> pl.Series:
        return pl.Series(values if known else none, dtype=pl.Float64)

    i_before, i_after = [40.0, 40.0, 40.0, 10.0, 5.0, 0.0], [20.0, 15.0, 0.0, 30.0, 30.0, 25.0]
    one = pl.lit("1").alias("phase")
    buses = grid.buses.select("name", one, "vn_kv", "v_min_pu", "v_max_pu").with_columns(
        v_before_pu=column(V_BEFORE, before),
        v_after_pu=column(V_AFTER, known_after),
        angle_before_degree=column([0.0] * 6, before),
        angle_after_degree=column([0.0] * 6, known_after),
    )
    after = pl.Series([b[4] for b in BRANCHES] if known_after else [None] * 6, dtype=pl.Boolean)
    branches = grid.branches().select("kind", "name", one, "from_bus", "to_bus", "switchable")
    branches = branches.with_columns(
        closed_before=pl.Series([b[3] for b in BRANCHES]),
        closed_after=after,
        i_max_a=grid.lines["i_max_a"],
        loading_limit_percent=grid.lines["max_loading_percent"] if rated else pl.lit(None, pl.Float64),
        i_before_a=column(i_before, before),
        i_after_a=column(i_after, known_after),
        loading_before_percent=column([2 * i for i in i_before], before and rated),
        loading_after_percent=column([2 * i for i in i_after], known_after and rated),
        p_from_before_kw=column([500.0] * 6, before),
        p_from_after_kw=column([450.0] * 6, known_after),
        q_from_before_kvar=column([100.0] * 6, before),
        q_from_after_kvar=column([90.0] * 6, known_after),
        loss_before_kw=column([4.0] * 6, before),
        loss_after_kw=column([3.0] * 6, known_after),
    )
    iterations = pl.DataFrame(
        {
            "number": [1, 2, 3],
            "seconds": [0.01, 0.02, 0.05],
            "lower_bound_kw": [-math.inf, 15.0, 18.0],
            "upper_bound_kw": [math.inf, 20.0, 18.0] if answer else [math.inf] * 3,
            "gap": [math.inf, 0.25, 0.0],
            "value_kw": [math.inf, 20.0, 18.0] if answer else [math.inf] * 3,
            "verdict": ["feasibility", "optimality", "optimality"],
            "violation": [0.1, 0.0, 0.0],
            "mark": ["", "", ""],
        }
    )
    open_after = tuple(n.get(b[0], b[0]) for b in BRANCHES if not b[4])
    broken = (
        Violation("voltage low", n.get("c", "c"), 0.90, 0.95),
        Violation("current", n.get("n-d", "n-d"), 60.0, 50.0),
    )
    return ReconfigureResult(
        grid=grid,
        method="benders",
        termination=Termination.OPTIMAL if answer else Termination.INFEASIBLE,
        seconds=0.05,
        open_before=tuple(n.get(b[0], b[0]) for b in BRANCHES if not b[3]),
        open_branches=open_after if answer else (),
        loss_before_kw=24.0 if before else None,
        loss_kw=18.0 if answer else None,
        objective_kw=18.0 if answer else None,
        lower_bound_kw=18.0,
        gap=0.0 if answer else math.inf,
        v_min_pu=0.965 if answer else None,
        v_min_bus=n.get("c", "c") if answer else None,
        v_min_before_pu=0.94 if before else None,
        v_min_before_bus=n.get("c", "c") if before else None,
        ac_max_mismatch_pu=1e-12 if answer else None,
        violations=(),
        least_violation=() if answer else broken,
        least_violation_open=open_after if least and not answer else (),
        buses=buses,
        branches=branches,
        generators=pl.DataFrame(schema={"name": pl.String, "bus": pl.String, "p_kw": pl.Float64, "q_kvar": pl.Float64}),
        iterations=iterations if log else iterations.clear(),
        notes=notes,
    )


SHAPES: dict[str, dict[str, Any]] = {
    "answer": {},
    "rated": {"rated": True},
    "map": {"places": True},
    "no before": {"before": False},
    "infeasible": {"answer": False},
    "infeasible, nothing met": {"answer": False, "least": False},
    "nothing known": {"answer": False, "least": False, "before": False, "log": False},
}


@pytest.fixture
def make_grid() -> Callable[..., Grid]:
    return build_grid


@pytest.fixture
def make_result() -> Callable[..., ReconfigureResult]:
    return build_result


@pytest.fixture(params=list(SHAPES))
def any_result(request: pytest.FixtureRequest) -> ReconfigureResult:
    """A result of every shape that the reports must stand."""
    return build_result(**SHAPES[request.param])
