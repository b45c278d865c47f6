"""Fronts of loss and faults: the points, their gaps, and the processor time that they take.

    python -m benchmarks.secure_front [GRID …] [--front unrestorable|saidi] [--limit 60]

Every line is isolated at both of its ends. Of SAIDI each bus with a load has 100 customers, and 0.1 faults a year come
to each branch of a grid without lengths, 0.05 to each km of the others. Grids are named as for `benchmarks.secure`.
The last line of a grid says what no state has less of, as far as it is proven.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import openpoint
from benchmarks.secure import grid_named, rates_of

GRIDS = ("baran33", "1-MV-urban--0-sw", "mv_oberrhein")
COLUMNS = {"unrestorable": "unrestorable", "saidi": "saidi_h_per_year"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grids", nargs="*", metavar="GRID", help="names or files")
    parser.add_argument("--front", choices=COLUMNS, default="unrestorable", help="the figure beside the loss")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each front")
    arguments = parser.parse_args()
    openpoint.reconfigure_front("baran33", "unrestorable")  # compiles
    column = COLUMNS[arguments.front]
    print(f"| grid | {column} | loss kW | bound kW | gap | s of the front |")
    for name in arguments.grids or GRIDS:
        grid, began = grid_named(name), time.process_time()
        data: dict[str, Any] = rates_of(grid) if arguments.front == "saidi" else {}
        limit = arguments.limit
        front = openpoint.reconfigure_front(grid, arguments.front, isolate_lines=True, time_limit_s=limit, **data)
        seconds = time.process_time() - began
        for each in front.points.iter_rows(named=True):
            told = f"{each['loss_kw']:.1f} | {each['lower_bound_kw']:.1f} | {100.0 * each['gap']:.3f} %"
            print(f"| {name} | {each[column]:.4g} | {told} | {seconds:.1f} |", flush=True)
        print(f"{name}: {front.termination}; {'; '.join(front.notes)}")


if __name__ == "__main__":
    main()
