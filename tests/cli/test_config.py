"""Options from a file."""

import json
from pathlib import Path

import pytest

from tests.cli.desk import Command


def put(text: str) -> str:
    Path("options.toml").write_text(text, encoding="utf-8")
    return "options.toml"


def test_options_come_from_the_file_and_the_command_line_wins(command: Command, ring: Path) -> None:
    file = put('max-changes = 0\n[reconfigure]\nopen = ["C-S"]\nquiet = true\n[harden]\nany-lines = 5\n')
    done = command("reconfigure", ring, "--config", file, "--json", "-")
    assert done.code == 0, done.err
    assert json.loads(done.out)["open_branches"] == ["C-S"]
    won = command("reconfigure", ring, "--config", file, "--json", "-", "--max-changes", 2, "--open", "B-C")
    assert json.loads(won.out)["open_branches"] == ["B-C"]


def test_what_stands_above_the_tables_is_for_commands_that_have_it(command: Command, ring: Path) -> None:
    file = put("count = 3\nmax_changes = 0\n[futures]\noutput = 'drawn.csv'\n")
    assert command("futures", ring, "--config", file).code == 0
    futures = {line.split(",")[0] for line in Path("drawn.csv").read_text().splitlines()[1:]}
    assert len(futures) == 3
    assert command("reconfigure", ring, "--config", file).code == 0


def test_every_fault_is_named_with_its_line_and_what_is_nearest(command: Command, ring: Path) -> None:
    file = put(
        'gapp = 1\n[reconfigure]\nmax_change = 4\ngap = true\nmax-changes = 2.5\nsoft-limits = "yes"\n'
        'method = ["a", "b"]\n'
        "change-cost = -1.0\n[reconfig]\na = 1\n"
    )
    done = command("reconfigure", ring, "--config", file)
    assert done.code == 2
    for said in (
        "line 1: there is no option gapp; did you mean gap?",
        "line 3: reconfigure has no option max_change; did you mean max-changes?",
        "line 4: gap: give a number or a text",
        "line 5: max-changes:",
        "line 6: soft-limits: give true or false",
        "line 7: method: give one value, not a list",
        "line 8: change-cost:",
        "line 9: there is no command reconfig with options; did you mean reconfigure?",
    ):
        assert f"options.toml {said}" in done.err, said
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("text", "said"), [("gap = ", "no TOML"), ("gap = 1\ngap = 2", "no TOML"), (None, "No such file")]
)
def test_a_file_that_cannot_be_read_is_refused(text: str | None, said: str, command: Command, ring: Path) -> None:
    done = command("reconfigure", ring, "--config", put(text) if text is not None else "none.toml")
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize("verb", ["reconfigure", "dispatch", "futures", "harden", "partition", "powerflow"])
def test_every_long_command_takes_a_file(verb: str, command: Command) -> None:
    done = command(verb, "--help")
    assert "--config" in done.out


def test_verbose_tells_every_step_and_every_line(command: Command, ring: Path) -> None:
    told = command("reconfigure", ring, "--method", "benders", "--verbose", "--json", "r.json").out
    steps = [line.split(" s  ", 1)[1] for line in told.splitlines() if " s  " in line]
    assert steps[:3] == ["loaded the libraries", "read the grid", "checked the grid"]
    assert {"built the master problem", "the method ended", "wrote --json r.json"} <= set(steps)
    silent = command("reconfigure", ring, "--method", "benders")
    assert " s  " not in silent.out
    to_stdout = command("reconfigure", ring, "--verbose", "--json", "-")
    assert json.loads(to_stdout.out)["open_branches"]
    assert "read the grid" in to_stdout.err
    both = command("reconfigure", ring, "--verbose", "--quiet")
    assert both.code == 2
    assert "contradict" in both.err
