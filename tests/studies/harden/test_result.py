"""Every output of a hardening holds the published shape, with and without a plan."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import jsonschema
import numpy as np
import polars as pl
import pytest

from openpoint import Disasters, Grid, harden
from openpoint.results import export
from openpoint.studies.catalog import published
from openpoint.studies.harden.result import HardenResult
from openpoint.twostage.methods.decomposition import ColumnAndConstraint
from tests.results.test_export import NASTY, ring


@pytest.fixture(params=["plan", "nasty names", "stopped at once"])
def any_result(request: pytest.FixtureRequest) -> HardenResult:
    grid = loaded(NASTY if request.param == "nasty names" else ["a", "b", "c"])
    broken = np.zeros((2, len(grid.lines)), dtype=bool)
    broken[0, [0, -1]] = True
    stop = 1e-9 if request.param == "stopped at once" else None
    threat = Disasters(("=1+1", "@calm"), np.array([0.25, 0.75]), broken)
    return harden(grid, disasters=threat, max_lines=1, max_generators=1, method=ColumnAndConstraint(time_limit_s=stop))


def loaded(names: list[str]) -> Grid:
    """The ring with a load at every bus but the source's."""
    tables = ring(names).tables()
    load = {"name": names[1:], "bus": names[1:], "p_kw": [100.0] * (len(names) - 1)}
    kept = {kind: frame for kind, frame in tables.items() if frame.height}
    return Grid.from_tables("ring", {**kept, "loads": load})


def test_the_json_document_has_the_published_shape(any_result: HardenResult) -> None:
    document = json.loads(any_result.to_json())
    schema = published("harden")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    assert list(document) == list(schema["properties"])
    for name, frame in any_result.tables().items():
        assert frame.columns == list(schema["properties"][name]["items"]["properties"])


def test_tables_are_written_in_every_format(any_result: HardenResult, tmp_path: Path) -> None:
    for path in export.to_parquet(any_result, tmp_path):
        name = path.stem
        expected = any_result.tables().get(name)
        assert expected is None or pl.read_parquet(path).equals(expected)
    assert len(export.to_csv(any_result, tmp_path)) == 7
    with zipfile.ZipFile(export.to_excel(any_result, tmp_path / "r.xlsx")) as book:
        assert "<f>" not in "".join(book.read(name).decode() for name in book.namelist() if "sheet" in name)


def test_summaries_of_many_runs_go_together(any_result: HardenResult, tmp_path: Path) -> None:
    export.to_parquet(any_result, tmp_path)
    summary = pl.read_parquet(tmp_path / "summary.parquet")
    number = [name for name in summary.columns if name.endswith("_usd")]
    assert len(number) == 9
    assert summary.select(number).dtypes == [pl.Float64] * 9
    assert summary["any_lines"].dtype == pl.Int64
