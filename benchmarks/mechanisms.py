"""What each mechanism of topology search is worth: nodes and seconds with all of them, and without one at a time.

    python -m benchmarks.mechanisms [--grids NAME …] [--files FILE …] [--time-limit S] [--markdown FILE]

Grids are those of `benchmarks.search`; a search is to 0.01 %, and processor time counts. Where the time limit came
first, the gap stands in the place of the seconds. Shown are the grids on which a mechanism changes the nodes; one that
helps on no grid is not worth its lines. What is compiled is left out in a copy of the package.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openpoint
from openpoint.network import build_network
from openpoint.search import incumbent, region_decomposition, topology
from openpoint.search.paths import explorer
from openpoint.search.result import SearchResult
from openpoint.search.topology import search_topologies

from . import search, tables

WITHOUT: dict[str, list[tuple[Any, str, Any]]] = {
    "nothing": [],
    "paths": [(topology, "obstacles", lambda model: ["none is asked for"])],
    "parts": [(explorer, "LEAST", sys.maxsize)],
    "trials of paths": [(explorer, "ANEW_AFTER", sys.maxsize)],
    "regions": [(region_decomposition, "FIRST", sys.maxsize)],
    "perturbations": [(incumbent, "next_perturbations", lambda nodes: sys.maxsize)],
    "multipliers' tree": [(incumbent.Incumbent, "follow_multipliers", lambda self, weight=None: None)],
    "infeasibility search": [(topology, "infeasibility_search", lambda model, status: None)],
    "proof without flow": [(topology, "is_infeasible", lambda model: False)],
    "raised voltages": [(incumbent.Incumbent, "_raise_least", lambda self, loss: None)],
}
"""By mechanism what takes its place: object, attribute and value."""
COMPILED = {
    "voltages by routes": (
        "paths/ascent.py",
        "tighter |= lower_voltages(paths, of_paths, value, cutoff - safe(value))",
        "tighter |= False",
    ),
    "prices of voltages": ("paths/bound.py", "work.priced[0] = count", "work.priced[0] = 0"),
    "bounds about flows found": ("paths/ascent.py", "if turn == 1 and not deep:", "if turn == 1:"),
    "least sure path": ("paths/search.py", "chosen = least_sure(of_paths, len(of_paths.mask), SURE)", "chosen = NONE"),
    "product of gains": ("kernel/node.py", "idle = counts.trials[0] >", "idle = True or counts.trials[0] >"),
}
"""By mechanism of compiled code, below `search`, the file, and what takes the place of what there."""


@contextmanager
def without(mechanism: str) -> Iterator[None]:
    """Searches without a mechanism."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in WITHOUT[mechanism]]
    for owner, name, value in WITHOUT[mechanism]:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def grids(names: list[str], files: list[str]) -> dict[str, Callable[[], openpoint.Grid]]:
    """How each grid is made, by its name in the table."""
    made: dict[str, Callable[[], openpoint.Grid]] = {
        **{name: partial(openpoint.read, name) for name in search.PUBLISHED},
        **{f"{name} {v} pu": partial(search.limited, name, v) for name, v in LIMITS},
        **{f"{name} {share:.0%} solar": partial(search.sunny, name, share) for name, share in SUNNY},
        **{name: partial(search.real, name) for name in search.REAL},
        **{f"generated-100-30-{seed}": partial(search.generated, 100, 30, seed) for seed in range(search.SEEDS)},
        **{Path(file).stem: partial(openpoint.read, file) for file in files},
    }
    return {name: make for name, make in made.items() if not names or name in names}


LIMITS = (("baran33", 0.9413), ("das70", 0.93), ("zhang118", 0.9328), ("zhang118", 0.935), ("mantovani136", 0.967))
SUNNY = (("das70", 1.0), ("mantovani136", 1.0), ("zhang118", 0.5), ("zhang118", 1.5))


def said(found: SearchResult, seconds: float) -> str:
    """Nodes, and processor seconds or the gap that is left."""
    gap = 1.0 - found.lower_bound / found.value if math.isfinite(found.value) else math.inf
    proven = gap <= 1.001 * search.GAP or str(found.termination) == "infeasible"
    left = f"{seconds:.3g} s" if proven else f"{gap:.2%} open" if math.isfinite(gap) else "undecided"
    return f"{found.nodes:,} · {left}"


def nodes_of(cell: str) -> str:
    """What `said` says of the nodes."""
    return cell.split(" · ")[0]


def measured(mechanism: str, names: list[str], files: list[str], limit_s: float) -> dict[str, str]:
    """By grid what a search comes to without a mechanism, with at most so many seconds of the processor."""
    for grid in ("civanlar16", "zhang118"):
        search_topologies(build_network(openpoint.read(grid)), gap=search.GAP)  # compiled from here on
    search_topologies(build_network(search.limited("baran33", 0.95)))
    cells = dict[str, str]()
    for name, make in grids(names, files).items():
        network = build_network(make())
        with without(mechanism):
            began = time.process_time()
            over = partial(lambda end: time.process_time() > end, began + limit_s)
            found = search_topologies(network, gap=search.GAP, stop=over)
            cells[name] = said(found, time.process_time() - began)
    return cells


def compiled_without(mechanism: str, given: list[str]) -> dict[str, str]:
    """As `measured`, in a copy of the package without a mechanism of compiled code; `given`: the other arguments."""
    file, line, instead = COMPILED[mechanism]
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "openpoint"
        shutil.copytree(Path(openpoint.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
        place = copy / "search" / file
        text = place.read_text("utf-8")
        if text.count(line) != 1:
            raise SystemExit(f"{file} has not once the line: {line}")
        place.write_text(text.replace(line, instead), "utf-8")
        asked = [sys.executable, "-m", "benchmarks.mechanisms", *given, "--here"]
        there = os.environ | {"PYTHONPATH": folder}
        answer = subprocess.run(asked, env=there, capture_output=True, text=True, check=True).stdout
    cells: dict[str, str] = json.loads(answer)
    return cells


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mechanisms",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--grids", nargs="+", default=[], metavar="NAME", help="default: all")
    parser.add_argument("--files", nargs="*", default=[], metavar="FILE", help="further grids")
    parser.add_argument("--time-limit", type=float, default=20.0, metavar="S", help="a search (default 20)")
    parser.add_argument("--markdown", metavar="FILE", help="write the table there")
    parser.add_argument("--here", action="store_true", help="as the package is, as JSON")
    given = parser.parse_args()
    asked = given.grids, given.files, given.time_limit
    if given.here:
        print(json.dumps(measured("nothing", *asked)))
        return 0
    found = dict[str, dict[str, str]]()
    for mechanism in (*WITHOUT, *COMPILED):
        found[mechanism] = (
            measured(mechanism, *asked) if mechanism in WITHOUT else compiled_without(mechanism, sys.argv[1:])
        )
        print(mechanism, found[mechanism], flush=True)
    rows = [
        [mechanism, name, found["nothing"][name], cell]
        for mechanism, cells in found.items()
        for name, cell in cells.items()
        if nodes_of(cell) != nodes_of(found["nothing"][name])
    ]
    table = [["mechanism", "grid", "with it", "without it"], *rows]
    print(tables.aligned(table))
    if given.markdown:
        Path(given.markdown).write_text(tables.as_markdown(table), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
