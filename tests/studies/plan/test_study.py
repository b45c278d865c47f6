"""Plans between two states that a user names: where they come from, what is refused, what is written."""

import json
from pathlib import Path

import jsonschema
import pytest

import openpoint as op
from openpoint.errors import InputError, OptionError
from openpoint.studies.plan.states import State

BEST = ("7", "9", "14", "32", "37")
TODAY = ("33", "34", "35", "36", "37")


def test_a_state_is_a_grid_a_file_a_result_or_names(tmp_path: Path) -> None:
    grid = op.read("baran33")
    best = grid.with_closed({name: name not in BEST for name in grid.branches()["name"]})
    op.write(best, tmp_path / "folder")
    answer = op.reconfigure(grid, method=op.BranchExchange()).write_json(tmp_path / "answer.json")
    secured = op.secure(grid, open_branches=BEST).write_json(tmp_path / "secured.json")
    steps = op.switch_plan(grid, BEST).plan.steps
    states: list[State] = [best, tmp_path / "folder", str(tmp_path / "folder"), str(answer), secured, "7,9, 14,32,37"]
    for state in states:
        found = op.switch_plan("baran33", state)
        assert found.open_after == BEST
        assert found.plan.steps.equals(steps)
    back = op.switch_plan(grid, grid, before=best)
    assert (back.open_before, back.open_after) == (BEST, TODAY)
    assert back.grid_after.branches().equals(grid.branches())


def test_the_plan_is_that_of_the_result_whose_answer_it_leads_to() -> None:
    result = op.reconfigure("civanlar16", method=op.BranchExchange())
    found = op.switch_plan("civanlar16", result.open_branches, manual_minutes=12.0)
    expected = op.plan_answer(result, manual_minutes=12.0)
    assert found.plan.steps.equals(expected.steps)
    assert found.plan.in_short == expected.in_short
    assert found.plan.notes == ("every state is evaluated at the demand of the grid's tables", *expected.notes)
    assert op.switch_plan("civanlar16", "civanlar16").plan.in_short == "Nothing to switch."


def test_every_step_leads_from_one_state_to_the_other() -> None:
    found = op.switch_plan("baran33", BEST, before=("7", "34", "35", "36", "37"))
    left = set(found.open_before)
    for action, name in found.plan.steps.select("action", "name").iter_rows():
        assert (name in left) == (action == "close")
        left ^= {name}
    assert left == set(BEST)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, "7,9,14,32", r"after: not radial, loop.*'37'"),
        ("7,9,14,32", BEST, r"before: not radial"),
        (None, "none", r"after: not radial"),
        (None, (*BEST, "36"), r"row 33: after: no source reaches"),
        (None, "7,9,nine", r"row nine, after: no branch of this grid, and no file"),
        (None, "civanlar16", r"branches of this state that are not in the grid"),
    ],
)
def test_states_that_cannot_be_are_named(before: State | None, after: State, said: str) -> None:
    with pytest.raises(InputError, match=said):
        op.switch_plan("baran33", after, before=before)


def test_what_may_not_be_operated_is_named_and_may_be_given_to_the_plan(tmp_path: Path) -> None:
    grid = op.read("baran33")
    fixed = grid.with_tables(lines=grid.lines.with_columns(switchable=grid.lines["name"].is_in(["7", "9"]).not_()))
    with pytest.raises(InputError, match=r"2 rows \(7, 9\), closed: not switchable, and closed before and open after"):
        op.switch_plan(fixed, BEST)
    assert op.switch_plan(fixed, BEST, switchable=["7", "9"]).plan.operations == 8
    (tmp_path / "flow.json").write_text(op.run_powerflow(grid).to_json())
    with pytest.raises(OptionError, match="without open points"):
        op.switch_plan(grid, tmp_path / "flow.json")


@pytest.mark.parametrize(("topology", "refused"), [("once", False), ("hourly", True)])
def test_a_day_is_a_state_where_its_open_points_are_decided_once(topology: str, refused: bool, tmp_path: Path) -> None:
    day = tmp_path / "day.json"
    content = {"study": "dispatch-day", "topology": topology, "open_branches": BEST, "objective_usd": 1.0}
    day.write_text(json.dumps(content), encoding="utf-8")
    if refused:
        with pytest.raises(OptionError, match="choose a period"):
            op.switch_plan("baran33", day)
    else:
        assert op.switch_plan("baran33", day).open_after == BEST


def test_a_year_in_blocks_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "year.json").write_text(json.dumps({"study": "reconfigure-seasons", "blocks": []}), encoding="utf-8")
    with pytest.raises(OptionError, match="choose a block"):
        op.switch_plan("baran33", tmp_path / "year.json")


def test_it_is_written(tmp_path: Path) -> None:
    found = op.switch_plan("civanlar16", op.reconfigure("civanlar16", method=op.BranchExchange()).open_branches)
    document = json.loads(found.to_json())
    jsonschema.validate(document, found.shape.json_schema())
    assert document["operations"] == len(document["switch_plan"]) == 4
    assert "[ ]" in found.write_checklist(tmp_path / "list.md").read_text()
    found.plot().savefig(tmp_path / "plan.png")
    assert (tmp_path / "plan.png").stat().st_size > 0
    assert "Switch plan" in found.write_report(tmp_path / "plan.html").read_text()
