"""How long a fleet takes: feeders of 100 to 200 buses, each with its own report, in several processes.

    python -m benchmarks.fleet --count 100 --workers 2 --json docs/fleet.json --markdown docs/measurements.md

The feeders are those that `benchmarks.search` generates, with 100 to 200 buses and 5 to 15 ties, as MATPOWER cases
without coordinates: so each report has its schematic sought, as it is for most files. Kernels are compiled before the
clock runs. Measured are the wall time of the command and the processor time of all its processes, of a first run and of
a second one, which finds everything finished.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import openpoint

from . import tables
from .search import generated

BUSES, TIES = (100, 200), (5, 15)


def feeder(seed: int) -> openpoint.Grid:
    """A feeder of the fleet."""
    rng = np.random.default_rng([seed, 1])
    return generated(int(rng.integers(BUSES[0], BUSES[1] + 1)), int(rng.integers(TIES[0], TIES[1] + 1)), seed)


def case_text(grid: openpoint.Grid) -> str:
    """A balanced grid of lines and loads as a MATPOWER case; MW, and impedances per unit of 10 MVA."""
    number = {name: k for k, name in enumerate(grid.buses["name"], start=1)}
    load = {bus: (p, q) for bus, p, q in grid.loads.select("bus", "p_kw", "q_kvar").iter_rows()}
    source = grid.sources["bus"][0]
    kv = float(grid.buses["vn_kv"][0])
    base = kv**2 / 10.0
    rows: dict[str, list[str]] = {"bus": [], "gen": [f"{number[source]} 0 0 100 -100 1 10 1 100 0;"], "branch": []}
    for name, k in number.items():
        p, q = load.get(name, (0.0, 0.0))
        rows["bus"].append(f"{k} {3 if name == source else 1} {p / 1e3!r} {q / 1e3!r} 0 0 1 1 0 {kv!r} 1 1.1 0.9;")
    for row in grid.lines.iter_rows(named=True):
        r, x = row["r_ohm"][0] / base, row["x_ohm"][0] / base
        ends = f"{number[row['from_bus']]} {number[row['to_bus']]}"
        rows["branch"].append(f"{ends} {r!r} {x!r} 0 0 0 0 0 0 {int(row['closed'])} -360 360;")
    blocks = [f"mpc.{key} = [\n" + "\n".join(lines) + "\n];" for key, lines in rows.items()]
    return "\n".join(
        [f"function mpc = {grid.name.replace('-', '_')}", "mpc.version = '2';", "mpc.baseMVA = 10;", *blocks]
    )


def measure(count: int, workers: int, folder: Path, time_limit_s: float) -> dict[str, Any]:
    """All figures, as they go into the JSON file."""
    grids, out = folder / "grids", folder / "results"
    grids.mkdir(parents=True, exist_ok=True)
    for seed in range(count):
        if not (file := grids / f"feeder{seed}.m").exists():
            file.write_text(case_text(feeder(seed)), encoding="utf-8")
    openpoint.reconfigure(openpoint.read("civanlar16"), method=openpoint.TopologySearch())  # compiled from here on
    runs = []
    for word in ("first", "again"):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = ["reconfigure-fleet", str(grids), "--out", str(out), "--workers", str(workers)]
        done = subprocess.run(
            [sys.executable, "-m", "openpoint", *command, "--time-limit", str(time_limit_s), "--quiet"], check=False
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = json.loads((out / "fleet.json").read_text(encoding="utf-8"))
        runs.append(
            {
                "run": word,
                "seconds": time.perf_counter() - began,
                "processor_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
                "memory_mb": after.ru_maxrss / 1024.0,
                "exit_code": done.returncode,
                **{key: found[key] for key in ("grid_count", "solved", "kept", "failed", "proven", "gap_percent")},
                **{key: found[key] for key in ("loss_before_kw", "loss_kw")},
            }
        )
    return {"count": count, "workers": workers, "time_limit_s": time_limit_s, "runs": runs}


def table(record: dict[str, Any]) -> list[list[str]]:
    """A line a run."""
    lines = [
        ["run", "grids", "proven", "greatest gap", "wall, s", "processor, s", "of a grid, s", "largest process, MB"]
    ]
    for run in record["runs"]:
        lines.append(
            [
                run["run"],
                str(run["grid_count"]),
                str(run["proven"]),
                f"{run['gap_percent']:.4f} %",
                f"{run['seconds']:.0f}",
                f"{run['processor_s']:.0f}",
                f"{run['processor_s'] / run['grid_count']:.2f}",
                f"{run['memory_mb']:.0f}",
            ]
        )
    return lines


def main() -> None:
    """Measure, and renew files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--time-limit", type=float, default=10.0, metavar="SECONDS", help="of a grid")
    parser.add_argument("--folder", type=Path, default=Path("out/fleet"), help="for the feeders and their results")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="given", help="measure nothing, read this")
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="renew the generated table of this page")
    given = parser.parse_args()
    if given.given is not None:
        record = json.loads(given.given.read_text(encoding="utf-8"))
    else:
        record = measure(given.count, given.workers, given.folder, given.time_limit)
    print(tables.aligned(table(record)))
    if given.json is not None:
        given.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if given.markdown is not None:
        page = tables.between_marks(
            given.markdown.read_text(encoding="utf-8"), tables.as_markdown(table(record)), "fleet"
        )
        given.markdown.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
