"""Whether the tests leave the working tree as it was: they write into the folders that pytest gives them."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
PASSED_OVER = {".git", ".venv", "out", "__pycache__"}
"""Folders that tools write to: git, make, and Python and numba, which keep compiled code."""


def paths(root: Path = ROOT) -> set[str]:
    """Files and folders below, but for those that tools write to; caches of tools begin with a dot.

    Not what is in the files: somebody may be at work on them while the tests run.
    """
    found: set[str] = set()
    for here, folders, files in os.walk(root):
        folders[:] = [
            name for name in folders if name not in PASSED_OVER and not (name[0] == "." and Path(here) == root)
        ]
        found |= {os.path.relpath(os.path.join(here, name), root) for name in (*folders, *files)}
    return found


def difference(before: set[str], after: set[str]) -> list[str]:
    """A line for each path that came or went; of a new folder only the folder."""
    new = [path for path in after - before if os.path.dirname(path) not in after - before]
    gone = [path for path in before - after if os.path.dirname(path) not in before - after]
    return [f"left behind: {path}" for path in sorted(new)] + [f"removed: {path}" for path in sorted(gone)]
