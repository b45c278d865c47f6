"""Grids and studies for agents: a server of the Model Context Protocol, with the limits of the pages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any

from openpoint.errors import OpenpointError
from openpoint.version import __version__
from openpoint.web.desk import Desk, result_of
from openpoint.web.grids import OpenGrid
from openpoint.web.request import options, study_of
from openpoint.web.runs import Run

_POLL_S = 0.2
_MOST = 4000
"""Letters of a value of a result that an agent is told."""
_STUDY = "reconfigure"


class Agents:
    """What an agent may do: with grids that who started the server named, and built-in ones, and no other files."""

    def __init__(self, desk: Desk, grids: Sequence[str]) -> None:
        self.desk = desk
        self.named = {name: desk.grids.named(name) for name in grids}

    def server(self) -> Any:
        """The server with its tools."""
        from mcp.server.mcpserver import MCPServer

        told = "\n".join(f"- {name}: {told.sentence}" for name, told, _ in options(study_of(_STUDY)))
        server = MCPServer(
            "openpoint",
            version=__version__,
            instructions="Open points of distribution grids, with proofs. "
            f"Grids are called by name: {', '.join(self.named) or 'none of a file is open'}, or a built-in one.",
        )
        asks = f"{study_of(_STUDY).sentence} Waits for the answer. Options:\n{told}"
        for tool in (self.check, self.reconfigure, self.explain, self.verify):
            server.tool(description=asks if tool == self.reconfigure else tool.__doc__)(_telling(tool))
        return server

    async def check(self, grid: str) -> dict[str, Any]:
        """Check a grid: its faults and doubts in words, its facts, and whether studies take it."""
        look = await self.desk.look(self._grid(grid))
        return {"sound": look.sound, "size": look.size, "problems": look.problems, "facts": dict(look.facts)}

    async def reconfigure(self, grid: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask for the open points; the run that is told is what `explain` and `verify` take."""
        given = {"certificate": "proof.cert", **(options or {})}
        return await self._ended(await self.desk.ask(_STUDY, self._grid(grid).identity, given))

    async def explain(self, run: str) -> str:
        """Tell a run in words: what it printed, how it ended, and the command and line of Python that do the same."""
        known = self.desk.runs.get(run)
        return "\n".join([*known.log(), "", known.words, known.shown, known.python])

    async def verify(self, run: str) -> dict[str, Any]:
        """Check the certificate of a run by arithmetic of its own, and tell what it proves."""
        return await self._ended(self.desk.verify(self.desk.runs.get(run)))

    async def _ended(self, run: Run) -> dict[str, Any]:
        """Wait for the end of a run: its figures. Where nobody waits any more it is stopped."""
        try:
            while run.state != "ended":
                await asyncio.sleep(_POLL_S)
                run = self.desk.runs.get(run.identity)
        except asyncio.CancelledError:
            self.desk.runs.stop(run.identity)
            raise
        found = await asyncio.to_thread(result_of, run) or {}
        brief = {key: value for key, value in found.items() if len(json.dumps(value)) <= _MOST}
        return {"run": run.identity, "ended": run.words, **brief, "left_out": sorted(set(found) - set(brief))}

    def _grid(self, name: str) -> OpenGrid:
        found = self.named.get(name) or next((each for each in self.named.values() if each.name == name), None)
        return found or self.desk.grids.built_in(name)


def _telling(tool: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """A tool whose refusals are told in their words."""
    from mcp.server.mcpserver.exceptions import ToolError

    @wraps(tool)
    async def told(**given: Any) -> Any:
        try:
            return await tool(**given)
        except OpenpointError as error:
            raise ToolError(str(error)) from None

    return told
