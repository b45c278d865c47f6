"""The OpenDSS engine in a separate process.

Some statements crash the engine and its process; others never end. In both cases a fault is reported with the last
statement that was begun. One process is kept for all reading: it starts each circuit from an empty engine, ends with
the parent process, and is replaced if it has ended. Statements are sent and plain values are returned, as JSON.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

from openpoint.atomic import write_files
from openpoint.errors import InputError, Problem
from openpoint.io.opendss.engine import require_engine
from openpoint.io.opendss.statement import Statement
from openpoint.io.opendss.text import Script
from openpoint.io.text import fault

SILENCE_S = 300.0
"""Seconds without a new step after which a process counts as hung: the limit for a single statement."""

_CHECK_S = 0.5
_MOST_OF_A_STATEMENT = 120
# The package `openpoint.io` itself would import every format, with the libraries of tables.
_START = """
import json, sys, types
sys.path[:], room, folder = json.loads(sys.stdin.buffer.readline())
package = types.ModuleType("openpoint.io")
package.__path__ = [room]
sys.modules["openpoint.io"] = package
from openpoint.io.opendss.child import serve
serve(folder)
"""
_lock = threading.Lock()


class _Ended(Exception):
    """The process ended before it answered.

    Attributes:
        begun: the last step that was begun: the number of a statement, or a text. how: text that says how it ended.
        hung: whether it was ended because it hung. faults: those found before.
    """

    def __init__(self, begun: int | str | None, how: str, *, hung: bool, faults: list[Problem]) -> None:
        super().__init__(how)
        self.begun, self.how, self.hung, self.faults = begun, how, hung, faults


class _Process:
    """A process with an engine.

    Attributes:
        owner: who started it (a fork has to start its own). answers: so far. folder: the only folder that it reads,
            where it is started, empty but for the files of numbers of the present circuit.
        confined: whether the system keeps it from touching other files (`openpoint.io.opendss.child`).
    """

    def __init__(self) -> None:
        self.owner, self.answers, self.confined = os.getpid(), 0, False
        self.folder = tempfile.mkdtemp(prefix="openpoint-")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )
        self._send([_absolute_paths(), os.path.dirname(os.path.dirname(os.path.abspath(__file__))), self.folder])

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request.

        Raises:
            _Ended: the process ended, or was ended because it reported no step for too long.
        """
        begun: int | str | None = None
        faults: list[Problem] = []
        watch = _Watch(self._process)
        try:
            self._send(request)
            while line := cast(IO[bytes], self._process.stdout).readline():
                watch.begin_step()
                answer = int(line) if line[:1].isdigit() else json.loads(line.decode())
                if isinstance(answer, dict) and "confined" in answer:
                    self.confined = answer["confined"]
                elif isinstance(answer, dict):
                    self.answers += 1
                    return answer
                elif isinstance(answer, list):
                    faults.append(Problem(*answer))
                else:
                    begun = answer
        finally:
            watch.stop()
        code = self._process.wait()
        raise _Ended(begun, "" if watch.hung else _in_words(code), hung=watch.hung, faults=faults)

    def end(self) -> None:
        """End the process without waiting for its answer."""
        if self.owner == os.getpid():
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    cast(IO[bytes], pipe).close()
            self._process.wait()
            with contextlib.suppress(OSError):
                os.rmdir(self.folder)

    @contextlib.contextmanager
    def lent(self, data: Mapping[str, str]) -> Iterator[None]:
        """Put files of numbers into the folder of the process for a while."""
        paths = [Path(self.folder, name) for name in data]
        try:
            write_files({path: text.encode() for path, text in zip(paths, data.values(), strict=True)})
            yield
        finally:
            for path in paths:
                path.unlink(missing_ok=True)

    def _send(self, value: Any) -> None:
        pipe = cast(IO[bytes], self._process.stdin)
        with contextlib.suppress(OSError):  # if it has ended, waiting for the answer detects it
            pipe.write(json.dumps(value).encode() + b"\n")
            pipe.flush()


class _Watch:
    """Ends a process that reports no step for too long."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.hung = False
        self._process, self._last_step, self._done = process, time.monotonic(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def begin_step(self) -> None:
        self._last_step = time.monotonic()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(min(_CHECK_S, SILENCE_S)):
            if time.monotonic() - self._last_step > SILENCE_S:
                self.hung = True
                self._process.kill()
                return


_kept: list[_Process] = []


def run_script(task: str, file: str, script: Script, **more: Any) -> dict[str, Any]:
    """The answer of the engine to a task about a script.

    Args:
        task: name of the task, see `openpoint.io.opendss.child`. file: name of the main file, for messages.
        more: further arguments of the task, plain values.

    Raises:
        InputError: refused statements and errors of the engine, or the statement at which it crashes or hangs.
        MissingExtraError: the engine is not installed.
    """
    require_engine()
    if not script.faults:
        return _ask(task, file, script, more)
    try:
        _ask("check", file, script, {})
    except InputError as error:
        raise InputError([*script.faults, *error.problems]) from None
    raise InputError(script.faults)


def _ask(task: str, file: str, script: Script, more: dict[str, Any]) -> dict[str, Any]:
    statements = script.statements
    lines = [(str(s.file), s.line, s.verb, s.text * (s.verb == "solve"), s.command, s.element) for s in statements]
    request = {"task": task, "file": file, "statements": lines} | more
    with _lock:
        try:
            answer = _answer(request, script.data)
        except _Ended as ended:
            # After a refused statement the engine may crash; then only the refusal is reported.
            raise InputError(ended.faults or [_breakdown(file, statements, ended)]) from None
    if "error" in answer:
        raise RuntimeError(f"the process of the OpenDSS engine has failed:\n{answer['error']}")
    if answer["faults"]:
        raise InputError([Problem(*parts) for parts in answer["faults"]])
    return answer


def _answer(request: dict[str, Any], data: Mapping[str, str]) -> dict[str, Any]:
    while True:
        process = _process()
        was_used = process.answers > 0
        try:
            with process.lent(data):
                return process.ask(request)
        except BaseException as error:  # after an interrupt it is still working
            _kept.clear()
            process.end()
            # An earlier file may have damaged the engine, so the request is repeated with a new one.
            if not (isinstance(error, _Ended) and was_used and not error.hung):
                raise


def _process() -> _Process:
    if _kept and _kept[0].owner != os.getpid():
        _kept.clear()
    if not _kept:
        _kept.append(_Process())
    return _kept[0]


@atexit.register
def _end_kept() -> None:
    for process in _kept:
        process.end()
    _kept.clear()


def _absolute_paths() -> list[str]:
    """Where modules are found, for a process that is started in another folder."""
    return [os.path.abspath(path) for path in sys.path]


def _in_words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _breakdown(file: str, statements: Sequence[Statement], ended: _Ended) -> Problem:
    what = (
        f"OpenDSS hangs: it does not end within {SILENCE_S:g} s" if ended.hung else f"OpenDSS breaks down ({ended.how})"
    )
    if isinstance(ended.begun, int):
        statement = statements[ended.begun]
        text = statement.text
        shown = text if len(text) <= _MOST_OF_A_STATEMENT else f"{text[:_MOST_OF_A_STATEMENT]}…"
        remedy = "Correct this statement or one before it: OpenDSS does not survive its values"
        return fault(statement.file.name, statement.line, "", f"{what} at this statement: {shown}", remedy)
    at = f" at {ended.begun}" if ended.begun else ""
    return fault(file, None, "", f"{what}{at}", "Check that OpenDSS itself can solve the circuit")
