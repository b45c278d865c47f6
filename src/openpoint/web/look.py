"""A grid looked at, in a process of its own: its faults and doubts, its facts, and today's state as pages.

    python -m openpoint.web.look SOURCE FOLDER

reads the grid and writes `look.json`, and of a sound grid `today.html`, the report of its power flow, and
`canvas.html`, its picture alone. The server itself never reads a file of a user.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openpoint.atomic import write_files

LOOK, TODAY, CANVAS = "look.json", "today.html", "canvas.html"
MOST_PROBLEMS = 500
"""Lines of faults and doubts that are kept."""


@dataclass(frozen=True)
class Look:
    """What is known of a grid that was looked at.

    Attributes:
        sound: whether studies take it. title: what people call it. size: in a line.
        problems: severity and sentence of each kind of fault and doubt. facts: each with its name.
        branches: (name, closed today, may be switched).
        shortened: the name by what pictures call a branch, where that is of one alone.
        copies: whether its file can be copied with other states. today: why it has no power flow, else empty.
    """

    sound: bool
    title: str = ""
    size: str = ""
    problems: tuple[tuple[str, str], ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    branches: tuple[tuple[str, bool, bool], ...] = ()
    shortened: dict[str, str] | None = None
    copies: bool = False
    today: str = ""


def kept_look(folder: Path) -> Look | None:
    """What was found when the grid of a folder was looked at; None before that."""
    try:
        known: dict[str, Any] = json.loads((folder / LOOK).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Look(**known)


def look(source: str) -> tuple[Look, dict[str, str]]:
    """Look at a grid: what is found, and pages by their names."""
    from openpoint.errors import InputError, OpenpointError, Problem, grouped
    from openpoint.io import read
    from openpoint.report.layout.place import shortened
    from openpoint.report.terminal.facts import facts, size

    def told(problems: list[Problem]) -> tuple[tuple[str, str], ...]:
        return tuple((alike.severity, str(alike)) for alike in grouped(problems)[:MOST_PROBLEMS])

    try:
        grid = read(source)
    except InputError as error:
        return Look(sound=False, problems=told(list(error.problems))), {}
    except OpenpointError as error:  # such as a package that reads this format and is not installed
        return Look(sound=False, problems=(("error", str(error)),)), {}
    problems = grid.problems()
    sound = all(problem.severity != "error" for problem in problems)
    rows = grid.branches().select("name", "closed", "switchable").rows()
    why, pages = _pages(grid) if sound else ("", {})
    found = Look(
        sound=sound,
        title=grid.title or grid.name,
        size=size(grid) if sound else "",
        problems=told(problems),
        facts=tuple(facts(grid, sound=sound)),
        branches=tuple(rows),
        shortened=shortened(name for name, _, _ in rows),
        copies=_copies(source),
        today=why,
    )
    return found, pages


def _pages(grid: Any) -> tuple[str, dict[str, str]]:
    """The power flow of today as a page, and its picture alone; where there is none, the picture without figures."""
    from openpoint.errors import OpenpointError
    from openpoint.report.page.html import render
    from openpoint.report.page.picture import picture_of, picture_of_today
    from openpoint.studies.powerflow.report import page
    from openpoint.studies.powerflow.study import run_powerflow

    try:
        today = page(run_powerflow(grid))
    except OpenpointError as error:
        return str(error), {CANVAS: render(picture_of_today(grid))}
    return "", {TODAY: render(today), CANVAS: render(picture_of(today))}


def _copies(source: str) -> bool:
    """Whether a file of its own can be written with other states, without others beside it."""
    from openpoint.errors import OptionError
    from openpoint.io.write_back import refuse_other_format

    path = Path(source)
    if not path.is_file() or path.suffix.lower() == ".dss":
        return False
    try:
        refuse_other_format(path, path)
    except OptionError:
        return False
    return True


def main(source: str, folder: str) -> None:
    """Look at the grid, and write what is found."""
    found, pages = look(source)
    contents = {Path(folder) / name: text.encode() for name, text in pages.items()}
    text = json.dumps(vars(found), ensure_ascii=False)
    write_files({**contents, Path(folder) / LOOK: text.encode()})  # the last one says that the others are there


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(*sys.argv[1:])
