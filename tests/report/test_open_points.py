"""The picture of open points along the time: which rows it has, and where it draws bars and switchings."""

from __future__ import annotations

import numpy as np
from matplotlib.collections import PolyCollection

import openpoint
from openpoint.report.figure import style
from openpoint.report.figure.open_points import draw_open_points, open_rows


def test_rows_are_open_sometime_in_the_order_of_the_grid_or_those_switched() -> None:
    grid = openpoint.read("baran33")
    states = [("36", "7", "9"), ("33", "7", "9")]
    assert open_rows(grid, states, ["33", "36"], 4) == ["7", "9", "33", "36"]
    assert open_rows(grid, states, ["36", "33"], 3) == ["33", "36"]
    assert open_rows(grid, states, ["36", "33"], 1) == ["33"]


def test_a_bar_a_time_open_and_a_mark_a_switching() -> None:
    edges, states = np.array([0.0, 2.0, 3.0, 7.0]), [("a",), ("a", "b"), ("b",)]
    for before, marks in ((("b",), [("a", 0.0), ("b", 0.0), ("b", 2.0), ("a", 3.0)]), (None, [("b", 2.0), ("a", 3.0)])):
        axes = style.Picture().add_subplot()
        draw_open_points(axes, ["a", "b"], edges, states, before)
        bars = [each.get_paths()[0].get_extents() for each in axes.collections if isinstance(each, PolyCollection)]
        assert sorted((bar.x0, bar.x1) for bar in bars) == [(0.0, 2.0), (2.0, 3.0), (2.0, 3.0), (3.0, 7.0)]
        drawn = [line for line in axes.lines if line.get_marker() == "o"]
        found = [("ab"[int(-line.get_ydata()[0])], float(line.get_xdata()[0])) for line in drawn]
        assert sorted(found) == sorted(marks)
        assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
