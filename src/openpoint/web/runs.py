"""Runs: each a command in a process of its own, with a folder, in a queue, and with all that is known of it on disk.

A run outlives the server: it writes into files alone, and holds a lock on one of them as long as it lives, by which a
server that was started again finds it. Stopping is what Ctrl-C is: the method ends with its best verified answer.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from openpoint.atomic import refusing, remove_folder, write_text
from openpoint.errors import OptionError, pip_command
from openpoint.options import EXIT_CODES, VERIFY_CODES
from openpoint.report.terminal.words import bounds_of
from openpoint.web.grids import IDENTITY, OpenGrid, new_identity
from openpoint.web.request import OUT, RESULT, VERIFY, Command

State = Literal["queued", "running", "ended"]
KILLED = "ended by the system or by a second stop; nothing is kept of it"
MOST_LOG = 400_000
"""Bytes of the end of a log that are read."""
_TICK_S = 0.2
_GRACE_S = 10.0
"""Seconds in which runs write their best answer when the server ends; they may go on without it."""


@dataclass(frozen=True)
class Limits:
    """What runs may take: how many at once, how many wait, memory of each in MB, bytes of an upload in MB."""

    at_once: int = 1
    waiting: int = 20
    memory_mb: int = 4096
    upload_mb: int = 64


class BusyError(OptionError):
    """The queue is full."""


@dataclass(frozen=True)
class Run:
    """What is known of a run; it is replaced, never changed.

    Attributes:
        identity: name of its folder. study: that is asked, or `verify`. grid: identity, and its name. name: of that.
        request: options by name. arguments: after `openpoint`. shown, python: as a person types it.
        state: of the run. stopped: whether it was asked to stop. process: its number, 0 = not started.
        code: exit code, None = not ended, or not known; negative: the signal that ended it.
        begun, ended: seconds since 1970, 0 = not yet.
    """

    identity: str
    study: str
    grid: str
    name: str
    request: dict[str, Any]
    arguments: tuple[str, ...]
    shown: str
    python: str
    state: State = "queued"
    stopped: bool = False
    process: int = 0
    code: int | None = None
    begun: float = 0.0
    ended: float = 0.0
    folder: Path = field(default=Path(), compare=False)

    @property
    def outputs(self) -> dict[str, Path]:
        """The files of the result by name."""
        return {path.name: path for path in sorted((self.folder / OUT).glob("*")) if path.is_file()}

    @property
    def certificate(self) -> Path | None:
        """The certificate, where the run wrote one."""
        name = self.request.get("certificate")
        return self.outputs.get(name) if isinstance(name, str) else None

    @property
    def words(self) -> str:
        """How it stands or why it ended, in words."""
        if self.state == "queued":
            return "waits for its turn"
        if self.state == "running":
            return "stopping, to keep the best answer" if self.stopped else "runs"
        if self.code is None or self.code < 0:
            if RESULT in self.outputs:
                return "ended; its answer is kept"
            return "stopped before there was anything to keep" if self.code == -signal.SIGTERM else KILLED
        meanings = _meanings(VERIFY_CODES if self.study == VERIFY else EXIT_CODES)
        return meanings.get(self.code, f"ended with exit code {self.code}")

    def log(self) -> list[str]:
        """The lines that it printed, of a long log the last ones."""
        return [line for line, _ in self.printed(-MOST_LOG)]

    def printed(self, after: int) -> Iterator[tuple[str, int]]:
        """Whole lines of the log, each with the number of the byte after it; `after`: below 0 counts from the end."""
        try:
            with (self.folder / "log.txt").open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                at = file.seek(min(after, end) if after >= 0 else max(0, end + after))
                content = file.read(MOST_LOG)
        except OSError:
            return
        for line in content.splitlines(keepends=True):
            at += len(line)
            if line.endswith(b"\n") or self.state == "ended":
                yield line.decode("utf-8", errors="replace").rstrip("\r\n"), at

    def bounds(self) -> list[tuple[float, float | None, float | None]]:
        """Seconds, lower and upper bound, as printed."""
        return [found for line in self.log() if (found := bounds_of(line)) is not None]


@cache
def _meanings(codes: str) -> dict[int, str]:
    """The exit codes of the help in words."""
    lines = [line.strip().partition(" ") for line in codes.splitlines()]
    return {int(number): text.strip() for number, _, text in lines if number.isdecimal()}


class Runs:
    """All runs of a folder.

    Use as a context manager: within it a thread starts what waits and sees what has ended.
    """

    def __init__(self, folder: Path, limits: Limits, module: str = "openpoint") -> None:
        """The runs of a folder, where each has one of its own; those that are there are known again.

        `module`: that is run; tests have another.
        """
        self.folder, self.limits, self._module = folder, limits, module
        self._lock = threading.RLock()
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._turn, daemon=True, name="runs")
        self._runs: dict[str, Run] = {}
        for path in sorted(folder.glob("*/run.json"), key=lambda path: path.parent.stat().st_ctime_ns):
            with suppress(ValueError, TypeError):  # a file that is damaged is no run
                known = json.loads(path.read_text(encoding="utf-8"))
                known["arguments"] = tuple(known["arguments"])
                self._runs[path.parent.name] = Run(**known, folder=path.parent)

    def __enter__(self) -> Runs:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ask all runs to stop, and wait a little; one that does not end goes on without the server."""
        self._closed.set()
        self._thread.join()
        with self._lock:
            for run in self.all():
                if run.state == "running" and not run.stopped:
                    self.stop(run.identity)
            until = time.monotonic() + _GRACE_S
            while any(run.state == "running" for run in self._runs.values()) and time.monotonic() < until:
                time.sleep(_TICK_S)
                self._see()

    def all(self) -> list[Run]:
        """All runs, the last one first."""
        with self._lock:
            return list(reversed(self._runs.values()))

    def get(self, identity: str) -> Run:
        """The run of that identity.

        Raises:
            OptionError: there is none.
        """
        with self._lock:
            if not IDENTITY.fullmatch(identity) or identity not in self._runs:
                raise OptionError(f"there is no run {identity[:40]!r}")
            return self._runs[identity]

    def start(self, study: str, grid: OpenGrid, request: dict[str, Any], made: Command) -> Run:
        """Let a run wait for its turn.

        Raises:
            BusyError: too many wait already.
        """
        with self._lock:
            waiting = sum(run.state == "queued" for run in self._runs.values())
            if waiting >= self.limits.waiting:
                raise BusyError(f"{waiting} runs wait already; stop one of them, or try again later")
            identity = new_identity()
            folder = self.folder / identity
            (folder / OUT).mkdir(parents=True)
            run = Run(
                identity,
                study,
                grid.identity,
                grid.name,
                request,
                made.arguments,
                made.shown,
                made.python,
                folder=folder,
            )
            self._keep(run)
            return run

    def stop(self, identity: str) -> Run:
        """Ask a run to end with its best answer; the second time it is ended at once.

        Raises:
            OptionError: there is none of that identity.
        """
        with self._lock:
            run = self.get(identity)
            if run.state == "queued":
                self._keep(replace(run, state="ended", stopped=True, code=130, ended=time.time()))
            elif run.state == "running" and run.process and _lives(run.folder):
                with suppress(ProcessLookupError, PermissionError):
                    if run.stopped:
                        os.killpg(run.process, signal.SIGKILL)
                    else:
                        os.kill(run.process, signal.SIGTERM)
                self._keep(replace(run, stopped=True))
            return self._runs[identity]

    def forget(self, identity: str) -> None:
        """Remove a run that has ended, with all its files.

        Raises:
            OptionError: there is none, or it has not ended.
        """
        with self._lock, refusing():
            run = self.get(identity)
            if run.state != "ended":
                raise OptionError("this run has not ended; stop it first")
            remove_folder(run.folder)
            del self._runs[identity]

    def turn(self) -> None:
        """See which runs have ended, and start those whose turn it is."""
        with self._lock:
            self._see()
            running = sum(run.state == "running" for run in self._runs.values())
            for run in list(self._runs.values()):
                if run.state == "queued" and running < self.limits.at_once:
                    self._begin(run)
                    running += 1

    def _turn(self) -> None:
        while not self._closed.wait(_TICK_S):
            with suppress(OSError):  # a full disk or too many processes: it is tried again
                self.turn()

    def _see(self) -> None:
        for run in list(self._runs.values()):
            if run.state != "running":
                continue
            child = self._children.get(run.identity)
            code = child.poll() if child is not None else None
            if code is not None or (child is None and not _lives(run.folder)):
                self._children.pop(run.identity, None)
                self._keep(replace(run, state="ended", code=code, ended=time.time()))

    def _begin(self, run: Run) -> None:
        """Start the process of a run, in a group of its own: Ctrl-C of the server's terminal does not reach it."""
        log = os.open(run.folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        lock = _held(run.folder)
        try:
            child = spawn(run.arguments, run.folder, self.limits.memory_mb, log, module=self._module, keep=(lock,))
        finally:
            os.close(log)
            os.close(lock)
        self._children[run.identity] = child
        self._keep(replace(run, state="running", process=child.pid, begun=time.time()))

    def _keep(self, run: Run) -> None:
        """Take a run for what is known, here and on disk."""
        self._runs[run.identity] = run
        known: dict[str, Any] = asdict(run)
        del known["folder"]
        write_text(run.folder / "run.json", json.dumps(known, ensure_ascii=False))


def spawn(
    arguments: tuple[str, ...],
    folder: Path,
    memory_mb: int,
    output: int,
    *,
    module: str = "openpoint",
    keep: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start a command of openpoint in a process of its own, whose data may take so much memory.

    Nothing of the folder where it runs is imported: an uploaded file may be called like a module of Python. An entry of
    PYTHONPATH that is empty or relative would mean that folder.

    Args:
        arguments: of the command. folder: where it runs. memory_mb: limit. output: number of the open file that takes
            what it prints. module: of the command. keep: numbers of files that stay open.
    """
    roots = [os.path.abspath(part) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "MPLBACKEND": "agg", "PYTHONPATH": os.pathsep.join(roots)}
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        pass_fds=keep,
    )
    if sys.platform == "linux":
        import resource

        with suppress(OSError):  # it has ended already
            resource.prlimit(child.pid, resource.RLIMIT_DATA, (memory_mb << 20, memory_mb << 20))
            resource.prlimit(child.pid, resource.RLIMIT_CORE, (0, 0))
    return child


def _held(folder: Path) -> int:
    """A lock on a file of the folder, which who has the open file holds until its end, whatever ends it."""
    import fcntl

    file = os.open(folder / "alive", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def _lives(folder: Path) -> bool:
    """Whether the process of a run holds its lock."""
    try:
        os.close(_held(folder))
    except OSError:
        return True
    return False


def require_web() -> None:
    """Refuse where the extra is not installed, or the system has no locks and signals as runs need them.

    Raises:
        OptionError: saying what to do.
    """
    from importlib.util import find_spec

    if find_spec("nicegui") is None:
        raise OptionError(f"the server needs the package 'nicegui': {pip_command('web')}")
    if os.name != "posix":
        raise OptionError("the server runs on Linux and macOS; on Windows use it in WSL")
