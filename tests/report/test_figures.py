"""Pictures of every kind for every shape of result, timelines, views of the terminal, and numbers for people."""

import io
import math
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from rich.console import Console

import openpoint
from openpoint import Benders, BranchExchange, ColumnAndConstraint, Enumeration, ExtensiveForm, TopologySearch
from openpoint.errors import OptionError
from openpoint.report.canvas import ticks
from openpoint.report.charts import Timeline, open_rows
from openpoint.report.drawing import COLOURS, Areas, Axis, Chart, Dots, Lines, Panel, Sheet, Words
from openpoint.report.figure import draw, paint, save
from openpoint.report.numerals import figures, method_words, mismatch_words
from openpoint.report.page.model import (
    Banner,
    Bullets,
    Card,
    Cards,
    Column,
    Page,
    Panels,
    Remarks,
    Section,
    Table,
)
from openpoint.report.page.model import Words as Paragraph
from openpoint.report.terminal import words
from openpoint.report.terminal.view import ROWS_SHOWN, show
from openpoint.studies.dispatch.day.methods import HourlySwitching
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.period_scenarios import PeriodScenarios
from openpoint.studies.dispatch.day.topology.method import DayTopologySearch
from openpoint.studies.reconfigure.report import PICTURES, page
from openpoint.studies.reconfigure.result import ReconfigureResult

Make = Callable[..., ReconfigureResult]


def texts(figure: Figure) -> list[str]:
    figure.canvas.draw()
    return [t.get_text() for t in figure.findobj(Text) if t.get_text() and t.get_visible()]


@pytest.mark.parametrize("kind", PICTURES)
def test_every_kind_is_drawn_for_every_shape_of_result(kind: str, any_result: ReconfigureResult) -> None:
    figure = draw(any_result, kind)
    assert any("Six buses" in text for text in texts(figure))
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_the_grid_has_a_panel_for_each_state(make_result: Make) -> None:
    shown = texts(draw(make_result()))
    assert shown.count("c-e") == 2
    assert {"Today, loss 24.000 kW", "Answer, loss 18.000 kW"} <= set(shown)


def test_the_headline_says_what_was_saved_or_that_there_is_no_answer(make_result: Make) -> None:
    assert "Six buses: 6.000 kW (25.0%) less loss" in texts(draw(make_result()))
    shown = texts(draw(make_result(answer=False)))
    assert "Six buses: infeasible, no answer that keeps the limits" in shown
    assert "Least violation met (not an answer)" in shown


def test_broken_limits_are_told(make_result: Make) -> None:
    assert "limit broken" in texts(draw(make_result()))


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
    for kind in PICTURES:
        draw(make_result(names=hostile), kind).canvas.draw()
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
    assert make_result().kinds == ("grid", "voltage", "loading", "convergence")
    with pytest.raises(OptionError, match="grid, voltage, loading, convergence"):
        make_result().plot("map")
    with pytest.raises(OptionError, match=r"\.png, \.svg, \.pdf"):
        save(make_result(), tmp_path / "grid.gif")


def sheet(*layers: Lines | Areas | Dots | Words, unit: tuple[float, float] | None = (40.0, 40.0)) -> Sheet:
    return Sheet("title", (Panel("p", Chart(200, Axis(0.0, 10.0), Axis(0.0, 5.0), layers, unit=unit), "", ""),))


def test_every_layer_is_drawn_where_the_data_says() -> None:
    box, way = [0.0, 0.0, 2.0, 0.0, 2.0, 1.0, 0.0, 1.0], [1.0, 1.0, 3.0, 4.0]
    dots = Dots([1.0, None, 3.0], [1.0, 1.0, 2.0], (8.0, 8.0, 0.0), "@closes", edge="#123456")
    (axes,) = paint(sheet(Areas([box], "@after"), Lines([way], "@opens", 2.0), dots, unit=None)).axes
    area, lines, shown = axes.collections
    assert area.get_paths()[0].vertices[:4].ravel().tolist() == box
    assert lines.get_paths()[0].vertices.ravel().tolist() == way
    assert shown.get_offsets().tolist() == [[1.0, 1.0]]  # one has no place, one no size
    colours = [mpl.colors.to_hex(each.get_edgecolor()[0]) for each in (lines, shown)]
    assert colours == [COLOURS["opens"][0], "#123456"]
    assert (axes.get_xlim(), axes.get_ylim()) == ((0.0, 10.0), (0.0, 5.0))


def test_names_hide_neither_each_other_nor_what_is_drawn() -> None:
    dots = Dots([5.0, 5.2], [2.5, 2.5], 10.0, "@ink")
    names = Words([5.0, 5.2, 9.9], [2.5, 2.5, 2.5], ("long name", "longer name", "x" * 200), "@ink")
    figure = paint(sheet(dots, names))
    figure.canvas.draw()
    shown = {t.get_text(): t.get_window_extent() for t in figure.axes[0].texts}
    assert set(shown) == {"long name", "longer name"}  # the third has no room
    assert not shown["long name"].overlaps(shown["longer name"])
    many = Words([5.0] * 200, [2.5] * 200, ("a",) * 200, "@ink", names=True)
    assert not paint(sheet(many)).axes[0].texts


@pytest.mark.parametrize(
    ("low", "high", "found"), [(0.0, 10.0, [0, 2, 4, 6, 8, 10]), (0.12, 0.31, [0.15, 0.2, 0.25, 0.3])]
)
def test_ticks_are_round(low: float, high: float, found: list[float]) -> None:
    assert ticks(low, high, 5.0)[0] == pytest.approx(found)


def test_rows_are_open_sometime_in_the_order_of_the_grid_or_those_switched() -> None:
    grid = openpoint.read("baran33")
    states = [("36", "7", "9"), ("33", "7", "9")]
    assert open_rows(grid, states, ["33", "36"], 4) == ["7", "9", "33", "36"]
    assert open_rows(grid, states, ["36", "33"], 3) == ["33", "36"]
    assert open_rows(grid, states, ["36", "33"], 1) == ["33"]


def test_a_bar_a_time_open_and_a_mark_a_switching() -> None:
    grid = openpoint.read("civanlar16")
    a, b = grid.branches()["name"][:2]
    times = Timeline(np.array([0.0, 2.0, 3.0, 7.0]), ("x", "y", "z"))
    states = [(a,), (a, b), (b,)]
    for before, marks in (((b,), [(a, 0.0), (b, 0.0), (b, 2.0), (a, 3.0)]), (None, [(b, 2.0), (a, 3.0)])):
        chart = times.open_points(grid, states, before, [a, b], 10)
        (bars,) = (layer for layer in chart.layers if isinstance(layer, Areas))
        assert sorted((way[0], way[2]) for way in bars.ways) == [(0.0, 2.0), (2.0, 3.0), (2.0, 3.0), (3.0, 7.0)]
        dots = [layer for layer in chart.layers if isinstance(layer, Dots)]
        places = [(x, y) for layer in dots for x, y in zip(layer.x, layer.y, strict=True)]
        assert sorted(((a, b)[int(-y)], x) for x, y in places if x is not None and y is not None) == sorted(marks)
        assert [text for _, text in chart.y.ticks] == [a, b]
    assert times.open_points(grid, [(), (), ()], None, [], 10) is None


def test_bands_and_lines_leave_out_what_is_not_known() -> None:
    times = Timeline(np.array([0.0, 1.0, 2.0, 3.0]), ("x", "y", "z"))
    gap = np.array([1.0, np.nan, 2.0])
    assert times.band(np.zeros(3), gap) == [[0, 1, 1, 1, 1, 0, 0, 0], [2, 2, 3, 2, 3, 0, 2, 0]]
    assert times.line(gap) == [[0.0, 1.0, 1.0, 1.0], [2.0, 2.0, 3.0, 2.0]]


def printed(shown: Page) -> str:
    told = io.StringIO()
    out = Console(file=told, markup=False, highlight=False, emoji=False, soft_wrap=True, width=500)

    def remark(out: Console, notes: Iterable[str]) -> None:
        for note in notes:
            out.print(f"Note: {note}")

    show(out, shown, remark)
    return told.getvalue()


def test_a_page_in_brief_has_all_but_its_pictures() -> None:
    rows = tuple((f"[red]{k}", 10.0 * k) for k in range(ROWS_SHOWN + 3))
    listed = Table("t", "All", (Column("name"), Column("kW", 1)), rows)

    def left_out() -> Section:
        raise AssertionError

    told_in_words = Paragraph("open: ", "a, b"), Bullets(("one", "two"))
    parts = (
        Banner("good", "Solved.", "Done."),
        Remarks(("first",)),
        Cards((Card("Loss", "1 kW", ("", "today 2 kW", "less")), Card("Gap", "0 %"))),
        left_out,
        [
            None,
            Section("What", (*told_in_words, Panels((), beside=True), listed)),
        ],
    )
    told = printed(Page("Ring", "", "", parts)).splitlines()
    assert told[:4] == ["", "Solved. Done.", "Note: first", "Loss:   1 kW · today 2 kW · less"]
    assert told[4:10] == ["Gap:    0 %", "", "What", "open: a, b", "one", "two"]
    assert [line.split() for line in told[10:13]] == [["All:"], ["name", "kW"], ["[red]0", "0.0"]]
    assert len(told) == 12 + ROWS_SHOWN + 1
    assert told[-1] == "  and 3 more; --json, --tables and --report list all"


def test_every_shape_of_result_is_told(any_result: ReconfigureResult) -> None:
    told = printed(page(any_result))
    assert any_result.termination.value in told.lower()
    assert ("Open branches: " in told) == (any_result.loss_kw is not None)
    assert "None" not in told


def test_names_do_not_steer_the_terminal(make_result: Make) -> None:
    told = printed(page(make_result(names={"b-c": "\x1b[2J", "c": "\x07"})))
    assert "\\x1b[2J" in told
    assert "\x1b" not in told


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [
        (1456.7, 3, "1,457"),
        (146.0, 3, "146"),
        (210.04, 3, "210"),
        (0.012345, 4, "0.01235"),
        (-1234567.0, 4, "-1,234,567"),
        (100.0, 4, "100"),
        (1e-9, 4, "0.000000001"),
        (0.0, 4, "0"),
        (math.nan, 4, "–"),
        (math.inf, 4, "–"),
        (None, 4, "–"),
    ],
)
def test_a_number_has_no_exponent(value: float | None, digits: int, said: str) -> None:
    assert figures(value, digits) == said


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (TopologySearch(), "Topology search, to 0.0001 %"),
        (BranchExchange(), "Branch exchange"),
        (Enumeration(), "All topologies tried"),
        (Benders(gap=0.01), "Benders decomposition, to 1 %"),
        (ColumnAndConstraint(gap=1e-4), "Column-and-constraint generation, to 0.01 %"),
        (ExtensiveForm(solver="highs", gap=0.0), "One program for all, solved by highs, to 0 %"),
        (Benders(gap=0.01, relaxation=False), "Benders decomposition, to 1 %, plain"),
        (str(PeriodColumns(gap=0.001)), "Column-and-constraint generation by period, to 0.1 %"),
        (str(PeriodScenarios(gap=0.001)), "Scenario days, by period, to 0.1 %"),
        (str(DayTopologySearch(gap=0.001)), "Topology search of a day, to 0.1 %"),
        (str(HourlySwitching(gap=0.001)), "Dynamic programming over proven topologies, to 0.1 %"),
        ("what nobody knows (yet)", "what nobody knows (yet)"),
    ],
)
def test_a_method_is_named_in_words(method: object, said: str) -> None:
    assert method_words(str(method)) == said
    assert words.method(method) == said[0].lower() + said[1:]


def test_a_small_mismatch_is_small_in_words() -> None:
    assert mismatch_words(1.4e-14) == "below 0.000001 pu"
    assert mismatch_words(0.00321) == "0.0032 pu"
    assert mismatch_words(None) == "–"
