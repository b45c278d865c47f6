"""Mutated attacks on the reader of OpenDSS circuits, and whether any writes a file or loads a library.

python -m benchmarks.opendss_attacks --circuits 5000 --seed 7
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from openpoint.io.opendss import process
from tests.io.test_opendss_text import attack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--circuits", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        refused = attack(asked.circuits, asked.seed, home)
        strays = [str(path) for path in Path(folder).rglob("*") if path != home]
        strays += [str(path) for kept in process._kept for path in Path(kept.folder).rglob("*")]
    print(f"{asked.circuits} circuits with mutated attacks: {refused} refused, {asked.circuits - refused} read")
    print(f"files that appeared: {strays or 'none'}")


if __name__ == "__main__":
    main()
