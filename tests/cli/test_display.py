"""Notes beside figures, told where they are seen, once; and a run that is silent."""

import io
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from openpoint.cli import display
from openpoint.cli.display import Progress, show_notes


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


class Heard(io.StringIO):
    """A text that tells when something was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.event = threading.Event()

    def write(self, text: str) -> int:
        self.event.set()
        return super().write(text)


def test_a_run_that_says_nothing_tells_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "SILENCE_S", 0.0)
    page = Heard()
    with Progress(Console(file=page, width=200)):
        assert page.event.wait(60.0)
    assert page.getvalue().startswith("starting")
