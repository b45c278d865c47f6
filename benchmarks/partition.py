"""Time to proven microgrids: levels of uncertainty, and ways to find the worst loads as more of them are uncertain.

    python -m benchmarks.partition                                     everything, some minutes
    python -m benchmarks.partition --from docs/partition.json --markdown docs/measurements.md
    python -m benchmarks.partition --json docs/partition.json --figure docs/images/partition.png
    python -m benchmarks.partition --quick                             six loads and few ways, a minute

*Levels*: the built-in microgrids at 0 to 25 %. *Loads*: IEEE 37 with generators × 1.5, with which all of it can be
energised, so that no violation ends a search early; the N largest loads are uncertain by 15 %, the worst ones found by
trying all vertices, by the mixed-integer dual of the violation, and by climbing with the affine certificate (the
default); a way ends after the first N that it does not prove within its time limit. One core; shown is processor time,
which other work on the machine changes little, but the limit is one of the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Before numpy is imported: one core for everybody, whatever the linear algebra underneath would take.
os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
)

import matplotlib
import polars as pl
from matplotlib.figure import Figure

import openpoint
from openpoint import ColumnAndConstraint
from openpoint.errors import OpenpointError
from openpoint.grid import Grid
from openpoint.report.canvas import RC, light
from openpoint.twostage.worst_case.worst import Separation

from . import tables, timing

LEVELS = (0.0, 0.1, 0.15, 0.25)
LOADS = (2, 4, 6, 8, 10, 12, 15, 20, 25, 30)
LEVEL = 0.15
"""Of the part `loads`."""
WAYS: dict[Separation, str] = {
    "vertices": "all vertices",
    "dual": "mixed-integer dual",
    "climb": "climbing, certificate",
}
PARTS = ("levels", "loads")


@dataclass(frozen=True)
class Question:
    """A grid, its generators by a factor, and how many loads are uncertain."""

    grid: str
    factor: float
    loads: int

    def built(self) -> Grid:
        """The grid asked about."""
        grid = openpoint.read(self.grid)
        larger = [pl.col(name) * self.factor for name in ("p_max_kw", "q_min_kvar", "q_max_kvar")]
        return grid.with_tables(generators=grid.generators.with_columns(larger))


QUESTIONS = (
    Question("ieee13-microgrids", 1.0, 15),
    Question("ieee37-microgrids", 1.0, 6),
    Question("ieee37-microgrids", 1.0, 30),
    Question("ieee37-microgrids", 1.5, 30),
    Question("ieee123-microgrids", 1.0, 20),
)


@dataclass(frozen=True)
class Run:
    """One partition.

    Attributes:
        part: levels or loads. factor: on the generators. level: of uncertainty. way: how the worst loads are found.
        seconds: of the method, compiling included. cpu_seconds: of all threads.
        iterations: plans proposed. gap, cost_usd, lower_bound_usd: what is proven; None where nothing is.
        blocks, served_kw, switches: energised, served, closed.
    """

    part: str
    grid: str
    factor: float
    loads: int
    level: float
    way: str
    termination: str
    seconds: float
    cpu_seconds: float
    iterations: int
    gap: float | None
    cost_usd: float | None
    lower_bound_usd: float | None
    blocks: int
    served_kw: float
    switches: int


def measure(parts: Sequence[str], *, quick: bool, time_limit_s: float, tell: Callable[[str], None]) -> dict[str, Any]:
    """All runs, as they go into the JSON file."""
    openpoint.partition(openpoint.read("ieee13-microgrids"))  # imports before any clock runs
    runs: list[Run] = []
    if "levels" in parts:
        for question in QUESTIONS[:2] if quick else QUESTIONS:
            for level in LEVELS:
                runs.append(_run("levels", question, level, "climb", 600.0))
                tell(f"{question.grid}, {question.loads} loads, {level:.0%}: {runs[-1].seconds:.1f} s")
    if "loads" in parts:
        for way in WAYS:
            for loads in LOADS[:3] if quick else LOADS:
                runs.append(_run("loads", Question("ieee37-microgrids", 1.5, loads), LEVEL, way, time_limit_s))
                tell(f"{way}, {loads} loads: {runs[-1].seconds:.1f} s, {runs[-1].termination}")
                if runs[-1].termination != "optimal":
                    break
    return {"machine": timing.machine(), "runs": [asdict(run) for run in runs]}


def _run(part: str, question: Question, level: float, way: Separation, time_limit_s: float) -> Run:
    began = time.process_time()
    result = openpoint.partition(
        question.built(),
        uncertainty=level,
        uncertain_loads=question.loads,
        method=ColumnAndConstraint(time_limit_s=time_limit_s, separation=way),
    )
    proven = result.gap < float("inf")
    return Run(
        part=part,
        grid=question.grid,
        factor=question.factor,
        loads=question.loads,
        level=level,
        way=way,
        termination=result.termination.value,
        seconds=result.seconds,
        cpu_seconds=time.process_time() - began,
        iterations=result.iterations.filter(pl.col("verdict") != "bound").height,
        gap=result.gap if proven else None,
        cost_usd=result.cost_usd,
        lower_bound_usd=result.lower_bound_usd if proven else None,
        blocks=len(result.energised_blocks),
        served_kw=result.served_kw,
        switches=len(result.closed_switches),
    )


def sections(record: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """Title and table of what was measured."""
    runs = [Run(**row) for row in record["runs"]]
    table = [
        ["grid", "generators", "uncertain loads", "level", "blocks", "closed", "served kW", "cost $", "gap", "CPU s"]
    ]
    for run in (run for run in runs if run.part == "levels"):
        size = "as they are" if run.factor == 1.0 else f"× {run.factor:g}"
        plan = [str(run.blocks), str(run.switches), tables.number(run.served_kw, 0), tables.number(run.cost_usd, 0)]
        proof = [tables.percent(run.gap), _seconds(run)]
        table.append([run.grid, size, str(run.loads), f"{run.level:.0%}", *plan, *proof])
    found = [("Levels of uncertainty", table)]
    counts = sorted({run.loads for run in runs if run.part == "loads"})
    table = [["uncertain loads", *WAYS.values()]]
    for loads in counts:
        line = [str(loads)]
        for way in WAYS:
            found_run = next((r for r in runs if (r.part, r.loads, r.way) == ("loads", loads, way)), None)
            line.append("" if found_run is None else _seconds(found_run))
        table.append(line)
    found.append((f"Processor seconds to the proof, IEEE 37, generators × 1.5, {LEVEL:.0%}", table))
    return [(title, table) for title, table in found if len(table) > 1]


def _seconds(run: Run) -> str:
    return f"{run.cpu_seconds:.1f}" if run.termination == "optimal" else f"> {run.cpu_seconds:.0f}"


def figure(record: dict[str, Any]) -> Figure:
    """Seconds over the number of uncertain loads, a line a way."""
    picture = Figure(figsize=(7.0, 3.8), layout="constrained")
    panel = picture.subplots()
    runs = [Run(**row) for row in record["runs"] if row["part"] == "loads"]
    looks = {"vertices": (light("@opens"), "s"), "dual": (light("@before"), "^"), "climb": (light("@after"), "o")}
    for way, word in WAYS.items():
        color, marker = looks[way]
        mine = [run for run in runs if run.way == way]
        ended = [run for run in mine if run.termination == "optimal"]
        panel.plot([r.loads for r in ended], [r.cpu_seconds for r in ended], color=color, marker=marker, label=word)
        for run in mine:
            if run.termination != "optimal":
                panel.plot([run.loads], [run.cpu_seconds], "x", color=color, markersize=8)
    panel.set(
        yscale="log", xlabel="uncertain loads (× stopped by the time limit)", ylabel="processor seconds to the proof"
    )
    panel.set_yticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
    panel.minorticks_off()
    panel.legend(loc="upper left")
    return picture


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.partition", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--time-limit", type=float, default=60.0, metavar="S", help="of a run of `loads` (default 60)")
    parser.add_argument("--quick", action="store_true", help="small grids and few loads")
    parser.add_argument("--from", dest="source", metavar="FILE", help="measure nothing, show the figures of this file")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--merge", action="store_true", help="keep what FILE holds of other parts")
    parser.add_argument("--markdown", metavar="PAGE", help="renew the generated tables of this page")
    parser.add_argument("--figure", metavar="FILE", help="draw seconds over the number of uncertain loads")
    given = parser.parse_args()

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    try:
        record = (
            json.loads(Path(given.source).read_text("utf-8"))
            if given.source
            else measure(given.parts, quick=given.quick, time_limit_s=given.time_limit, tell=tell)
        )
    except OpenpointError as error:
        tell(f"error: {error}")
        return 2
    if given.merge and given.json and Path(given.json).exists() and not given.source:
        old = json.loads(Path(given.json).read_text("utf-8"))
        record["runs"] += [row for row in old["runs"] if row["part"] not in given.parts]
    for title, table in sections(record):
        print(f"\n{title}\n{tables.aligned(table)}")
    print(f"\n{tables.where(record)}")
    if given.json and not given.source:
        Path(given.json).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if given.markdown:
        page = Path(given.markdown)
        parts = [f"### {title}\n\n{tables.as_markdown(table)}" for title, table in sections(record)]
        text = "\n\n".join([*parts, tables.where(record)])
        page.write_text(tables.between_marks(page.read_text("utf-8"), text, "microgrids"), encoding="utf-8")
    if given.figure:
        with matplotlib.rc_context(RC):
            figure(record).savefig(given.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
