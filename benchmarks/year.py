"""One topology for a year: energy lost, bound, and the time that it takes.

    python -m benchmarks.year [GRID …] [--year synthetic-quarters] [--gap 1e-4] [--limit 300]

Columns are the energy lost today and in the answer in MWh, the gap, nodes of the search, processor seconds of the
whole call without compiling, and of the power flow of one topology in all steps, the median of three.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import openpoint
from openpoint.studies.reconfigure.options import ReconfigureYearOptions
from openpoint.studies.reconfigure.year.study import year_of

GRIDS = ("baran33", "das70", "zhang118", "mantovani136")


def main() -> None:
    arguments = parser_of(__doc__, "synthetic-quarters").parse_args()
    openpoint.reconfigure_year("civanlar16", "synthetic-hours")  # compiles
    print("| grid | steps | today MWh | answer MWh | bound MWh | gap | nodes | s | one topology s |")
    for name in arguments.grids or GRIDS:
        print(_row(name, arguments), flush=True)


def _row(name: str, arguments: argparse.Namespace) -> str:
    grid = openpoint.read(name)
    options = ReconfigureYearOptions(arguments.year, gap=arguments.gap, time_limit_s=arguments.limit)
    began = time.process_time()
    prepared = year_of("reconfigure-year", grid, options, options.year)
    found = prepared.solve()
    seconds = time.process_time() - began
    flows = []
    for _ in range(3):
        began = time.process_time()
        prepared.task.flows(grid.branches()["closed"].to_numpy())
        flows.append(time.process_time() - began)
    lost = " | ".join(
        "–" if mwh is None else f"{mwh:,.2f}"
        for mwh in (found.energy_before_mwh, found.energy_mwh, found.energy_bound_mwh)
    )
    nodes = found.iterations["verdict"][-1].partition(" nodes")[0]
    return (
        f"| {name} | {found.steps_count:,} | {lost} | {100.0 * found.gap:.4f} % | {nodes} | {seconds:.1f} | "
        f"{statistics.median(flows):.2f} |"
    )


def parser_of(description: str | None, year: str) -> argparse.ArgumentParser:
    """The arguments of a measurement of years; `year`: the one that is measured by default."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grids", nargs="*", metavar="GRID", help="names or files")
    parser.add_argument("--year", default=year, help="a built-in year or tables")
    parser.add_argument("--gap", type=float, default=1e-4)
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for each run")
    return parser


if __name__ == "__main__":
    main()
