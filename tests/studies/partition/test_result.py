"""Every output of a partition holds the published shape."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest

import openpoint
from openpoint import ColumnAndConstraint, partition, sample_partition
from openpoint.results import export
from openpoint.studies.catalog import published
from openpoint.studies.partition.result import PartitionResult
from tests.builders.partitions import five, renamed

NASTY = {"b1": "=1+1", "b2": "@b, c", "b3": "<b>", "b4": "ü, ß\t", "g0": "unit one", "g1": "-g", "l0": "http://x.org/"}


@pytest.fixture(scope="module", params=["plan", "nasty names", "stopped at once", "in samples"])
def any_result(request: pytest.FixtureRequest) -> PartitionResult:
    grid = five().grid()
    grid = renamed(grid, NASTY) if request.param == "nasty names" else grid
    stop = 1e-9 if request.param == "stopped at once" else None
    result = partition(grid, uncertainty=0.2, method=ColumnAndConstraint(time_limit_s=stop))
    return sample_partition(result, count=20) if request.param == "in samples" else result


def check(document: dict[str, Any], schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    assert list(document) == list(schema["properties"])


def test_the_json_document_has_the_published_shape(any_result: PartitionResult) -> None:
    document = json.loads(any_result.to_json())
    check(document, published("partition"))
    for name, frame in any_result.tables().items():
        assert frame.columns == list(document[name][0]) if document[name] else not frame.height
    names = dict(any_result.blocks.select("name", "island").iter_rows())
    for island in document["islands"]:
        assert all(names[block] == island["island"] for block in island["blocks"])
    assert sum(len(island["blocks"]) for island in document["islands"]) == len(any_result.energised_blocks)


def test_tables_are_written_in_every_format(any_result: PartitionResult, tmp_path: Path) -> None:
    for path in export.to_parquet(any_result, tmp_path):
        expected = any_result.tables().get(path.stem)
        assert expected is None or pl.read_parquet(path).equals(expected)
    assert len(export.to_csv(any_result, tmp_path)) == 12
    with zipfile.ZipFile(export.to_excel(any_result, tmp_path / "r.xlsx")) as book:
        assert "<f>" not in "".join(book.read(name).decode() for name in book.namelist() if "sheet" in name)
    summary = pl.read_parquet(tmp_path / "summary.parquet")
    figures = ("uncertainty", "served_kw", "cost_usd", "lost_usd", "worst_recourse_usd", "lower_bound_usd")
    assert summary.select(*figures, "gap", "worst_slack_kw").dtypes == [pl.Float64] * 8


def test_levels_side_by_side_are_those_by_themselves() -> None:
    asked = {f"{level:g}": {"uncertainty": level, "uncertain_loads": ["d0", "d1"]} for level in (0.3, 0.0)}
    found = openpoint.compare(five().grid(), "partition", asked)
    assert list(found.results) == ["0.3", "0"]
    assert found.axis == ("uncertainty", (0.3, 0.0))
    assert found["0"].cost_usd < found["0.3"].cost_usd
    alone = partition(five().grid(), uncertainty=0.3, uncertain_loads=["d0", "d1"])
    assert found["0.3"].cost_usd == pytest.approx(alone.cost_usd, rel=1e-6)
