"""Whether the topology search for many futures agrees with all radial states, on random small grids under every risk.

    python -m benchmarks.futures_agree [--count 300] [--first 0]

Of every grid all radial states are evaluated by exact power flows in all futures (`tests.search.random_futures`): with
and without generation, shunts, ratios, limits, few changes; expectation, worst case, conditional value at risk, regret
and three ambiguity sets. The search must find the best value and prove it to the gap. At random nodes, at random and at
improved multipliers, no bound may exceed the best completion. Exit status 1: a fault.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import Counter

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np

from openpoint.errors import OptionError
from openpoint.search.futures.search import search_futures
from openpoint.twostage.deadline import Deadline
from tests.search.random_futures import random_task
from tests.search.test_futures import bounds_at_random_nodes, wrong

NODES = 20
"""Random nodes of each grid."""


def main() -> int:
    """Run the comparison and print what it found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    counts, faults = Counter[str](), 0
    for seed in range(asked.first, asked.first + asked.count):
        task, states, risk = random_task(seed)
        try:
            built = task.built()
        except OptionError:
            counts["refused"] += 1
            continue
        values = task.evaluate(states).objective if len(states) else np.zeros(0)
        none = np.zeros((0, task.network.n_conductors), dtype=np.bool_)
        found = search_futures(task, gap=1e-6, deadline=Deadline(), starts=none, built=built)
        best = float(values.min(initial=math.inf))
        told = [*wrong(found, best), *bounds_at_random_nodes(task, states, values, seed, NODES)]
        counts[risk] += 1
        counts["states"] += len(states)
        counts["nodes searched"] += found.nodes
        counts["infeasible"] += math.isinf(best)
        faults += bool(told)
        for text in told:
            print(f"seed {seed}, {risk}: {text}", flush=True)
    print(", ".join(f"{name} {count:,}" for name, count in counts.items()))
    print(f"{faults} grids with a fault")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
