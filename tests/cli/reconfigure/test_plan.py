"""The order of switching from the command line."""

from pathlib import Path

import pytest

import openpoint as op
from tests.builders.grids import LIMITED, random_grid
from tests.cli.desk import Command


def test_a_plan_to_an_answer_is_told_and_written(command: Command, tmp_path: Path) -> None:
    assert command("reconfigure", "civanlar16", "--json", "answer.json").code == 0
    done = command("plan", "civanlar16", "answer.json", "--checklist", "list.md")
    assert done.code == 0
    assert "4 operations (4 manual), no fewer are possible" in done.out
    assert any({"600.0", "11"} <= set(line.split()) for line in done.out.splitlines())
    assert (tmp_path / "list.md").read_text().count("[ ]") == 4
    done = command("plan", "civanlar16", "answer.json", "--customers", "nowhere")
    assert done.code == 2
    assert "there is no such folder or workbook" in done.err


def test_a_plan_between_two_saved_states(command: Command, tmp_path: Path) -> None:
    assert command("reconfigure", "baran33", "--method", "exchange", "--json", "answer.json").code == 4
    done = command("plan", "baran33", "answer.json", "--checklist", "list.md", "--json", "plan.json")
    assert done.code == 0
    assert "Open before:               33 34 35 36 37" in done.out
    assert "8 operations (8 manual), no fewer are possible; limits kept in every state" in done.out
    assert (tmp_path / "list.md").read_text().count("[ ]") == 8
    assert (tmp_path / "plan.json").exists()
    done = command("plan", "baran33", "33,34,35,36,37", "--from", "answer.json", "--v-min", "0.931")
    assert done.code == 0
    assert "states on the way may break limits by as much" in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["7,9,14,32"], "after: not radial"),
        (["7,9,14,32,37", "--from", "a,b,c"], "no branch of this grid"),
        (["7,9,14,32,37", "--checklist", "list.pdf"], "the name must end in .html"),
    ],
)
def test_states_that_cannot_be_are_refused(command: Command, arguments: list[str], said: str) -> None:
    done = command("plan", "baran33", *arguments)
    assert done.code == 2
    assert said in done.err


def test_exit_codes_tell_a_plan_that_breaks_limits_and_one_that_is_not_proven(command: Command) -> None:
    op.write(random_grid(7, LIMITED), "grid")
    done = command("plan", "grid", "e0,e4", "--from", "e2,e8")
    assert done.code == 3
    assert "limits broken on the way" in done.out
    assert "the least possible" in done.out
    done = command("plan", "baran33", "7,9,14,32,37", "--time-limit", "0")
    assert done.code == 4
    assert "limits kept in every state; no interruption. Not proven best." in done.out


def test_from_one_state_to_the_same_there_is_nothing_to_do(command: Command) -> None:
    done = command("plan", "baran33", "33,34,35,36,37")
    assert done.code == 0
    assert "Nothing to switch." in done.out


def test_results_are_states_where_they_have_an_answer(command: Command, ring: Path, tmp_path: Path) -> None:
    (tmp_path / "year.csv").write_text("hours,a,b,c\n8000,1,0.5,0.2\n760,1,1,1\n", encoding="utf-8")
    assert command("futures", ring, "--count", 2, "-o", "futures.csv").code == 0
    for name, table in ("reconfigure-futures", "futures.csv"), ("reconfigure-year", "year.csv"):
        assert command(name, ring, table, "--json", "answer.json").code == 0
        done = command("plan", ring, "answer.json")
        assert done.code == 0, done.err
        assert "2 operations" in done.out
        assert command(name, ring, table, "--v-min", "0.9999", "--json", "none.json").code == 3
        assert "a run without an answer (infeasible)" in command("plan", ring, "none.json").err
    assert command("reconfigure", ring, "--v-min", "0.9999", "--json", "none.json").code == 3
    done = command("plan", ring, "none.json")
    assert done.code == 2
    assert "after: none.json is the result of a run without an answer (infeasible); give another state" in done.err
    assert command("reconfigure-front", ring, "unrestorable", "--json", "front.json").code == 0
    done = command("plan", ring, "front.json")
    assert done.code == 2
    assert "choose one of its points, and name the branches that are open there" in done.err
