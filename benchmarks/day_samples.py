"""What robustness buys: plans of a day for several budgets, and by risks of futures, in days drawn at random.

    python -m benchmarks.day_samples [--grid baran33] [--source-max 2200] [--compare 0,1,2,4,expected,cvar:0.9]
                                     [--samples 1000] [--gap 0.001] [--json FILE]

The day is the built-in one with the topology of today, loads uncertain by 10 %, sun and wind by 30 %; no source gives
more than `--source-max`, so that limits bind. For every plan: its cost in the worst realisation of the largest budget,
and costs, shed load and broken limits in the same sampled days, each period by exact AC power flow; processor seconds
to plan, and to operate the days. Kernels are compiled before any clock runs.
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

from openpoint.io import read
from openpoint.studies.dispatch.day.comparison import Planned, compare
from openpoint.studies.dispatch.day.options import DayOptions
from openpoint.studies.dispatch.day.study import PreparedDay, prepare_day
from openpoint.twostage.deadline import Deadline

from . import tables

UNCERTAIN = "load=0.1,solar=0.3,wind=0.3"


@dataclass(frozen=True)
class Row:
    """A plan: figures as in the table `samples` of a result, $; processor seconds to plan and to operate the days."""

    plan: str
    worst: float | None
    mean: float
    p95: float
    tail: float
    highest: float
    shed_kwh: float
    shed_days: int
    outside_days: int
    plan_seconds: float
    days_seconds: float


def prepared(arguments: argparse.Namespace) -> PreparedDay:
    """The day with the largest budget as its question, and the other plans as what it is compared with."""
    most = max(int(item) for item in arguments.compare.split(",") if item.isdigit())
    options = DayOptions(
        uncertain=UNCERTAIN,
        budget=most,
        topology="fixed",
        source_max_kw=arguments.source_max,
        samples=arguments.samples,
        compare=arguments.compare,
        gap=arguments.gap,
    )
    return prepare_day(read(arguments.grid), f"{arguments.grid}-day", options)


def measured(run: PreparedDay) -> list[Row]:
    """Every plan, and the day as it is today first."""
    rows, out_of_sample = list[Row](), run.out_of_sample
    for each in out_of_sample.others:
        began = time.process_time()
        found = each.method.solve(each.question, None, Deadline())
        planned = time.process_time() - began
        if found.plan is None:
            print(f"{each.name}: no plan ({found.termination.value})")
            continue
        began = time.process_time()
        plans = [Planned(each.name, found.plan, found.upper_bound)]
        table = compare(run.question, plans, out_of_sample.sampling, out_of_sample.bounded, Deadline(), today=not rows)
        spent = (time.process_time() - began) / table.height
        for row in table.iter_rows(named=True):
            worst, mean, p95, tail, highest = (row[f"{name}_usd"] for name in ("worst", "mean", "p95", "tail", "max"))
            shed, shed_days, outside = row["shed_kwh"], row["shed_days"], row["outside_days"]
            took = planned if row["plan"] == each.name else 0.0
            rows.append(Row(row["plan"], worst, mean, p95, tail, highest, shed, shed_days, outside, took, spent))
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", default="baran33")
    parser.add_argument("--source-max", type=float, default=2200.0)
    parser.add_argument("--compare", default="0,1,2,4,expected,cvar:0.9")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--gap", type=float, default=1e-3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    warm = argparse.Namespace(**{**vars(arguments), "compare": "0,1", "samples": 2, "gap": 0.1})
    measured(prepared(warm))
    rows = measured(prepared(arguments))
    head = ["plan", "worst of set $", "mean $", "95 % $", "worst 5 % $", "highest $", "kWh shed", "days shed"]
    head += ["days outside", "CPU s to plan", "CPU s for the days"]
    body = [
        [r.plan, "-" if r.worst is None else f"{r.worst:.2f}",
         *(f"{x:.2f}" for x in (r.mean, r.p95, r.tail, r.highest, r.shed_kwh)), str(r.shed_days), str(r.outside_days),
         f"{r.plan_seconds:.1f}", f"{r.days_seconds:.1f}"]
        for r in rows
    ]  # fmt: skip
    print("\n" + tables.aligned([head, *body]))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
