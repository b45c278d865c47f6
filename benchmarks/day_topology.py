"""The topology of a day, decided once: processor time to a proven gap, by grid, shiftable share and budget.

    python -m benchmarks.day_topology                                    both built-in days, cases a to d, four budgets
    python -m benchmarks.day_topology --cases baran33 --shifts 0 0.2 --budgets 1

Cases a to d move 0, 10, 15 and 20 % of the load between buses. A budget of h: load, solar and wind deviate in at most h
hours each. Kernels are compiled before the clock runs.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from openpoint.grid import files
from openpoint.studies.dispatch.day.options import DayOptions
from openpoint.studies.dispatch.day.study import prepare_day
from openpoint.studies.dispatch.day.topology.method import DayTopologySearch
from openpoint.twostage.deadline import Deadline

UNCERTAIN = "load=0.1,solar=0.3,wind=0.3"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=["baran33", "baran69"])
    parser.add_argument("--shifts", nargs="+", type=float, default=[0.0, 0.1, 0.15, 0.2])
    parser.add_argument("--budgets", nargs="+", type=int, default=[0, 1, 2, 3])
    parser.add_argument("--gap", type=float, default=1e-3)
    parser.add_argument("--time-limit", type=float, default=180.0, help="processor seconds")
    given = parser.parse_args()
    solve("baran33", 0.0, 0, 0.5, 60.0)  # compiles
    print(f"{'grid':>8} {'shift':>6} {'budget':>6} {'s':>7} {'lower $':>10} {'upper $':>10} {'gap %':>7}  open; work")
    for name in given.cases:
        for budget in given.budgets:
            for shift in given.shifts:
                print(solve(name, shift, budget, given.gap, given.time_limit), flush=True)


def solve(name: str, shift: float, budget: int, gap: float, limit: float) -> str:
    """One row."""
    what: dict[str, Any] = {"uncertain": UNCERTAIN, "budget": budget} if budget else {}
    options = DayOptions(topology="once", shift={"buses": shift}, gap=gap, **what)
    question = prepare_day(files.load(name), f"{name}-day", options).question
    began = time.process_time()
    outcome = DayTopologySearch(gap=gap).solve(question, None, Deadline(limit, clock=time.process_time))
    seconds = time.process_time() - began
    names = np.array(question.network.branch_names)
    opened = " ".join(names[~outcome.plan.closed[0]]) if outcome.plan is not None else ""
    bounds = f"{outcome.lower_bound:10.2f} {outcome.upper_bound:10.2f} {100 * outcome.gap:7.3f}"
    return f"{name:>8} {shift:6.2f} {budget:6} {seconds:7.1f} {bounds}  {opened}; {outcome.notes[-1]}"


if __name__ == "__main__":
    main()
