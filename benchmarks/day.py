"""The robust day of a given topology: processor time by budget, from nothing and from what a smaller budget found.

    python -m benchmarks.day [--grids baran33 baran69] [--budgets 1 2 3] [--gap 0.001] [--json FILE]

The days are the built-in ones, with loads uncertain by 10 %, sun and wind by 30 %, at most so many hours each; `days`
are the worst days found. The extensive form, which has all days, is out of reach: there are some 10⁵ at a budget of one
hour. Kernels are compiled before any clock runs.
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
from openpoint.network.device_tables import build_devices, build_prices, build_supply
from openpoint.network.limits import Limits
from openpoint.scenarios.day.build import build_day
from openpoint.scenarios.day.faults import grid_of_day
from openpoint.scenarios.day.read import read_day
from openpoint.scenarios.day.uncertain import Uncertainty
from openpoint.studies.dispatch.day.model.day_master import HourTemplates
from openpoint.studies.dispatch.day.model.period_columns import Experience, PeriodColumns
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion

from . import tables

UNCERTAIN = "load=0.1,solar=0.3,wind=0.3"


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


def question_of(name: str, hours: int) -> DayQuestion:
    """The built-in day of a grid in its present topology."""
    day = read_day(f"{name}-day")
    grid, _ = grid_of_day(builtin.load(name), day)
    network = Limits().applied(build_network(grid))
    bare, arrays = build_day(grid, network, day, Uncertainty.of(UNCERTAIN, hours) if hours else None)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", nargs="+", default=["baran33", "baran69"])
    parser.add_argument("--budgets", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--gap", type=float, default=1e-3)
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
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
