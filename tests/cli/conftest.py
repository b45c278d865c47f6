"""Run the command in this process, on tiny grids of our own."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import openpoint
from openpoint import Grid
from openpoint.cli import display, main
from openpoint.twostage import interrupt
from tests.cli.desk import Command, Done, tables


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Command]:
    """A function that runs `openpoint` with the given arguments in an empty folder."""
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setattr(interrupt, "_of_command", False)
    monkeypatch.setattr(interrupt, "_early", None)
    monkeypatch.setattr(display, "SILENCE_S", 3600.0)  # a busy machine must not add lines
    monkeypatch.delenv("OPENPOINT_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["openpoint", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        code = left.value.code
        return Done(code if isinstance(code, int) else 0, captured.out, captured.err)

    yield run
    for each, handler in handlers.items():
        signal.signal(each, handler)


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    """The ring of `tables` as a folder."""
    folder = tmp_path / "ring"
    openpoint.write(Grid.from_tables("ring", tables()), folder)
    return folder
