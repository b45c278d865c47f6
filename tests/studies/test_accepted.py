"""Every part that a grid may have in every study: it is kept, or refused in the words that are declared."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import openpoint
from openpoint import Grid
from openpoint.errors import OpenpointError
from openpoint.studies.accepted import NAMES, PARTS
from openpoint.studies.catalog import STUDIES

Tables = dict[str, list[dict[str, Any]]]
YEAR = pl.DataFrame({"hours": [4380.0] * 2, "A": [1.0, 0.3], "B": [0.7, 0.9]})
BLOCKS = pl.DataFrame({"block": ["I", "II"], "start": ["1", "2"], "end": ["2", "3"]})
FUTURES = pl.DataFrame({"future": ["a", "b"], "bus": ["A", "B"], "p_kw": [900.0, 500.0], "probability": [0.5, 0.5]})
FUTURES = FUTURES.with_columns(q_kvar=0.2 * pl.col("p_kw"))
WIND = pl.DataFrame({"disaster": ["wind"], "probability": [1.0], "branch": ["AB"]})
DAY = openpoint.Day.from_tables(periods={"period": ["1"], "hours": [24.0], "price_usd_per_kwh": [0.1]})
UNIT = {"p_kw": 0.0, "p_min_kw": 0.0, "p_max_kw": 2500.0, "q_min_kvar": -900.0, "q_max_kvar": 900.0}
RUNS: dict[str, Callable[[Grid], object]] = {
    "powerflow": openpoint.run_powerflow,
    "enclose": openpoint.enclose,
    "reconfigure": openpoint.reconfigure,
    "reconfigure-futures": lambda grid: openpoint.reconfigure_futures(grid, FUTURES),
    "reconfigure-year": lambda grid: openpoint.reconfigure_year(grid, YEAR),
    "reconfigure-seasons": lambda grid: openpoint.reconfigure_seasons(grid, YEAR, BLOCKS),
    "reconfigure-secure": lambda grid: openpoint.reconfigure_secure(grid, restorable="today"),
    "reconfigure-front": lambda grid: openpoint.reconfigure_front(grid, "unrestorable"),
    "dispatch": openpoint.dispatch,
    "dispatch-front": lambda grid: openpoint.dispatch_front(grid, ["losses", "changes"]),
    "dispatch-day": lambda grid: openpoint.dispatch_day(grid, DAY),
    "secure": openpoint.secure,
    "plan": lambda grid: openpoint.switch_plan(grid, grid.with_closed({"AB": False, "BM": True})),
    "harden": lambda grid: openpoint.harden(grid, disasters=WIND, budget_usd=0.0, value_of_information=False),
    "partition": lambda grid: openpoint.partition(grid, method=openpoint.ColumnAndConstraint(time_limit_s=1e-9)),
}


def unit(name: str, fr: str = "H", to: str = "M", **more: Any) -> dict[str, Any]:
    rated = {"vn_from_kv": 110.0, "vn_to_kv": 20.0, "s_max_kva": 9000.0, "r_ohm": 0.1, "x_ohm": 1.8}
    return {"name": name, "from_bus": fr, "to_bus": to, "controllable": False, **rated, **more}


def line(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "from_bus": name[0], "to_bus": name[1], "r_ohm": 0.4, "x_ohm": 0.3, "i_max_a": 300.0, **more}


def plain() -> Tables:
    """A substation, its transformer and a ring of two loads with a tie."""
    return {
        "buses": [{"name": "H", "vn_kv": 110.0}, *({"name": name, "vn_kv": 20.0} for name in "MAB")],
        "transformers": [unit("T")],
        "lines": [line("MA"), line("AB"), line("BM", closed=False)],
        "sources": [{"name": "S", "bus": "H", "v_pu": 1.02, "price_usd_per_kwh": 0.1}],
        "loads": [
            {"name": name, "bus": name, "p_kw": p, "q_kvar": 0.2 * p} for name, p in (("A", 900.0), ("B", 700.0))
        ],
        "generators": [],
        "switches": [],
    }


def in_phases(tables: Tables) -> Tables:
    for kind in ("buses", "lines", "loads", "transformers"):
        tables[kind] = [{**row, "phases": "abc"} for row in tables[kind]]
    for row in tables["lines"]:
        row |= {"r_ohm": [0.4, 0.1, 0.4, 0.1, 0.1, 0.4], "x_ohm": [0.3, 0.1, 0.3, 0.1, 0.1, 0.3]}
    return tables


def with_part(part: str) -> Tables:
    """A grid that has it."""
    tables = plain()
    if part == "couplers":
        tables["buses"] += [{"name": name, "vn_kv": 20.0} for name in "NP"]
        rings = (("M", "N"), ("N", "P"), ("P", "M"))
        tables["switches"] = [{"name": a + b, "from_bus": a, "to_bus": b, "switchable": False} for a, b in rings]
        tables["lines"][2] |= {"to_bus": "N"}
    elif part == "parallel":
        tables["transformers"].append(unit("T2", x_ohm=2.2, b_us=-10.0))
    elif part == "joined":
        tables["buses"].append({"name": "H2", "vn_kv": 110.0})
        tables["transformers"].append(unit("T2", "H2"))
        tables["sources"].append({"name": "S2", "bus": "H2", "v_pu": 1.02, "price_usd_per_kwh": 0.1})
    elif part == "held_ring":
        tables["buses"] += [{"name": name, "vn_kv": 20.0} for name in "DEF"]
        tables["loads"].append({"name": "E", "bus": "E", "p_kw": 90.0})
        tables["lines"] += [line(name, switchable=False) for name in ("MD", "DE", "EF", "FD")]
    elif part in ("three_windings", "negative_arm"):
        tables["buses"] += [{"name": "star", "vn_kv": 110.0}, {"name": "R", "vn_kv": 10.0}]
        arm = {"vn_to_kv": 10.0, "x_ohm": 0.1 if part == "three_windings" else -0.1}
        high = unit("TH", "H", "star", vn_to_kv=110.0, r_ohm=1.0, x_ohm=20.0)
        tables["transformers"] = [high, unit("TM", "star"), unit("TL", "star", "R", **arm)]
    elif part == "ratio":
        taps = {"tap_pos": 2, "tap_min": -9, "tap_max": 9, "tap_step_percent": 1.5, "shift_degree": 150.0}
        tables["transformers"] = [unit("T", **taps)]
    elif part in ("charging", "ends"):
        more = {"b_us": 80.0} if part == "charging" else {"b_us": 80.0, "open_end": "from"}
        tables["lines"] = [row | more for row in tables["lines"]]
    elif part == "iron":
        tables["transformers"] = [unit("T", g_us=9.0, b_us=-40.0)]
    elif part == "generation":
        tables["generators"] = [{"name": "G", "bus": "B", "p_kw": 400.0, "q_kvar": -50.0}]
    elif part == "limits":
        tables["generators"] = [{"name": "G", "bus": "B", **UNIT, "p_kw": 300.0}]
    elif part == "holding":
        tables["generators"] = [{"name": "G", "bus": "B", "p_kw": 400.0, "v_pu": 1.01}]
    elif part == "phases":
        return in_phases(tables)
    else:
        assert part == "station"
    return tables


def test_every_study_is_declared_and_tried() -> None:
    """But those of many grids or cases, and of steps of a partition, which take what `partition` does."""
    others = {"compare", "reconfigure-fleet", "partition-steps"}
    assert set(RUNS) == set(NAMES) == {study.name for study in STUDIES} - others


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("study", NAMES)
def test_a_part_is_kept_or_refused_as_declared(study: str, part: str) -> None:
    tables = with_part(part)
    if study == "partition" and part != "limits":
        phases = tables["buses"][0].get("phases", "1")
        tables["generators"].append({"name": "Z", "bus": "A", **UNIT, "phases": phases})
    grid = Grid.from_tables(part, tables)
    if study not in PARTS[part].refused:
        assert RUNS[study](grid) is not None
        return
    with pytest.raises(OpenpointError) as caught:
        RUNS[study](grid)
    remedy = PARTS[part].why.rpartition(": ")[2]
    word = {"phases": "--balanced", "holding": "--pv pq", "negative_arm": "two windings", "held_ring": "switchable"}
    assert word.get(part, remedy) in str(caught.value)
