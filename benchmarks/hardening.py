"""Time to a proven plan against many disasters: cuts, copies, and HiGHS on the one-piece program, in the same run.

    python -m benchmarks.hardening                                     everything, up to half an hour
    python -m benchmarks.hardening --quick                             small problems, two minutes
    python -m benchmarks.hardening --problems any-2 --methods cuts processes --json docs/results.json

Every method gets the same program. With --json the rows are put into that file, in place of those they repeat. A method
gets one core; `processes` is `cuts` with two worker processes. Where the machine does other work too, compare processor
time, and of the ratio of two processes to one believe only what was measured at a low load.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before numpy is imported: one core for everybody, whatever the linear algebra underneath would take.
os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
)

import numpy as np

import openpoint
from openpoint import Benders, ColumnAndConstraint, ExtensiveForm, Limits, Processes
from openpoint.errors import OpenpointError
from openpoint.network import build_network
from openpoint.studies.harden.model import Backup, HardenProgram, threat_of
from openpoint.twostage.log import Outcome
from openpoint.twostage.risk import Expectation, WorstCase
from openpoint.twostage.uncertainty import Box, Budget

from . import tables, timing

if TYPE_CHECKING:
    from openpoint.studies.harden.options import Method

METHODS = ("cuts", "processes", "copies", "highs")
PIECES_MOST = 1_000
"""Realisations above which the one-piece program is not tried: it would not fit into the memory of most machines."""


@dataclass(frozen=True)
class Problem:
    """A question: a grid, what may break (storms of seed 1, or any lines), and how much may be bought at most."""

    name: str
    grid: str
    storms: int
    any_lines: int
    lines: int
    generators: int

    def program(self) -> HardenProgram:
        """Prices and sizes as for the 13-bus grid; voltages from 0.9 pu; every line may be hardened."""
        grid = openpoint.read(self.grid)
        network = Limits(v_min_pu=0.9).applied(build_network(grid))
        disasters = openpoint.storms(grid, count=self.storms, seed=1) if self.storms else None
        uncertainty = threat_of(network, disasters, self.any_lines or None, None).uncertainty
        n, e = network.n_terminals, network.n_conductors
        buses = np.setdiff1d(np.arange(n), network.source_terminal) if self.generators else np.empty(0, dtype=np.int64)
        return HardenProgram(
            network=network,
            uncertainty=uncertainty,
            risk=WorstCase() if self.any_lines else Expectation(),
            lines=np.arange(e),
            line_usd=np.full(e, 400.0),
            buses=buses,
            generator_usd=np.full(len(buses), 150.0),
            backup=Backup(100.0, 75.0),
            voll_usd_per_kw=np.full(n, 14.0),
            max_lines=self.lines,
            max_generators=self.generators,
        )


PROBLEMS = (
    Problem("storms-1000", "baran33", 1000, 0, 5, 0),
    Problem("storms-1000-generators", "baran33", 1000, 0, 5, 2),
    Problem("any-2", "baran33", 0, 2, 5, 0),
    Problem("any-3", "baran33", 0, 3, 5, 0),
)
QUICK = (Problem("storms-100", "zhang13", 100, 0, 2, 1), Problem("any-2-of-13-buses", "zhang13", 0, 2, 2, 1))


@dataclass(frozen=True)
class Row:
    """One method on one problem.

    Attributes:
        patterns: distinct sets of broken lines. lines, generators: most to buy. gap_wanted: relative.
        termination: why it ended; `failed` or `left out` with the reason in `note`.
        seconds: wall time, models compiled included. cpu_seconds: of all threads and processes.
        workers_cpu_seconds: the part of it spent in worker processes, which more of them can share.
        load: of the machine.
        iterations: decisions priced. gap, cost_usd, lower_bound_usd: what is proven.
    """

    problem: str
    grid: str
    patterns: int
    lines: int
    generators: int
    method: str
    gap_wanted: float
    time_limit_s: float
    termination: str
    seconds: float
    cpu_seconds: float
    load: float
    iterations: int
    gap: float | None
    cost_usd: float | None
    lower_bound_usd: float | None
    hardened: tuple[int, ...]
    built: tuple[str, ...]
    note: str = ""
    workers_cpu_seconds: float = 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [problem.name for problem in (*PROBLEMS, *QUICK)]
    parser.add_argument("--problems", nargs="+", choices=names, help="default: those of 33 buses")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, help="default: all")
    parser.add_argument("--gap", type=float, default=0.01, help="relative gap of every method (default 0.01)")
    parser.add_argument("--time-limit", type=float, default=450.0, metavar="S", help="per problem and method (450)")
    parser.add_argument("--quick", action="store_true", help="13 buses")
    parser.add_argument("--json", metavar="FILE", help="put the rows into this file")
    given = parser.parse_args()
    wanted = given.problems or [problem.name for problem in (QUICK if given.quick else PROBLEMS)]
    chosen = [problem for problem in (*PROBLEMS, *QUICK) if problem.name in wanted]
    record = measure(chosen, given.methods, gap=given.gap, time_limit_s=given.time_limit, tell=_tell)
    print(tables.aligned(tables.hardening(record["rows"])))
    if given.json:
        file = Path(given.json)
        held = json.loads(file.read_text("utf-8")) if file.exists() else {"machine": record["machine"]}
        held["hardening"] = merged(held.get("hardening"), record)
        file.write_text(json.dumps(held, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def merged(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    """New rows take the place of those they repeat, in the order of the problems and methods."""
    rows = {(row["problem"], row["method"]): row for row in [*(old or {"rows": []})["rows"], *new["rows"]]}
    order = [(problem.name, method) for problem in (*PROBLEMS, *QUICK) for method in METHODS]
    return {**new, "rows": [rows[key] for key in order if key in rows]}


def measure(
    problems: Sequence[Problem],
    methods: Sequence[str],
    *,
    gap: float,
    time_limit_s: float,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Every method on every problem, as it goes into the JSON file."""
    rows = []
    for problem in problems:
        program = problem.program()
        for method in (name for name in METHODS if name in methods):
            tell(f"hardening, {problem.name}: {method}, at most {time_limit_s:g} s")
            rows.append(asdict(_row(problem, program, method, gap, time_limit_s)))
    return {"machine": timing.machine(), "rows": rows}


def _method(name: str, gap: float, time_limit_s: float) -> Method:
    match name:
        case "highs":
            return ExtensiveForm(solver="highs", gap=gap, time_limit_s=time_limit_s)
        case "copies":
            return ColumnAndConstraint(gap=gap, time_limit_s=time_limit_s)
        case "processes":
            return Benders(gap=gap, time_limit_s=time_limit_s, relaxation=False, executor=Processes(2))
    return Benders(gap=gap, time_limit_s=time_limit_s, relaxation=False)


def _row(problem: Problem, program: HardenProgram, name: str, gap: float, time_limit_s: float) -> Row:
    uncertainty = program.uncertainty
    assert not isinstance(uncertainty, Box)
    patterns = uncertainty.count() if isinstance(uncertainty, Budget) else len(uncertainty.values)
    size = {"problem": problem.name, "grid": problem.grid, "patterns": patterns, "lines": problem.lines}
    asked = {"generators": problem.generators, "method": name, "gap_wanted": gap, "time_limit_s": time_limit_s}
    outcome: Outcome | None = None
    termination, note = "left out", f"{patterns:,} recourses in one program"
    began, own, workers = (
        time.perf_counter(),
        _cpu_seconds(resource.RUSAGE_SELF),
        _cpu_seconds(resource.RUSAGE_CHILDREN),
    )
    if name != "highs" or patterns <= PIECES_MOST:
        try:
            outcome = _method(name, gap, time_limit_s).solve(program)
            termination, note = str(outcome.termination), ""
        except OpenpointError as error:
            termination, note = "failed", str(error)
    seconds, workers = time.perf_counter() - began, _cpu_seconds(resource.RUSAGE_CHILDREN) - workers
    cpu = _cpu_seconds(resource.RUSAGE_SELF) - own + workers
    spent: dict[str, Any] = {"seconds": seconds, "cpu_seconds": cpu, "workers_cpu_seconds": workers}
    return Row(
        **size,  # type: ignore[arg-type]
        **asked,  # type: ignore[arg-type]
        **spent,
        termination=termination,
        load=round(os.getloadavg()[0], 2),
        note=note,
        **_found(program, outcome),  # type: ignore[arg-type]
    )


def _found(program: HardenProgram, outcome: Outcome | None) -> dict[str, object]:
    if outcome is None:
        nothing = dict.fromkeys(("gap", "cost_usd", "lower_bound_usd"))
        return {"iterations": 0, **nothing, "hardened": (), "built": ()}
    network, count, decision = program.network, len(program.lines), outcome.decision
    bought = np.zeros(len(program.costs), dtype=np.bool_) if decision is None else decision > 0.5
    found = {
        "gap": outcome.gap,
        "cost_usd": outcome.upper_bound,
        "lower_bound_usd": outcome.lower_bound,
    }
    return {
        "iterations": sum(not line.interim for line in outcome.log),
        **{key: value if math.isfinite(value) else None for key, value in found.items()},
        "hardened": tuple(network.branch_names[e] for e in program.lines[bought[:count]]),
        "built": tuple(network.bus_names[network.terminal_bus[n]] for n in program.buses[bought[count:]]),
    }


def _cpu_seconds(who: int) -> float:
    """Processor time of this process, or of its children that ended."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
