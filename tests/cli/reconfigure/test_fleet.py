"""Many grids from the command line: where the results go, what is told, and how it ends."""

import errno
import json
import os
from pathlib import Path

import pytest

from tests.cli.desk import Command


def test_a_fleet_is_solved_told_and_kept(command: Command, ring: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.m").write_text("nothing")
    done = command("reconfigure-fleet", ring, "bad.m", "--out", "results")
    assert done.code == 2
    assert "2 grids, workers: 1" in done.out
    assert "1/2  ring: " in done.out
    assert "2/2  bad: bad.m: the file holds no MATPOWER case" in done.out
    assert "2 grids (1 solved, 1 failed), 1 proven" in done.out
    assert "All grids: results/index.html" in done.out
    (tmp_path / "bad.m").unlink()
    again = command("reconfigure-fleet", ring, "--out", "results", "--json", "-")
    assert again.code == 0
    assert json.loads(again.out)["kept"] == 1
    assert "kept of an earlier run" in again.err


def test_a_full_disk_ends_the_run_with_74(command: Command, ring: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    done = command("reconfigure-fleet", ring, "--out", "results", "--no-reports")
    assert done.code == 74
    assert "No space left on device. 0 of 1 grids are finished and kept; make room" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["baran33", "das70"], "name by out the folder"),
        (["baran33", "--out", "r.json"], "--out r.json: it writes a folder, not one .json file"),
        (["no.m", "none/*.m", "--out", "r"], "none/*.m: there is no grid of this name"),
    ],
)
def test_what_does_not_go_together_is_refused(command: Command, arguments: list[str], said: str) -> None:
    done = command("reconfigure-fleet", *arguments)
    assert done.code == 2
    assert said in done.err
