"""Faults and restoration: verdicts today and in the state of least loss, and the time that they take.

    python -m benchmarks.secure [GRID …] [--limit 20]
    python -m benchmarks.secure [GRID …] --switchings 3 [--isolate-lines] [--limit 300]
    python -m benchmarks.secure [GRID …] --restorable today [--isolate-lines] [--limit 60]

Grids are names of built-in ones, files, or names of grids of pandapower and simbench; default: some of each. Columns
are the loss in kW, the faults by verdict, and processor seconds, the median of three. With `--switchings` they are the
faults of today's state by what restores their supply, any switching among it. With `--restorable` they are the least
loss with limits of faults, its bound and gap, unrestorable faults, and processor seconds of one run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import openpoint
from openpoint.grid.grid import Grid
from openpoint.io.pandapower.read import grid_from_text
from openpoint.studies.secure.result import RESTORABLE, VERDICTS

GRIDS = (
    "baran33",
    "mantovani136",
    "mv_oberrhein",
    *(f"1-MV-{name}--0-sw" for name in ("urban", "rural", "semiurb", "comm")),
)
SECURED = ("mv_oberrhein", "1-MV-urban--0-sw")


def main() -> None:
    arguments = _arguments()
    if arguments.switchings:
        print("| grid |", " | ".join(RESTORABLE), "| by closings | s |")
        for name in arguments.grids or GRIDS:
            print(_beyond_ties(name, arguments), flush=True)
        return
    if arguments.restorable:
        openpoint.reconfigure_secure("baran33", restorable="today")  # compiles
        print("| grid | loss kW | bound kW | gap | unrestorable | s |")
        for name in arguments.grids or SECURED:
            print(_secured(name, arguments), flush=True)
        return
    print("| grid | state | loss kW |", " | ".join(VERDICTS), "| s |")
    for name in arguments.grids or GRIDS:
        grid = grid_named(name)
        best = openpoint.reconfigure(grid, method=openpoint.TopologySearch(time_limit_s=arguments.limit)).grid_after
        for word, each in (("today", grid), ("least loss", best)):
            if each is not None:
                print(_row(name, word, each), flush=True)


def _row(name: str, word: str, grid: Grid) -> str:
    seconds = []
    for _ in range(3):
        began = time.process_time()
        result = openpoint.secure(grid)
        seconds.append(time.process_time() - began)
    counts = " | ".join(str(count) for count in result.counts.values())
    return f"| {name} | {word} | {result.loss_kw:.1f} | {counts} | {statistics.median(seconds):.3f} |"


def _beyond_ties(name: str, arguments: argparse.Namespace) -> str:
    grid, began = grid_named(name), time.process_time()
    result = openpoint.secure(
        grid,
        switchings=arguments.switchings,
        any_switching=True,
        time_limit_s=arguments.limit,
        isolate_lines=arguments.isolate_lines,
    )
    seconds = time.process_time() - began
    counts = " | ".join(str(count) for count in result.restorable_counts.values())
    closings = result.switchings["closings"].value_counts().sort("closings").iter_rows()
    return f"| {name} | {counts} | {', '.join(f'{n} by {k}' for k, n in closings)} | {seconds:.1f} |"


def _secured(name: str, arguments: argparse.Namespace) -> str:
    grid, began = grid_named(name), time.process_time()
    given = arguments.restorable
    result = openpoint.reconfigure_secure(
        grid,
        restorable=given if given == "today" else int(given),
        isolate_lines=arguments.isolate_lines,
        gap=1e-4,
        time_limit_s=arguments.limit,
    )
    seconds = time.process_time() - began
    told = f"{result.loss_kw:.1f} | {result.lower_bound_kw:.1f} | {100.0 * result.gap:.3f} %"
    return f"| {name} | {told} | {result.after.unrestorable} | {seconds:.1f} |"


def rates_of(grid: Grid) -> dict[str, Any]:
    """Reliability data for any grid: 100 customers where there is load, faults by km, or by branch without lengths."""
    buses = grid.loads["bus"].unique().to_list()
    customers = {"bus": buses, "customers": [100] * len(buses)}
    has_lengths = bool((grid.lines["length_km"].fill_null(0.0) > 0.0).any())
    rate = {"failures": {"km": 0.05} if has_lengths else {"branch": 0.1}}
    return {"reliability": openpoint.Reliability.of(customers), **rate}


def grid_named(name: str) -> Grid:
    """A built-in grid, a file, or a grid of pandapower or simbench."""
    try:
        return openpoint.read(name)
    except openpoint.InputError:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pandapower
            import pandapower.networks
            import simbench

            made = getattr(pandapower.networks, name, None)
            net = made() if made is not None else simbench.get_simbench_net(name)
            return grid_from_text(pandapower.to_json(net), f"{name}.json")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grids", nargs="*", metavar="GRID", help="names or files")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for the state of least loss, or in all")
    parser.add_argument("--switchings", type=int, default=0, metavar="K", help="K closings and any switching instead")
    parser.add_argument("--restorable", metavar="today|N", help="least loss with these limits of faults instead")
    help_text = "isolate every line, with --switchings and --restorable"
    parser.add_argument("--isolate-lines", action="store_true", help=help_text)
    return parser.parse_args()


if __name__ == "__main__":
    main()
