"""What a shell completes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from openpoint.cli.completion import complete_grids
from openpoint.grid import files


def test_grids_are_the_built_in_ones_and_what_may_be_one_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("bar.m", "bar.txt", "feeder.DSS", ".hidden.m"):
        Path(name).touch()
    Path("barn").mkdir()
    Path("barn/net.json").touch()
    assert complete_grids("bar") == [*(n for n in files.names() if n.startswith("bar")), "bar.m", f"barn{os.sep}"]
    assert complete_grids("barn/") == ["barn/net.json"]
    assert complete_grids("barn/ne") == ["barn/net.json"]
    assert complete_grids("") == [*files.names(), "bar.m", f"barn{os.sep}", "feeder.DSS"]
    assert complete_grids("none/there") == []


def complete(words: str) -> list[str]:
    """What bash is offered for the last of the words."""
    asked = {"_OPENPOINT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [sys.executable, "-m", "openpoint"], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    return done.stdout.split()


def test_the_shell_is_offered_commands_options_and_grids() -> None:
    assert complete("openpoint reconfigure mantovani") == ["mantovani136"]
    assert "--max-changes" in complete("openpoint reconfigure baran33 --max")


@pytest.mark.parametrize(
    ("shell", "said"),
    [
        ("bash", "complete -o default -F _openpoint_completion openpoint"),
        ("zsh", "compdef _openpoint_completion openpoint"),
        ("fish", "complete --command openpoint"),
    ],
)
def test_completion_is_shown_of_the_shell_that_is_named(shell: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "openpoint", "--show-completion", shell], capture_output=True, text=True, check=True
    )
    assert said in done.stdout
