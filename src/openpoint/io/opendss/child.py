"""The child process of `openpoint.io.opendss.process`: a loop that answers requests about scripts.

| task | answer, in addition to `faults` |
|---|---|
| check | nothing else |
| grid | name and tables of a grid, notes |
| shapes | rows of load shapes and of the elements that use them |

Every line is JSON: a number (the statement that begins), a text (another step that begins), a list (a fault, sent at
once in case the process ends before the answer), or the answer, an object.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import astuple
from pathlib import Path
from typing import Any

from openpoint.errors import Problem
from openpoint.io.opendss.circuit import read_circuit
from openpoint.io.opendss.confine import confine
from openpoint.io.opendss.curves import read_shape_rows
from openpoint.io.opendss.engine import borrow_engine, hand_back, missing_circuit, run_statements
from openpoint.io.opendss.statement import Statement

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

    def tell(what: object) -> None:
        text = json.dumps(what, default=lambda number: number.item()).encode() + b"\n"
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
    statements = [Statement(Path(path), *parts) for path, *parts in request["statements"]]
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
