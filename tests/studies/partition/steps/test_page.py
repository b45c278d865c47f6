"""Picture and page of a partition over time: what they say is what the result says."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from openpoint import OptionError
from openpoint.report.drawing import Dots, Sheet, Words
from openpoint.report.figure import draw, save
from openpoint.scenarios.horizon import Horizon
from openpoint.studies.partition.steps.report import PICTURES, steps_scene
from openpoint.studies.partition.steps.result import PartitionStepsResult
from openpoint.studies.partition.steps.study import partition_steps
from tests.builders.microgrids import five, renamed
from tests.builders.pages import charts_of, render
from tests.studies.partition.test_page import NASTY


def build(names: dict[str, str]) -> PartitionStepsResult:
    """A fault in the first of two steps keeps the block of b2 and b3 dead; g0 has an energy."""
    n = {name: names.get(name, name) for name in ("l2", "g0")}
    horizon = Horizon.from_tables(
        {"step": ["night", "<i>day"], "hours": [2.0, 4.0], "load_share": [0.5, 1.0]},
        events={"step": ["night", "<i>day"], "branch": [n["l2"]] * 2, "event": ["fault", "release"]},
        storage={"generator": [n["g0"]], "energy_kwh": [800.0], "start_kwh": [700.0]},
    )
    return partition_steps(renamed(five().grid(), names), horizon)


@pytest.fixture(scope="module")
def result() -> PartitionStepsResult:
    return build({})


def test_every_step_is_a_picture_of_its_own(result: PartitionStepsResult) -> None:
    night, day = steps_scene(result).plan_views
    assert night.headline == "night: 60 of 405 kW served"
    assert day.headline == "<i>day: 210 of 810 kW served"
    assert night.island[2] == night.island[3] == 0 < min(day.island[1:4])


def told(sheet: Sheet, k: int) -> list[str]:
    """The words in a panel."""
    return [text for layer in sheet.panels[k].chart.layers if isinstance(layer, Words) for text in layer.text]


def test_the_timeline_shows_states_actions_and_energy(result: PartitionStepsResult, tmp_path: Path) -> None:
    sheet = PICTURES["timeline"](result)
    assert told(sheet, 0) == ["60", "210"]
    blocks, switches, *_, stores = [panel.chart for panel in sheet.panels[1:]]
    assert [text for _, text in blocks.y.ticks] == ["b1", "b2", "b4"]
    assert [text for _, text in stores.x.ticks] == ["night, 2 h", "<i>day, 4 h", ""]
    dead = sum(
        not energised for name, energised in result.blocks.select("name", "energised").iter_rows() if name != "b0"
    )
    assert len([text for text in told(sheet, 1) if text.isdigit()]) == 6 - dead
    acted = result.switches.filter(result.switches["switching"] != "").height
    assert sum(len(layer.x) for layer in switches.layers if isinstance(layer, Dots)) == acted
    assert sum("◆" in text for text in told(sheet, 3)) == result.generators["forms_grid"].sum()
    assert told(sheet, 4) == [f"{kwh:,.0f} of 800 kWh" for kwh in result.storage["end_kwh"]]
    once, twice = (save(result, tmp_path / f"{k}.svg").read_bytes() for k in range(2))
    assert once == twice


def test_the_page_says_what_the_result_says(result: PartitionStepsResult) -> None:
    page = render(result)
    text = re.sub(r"<[^>]+>", " ", page)
    for figure in (
        "Timeline",
        f"{result.served_kwh:,.0f} of {result.total_kwh:,.0f} kWh",
        "In store",
        "AC voltage from",
    ):
        assert figure in text
    assert set(charts_of(page)) == {"grid-0", "grid-1", "convergence-0", *(f"timeline-{k}" for k in range(5))}
    assert "<i>day" not in page
    nasty = render(build(NASTY))
    assert not any(tag in nasty for tag in ("<script>alert", "<svg onload", "<b>unit", "<i>load"))


def test_without_a_plan_there_is_no_timeline(result: PartitionStepsResult) -> None:
    none = replace(result, cost_usd=None)
    with pytest.raises(OptionError, match="No plan"):
        draw(none)
    assert "No plan found" in render(none)
