"""Raw tables become tables of the schema, or faults, of which none hides another."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.errors import InputError, Problem
from openpoint.grid import Grid
from openpoint.grid.files import files_from_grid, grid_from_files
from openpoint.grid.schemas import SCHEMAS
from tests.grid.small import grid, tables

BUS = {"name": ["1"], "vn_kv": [10.0]}


@pytest.mark.parametrize(
    "buses",
    [
        BUS,
        [{"name": "1", "vn_kv": 10}],
        [{"name": 1, "vn_kv": 10}],
        {"name": [1.0], "vn_kv": ["10"]},
        {"name": np.array([1]), "vn_kv": np.array([10])},
        pl.DataFrame(BUS),
        ({"name": n, "vn_kv": 10.0} for n in ["1"]),
    ],
)
def test_shapes_of_raw_tables(buses: Any) -> None:
    grid = Grid.from_tables("g", {"buses": buses})
    assert grid.buses.row(0) == ("1", 10.0, "1", None, None, None, None)
    assert all(frame.schema == SCHEMAS[kind].empty().schema for kind, frame in grid.tables().items())


def test_mixed_numbers_and_matrices_in_a_column() -> None:
    line = {"from_bus": "a", "to_bus": "b", "x_ohm": 1}
    grid = Grid.from_tables("g", {"lines": [{"name": "1", "r_ohm": 1, **line}, {"name": "2", "r_ohm": [0.5], **line}]})
    assert grid.lines["r_ohm"].to_list() == [[1.0], [0.5]]


@pytest.mark.parametrize(
    ("tables", "places"),
    [
        ({"busses": BUS}, [("busses", "", "")]),
        ({"buses": {**BUS, "vn": [1.0]}}, [("buses", "", "vn")]),
        ({"buses": {"name": ["1"]}}, [("buses", "", "vn_kv")]),
        ({"buses": {"name": ["1", "2"], "vn_kv": ["x", None]}}, [("buses", "1", "vn_kv"), ("buses", "2", "vn_kv")]),
        ({"buses": {"name": ["1", None], "vn_kv": [1.0, 1.0]}}, [("buses", "number 2", "name")]),
        ({"buses": {"name": ["1", "2"], "vn_kv": [1.0]}}, [("buses", "", "")]),
        ({"buses": [1, 2]}, [("buses", "", "")]),
        ({"buses": 5}, [("buses", "", "")]),
        ({"buses": {"name": [object()], "vn_kv": [1.0]}}, [("buses", "", "name")]),
        (
            {"buses": {**BUS, "z": [1]}, "loads": {"name": ["l"]}},
            [("buses", "", "z"), ("loads", "", "bus"), ("loads", "", "p_kw")],
        ),
        (
            {"capacitors": {"name": ["c"], "bus": ["b"], "q_kvar": [1.0], "steps": [1.5]}},
            [("capacitors", "c", "steps"), ("capacitors", "c", "bus")],
        ),
    ],
)
def test_what_does_not_fit_is_named(tables: Any, places: list[tuple[str, str, str]]) -> None:
    with pytest.raises(InputError) as caught:
        Grid.from_tables("g", tables)
    absent = [kind for kind in ("buses", "sources") if kind not in tables]
    told = [(p.table, p.row, p.column) for p in caught.value.problems if p.row or p.column or p.table not in absent]
    assert told == places


def faults(changed: dict[str, Any]) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        Grid.from_tables("faulty", changed).check()
    return list(caught.value.problems)


def places(found: list[Problem]) -> set[tuple[str, str, str]]:
    return {(p.table, p.row, p.column) for p in found}


def test_faults_of_form_of_values_and_of_wiring_come_in_one_pass() -> None:
    changed: dict[str, Any] = tables()
    changed["lines"][0]["i_max_a"] = "many"  # form
    changed["lines"][1]["r_ohm"] = -1.0  # value
    changed["loads"][0]["p_kw"] = None  # form
    changed["loads"][1]["p_kw"] = -5.0  # value
    changed["generators"][0]["bus"] = "Z"  # reference
    changed["buses"].append({"name": "F", "vn_kv": 10.0})  # wiring
    changed["sources"][0]["colour"] = "red"  # form
    assert places(faults(changed)) == {
        ("lines", "ab", "i_max_a"),
        ("lines", "bc", "r_ohm"),
        ("loads", "b", "p_kw"),
        ("loads", "e", "p_kw"),
        ("generators", "pv", "bus"),
        ("buses", "F", ""),
        ("sources", "", "colour"),
    }


@pytest.mark.parametrize(
    ("kind", "row", "column", "value"),
    [
        ("buses", 1, "name", None),
        ("buses", 1, "vn_kv", "x"),
        ("lines", 0, "to_bus", None),
        ("lines", 0, "r_ohm", [None]),
        ("lines", 0, "closed", "perhaps"),
        ("lines", 0, "switchable", "perhaps"),
        ("transformers", 0, "vn_to_kv", None),
        ("sources", 0, "bus", None),
        ("capacitors", 0, "steps", 2.5),
        ("transformers", 0, "tap_max", 2.5),
        ("transformers", 0, "shift_degree", "x"),
    ],
)
def test_nothing_is_told_that_follows_from_a_fault_of_form(kind: str, row: int, column: str, value: object) -> None:
    changed: dict[str, Any] = tables()
    changed[kind][row][column] = value
    name = changed[kind][row]["name"]
    assert [(p.table, p.row, p.column) for p in faults(changed)] == [(kind, name or f"number {row + 1}", column)]


def test_a_table_by_another_name_is_not_taken_for_missing() -> None:
    changed: dict[str, Any] = tables()
    changed["busses"] = changed.pop("buses")
    changed["loads"][0]["p_kw"] = -5.0
    assert places(faults(changed)) == {("busses", "", ""), ("loads", "b", "p_kw")}


def test_files_are_judged_in_one_pass_too() -> None:
    files = files_from_grid(grid(tables()))
    files["lines.csv"] = files["lines.csv"].replace(b"200", b"many", 1) + b"one,cell\n"
    files["loads.csv"] = files["loads.csv"].replace(b"100", b"-100", 1)
    files["grid.toml"] = b"format = 1\ncolour = 1\n"
    with pytest.raises(InputError) as caught:
        grid_from_files(files)
    assert places(list(caught.value.problems)) == {
        ("grid.toml", "", "colour"),
        ("lines.csv", "'ab' in line 2", "i_max_a"),
        ("lines.csv", "line 5", ""),
        ("loads", "b", "p_kw"),
    }


def test_a_row_of_too_few_cells_hides_no_cell_of_another_row() -> None:
    files = files_from_grid(grid(tables()))
    files["buses.csv"] = b"name,vn_kv,volt\nA,ten,1\nB\n,10,1\n"
    with pytest.raises(InputError) as caught:
        grid_from_files(files)
    assert places([p for p in caught.value.problems if p.table == "buses.csv"]) == {
        ("buses.csv", "line 1", "volt"),
        ("buses.csv", "'A' in line 2", "vn_kv"),
        ("buses.csv", "line 3", ""),
        ("buses.csv", "line 4", "name"),
    }
    assert not [p for p in caught.value.problems if "there is no bus" in p.message]


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_cells_are_judged_without_failing(data: st.DataObject) -> None:
    changed: dict[str, Any] = tables()
    odd = st.sampled_from([None, "", "x", -1.0, 0, 1e400, [], [1.0, 2.0], ["x"], True, "true", float("nan")])
    for _ in range(data.draw(st.integers(1, 8))):
        kind = data.draw(st.sampled_from(sorted(changed)))
        row = data.draw(st.sampled_from(changed[kind]))
        row[data.draw(st.sampled_from(sorted(SCHEMAS[kind].columns())))] = data.draw(odd)
    with suppress(InputError):
        assert isinstance(Grid.from_tables("any", changed).problems(), list)


def test_a_folder_is_judged_in_one_pass(tmp_path: Path) -> None:
    from openpoint import read, write

    write(grid(tables()), tmp_path / "g")
    text = (tmp_path / "g" / "capacitors.csv").read_text()
    (tmp_path / "g" / "capacitors.csv").write_text(text.replace("cap,B", "cap,Z").replace(",3,2", ",3,two"))
    with pytest.raises(InputError) as caught:
        read(tmp_path / "g")
    assert json.dumps(sorted(p.column for p in caught.value.problems)) == '["bus", "steps_on"]'
