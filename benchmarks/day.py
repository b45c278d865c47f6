"""The robust day of a given topology: processor time by budget, from nothing and from what a smaller budget found.

    python -m benchmarks.day [--grids baran33 baran69] [--budgets 1 2 3] [--gap 0.001] [--beside 60] [--json FILE]

The days are the built-in ones, with loads uncertain by 10 %, sun and wind by 30 %, at most so many hours each; `days`
are the worst days found. Kernels are compiled before any clock runs.

Beside them, in the same run, stand plain column-and-constraint generation, which solves every day of the set at every
plan, and the extensive form, which has all days in one program, with `--beside` seconds each: for the day as forecast,
and for loads alone uncertain in one hour. The sets above have too many days for both: 64,827 on `baran33` at a budget
of one hour, 4.5·10⁸ at two.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
)

import numpy as np

from openpoint.grid import builtin
from openpoint.network import build_network
from openpoint.network.devices import build_devices, build_prices, build_supply
from openpoint.network.limits import Limits
from openpoint.scenarios.day.build import build_day
from openpoint.scenarios.day.faults import grid_of_day
from openpoint.scenarios.day.tables import read_day
from openpoint.scenarios.day.uncertain import Uncertainty
from openpoint.studies.dispatch.day.methods import MethodName, method_of
from openpoint.studies.dispatch.day.model.day_master import HourTemplates
from openpoint.studies.dispatch.day.model.period_columns import Experience, PeriodColumns
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.model.realisations import days
from openpoint.studies.dispatch.day.model.vertices import deviating
from openpoint.twostage.deadline import Deadline

from . import tables

UNCERTAIN = "load=0.1,solar=0.3,wind=0.3"
SMALL = (("nothing", None), ("load in one hour", "load=0.1"))
"""Sets that have few days."""


@dataclass(frozen=True)
class Row:
    """One solve: cost in the worst case and bound in $, processor seconds."""

    grid: str
    hours: int
    start: str
    termination: str
    cost: float
    gap: float
    iterations: int
    days: int
    cpu_seconds: float


@dataclass(frozen=True)
class Beside:
    """One solve of a small set: bounds in $, processor seconds, and how many times those of copies by period."""

    grid: str
    uncertain: str
    days: int
    method: str
    termination: str
    lower: float
    upper: float
    gap: float
    cpu_seconds: float
    times: float


def question_of(name: str, hours: int, uncertain: str | None = UNCERTAIN) -> DayQuestion:
    """The built-in day of a grid in its present topology."""
    day = read_day(f"{name}-day")
    grid, _ = grid_of_day(builtin.load(name), day)
    network = Limits().applied(build_network(grid))
    bare, arrays = build_day(grid, network, day, Uncertainty.of(uncertain, hours) if hours and uncertain else None)
    locked = np.zeros(network.n_conductors, dtype=np.bool_)
    return DayQuestion(
        network=bare,
        devices=build_devices(grid, bare),
        supply=build_supply(grid, bare),
        cost=build_prices(grid, bare),
        must_close=locked,
        must_open=locked,
        topology=Cadence.FIXED,
        positions=Cadence.FIXED,
        max_changes=None,
        recourse=frozenset(),
        day=arrays,
    )


def measured(name: str, budgets: list[int], gap: float) -> list[Row]:
    """All budgets of a grid, each from nothing, and each from those before."""
    rows, method = list[Row](), PeriodColumns(gap=gap)
    for start in ("cold", "warm"):
        kept: Experience | None = None
        for hours in budgets:
            question = question_of(name, hours)
            if kept is None or start == "cold":
                kept = Experience(HourTemplates(question))
            began = time.process_time()
            found = method.solve(question, experience=kept)
            spent = time.process_time() - began
            end = found.termination.value
            row = name, hours, start, end, found.upper_bound, found.gap, len(found.log), len(kept.days), spent
            rows.append(Row(*row))
            print(*row, flush=True)
    return rows


def beside(name: str, gap: float, seconds: float) -> list[Beside]:
    """The small sets of a grid by copies by period, and by methods that have whole days."""
    rows = list[Beside]()
    methods: tuple[MethodName, ...] = ("columns", "ccg", "extensive")
    for told, uncertain in SMALL:
        question, first = question_of(name, 1, uncertain), 0.0
        few = sum(1 for _ in days(deviating(question.day).uncertain))
        for method in methods:
            began, deadline = time.process_time(), Deadline(seconds, clock=time.process_time)
            found = method_of(method, gap, None).solve(question, None, deadline)
            spent = time.process_time() - began
            first = first or spent
            bounds = found.lower_bound, found.upper_bound, found.gap
            rows.append(Beside(name, told, few, method, found.termination.value, *bounds, spent, spent / first))
            print(*asdict(rows[-1]).values(), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", nargs="+", default=["baran33", "baran69"])
    parser.add_argument("--budgets", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--gap", type=float, default=1e-3)
    parser.add_argument("--beside", type=float, default=60.0, help="processor seconds of methods that have whole days")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    PeriodColumns(gap=0.1).solve(question_of("baran33", 0))
    rows = [row for name in arguments.grids for row in measured(name, arguments.budgets, arguments.gap)]
    head = ["grid", "hours", "start", "ended", "$ at worst", "gap", "iterations", "days", "CPU s"]
    body = [
        [
            *(r.grid, str(r.hours), r.start, r.termination, f"{r.cost:.2f}", f"{100 * r.gap:.3f} %"),
            *(str(r.iterations), str(r.days), f"{r.cpu_seconds:.1f}"),
        ]
        for r in rows
    ]
    print("\n" + tables.aligned([head, *body]))
    others = list[Beside]()
    if arguments.beside > 0.0:
        others = [row for name in arguments.grids for row in beside(name, arguments.gap, arguments.beside)]
        head = ["grid", "uncertain", "days", "method", "ended", "bound $", "$ at worst", "gap", "CPU s", "times"]
        body = [
            [
                *(r.grid, r.uncertain, str(r.days), r.method, r.termination, f"{r.lower:.2f}", f"{r.upper:.2f}"),
                *(f"{100 * r.gap:.3f} %", f"{r.cpu_seconds:.1f}", f"{r.times:.0f}"),
            ]
            for r in others
        ]
        print("\n" + tables.aligned([head, *body]))
    if arguments.json:
        record = {"budgets": [asdict(row) for row in rows], "beside": [asdict(row) for row in others]}
        arguments.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
