"""Whether the ways to the robust plan of a day agree, on random small days with everything that a day may hold.

    python -m benchmarks.day_agree [--count 200] [--first 0] [--methods columns search ccg benders scip] [--json FILE]

Of every day all radial topologies and all vertices of the uncertainty set are tried (`tests.builders.day_oracle`), once
with the topology of today, once with all. Then each method solves it: `columns` with today's, the others with all. No
lower bound may lie above the exact worst case of the oracle's plan. Each plan is operated by exact AC flow in all
vertices: what a method says it costs must be the greatest of these costs, and no less than the oracle's optimum; power
balances to 1e-9, contents of stores and demand moved in time add up, and no store charges and discharges at once. What
a method refuses by name, or ends without the gap asked for, is counted. Exit status 1: a fault.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.network.day import DayPlan
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.program import robust_day
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.topology.method import DayTopologySearch
from openpoint.twostage.log import Termination
from openpoint.twostage.methods.benders import Benders
from openpoint.twostage.methods.ccg import ColumnAndConstraint
from openpoint.twostage.methods.extensive import ExtensiveForm
from tests.builders.day_oracle import Known, SolverFailed, exact_worst, oracle, schedule_faults
from tests.builders.random_days import random_day

METHODS = ("columns", "search", "ccg", "benders", "scip")
EVERY = 20
"""How many days lie between two lines of progress."""
GAP = 1e-4
"""Gap asked of every method."""
SECONDS = 30.0
"""Time limit of a method."""
SAME = 2e-4
"""Relative accuracy of cone and mixed-integer solvers, and of recourses found for exact flows."""
BALANCE = 1e-9
"""Largest imbalance of power, and of energy moved in time, per unit."""
CONTENT = 1e-6
"""Largest excess of a limit of a store."""


@dataclass(frozen=True)
class Answer:
    """What a method says in $: its bound, and its plan, with what it is worth by its own exact evaluation if any."""

    termination: Termination
    lower: float
    plan: DayPlan | None
    upper: float | None
    realisation: Floats | None


def by_day(question: DayQuestion, method: PeriodColumns | DayTopologySearch) -> Answer:
    """A method made for days: copies by period, or the search for the topology."""
    found = method.solve(question)
    plan = found.plan if math.isfinite(found.upper_bound) else None
    worst = None if found.worst is None else found.worst.realisation
    return Answer(found.termination, found.lower_bound, plan, found.upper_bound, worst)


def by_engine(question: DayQuestion, method: Benders | ColumnAndConstraint | ExtensiveForm) -> Answer:
    """A method of the two-stage engine; its own values are those of the relaxation."""
    program = robust_day(question)
    found = method.solve(program)
    plan = None if found.decision is None else program.layout.plan(found.decision)
    return Answer(found.termination, found.lower_bound, plan, None, None)


def answered(question: DayQuestion, method: str) -> Answer:
    """The answer of a method by name."""
    match method:
        case "columns":
            return by_day(question, PeriodColumns(gap=GAP, time_limit_s=SECONDS))
        case "search":
            return by_day(question, DayTopologySearch(gap=GAP, time_limit_s=SECONDS))
        case "benders":
            return by_engine(question, Benders(gap=GAP, time_limit_s=SECONDS))
        case "ccg":
            return by_engine(question, ColumnAndConstraint(gap=GAP, time_limit_s=SECONDS))
        case _:
            return by_engine(question, ExtensiveForm(gap=GAP, time_limit_s=SECONDS))


def faults(question: DayQuestion, known: Known, answer: Answer) -> list[str]:
    """What is wrong with an answer."""
    found = list[str]()
    room = SAME * max(1.0, abs(known.value)) if math.isfinite(known.value) else 0.0
    if answer.lower > known.exact + room:
        found.append(f"bound {answer.lower} above {known.exact}")
    if answer.termination is Termination.INFEASIBLE and math.isfinite(known.exact):
        found.append(f"infeasible, but {known.exact} is there")
    if answer.plan is None:
        return found
    worst = exact_worst(question, answer.plan)
    if worst.value < known.value - room:
        found.append(f"is worth {worst.value}, below the optimum of the relaxation, {known.value}")
    if answer.upper is not None:
        if not worst.lower - room <= answer.upper <= worst.value + room:
            found.append(f"costs {worst.lower} to {worst.value} in its worst vertex, says {answer.upper}")
        if answer.realisation is None:
            found.append("names no worst realisation")
    if worst.imbalance > BALANCE:
        found.append(f"power is off by {worst.imbalance}")
    return found + schedule_faults(question, answer.plan, limits=CONTENT, energy=BALANCE)


def judged(question: DayQuestion, known: Known, method: str) -> tuple[Counter[str], list[str]]:
    """Counts of one method on one day, and faults."""
    try:
        answer = answered(question, method)
    except OptionError as error:
        return Counter({f"refused: {str(error)[:60]}": 1}), []
    return Counter({answer.termination.value: 1}), faults(question, known, answer)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS[:3]))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    wrong: list[str] = []
    for seed in range(arguments.first, arguments.first + arguments.count):
        asked = random_day(seed).question
        ways = {cadence: replace(asked, topology=cadence) for cadence in (Cadence.FIXED, Cadence.ONCE)}
        began = time.process_time()
        try:
            known = {cadence: oracle(question) for cadence, question in ways.items()}
        except SolverFailed as error:
            counts["oracle"][f"nothing known: {error}"] += 1
            continue
        every = known[Cadence.ONCE]
        counts["oracle"] += Counter(
            {
                "days": 1,
                "feasible": int(math.isfinite(every.value)),
                "exact": int(every.exact <= every.value * (1.0 + SAME)),
                "topologies": every.topologies,
                "vertices": every.vertices,
                "ms": round(1000.0 * (time.process_time() - began)),
            }
        )
        for method in arguments.methods:
            cadence = Cadence.FIXED if method == "columns" else Cadence.ONCE
            began = time.process_time()
            found, bad = judged(ways[cadence], known[cadence], method)
            counts[method] += found + Counter({"ms": round(1000.0 * (time.process_time() - began))})
            for fault in bad:
                wrong.append(f"day {seed}, {method}: {fault}")
                print(wrong[-1], flush=True)
        if (seed + 1 - arguments.first) % EVERY == 0:
            print(f"{seed + 1 - arguments.first:,} days, {len(wrong)} faults", flush=True)
    for method, found in counts.items():
        print(f"{method:12}", ", ".join(f"{word}: {number:,}" for word, number in sorted(found.items())))
    print(f"{len(wrong)} faults")
    if arguments.json is not None:
        record = {"counts": {method: dict(found) for method, found in counts.items()}, "faults": wrong}
        arguments.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
