"""Page and pictures of a power flow: what they say is what the result says."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openpoint import Grid, OptionError
from openpoint.report.figure import save
from openpoint.studies.powerflow.report import powerflow_scene
from openpoint.studies.powerflow.result import PowerflowResult
from openpoint.studies.powerflow.study import run_powerflow
from tests.builders.pages import HOSTILE, Page, drawable, render
from tests.cli.desk import tables


@pytest.fixture(scope="module")
def result() -> PowerflowResult:
    return run_powerflow(Grid.from_tables("ring", tables()))


@pytest.fixture(scope="module")
def phases() -> PowerflowResult:
    return run_powerflow("ieee13")


def test_the_page_says_what_the_result_says(result: PowerflowResult) -> None:
    page = Page(render(result))
    for said in (
        f"{result.loss_kw:,.3f} kW",
        f"{result.v_min_pu:.5f} pu",
        f"at bus {result.v_min_bus}",
        "All limits hold.",
    ):
        assert said in page.text
    assert set(page.charts) == {"grid-before", "voltage", "loading"}
    for chart in page.charts.values():
        drawable(chart)
    for row in result.branches.iter_rows(named=True):
        assert f"{row['p_from_kw']:,.2f}" in page.text
    assert "nan" not in page.text.lower().split()
    assert "None" not in page.text


def test_of_several_phases_a_bus_has_its_lowest_voltage(phases: PowerflowResult) -> None:
    scene = powerflow_scene(phases)
    state = scene.states["before"]
    low = int(np.nanargmin(state.v))
    assert (scene.bus_names[low], state.v[low]) == (phases.v_min_bus, pytest.approx(phases.v_min_pu))
    assert np.nansum(state.loss) == pytest.approx(phases.loss_kw, rel=1e-3)
    assert "phase c" in Page(render(phases)).text


def test_notes_stand_above_the_figures_they_change(result: PowerflowResult) -> None:
    page = render(replace(result, notes=("held at its bus",)))
    assert page.index("held at its bus") < page.index('class="cards"')


def test_broken_limits_are_named() -> None:
    low = {**tables()["buses"], "v_min_pu": [0.9999] * 4}
    flow = run_powerflow(Grid.from_tables("ring", tables(buses=low)))
    assert flow.violations
    page = Page(render(flow))
    assert f"{len(flow.violations)} limits broken." in page.text
    assert f"Limits broken ({len(flow.violations)})" in page.text


def test_markup_in_names_stays_text() -> None:
    given = tables()
    new = {"S": "S", "A": HOSTILE["a"], "B": HOSTILE["b"], "C": HOSTILE["c"]}
    text = json.loads(json.dumps(given))
    for table, columns in (("buses", ["name"]), ("lines", ["from_bus", "to_bus"]), ("loads", ["bus"])):
        for column in columns:
            text[table][column] = [new[name] for name in text[table][column]]
    page = Page(render(run_powerflow(Grid.from_tables("ring", text))))
    assert not {tag for tag, _ in page.tags} & {"a", "b", "i"}
    assert HOSTILE["a"] in page.text


@pytest.mark.parametrize("kind", ["grid", "voltage", "loading"])
def test_every_picture_is_drawn_and_no_other(kind: str, result: PowerflowResult, tmp_path: Path) -> None:
    assert save(result, tmp_path / "picture.svg", kind).stat().st_size
    with pytest.raises(OptionError, match="no picture"):
        result.plot("pie")
