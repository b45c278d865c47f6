"""Mutated input files of every format, and whether any ends in an internal error, takes too long or too much memory.

Grids go through `openpoint info` and `openpoint check`, tables through their readers. A worker, a process with at most
1 GB of address space above what it has when it begins, takes a few hundred files; its time is processor time.

python -m benchmarks.inputs_mutated --files 5000 --seed 1
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import resource
import select
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpoint
from openpoint.cli.app import run_app
from openpoint.errors import OpenpointError
from openpoint.studies.partition.bounds import read_priorities
from tests.builders.mutated import GRID, Files, mutated, sound

MEMORY, SECONDS, PATIENCE = 1 << 30, 20.0, 120.0
GRIDS = ("m", "json", "pos", "pgm", "dss", "xlsx", "csv", "parquet", "simbench", "cgmes", "zip", "vision")
READERS: dict[str, Callable[[Path], object]] = {
    "futures": lambda path: openpoint.read_futures(path, GRID),
    "futures parquet": lambda path: openpoint.read_futures(path, GRID),
    "disasters": lambda path: openpoint.read_disasters(path, "zhang13"),
    "disasters parquet": lambda path: openpoint.read_disasters(path, "zhang13"),
    "horizon": openpoint.read_horizon,
    "year": lambda path: openpoint.read_year(path, openpoint.read(GRID)),
    "day": openpoint.read_day,
    "priorities": read_priorities,
    "geojson": lambda path: openpoint.read(GRID, geojson=path),
    "options": lambda path: told(["reconfigure", "nowhere", "--config", str(path)]),
}


def told(line: list[str]) -> int:
    """The exit code of a command; what it says is checked.

    Raises:
        AssertionError: it ended in a way that is not documented.
    """
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run_app(line)
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 0
    said = err.getvalue()
    wrong = [word for word in ("Traceback", "internal error", "memory does not suffice") if word in said]
    if code not in (0, 2) or wrong:
        raise AssertionError(f"{' '.join(line)}: {code}, {said.strip()[-600:]}")
    return code


def read(kind: str, path: Path) -> str:
    """What becomes of an input: `read` or `refused`."""
    if kind in GRIDS:
        return "read" if told(["info", str(path)]) + told(["check", str(path)]) == 0 else "refused"
    try:
        READERS[kind](path)
    except OpenpointError:
        return "refused"
    return "read"


def put(files: Files, folder: Path) -> Path:
    """Write the files of an input into a new folder; the path to give, of the only file or of the folder."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder if len(files) != 1 or "grid.toml" in files else folder / next(iter(files))


def mutation_of(made: dict[str, Files], seed: int, number: int) -> tuple[str, Files]:
    """The format and the files of a number; one seed gives the same ones always."""
    kind = sorted(made)[number % len(made)]
    return kind, mutated(made[kind], random.Random(f"{seed} {number}"))


def work(first: int, last: int, seed: int, folder: Path) -> None:
    """Read the inputs of these numbers, and tell a line about each."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.chdir(folder)
    made = sound(Path(tempfile.mkdtemp(dir=folder)))
    for kind, files in made.items():
        path = put(files, folder / f"sound {kind} {first}")
        with contextlib.suppress(AssertionError):
            read(kind, path)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for number in range(first, last):
        kind, files = mutation_of(made, seed, number)
        path = put(files, folder / str(number))
        begun = time.process_time()
        channel.write(json.dumps({"number": number, "kind": kind}) + "\n")
        try:
            ending, why = read(kind, path), ""
        except BaseException as error:
            ending, why = "failed", "".join(traceback.format_exception(error)[-4:])[-1500:]
        channel.write(json.dumps({"ending": ending, "why": why, "seconds": time.process_time() - begun}) + "\n")


def campaign(count: int, seed: int, each: int, folder: Path) -> tuple[Counter[tuple[str, str]], list[str], float]:
    """How inputs of each format ended, what failed, and the longest processor time of one."""
    endings: Counter[tuple[str, str]] = Counter()
    failures: list[str] = []
    longest, number = 0.0, 0
    while number < count:
        line = [sys.executable, "-m", "benchmarks.inputs_mutated", "--worker", str(number)]
        line += ["--files", str(min(count, number + each)), "--seed", str(seed), "--folder", str(folder)]
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as worker:
            stop = f"{number}"
            at: dict[str, Any] = {}
            before = number
            while row := _next(worker):
                if "number" in row:
                    at = row
                    continue
                number = at["number"] + 1
                longest = max(longest, row["seconds"])
                ending = "slow" if row["seconds"] > SECONDS else row["ending"]
                endings[at["kind"], ending] += 1
                if ending not in ("read", "refused"):
                    failures.append(f"{at['number']} ({at['kind']}): {ending}, {row['seconds']:.1f} s, {row['why']}")
            worker.kill()
            stop = f"the worker ended with {worker.wait()}"
        if number < min(count, before + each):
            if not at:
                raise RuntimeError(f"no worker begins: {stop}")
            failures.append(f"{at['number']} ({at['kind']}): {stop}")
            endings[at["kind"], "lost"] += 1
            number = at["number"] + 1
        print(f"{number} of {count}, {len(failures)} failures", flush=True)
    return endings, failures, longest


def _next(worker: subprocess.Popen[str]) -> dict[str, Any] | None:
    """The next line of a worker, None where it ended or is silent for too long."""
    assert worker.stdout is not None
    if not select.select([worker.stdout], [], [], PATIENCE)[0]:
        return None
    line = worker.stdout.readline()
    found: dict[str, Any] | None = json.loads(line) if line.strip() else None
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=220, help="files a worker takes")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="where the files are kept")
    asked = parser.parse_args()
    if asked.worker is not None:
        work(asked.worker, asked.files, asked.seed, asked.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        endings, failures, longest = campaign(asked.files, asked.seed, asked.each, folder)
    for kind in sorted({kind for kind, _ in endings}):
        print(kind.ljust(20), {ending: number for (each, ending), number in sorted(endings.items()) if each == kind})
    print(f"{asked.files} files, {len(failures)} failures, the longest took {longest:.1f} s of processor time")
    print("\n".join(failures))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
