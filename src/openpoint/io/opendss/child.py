"""The child process of `openpoint.io.opendss.process`: a loop that answers requests about scripts.

| task | answer, in addition to `faults` |
|---|---|
| check | nothing else |
| grid | name and tables of a grid, notes |
| shapes | rows of load shapes and of the elements that use them |

Every line is JSON: a number (the statement that begins), a text (another step that begins), a list (a fault, sent at
once in case the process ends before the answer), or the answer, an object.

What the child process of `openpoint.io.opendss.process` may not do any more once the engine is loaded.

The filter of `openpoint.io.opendss.statement` is the first line of defence, this is the second: the code of the engine,
or code that a circuit brought it to load, computes, reads one folder, and answers its parent.

| system | effect |
|---|---|
| Linux 5.13 and later (Landlock) | reads nothing but that folder; creates, changes and runs nothing; no TCP (6.7) |
| Linux, macOS | writes no byte into a file, starts no process, takes at most `MOST_MEMORY_BYTES`, leaves no core dump |
| Windows | nothing |

Source: Landlock's user space API, https://docs.kernel.org/userspace-api/landlock.html.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import struct
import sys
import threading
import time
import traceback
from dataclasses import astuple
from pathlib import Path
from typing import Any

from openpoint.errors import Problem
from openpoint.io.opendss.circuit import read_circuit, read_shape_rows
from openpoint.io.opendss.engine import borrow_engine, hand_back, missing_circuit, run_statements
from openpoint.io.opendss.statement import Statement

MOST_MEMORY_BYTES = 4 * 2**30

# Numbers of the system calls, which are the same on all architectures of Linux but Alpha.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
# Rights on files that each version of Landlock knows, as the number of bits: execute, write, read, make, remove, …
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_TCP_RIGHTS = 0b11
_SCOPES = 0b11  # abstract sockets, and signals to other processes
_NO_NEW_PRIVILEGES = 38


def confine(folder: str) -> bool:
    """Give up, for good, whatever a circuit does not need; reads stay possible in `folder` alone.

    Returns:
        Whether the system keeps files from being created and read, too (Landlock).
    """
    with contextlib.suppress(ImportError):
        _limit()
    return sys.platform == "linux" and _landlock(folder)


def _limit() -> None:
    import resource

    limits = {"RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NPROC": 0, "RLIMIT_AS": MOST_MEMORY_BYTES}
    for name, most in limits.items():
        if (which := getattr(resource, name, None)) is not None:
            with contextlib.suppress(OSError, ValueError):  # a system that does not have it, or less is left already
                resource.setrlimit(which, (most, most))


def _landlock(folder: str) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or version < 1:
        return False
    rights = (1 << _FILE_RIGHTS[min(version, 5)]) - 1
    handled = struct.pack("QQQ", rights, _TCP_RIGHTS if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(size), 0)
    if rules < 0:
        return False
    place = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        beneath = struct.pack("=Qi", _READ_FILE | _READ_FOLDER, place)
        if libc.syscall(_ADD_RULE, rules, _RULE_PATH_BENEATH, beneath, 0):
            return False
        return int(libc.syscall(_RESTRICT_SELF, rules, 0)) == 0
    finally:
        os.close(place)
        os.close(rules)


_PARENT_S = 2.0
_WARM_UP = (
    "new circuit.c basekv=1 bus1=a",
    "new transformer.t buses=[a b] kvs=[1 .4] kvas=[9 9]",
    "new line.l bus1=b bus2=c",
    "new load.d bus1=c kv=.4 kw=1",
    "new loadshape.s npts=1 mult=[1]",
    "set voltagebases=[1 .4]",
    "calcvoltagebases",
)


def serve(folder: str) -> None:
    """Answer requests until there are none; `folder` has the files of numbers that statements name."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles interrupts
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    out = os.dup(1)
    os.dup2(2, 1)  # output of the engine is not an answer
    sys.modules["pandas"] = None  # type: ignore[assignment]  # the engine's package would import it, and can do without

    encode = json.JSONEncoder(default=lambda number: number.item()).encode

    def tell(what: object) -> None:
        text = b"%d\n" % what if isinstance(what, int) else encode(what).encode() + b"\n"
        while text:
            text = text[os.write(out, text) :]

    _warm_up()
    tell({"confined": confine(folder)})
    for line in sys.stdin.buffer:
        try:
            answer = _answer(json.loads(line), tell)
        except Exception:
            answer = {"error": traceback.format_exc()}
        tell(answer)


def _end_with(parent: int) -> None:
    """End this process when its parent ends, so that a computation that never ends does not remain."""
    while os.getppid() == parent:
        time.sleep(_PARENT_S)
    os._exit(1)


def _warm_up() -> None:
    """Load whatever answers need, for nothing can be loaded later."""
    engine = borrow_engine()
    for text in _WARM_UP:
        engine.Text.Command(text)
    read_circuit(engine, "", {}, lambda step: None, solve=True)
    read_shape_rows(engine)
    hand_back(engine)


def _answer(request: dict[str, Any], tell: Any) -> dict[str, Any]:
    file, task = request["file"], request["task"]
    paths = {path: Path(path) for path in {path for path, *_ in request["statements"]}}
    statements = [Statement(paths[path], *parts) for path, *parts in request["statements"]]
    engine = borrow_engine()
    try:
        if faults := run_statements(engine, statements, tell) or (task != "check" and missing_circuit(engine, file)):
            return {"faults": _plain(faults)}
        if task == "grid":
            reading = read_circuit(engine, file, request["places"], tell, solve=request["solve"])
            found = {"name": engine.Circuit.Name(), "tables": reading.tables, "notes": _plain(reading.notes)}
            return found | {"faults": _plain(reading.faults)}
        return (read_shape_rows(engine) if task == "shapes" else {}) | {"faults": []}
    finally:
        hand_back(engine)


def _plain(problems: list[Problem]) -> list[Any]:
    return [astuple(problem) for problem in problems]
