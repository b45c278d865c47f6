"""Whether the path bound is a bound, on random small grids beside all their radial states.

    python -m benchmarks.paths_agree [--count 1000] [--first 0]

Of every grid for which it holds, random nodes (states of branches and of paths) are bounded at random multipliers, and
no bound may lie above the best completion, nor one with what random parts of the paths add to it, nor one by random
parts with random prices and trees of the checker of certificates, about random flows. Then the search with
both bounds runs with cutoffs above the optimum that it does not lower, and has to come to every state below them. Exit
status 1: a fault.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from tests.builders.random_parts import faults_of_checked_parts
from tests.search.paths.agree import case_of, faults, faults_of_parts, lost
from tests.search.random_grids import random_grid

KINDS = [(), ("locks",), ("stiff",), ("ratings", "low", "locks")]
NODES = 8
SHARES = (1e-4, 0.05, 0.5)
EVERY = 100
"""How many grids lie between two lines of progress."""


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    grids = states = bounds = wrong = 0
    for seed in range(options.first, options.first + options.count):
        rng = np.random.default_rng([seed, 16])
        network = random_grid(rng, KINDS[seed % len(KINDS)])
        case = case_of(network, change_cost=1e-3 * (seed % 3 == 0))
        if case is not None:
            more, found = faults(case, rng, NODES)
            by_parts, too_high = faults_of_parts(case, rng, NODES)
            checked, beyond = faults_of_checked_parts(network, rng, NODES)
            more, found = more + by_parts + checked, found + too_high + beyond
            found += [f"{some} states lost at {share:g}" for share in SHARES if (some := lost(case, share))]
            grids, states, bounds, wrong = grids + 1, states + len(case.closed), bounds + more, wrong + len(found)
            for fault in found:
                print(f"grid {seed}: {fault}")
        if (seed + 1) % EVERY == 0:
            print(f"{grids} grids, {states:,} states, {bounds:,} bounds, {wrong} faults", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
