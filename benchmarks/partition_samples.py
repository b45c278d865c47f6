"""What robustness buys on the microgrids of the IEEE 37-bus feeder: plans by level of uncertainty, verified by samples.

    python -m benchmarks.partition_samples [--count 10000] [--processes N] [--markdown] [--json FILE]

For each level and set of uncertain loads the plan and that for nominal loads are tested in the same samples:
whether generators can follow in the linear model, and whether exact AC power flow keeps all limits. `alone` leaves what
the linear model does not see to the grid-forming generator, `AC` lets the others help. Shares with 95 % intervals.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import openpoint
from openpoint.studies.partition.ac import Share
from openpoint.twostage.workers.executors import InProcess, Processes

CASE = "ieee37-microgrids"
LEVELS = (0.0, 0.1, 0.15, 0.25)
SETS: dict[str, Literal["all"] | tuple[str, ...]] = {
    "six": ("s712c", "s720c", "s722b", "s728", "s731b", "s738a"),
    "all thirty": "all",
}
"""Six loads, one in each block but that of 701, and all."""


@dataclass(frozen=True)
class Row:
    """A plan and what samples say of it, as shares with the ends of their intervals; cost in $ for an hour."""

    loads: str
    level: float
    blocks: int
    closed: int
    served_kw: float
    cost: float
    gap: float
    seconds: float
    linear: tuple[float, float, float]
    ac: tuple[float, float, float]
    alone: tuple[float, float, float]
    deterministic_linear: tuple[float, float, float] | None
    deterministic_ac: tuple[float, float, float] | None
    failure: str
    samples: int
    judging_seconds: float
    max_mismatch_pu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="samples")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="where samples are evaluated")
    parser.add_argument("--markdown", action="store_true", help="a table for the documentation")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for loads in SETS:
        for level in LEVELS if not rows else LEVELS[1:]:
            rows.append(row(loads, level, arguments.count, arguments.processes))
            print(f"{loads}, {level:.0%}: {rows[-1]}", file=sys.stderr)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps([asdict(each) for each in rows], indent=2) + "\n", encoding="utf-8")
    show(rows, markdown=arguments.markdown)


def row(loads: str, level: float, count: int, processes: int) -> Row:
    """The plan of one level and its samples."""
    result = openpoint.partition(openpoint.read(CASE), uncertainty=level, uncertain_loads=SETS[loads])
    began = time.perf_counter()
    sampled = openpoint.sample_partition(
        result, count=count, executor=Processes(processes) if processes > 1 else InProcess()
    )
    samples = sampled.samples
    assert samples is not None
    assert result.cost_usd is not None
    planned, other = samples.planned, samples.nominal
    return Row(
        loads=loads if level else "none",
        level=level,
        blocks=len(result.energised_blocks),
        closed=len(result.closed_switches),
        served_kw=result.served_kw,
        cost=result.cost_usd,
        gap=result.gap,
        seconds=result.seconds,
        linear=ends(planned.linear),
        ac=ends(planned.ac),
        alone=ends(planned.ac_alone),
        deterministic_linear=None if other is None else ends(other.linear),
        deterministic_ac=None if other is None else ends(other.ac),
        failure=planned.commonest,
        samples=samples.judged,
        judging_seconds=time.perf_counter() - began,
        max_mismatch_pu=max(each.max_mismatch_pu for each in samples.by_plan.values()),
    )


def ends(share: Share) -> tuple[float, float, float]:
    """Share and interval."""
    return (share.share, *share.interval)


def percent(share: tuple[float, float, float] | None) -> str:
    """`99.9 (99.8–99.9)`."""
    if share is None:
        return "—"
    value, low, high = (100.0 * each for each in share)
    return f"{value:.2f} ({low:.2f}–{high:.2f})"


def show(rows: list[Row], *, markdown: bool) -> None:
    """Aligned, or as Markdown."""
    head = [
        "uncertain",
        "level",
        "blocks",
        "closed",
        "served kW",
        "cost $",
        "solved s",
        "linear %",
        "AC %",
        "AC alone %",
    ]
    table = [[*head, "nominal plan: linear %", "AC %", "judged s"]]
    for each in rows:
        judged = [percent(share) for share in (each.linear, each.ac, each.alone)]
        judged += [percent(share) for share in (each.deterministic_linear, each.deterministic_ac)]
        if each.samples == 1:
            judged = [f"{100.0 * share[0]:.0f} of 1 sample" for share in (each.linear, each.ac, each.alone)] + [
                "—",
                "—",
            ]
        figures = [
            f"{each.level:.0%}",
            str(each.blocks),
            str(each.closed),
            f"{each.served_kw:,.0f}",
            f"{each.cost:,.2f}",
        ]
        table.append([each.loads, *figures, f"{each.seconds:.1f}", *judged, f"{each.judging_seconds:.0f}"])
    widths = [max(len(line[k]) for line in table) for k in range(len(table[0]))]
    for number, line in enumerate(table):
        if markdown:
            print("| " + " | ".join(line) + " |")
            if number == 0:
                print("|" + "---|" * len(line))
        else:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


if __name__ == "__main__":
    main()
