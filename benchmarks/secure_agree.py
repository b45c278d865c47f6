"""Restoration of `openpoint secure` against every radial state after every fault of random grids.

    python -m benchmarks.secure_agree --count 300 [--first 0]

The grids are those of the tests: stations, switches at ends, customers, permanently closed loops. Prints every
difference, and at the end how many faults were restorable by what.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

from tests.studies.secure.test_study import check, check_closings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, help="how many grids")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    differences = 0
    for seed in range(arguments.first, arguments.first + arguments.count):
        try:
            check(seed)
            counts.update(check_closings(seed))
        except AssertionError as error:
            differences += 1
            print(f"grid {seed}: {error}", flush=True)
    print(f"{arguments.count} grids, {differences} with differences;", dict(counts))


if __name__ == "__main__":
    main()
