"""The start that the balanced equivalent gives to branch exchange on a grid of several phases."""

from pathlib import Path

import openpoint
from openpoint import Limits
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.phases.study import balanced_start
from openpoint.twostage.deadline import Deadline
from tests.studies.reconfigure.phases.test_study import meshed

FREE = Limits(voltage=False, current=False)


def test_it_is_the_answer_of_the_balanced_grid(tmp_path: Path) -> None:
    openpoint.write("zhang13", tmp_path / "grid.dss")
    grid = openpoint.read(tmp_path / "grid.dss")
    closed = balanced_start(grid, ReconfigureOptions(limits=FREE), Deadline())
    expected = openpoint.reconfigure("zhang13", limits=FREE).branches["closed_after"].to_list()
    assert closed.tolist() == expected
    name = grid.branches().filter(~closed)["name"][0]
    locked = balanced_start(grid, ReconfigureOptions(limits=FREE, locked_closed=name), Deadline())
    assert locked[grid.branches()["name"].to_list().index(name)]


def test_where_limits_cannot_be_kept_they_are_left_out() -> None:
    grid = meshed(4)
    free = balanced_start(grid, ReconfigureOptions(limits=FREE), Deadline())
    kept = balanced_start(grid, ReconfigureOptions(limits=Limits(v_min_pu=0.9999)), Deadline())
    assert kept.tolist() == free.tolist()


def test_there_is_none_where_rows_that_are_one_differ_in_state() -> None:
    grid = openpoint.read("ieee123")
    unit = next(name for name in grid.transformers["name"] if name.startswith("reg3"))
    options = ReconfigureOptions(limits=FREE)
    assert balanced_start(grid.with_closed({unit: False}), options, Deadline()) is None
