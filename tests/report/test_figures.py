"""Matplotlib figures of every kind, for every shape of result."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from openpoint.errors import OptionError
from openpoint.studies.reconfigure.pictures.figures import Kind, Which, draw, save
from openpoint.studies.reconfigure.result import ReconfigureResult

Make = Callable[..., ReconfigureResult]


def texts(figure: Figure) -> list[str]:
    figure.canvas.draw()
    return [t.get_text() for t in figure.findobj(Text) if t.get_text() and t.get_visible()]


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_is_drawn_for_every_shape_of_result(kind: Kind, any_result: ReconfigureResult) -> None:
    figure = draw(any_result, kind=kind)
    assert any("Six buses" in text for text in texts(figure))
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


@pytest.mark.parametrize(("which", "panels"), [("both", 2), ("before", 1), ("after", 1)])
def test_the_grid_has_a_panel_for_each_state(which: Which, panels: int, make_result: Make) -> None:
    shown = texts(draw(make_result(), which=which))
    assert shown.count("c-e") == panels
    assert ("Today, loss 24.000 kW" in shown) == (which != "after")
    assert ("Answer, loss 18.000 kW" in shown) == (which != "before")


def test_the_headline_says_what_was_saved_or_that_there_is_no_answer(make_result: Make) -> None:
    assert "Six buses: 6.000 kW (25.0%) less loss" in texts(draw(make_result()))
    shown = texts(draw(make_result(answer=False)))
    assert "Six buses: infeasible, no answer that keeps the limits" in shown
    assert "Least violation met (not an answer)" in shown


def test_limits_broken_today_are_found_and_shown(make_result: Make) -> None:
    shown = texts(draw(make_result(), which="before"))
    assert "limit broken" in shown
    assert "limit broken" not in texts(draw(make_result(), which="after"))


def test_before_and_after_share_one_layout(make_result: Make) -> None:
    figure = draw(make_result())
    before, after = figure.axes[:2]
    assert before.get_xlim() == after.get_xlim()
    assert before.get_ylim() == after.get_ylim()


def test_pyplot_is_not_touched_and_the_users_style_is_left_alone(make_result: Make) -> None:
    style = dict(mpl.rcParams)
    draw(make_result())
    assert dict(mpl.rcParams) == style
    if "matplotlib.pyplot" in sys.modules:
        assert not sys.modules["matplotlib.pyplot"].get_fignums()


def test_names_are_never_read_as_tex(make_result: Make) -> None:
    hostile = {"c": "$\\frac{1}{", "b-c": "_$x^2$", "title": "$\\bad{"}
    for kind in get_args(Kind):
        draw(make_result(names=hostile), kind=kind).canvas.draw()
    assert "_$x^2$" in texts(draw(make_result(names=hostile)))


@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_a_saved_picture_is_the_same_every_time(format: str, make_result: Make, tmp_path: Path) -> None:
    paths = [save(make_result(), tmp_path / f"{i}.{format}") for i in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].stat().st_size > 1000


def test_text_in_svg_stays_text_and_names_cannot_break_out(make_result: Make, tmp_path: Path) -> None:
    name = "<script>alert(1)</script>"
    path = save(make_result(names={"b-c": name, "c": "a&b"}), tmp_path / "grid.svg")
    root = ET.parse(path).getroot()
    tags = {element.tag.split("}")[-1] for element in root.iter()}
    assert "script" not in tags
    shown = [element.text for element in root.iter() if element.tag.endswith("}text")]
    assert "a&b" in shown
    assert "Answer, loss 18.000 kW" in shown


def test_wrong_choices_are_refused_with_the_right_ones(make_result: Make, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="grid, voltage, loading, convergence"):
        draw(make_result(), kind="map")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="both, before, after"):
        draw(make_result(), which="later")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="no state after"):
        draw(make_result(answer=False, least=False), which="after")
    with pytest.raises(OptionError, match=r"\.png, \.svg, \.pdf"):
        save(make_result(), tmp_path / "grid.gif")
