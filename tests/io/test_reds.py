"""REDS files: units, misspelt keys, trailing tabs, and damaged files."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.errors import InputError
from openpoint.grid import Grid
from openpoint.io.reds import grid_from_text

TEXT = (Path(__file__).parent / "data" / "small.pos").read_text()


def read(text: str) -> Grid:
    return grid_from_text(text, "small.pos")


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) == 1
    return TEXT.replace(old, new)


def test_tables() -> None:
    grid = read(TEXT)
    assert grid.buses["name"].to_list() == ["0", "1", "2", "3", "4", "5"]
    assert grid.buses.select("vn_kv", "x", "y").row(3) == (10, 0, 2)
    assert grid.sources["bus"].to_list() == ["0", "1"]
    assert grid.lines["name"].to_list() == ["0", "1", "2", "3", "4"]
    assert grid.lines["closed"].to_list() == [True] * 4 + [False]
    assert grid.lines["r_ohm"].to_list() == [[0.5], [0.5], [0.25], [0.25], [1.0]]
    # The load belongs to the receiving bus.
    assert grid.loads.select("bus", "p_kw", "q_kvar").rows() == [("2", 100, 40), ("3", 200, -80), ("4", 50, 20)]
    assert grid.problems() == []


def test_per_unit() -> None:
    grid = read(changed(".PU 0", ".PU 1"))
    assert grid.lines["r_ohm"].to_list()[0] == [10.0]
    assert grid.loads["p_kw"][0] == 500_000


def test_loads_too_small_for_the_base_are_megawatts_with_a_note() -> None:
    grid = read(changed(".S_base 5", ".S_base 1000"))
    assert grid.loads["p_kw"].sum() == 350_000
    assert grid.lines["r_ohm"].to_list()[0] == [0.05]
    assert [n.column for n in grid.notes] == [".PU"]


def test_coordinates_beyond_the_grid_are_placeholders() -> None:
    assert read(changed(".Grid_size 3 2", ".Grid_size 2 2")).buses["x"].null_count() == 6


@pytest.mark.parametrize(
    ("old", "new", "row", "column"),
    [
        (".PU 0", ".PU 2", "line 1", ".PU"),
        (".PU 0", "", "", ".PU"),
        (".V_base 10.00", ".V_base 0", "line 2", ".V_base"),
        (".V_base 10.00", ".V_base nan", "line 2", ".V_base"),
        (".S_base 5", "", "", ".S_base"),
        (".Feder_node_ids 0 1", ".Feder_node_ids", "line 9", ".Feeder_node_ids"),
        (".Feder_node_ids 0 1", ".Feder_node_ids 0 9", "line 9", ".Feeder_node_ids"),
        (".Branch_count 5", ".Branch_count 6", "line 4", ".Branch_count"),
        ("0 0 2 0.5 0.4 100 40 S", "0 0 2 0.5 0.4 100 40", "line 11", ""),
        ("0 0 2 0.5 0.4 100 40 S", "0 0 2 0.5 x 100 40 S", "line 11", ""),
        ("0 0 2 0.5 0.4 100 40 S", "0 0 2 0.5 1e999 100 40 S", "line 11", ""),
        ("0 0 2 0.5 0.4 100 40 S", "0 0 2 0.5 0.4 100 40 X", "line 11", ""),
        ("0 0 2 0.5 0.4 100 40 S", "0 0 two 0.5 0.4 100 40 S", "line 11", ""),
        ("1 2 3 0.5 0.4 200", "1 3 2 0.5 0.4 200", "line 12", "to"),
        ("4 3 5 1.0 0.8", "4 3 5 1.0", "line 17", ""),
        ("5 3 2", "5 3", "line 25", ""),
        (".PU 0", "hello", "line 1", ""),
    ],
)
def test_faults_are_named(old: str, new: str, row: str, column: str) -> None:
    with pytest.raises(InputError) as caught:
        read(changed(old, new))
    assert (row, column) in [(p.row, p.column) for p in caught.value.problems]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.6])
def test_a_file_that_was_cut_off_is_refused(share: float) -> None:
    with pytest.raises(InputError):
        read(TEXT[: int(share * len(TEXT))])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_files_are_refused_or_read_and_never_fail(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TEXT)))
    end = data.draw(st.one_of(st.just(len(TEXT)), st.integers(at, min(at + 12, len(TEXT)))))
    junk = data.draw(st.text(max_size=5))
    with suppress(InputError):
        read(TEXT[:at] + junk + TEXT[end:]).problems()
