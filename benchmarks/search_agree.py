"""Whether the topology search answers as brute force does, and no bound is too high, on random grids counted by seed.

    python -m benchmarks.search_agree [--hundreds 13] [--first 0]

The grids are those of tests/search/test_many_grids.py, which has the first fifty. Exit status 1: a fault.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from tests.search.test_many_grids import compare


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hundreds", type=int, default=13)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    wrong, seen = 0, Counter[str]()
    for first in range(options.first, options.first + 100 * options.hundreds, 100):
        try:
            seen += compare(first, 100)
        except AssertionError as error:
            wrong += 1
            print(f"grids {first} to {first + 99}: {error}")
    print(f"{100 * options.hundreds} grids, {wrong} hundreds with faults;", dict(seen))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
