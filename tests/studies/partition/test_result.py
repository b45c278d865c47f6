"""Every output of a partition holds the published shape, at one level of uncertainty and at several."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest

from openpoint import ColumnAndConstraint, OptionError, partition, partition_levels, sample_partition
from openpoint.results import export
from openpoint.studies.catalog import published
from openpoint.studies.partition.result import PartitionLevelsResult, PartitionResult
from openpoint.studies.partition.study import PreparedPartition
from openpoint.twostage.log import Termination
from tests.builders.partitions import five, renamed

NASTY = {"b1": "=1+1", "b2": "@b, c", "b3": "<b>", "b4": "ü, ß\t", "g0": "unit one", "g1": "-g", "l0": "http://x.org/"}


@pytest.fixture(scope="module", params=["plan", "nasty names", "stopped at once", "in samples"])
def any_result(request: pytest.FixtureRequest) -> PartitionResult:
    grid = five().grid()
    grid = renamed(grid, NASTY) if request.param == "nasty names" else grid
    stop = 1e-9 if request.param == "stopped at once" else None
    result = partition(grid, uncertainty=0.2, method=ColumnAndConstraint(time_limit_s=stop))
    return sample_partition(result, count=20) if request.param == "in samples" else result


@pytest.fixture(scope="module")
def levels() -> PartitionLevelsResult:
    return partition_levels(five().grid(), (0.3, 0.0, 0.3), uncertain_loads=["d0", "d1"])


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
    assert len(export.to_csv(any_result, tmp_path)) == 8
    with zipfile.ZipFile(export.to_excel(any_result, tmp_path / "r.xlsx")) as book:
        assert "<f>" not in "".join(book.read(name).decode() for name in book.namelist() if "sheet" in name)
    summary = pl.read_parquet(tmp_path / "summary.parquet")
    figures = ("uncertainty", "served_kw", "cost_usd", "lost_usd", "worst_recourse_usd", "lower_bound_usd")
    assert summary.select(*figures, "gap", "worst_slack_kw").dtypes == [pl.Float64] * 8


def test_levels_are_solved_once_each_from_low_to_high(levels: PartitionLevelsResult, tmp_path: Path) -> None:
    assert list(levels.by_level) == [0.0, 0.3]
    costs = [each.cost_usd or 0.0 for each in levels.results]
    assert costs[0] < costs[1]
    alone = partition(levels.grid, uncertainty=0.3, uncertain_loads=["d0", "d1"])
    assert levels.by_level[0.3].cost_usd == pytest.approx(alone.cost_usd, rel=1e-6)
    document = json.loads(levels.to_json())
    check(document, published("partition-levels"))
    assert [each["level"] for each in document["levels"]] == [0.0, 0.3]
    assert [each["uncertainty"] for each in document["levels"]] == [0.0, 0.3]
    shape = published("partition")
    for each in document["levels"]:
        level = {key: value for key, value in each.items() if key != "level"}
        head = {key: document[key] for key in ("version", "grid")}
        jsonschema.validate({"study": "partition", **head, **level}, shape)
    paths = {path.stem: path for path in export.to_parquet(levels, tmp_path)}
    assert set(paths) == {
        "summary",
        "levels",
        "islands",
        "blocks",
        "generators",
        "switches",
        "iterations",
        "samples",
        "failures",
    }
    table = pl.read_parquet(paths["levels"])
    assert table["cost_usd"].to_list() == costs
    assert table["level"].to_list() == [0.0, 0.3]
    assert pl.read_parquet(paths["blocks"]).group_by("level").len()["len"].to_list() == [4, 4]


def test_levels_that_make_no_sense_are_refused_before_any_is_solved() -> None:
    grid = five().grid()
    with pytest.raises(OptionError, match="no level"):
        partition_levels(grid, ())
    with pytest.raises(OptionError, match="from 0 to 1"):
        partition_levels(grid, (0.1, 15.0), progress=lambda iteration: pytest.fail("solved"))


def test_levels_stop_where_the_user_interrupts(levels: PartitionLevelsResult, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_short = replace(levels.results[0], termination=Termination.INTERRUPTED)
    monkeypatch.setattr(PreparedPartition, "planned", lambda *_: cut_short)
    assert partition_levels(levels.grid, (0.1, 0.2)).by_level == {0.1: cut_short}
