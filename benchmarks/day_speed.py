"""The robust day: processor seconds of what a day is planned for, each beside the time it is meant to take.

    python -m benchmarks.day_speed                       everything
    python -m benchmarks.day_speed --grids baran33 --parts fixed warm samples switching --no-peer

Parts, all to 0.1 %, loads uncertain by 10 %, sun and wind by 30 %, in at most `--hours` hours each:

    once        topology decided once, 0, 10, 15 and 20 % of the load shiftable between buses (cases a to d)
    fixed       today's topology, from nothing
    warm        the same for one hour more, from the worst days that `fixed`, or case a of `once`, found
    samples     the plan of `fixed` in 1,000 days drawn at random, every period by exact AC flow
    switching   hourly switching of a certain day, at most 4 operations, to 0.01 % (`benchmarks.day_switching`)

Beside the switching of `baran33` stand, unless `--no-peer`, all radial states in every hour and dynamic programming
over them, with how many times the processor seconds of the line above they took.

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

from openpoint.grid import files
from openpoint.studies.dispatch.day.model.hour_block import HourTemplates
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns, ScenarioPool
from openpoint.studies.dispatch.day.model.question import DayOutcome, DayQuestion
from openpoint.studies.dispatch.day.options import DayOptions
from openpoint.studies.dispatch.day.samples import Planned, Sampling, compare
from openpoint.studies.dispatch.day.study import prepare_day
from openpoint.studies.dispatch.day.topology.method import DayTopologySearch
from openpoint.twostage.deadline import Deadline

from . import day_switching, tables

PARTS = ("once", "fixed", "warm", "samples", "switching")
SHIFTS = {"a": 0.0, "b": 0.1, "c": 0.15, "d": 0.2}
ONCE_S = {"baran33": 60.0, "baran69": 180.0}
FIXED_S, WARM_S, SAMPLES_S, SWITCHING_S = 10.0, 20.0, 20.0, 10.0
DAYS = 1_000
UNCERTAIN = "load=0.1,solar=0.3,wind=0.3"
GAP = 1e-3
LIMIT_S = 400.0
HEAD = ["grid", "what", "bound $ or kWh", "found", "gap", "CPU s", "times", "at most s"]
Row = list[str]


def once(name: str, hours: int, parts: list[str]) -> Iterator[Row]:
    """The topology decided once, in the four cases, and for one hour more in the first."""
    method = DayTopologySearch(gap=GAP)
    for case, share in SHIFTS.items():
        question, more = (_free(name, share, most) for most in (hours, hours + 1))
        began = time.process_time()
        known = ScenarioPool(HourTemplates(question))
        found = method.solve(question, None, Deadline(LIMIT_S, clock=time.process_time), pool=known)
        spent = time.process_time() - began
        yield _row(name, f"topology once, case {case}", found, spent, ONCE_S[name])
        if case == "a" and "warm" in parts:
            began = time.process_time()
            after = method.solve(more, None, Deadline(LIMIT_S, clock=time.process_time), pool=known)
            yield _row(name, f"  the same, {hours + 1} h", after, time.process_time() - began, WARM_S)


def _question(name: str, hours: int) -> DayQuestion:
    """The built-in day of a grid with today's topology."""
    options = DayOptions(topology="fixed", gap=GAP, uncertain=UNCERTAIN, budget=hours)
    return prepare_day(files.load(name), f"{name}-day", options).question


def _free(name: str, share: float, hours: int) -> DayQuestion:
    """The built-in day of a grid with its topology decided once."""
    options = DayOptions(topology="once", shift={"buses": share}, gap=GAP, uncertain=UNCERTAIN, budget=hours)
    return prepare_day(files.load(name), f"{name}-day", options).question


def given(name: str, hours: int, parts: list[str]) -> Iterator[Row]:
    """Today's topology: from nothing, one hour more, and the plan in days drawn at random."""
    question, method = _question(name, hours), PeriodColumns(gap=GAP)
    began = time.process_time()
    known = ScenarioPool(HourTemplates(question))
    found = method.solve(question, None, Deadline(LIMIT_S, clock=time.process_time), pool=known)
    spent = time.process_time() - began
    yield _row(name, f"topology fixed, {hours} h", found, spent, FIXED_S)
    if "samples" in parts and found.plan is not None:
        began = time.process_time()
        compare(question, [Planned("plan", found.plan)], Sampling(DAYS), None, Deadline(), today=False)
        spent = time.process_time() - began
        yield [name, f"{DAYS:,} days, {hours} h", "", "", "", f"{spent:.1f}", "", f"{SAMPLES_S:.0f}"]
    if "warm" in parts:
        began = time.process_time()
        more = _question(name, hours + 1)
        found = method.solve(more, None, Deadline(LIMIT_S, clock=time.process_time), pool=known)
        spent = time.process_time() - began
        yield _row(name, f"the same, {hours + 1} h", found, spent, WARM_S)


def switched(name: str, *, peer: bool) -> Iterator[Row]:
    """Hourly switching of a certain day."""
    for first, since in ((False, "between hours"), (True, "from today's state")):
        found = day_switching.run(name, 4, first=first, time_limit_s=LIMIT_S)
        figures = f"{found.bound_kwh:.2f}", f"{found.loss_kwh:.2f}", f"{100.0 * found.gap:.3f} %", f"{found.cpu_s:.1f}"
        yield [name, f"hourly switching, certain, 4 {since}", *figures, "1", f"{SWITCHING_S:.0f}"]
        if peer and name == "baran33":
            every = day_switching.Peer(name).solve(day_switching.problem_of(name, 4, first=first))
            if every is not None:  # few enough states may be in a plan
                value, spent = every
                yield _beside(name, "  all radial states", (value, value, 0.0), spent, found.cpu_s, ended=True)


def _beside(name: str, what: str, bounds: tuple[float, float, float], spent: float, first: float, ended: bool) -> Row:
    lower, upper, gap = bounds
    times = f"{'' if ended else '> '}{spent / first:.1f}"
    return [name, what, f"{lower:.2f}", f"{upper:.2f}", f"{100.0 * gap:.3f} %", f"{spent:.1f}", times, ""]


def _row(name: str, what: str, found: DayOutcome, spent: float, most: float) -> Row:
    bounds = f"{found.lower_bound:.2f}", f"{found.upper_bound:.2f}", f"{100.0 * found.gap:.3f} %"
    return [name, what, *bounds, f"{spent:.1f}", "1", f"{most:.0f}"]


def measured(grids: list[str], parts: list[str], hours: int, *, peer: bool) -> Iterator[Row]:
    """All rows."""
    list(given("baran33", 1, ["samples"]))  # compiles
    list(switched("baran33", peer=False))
    for name in grids:
        if "once" in parts:
            yield from once(name, hours, parts)
        if {"fixed", "warm", "samples"} & set(parts):
            yield from given(name, hours, parts)
        if "switching" in parts:
            yield from switched(name, peer=peer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", nargs="+", default=["baran33", "baran69"])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--hours", type=int, default=1)
    parser.add_argument("--no-peer", action="store_true", help="without all radial states beside the switching")
    asked = parser.parse_args()
    rows = [HEAD]
    for row in measured(asked.grids, asked.parts, asked.hours, peer=not asked.no_peer):
        print(*row, flush=True)
        rows.append(row)
    print("\n" + tables.aligned(rows))


if __name__ == "__main__":
    main()
