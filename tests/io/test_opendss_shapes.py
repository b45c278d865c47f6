"""Load shapes as tables."""

from __future__ import annotations

from pathlib import Path

from openpoint.io.opendss.read import read_shapes
from tests.io.feeders import LINE, LOAD, SUB, script


def test_shapes_and_who_follows_them(tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text("0.5\n1.0\n0.25\n")
    shapes = """New LoadShape.day npts=3 interval=8 mult=(file=day.csv)
New LoadShape.both npts=2 hour=[1 5] interval=0 mult=[1 2] qmult=[3 4] useactual=yes
"""
    use = "Load.D.daily=day\nLoad.D.yearly=both\n"
    path = tmp_path / "feeder.dss"
    path.write_text(script(shapes + SUB + LINE + LOAD + use))
    found = read_shapes(path)
    day = found.shapes.filter(name="day")
    assert day["p"].to_list() == [0.5, 1.0, 0.25]
    assert day["hour"].to_list() == [0.0, 8.0, 16.0]
    assert day["q"].null_count() == 3
    both = found.shapes.filter(name="both").drop("name")
    assert both.rows() == [(0, 1.0, 1.0, 3.0, True), (1, 5.0, 2.0, 4.0, True)]
    assert found.uses.rows() == [("load.d", "daily", "day"), ("load.d", "yearly", "both")]


def test_no_shapes(tmp_path: Path) -> None:
    path = tmp_path / "feeder.dss"
    path.write_text(script(SUB + LINE + LOAD))
    found = read_shapes(path)
    assert found.shapes.filter(name="day").is_empty()
    assert found.uses.is_empty()
