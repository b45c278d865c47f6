"""The runs as HTTP, with OpenAPI: open a grid, check it, ask, follow, stop, and take the answer home.

Errors are told as `{"detail": …}`: 404 where something is not there, 422 where a request makes no sense, 429 where too
many runs wait.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import Body, FastAPI, File, Form, Header, Request, UploadFile
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, StreamingResponse

from openpoint.errors import OpenpointError, OptionError
from openpoint.report.terminal.words import bounds_of
from openpoint.studies.catalog import names, published, requested
from openpoint.version import __version__
from openpoint.web.desk import Desk, result_of
from openpoint.web.grids import OpenGrid
from openpoint.web.guard import REPORT_POLICY
from openpoint.web.picture import bounds_page
from openpoint.web.request import studies
from openpoint.web.runs import BusyError, Run

_POLL_S = 0.2


class MissingError(OptionError):
    """What is asked for is not there."""


def application(desk: Desk) -> FastAPI:
    """The application with its routes; `/api/openapi.json` describes them."""
    app = FastAPI(
        title="openpoint",
        version=__version__,
        description=(__doc__ or "").strip(),
        docs_url=None,  # these pages take their scripts from another host
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.add_exception_handler(OpenpointError, _refused)
    routes = Routes(desk)
    for method, path, function, status, more in routes.all():
        app.add_api_route(path, function, methods=[method], status_code=status, response_model=None, **more)
    return app


async def _refused(_: Request, error: Any) -> JSONResponse:
    status = 404 if isinstance(error, MissingError) else 429 if isinstance(error, BusyError) else 422
    return JSONResponse({"detail": str(error)}, status)


class Routes:
    """The functions behind the routes."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def all(self) -> list[tuple[str, str, Any, int, dict[str, Any]]]:
        """Method, path, function, status where all is well, and more for OpenAPI."""
        asked = {"oneOf": [requested(study.name) for study in studies()]}
        body = {
            "openapi_extra": {"requestBody": {"required": True, "content": {"application/json": {"schema": asked}}}}
        }
        return [
            ("GET", "/api/grids", self.grids, 200, {}),
            ("POST", "/api/grids", self.open, 201, {}),
            ("GET", "/api/grids/{identity}", self.grid, 200, {}),
            ("DELETE", "/api/grids/{identity}", self.forget_grid, 200, {}),
            ("POST", "/api/grids/{identity}/files", self.add, 201, {}),
            ("GET", "/api/grids/{identity}/{page}.html", self.grid_page, 200, {}),
            ("GET", "/api/runs", self.runs, 200, {}),
            ("POST", "/api/runs", self.start, 202, body),
            ("GET", "/api/runs/{identity}", self.run, 200, {}),
            ("DELETE", "/api/runs/{identity}", self.forget, 200, {}),
            ("GET", "/api/runs/{identity}/events", self.events, 200, {}),
            ("GET", "/api/runs/{identity}/bounds.html", self.bounds, 200, {"response_class": HTMLResponse}),
            ("GET", "/api/runs/{identity}/difference/{other}.html", self.difference, 200, {}),
            ("POST", "/api/runs/{identity}/stop", self.stop, 202, {}),
            ("POST", "/api/runs/{identity}/verify", self.verify, 202, {}),
            ("GET", "/api/runs/{identity}/result", self.result, 200, {}),
            ("GET", "/api/runs/{identity}/certificate", self.certificate, 200, {}),
            ("GET", "/api/runs/{identity}/files/{name}", self.file, 200, {}),
            ("GET", "/api/schemas", self.schemas, 200, {}),
            ("GET", "/api/schemas/{name}", self.schema, 200, {}),
            ("GET", "/api/schemas/{name}/request", self.request_schema, 200, {}),
        ]

    async def grids(self) -> list[dict[str, Any]]:
        """The grids that are open."""
        return [_told_grid(grid) for grid in self.desk.grids.all()]

    async def open(
        self,
        files: list[UploadFile] = File(default=[]),  # noqa: B008
        main: str = Form(""),
        case: str = Form(""),
    ) -> dict[str, Any]:
        """Open the grid in uploaded files (`main` names its own where they are several), or a built-in one (`case`)."""
        if case:
            return _told_grid(self.desk.grids.built_in(case))
        contents = await _contents(files)
        return _told_grid(await asyncio.to_thread(self.desk.grids.upload, contents, main))

    async def grid(self, identity: str) -> dict[str, Any]:
        """Check a grid: its faults and doubts, its facts, its branches."""
        grid = self._grid(identity)
        return {**_told_grid(grid), **asdict(await self.desk.look(grid))}

    async def forget_grid(self, identity: str) -> list[dict[str, Any]]:
        """Remove a grid with what was uploaded; answers about it stay. Told are the grids that are left."""
        await asyncio.to_thread(self.desk.forget, self._grid(identity))
        return await self.grids()

    async def add(self, identity: str, files: list[UploadFile] = File()) -> dict[str, Any]:  # noqa: B008
        """Add tables to a grid: futures, profiles, disasters, days. Options name them by their names."""
        grid = self._grid(identity)
        await asyncio.to_thread(self.desk.grids.add, grid, await _contents(files))
        return _told_grid(self._grid(identity))

    async def grid_page(self, identity: str, page: str) -> FileResponse:
        """Today's state as a page (`today`), or its picture alone (`canvas`)."""
        grid = self._grid(identity)
        await self.desk.look(grid)
        return _page(grid.folder / f"{page}.html" if page in ("today", "canvas") else None)

    async def runs(self) -> list[dict[str, Any]]:
        """All runs, the last one first."""
        return [_told(run) for run in self.desk.runs.all()]

    async def start(self, request: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008
        """Ask a study about a grid that is open (its identity) or built in (its name); the run waits for its turn."""
        given = dict(request)
        study, grid = given.pop("study", None), given.pop("grid", None)
        return _told(await self.desk.ask(study, str(grid), given))

    async def run(self, identity: str) -> dict[str, Any]:
        """How a run stands: its state, what it printed, its bounds, its files."""
        run = self._run(identity)
        return {**_told(run), "log": run.log(), "bounds": run.bounds()}

    async def forget(self, identity: str) -> list[dict[str, Any]]:
        """Remove a run that has ended, with all its files. Told are the runs that are left."""
        self._run(identity)
        await asyncio.to_thread(self.desk.runs.forget, identity)
        return await self.runs()

    async def events(self, identity: str, last_event_id: str = Header("")) -> StreamingResponse:
        """Follow a run: server-sent events `line` (what it prints), `bounds` and `state`, until it has ended."""
        self._run(identity)
        after = int(last_event_id) if last_event_id.isdecimal() else 0
        return StreamingResponse(self._followed(identity, after), media_type="text/event-stream")

    async def _followed(self, identity: str, after: int) -> AsyncIterator[str]:
        told = ""
        while True:
            run = self.desk.runs.get(identity)  # before its lines, so that the last ones are not missed
            lines = list(run.printed(after))
            for line, at in lines:
                yield _event("line", line, at)
                if (bounds := bounds_of(line)) is not None:
                    yield _event("bounds", bounds, at)
            after = lines[-1][1] if lines else after
            if lines and run.state == "ended":
                continue  # until all is told
            if run.words != told:
                told = run.words
                yield _event("state", _told(run), after)
            if run.state == "ended":
                return
            await asyncio.sleep(_POLL_S)

    async def bounds(self, identity: str) -> HTMLResponse:
        """The bounds of a run as a page."""
        page = await asyncio.to_thread(bounds_page, self._run(identity).bounds())
        return HTMLResponse(page, headers={"content-security-policy": REPORT_POLICY})

    async def difference(self, identity: str, other: str) -> FileResponse:
        """The answers of two runs about one grid as a page: what is open in one of them alone."""
        return _page(await self.desk.difference(self._run(other), self._run(identity)))

    async def stop(self, identity: str) -> dict[str, Any]:
        """Stop a run: it ends with its best answer. The second time it is ended at once, with nothing."""
        self._run(identity)
        return _told(self.desk.runs.stop(identity))

    async def verify(self, identity: str) -> dict[str, Any]:
        """Check the certificate of a run; what is started is a run, too."""
        return _told(self.desk.verify(self._run(identity)))

    async def result(self, identity: str) -> JSONResponse:
        """The result, as `openpoint schema` publishes it."""
        found = await asyncio.to_thread(result_of, self._run(identity))
        if found is None:
            raise MissingError("this run has no result")
        return JSONResponse(found)

    async def certificate(self, identity: str) -> FileResponse:
        """The certificate."""
        return _download(self._run(identity).certificate)

    async def file(self, identity: str, name: str, download: bool = False) -> FileResponse:
        """A file of the result; a page is shown unless it is to be downloaded."""
        path = self._run(identity).outputs.get(name)
        return _page(path) if name.endswith(".html") and not download else _download(path)

    async def schemas(self) -> list[str]:
        """The names of all JSON Schemas."""
        return list(names())

    async def schema(self, name: str) -> dict[str, Any]:
        """The JSON Schema of a result, or of tables that are read."""
        return published(name)

    async def request_schema(self, name: str) -> dict[str, Any]:
        """The JSON Schema of a request."""
        return requested(name)

    def _grid(self, identity: str) -> OpenGrid:
        try:
            return self.desk.grids.get(identity)
        except OptionError as error:
            raise MissingError(str(error)) from None

    def _run(self, identity: str) -> Run:
        try:
            return self.desk.runs.get(identity)
        except OptionError as error:
            raise MissingError(str(error)) from None


def _told_grid(grid: OpenGrid) -> dict[str, Any]:
    """What is told of a grid; never where it lies on this machine."""
    files = [name for name, path in grid.files.items() if path.is_file()]
    return {"grid": grid.identity, "name": grid.name, "files": files}


def _told(run: Run) -> dict[str, Any]:
    """What is told of a run."""
    known = ("study", "grid", "name", "request", "state", "stopped", "code", "begun", "ended", "words")
    told = {key: getattr(run, key) for key in known}
    return {"run": run.identity, **told, "command": run.shown, "python": run.python, "files": list(run.outputs)}


async def _contents(files: list[UploadFile]) -> dict[str, bytes]:
    """Uploaded files by their names.

    Raises:
        OptionError: two of one name.
    """
    contents = {file.filename or "": await file.read() for file in files}
    if len(contents) < len(files):
        raise OptionError("two of the files have one name; give each its own")
    return contents


def _page(path: Path | None) -> FileResponse:
    """A page of a result, which runs apart from the pages of the server."""
    if path is None or not path.is_file():
        raise MissingError("there is no such page")
    return FileResponse(path, media_type="text/html", headers={"content-security-policy": REPORT_POLICY})


def _download(path: Path | None) -> FileResponse:
    if path is None:
        raise MissingError("this run has no such file")
    return FileResponse(path, filename=path.name, media_type="application/octet-stream")


def _event(kind: str, data: object, number: int) -> str:
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
