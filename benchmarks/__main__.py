"""Speed of openpoint next to other solvers, measured in the same run on the same machine.

    python -m benchmarks                                   everything on all built-in grids
    python -m benchmarks --quick                           small grids, two minutes
    python -m benchmarks --cases my_grid.m das70           files, folders and names of built-in grids
    python -m benchmarks --cases zhang118 --methods benders --time-limit 600 --json docs/results.json --merge
    python -m benchmarks.hardening --help                  problems and methods of hardening alone
    python -m benchmarks.partition --help                  microgrids alone
    python -m benchmarks --from docs/results.json --markdown docs/results.md

Kernels are compiled before any clock runs. Everybody gets one core. SCIP is given the very model that Benders
decomposes, compiled by the same code, and stops at half the gap so that its verified AC loss is within the gap.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

# Before numpy is imported: one core for everybody, whatever the linear algebra underneath would take.
os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
)

import openpoint
from openpoint.errors import OpenpointError

from . import hardening, partition, reconfiguration, tables, timing

METHODS = ("search", "benders", "plain", "scip", "powerflow", "hardening", "partition")
QUICK = ("civanlar16", "baran33")


def main() -> int:
    arguments = _arguments()
    if arguments.source:
        record = json.loads(Path(arguments.source).read_text(encoding="utf-8"))
    else:
        try:
            record = _measured(arguments)
        except OpenpointError as error:
            _tell(f"error: {error}")
            return 2
    found = tables.sections(record) + (partition.sections(record["partition"]) if "partition" in record else [])
    for title, table in found:
        print(f"\n{title}\n{tables.aligned(table)}")
    print(f"\n{tables.where(record)}")
    if arguments.json:
        _write(arguments.json, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    if arguments.markdown:
        page = Path(arguments.markdown)
        _write(arguments.markdown, tables.put_into(page.read_text("utf-8") if page.exists() else "", record))
    return 0


def _measured(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for, with what the JSON file held before where --merge says so."""
    limit = arguments.time_limit
    balanced = openpoint.cases().filter(phases="1")["name"]
    plain = [name for name in balanced if openpoint.read(name).generators.is_empty()]
    cases = arguments.cases or (QUICK if arguments.quick else plain)
    rows = reconfiguration.measure(
        cases,
        gap=arguments.gap,
        time_limit_s=limit,
        scip_time_limit_s=limit if arguments.scip_time_limit is None else arguments.scip_time_limit,
        plain_time_limit_s=min(limit, arguments.plain_time_limit),
        methods=arguments.methods,
        limits=not arguments.no_limits,
        tell=_tell,
    )
    record: dict[str, Any] = {"machine": timing.machine(), "reconfiguration": [row.as_dict() for row in rows]}
    if "powerflow" in arguments.methods:
        record["powerflow"] = _powerflow(100 if arguments.quick else 1000)
    if "hardening" in arguments.methods:
        problems = hardening.QUICK if arguments.quick else hardening.PROBLEMS
        most = arguments.hardening_time_limit or (15.0 if arguments.quick else 450.0)
        record["hardening"] = hardening.measure(problems, hardening.METHODS, gap=0.01, time_limit_s=most, tell=_tell)
    if "partition" in arguments.methods:
        most = min(limit, 60.0)
        record["partition"] = partition.measure(partition.PARTS, quick=arguments.quick, time_limit_s=most, tell=_tell)
    old = Path(arguments.json) if arguments.json and arguments.merge else None
    return _merged(json.loads(old.read_text("utf-8")), record) if old is not None and old.exists() else record


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """What is new takes the place of what it repeats; the order of the old file is kept."""
    rows = {(row["grid"], row["method"]): row for row in [*old["reconfiguration"], *new["reconfiguration"]]}
    both = {**old, **new, "reconfiguration": list(rows.values())}
    if "hardening" in new:
        both["hardening"] = hardening.merged(old.get("hardening"), new["hardening"])
    return both


def _powerflow(count: int) -> dict[str, Any] | None:
    try:
        from . import powerflow
    except ImportError as error:
        _tell(f"power flow left out: {error.name} is not installed")
        return None
    _tell("power flow, next to power-grid-model and pandapower")
    return powerflow.run(count)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", metavar="GRID", help="default: all balanced built-in grids")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, help="default: all")
    parser.add_argument("--gap", type=float, default=1e-4, help="relative gap of every method (default 1e-4)")
    parser.add_argument(
        "--time-limit", type=_seconds, default=None, metavar="S", help="per grid and method (default 120)"
    )
    parser.add_argument("--scip-time-limit", type=_seconds, metavar="S", help="of SCIP, if another")
    parser.add_argument("--plain-time-limit", type=_seconds, default=20.0, metavar="S", help="of the plain master (20)")
    parser.add_argument(
        "--hardening-time-limit", type=_seconds, metavar="S", help="of hardening, per problem and method (default 450)"
    )
    parser.add_argument("--no-limits", action="store_true", help="leave voltage and current limits of the grids out")
    parser.add_argument("--quick", action="store_true", help="small grids and short limits")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--merge", action="store_true", help="keep what FILE holds of other grids and methods")
    parser.add_argument("--from", dest="source", metavar="FILE", help="measure nothing, show the figures of this file")
    parser.add_argument("--markdown", metavar="PAGE", help="renew the generated tables of this page")
    arguments = parser.parse_args()
    if arguments.time_limit is None:
        arguments.time_limit = 30.0 if arguments.quick else 120.0
    return arguments


def _seconds(text: str) -> float:
    value = float(text)
    if not value >= 0.0:
        raise argparse.ArgumentTypeError("give seconds, 0 or more")
    return value


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _write(path: str, text: str) -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    _tell(f"written: {path}")


if __name__ == "__main__":
    sys.exit(main())
