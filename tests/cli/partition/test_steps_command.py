"""openpoint partition-steps: what it writes, what it shows, what it refuses."""

import json
from pathlib import Path

import jsonschema
import polars as pl
import pytest

import openpoint
from openpoint.studies.catalog import published
from tests.builders.microgrids import five
from tests.cli.desk import Command


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a grid, a day on it and priorities."""
    folder = tmp_path_factory.mktemp("case")
    openpoint.write(five().grid(), folder / "grid")
    (folder / "day").mkdir()
    (folder / "day" / "steps.csv").write_text("step,hours,load_share\nearly,1,1\nlate,2,0.5\n", encoding="utf-8")
    (folder / "day" / "events.csv").write_text("step,branch,event\nlate,l2,fault\n", encoding="utf-8")
    stored = "generator,energy_kwh,start_kwh,charge_kw\ng0,300,200,50\n"
    (folder / "day" / "storage.csv").write_text(stored, encoding="utf-8")
    (folder / "weights.csv").write_text("load,priority\nd1,3\n", encoding="utf-8")
    return folder


def test_a_day_is_written_in_every_format_and_shown(command: Command, case: Path, tmp_path: Path) -> None:
    options = ("--uncertainty", 0.1, "--max-actions", 9, "--keep-energised", "--priorities", case / "weights.csv")
    files = ("--json", tmp_path / "plan.json", "--tables", tmp_path / "csv", "--tables", tmp_path / "plan.xlsx")
    done = command("partition-steps", case / "grid", case / "day", *options, *files)
    assert done.code == 0, done.err
    document = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    schema = published("partition-steps")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    assert list(document) == list(schema["properties"])
    assert (document["max_actions"], document["keep_energised"], document["termination"]) == (9, True, "optimal")
    assert [row["step"] for row in document["steps"]] == ["early", "late"]
    names = {(row["step"], row["name"]): row["island"] for row in document["blocks"]}
    for island in document["islands"]:
        assert all(names[island["step"], block] == island["island"] for block in island["blocks"])
        assert len(island["grid_forming"]) == 1
    assert {row["name"] for row in document["blocks"] if row["fault"]} == {"b2"}
    assert {row["priority"] for row in document["priorities"]} == {1.0, 3.0}
    switches = pl.read_csv(tmp_path / "csv" / "switches.csv")
    assert switches.height == 2 * 4
    assert set(switches.filter(pl.col("held") == "open")["step"]) == {"late"}
    for words in ("AC voltage from, pu", "end, kWh", "early", "late", "kWh · "):
        assert words in done.out


def test_the_tables_and_the_published_horizon_agree(case: Path) -> None:
    day = openpoint.read_horizon(case / "day")
    tables = {"steps": day.steps, "events": day.events, "profiles": day.profiles, "storage": day.storage}
    jsonschema.validate({name: frame.to_dicts() for name, frame in tables.items()}, published("horizon"))
    result = openpoint.partition_steps(five().grid(), day)
    assert all(frame.columns[0] == "step" for name, frame in result.tables().items() if name != "iterations")


def test_what_does_not_go_together_is_refused(command: Command, case: Path) -> None:
    for options, told in (
        ((case / "day", "--max-actions", -2), "--max-actions"),
        ((case / "nowhere",), "cannot be read"),
        ((case / "day", "--priorities", case / "nowhere.csv"), "cannot be read"),
    ):
        done = command("partition-steps", case / "grid", *options)
        assert done.code == 2
        assert told in done.err
