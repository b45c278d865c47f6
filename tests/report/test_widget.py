"""The picture of a grid as a widget: what notebooks are given, and what comes back."""

import importlib.util

import pytest

import openpoint
from openpoint.errors import MissingExtraError

LONG = "a branch whose name is much too long to stand in any picture of a grid"


def test_a_widget_has_the_picture_and_takes_branches() -> None:
    pytest.importorskip("anywidget")
    grid = openpoint.read("civanlar16")
    grid = grid.with_tables(lines=grid.lines.with_columns(grid.lines["name"].replace("10-14", LONG)))
    picture = openpoint.canvas(grid)
    assert list(picture.names.values()) == [LONG]
    picture.chosen = ["4-5", LONG]
    result = openpoint.reconfigure(grid, locked_open=picture.chosen)
    assert {"4-5", LONG} <= set(result.open_branches)
    assert "Answer, loss" in openpoint.canvas(result).page


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "anywidget" else find(name))
    with pytest.raises(MissingExtraError, match="needs the package 'anywidget'"):
        openpoint.canvas("civanlar16")
