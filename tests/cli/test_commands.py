"""What the commands print and leave behind, and their exit codes."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest

import openpoint
from openpoint import Grid
from openpoint.studies.catalog import published
from tests.cli.desk import Command, tables

Change = Callable[[dict[str, Any]], None]


def write(path: Path, **changes: Any) -> Path:
    """The ring with some tables changed, as a folder."""
    openpoint.write(Grid.from_tables("ring", tables(**changes)), path)
    return path


def test_reconfigure_says_what_to_switch_and_how_good_it_is(command: Command, ring: Path) -> None:
    done = command("reconfigure", ring)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert "4 buses, 4 branches (4 switchable)" in lines[0]
    assert any(line.split()[:2] == ["iteration", "seconds"] for line in lines)
    assert "To close: C-S" in lines
    assert "To open: B-C" in lines
    assert any(line.startswith("Gap:") for line in lines)
    assert any(line.startswith("AC check, largest mismatch:") for line in lines)
    assert not done.err


def test_a_line_that_opens_at_one_end_is_told_with_its_bus(command: Command, tmp_path: Path) -> None:
    grid = Grid.from_tables("ring", tables())
    ends = {"B-C": "from", "C-S": "to"}
    lines = grid.lines.with_columns(open_end=pl.col("name").replace_strict(ends, default="both"))
    openpoint.write(grid.with_tables(lines=lines), tmp_path / "ring")
    done = command("reconfigure", tmp_path / "ring", "--json", tmp_path / "answer.json")
    assert done.code == 0, done.err
    bus = {row["name"]: (row["from_bus"], row["to_bus"]) for row in lines.iter_rows(named=True)}
    assert f"To close: C-S (at {bus['C-S'][1]})" in done.out.splitlines()
    assert f"To open: B-C (at {bus['B-C'][0]})" in done.out.splitlines()
    rows = json.loads((tmp_path / "answer.json").read_text())["switching_list"]
    assert [(row["name"], row["open_end"]) for row in rows] == [("C-S", "to"), ("B-C", "from")]


@pytest.mark.parametrize("given", [None, "3"])
def test_linear_algebra_has_one_thread_unless_asked_otherwise(
    given: str | None, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", given or "")  # restored at the end
    if given is None:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    assert command("reconfigure", "--help").code == 0
    assert os.environ["OPENBLAS_NUM_THREADS"] == (given or "1")


@pytest.mark.parametrize("method", ["benders", "extensive", "enumeration"])
def test_every_method_gives_the_same_answer(method: str, command: Command, ring: Path) -> None:
    done = command("reconfigure", ring, "--method", method, "--json", "-", "--quiet")
    assert done.code == 0, done.err
    assert json.loads(done.out)["open_branches"] == ["B-C"]


def test_the_method_is_named_in_words(command: Command, ring: Path) -> None:
    named = "method: benders decomposition, to 0.01 %"
    benders = ("reconfigure", ring, "--method", "benders")
    assert f"{named}, for 600 s at most (--time-limit)\n" in command(*benders).out
    assert f"{named}\n" in command(*benders, "--time-limit", "inf").out


def test_json_on_standard_output_stands_alone(command: Command, ring: Path) -> None:
    done = command("reconfigure", ring, "--json", "-")
    jsonschema.validate(json.loads(done.out), published("reconfigure"))
    assert "To open: B-C" in done.err


def test_all_outputs_are_written_where_folders_are_missing_too(command: Command, ring: Path, tmp_path: Path) -> None:
    """Of one study: all are run in one place, and what each result writes is tried in `tests/results`."""
    out = tmp_path / "made" / "here"
    done = command(
        *("reconfigure", ring, "--quiet", "--json", out / "r.json", "--tables", out / "csv"),
        *("--tables", out / "p.parquet", "--tables", out / "r.xlsx", "--report", out / "r.html"),
        *("--report", out / "r.svg", "--report", out / "r.png"),
    )
    assert done.code == 0, done.err
    assert not done.out
    jsonschema.validate(json.loads((out / "r.json").read_text(encoding="utf-8")), published("reconfigure"))
    assert pl.read_csv(out / "csv" / "summary.csv")["open_branches"].item() == "B-C"
    assert all((out / name).stat().st_size > 0 for name in ("r.xlsx", "r.html", "r.svg", "r.png"))
    assert (out / "p.parquet" / "branches.parquet").exists()


def test_locks_and_costs_reach_the_study(command: Command, ring: Path) -> None:
    def opened(*options: object) -> list[str]:
        done = command("reconfigure", ring, "--json", "-", "--quiet", *options)
        assert done.code == 0, done.err
        answer: list[str] = json.loads(done.out)["open_branches"]
        return answer

    assert opened("--close", "B-C") != ["B-C"]
    assert opened("--open", "C-S") == ["C-S"]
    assert opened("--max-changes", 0) == ["C-S"]
    assert opened("--change-cost", 1e4) == ["C-S"]


def test_an_infeasible_limit_ends_with_3_and_names_the_place(command: Command, ring: Path) -> None:
    done = command("reconfigure", ring, "--v-min", 0.9999, "--json", "r.json")
    assert done.code == 3
    assert "least violation met" in done.out
    assert "voltage low " in done.out
    assert json.loads(Path("r.json").read_text(encoding="utf-8"))["termination"] == "infeasible"


def test_limits_can_be_left_out(command: Command, tmp_path: Path) -> None:
    tight = tables()["lines"] | {"i_max_a": [1.0] * 4}
    folder = write(tmp_path / "tight", lines=tight)
    assert command("reconfigure", folder).code == 3
    assert command("reconfigure", folder, "--ignore-limits", "current").code == 0
    assert command("reconfigure", folder, "--ignore-limits", "all", "--v-min", 0.9999).code == 2


def test_a_time_limit_ends_with_4_and_keeps_the_best(command: Command) -> None:
    done = command("reconfigure", "baran33", "--method", "benders:plain", "--time-limit", 1, "--json", "r.json", "-q")
    assert done.code == 4, done.err
    kept = json.loads(Path("r.json").read_text(encoding="utf-8"))
    assert kept["termination"] == "time"
    assert kept["loss_kw"] is not None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--gap", "-1"], "--gap"),
        (["--gap", "nan"], "gap"),
        (["--gap", "2"], "gap"),
        (["--gap", "small"], "--gap"),
        (["--time-limit", "-1"], "--time-limit"),
        (["--max-changes", "-1"], "--max-changes"),
        (["--change-cost", "nan"], "change"),
        (["--method", "magic"], "benders"),
        (["--method", "search:scip"], "search has no such way"),
        (["--method", "extensive:magic"], "magic"),
        (["--method", "enumeration:plain"], "enumeration has no such way"),
        (["--v-min", "0.95", "--ignore-limits", "voltage"], "--ignore-limits"),
        (["--v-min", "1.1", "--v-max", "0.9"], "v_min_pu"),
        (["--v-min", "nan"], "--v-min"),
        (["--open", "nowhere"], "nowhere"),
        (["--open", "A-B", "--close", "A-B"], "A-B"),
        (["--json", "."], "folder"),
        (["--report", "r.txt"], ".html"),
        (["--report", "r.txt"], ".svg"),
        (["--report", "-"], "--report"),
        (["--certificate", "."], "folder"),
        (["--checkpoint", "ring/lines.csv/a"], "--checkpoint"),
        (["--tables", "ring/lines.csv"], "--tables"),
        (["--tables", "deep/out.m"], "give a folder such as deep/out"),
        (["--tables", "ring"], "holds a grid"),
        (["--json", "r.csv"], "--tables FOLDER writes .csv"),
        (["--json", "r.parquet"], "--tables writes .parquet"),
        (["--json", "r.xlsx"], "--tables writes .xlsx"),
        (["--json", "case.m"], "give another ending"),
        (["--certificate", "r.html"], "--report writes .html"),
        (["--checkpoint", "r.dss"], "give another ending"),
        (["--nonsense"], "--nonsense"),
    ],
    ids=" ".join,
)
def test_wrong_options_end_with_2_and_say_which(options: list[str], told: str, command: Command, ring: Path) -> None:
    done = command("reconfigure", ring, *options)
    assert done.code == 2, done.out
    assert told in done.err
    assert "Traceback" not in done.err
    assert "Stopped" not in done.out


def test_the_first_sentence_is_about_the_grid(command: Command, ring: Path) -> None:
    assert "(optimal). Proven optimal: 2 switchings (1 to close, 1 to open)." in command("reconfigure", ring).out
    assert "(optimal). Proven optimal: nothing to switch." in command("reconfigure", ring, "--max-changes", 0).out


@pytest.mark.parametrize("option", ["--certificate", "--checkpoint", "--json"])
def test_no_output_takes_the_place_of_the_grid(option: str, command: Command) -> None:
    Path("grid.m").write_text("the only copy")
    done = command("reconfigure", "grid.m", option, "./grid.m")
    assert done.code == 2
    assert f"{option} grid.m would take the place of grid.m, which is read" in done.err
    assert Path("grid.m").read_text() == "the only copy"


def test_an_output_that_fails_late_does_not_take_the_others_along(
    command: Command, ring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "r.xlsx")

    monkeypatch.setattr("openpoint.results.export.to_excel", full)
    done = command("reconfigure", ring, "--tables", "r.xlsx", "--tables", "tables", "--report", "r.html")
    assert done.code == 74
    assert "--tables r.xlsx was not written" in done.err
    assert Path("tables/summary.csv").exists()
    assert Path("r.html").exists()


def test_a_fault_of_our_own_is_no_traceback(command: Command, ring: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("openpoint.studies.reconfigure.study.prepare", broken)
    done = command("reconfigure", ring)
    assert done.code == 70
    assert "internal error: ZeroDivisionError: oh" in done.err
    assert "Traceback" not in done.err


def test_a_lack_of_memory_is_no_fault_of_ours(command: Command, ring: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("openpoint.results.export.to_excel", short)
        done = command("reconfigure", ring, "--tables", "r.xlsx", "--json", "r.json")
    assert done.code == 74
    assert "--tables r.xlsx was not written: the memory does not suffice" in done.err
    assert Path("r.json").exists()
    monkeypatch.setattr("openpoint.studies.reconfigure.study.prepare", short)
    done = command("reconfigure", ring)
    assert done.code == 71
    assert "error: the memory does not suffice; end other programs" in done.err


def test_powerflow_shows_today(command: Command, ring: Path) -> None:
    done = command("powerflow", ring)
    assert done.code == 0, done.err
    assert "Lowest voltage:" in done.out
    assert "All limits hold." in done.out
    done = command(
        "powerflow", ring, "--json", "-", "--tables", "tables", "--tables", "p.xlsx", "--tables", "tables.parquet"
    )
    jsonschema.validate(json.loads(done.out), published("powerflow"))
    done = command("powerflow", ring, "--report", "flow.html", "--report", "flow.svg")
    assert done.code == 0, done.err
    assert "written: flow.html, flow.svg" in done.out
    assert Path("flow.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert Path("flow.svg").read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    ("name", "lowest", "loss"),
    [
        ("ieee13", "0.96084 pu · at bus 611, phase c", "112.585 kW"),
        ("ieee37", "0.87103 pu · at bus 799, phase a", "152.356 kW"),
        ("ieee123", "0.97921 pu · at bus 65, phase a", "95.977 kW"),
    ],
)
def test_powerflow_of_three_phases(name: str, lowest: str, loss: str, command: Command) -> None:
    done = command("powerflow", name)
    assert done.code == 0, done.err
    shown = dict(line.split(":  ", 1) for line in done.out.splitlines() if ":  " in line)
    assert " ".join(shown["Lowest voltage"].split()) == lowest
    assert shown["Loss"].strip().startswith(loss)
    done = command("powerflow", name, "--json", "-", "--tables", "tables")
    document = json.loads(done.out)
    jsonschema.validate(document, published("powerflow"))
    assert {row["phase"] for row in document["buses"]} == {"a", "b", "c"}


def test_info_counts_what_may_be_set(command: Command, tmp_path: Path) -> None:
    shown = command("info", "khodr70").out
    assert "2 voltages of sources, 2 capacitors, 2 generators that may stop" in shown
    assert "capacitors on         0.0 kvar" in shown
    folder = tmp_path / "khodr70"
    assert command("convert", "khodr70", str(folder)).code == 0
    (folder / "capacitors.csv").write_text(
        "name,bus,q_kvar,steps,steps_on,levels_kvar\na,49,600,3,3,150 300\nb,64,6,0,0,\n"
    )
    done = command("info", str(folder))
    assert done.code == 0, done.err
    assert "capacitors on" not in done.out


def test_loops_of_today_are_named_by_every_command(command: Command, tmp_path: Path) -> None:
    folder = write(tmp_path / "meshed", lines=tables()["lines"] | {"closed": [True] * 4})
    loop = "'B-C' (lines), 'A-B' (lines), 'S-A' (lines)"
    assert f"lines, row C-S, closed: today it closes a loop with {loop}" in command("check", folder).out
    assert f"meshed today          loop 'C-S' (lines), {loop}" in command("info", folder).out
    done = command("powerflow", folder)
    assert (done.code, f"today's state is not radial: loop 'C-S' (lines), {loop}" in done.err) == (0, True)
    done = command("reconfigure", folder, "--json", "-")
    assert f"loop 'C-S' (lines), {loop}" in done.err
    answer = json.loads(done.out)
    assert [note.split(",")[0] for note in answer["notes"]] == ["today's state is not radial"]
    assert 0.0 < answer["loss_before_kw"] < answer["loss_kw"]


def test_transformers_are_opened_where_they_are_named(command: Command, tmp_path: Path) -> None:
    row = {"from_bus": ["S"] * 2, "to_bus": ["D"] * 2, "vn_from_kv": [10.0] * 2, "vn_to_kv": [0.4] * 2}
    units = {"name": ["T1", "T 2"], **row, "r_ohm": [0.01] * 2, "x_ohm": [0.02] * 2}
    made = tables()
    buses = {"name": [*made["buses"]["name"], "D"], "vn_kv": [10.0] * 4 + [0.4]}
    folder = write(tmp_path / "station", buses=buses, transformers=units)
    done = command("reconfigure", folder, "--json", "-")
    assert (done.code, len(json.loads(done.out)["open_branches"])) == (0, 1)
    assert "stays closed          loop 'T 2' (transformers), 'T1' (transformers)" in command("info", folder).out
    for options in (("--open", "T 2"), ("--switchable", "T1,T 2"), ("--switchable", "T1", "--switchable", "T 2")):
        done = command("reconfigure", folder, *options, "--json", "-")
        assert done.code == 0, done.err
        opened = json.loads(done.out)["open_branches"]
        assert len(opened) == 2
        assert {"T1", "T 2"} & set(opened)
    done = command("harden", folder, "--any-lines", "1", "--max-lines", "1", "--max-generators", "0")
    assert done.code == 0, done.err  # transformers do not break
    storm = tmp_path / "storm.csv"
    storm.write_text("disaster,probability,branch\nstorm,1.0,T1\n")
    done = command("harden", folder, "--disasters", storm, "--max-lines", "1", "--max-generators", "0")
    assert (done.code, "openpoint convert --switchable" in done.err) == (2, True), done.err
    command("convert", folder, "asked", "--switchable", "T1,T 2")
    assert openpoint.read("asked").transformers["switchable"].to_list() == [True, True]
    done = command("reconfigure", folder, "--switchable", "T1,T3")
    assert (done.code, "row T3: no such branch" in done.err) == (2, True)


def test_info_counts(command: Command, ring: Path) -> None:
    done = command("info", ring)
    assert done.code == 0, done.err
    pairs = [line.split(maxsplit=1) for line in done.out.splitlines()[1:]]
    assert ["buses", "4"] in pairs
    assert ["load", "1500.0 kW + 600.0 kvar"] in pairs
    assert "1 branch, to be radial" in done.out
    assert done.out.splitlines()[-1].split() == ["radial", "today", "yes"]


def test_info_lists_branches(command: Command, ring: Path) -> None:
    done = command("info", ring, "--branches")
    assert [line.split()[1] for line in done.out.splitlines()] == ["name", "S-A", "A-B", "B-C", "C-S"]


def test_check_lists_all_faults_and_ends_with_2(command: Command, ring: Path, tmp_path: Path) -> None:
    done = command("check", ring)
    assert (done.code, done.out.splitlines()[-1]) == (0, "0 errors, 0 warnings")
    lines = tables()["lines"] | {"to_bus": ["A", "B", "nowhere", "S"], "r_ohm": [0.4, float("nan"), 0.4, -1.0]}
    done = command("check", write(tmp_path / "faulty", lines=lines))
    assert done.code == 2
    assert {"row B-C", "row A-B", "row C-S"} <= {part for line in done.out.splitlines() for part in line.split(", ")}
    assert "Traceback" not in done.err


def test_check_tells_alike_faults_together_unless_all_are_wanted(command: Command, tmp_path: Path) -> None:
    folder = write(tmp_path / "faulty", lines=tables()["lines"] | {"r_ohm": [-1.0] * 4})
    together, each = command("check", folder), command("check", folder, "--all")
    assert together.out.splitlines()[0].startswith("error: lines, 4 rows (S-A, A-B, B-C and 1 more), r_ohm: ")
    assert [len(done.out.splitlines()) for done in (together, each)] == [2, 5]
    assert {done.out.splitlines()[-1] for done in (together, each)} == {"4 errors, 0 warnings"}
    refused = command("reconfigure", folder)
    assert len(refused.err.splitlines()) == 1


def test_what_changes_the_meaning_of_figures_stands_above_them(command: Command, ring: Path) -> None:
    unit = {"table": "case.m", "row": "", "column": "", "message": "one phase of three", "remedy": "Multiply"}
    lines = [f'{key} = "{text}"' for key, text in unit.items()]
    head = ring / "grid.toml"
    head.write_text("\n".join([head.read_text(), "[[notes]]", *lines, "changes_figures = true\n"]))
    note = "case.m: one phase of three. Multiply"
    for verb in ("powerflow", "reconfigure"):
        shown = command(verb, ring).out
        assert 0 < shown.index(f"Note: {note}") < shown.index(" kW ·", shown.index(note))
        assert f"note: {note}" in command(verb, ring, "--quiet").err
    assert note in command("info", ring).out


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_convert_keeps_the_grid(kind: str, command: Command, tmp_path: Path) -> None:
    done = command("convert", "baran33", "tables", "--format", kind)
    assert done.code == 0, done.err
    assert list((tmp_path / "tables").glob(f"*.{kind}"))
    assert openpoint.read("tables").equals(openpoint.read("baran33"))


def test_convert_writes_opendss_circuits(command: Command, tmp_path: Path) -> None:
    done = command("convert", "ieee13", "feeder.dss")
    assert done.code == 0, done.err
    assert (tmp_path / "feeder.dss").is_file()
    losses = [json.loads(command("powerflow", grid, "--json", "-").out)["loss_kw"] for grid in ("feeder.dss", "ieee13")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    refused = command("convert", "ieee13", "feeder.dss/nowhere/feeder.dss")
    assert refused.code == 2
    assert "cannot write into feeder.dss/nowhere (Not a directory)" in refused.err


@pytest.mark.parametrize("name", ["out.m", "out.json", "out.xyz"])
def test_convert_makes_no_folder_with_the_name_of_a_file(name: str, command: Command) -> None:
    done = command("convert", "baran33", name)
    assert done.code == 2
    assert f"not written as .{name[4:]}, only as a folder of tables" in done.err
    assert "written:" not in done.out
    assert not Path(name).exists()
    assert command("convert", "baran33", f"{name}/").code == 0
    assert openpoint.read(name).equals(openpoint.read("baran33"))


def test_convert_does_not_write_over_its_source(command: Command) -> None:
    assert command("convert", "ieee13", "feeder.dss").code == 0
    before = Path("feeder.dss").read_text()
    done = command("convert", "feeder.dss", "./feeder.dss")
    assert (done.code, Path("feeder.dss").read_text()) == (2, before)
    assert "would take the place of feeder.dss, which is read" in done.err
    refused = command("convert", "ieee13", "other.dss", "--format", "csv")
    assert (refused.code, Path("other.dss").exists()) == (2, False)


@pytest.mark.parametrize("name", ["tables", "feeder.dss", "grid.xlsx"])
def test_convert_replaces_a_grid_only_where_told(name: str, command: Command) -> None:
    assert command("convert", "baran33", name).code == 0
    before = openpoint.read(name)
    refused = command("convert", "civanlar16", name)
    assert (refused.code, refused.out) == (2, "")
    assert f"{name} {'holds files' if name == 'tables' else 'is a file'} already" in refused.err
    assert "--force" in refused.err
    assert openpoint.read(name).equals(before)
    assert command("convert", "civanlar16", name, "--force").code == 0
    assert openpoint.read(name).buses.height == 16


@pytest.mark.parametrize("command_line", [("info", "ring"), ("reconfigure", "ring"), ("powerflow", "ring")])
def test_a_grid_without_loads_says_so_beside_its_figures(command_line: tuple[str, str], command: Command) -> None:
    openpoint.write(Grid.from_tables("ring", tables() | {"loads": []}), "ring")
    done = command(*command_line)
    assert done.code == 0, done.err
    assert "load 0.0 kW" not in done.out
    assert "loads: the table has no rows, so figures are of a grid without load" in done.out
    if command_line[0] != "powerflow":
        assert "none: the table loads has no rows" in done.out


def test_cases_are_listed(command: Command) -> None:
    done = command("cases")
    assert done.code == 0, done.err
    known = ("zhang13", "civanlar16", "baran33", "baran69", "baran69-x", "das70", "zhang118", "mantovani136")
    first = [line.split()[0] for line in done.out.splitlines()]
    assert set(known) <= set(first)


def test_days_are_listed_and_written(command: Command) -> None:
    done = command("days")
    assert done.code == 0, done.err
    assert {"baran33-day", "baran69-day"} <= {line.split()[0] for line in done.out.splitlines()}
    assert command("days", "baran33-day", "mine").code == 0
    written = openpoint.read_day("mine").tables()
    refused = command("days", "baran69-day", "mine")
    assert (refused.code, "--force" in refused.err) == (2, True)
    assert openpoint.read_day("mine").tables().keys() == written.keys()
    assert all(written[kind].equals(frame) for kind, frame in openpoint.read_day("baran33-day").tables().items())
    for arguments, told in (
        (("mine",), "Give a folder"),
        (("mine", "./mine"), "would take the place of mine, which is read"),
    ):
        refused = command("days", *arguments)
        assert refused.code == 2
        assert told in refused.err


@pytest.mark.parametrize("shape", ["reconfigure", "powerflow", "grid", "harden", "reconfigure-futures"])
def test_schemas_are_printed(shape: str, command: Command) -> None:
    schema = json.loads(command("schema", shape).out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == published(shape)


@pytest.mark.parametrize("arguments", [["--help"], ["reconfigure", "--help"]])
def test_help_teaches(arguments: list[str], command: Command) -> None:
    done = command(*arguments)
    assert done.code == 0
    assert "openpoint reconfigure baran33" in done.out
    assert "proven infeasible" in done.out


def test_names_cannot_steer_the_terminal(command: Command, tmp_path: Path) -> None:
    names = ["S", "[bold red]A[/]", "\x1b[31mB", "C\n:warning:"]
    lines = tables()["lines"] | {"from_bus": names, "to_bus": [*names[1:], "S"], "name": [f"-{n}" for n in names]}
    folder = write(
        tmp_path / "nasty",
        buses=tables()["buses"] | {"name": names},
        lines=lines,
        loads=tables()["loads"] | {"bus": names[1:]},
    )
    for what in ("info", "check", "powerflow", "reconfigure"):
        done = command(what, folder)
        assert "\x1b" not in done.out + done.err
        assert done.code in (0, 2)
    assert "[bold red]A[/]" in command("reconfigure", folder, "--open", "-[bold red]A[/]").out + done.err


def test_soft_limits_answer_where_nothing_keeps_them_and_say_which_are_broken(command: Command, ring: Path) -> None:
    lines = (ring / "lines.csv").read_text().replace(",200,", ",20,")
    (ring / "lines.csv").write_text(lines)
    hard = command("reconfigure", ring)
    assert hard.code == 3
    assert "--soft-limits (soft_limits=True)" in hard.err
    assert "--ignore-limits current" in hard.err
    soft = command(
        "reconfigure", ring, "--soft-limits", "--json", "result.json", "--tables", "tables", "--report", "r.html"
    )
    assert soft.code == 3
    assert "limits are not kept: current at" in soft.err
    assert "Limits broken by the answer" in soft.out
    assert "all others kept (no radial state does with less): current at" in soft.out
    result = json.loads(Path("result.json").read_text())
    assert result["loss_kw"] > 0.0
    assert result["violations"]
    assert "current at" in pl.read_csv("tables/summary.csv")["soft_limits"][0]
    page = Path("r.html").read_text()
    assert "Limits not kept" in page
    assert "no radial state does with less" in page


def test_generators_that_hold_a_voltage_run_otherwise_if_asked(command: Command, tmp_path: Path) -> None:
    output = {"p_kw": [100.0], "q_kvar": [50.0], "q_min_kvar": [-100.0], "q_max_kvar": [400.0], "v_pu": [1.0]}
    held = write(tmp_path / "held", generators={"name": ["g"], "bus": ["B"], **output})
    flow = command("powerflow", held, "--json", "-", "--quiet")
    assert flow.code == 0
    jsonschema.validate(json.loads(flow.out), published("powerflow"))
    assert json.loads(flow.out)["generators"][0]["q_kvar"] == pytest.approx(400.0)
    assert "g does not hold 1 pu at B: 400.0 kvar is a limit of it" in command("powerflow", held).out
    refused = command("reconfigure", held)
    assert refused.code == 2
    assert "--pv pq" in refused.err
    made = {}
    for how in ("pq", "free"):
        done = command("reconfigure", held, "--pv", how, "--json", "-", "--quiet")
        assert done.code in (0, 4), done.err
        made[how] = json.loads(done.out)["generators"][0]["q_kvar"]
    assert made["pq"] == 50.0
    assert 50.0 < made["free"] < 400.0
    assert command("convert", held, "given", "--pv", "pq").code == 0
    assert command("reconfigure", "given").code == 0


def write_map(folder: Path) -> None:
    """Coordinates of all buses of civanlar16, as `map.geojson`."""
    names = openpoint.read("civanlar16").buses["name"]
    points = [
        {"type": "Feature", "id": name, "geometry": {"type": "Point", "coordinates": [8.0 + k / 1e3, 50.0]}}
        for k, name in enumerate(names)
    ]
    (folder / "map.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": points}))


def test_convert_puts_coordinates_of_geojson_into_the_tables(command: Command, tmp_path: Path) -> None:
    write_map(tmp_path)
    done = command("convert", "civanlar16", "tables", "--geojson", "map.geojson")
    assert done.code == 0
    assert "16 of 16 buses with coordinates" in done.out
    assert openpoint.read("tables").buses["x"].null_count() == 0


def test_studies_take_coordinates_from_geojson(command: Command, tmp_path: Path) -> None:
    write_map(tmp_path)
    given = ("civanlar16", "--geojson", "map.geojson")
    assert command("reconfigure", *given, "--write", "answer.geojson").code == 0
    assert "8.015" in (tmp_path / "answer.geojson").read_text()
    assert command("secure", *given).code == 0
    done = command("secure", "civanlar16", "--geojson", "none.geojson")
    assert done.code == 2
    assert "none.geojson" in done.err
    done = command("reconfigure-fleet", *given, "baran33", "--out", "many")
    assert done.code == 2
    assert "No such option: --geojson" in done.err
