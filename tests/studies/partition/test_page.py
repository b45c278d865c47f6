"""Pictures and page of a partition: complete, deaf to markup in names, legible without some cones, always the same."""

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import Grid, OptionError, partition, sample_partition
from openpoint.report.drawing import COLOURS, ISLES, Dots, Lines, Words, ink_on
from openpoint.report.figure import draw, encode
from openpoint.report.numerals import figures
from openpoint.studies.compare.report import differing
from openpoint.studies.compare.result import CompareResult
from openpoint.studies.partition.report import COMPARED, plan_chart
from openpoint.studies.partition.result import PartitionResult
from openpoint.studies.partition.scene import build_partition_scene, plan_words
from openpoint.twostage.log import Termination
from tests.builders.microgrids import five, renamed
from tests.builders.pages import charts_of, drawable, hovers, render, write_report

NASTY = {
    "b1": "<script>alert(1)</script>",
    "b2": '"><img src=x onerror=alert(1)>',
    "b3": "$x^2$ %{y}",
    "l1": "</title></style><svg onload=alert(1)>",
    "l3": "@line",
    "g1": "<b>unit</b>",
    "d0": "<i>load</i>",
}


def apart() -> Grid:
    """The feeder of five buses with l1 broken: its two generators can only form islands of their own."""
    tables = {kind: frame for kind, frame in five().grid().tables().items() if frame.height}
    return Grid.from_tables("apart", {**tables, "lines": tables["lines"].filter(pl.col("name") != "l1")})


@pytest.fixture(scope="module")
def levels() -> CompareResult:
    return openpoint.compare(apart(), "partition", {f"± {share:g}": {"uncertainty": share} for share in (0.0, 0.3)})


@pytest.fixture(scope="module")
def result(levels: CompareResult) -> PartitionResult:
    found: PartitionResult = levels["± 0.3"]
    return found


@pytest.fixture(scope="module")
def nasty() -> PartitionResult:
    return partition(renamed(five().grid(), NASTY), uncertainty=0.1)


@pytest.fixture
def none(result: PartitionResult) -> PartitionResult:
    """No plan was found in time."""
    return replace(
        result,
        termination=Termination.TIME,
        cost_usd=None,
        lost_usd=None,
        generation_usd=None,
        worst_recourse_usd=None,
        gap=float("inf"),
        islands=result.islands.clear(),
        iterations=result.iterations.clear(),
        notes=("a note to keep",),
    )


def test_the_scene_is_what_the_result_says(result: PartitionResult) -> None:
    scene = build_partition_scene({plan_words(result): result})
    (cut,) = scene.plan_views
    assert cut.headline == "3 loads ± 30 %: 210 of 810 kW served"
    island = dict(zip(scene.bus_names, cut.island, strict=True))
    assert island["b2"] == island["b3"] != island["b1"]
    assert min(island["b1"], island["b2"]) == 1
    assert island["b0"] == island["b4"] == 0
    assert [scene.block[scene.bus_names.index(bus)] for bus in ("b2", "b3", "b4")] == ["b2", "b2", "b4"]
    states = dict(zip(scene.branch_names, zip(cut.closed.tolist(), cut.switching, strict=True), strict=True))
    assert states == {"l0": (False, "open"), "l2": (True, ""), "l3": (False, "open"), "l4": (False, "open")}
    assert [each.words.split(" ", 1)[1] for each in cut.islands if each.load_kw == 120.0] == [
        "forms the grid; 1 block, load 120 of 200 kW"
    ]


def test_the_picture_shows_islands_and_numbers_of_every_case(levels: CompareResult) -> None:
    for panel, title in zip(COMPARED["islands"](levels.results).panels, ("± 0", "± 0.3"), strict=True):
        assert panel.caption == f"{title}: 210 of 810 kW served"
        words = [text for layer in panel.chart.layers if isinstance(layer, Words) for text in layer.text]
        assert (words.count("1"), words.count("2")) == (1, 1)  # in the generator that forms the grid
        buses = next(layer for layer in panel.chart.layers if isinstance(layer, Dots))
        assert set(buses.fill) == {ISLES[0], ISLES[1], "@paper"}
    assert len(draw(levels).axes) == 2
    assert levels["± 0"].plot("convergence").axes[0].get_ylabel() == "$"


def test_levels_side_by_side_are_those_by_themselves() -> None:
    asked = {f"{level:g}": {"uncertainty": level, "uncertain_loads": ["d0", "d1"]} for level in (0.3, 0.0)}
    found = openpoint.compare(five().grid(), "partition", asked)
    assert list(found.results) == ["0.3", "0"]
    assert found.axis == ("uncertainty", (0.3, 0.0))
    assert found["0"].cost_usd < found["0.3"].cost_usd
    alone = partition(five().grid(), uncertainty=0.3, uncertain_loads=["d0", "d1"])
    assert found["0.3"].cost_usd == pytest.approx(alone.cost_usd, rel=1e-6)


def test_what_robustness_costs_is_drawn_over_the_uncertainty(levels: CompareResult) -> None:
    panels = {panel.identity: panel.chart for panel in differing(levels).panels}
    chart = panels["figure-cost_usd"]
    (line,) = (layer for layer in chart.layers if isinstance(layer, Lines))
    costs = [levels[name].cost_usd for name in levels.results]
    assert (chart.x.title, line.ways[0]) == ("uncertainty", pytest.approx([0.0, costs[0], 0.3, costs[1]]))
    assert {"figure-seconds", "figure-gap"}.isdisjoint(panels)


def test_without_a_plan_there_is_no_picture(none: PartitionResult) -> None:
    with pytest.raises(OptionError, match="No plan"):
        draw(none)


def test_the_page_says_what_the_result_says(result: PartitionResult, tmp_path: Path) -> None:
    page = write_report(result, tmp_path / "r.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", " ", page)
    for figure in (
        "210 of 810 kW",
        f"${result.cost_usd:,.2f}",
        "2: 2 of 4 blocks",
        "3 of 3 loads ± 30 %",
        result.in_short,
        "Switches to operate",
        "forms the grid",
        "How it was proven",
        "linear three-phase power flow",
    ):
        assert figure in text
    assert "exact AC" not in text
    assert set(charts_of(page)) == {"grid-0", "convergence-0"}
    assert "nan" not in text.lower().split()
    assert "None" not in text


def test_the_page_of_cases_compares_them(levels: CompareResult, none: PartitionResult) -> None:
    page = render(levels)
    text = re.sub(r"<[^>]+>", " ", page)
    assert {"grid-0", "grid-1", "figure-cost_usd"} <= set(charts_of(page))
    for name in levels.results:
        assert f"{figures(levels[name].cost_usd, 7)}" in text
    page = render(replace(levels, results={"± 0": none, "± 0.3": none}))
    assert not {"grid-0", "grid-1"} & set(charts_of(page))


def test_the_page_tells_what_samples_say(result: PartitionResult) -> None:
    judged = sample_partition(result, count=20, seed=1)
    text = re.sub(r"<[^>]+>", " ", render(judged))
    assert "Checked by samples" in text
    assert "Checked by samples" not in render(result)
    assert f"{100.0 * judged.samples.planned.ac.share:.2f}" in text
    assert "nominal" in text


def test_a_page_without_a_plan_says_so(none: PartitionResult) -> None:
    page = render(none)
    assert "No plan found (time)." in page
    assert "a note to keep" in page
    assert not charts_of(page)


def test_names_are_text_everywhere(nasty: PartitionResult) -> None:
    page = render(nasty)
    assert "<img src=x" not in page.replace('<img alt="', "")
    assert not any(tag in page for tag in ("<script>alert", "<svg onload", "<b>unit", "<i>load"))
    encode(draw(nasty), "svg")


def test_the_page_can_draw_every_chart(levels: CompareResult, nasty: PartitionResult) -> None:
    scenes = [build_partition_scene(each) for each in (levels.results, {"plan": nasty})]
    charts = [plan_chart(scene, cut) for scene in scenes for cut in scene.plan_views]
    for made in [*charts, *(panel.chart for panel in differing(levels).panels)]:
        drawable(made)


def test_islands_of_the_document_are_those_of_its_blocks(result: PartitionResult) -> None:
    document, names = json.loads(result.to_json()), dict(result.blocks.select("name", "island").iter_rows())
    for island in document["islands"]:
        assert all(names[block] == island["island"] for block in island["blocks"])
    assert sum(len(island["blocks"]) for island in document["islands"]) == len(result.energised_blocks) > 0


def test_hovering_says_all_about_a_bus(result: PartitionResult) -> None:
    scene = build_partition_scene({plan_words(result): result})
    texts = hovers(plan_chart(scene, scene.plan_views[0]))
    assert any(
        "bus b1" in text and "load 120 kW" in text and "g0 forms the grid: 120 of 200 kW" in text for text in texts
    )
    assert any("branch l4" in text and "switch, open, to be opened" in text for text in texts)


# What the colour-blind see, of linear RGB (Machado, Oliveira and Fernandes 2009, severity 1).
SEEN = {
    "all colours": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
# Linear RGB to the cones and to Oklab (Ottosson 2020).
CONES = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
         [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
OKLAB = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
         [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip


def _linear(colour: str) -> np.ndarray:
    c = np.array(mpl.colors.to_rgb(colour))
    return np.where(c > 0.04045, ((c + 0.055) / 1.055) ** 2.4, c / 12.92)


@pytest.mark.parametrize("kind", SEEN)
def test_islands_are_told_apart_without_some_cones(kind: str) -> None:
    """A hundredth of Oklab is just noticeable side by side; ten of them are plain."""
    colours = [COLOURS[name.removeprefix("@")][0] for name in (*ISLES, "@dead")]
    seen = [np.array(CONES) @ np.clip(np.array(SEEN[kind]) @ _linear(c), 0.0, 1.0) for c in colours]
    places = [np.array(OKLAB) @ np.cbrt(cones) for cones in seen]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(places, 2)) > 0.1


def test_numbers_read_on_every_island() -> None:
    """Contrast of WCAG, 3 and more for large bold text."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    for name, ground in itertools.product(ISLES, (0, 1)):
        both = [COLOURS[each.removeprefix("@")][ground] for each in (name, ink_on(name))]
        light, dark = sorted((float(weights @ _linear(c)) for c in both), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 3.0
