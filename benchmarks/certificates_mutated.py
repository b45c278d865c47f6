"""Mutated certificates through the checker: nothing false is accepted, and nothing ends in an internal error.

    python -m benchmarks.certificates_mutated --count 200000 --seed 0 --each 6

Certificates of small random grids of all kinds (`tests.builders.certified`), with one to three typed changes each
(`tests.builders.mutations`), a third of them with a higher bound from the start. What is accepted is compared with the
value of the best state. Prints a running tally in one line, and a line a kind at the end; the exit code is 1 where
anything is wrong.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
import warnings
from collections import defaultdict
from pathlib import Path

from tests.builders.mutants import Tally, originals, tried


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="mutants in all")
    parser.add_argument("--each", type=int, default=4, help="certificates of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so many")
    parser.add_argument("--kinds", nargs="*", default=[])
    asked = parser.parse_args()
    warnings.simplefilter("error")
    tallies, seconds = defaultdict[str, Tally](Tally), defaultdict[str, float](float)
    begun, worst = time.monotonic(), 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = list(originals(folder, asked.each, tuple(asked.kinds)))
        print(f"{len(made)} certificates", flush=True)
        for number in range(asked.count):
            if time.monotonic() - begun > asked.seconds:
                break
            of, before = made[number % len(made)], time.process_time()
            tally = tallies[of.kind]
            tried([asked.seed, number], of, made, folder / "mutant", tally)
            took = time.process_time() - before
            worst, seconds[of.kind] = max(worst, took), seconds[of.kind] + took
            if number % 100 == 99:
                wrong = sum(len(t.wrong) for t in tallies.values())
                rate = (number + 1) / (time.monotonic() - begun)
                print(f"\r{number + 1:,} mutants, {wrong} wrong, {rate:.0f} a second", end="", flush=True)
    print(f"\n{'kind':12} {'mutants':>9} {'accepted':>9} {'ms each':>8} {'wrong':>6}")
    for kind, t in tallies.items():
        each = 1e3 * seconds[kind] / max(t.mutants, 1)
        print(f"{kind:12} {t.mutants:9,} {t.accepted:9,} {each:8.2f} {len(t.wrong):6}")
    total, every = sum(t.mutants for t in tallies.values()), [w for t in tallies.values() for w in t.wrong]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"in all {total:,}; the slowest took {worst:.2f} s; at most {memory:,.0f} MB; wrong: {len(every)}")
    print("\n".join(every[:50]))
    return 1 if every else 0


if __name__ == "__main__":
    raise SystemExit(main())
