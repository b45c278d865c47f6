"""Runs that are killed, stopped, or starved of disk, memory or workers at random moments: what is left of them.

    python -m benchmarks.interrupted --runs 300 --seed 1 --json out/interrupted.json

Each study runs once undisturbed; a copy of its folder, with the files that it wrote, is what a disturbed run finds.
After that every file must be whole (the old one or a new one), the bound of a new result at least as good as the last
one shown, a new certificate must be accepted by `openpoint.verify`, and a run that was asked to stop after it had shown
an answer must have written one that is as good. Processes are forked from one that has imported everything.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1"))
os.environ["PYTHONUNBUFFERED"] = "1"

FILES = "--json r.json --tables tables --tables r.xlsx --report r.html"
CASES = {
    "search": f"reconfigure zhang118 --gap 1e-9 --time-limit 3 {FILES} --certificate proof.gz --checkpoint open",
    "picture": "reconfigure baran33 --json r.json --tables t.parquet --report r.png",
    "own file": "reconfigure grid.xlsx --write grid.xlsx --force --json r.json",
    "own tables": "reconfigure grid --write grid --force --json r.json",
    "benders": "reconfigure baran33 --method benders --executor processes:2 --json r.json --time-limit 6",
    "futures": f"reconfigure-futures baran33 f.csv --method search --time-limit 4 {FILES} --certificate proof.gz",
    "year": "reconfigure-year civanlar16 synthetic-hours --json r.json --certificate proof.gz --time-limit 4",
    "front": "reconfigure-front civanlar16 unrestorable --json r.json --tables tables",
    "dispatch": "dispatch baran33-devices --time-limit 4 --json r.json --certificate proof.gz --out state --force",
    "day": "dispatch-day baran33 baran33-day --time-limit 2 --json r.json --tables r.xlsx",
    "partition": "partition ieee13-microgrids --uncertainty 0.1 --samples 50 --json r.json",
    "harden": "harden zhang13 --disasters storms:3 --max-lines 1 --json r.json --executor processes:2",
    "secure": f"secure baran33 --switchings 2 {FILES}",
    "plan": "plan baran33 7,9,14,32,37 --json r.json --checklist list.html",
    "fleet": "reconfigure-fleet civanlar16 zhang13 baran33 --out fleet --workers 2",
    "convert": "convert baran33 grid --force",
    "powerflow": f"powerflow zhang118 {FILES} --report r.svg",
    "draw": "futures civanlar16 --count 50 -o futures.csv --force",
}
"""Commands by what they are called here."""
WITH_WORKERS = ("benders", "harden", "fleet")
WAYS = ("kill", "int", "term", "hup", "size", "disk", "memory", "worker")
STOPS = {"int": signal.SIGINT, "term": signal.SIGTERM, "hup": signal.SIGHUP}
LOWER = ("energy_bound_mwh", "lower_bound_kw", "lower_bound", "lower_bound_usd")
UPPER = ("energy_mwh", "objective_kw", "objective", "objective_usd", "cost_usd")
SHOWN = 6e-4
"""By how much a figure that is shown may be rounded."""
PATIENCE_S = 150.0


@dataclass
class Ended:
    """How a disturbed run ended.

    Attributes:
        code: exit code, or the negative of a signal. faults: what should not be. notes: what is told of it.
    """

    case: str
    way: str
    detail: str
    code: int
    seconds: float
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no run after so many")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    _import_all()
    began, ended = time.perf_counter(), list[Ended]()
    with tempfile.TemporaryDirectory(prefix="interrupted-") as place:
        whole = {case: _undisturbed(case, Path(place) / case.replace(" ", "-")) for case in given.cases}
        draw = random.Random(given.seed)
        for number in range(given.runs):
            if time.perf_counter() - began > given.seconds:
                break
            case = given.cases[number % len(given.cases)]
            ways = [way for way in given.ways if way != "worker" or case in WITH_WORKERS]
            ended.append(_disturbed(case, draw.choice(ways), *whole[case], draw, Path(place) / f"run{number}"))
            if ended[-1].code in (0, 3, 4):  # the first run may have taken longer, as where the machine was busy
                whole[case] = whole[case][0], min(whole[case][1], ended[-1].seconds)
            _tell(number, ended[-1])
            if given.json:
                given.json.parent.mkdir(parents=True, exist_ok=True)
                given.json.write_text(json.dumps([vars(each) for each in ended], indent=1))
    for way in given.ways:
        codes = Counter(each.code for each in ended if each.way == way)
        print(f"{way:8} {sum(codes.values()):4} runs, exit codes {dict(sorted(codes.items()))}")
    faulty = [each for each in ended if each.faults]
    print(f"{len(ended)} runs, {len(faulty)} with faults")
    return bool(faulty)


def _import_all() -> None:
    """Everything that a command imports; nothing is computed, so that no thread is there that a fork would lose."""
    from openpoint.studies.catalog import STUDIES

    for study in STUDIES:
        for part in ("study", "report", "result"):
            if find_spec(place := f"{study.place}.{part}"):
                import_module(place)
    for name in ("cli.app", "cli.study", "cli.grid", "cli.display", "cli.verify", "search.topology", "results.export"):
        import_module(f"openpoint.{name}")
    for name in ("cvxpy", "highspy", "clarabel", "xlsxwriter", "matplotlib.figure"):
        import_module(name)


def _forked(folder: Path, work: Callable[[], int], limits: dict[int, int]) -> int:
    """Start work in a child that heads a process group of its own; its number."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, name in ((1, "out.log"), (2, "err.log")):
            log = os.open(folder.with_name(f"{folder.name}.{name}"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, number)
        for which, most in limits.items():
            resource.setrlimit(which, (most, most))
        code = work()
    finally:
        os._exit(code & 255)


def _command(line: str) -> Callable[[], int]:
    def work() -> int:
        from openpoint.cli import main as command

        sys.argv = ["openpoint", *line.split()]
        try:
            command()
        except SystemExit as left:
            return left.code if isinstance(left.code, int) else 0
        return 0

    return work


def _undisturbed(case: str, folder: Path) -> tuple[Path, float]:
    """The folder of a run with all its files, and its seconds."""
    folder.mkdir()
    ready = {
        "own file": "convert civanlar16 grid.xlsx",
        "own tables": "convert civanlar16 grid",
        "futures": "futures baran33 --count 6 -o f.csv",
    }.get(case)
    for line in (*([ready] if ready else []), CASES[case]):
        began = time.perf_counter()
        _, status = os.waitpid(_forked(folder, _command(line), {}), 0)
        if (code := os.waitstatus_to_exitcode(status)) not in (0, 3, 4):
            raise SystemExit(f"{line}: ended with {code}\n{_log(folder, 'out.log')}{_log(folder, 'err.log')}")
    return folder, time.perf_counter() - began


def _disturbed(case: str, way: str, whole: Path, usual_s: float, draw: random.Random, folder: Path) -> Ended:
    """Run it with a disturbance, and look at what is left."""
    limits: dict[int, int] = {}
    detail, moment = "", draw.uniform(0.0, 0.8 * usual_s)
    if way == "size":
        limits[resource.RLIMIT_FSIZE] = most = int(10 ** draw.uniform(1.0, 5.5))
        detail = f"files up to {most} bytes"
    elif way == "memory":
        now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        more = int(10 ** draw.uniform(6.5, 9.0))
        limits[resource.RLIMIT_AS] = now + more
        detail = f"{more / 1e6:.0f} MB"
    folder.mkdir()
    mounted = way == "disk" and _mount(folder, whole, share := draw.uniform(1.0, 2.2))
    if way == "disk":
        detail = f"a disk of {share:.2f} times the files" if mounted else "no disk could be mounted"
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    before = _contents(folder)
    began = time.perf_counter()
    child = _forked(folder, _command(CASES[case]), limits)
    if way in STOPS or way in ("kill", "worker"):
        detail = f"after {moment:.2f} of {usual_s:.2f} s"
        if _waited(child, moment) is None:
            _strike(child, way)
    code = _waited(child, PATIENCE_S)
    seconds = time.perf_counter() - began
    ended = Ended(case, way, detail, 0 if code is None else code, seconds)
    if code is None:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        ended.faults.append(f"did not end within {PATIENCE_S:.0f} s")
    _look(ended, folder, before)
    if mounted:
        subprocess.run(["umount", "-l", folder], check=False)
    if ended.faults:
        ended.notes += [_log(folder, "out.log")[-1500:], _log(folder, "err.log")[-1500:]]
    shutil.rmtree(folder, ignore_errors=True)
    return ended


_ended: dict[int, int] = {}


def _waited(child: int, seconds: float) -> int | None:
    """The exit code of a child, waited for so long."""
    until = time.perf_counter() + seconds
    while child not in _ended:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            _ended[child] = os.waitstatus_to_exitcode(status)
        elif time.perf_counter() > until:
            return None
        else:
            time.sleep(0.005)
    return _ended[child]


def _strike(child: int, way: str) -> None:
    if way in STOPS:
        os.kill(child, STOPS[way])
    elif way == "kill":
        os.killpg(child, signal.SIGKILL)
    else:
        workers = subprocess.run(["pgrep", "-P", str(child)], capture_output=True, text=True).stdout.split()
        for worker in workers[-1:]:
            os.kill(int(worker), signal.SIGKILL)


def _mount(folder: Path, whole: Path, share: float) -> bool:
    """A small disk at the folder, where the rights suffice."""
    need = sum(path.stat().st_size + 4096 for path in whole.rglob("*") if path.is_file())
    size = int(share * need / 1024) + 8
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", folder], capture_output=True)
    return done.returncode == 0


def _contents(folder: Path) -> dict[str, tuple[int, str]]:
    """Inode and digest of every file."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {str(path.relative_to(folder)): (path.stat().st_ino, digests[path]) for path in files}


def _look(ended: Ended, folder: Path, before: dict[str, tuple[int, str]]) -> None:
    """Compare what is left with what must be."""
    after = _contents(folder)
    killed = ended.code < 0
    beside = {name for name in after if name.endswith((".part", ".earlier")) or name == "open"}
    for name in sorted(set(before) - set(after)):
        done = ended.code == 0 and (name == "open" or name.endswith((".part", ".earlier")))
        if not (done or name.endswith("record.json") or f"{name}.earlier" in after):
            ended.faults.append(f"{name} is gone")
    for name, (inode, digest) in after.items():
        if name.startswith(".openpoint") or "/.openpoint" in name:
            (ended.notes if killed else ended.faults).append(f"{name} is left")
        elif name not in beside and before.get(name) != (inode, digest) and (why := _spoiled(folder / name)):
            ended.faults.append(f"{name} is not whole: {why}")
    shown = _shown(_log(folder, "out.log"))
    new = "r.json" in after and after["r.json"][0] != before.get("r.json", (0, ""))[0]
    if new and not ended.faults:
        _compare(ended, json.loads((folder / "r.json").read_text(encoding="utf-8")), shown)
    if ended.way in STOPS and shown and shown[1] < float("inf") and not new and "r.json" in before:
        ended.faults.append(f"an answer of {shown[1]} was shown, and none written")
    if ended.way == "memory" and shown and shown[1] < float("inf") and not new and "r.json" in before:
        ended.notes.append("an answer was shown, and lost without memory")
    allowed = {0, 2, 3, 4, 74, 130} if ended.way in STOPS or ended.way in ("size", "disk", "worker") else None
    before_any = killed and not shown and ended.way in STOPS
    if allowed and ended.code not in allowed and not before_any:
        ended.faults.append(f"exit code {ended.code}")
    if "Traceback" in _log(folder, "err.log") and not before_any:
        ended.faults.append("a traceback")
    for proof in ("proof.gz", *(("proof.gz.earlier",) if "proof.gz" not in after else ())):
        if proof in after and not ended.faults and (proof not in before or after[proof] != before[proof]):
            grid = CASES[ended.case].split()[1]
            tables = {"year": "--year synthetic-hours", "futures": "--futures f.csv"}.get(ended.case, "")
            line = f"verify {grid} {proof} {tables} -q"
            _, status = os.waitpid(_forked(folder, _command(line), {}), 0)
            if os.waitstatus_to_exitcode(status) != 0:
                ended.faults.append(f"{proof} is refused: {_log(folder, 'err.log')}")


def _compare(ended: Ended, document: dict[str, Any], shown: tuple[float, float] | None) -> None:
    """Bound and answer of a new result with the last that were shown."""
    if shown is None or ended.case == "front":
        return
    lower = next((document[key] for key in LOWER if document.get(key) is not None), None)
    upper = next((document[key] for key in UPPER if document.get(key) is not None), None)
    if shown[0] > float("-inf") and (lower is None or lower < shown[0] - SHOWN - 1e-6 * abs(shown[0])):
        ended.faults.append(f"bound {lower}, and {shown[0]} was shown")
    if shown[1] < float("inf") and (upper is None or upper > shown[1] + SHOWN + 1e-6 * abs(shown[1])):
        ended.faults.append(f"answer {upper}, and {shown[1]} was shown")


def _shown(log: str) -> tuple[float, float] | None:
    """The greatest lower and the least upper bound in the lines of the progress; None where there are none."""
    lowers, uppers = [float("-inf")], [float("inf")]
    rows, inside = 0, False
    for line in log.splitlines():
        inside = bool(line.strip()) and (inside or ("lower" in line and "upper" in line))
        cells = line.split()
        if not inside or len(cells) < 5 or not cells[0].isdigit() or not line.startswith("   "):
            continue
        try:
            values = [float(cell.replace(",", "")) if cell != "-" else None for cell in cells[1:5]]
        except ValueError:
            continue
        rows += 1
        lowers += [values[1]] if values[1] is not None else []
        uppers += [values[2]] if values[2] is not None else []
    return (max(lowers), min(uppers)) if rows else None


def _spoiled(path: Path) -> str:
    """Why a file is not whole; empty where it is."""
    content = path.read_bytes()
    try:
        if path.suffix == ".json":
            json.loads(content)
        elif path.suffix == ".xlsx":
            return zipfile.ZipFile(path).testzip() or ""
        elif path.suffix == ".csv":
            rows = list(csv.reader(content.decode().splitlines()))
            return "" if content.endswith(b"\n") and len({len(row) for row in rows}) == 1 else "rows of unequal length"
        elif path.suffix == ".parquet":
            return "" if content[:4] == content[-4:] == b"PAR1" else "no end"
        elif path.suffix in (".html", ".svg"):
            return "" if content.rstrip().endswith((b"</html>", b"</svg>")) else "no end"
        elif path.suffix == ".png":
            return "" if b"IEND" in content[-12:] else "no end"
        elif path.suffix == ".md":
            return "" if content.endswith(b"|\n") else "no end"
    except (ValueError, zipfile.BadZipFile) as error:
        return str(error)
    return ""


def _log(folder: Path, name: str) -> str:
    path = folder.with_name(f"{folder.name}.{name}")
    return path.read_text(errors="replace") if path.exists() else ""


def _tell(number: int, ended: Ended) -> None:
    line = f"{number:4} {ended.case:15} {ended.way:7} {ended.detail:34} code {ended.code:4} {ended.seconds:6.1f} s"
    print("  ".join([line, *ended.faults, *(note for note in ended.notes if len(note) < 90)]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
