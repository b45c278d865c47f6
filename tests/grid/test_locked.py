"""Branches that are operated by remote control, and branches that are locked with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

import openpoint as op
from openpoint.errors import InputError
from openpoint.grid.today import as_asked, locked_note
from openpoint.io.write_back import write_back
from openpoint.network import build_network
from tests.grid.small import grid, tables

WHY = "defective drive"


def _locked(name: str = "ab", *, kind: str = "lines") -> op.Grid:
    changed = tables()
    next(row for row in changed[kind] if row["name"] == name).update(locked_reason=WHY, remote=True)
    return grid(changed)


def test_a_locked_branch_is_not_switchable_anywhere() -> None:
    locked = _locked()
    assert dict(locked.branches().select("name", "switchable").iter_rows())["ab"] is False
    assert not build_network(locked).switchable[0]
    assert locked_note(locked) == (f"locked as today: ab closed ({WHY})",)
    assert locked_note(grid(tables())) == ()


def test_the_columns_survive_a_folder(tmp_path: Path) -> None:
    locked = _locked()
    op.write(locked, tmp_path / "grid")
    again = op.read(tmp_path / "grid")
    assert again.equals(locked)
    assert again.lines.filter(name="ab").select("remote", "locked_reason").row(0) == (True, WHY)


def test_bad_values_are_named_with_row_and_remedy() -> None:
    changed = tables()
    changed["lines"][0]["locked_reason"] = "true"
    changed["switches"][0]["locked_reason"] = "  "
    told = [(p.table, p.row, p.column) for p in grid(changed).problems() if p.severity == "error"]
    assert told == [("lines", "ab", "locked_reason"), ("switches", "cd", "locked_reason")]
    assert "defective drive" in grid(changed).problems()[0].remedy
    changed = tables()
    changed["lines"][0]["remote"] = "perhaps"
    with pytest.raises(InputError, match=r"ab.*remote.*'perhaps' is not true or false"):
        grid(changed)


def test_what_is_locked_cannot_be_asked_for_by_name_and_is_left_out_of_a_pattern() -> None:
    locked = _locked("de", kind="transformers")
    for ask in (
        lambda: as_asked(locked, ["de"], (), ()),
        lambda: as_asked(locked, ["d?"], (), ()),  # a pattern that only it matches
        lambda: as_asked(locked, (), ["de"], ()),
        lambda: op.reconfigure(_locked(), locked_open="ab"),
    ):
        with pytest.raises(InputError, match=f"locked: {WHY}"):
            ask()
    assert not dict(as_asked(locked, ["*"], (), ()).branches().select("name", "switchable").iter_rows())["de"]
    as_asked(locked, (), (), ["de"])  # in the state that it has


def test_a_locked_switch_is_not_operated_and_its_reason_stands_in_the_answer() -> None:
    free = op.reconfigure("civanlar16")
    name = free.changes[0]
    table = op.read("civanlar16")
    lines = table.lines.to_dicts()
    next(row for row in lines if row["name"] == name)["locked_reason"] = WHY
    result = op.reconfigure(op.Grid.from_tables("locked", {**table.tables(), "lines": lines}))
    assert name not in result.changes
    assert any(f"{name} " in note and WHY in note for note in result.notes)


def test_a_locked_state_is_not_written_back(tmp_path: Path) -> None:
    op.write(_locked(), tmp_path / "grid")
    with pytest.raises(InputError, match=f"locked: {WHY}"):
        write_back(tmp_path / "grid", tmp_path / "copy", {"ab": False})
