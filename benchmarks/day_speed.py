"""The robust day: processor seconds of what a day is planned for, each beside the time it is meant to take.

    python -m benchmarks.day_speed                       everything, with the methods that have whole days beside
    python -m benchmarks.day_speed --grids baran33 --parts fixed warm samples switching --beside 0

Parts, all to 0.1 %, loads uncertain by 10 %, sun and wind by 30 %, in at most `--hours` hours each:

    once        topology decided once, 0, 10, 15 and 20 % of the load shiftable between buses (cases a to d)
    fixed       today's topology, from nothing
    warm        the same for one hour more, from the worst days that `fixed` found
    samples     the plan of `fixed` in 1,000 days drawn at random, every period by exact AC flow
    switching   hourly switching of a certain day, at most 4 operations, to 0.01 % (`benchmarks.day_switching`)

Kernels are compiled before any clock runs; models are put in standard form within it.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator

os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
)

from openpoint.grid import builtin
from openpoint.studies.dispatch.day.comparison import Planned, Sampling, compare
from openpoint.studies.dispatch.day.model.day_master import HourTemplates
from openpoint.studies.dispatch.day.model.period_columns import Experience, PeriodColumns
from openpoint.studies.dispatch.day.options import DayOptions
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.studies.dispatch.day.study import prepare_day
from openpoint.studies.dispatch.day.topology.method import DayTopologySearch
from openpoint.twostage.deadline import Deadline

from . import day, day_switching, tables

PARTS = ("once", "fixed", "warm", "samples", "switching")
SHIFTS = {"a": 0.0, "b": 0.1, "c": 0.15, "d": 0.2}
ONCE_S = {"baran33": 60.0, "baran69": 180.0}
FIXED_S, WARM_S, SAMPLES_S, SWITCHING_S = 10.0, 20.0, 20.0, 10.0
DAYS = 1_000
GAP = 1e-3
LIMIT_S = 400.0
HEAD = ["grid", "what", "bound $ or kWh", "found", "gap", "CPU s", "at most s"]


def once(name: str, hours: int) -> Iterator[list[str]]:
    """The topology decided once, in the four cases."""
    for case, share in SHIFTS.items():
        options = DayOptions(topology="once", shift_buses=share, gap=GAP, uncertain=day.UNCERTAIN, budget=hours)
        question = prepare_day(builtin.load(name), f"{name}-day", options).question
        began = time.process_time()
        found = DayTopologySearch(gap=GAP).solve(question, None, Deadline(LIMIT_S, clock=time.process_time))
        yield _row(name, f"topology once, case {case}", found, time.process_time() - began, ONCE_S[name])


def given(name: str, hours: int, parts: list[str]) -> Iterator[list[str]]:
    """Today's topology: from nothing, one hour more, and the plan in days drawn at random."""
    question, method = day.question_of(name, hours), PeriodColumns(gap=GAP)
    began = time.process_time()
    known = Experience(HourTemplates(question))
    found = method.solve(question, None, Deadline(LIMIT_S, clock=time.process_time), experience=known)
    yield _row(name, f"topology fixed, {hours} h", found, time.process_time() - began, FIXED_S)
    if "samples" in parts and found.plan is not None:
        began = time.process_time()
        compare(question, [Planned("plan", found.plan)], Sampling(DAYS), None, Deadline(), today=False)
        spent = time.process_time() - began
        yield [name, f"{DAYS:,} days, {hours} h", "", "", "", f"{spent:.1f}", f"{SAMPLES_S:.0f}"]
    if "warm" in parts:
        began = time.process_time()
        more = day.question_of(name, hours + 1)
        found = method.solve(more, None, Deadline(LIMIT_S, clock=time.process_time), experience=known)
        yield _row(name, f"the same, {hours + 1} h", found, time.process_time() - began, WARM_S)


def switched(name: str) -> list[str]:
    """Hourly switching of a certain day."""
    found = day_switching.run(name, 4, first=False, time_limit_s=LIMIT_S)
    figures = f"{found.bound_kwh:.2f}", f"{found.loss_kwh:.2f}", f"{100.0 * found.gap:.3f} %", f"{found.cpu_s:.1f}"
    return [name, "hourly switching, certain, 4", *figures, f"{SWITCHING_S:.0f}"]


def _row(name: str, what: str, found: DayOutcome, spent: float, most: float) -> list[str]:
    bounds = f"{found.lower_bound:.2f}", f"{found.upper_bound:.2f}", f"{100.0 * found.gap:.3f} %"
    return [name, what, *bounds, f"{spent:.1f}", f"{most:.0f}"]


def measured(grids: list[str], parts: list[str], hours: int) -> Iterator[list[str]]:
    """All rows."""
    list(given("baran33", 1, ["samples"]))  # compiles
    switched("baran33")
    for name in grids:
        if "once" in parts:
            yield from once(name, hours)
        if {"fixed", "warm", "samples"} & set(parts):
            yield from given(name, hours, parts)
        if "switching" in parts:
            yield switched(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", nargs="+", default=["baran33", "baran69"])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--hours", type=int, default=1)
    parser.add_argument("--beside", type=float, default=60.0, help="processor seconds of methods that have whole days")
    asked = parser.parse_args()
    rows = [HEAD]
    for row in measured(asked.grids, asked.parts, asked.hours):
        print(*row, flush=True)
        rows.append(row)
    print("\n" + tables.aligned(rows))
    if asked.beside > 0.0:
        for name in asked.grids:
            day.beside(name, GAP, asked.beside)


if __name__ == "__main__":
    main()
