"""Whether the fast checker and the reference checker agree on mutated certificates.

    python -m benchmarks.checkers_agree [--count 20000] [--each 100] [--seed 0] [--kinds plain,parts] [--left FOLDER]

Certificates of small random grids of every kind are written; both checkers have to accept them, and of each so many
typed mutations both have to say the same; a running tally is printed in one line. Exit status 1: they disagree, or a
checker ends otherwise. What they disagree on is left in a folder, with its problem file.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from openpoint.verify import reference
from openpoint.verify.question import problem_text
from tests.builders.agreement import both, by_rounding
from tests.builders.certified import KINDS, certified
from tests.builders.mutations import mutated, pieces_of, text_of


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the first certificates")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--left", type=Path, default=Path("out/checkers"))
    options = parser.parse_args()
    tried: Counter[str] = Counter()
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for seed in itertools.count(options.seed):
            for kind in options.kinds.split(","):
                _compare(kind, seed, options, Path(folder), tried)
            if tried["mutated"] >= options.count:
                break
    print(
        "\n" + ", ".join(f"{count:,} {what}" for what, count in tried.items()),
        f"in {time.process_time() - begun:.0f} s",
    )
    return 1 if tried["disagreements"] else 0


def _compare(kind: str, seed: int, options: argparse.Namespace, folder: Path, tried: Counter[str]) -> None:
    left: Path = options.left
    case = certified(kind, seed, folder)
    if case is None:
        return
    question, text = case
    problem = reference.Problem(problem_text(question))  # type: ignore[no-untyped-call]
    pieces = pieces_of(text)
    tried["certificates"] += 1
    found = both(question, text, folder / "mutated", problem)
    if found.fast is not None or found.reference is not None:
        tried["disagreements"] += 1
        print(f"{kind} {seed} as written: {found}", flush=True)
    for k in range(options.each):
        changed, what = mutated(np.random.default_rng([seed, k, sorted(KINDS).index(kind)]), pieces)
        text = text_of(changed)
        found = both(question, text, folder / "mutated", problem)
        tried["mutated"] += 1
        tried["accepted"] += found.fast is None
        if tried["mutated"] % 20 == 0:
            print("\r" + ", ".join(f"{count:,} {what}" for what, count in tried.items()), end="", flush=True)
        if found.agree:
            continue
        if found.reference is None and by_rounding(question, changed, folder / "mutated"):
            tried["within rounding"] += 1
            continue
        tried["disagreements"] += 1
        print(f"{kind} {seed} {k}: {what}: {found}", flush=True)
        left.mkdir(parents=True, exist_ok=True)
        (left / f"{kind}_{seed}_{k}.certificate").write_bytes(text)
        (left / f"{kind}_{seed}_{k}.problem").write_text(problem_text(question))


if __name__ == "__main__":
    sys.exit(main())
