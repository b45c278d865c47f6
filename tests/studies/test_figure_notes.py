"""What changes the meaning of figures, such as their unit, stands beside the figures of every study."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

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


def limited(grid: Grid) -> Grid:
    """With limits that its own state does not keep."""
    rating = pl.lit(5.0).alias("i_max_a")
    return grid.with_tables(buses=grid.buses.with_columns(v_min_pu=0.999), lines=grid.lines.with_columns(rating))


@pytest.mark.parametrize("name", ["civanlar16", "ieee13"])
@pytest.mark.parametrize("study", [openpoint.reconfigure, openpoint.dispatch])
def test_limits_of_the_grid_that_were_not_asked_for_are_named_with_what_exceeds_them(
    study: Callable[..., Any], name: str
) -> None:
    grid, free = limited(openpoint.read(name)), openpoint.Limits(voltage=False, current=False)
    options = {} if study is openpoint.reconfigure else {"free": ("topology",)}
    result = study(grid, limits=free, **options)
    ratings, voltages = (note for note in result.notes if "not asked for as limits" in note)
    over = result.branches.filter(pl.col("loading_after_percent") > 100.0)
    worst = over.sort("loading_after_percent", descending=True)[0]
    assert f"exceeded: {over['name'].n_unique():,}, most that of {worst['name'].item()}, by " in ratings
    assert f"by {worst['loading_after_percent'].item() - 100.0:.4g} %" in ratings
    inner = result.buses.filter(~pl.col("name").is_in(grid.sources["bus"].to_list()))
    low = inner.filter(pl.col("v_after_pu") < 0.999)
    assert f"exceeded: {low['name'].n_unique():,}, " in voltages
    assert f"by {0.999 - inner['v_after_pu'].min():.4g} pu" in voltages  # type: ignore[operator]
    others = study(grid, limits=openpoint.Limits(v_min_pu=0.5, current=False), **options).notes
    assert [note for note in others if "not asked for as limits" in note] == [ratings]
