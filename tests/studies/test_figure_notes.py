"""What changes the meaning of figures, such as their unit, stands beside the figures of every study."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import Disasters, Grid, Horizon
from openpoint.errors import Problem
from openpoint.results import export
from openpoint.results.base import Result
from openpoint.studies.catalog import published
from openpoint.studies.powerflow.result import PowerflowResult
from tests.builders.microgrids import five
from tests.builders.pages import render
from tests.results.test_export import ring

UNIT = Problem("case.m", "line 9", "mpc.bus", "one phase of three", "Multiply", "warning", changes_figures=True)
DOUBT = Problem("case.m", "line 2", "", "a load is negative", "Look", "warning")


def noted(grid: Grid) -> Grid:
    return replace(grid, notes=(DOUBT, UNIT))


def storm(grid: Grid) -> Disasters:
    return Disasters(("storm",), np.array([1.0]), np.eye(1, grid.lines.height, dtype=bool))


RING = ["a", "b", "c"]
STUDIES: dict[str, tuple[Callable[[Grid], Result], Callable[[], Grid], str]] = {
    "powerflow": (openpoint.run_powerflow, lambda: ring(RING), "powerflow"),
    "futures": (
        lambda grid: openpoint.reconfigure_futures(grid, openpoint.grow(grid, count=2, seed=1)),
        lambda: ring(RING),
        "reconfigure-futures",
    ),
    "dispatch": (openpoint.dispatch, lambda: ring(RING), "dispatch"),
    "harden": (
        lambda grid: openpoint.harden(grid, disasters=storm(grid), max_lines=1, max_generators=0),
        lambda: ring(RING),
        "harden",
    ),
    "reconfigure of phases": (
        openpoint.reconfigure,
        lambda: openpoint.read("ieee13"),
        "reconfigure",
    ),
    "partition over time": (
        lambda grid: openpoint.partition_steps(grid, Horizon.from_tables([{"step": "now", "hours": 1.0}])),
        lambda: five().grid(),
        "partition-steps",
    ),
}


@pytest.mark.parametrize("study", STUDIES)
def test_every_result_repeats_it(study: str, tmp_path: Path) -> None:
    ask, made, schema = STUDIES[study]
    result = ask(noted(made()))
    assert result.notes[0] == str(UNIT)
    assert not any("negative" in note for note in result.notes)
    document = json.loads(result.to_json())
    jsonschema.validate(document, published(schema))
    assert document["notes"][0] == str(UNIT)
    export.to_csv(result, tmp_path)
    assert str(UNIT) in str(pl.read_csv(tmp_path / "summary.csv")["notes"].item())
    if not isinstance(result, PowerflowResult):
        page = render(result)
        assert page.count("one phase of three. Multiply") == 1
        assert page.index("one phase of three. Multiply") < page.index('class="cards"')
        assert page.count("a load is negative") == 1
