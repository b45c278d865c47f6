"""Bad input ends with exit code 2, the place and the remedy, and never with a traceback."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

import openpoint
from openpoint import Grid
from openpoint.errors import MOST_LINES
from tests.cli.desk import Command, Done, tables

MATPOWER = """function mpc = three
mpc.version = '2';
mpc.baseMVA = 10;
mpc.bus = [
    1 3 0   0   0 0 1 1 0 12.66 1 1   1;
    2 1 0.5 0.2 0 0 1 1 0 12.66 1 1.1 0.9;
    3 1 0.4 0.2 0 0 1 1 0 12.66 1 1.1 0.9;
];
mpc.gen = [
    1 0 0 10 -10 1 10 1 10 0;
];
mpc.branch = [
    1 2 0.02 0.03 0 0 0 0 0 0 1 -360 360;
    2 3 0.02 0.03 0 0 0 0 0 0 1 -360 360;
    3 1 0.02 0.03 0 0 0 0 0 0 0 -360 360;
];
"""


def refused(done: Done, *told: str) -> None:
    assert done.code == 2, done.out + done.err
    assert "Traceback" not in done.err
    assert "internal error" not in done.err
    faults = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert faults
    for word in told:
        assert word.lower() in done.err.lower(), done.err
    # A place, a message and a remedy: at least two sentences.
    assert all(fault.count(". ") >= 1 or ";" in fault for fault in faults), faults


def broken(**changes: Any) -> dict[str, Any]:
    """The ring with columns changed: `lines_r_ohm=[…]`."""
    made = tables()
    for key, values in changes.items():
        kind, column = key.split("_", 1)
        made[kind] = made[kind] | {column: values}
    return made


GRIDS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a bus that nothing reaches": (
        broken(lines_from_bus=["S", "A", "A", "B"], lines_to_bus=["A", "B", "B", "S"]),
        ("buses", "C"),
    ),
    "one name twice": (broken(lines_name=["S-A", "S-A", "B-C", "C-S"]), ("lines", "S-A")),
}


@pytest.mark.parametrize("fault", GRIDS)
@pytest.mark.parametrize("verb", ["reconfigure", "powerflow", "check"])
def test_a_faulty_grid(fault: str, verb: str, command: Command, tmp_path: Path) -> None:
    made, told = GRIDS[fault]
    openpoint.write(Grid.from_tables("faulty", made), tmp_path / "faulty")
    done = command(verb, "faulty")
    # `check` answers on standard output: the faults are what it was asked for.
    refused(Done(done.code, "", done.out) if verb == "check" else done, *told)


def test_a_negative_load_is_said(command: Command, tmp_path: Path) -> None:
    openpoint.write(Grid.from_tables("negative", broken(loads_p_kw=[500.0, -400.0, 600.0])), tmp_path / "negative")
    done = command("reconfigure", "negative")
    assert done.code in (0, 2)
    assert "loads, row b" in done.err


def test_implausible_impedances_are_said(command: Command, tmp_path: Path) -> None:
    # At 10 kV and 1.6 MVA such a line would lose several times the voltage: per unit or milliohm taken for ohm.
    openpoint.write(Grid.from_tables("units", broken(lines_r_ohm=[4000.0] * 4)), tmp_path / "units")
    assert "warning: lines" in command("check", "units").out


def test_volts_taken_for_kilovolts_are_said(command: Command, tmp_path: Path) -> None:
    openpoint.write(Grid.from_tables("volts", broken(buses_vn_kv=[10_000.0] * 4)), tmp_path / "volts")
    done = command("reconfigure", "volts")
    assert "warning: buses, 4 rows (S, A, B and 1 more), vn_kv: 10000 kV is more than any grid" in done.err


def test_more_faults_than_are_shown_are_followed_by_what_to_do(command: Command, tmp_path: Path) -> None:
    """`openpoint check` knows the grid alone: it is named where the faults are the grid's, and nowhere else."""
    faults = [f"{k}, 0.1, {'12x' * k}, {k}" for k in range(1, 3)]
    columns = "".join(f",odd{k}" for k in range(25))
    (tmp_path / "futures.csv").write_text(f"future,bus{columns}\n" + "\n".join(faults))
    done = command("reconfigure-futures", "baran33", "futures.csv")
    assert done.code == 2
    assert done.err.splitlines()[-1].endswith(" more; mend these first, and run it again")
    openpoint.write(openpoint.read("baran33"), tmp_path / "odd")
    (tmp_path / "odd" / "loads.csv").write_text(f"name,bus{columns}\n")
    done = command("reconfigure", "odd")
    assert done.code == 2
    assert done.err.splitlines()[-1].endswith(" more; openpoint check GRID shows them")
    assert len(done.err.splitlines()) == MOST_LINES + 1


def test_faults_of_a_file_of_steps_name_that_file(command: Command, tmp_path: Path) -> None:
    (tmp_path / "my_day.csv").write_text("step,hour\nnoon,1\n")
    refused(command("partition-steps", "ieee37-microgrids", "my_day.csv"), "my_day.csv, line 1, hour: unknown")


TEXTS = {
    "empty.m": "",
    "empty.json": "",
    "empty.pos": "",
    "words.m": "this is no case file\n",
    "words.json": "this is no JSON\n",
    "words.pos": "this is no grid\n",
    "other.json": '{"bus": [1, 2, 3]}',
    "list.json": "[]",
    "grid.xyz": "1 2 3",
    "truncated.m": MATPOWER[: MATPOWER.index("    2 3 0.02")] + "    2 3 0.",
    "pv.m": MATPOWER.replace("    2 1 0.5", "    2 2 0.5").replace(
        "];\nmpc.branch", "    2 1 0 5 -5 1 10 1 10 0;\n];\nmpc.branch"
    ),
    "code.m": MATPOWER + "mpc.bus(2, 3) = system('touch was_here');\n",
    "no_bus.m": MATPOWER.replace("mpc.bus", "mpc.bath"),
    "no_source.m": MATPOWER.replace("    1 3 0 ", "    1 1 0 "),
    "dangling.m": MATPOWER.replace("    3 1 0.02", "    3 7 0.02"),
    "ragged.m": MATPOWER.replace("2 3 0.02 0.03 0 0 0 0 0 0 1 -360 360;", "2 3 0.02 0.03;"),
    "nan.m": MATPOWER.replace("2 1 0.5 0.2", "2 1 NaN 0.2"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_faulty_file(name: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / name).write_text(TEXTS[name], encoding="utf-8")
    # What is wrong with the file names the file; what is wrong with the grid in it names the table.
    refused(command("reconfigure", name), {"no_source.m": "sources", "pv.m": "generators"}.get(name, name))
    assert not (tmp_path / "was_here").exists()


@pytest.mark.parametrize("name", ["missing.m", "missing.json", "missing_folder/", "baran", "", "."])
def test_a_place_where_there_is_no_grid(name: str, command: Command) -> None:
    refused(command("info", name))


def test_bytes_that_are_no_text(command: Command, tmp_path: Path) -> None:
    for name in ("noise.m", "noise.json", "noise.pos"):
        (tmp_path / name).write_bytes(bytes(range(256)))
        refused(command("info", name), name)


def test_an_answer_is_no_grid(command: Command, ring: Path) -> None:
    assert command("reconfigure", ring, "--json", "answer.json").code == 0
    refused(command("info", "answer.json"), "answer.json", "an answer (reconfigure) and no grid", "Give the grid")


def test_futures_do_not_replace_a_table_of_a_grid(command: Command, ring: Path) -> None:
    before = (ring / "loads.csv").read_bytes()
    refused(command("futures", ring, "--count", 3, "-o", ring / "loads.csv"), "would take the place of", "another name")
    assert (ring / "loads.csv").read_bytes() == before
    assert command("futures", ring, "--count", 3, "-o", ring / "futures.csv").code == 0


def test_a_text_with_very_many_names_is_not_repeated(command: Command, ring: Path) -> None:
    answer = command("reconfigure", ring, "--open", ",".join(map(str, range(1, 1502))))
    refused(answer, "1501 rows (1, 2, 3 and 1498 more): no such branch")
    assert len(answer.err) < 400


@pytest.mark.parametrize("study", ["reconfigure", "dispatch"])
@pytest.mark.parametrize("option", ["--open", "--close"])
def test_several_locks_in_one_text_are_several(study: str, option: str, command: Command, ring: Path) -> None:
    refused(command(study, ring, option, "S-A, Z"), "branches, row Z", "no such branch")
    locks = ("--open", "C-S") if option == "--open" else ("--close", "S-A, A-B")
    done = command(study, ring, *locks, "--json", "-", "--quiet")
    assert done.code == 0, done.err
    assert json.loads(done.out)["open_branches"] == (["C-S"] if option == "--open" else ["B-C"])


def test_a_name_with_a_comma_is_one_name(command: Command, tmp_path: Path) -> None:
    made = tables()
    made["lines"]["name"][2] = "B, C"
    openpoint.write(Grid.from_tables("ring", made), tmp_path / "ring")
    done = command("reconfigure", tmp_path / "ring", "--open", "B, C", "--json", "-", "--quiet")
    assert json.loads(done.out)["open_branches"] == ["B, C"]


def test_a_folder_with_a_spoiled_table(command: Command, ring: Path) -> None:
    text = (ring / "lines.csv").read_text(encoding="utf-8")
    for spoiled in (
        text.replace("r_ohm", "r_omh", 1),
        text.replace("0.4", "many", 1),
        text[: len(text) // 2],
        "",
        "\x00",
    ):
        (ring / "lines.csv").write_text(spoiled, encoding="utf-8")
        refused(command("reconfigure", ring), "lines")


def test_the_case_itself_is_fine(command: Command, tmp_path: Path) -> None:
    (tmp_path / "three.m").write_text(MATPOWER, encoding="utf-8")
    done = command("reconfigure", "three.m")
    assert done.code == 0, done.err


def test_a_file_of_options_is_read_as_any_other(command: Command, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "deep.toml").write_text("gap = " + "[" * 5000 + "]" * 5000)
    (tmp_path / "long.toml").write_text("a" + ".a" * 5000 + " = 1")
    (tmp_path / "large.toml").write_text("#" * 200_000)
    (tmp_path / "round.toml").symlink_to("round.toml")
    for name, told in (
        *(("pipe.toml", "this is a pipe"), ("deep.toml", "nested too deeply"), ("long.toml", "a hundred parts")),
        *(("large.toml", "200,000 bytes"), ("round.toml", "symbolic links"), (".", "this is a folder")),
    ):
        done = command("reconfigure", "civanlar16", "--config", name)
        assert (done.code, "Traceback" in done.err) == (2, False), name
        assert told in " ".join(done.err.replace("│", " ").split()), done.err


def test_links_that_lead_in_a_circle(command: Command, tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to("round")
    for line in (
        ("info", "round"),
        ("convert", "civanlar16", "round"),
        ("reconfigure", "civanlar16", "--json", "round"),
        ("reconfigure", "civanlar16", "--tables", "round"),
        ("reconfigure-futures", "civanlar16", "round"),
        ("reconfigure", "civanlar16", "--config", "round"),
    ):
        done = command(*line)
        assert (done.code, "internal" in done.err) == (2, False), (line, done.err)


@pytest.mark.parametrize("number", ["99999999999999999999", "-99999999999999999999", "1e3", "nan", "٣٣٣٣٣٣٣٣٣٣٣٣"])
def test_whole_numbers_have_a_range(number: str, command: Command) -> None:
    for line in (
        ("reconfigure", "civanlar16", "--max-changes"),
        ("harden", "civanlar16", "--max-lines"),
        ("partition", "ieee37-microgrids", "--most-deviating"),
        ("harden", "zhang13", "--any-lines"),
        ("futures", "civanlar16", "-o", "f.csv", "--count"),
    ):
        done = command(*line, number)
        assert (done.code, "Traceback" in done.err) == (2, False), (line, done.err)
        assert line[-1] in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["reconfig", "baran33"], "Did you mean 'reconfigure'"),
        (["astonish"], "`openpoint --help` lists the commands"),
        (["reconfigure", "baran33", "--v-min", "0,95"], "0,95 has a comma; numbers are written with a point: 0.95"),
        (["reconfigure", "baran33", "--v-min=0,95"], "point: 0.95"),
        (["reconfigure", "baran33", "--open", "7,9", "--gap", "x"], "'--gap': Input should be a valid number"),
        (["reconfigure", "baran33", "--close", "s-33"], "Did you mean '33'?"),
        (["partition", "ieee37-microgrids", "--uncertain-loads", "zz"], "no such load in this grid"),
    ],
)
def test_a_slip_is_answered_with_what_may_be_meant(arguments: list[str], words: str, command: Command) -> None:
    done = command(*arguments)
    assert done.code == 2
    assert words in done.err


def test_a_column_of_other_units_has_its_remedy(command: Command, tmp_path: Path) -> None:
    command("convert", "baran33", str(tmp_path / "grid"))
    loads = tmp_path / "grid" / "loads.csv"
    loads.write_text(loads.read_text().replace("p_kw", "p_mw").replace("q_kvar", "q_kva"))
    done = command("info", str(tmp_path / "grid"))
    assert "Call it p_kw and multiply its numbers by 1000" in done.err
    assert "Did you mean 'q_kvar'?" in done.err


def test_a_lock_may_be_a_pattern(command: Command) -> None:
    done = command("reconfigure", "baran33", "--open", "3[3-7]", "--json", "-")
    assert json.loads(done.out)["open_branches"] == ["33", "34", "35", "36", "37"]
