"""Notes beside figures: told where they are seen, once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from rich.console import Console

from openpoint.cli.display import show_notes


@pytest.mark.parametrize("together", [True, False])
def test_a_note_is_told_once_where_output_and_errors_are_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    path = tmp_path / "all.txt"
    with path.open("w") as out, (path if together else tmp_path / "errors.txt").open("a") as err:
        monkeypatch.setattr(sys, "stderr", err)
        show_notes(Console(file=out), ["prices are high"])
    assert path.read_text().count("prices are high") == 1
    assert together or "prices are high" in (tmp_path / "errors.txt").read_text()
