"""A year in months: energy lost, bound, and the time that it takes, over the number of switch operations.

    python -m benchmarks.year_blocks [GRID …] [--year synthetic-hours] [--blocks monthly] [--most 0,4,12,any]
                                     [--gap 1e-4] [--limit 300]

Columns are the most operations and those done, topologies, energy lost and its bound in MWh, the gap, and processor
seconds of the whole call without compiling. The limit is wall time.
"""

from __future__ import annotations

import argparse
import time

from benchmarks.year import GRIDS, parser_of  # first, since it sets the number of threads

import openpoint  # isort: skip
import polars as pl  # isort: skip


def main() -> None:
    arguments = _arguments()
    small = pl.DataFrame({"hours": [4000.0, 4760.0], "all": [0.5, 0.9]})
    openpoint.reconfigure_seasons("civanlar16", small, 2)  # compiles
    print("| grid | most | done | topologies | answer MWh | bound MWh | gap | s |")
    for name in arguments.grids or GRIDS:
        for most in arguments.most.split(","):
            print(_row(name, most, arguments), flush=True)


def _row(name: str, most: str, arguments: argparse.Namespace) -> str:
    began = time.process_time()
    found = openpoint.reconfigure_seasons(
        name,
        arguments.year,
        arguments.blocks,
        switchings_a_year=None if most == "any" else int(most),
        method=openpoint.TopologySearch(gap=arguments.gap, time_limit_s=arguments.limit),
    )
    seconds = time.process_time() - began
    lost = "–" if found.energy_mwh is None else f"{found.energy_mwh:,.3f}"
    return (
        f"| {name} | {most} | {found.operations} | {found.topologies} | {lost} | {found.energy_bound_mwh:,.3f} | "
        f"{100.0 * found.gap:.4f} % | {seconds:.1f} |"
    )


def _arguments() -> argparse.Namespace:
    parser = parser_of(__doc__, "synthetic-hours")
    parser.add_argument("--blocks", default="monthly", help="as of the command")
    parser.add_argument("--most", default="0,4,12,any", help="numbers of operations, comma-separated")
    return parser.parse_args()


if __name__ == "__main__":
    main()
