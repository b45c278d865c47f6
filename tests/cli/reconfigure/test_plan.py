"""The order of switching from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.desk import Command


def test_a_plan_is_told_and_written(command: Command, tmp_path: Path) -> None:
    done = command("reconfigure", "civanlar16", "--plan", "--checklist", "list.md")
    assert done.code == 0
    assert "Switch plan: 4 operations (4 manual), no fewer are possible" in done.out
    assert "600.0 kW at 11, 30 min" in done.out
    assert (tmp_path / "list.md").read_text().count("[ ]") == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--checklist", "list.pdf"], "the name must end in .html"),
        (["--parallel-sources"], "go with --plan or --checklist"),
        (["--plan", "--grow", "5"], "for one grid and the demand of today"),
        (["--plan", "--customers", "nowhere"], "there is no such folder or workbook"),
    ],
)
def test_what_makes_no_sense_is_refused(command: Command, arguments: list[str], said: str) -> None:
    done = command("reconfigure", "civanlar16", *arguments)
    assert done.code == 2
    assert said in done.err


def test_a_plan_between_two_saved_states(command: Command, tmp_path: Path) -> None:
    assert command("reconfigure", "baran33", "--method", "exchange", "--json", "answer.json").code == 4
    done = command("plan", "baran33", "answer.json", "--checklist", "list.md", "--json", "plan.json")
    assert done.code == 0
    assert "open before   33 34 35 36 37" in done.out
    assert "8 operations (8 manual), no fewer are possible; limits kept in every state" in done.out
    assert (tmp_path / "list.md").read_text().count("[ ]") == 8
    assert (tmp_path / "plan.json").exists()
    done = command("plan", "baran33", "answer.json", "33,34,35,36,37", "--v-min", "0.931")
    assert done.code == 0
    assert "states on the way may break limits by as much" in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["7,9,14,32"], "after: not radial"),
        (["a", "b", "c"], "3 states were given"),
        (["7,9,14,32,37", "--checklist", "list.pdf"], "the name must end in .html"),
    ],
)
def test_states_that_cannot_be_are_refused(command: Command, arguments: list[str], said: str) -> None:
    done = command("plan", "baran33", *arguments)
    assert done.code == 2
    assert said in done.err
