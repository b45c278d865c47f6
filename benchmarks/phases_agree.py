"""Whether searches of grids of phases answer as enumeration does, and nothing that they prove is false.

    python -m benchmarks.phases_agree [--each 120] [--first 0] [--kinds power,feeder]

Of random unbalanced grids of every kind (`tests.search.phases.agree`) all radial states are tried: power flows are
compared with OpenDSS, bounds of partial states with the best completion, the answer of the search with enumeration by
OpenDSS. Both checkers read its certificate, and changed ones, which may prove no more than is true; a grid of one phase
has the loss of the balanced grid. Exit status 1: a fault.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.search.phases.agree import KINDS, Tally, compare

from . import tables

HEAD = ["kind", "grids", "left out", "states", "flows", "bounds", "certificates", "changed", "refused", "faults"]


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=120, help="grids of a kind (default 120, a thousand in all)")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(KINDS))
    given = parser.parse_args()
    tallies = {kind: Tally() for kind in given.kinds.split(",")}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(given.first, given.first + given.each):
            for kind, tally in tallies.items():
                before = len(tally.wrong)
                compare(kind, seed, Path(folder), tally)
                print(*tally.wrong[before:], sep="\n", end="\n" if tally.wrong[before:] else "", flush=True)
            print(f"\r{seed + 1 - given.first} of {given.each} seeds", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(tables.aligned([HEAD, *([kind, *tally.cells()] for kind, tally in tallies.items())]))
    return int(any(tally.wrong for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
