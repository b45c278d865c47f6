"""Raw tables of any shape become tables of the schema, or faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from openpoint.errors import InputError
from openpoint.grid import Grid
from openpoint.grid.schemas import SCHEMAS

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
    assert all(frame.schema == SCHEMAS[kind].create_empty().schema for kind, frame in grid.tables().items())


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
