"""Whether a search picks the better of its two bounds by itself: automatic, both throughout, the first throughout.

    python -m benchmarks.duel [--grids 100-30-0 zhang118 FILE …] [--limit-s 8]

A grid is a name, a file, or `buses-ties-seed` of `benchmarks.search.generated`. Prints a row of a Markdown table for
each: processor seconds and operations (`openpoint.search.duel`) to 0.01 %, or after the limit the gap that is left, and
the quotient of the automatic one and the better of the others, in operations. Without regions, unless `--regions`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from unittest import mock

import openpoint
from openpoint.network import Network, build_network
from openpoint.search import duel, topology
from openpoint.search.kernel import entries
from openpoint.search.kernel.arrays import Model, Work
from openpoint.search.kernel.bookkeeping import Counts, Pool, Record, operations
from openpoint.search.paths.explorer import PathExplorer
from openpoint.search.result import SearchResult

from .search import GAP, generated, without_regions

AUTOMATIC, BOTH, FIRST = "automatic", "both", "first"
GRIDS = (
    *(f"100-30-{seed}" for seed in range(12)),
    *("200-20-0", "200-20-1", "200-20-2", "200-30-0", "200-30-1", "200-30-2", "200-40-0"),
    *("417-59-0", "417-59-1", "417-59-2", "100-40-0", "zhang118", "mantovani136", "das70"),
)


@dataclass
class Effort:
    """What a search took.

    Attributes:
        seconds: of the processor. operations: of its nodes, those of rivals included. gap: that is left.
    """

    seconds: float = 0.0
    operations: float = 0.0
    gap: float = 0.0

    @property
    def proven(self) -> bool:
        return self.gap <= GAP * (1.0 + 1e-9)

    def __str__(self) -> str:
        end = f"{self.seconds:.2f}" if self.proven else f"> {self.seconds:.0f} ({100.0 * self.gap:.2f} %)"
        return f"{end} | {self.operations / 1e6:,.1f}"


def effort(network: Network, rule: str, limit_s: float) -> Effort:
    """A search by a rule, until the limit of processor time."""
    taken, began = Effort(), time.process_time()
    with _counting(taken), _by(rule):
        found: SearchResult = topology.search_topologies(
            network, gap=GAP, stop=lambda: time.process_time() - began > limit_s
        )
    taken.seconds, taken.gap = time.process_time() - began, found.gap
    return taken


@contextmanager
def _by(rule: str) -> Iterator[None]:
    """Searches by a rule."""
    explore = PathExplorer.explore

    def throughout(explorer: PathExplorer, pool: Pool, counts: Counts, most: int) -> int:
        event = explore(explorer, pool, counts, most)
        explorer.pays = True
        return event

    if rule == FIRST:
        with mock.patch.object(topology, "obstacles", return_value=["a benchmark"]):
            yield
    elif rule == BOTH:
        with mock.patch.object(duel, "DUELS", 0), mock.patch.object(PathExplorer, "explore", throughout):
            yield
    else:
        yield


@contextmanager
def _counting(taken: Effort) -> Iterator[None]:
    """Count operations: of nodes with the first bound by `operations`, of the others by `spent` as well."""
    plain, by_paths = entries.explore, PathExplorer.explore

    def explore(model: Model, work: Work, pool: Pool, counts: Counts, record: Record, most: int) -> int:
        before = operations(model, counts, int(counts.nodes[0]))
        event: int = plain(model, work, pool, counts, record, most)
        taken.operations += operations(model, counts, int(counts.nodes[0])) - before
        return event

    def with_paths(explorer: PathExplorer, pool: Pool, counts: Counts, most: int) -> int:
        before = _of_paths(explorer, counts)
        event = by_paths(explorer, pool, counts, most)
        taken.operations += _of_paths(explorer, counts) - before
        return event

    with (
        mock.patch.object(topology, "explore", explore),
        mock.patch.object(duel, "explore", explore),
        mock.patch.object(PathExplorer, "explore", with_paths),
    ):
        yield


def _of_paths(explorer: PathExplorer, counts: Counts) -> int:
    nodes = int(explorer.of_paths.tally[0])
    return operations(explorer.model, counts, nodes) + nodes * duel.of_a_node(explorer)


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", nargs="+", default=GRIDS)
    parser.add_argument("--limit-s", type=float, default=8.0)
    parser.add_argument("--regions", action="store_true")
    options = parser.parse_args()
    for rule in (FIRST, BOTH, AUTOMATIC):  # compiled from here on
        effort(build_network(openpoint.read("baran33")), rule, options.limit_s)
    print("| grid | both s | operations, millions | first s | operations | automatic s | operations | of the better |")
    print("| --- | --: | --: | --: | --: | --: | --: | --: |")
    for name in options.grids:
        parts = name.split("-")
        made: Callable[[], openpoint.Grid] = partial(openpoint.read, name)
        if len(parts) == 3 and all(part.isdigit() for part in parts):
            made = partial(generated, *map(int, parts))
        network = build_network(made())
        with nullcontext() if options.regions else without_regions():
            both, first, own = (effort(network, rule, options.limit_s) for rule in (BOTH, FIRST, AUTOMATIC))
        ends = [each.operations for each in (both, first) if each.proven]
        share = f"{own.operations / min(ends):.2f}" if ends and own.proven else "–"
        print(f"| {name.rsplit('/', 1)[-1]} | {both} | {first} | {own} | {share} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
