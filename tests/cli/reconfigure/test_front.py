"""Fronts from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.desk import Command


def test_a_front_is_told_and_written(command: Command, tmp_path: Path) -> None:
    done = command("reconfigure", "civanlar16", "--front", "unrestorable", "--json", "front.json")
    assert done.code == 0
    assert "No state has both less loss and less unrestorable faults" in done.out
    assert "To have a point: openpoint reconfigure GRID --open" in done.out
    found = json.loads((tmp_path / "front.json").read_text())
    assert found["point_count"] == len(found["points"])
    assert found["bounds"][-1]["is_empty"] or found["points"][-1]["unrestorable"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--points", "4"], "--points is the number of points of --front"),
        (["--at-most", "caidi=1"], "the figures of faults are unrestorable, saifi, saidi, ens"),
        (["--at-most", "unrestorable=1", "--plan"], "leave one out"),
        (["--front", "unrestorable", "--plan"], "leave one out"),
        (["--front", "unrestorable", "--minimize", "ens"], "leave minimize out"),
        (["--front", "unrestorable", "--certificate", "proof.gz"], "leave one out"),
        (["--front", "unrestorable", "--futures", "futures.csv"], "leave one out"),
        (["--front", "unrestorable", "--year", "year.csv"], "leave one out"),
        (["--front", "unrestorable", "--method", "benders"], "leave out method"),
        (["--front", "unrestorable", "--soft-limits"], "leave one of both out"),
        (["--front", "unrestorable", "--change-cost", "1"], "give max_changes"),
        (["--front", "unrestorable", "--points", "4"], "leave points out"),
    ],
)
def test_what_makes_no_sense_is_refused(command: Command, arguments: list[str], said: str) -> None:
    done = command("reconfigure", "civanlar16", *arguments)
    assert done.code == 2
    assert said in done.err


def test_a_front_is_no_state_to_be_written(command: Command, ring: Path) -> None:
    done = command("reconfigure", ring, "--front", "unrestorable", "--write", "copy")
    assert done.code == 2
    assert "--front finds many; leave one of both out" in done.err
