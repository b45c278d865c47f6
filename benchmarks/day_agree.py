"""Whether the ways to the robust plan of a day agree, on random small days with everything that a day may hold.

    python -m benchmarks.day_agree [--count 200] [--first 0] [--seconds 30] [--vertices 10000] [--least 1] [--json FILE]
                                   [--methods columns search]

Of every day all radial topologies and all vertices of the uncertainty set are tried (`tests.builders.day_oracle`), once
with the topology of today, once with all. Then each method solves it: `columns` with today's, the others with all. No
lower bound may lie above the exact worst case of the oracle's plan. Each plan is operated by exact AC flow in all
vertices: what a method says it costs must be the greatest of these costs, and no less than the oracle's optimum; power
balances to 1e-9, contents of stores and demand moved in time add up, and no store charges and discharges at once. What
a method refuses by name, or ends without the gap asked for, is counted. Exit status 1: a fault.

`agreed` counts the answers without a fault that also say what the oracle says: the bounds meet, or the lower bound is
the optimum of the relaxation and exact flow costs more, or there is no plan for either. What is left of the others was
stopped with bounds that hold.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

from openpoint.errors import OptionError
from openpoint.studies.dispatch.day.methods import METHODS as WAYS
from openpoint.studies.dispatch.day.methods import MethodName
from openpoint.studies.dispatch.day.model.question import Cadence, DayOutcome, DayQuestion
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination
from tests.builders.day_oracle import Known, SolverFailed, days, exact_worst, oracle, schedule_faults
from tests.builders.random_days import random_day

METHODS: tuple[MethodName, ...] = ("columns", "search")
VERTICES_MOST = 10_000
"""Vertices of the set up to which the oracle, whose program has a row for each, is asked."""
GAP = 1e-4
"""Gap asked of every method."""
SAME = 2e-4
"""Relative accuracy of cone and mixed-integer solvers, and of recourses found for exact flows."""
BALANCE = 1e-9
"""Largest imbalance of power, and of energy moved in time, per unit."""
CONTENT = 1e-6
"""Largest excess of a limit of a store."""


def answered(question: DayQuestion, method: MethodName, seconds: float) -> DayOutcome:
    """The answer of a method by name, within so many processor seconds."""
    deadline = Deadline(seconds, clock=time.process_time)
    answer: DayOutcome = WAYS[method](gap=GAP).solve(question, None, deadline)
    return answer


def faults(question: DayQuestion, known: Known, answer: DayOutcome) -> list[str]:
    """What is wrong with an answer."""
    found = list[str]()
    room = SAME * max(1.0, abs(known.value)) if math.isfinite(known.value) else 0.0
    there = known.exact
    if answer.lower_bound > there + room:
        found.append(f"bound {answer.lower_bound} above {there}")
    if answer.termination is Termination.INFEASIBLE and math.isfinite(there):
        found.append(f"infeasible, but {there} is there")
    if answer.plan is None or not math.isfinite(answer.upper_bound):
        return found
    if answer.worst is None:
        return [*found, "names no worst realisation"]
    worst = exact_worst(question, answer.plan)
    if worst.value < known.value - room:
        found.append(f"is worth {worst.value}, below the optimum of the relaxation, {known.value}")
    if not worst.lower - room <= answer.upper_bound <= worst.value + room:
        found.append(f"costs {worst.lower} to {worst.value} in its worst vertex, says {answer.upper_bound}")
    if worst.imbalance > BALANCE:
        found.append(f"power is off by {worst.imbalance}")
    return found + schedule_faults(question, answer.plan, limits=CONTENT, energy=BALANCE)


def judged(question: DayQuestion, known: Known, method: MethodName, seconds: float) -> tuple[Counter[str], list[str]]:
    """Counts of one method on one day, and faults."""
    try:
        answer = answered(question, method, seconds)
    except OptionError as error:
        return Counter({f"refused: {str(error)[:60]}": 1}), []
    wrong = faults(question, known, answer)
    agreed = not wrong and says_the_same(known.value, answer)
    return Counter({answer.termination.value: 1, "agreed": int(agreed)}), wrong


def says_the_same(value: float, answer: DayOutcome) -> bool:
    """Whether an answer without a fault is that of the oracle, and not only compatible with it."""
    if not math.isfinite(value):
        return answer.termination is Termination.INFEASIBLE
    if not math.isfinite(answer.upper_bound):
        return False
    return answer.gap <= GAP or answer.lower_bound >= value - SAME * max(1.0, abs(value))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seconds", type=float, default=30.0, help="processor time limit of a method")
    parser.add_argument("--vertices", type=int, default=VERTICES_MOST, help="most vertices of a day that is solved")
    parser.add_argument("--least", type=int, default=1, help="fewest vertices of such a day")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    wrong: list[str] = []
    for seed in range(arguments.first, arguments.first + arguments.count):
        asked = random_day(seed).question
        there = len(list(itertools.islice(days(asked.day.uncertain), arguments.vertices + 1)))
        if not arguments.least <= there <= arguments.vertices:
            counts["oracle"]["too many vertices" if there >= arguments.least else "too few vertices"] += 1
            continue
        ways = {cadence: replace(asked, topology=cadence) for cadence in (Cadence.FIXED, Cadence.ONCE)}
        began = time.process_time()
        try:
            known = {cadence: oracle(question) for cadence, question in ways.items()}
        except SolverFailed as error:
            counts["oracle"][f"nothing known: {error}"] += 1
            continue
        every, told = known[Cadence.ONCE], list[str]()
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
            question, right = ways[cadence], known[cadence]
            began = time.process_time()
            found, bad = judged(question, right, method, arguments.seconds)
            spent = round(1000.0 * (time.process_time() - began))
            counts[method] += found + Counter({"ms": spent})
            told.append(f"{method} {' '.join(+found)} {spent} ms")
            for fault in bad:
                wrong.append(f"day {seed}, {method}: {fault}")
                print(wrong[-1], flush=True)
        print(f"day {seed}: {', '.join(told)}; {len(wrong)} faults", flush=True)
    for method, found in counts.items():
        print(f"{method:12}", ", ".join(f"{word}: {number:,}" for word, number in sorted(found.items())))
    print(f"{len(wrong)} faults")
    if arguments.json is not None:
        record = {"counts": {method: dict(found) for method, found in counts.items()}, "faults": wrong}
        arguments.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
