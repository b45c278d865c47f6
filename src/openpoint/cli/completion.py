"""Completion in a shell: commands and options by Typer, grids by what is here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ASKED = ("--install-completion", "--show-completion")
ASKING = "_OPENPOINT_COMPLETE"
"""The variable by which the script of a shell asks for completions."""
SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
# The variable by which Typer reads the shell from the command line; it else takes the one that the command runs in,
# and ignores what is named.
_NAMED = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"
_ENDINGS = (".m", ".dss", ".json", ".pos")


def wanted() -> bool:
    """Whether this run is about completion, which costs each start half as much again; a shell may be named."""
    asked = any(option in sys.argv[1:2] for option in ASKED)
    if asked and sys.argv[2:3] and sys.argv[2] in SHELLS:
        os.environ[_NAMED] = "1"
    return ASKING in os.environ or asked


def complete_grids(incomplete: str) -> list[str]:
    """The built-in grids, files that may be grids, and folders, which begin as is written."""
    from openpoint.grid import files

    names = [name for name in files.names() if name.startswith(incomplete)]
    return [*names, *_files(incomplete)]


def _files(incomplete: str) -> list[str]:
    written = Path(incomplete)
    folder, start = (written, "") if not incomplete or incomplete.endswith(os.sep) else (written.parent, written.name)
    head = incomplete[: len(incomplete) - len(start)]
    found = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []
    for entry in entries:
        if not entry.name.startswith(start) or (entry.name.startswith(".") and not start):
            continue
        if entry.is_dir():
            found.append(f"{head}{entry.name}{os.sep}")
        elif entry.name.lower().endswith(_ENDINGS):
            found.append(head + entry.name)
    return found
