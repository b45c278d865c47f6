"""Fronts of loss and unrestorable faults: the points, their gaps, and the processor time that they take.

    python -m benchmarks.secure_front [GRID …] [--limit 60]

Every line is isolated at both of its ends. Grids are named as for `benchmarks.secure`.
"""

from __future__ import annotations

import argparse
import time

import openpoint
from benchmarks.secure import grid_named

GRIDS = ("baran33", "1-MV-urban--0-sw", "mv_oberrhein")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grids", nargs="*", metavar="GRID", help="names or files")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each front")
    arguments = parser.parse_args()
    openpoint.reconfigure_front("baran33", "unrestorable")  # compiles
    print("| grid | unrestorable | loss kW | bound kW | gap | s of the front |")
    for name in arguments.grids or GRIDS:
        grid, began = grid_named(name), time.process_time()
        front = openpoint.reconfigure_front(grid, "unrestorable", isolate_lines=True, time_limit_s=arguments.limit)
        seconds = time.process_time() - began
        for each in front.points.iter_rows(named=True):
            told = f"{each['loss_kw']:.1f} | {each['lower_bound_kw']:.1f} | {100.0 * each['gap']:.3f} %"
            print(f"| {name} | {each['unrestorable']} | {told} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
