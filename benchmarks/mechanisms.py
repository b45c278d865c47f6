"""What each mechanism of topology search is worth: nodes and seconds with all of them, and without one at a time.

    python -m benchmarks.mechanisms [--grids NAME …] [--files FILE …] [--time-limit S] [--markdown FILE]

Grids are those of `benchmarks.search`; a search is to 0.01 %, and processor time counts. Where the time limit came
first, the gap stands in the place of the seconds. Shown are the grids on which a mechanism changes the nodes; one that
helps on no grid is not worth its lines.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
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
    given = parser.parse_args()
    search_topologies(build_network(openpoint.read("civanlar16")))  # compiled from here on
    rows = list[list[str]]()
    for name, make in grids(given.grids, given.files).items():
        network, cells = build_network(make()), dict[str, str]()
        for mechanism in WITHOUT:
            with without(mechanism):
                began = time.process_time()
                found = search_topologies(network, gap=search.GAP, time_limit=given.time_limit)
                cells[mechanism] = said(found, time.process_time() - began)
        print(name, *cells.values(), sep=" | ", flush=True)
        rows += [
            [mechanism, name, cells["nothing"], cell]
            for mechanism, cell in cells.items()
            if nodes_of(cell) != nodes_of(cells["nothing"])
        ]
    rows.sort(key=lambda row: list(WITHOUT).index(row[0]))
    table = [["mechanism", "grid", "with it", "without it"], *rows]
    print(tables.aligned(table))
    if given.markdown:
        Path(given.markdown).write_text(tables.as_markdown(table), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
