"""Pictures, page and outputs of a hardening: complete, deaf to markup in names, of the published shape."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from openpoint import Disasters, Grid, HardenCosts, OptionError, harden
from openpoint.report.drawing import Lines, Words
from openpoint.report.figure import draw, encode
from openpoint.report.numerals import figures
from openpoint.studies.harden.report import PANELS, PICTURES, after_chart
from openpoint.studies.harden.result import HardenResult
from openpoint.studies.harden.scene import build_harden_scene
from openpoint.twostage.log import Termination
from tests.builders.pages import charts_of, drawable, hovers, render, write_report

NASTY = {
    "a": "<script>alert(1)</script>",
    "b": '"><img src=x onerror=alert(1)>',
    "c": "$x^2$ %{y}",
    "s-a": "</title></style><svg onload=alert(1)>",
    "b-c": "@line",
    "flood": "<b>flood</b>",
}


def build(names: dict[str, str] | None = None) -> HardenResult:
    """A chain S-A-B-C with a tie C-S; a flood takes what is near the source, a calm nothing, a gale A-B."""
    n = names or {}
    lines = [("s-a", "s", "a", True), ("a-b", "a", "b", True), ("b-c", "b", "c", True), ("c-s", "c", "s", False)]
    grid = Grid.from_tables(
        "chain",
        {
            "buses": {"name": [n.get(x, x) for x in "sabc"], "vn_kv": [10.0] * 4},
            "lines": {
                "name": [n.get(x[0], x[0]) for x in lines],
                "from_bus": [n.get(x[1], x[1]) for x in lines],
                "to_bus": [n.get(x[2], x[2]) for x in lines],
                "r_ohm": [0.2] * 4,
                "x_ohm": [0.2] * 4,
                "closed": [x[3] for x in lines],
            },
            "sources": {"name": ["grid"], "bus": ["s"]},
            "loads": {"name": ["1", "2", "3"], "bus": [n.get(x, x) for x in "abc"], "p_kw": [60.0, 70.0, 80.0]},
        },
    )
    flood = n.get("flood", "flood")
    threat = Disasters(
        (flood, "calm", "gale"), np.array([0.5, 0.2, 0.3]), np.array([[1, 0, 0, 1], [0] * 4, [0, 1, 0, 0]])
    )
    return harden(grid, disasters=threat, max_lines=0, max_generators=1, costs=HardenCosts(generator_kvar=10.0))


@pytest.fixture(scope="module")
def result() -> HardenResult:
    return build()


@pytest.fixture(scope="module")
def nasty() -> HardenResult:
    return build(NASTY)


@pytest.fixture
def none(result: HardenResult) -> HardenResult:
    """No plan was found in time."""
    blank: dict[str, Any] = {
        name: getattr(result, name).clear() for name in ("disasters", "buses", "branches", "sources", "violations")
    }
    usd = ("cost", "investment", "without_plan", "wait_and_see", "evpi", "most_likely_plan", "mean_value_plan", "vss")
    unknown: dict[str, Any] = {f"{name}_usd": None for name in usd}
    return replace(
        result,
        termination=Termination.TIME,
        hardened_branches=(),
        generators=(),
        gap=float("inf"),
        ac_max_mismatch_pu=None,
        notes=("a note to keep",),
        **blank,
        **unknown,
    )


def test_the_scene_is_what_the_result_says(result: HardenResult) -> None:
    scene = build_harden_scene(result)
    flood = scene.after[0]
    assert flood.name == "flood"  # it weighs most
    assert [scene.branch_names[e] for e in np.flatnonzero(flood.broken)] == ["s-a", "c-s"]
    assert flood.shed_kw == pytest.approx(110.0)  # a generator of 100 kW for 210 kW
    assert flood.shed.sum() == pytest.approx(flood.shed_kw)
    assert [unit.forms_grid for unit in flood.units] == [True]
    assert set(flood.island[1:]) == {2}
    gale = next(after for after in scene.after if after.name == "gale")
    assert [scene.branch_names[e] for e in gale.switched] == ["c-s"]
    assert scene.island_colour(0) == "@dead"
    assert len({scene.island_colour(k) for k in range(4)}) == 4


def test_the_picture_shows_every_disaster(result: HardenResult) -> None:
    sheet = PICTURES["grid"](result)
    captions = [panel.caption for panel in sheet.panels]
    assert captions[0].startswith("flood, probability 0.5: 110.0 kW shed, $")
    assert any(caption.startswith("calm, probability 0.2: nothing shed, $") for caption in captions)
    broken = [
        len(layer.ways)
        for panel in sheet.panels
        for layer in panel.chart.layers
        if isinstance(layer, Lines) and layer.colour == "@broken"
    ]
    assert sorted(broken) == [1, 2]
    assert len(draw(result).axes) == 3
    assert result.plot("convergence").axes[0].get_ylabel() == "$"


def test_a_picture_has_only_so_many_panels(result: HardenResult) -> None:
    names = [f"d{k}" for k in range(PANELS + 2)]
    first = result.disasters.head(1)
    many = pl.concat([first.with_columns(disaster=pl.lit(name)) for name in names])

    def repeat(frame: pl.DataFrame) -> pl.DataFrame:
        one = frame.filter(disaster=first["disaster"].item())
        return pl.concat([one.with_columns(disaster=pl.lit(name)) for name in names])

    tables: dict[str, Any] = {
        name: repeat(getattr(result, name)) for name in ("buses", "branches", "sources", "violations")
    }
    crowded = replace(result, disasters=many, **tables)
    sheet = PICTURES["grid"](crowded)
    assert len(sheet.panels) == PANELS
    assert "2 more disasters" in sheet.note
    assert render(crowded).count('class="chart" id="grid-') == PANELS + 2


def test_without_a_plan_there_is_no_picture(none: HardenResult) -> None:
    with pytest.raises(OptionError, match="No plan"):
        draw(none)


def test_the_page_says_what_the_result_says(result: HardenResult, tmp_path: Path) -> None:
    page = write_report(result, tmp_path / "r.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", " ", page)
    for figure in (
        f"${result.cost_usd:,.2f}",
        f"investment ${result.investment_usd:,.2f}",
        f"without a plan ${result.without_plan_usd:,.2f}",
        f"backup at {result.generators[0]}",
        result.in_short,
        "forms an island",
        "value of the stochastic solution",
        "After the disasters",
    ):
        assert figure in text
    assert set(charts_of(page)) == {"grid-0", "grid-1", "grid-2", "convergence"}
    assert "nan" not in text.lower().split()
    assert "None" not in text


def test_a_page_without_a_plan_says_so(none: HardenResult) -> None:
    page = render(none)
    assert "Stopped early" not in page
    assert "No plan found (time)." in page
    assert "a note to keep" in page
    assert not [name for name in charts_of(page) if name.startswith("grid")]


def test_names_are_text_everywhere(nasty: HardenResult) -> None:
    page = render(nasty)
    assert "<img src=x" not in page.replace('<img alt="', "")
    assert "<script>alert" not in page
    assert "<svg onload" not in page
    assert "<b>flood" not in page
    encode(draw(nasty), "svg")


def test_the_page_can_draw_every_chart(result: HardenResult, nasty: HardenResult) -> None:
    for each in (result, nasty):
        scene = build_harden_scene(each)
        for after in scene.after:
            drawable(after_chart(scene, after))


def test_hovering_says_all_about_a_bus(result: HardenResult) -> None:
    scene = build_harden_scene(result)
    texts = hovers(after_chart(scene, scene.after[0]))
    (unit,) = (text for text in texts if "backup generator" in text)
    assert "forms the island: 100" in unit
    assert any("branch s-a" in text and "broken" in text for text in texts)
    assert any("shed" in text for text in texts)


def test_beside_every_closed_line_stands_what_it_carries(result: HardenResult) -> None:
    scene = build_harden_scene(result)
    for after in scene.after:
        words = [text for layer in after_chart(scene, after).layers if isinstance(layer, Words) for text in layer.text]
        shown = [text for text in words if text.endswith(" kW") and "−" not in text]
        assert len(shown) == int(after.closed.sum())
        rows = result.branches.filter(disaster=after.name, state="closed")
        for power in rows["p_from_kw"]:
            assert any(text.endswith(f"{figures(abs(power), 3)} kW") for text in shown)
