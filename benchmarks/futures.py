"""What planning for many futures buys over planning for their mean, tested in futures that nobody planned for.

    python -m benchmarks.futures                                     all grids and studies
    python -m benchmarks.futures --quick                             one small grid, few futures
    python -m benchmarks.futures --cases baran33 --studies solar80 --json docs/futures.json --merge
    python -m benchmarks.futures --from docs/futures.json --markdown docs/measurements.md

Each study draws futures with one seed, finds the topology with the least risk of loss, and tests it, today's topology
and the best one for the mean future alone by futures drawn with another seed. Every figure is an exact AC power flow.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import polars as pl

import openpoint
from openpoint import Benders, CVaR, Expectation, Growth, Limits, WorstCase, grow
from openpoint.twostage.risk import Risk

from .tables import aligned, as_markdown, between_marks, number, where
from .timing import machine

CASES = ("civanlar16", "baran33", "das70")
SEEDS = (1, 2)
"""Of the futures planned for, and of those to test in."""
NONE = Limits(voltage=False, current=False, v_max_pu=1.2)
"""No limits but one that nothing reaches: where buses feed back, the proof needs some upper bound of voltages."""


@dataclass(frozen=True)
class Study:
    """What is assumed and asked.

    Attributes:
        growth: of the futures. risk: that is minimised. limits: that are kept in `share` of the futures.
        told: the same in words.
    """

    growth: Growth
    told: str
    risk: Risk = field(default_factory=Expectation)
    limits: Limits = NONE
    share: float = 1.0


BAND = Limits(v_min_pu=0.9, v_max_pu=1.05, current=False)
UNEVEN = Growth(pv_adoption=0.5, adoption_spread_bus=0.6)
SUNNY = Growth(pv_adoption=0.8)
STUDIES = {
    "moderate": Study(Growth(), "15 % have solar panels"),
    "solar": Study(Growth.solar(), "50 % have solar panels"),
    "uneven": Study(UNEVEN, "50 % have solar panels, very unevenly over the buses"),
    "solar80": Study(SUNNY, "80 % have solar panels"),
    "solar80-worst": Study(SUNNY, "80 %, worst case", risk=WorstCase()),
    "solar80-cvar": Study(SUNNY, "80 %, mean of the worst tenth", risk=CVaR(0.9)),
    "solar80-band": Study(SUNNY, "80 %, 0.90 to 1.05 pu in half of the futures", limits=BAND, share=0.5),
}


@dataclass(frozen=True)
class Row:
    """One study on one grid; figures by topology (`before`, `mean`, `after`) in the futures of the sample.

    Attributes:
        grid, study: names. told: the study in words.
        planned, sample: numbers of futures. termination, gap, seconds: of the answer.
        opened: open branches. expected_kw, worst_kw: losses. kept: share of the futures in which the limits hold.
        v_lowest_pu, v_highest_pu: in any future. planned_kw: expected loss in the futures planned for.
        better: share of the futures of the sample in which the answer loses less than the mean future's topology.
    """

    grid: str
    study: str
    told: str
    planned: int
    sample: int
    termination: str
    gap: float
    seconds: float
    opened: dict[str, list[str]]
    expected_kw: dict[str, float | None]
    worst_kw: dict[str, float | None]
    kept: dict[str, float]
    v_lowest_pu: dict[str, float | None]
    v_highest_pu: dict[str, float | None]
    planned_kw: dict[str, float | None]
    better: float | None
    note: str = ""

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Row:
        """A row of the JSON file."""
        return cls(**{item.name: data[item.name] for item in fields(cls)})


def measure(case: str, name: str, *, planned: int, sample: int, gap: float, time_limit_s: float) -> Row:
    """One study on one grid."""
    study, grid = STUDIES[name], openpoint.read(case)
    result = openpoint.reconfigure_futures(
        grid,
        grow(grid, count=planned, seed=SEEDS[0], growth=study.growth),
        sample=grow(grid, count=sample, seed=SEEDS[1], growth=study.growth),
        risk=study.risk,
        limits=study.limits,
        limits_share=study.share,
        method=Benders(gap=gap, time_limit_s=time_limit_s),
    )
    judged = {row["topology"]: row for row in result.plans.filter(set="sample").iter_rows(named=True)}
    mine = {row["topology"]: row for row in result.plans.filter(set="planned").iter_rows(named=True)}
    opened = {"before": result.open_before, "mean": result.open_mean, "after": result.open_branches}
    better = None
    if set(result.open_mean) != set(result.open_branches) and {"mean", "after"} <= set(judged):
        better = result.sample.filter(pl.col("loss_after_kw") < pl.col("loss_mean_kw")).height / sample
    return Row(
        grid=case,
        study=name,
        told=study.told,
        planned=planned,
        sample=sample,
        termination=result.termination.value,
        gap=result.gap,
        seconds=result.seconds,
        opened={key: list(names) for key, names in opened.items()},
        expected_kw={key: row["loss_expected_kw"] for key, row in judged.items()},
        worst_kw={key: row["loss_worst_kw"] for key, row in judged.items()},
        kept={key: row["limits_kept_share"] for key, row in judged.items()},
        v_lowest_pu={key: row["v_lowest_pu"] for key, row in judged.items()},
        v_highest_pu={key: row["v_highest_pu"] for key, row in judged.items()},
        planned_kw={key: row["loss_expected_kw"] for key, row in mine.items()},
        better=better,
        note="; ".join(result.notes),
    )


def losses_table(rows: Sequence[Row]) -> list[list[str]]:
    """Mean and worst loss of the three topologies, and what the answer saves."""
    table = [["grid", "futures", "today", "mean future's", "answer", "saved", "worst: mean future's", "answer", "gap"]]
    for row in rows:
        mean, after = row.expected_kw.get("mean"), row.expected_kw.get("after")
        same = set(row.opened["mean"]) == set(row.opened["after"])
        saved = "the same" if same else "–"
        if not same and mean is not None and after is not None:
            saved = f"{100.0 * (mean - after) / mean:.1f} %, in {100.0 * (row.better or 0.0):.1f} %"
        figures = [number(row.expected_kw.get(key), 1) for key in ("before", "mean", "after")]
        worst = [number(row.worst_kw.get(key), 1) for key in ("mean", "after")]
        table.append([row.grid, row.told, *figures, saved, *worst, f"{100.0 * row.gap:.2f} %"])
    return table


def voltage_table(rows: Sequence[Row]) -> list[list[str]]:
    """Lowest and highest voltage of the three topologies in any future, and how often limits hold if there are any."""
    table = [["grid", "futures", "", "today", "mean future's", "answer"]]
    for row in rows:
        keys = ("before", "mean", "after")
        ends = [
            f"{number(row.v_lowest_pu.get(key), 3)} … {number(row.v_highest_pu.get(key), 3)}"
            if key in row.kept
            else "–"
            for key in keys
        ]
        table.append([row.grid, row.told, "lowest … highest, pu", *ends])
        if STUDIES[row.study].limits != NONE:
            kept = [f"{100.0 * row.kept[key]:.1f} %" if key in row.kept else "–" for key in keys]
            table.append([row.grid, row.told, "limits hold", *kept])
    return table


def sections(record: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """Title and table of what was measured."""
    rows = [Row.from_dict(row) for row in record["rows"]]
    size = f"{rows[0].planned} futures planned for, {rows[0].sample} others to test in" if rows else ""
    return [
        (f"Losses in kW ({size})", losses_table(rows)),
        ("Voltages in the futures to test in", voltage_table(rows)),
    ]


def put_into(text: str, record: dict[str, Any]) -> str:
    """A page with the study between its marks renewed."""
    parts = [f"### {title}\n\n{as_markdown(table)}" for title, table in sections(record)]
    return between_marks(text, "\n\n".join([*parts, where(record)]), "futures")


def main() -> int:
    arguments = _arguments()
    if arguments.source:
        record = json.loads(Path(arguments.source).read_text(encoding="utf-8"))
    else:
        record = {"machine": machine(), "rows": []}
        old = Path(arguments.json) if arguments.json and arguments.merge else None
        kept = json.loads(old.read_text("utf-8"))["rows"] if old is not None and old.exists() else []
        found = {(row["grid"], row["study"]): row for row in kept}
        for case in arguments.cases:
            for name in arguments.studies:
                print(f"{case}, {name}", file=sys.stderr, flush=True)
                limit = arguments.time_limit
                counts = {"planned": arguments.planned, "sample": arguments.sample}
                row = measure(case, name, **counts, gap=arguments.gap, time_limit_s=limit)
                found[case, name] = asdict(row)
        order = [(case, name) for case in dict.fromkeys([*CASES, *arguments.cases]) for name in STUDIES]
        record["rows"] = [found[key] for key in order if key in found]
        if arguments.json:
            Path(arguments.json).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for title, table in sections(record):
        print(f"\n{title}\n{aligned(table)}")
    print(f"\n{where(record)}")
    if arguments.markdown:
        page = Path(arguments.markdown)
        page.write_text(put_into(page.read_text(encoding="utf-8"), record), encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.futures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", metavar="GRID", help=f"default: {' '.join(CASES)}")
    parser.add_argument("--studies", nargs="+", choices=list(STUDIES), default=list(STUDIES), help="default: all")
    parser.add_argument("--planned", type=int, metavar="N", help="futures planned for (default 200)")
    parser.add_argument("--sample", type=int, metavar="N", help="futures to test in (default 1000)")
    parser.add_argument("--gap", type=float, default=1e-3, help="relative gap of every answer (default 1e-3)")
    parser.add_argument("--time-limit", type=float, default=180.0, metavar="S", help="of every answer (default 180)")
    parser.add_argument("--quick", action="store_true", help="one small grid, 20 futures planned for, 100 to test in")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--merge", action="store_true", help="keep what FILE holds of other grids and studies")
    parser.add_argument("--from", dest="source", metavar="FILE", help="measure nothing, show the figures of this file")
    parser.add_argument("--markdown", metavar="PAGE", help="renew the generated study of this page")
    arguments = parser.parse_args()
    arguments.cases = arguments.cases or (CASES[:1] if arguments.quick else CASES)
    arguments.planned = arguments.planned or (20 if arguments.quick else 200)
    arguments.sample = arguments.sample or (100 if arguments.quick else 1000)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
