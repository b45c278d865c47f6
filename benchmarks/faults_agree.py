"""Faults as limits and objectives of `openpoint reconfigure` against every radial state of random grids.

    python -m benchmarks.faults_agree --count 300 [--first 0]

The grids are those of the tests: stations, switches at ends, customers, at most 10 buses. On each the compiled
evaluation of every radial state is compared with the model of `openpoint secure`, the bounds at random partial states
with all completions, and the least loss, SAIFI, SAIDI and ENS under each kind of limit with the best of all states.
Prints every difference, and at the end how many grids, states and optima there were.
"""

from __future__ import annotations

import argparse
import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np

from tests.builders.fault_tasks import fault_case
from tests.studies.reconfigure.faults.test_study import check_bounds, check_figures, check_optima


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, help="how many grids")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    arguments = parser.parse_args()
    grids, states, optima, different, seed = 0, 0, 0, 0, arguments.first
    while grids < arguments.count:
        case = fault_case(seed)
        if case is not None:  # today's state does not stay meshed
            grids, states = grids + 1, states + len(case.states)
            try:
                check_figures(case)
                check_bounds(case, np.random.default_rng(seed))
                optima += check_optima(case)
            except AssertionError as error:
                different += 1
                print(f"grid {seed}: {error}", flush=True)
        seed += 1
    print(f"{grids} grids, {states} radial states, {optima} optima; {different} grids with differences")


if __name__ == "__main__":
    main()
