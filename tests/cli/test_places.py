"""Outputs that would take the place of something are refused before the work begins, naming both options."""

import importlib.util
import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest

import openpoint
from openpoint import OptionError
from openpoint.cli.places import check_options
from openpoint.errors import MissingExtraError
from tests.cli.desk import Command

GRID = "civanlar16"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("grid.json").write_text("a grid")
    Path("f.csv").write_text("futures")
    Path("there").mkdir()
    os.link("grid.json", "hard.json")
    Path("soft.json").symlink_to("new.json")
    Path("alias").symlink_to("there")


def check(force: bool = False, **given: Any) -> None:
    check_options({"grid": "grid.json", **given}, force=force)


def paths(**names: str) -> dict[str, Any]:
    return {name: Path(text) for name, text in names.items()}


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (paths(json="x.html", report="x.html"), ("--json", "--report")),
        (paths(checklist="x.md", json="x.md"), ("--checklist", "--json")),
        (paths(certificate="p", json="p.earlier"), ("--certificate", "--json")),
        (paths(certificate="p", checkpoint="p.part"), ("--certificate", "--checkpoint")),
        (paths(json="soft.json", write="new.json"), ("--json", "--write")),
        (paths(json="there/x", certificate="alias/x"), ("--json", "--certificate")),
        (paths(json="X.json", certificate="x.JSON"), ("--json", "--certificate")),
        (paths(tables="there", checklist="there/switch_plan.csv"), ("--tables", "--checklist")),
        (paths(out="there", json="there/fleet.json"), ("--out", "--json")),
        ({"new_state": "state", **paths(tables="state")}, ("--out", "--tables")),
        ({"new_state": "state", **paths(checklist="state/lines.csv")}, ("--out", "--checklist")),
    ],
    ids=str,
)
def test_two_outputs_in_one_file_are_refused(given: dict[str, Any], options: tuple[str, str]) -> None:
    with pytest.raises(OptionError) as refused:
        check(**given, force=True)
    assert all(f"{option} " in str(refused.value) for option in options), str(refused.value)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (paths(json="grid.json"), "grid.json"),
        (paths(json="hard.json"), "grid.json"),
        (paths(report="r.html", config="r.html"), "r.html"),
        (paths(json="f.csv", futures="f.csv"), "f.csv"),
        (paths(tables=".", futures="f.csv"), "f.csv"),
        ({"states": ["grid.json", "f.csv"], **paths(checklist="f.csv")}, "f.csv"),
        (paths(certificate="proof", geojson="proof.part"), "proof.part"),
    ],
    ids=str,
)
def test_an_output_in_the_place_of_an_input_is_refused(given: dict[str, Any], what: str) -> None:
    with pytest.raises(OptionError, match=f"would take the place of {what}, which is read"):
        check(**given, force=True)


@pytest.mark.parametrize("name", ["json", "tables", "report", "certificate", "checklist", "write", "table"])
def test_what_is_no_result_is_replaced_only_where_told(name: str) -> None:
    ending = {"tables": ".xlsx", "report": ".html", "checklist": ".md", "table": ".csv"}.get(name, "")
    path = Path(f"mine{ending}")
    path.write_text("my own")
    with pytest.raises(OptionError, match=f"{path} is a file already; .* --force"):
        check(**{name: path})
    check(**{name: path}, force=True)
    path.write_text("")  # made empty for it, as `mktemp` does
    check(**{name: path})


def test_a_folder_of_other_tables_is_replaced_only_where_told() -> None:
    Path("there/buses.csv").write_text("my own")
    with pytest.raises(OptionError, match=r"--tables there holds buses.csv, which is no result; .* --force"):
        check(tables=[Path("there")])
    check(tables=[Path("there")], force=True)
    with pytest.raises(OptionError, match=r"--out there holds files already; .* --force"):
        check(new_state="there")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (paths(json="there"), "this is a folder"),
        (paths(json="grid.json/r.json"), "--json: cannot write into grid.json"),
        (paths(tables="f.csv"), "give a folder such as f"),
        (paths(tables="r.xls"), "must end in .xlsx"),
        (paths(json="r.png"), "--report writes .png"),
        (paths(tables="-"), "only --json can write to the standard output"),
    ],
    ids=str,
)
def test_what_cannot_be_written_is_refused(given: dict[str, Any], said: str) -> None:
    before = sorted(os.listdir())
    with pytest.raises(OptionError) as refused:
        check(**given)
    assert said in str(refused.value)
    assert sorted(os.listdir()) == before


def test_a_device_takes_any_output() -> None:
    check(json=Path(os.devnull), report=Path("r.html"), certificate=Path(os.devnull))


def test_a_result_replaces_an_earlier_one(command: Command) -> None:
    outputs = ("--json", "r", "--tables", "tables", "--tables", "r.xlsx", "--report", "r.html", "--report", "r.svg")
    more = ("--certificate", "proof.gz", "--tables", "tables.parquet")
    for _ in range(2):
        done = command("reconfigure", GRID, *outputs, *more)
        assert done.code == 0, done.err
    assert json.loads(Path("r").read_text(encoding="utf-8"))["study"] == "reconfigure"
    for option, ending in (("--report", "pdf"), ("--report", "png"), ("--checklist", "csv")):
        asked = ("powerflow", GRID) if option == "--report" else ("plan", GRID, "8-10,9-11,7-16")
        for _ in range(2):
            done = command(*asked, option, f"l.{ending}")
            assert done.code in (0, 3), done.err


def test_every_output_that_a_full_disk_does_not_take_is_named(command: Command, ring: Path) -> None:
    tables = [("--tables", name) for name in ("tables", "tables.parquet", "r.xlsx")]
    outputs = [("--json", "r"), *tables, ("--report", "r.html"), ("--report", "r.svg"), ("--write", "copy/")]
    asked = ("reconfigure", ring, *(text for pair in outputs for text in pair), "--force")
    assert command(*asked).code == 0
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limit[1]))
    try:
        done = command(*asked)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert done.code == 74
    assert "Loss" in done.out
    for option, name in outputs:
        assert f"error: {option} {name.rstrip('/')} was not written: " in done.err
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_the_own_grid_is_changed_only_where_told(command: Command) -> None:
    openpoint.write(GRID, "grid.xlsx")
    before = Path("grid.xlsx").read_bytes()
    done = command("reconfigure", "grid.xlsx", "--write", "grid.xlsx")
    assert (done.code, Path("grid.xlsx").read_bytes()) == (2, before)
    assert "--write grid.xlsx: the grid is read from there; give another name, or --force" in done.err
    done = command("reconfigure", "grid.xlsx", "--write", "grid.xlsx", "--force")
    assert done.code == 0, done.err
    assert set(openpoint.read("grid.xlsx").branches().filter(closed=False)["name"]) == {"8-10", "9-11", "7-16"}


def test_a_circuit_in_parts_is_not_copied_elsewhere(command: Command) -> None:
    openpoint.write(GRID, "parts.dss")
    Path("main.dss").write_text("Redirect parts.dss\n")
    done = command("reconfigure", "main.dss", "--write", "there/main.dss")
    assert done.code == 2
    assert "main.dss reads other files of its folder, which are not copied; give a name in the folder ." in done.err
    assert "\\n" not in done.err
    assert "Loss" not in done.out
    assert os.listdir("there") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["reconfigure", GRID, "--method", "enumeration", "--gap", "0.1"],
            "--gap is no option of --method enumeration",
        ),
        (
            ["reconfigure-futures", GRID, "f.csv", "--method", "search", "--executor", "processes:2"],
            "leave the executor out",
        ),
        (["reconfigure-year", GRID, "synthetic-hours", "--executor", "processes:2"], "leave the executor out"),
    ],
    ids=str,
)
def test_options_that_would_be_ignored_are_refused(arguments: list[str], said: str, command: Command) -> None:
    done = command(*arguments)
    assert done.code == 2
    assert said in done.err


def test_options_that_other_commands_would_ignore_are_refused(command: Command) -> None:
    for arguments, said in ((("dispatch-front", GRID, "losses,changes", "--minimize", "cost"), "--minimize"),):
        done = command(*arguments)
        assert done.code == 2, arguments
        assert said in done.err


@pytest.mark.parametrize("name", ["r.html", "r.png"])
def test_a_picture_without_matplotlib_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    check(**paths(json="r.json"))
    with pytest.raises(MissingExtraError, match="'matplotlib': pip install"):
        check(**paths(report=name))
