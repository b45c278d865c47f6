"""What REST and the pages share: grids are opened and looked at, questions asked, proofs verified."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openpoint.atomic import refusing, remove_folder
from openpoint.errors import OptionError
from openpoint.web.difference import OPEN
from openpoint.web.grids import Grids, OpenGrid
from openpoint.web.look import LOOK, Look, kept_look
from openpoint.web.request import CLAIM, RESULT, VERIFY, command, study_of, verification
from openpoint.web.runs import Limits, Run, Runs, spawn

_LOOK_S = 300.0
"""Seconds that a look at a grid may take."""
_LOOKS = 2
"""Looks at once."""


class Desk:
    """The grids and runs of a folder."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self.grids = Grids(folder / "grids")
        self.runs = Runs(folder / "runs", limits)
        self._looks = asyncio.Semaphore(_LOOKS)

    async def look(self, grid: OpenGrid) -> Look:
        """What is in a grid; looked at once, in a process of its own."""
        if (found := self._known(grid)) is not None:
            return found
        async with self._looks:
            found = self._known(grid)  # another may have looked meanwhile
            return await asyncio.to_thread(self._look, grid) if found is None else found

    def _known(self, grid: OpenGrid) -> Look | None:
        """What was found of the grid as it is; None where nobody has looked, or its files have changed since."""
        found = kept_look(grid.folder)
        if found is None or not grid.is_own:
            return found
        source = Path(grid.source)
        files = [source, *(source.rglob("*") if source.is_dir() else ())]
        changed = max((path.stat().st_mtime_ns for path in files if path.exists()), default=0)
        return found if changed <= (grid.folder / LOOK).stat().st_mtime_ns else None

    def _look(self, grid: OpenGrid) -> Look:
        in_time = self._compute("openpoint.web.look", grid.folder, grid.source, str(grid.folder))
        if (found := kept_look(grid.folder)) is not None:
            return found
        said = (grid.folder / "openpoint.web.look.txt").read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line for line in reversed(said) if line.strip()), "it said nothing")
        why = f"it ended with: {last}" if in_time else f"that took more than {_LOOK_S:.0f} s"
        limits = f"`openpoint check` on the command line has no limit of time, nor of {self.limits.memory_mb} MB"
        return Look(sound=False, problems=(("error", f"the grid could not be looked at: {why}; {limits}"),))

    async def difference(self, first: Run, second: Run) -> Path | None:
        """The page of two answers about one grid, made at once in a process of its own; None where there is none."""
        page = second.folder / f"difference-{first.identity}.html"
        if not page.exists() and may_differ(first, second):
            results = [str(run.outputs[RESULT]) for run in (first, second)]
            source = self.grids.get(second.grid).source
            async with self._looks:
                where = "openpoint.web.difference", second.folder
                await asyncio.to_thread(self._compute, *where, source, str(page), *results)
        return page if page.exists() else None

    def _compute(self, module: str, folder: Path, *arguments: str) -> bool:
        """Run a module in a process of its own; False where it was ended since its time was up."""
        log = os.open(folder / f"{module}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            child = spawn(arguments, folder, self.limits.memory_mb, log, module=module)
        finally:
            os.close(log)
        try:
            child.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            return False
        return True

    async def ask(self, study: object, grid: str, given: Mapping[str, Any]) -> Run:
        """Start a run.

        Args:
            study: its name. grid: identity of one that is open, or the name of a built-in one. given: options by name.

        Raises:
            OptionError: with all that is wrong. BusyError: too many wait.
        """
        asked = study_of(study)
        opened = self.opened(grid)
        copies = (await self.look(opened)).copies if opened.is_own else False
        made = command(asked, opened, given, copies=copies)
        return self.runs.start(asked.name, opened, dict(given), made)

    def opened(self, grid: str) -> OpenGrid:
        """The grid of that identity, or the built-in one of that name.

        Raises:
            OptionError: there is none.
        """
        try:
            return self.grids.get(grid)
        except OptionError:
            return self.grids.built_in(grid)

    def forget(self, grid: OpenGrid) -> None:
        """Remove a grid with what was uploaded; answers about it stay.

        Raises:
            OptionError: a run about it has not ended.
        """
        if any(run.grid == grid.identity and run.state != "ended" for run in self.runs.all()):
            raise OptionError("a run about this grid has not ended; stop it first")
        with refusing():
            remove_folder(grid.folder)

    def verify(self, run: Run) -> Run:
        """Start a check of the certificate of a run, which tells what it proves.

        Raises:
            OptionError: it wrote none. BusyError: too many wait.
        """
        if run.certificate is None:
            raise OptionError("this run wrote no certificate; ask again with one")
        grid = self.grids.get(run.grid)
        made = verification(study_of(run.study), grid, run.request, run.certificate)
        return self.runs.start(VERIFY, grid, {"run": run.identity}, made)


def may_differ(first: Run, second: Run) -> bool:
    """Whether both are topologies of one grid."""
    return first.grid == second.grid and all(OPEN in (result_of(run) or {}) for run in (first, second))


def result_of(run: Run) -> dict[str, Any] | None:
    """The result of a run, or what a verification found; None where there is none."""
    path = run.outputs.get(CLAIM if run.study == VERIFY else RESULT)
    if path is None:
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
