"""Fronts from the command line."""

import json
from pathlib import Path

import pytest

from tests.cli.desk import Command


def test_a_front_is_told_and_written(command: Command, tmp_path: Path) -> None:
    done = command("reconfigure-front", "civanlar16", "unrestorable", "--json", "front.json")
    assert done.code == 0
    assert "No state has both less loss and less unrestorable faults" in done.out
    assert "To have a point: openpoint reconfigure GRID --open" in done.out
    found = json.loads((tmp_path / "front.json").read_text())
    assert found["point_count"] == len(found["points"])
    assert found["bounds"][-1]["is_empty"] or found["points"][-1]["unrestorable"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reconfigure-secure", "--at-most", "caidi=1"], "the figures of faults are unrestorable, saifi, saidi, ens"),
        (["reconfigure-secure", "--minimize", "saifi", "--change-cost", "1"], "give --max-changes"),
        (["reconfigure-secure", "--restorable", "some"], "or the number of faults that may be unrestorable"),
        (["reconfigure-front", "loss"], "unrestorable"),
        (["reconfigure-front", "unrestorable", "--points", "4"], "leave points out"),
    ],
)
def test_what_makes_no_sense_is_refused(command: Command, arguments: list[str], said: str) -> None:
    name, *options = arguments
    done = command(name, "civanlar16", *options)
    assert done.code == 2
    assert said in done.err
