"""The server: where it listens, who may come in, and what it prints."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from openpoint.errors import OptionError, pip_command
from openpoint.web.desk import Desk
from openpoint.web.guard import Application, Guard
from openpoint.web.runs import Limits

SHORTEST_TOKEN = 16
_GRACE_S = 2
"""Seconds that answers which go on, as to who follows a run, are waited for at the end."""


@dataclass(frozen=True)
class Settings:
    """How the server runs.

    Attributes:
        host, port: where it listens. token: who has it comes in. folder: where grids and runs are kept.
        limits: of runs and uploads. api_only: whether there are no pages.
    """

    host: str
    port: int
    token: str
    folder: Path
    limits: Limits
    api_only: bool = False


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def token_for(host: str, given: str) -> str:
    """The token: the given one; for this machine alone a new one.

    Raises:
        OptionError: another host and no token, or one that is short.
    """
    if given and len(given) < SHORTEST_TOKEN:
        raise OptionError(f"the token has {len(given)} characters; give {SHORTEST_TOKEN} or more")
    if not given and not is_loopback(host):
        raise OptionError(
            f"--host {host} is reached from other machines: who comes in starts runs here and reads all grids and "
            "answers of the folder, and what is sent is not encrypted. Give a --token that you hand to those who may, "
            "and put a proxy with TLS before it"
        )
    return given or secrets.token_urlsafe(24)


def application(desk: Desk, settings: Settings) -> Application:
    """The application with REST, and with pages unless only that is asked for, behind the door."""
    from openpoint.web.rest import application as rest

    app = rest(desk)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(served: Any) -> AsyncIterator[Any]:
        with desk.runs:
            async with inner(served) as state:
                yield state

    app.router.lifespan_context = lifespan
    if not settings.api_only:
        from openpoint.web.pages import add_pages

        add_pages(app, desk)
    return Guard(app, settings.token, settings.port, settings.limits.upload_mb)


def serve(settings: Settings, grids: Sequence[str], say: Callable[[str], object]) -> None:
    """Serve until Ctrl-C.

    Args:
        settings: how. grids: files, folders or names of built-in grids that are opened at once. say: prints a line.

    Raises:
        OptionError: a grid that is not there, a port that is taken, or a folder that another server has.
    """
    os.environ.setdefault("NICEGUI_STORAGE_PATH", str(settings.folder / "pages"))  # else where we are
    import uvicorn

    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _alone(settings.folder)
    try:
        desk = Desk(settings.folder, settings.limits)
        opened = [desk.grids.named(each) for each in grids]
        listening = _listening(settings.host, settings.port)
        port = listening.getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        path = f"/grids/{opened[-1].identity}" if opened and not settings.api_only else "/"
        say(f"http://{host}:{port}{path}?token={settings.token}")
        say(f"kept in {settings.folder}; Ctrl-C ends the server, and its runs with their best answers")
        served = application(desk, Settings(**{**vars(settings), "port": port}))
        config = uvicorn.Config(
            served,
            log_level="error",
            access_log=False,
            lifespan="on",
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        logging.getLogger("uvicorn.error").addFilter(_is_no_end)
        with suppress(KeyboardInterrupt):  # Ctrl-C, raised again once all has ended
            asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))
    finally:
        os.close(lock)


def serve_agents(folder: Path, limits: Limits, grids: Sequence[str]) -> None:
    """Serve one agent on standard input and output until it goes.

    Raises:
        OptionError: a grid that is not there, a folder that another server has, or the package is not installed.
    """
    if find_spec("mcp") is None:
        raise OptionError(f"--mcp needs the package 'mcp': {pip_command('mcp')}")
    from openpoint.web.agents import Agents

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _alone(folder)
    try:
        desk = Desk(folder, limits)
        with desk.runs:
            Agents(desk, grids).server().run("stdio")
    finally:
        os.close(lock)


def _is_no_end(record: logging.LogRecord) -> bool:
    """Whether a line is about something else than answers cut off by the end of the server, or of who asked."""
    error = record.exc_info[1] if record.exc_info is not None else None
    cut = isinstance(error, asyncio.CancelledError) or str(error) == "No response returned."  # as Starlette says it
    return not cut and "timeout graceful shutdown" not in record.getMessage()


def _alone(folder: Path) -> int:
    """A lock on the folder, so that no two servers start the runs that wait in it.

    Raises:
        OptionError: another server has it.
    """
    import fcntl

    file = os.open(folder / "server", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise OptionError(f"{folder} is kept by another openpoint serve; end it, or give another --folder") from None
    return file


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        OptionError: it cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else asyncio leaves Nagle's delay on
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(128)  # who comes before all is imported waits
    except OSError as error:
        made.close()
        raise OptionError(f"cannot listen at {host}, port {port}: {error.strerror or error}; give another") from None
    return made
