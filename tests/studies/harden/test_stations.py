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


NOTHING_BOUGHT: dict[str, Any] = {"max_lines": 0, "max_generators": 0, "value_of_information": False}
STORMS = {"both": (1.0, ["A-F1", "B-F2"])}


def station(*, meshed: bool, i_max_a: float = 100.0) -> Grid:
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
            "lines": [{"i_max_a": i_max_a, **line} for line in lines],
            "switches": [{"name": n, "from_bus": "A", "to_bus": "B", "switchable": False} for n in couplers],
            "transformers": units,
            "sources": [{"name": "S", "bus": "H", "v_pu": 1.02}],
            "loads": [{"name": n, "bus": n, "p_kw": 1500.0 + 100.0 * k} for k, n in enumerate(_feeders())],
        },
    )


def _feeders() -> list[str]:
    return [f"{level}{k}" for k in range(3) for level in "FG"]


def test_costs_are_those_of_the_grid_with_one_transformer() -> None:
    meshed, single = (
        openpoint.harden(grid, disasters=Disasters.from_branches(grid, STORMS), **NOTHING_BOUGHT)
        for grid in (station(meshed=True), station(meshed=False))
    )
    assert meshed.cost_usd > 0.0
    assert meshed.cost_usd == pytest.approx(single.cost_usd, rel=1e-6)
    assert meshed.lower_bound_usd == pytest.approx(single.lower_bound_usd, rel=1e-4)


def test_the_state_after_a_disaster_is_that_of_the_power_flow_with_loops() -> None:
    grid = station(meshed=True, i_max_a=400.0)  # so that nothing is shed
    storm = Disasters.from_branches(grid, {"one": (1.0, ["A-F0"])})
    found = openpoint.harden(grid, disasters=storm, **NOTHING_BOUGHT)
    assert found.cost_usd == pytest.approx(0.0, abs=1e-6)
    after = {row["name"]: row for row in found.branches.iter_rows(named=True)}
    closed = {name: row["state"] == "closed" for name, row in after.items()}
    assert all(closed[name] for name in ("T1", "T2", "C1", "C2"))
    assert not any(after[name]["switching"] for name in ("T1", "T2", "C1", "C2"))
    for row in openpoint.run_powerflow(grid.with_closed(closed)).branches.iter_rows(named=True):
        name, shown = row["name"], after[row["name"]]
        if name.startswith("C"):
            assert shown["i_a"] is None
            continue
        assert shown["i_a"] == pytest.approx(row["i_a"], rel=1e-6, abs=1e-6), name
        assert shown["loss_kw"] == pytest.approx(row["loss_kw"], rel=1e-6, abs=1e-6), name
    assert after["T2"]["i_a"] == pytest.approx(3.0 * after["T1"]["i_a"], rel=1e-6)
    assert after["T2"]["loading_percent"] == pytest.approx(after["T1"]["loading_percent"], rel=1e-6)


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
