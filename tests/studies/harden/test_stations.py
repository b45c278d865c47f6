"""Hardening keeps loops of stations closed: as on the grid in which one branch stands for those in parallel."""

from __future__ import annotations

from typing import Any

import pytest

import openpoint
from openpoint.errors import InputError
from openpoint.grid.grid import Grid
from openpoint.scenarios.disasters import Disasters

ONE = {"vn_from_kv": 110.0, "vn_to_kv": 20.0}
UNITS = [
    {"name": "T1", "from_bus": "H", "to_bus": "A", "r_ohm": 0.3, "x_ohm": 6.0, "s_max_kva": 3000.0, **ONE},
    {"name": "T2", "from_bus": "H", "to_bus": "B", "r_ohm": 0.1, "x_ohm": 2.0, "s_max_kva": 9000.0, **ONE},
]
"""The second carries three quarters of the current, and is as full as the first."""


STORMS = {"one": (0.5, ["A-F0"]), "both": (0.5, ["A-F1", "B-F2"])}


def station(*, meshed: bool) -> Grid:
    """Two transformers on a double busbar with two couplers, or their one equivalent; three feeders with ties."""
    units = UNITS if meshed else [{**UNITS[1], "name": "T", "r_ohm": 0.075, "x_ohm": 1.5, "s_max_kva": 12000.0}]
    couplers = ("C1", "C2") if meshed else ("C1",)
    lines: list[dict[str, Any]] = []
    for k, bus in enumerate("AAB"):
        ends = [(bus, f"F{k}"), (f"F{k}", f"G{k}"), (f"G{k}", f"G{(k + 1) % 3}")]
        lines += [
            {"name": f"{a}-{b}", "from_bus": a, "to_bus": b, "r_ohm": 1.0 + 0.1 * k, "x_ohm": 0.5, "closed": tie < 2}
            for tie, (a, b) in enumerate(ends)
        ]
    return Grid.from_tables(
        "station",
        {
            "buses": [{"name": n, "vn_kv": 110.0 if n == "H" else 20.0} for n in ("H", "A", "B", *_feeders())],
            "lines": [{"i_max_a": 100.0, **line} for line in lines],
            "switches": [{"name": n, "from_bus": "A", "to_bus": "B", "switchable": False} for n in couplers],
            "transformers": units,
            "sources": [{"name": "S", "bus": "H", "v_pu": 1.02}],
            "loads": [{"name": n, "bus": n, "p_kw": 1500.0 + 100.0 * k} for k, n in enumerate(_feeders())],
        },
    )


def _feeders() -> list[str]:
    return [f"{level}{k}" for k in range(3) for level in "FG"]


def test_a_plan_and_its_states_are_those_of_the_grid_with_one_transformer() -> None:
    meshed, single = (
        openpoint.harden(grid, disasters=Disasters.from_branches(grid, STORMS), max_lines=1, max_generators=0)
        for grid in (station(meshed=True), station(meshed=False))
    )
    assert meshed.cost_usd > 0.0
    assert meshed.cost_usd == pytest.approx(single.cost_usd, rel=1e-6)
    assert meshed.lower_bound_usd == pytest.approx(single.lower_bound_usd, rel=1e-4)
    assert meshed.hardened_branches == single.hardened_branches
    rows, one = (
        {row["name"]: row for row in result.branches.iter_rows(named=True) if row["disaster"] == "both"}
        for result in (meshed, single)
    )
    assert rows["F0-G0"]["i_a"] == pytest.approx(one["F0-G0"]["i_a"], rel=1e-6)
    for name, share in (("T1", 0.25), ("T2", 0.75)):
        assert rows[name]["state"] == "closed"
        assert rows[name]["i_a"] == pytest.approx(share * one["T"]["i_a"], rel=1e-6)
        assert rows[name]["loading_percent"] == pytest.approx(one["T"]["loading_percent"], rel=1e-6)
        assert rows[name]["loss_kw"] == pytest.approx(share * one["T"]["loss_kw"], rel=1e-6)
    for name in ("C1", "C2"):
        assert (rows[name]["state"], rows[name]["switching"], rows[name]["i_a"]) == ("closed", "", None)


def test_what_stands_in_a_loop_may_not_break() -> None:
    tables = {name: table.to_dicts() for name, table in station(meshed=True).tables().items()}
    beside = {"name": "beside", "from_bus": "A", "to_bus": "B", "r_ohm": 0.1, "x_ohm": 0.1, "switchable": False}
    grid = Grid.from_tables("station", {**tables, "lines": [*tables["lines"], beside]})
    with pytest.raises(InputError, match="beside: it may break, and is part of a loop that stays closed") as caught:
        openpoint.harden(grid, any_lines=1, max_lines=1)
    assert "openpoint convert --switchable" in str(caught.value)


def test_other_loops_are_refused_by_name() -> None:
    tables = {name: table.to_dicts() for name, table in station(meshed=True).tables().items()}
    units = [UNITS[0], {**UNITS[1], "vn_to_kv": 20.5}]
    with pytest.raises(InputError, match=r"T1.*they form a loop"):
        openpoint.harden(Grid.from_tables("station", {**tables, "transformers": units}), any_lines=1)
