"""Branch exchange alone: what a local optimum and perturbations reach from different starts, and how long they take.

    python -m benchmarks.exchange zhang118 bus_873_7.pos bus_10476_84.pos
    python -m benchmarks.exchange bus_10476_84.pos --effort-limit 2000 --markdown docs/search.md

The starts are today's state, the tree of least impedance, and of the bounds at the root the tree of the chosen states
of the paths and that of the largest flows. Seconds are of the processor, kernels compiled; of three runs the fastest.
The effort limit is counted in flows of the whole grid without a better state.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import openpoint
from openpoint.arrays import Floats
from openpoint.network import build_network
from openpoint.search.exchange.ac_check import AcEvaluator, Candidate, Exchange
from openpoint.search.kernel.arrays import CLOSED, Model, Work, work_for
from openpoint.search.kernel.bookkeeping import counts, pool_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.model.build import build_model
from openpoint.search.paths.arrays import obstacles
from openpoint.search.paths.explorer import PathExplorer

from . import tables

REPEATS = 3
HEAD = ["grid", "start", "start kW", "local optimum kW", "flows", "s", "after perturbations kW", "s"]


def rows(name: str, effort_limit: float) -> Iterator[list[str]]:
    """The lines of one grid."""
    network = build_network(openpoint.read(name))
    fixed = ~network.switchable
    model, numbering = build_model(network)
    work = work_for(model)
    work.status[(network.closed & fixed)[numbering.branch]] = CLOSED
    propagate(model, work)
    exchange = Exchange(model, numbering, AcEvaluator(network), work.status)
    starts = {"today": network.closed[numbering.branch].astype(float), "least impedance": -np.sqrt(model.z2)}
    for word, weight in (starts | trees(model, work, exchange)).items():
        start = exchange.tree(weight)
        if start is None:
            continue
        spent, local, flows = timed(exchange, lambda: exchange.descend(start))  # noqa: B023
        longer, last, _ = timed(exchange, lambda: exchange.perturbed(local, effort_limit))  # noqa: B023
        kw = [f"{network.s_base_kva * state.value:.3f}" for state in (start, local, last)]
        yield [Path(name).stem, word, kw[0], kw[1], f"{flows:,}", f"{spent:.3f}", kw[2], f"{longer:.2f}"]


def trees(model: Model, work: Work, exchange: Exchange) -> dict[str, Floats]:
    """Weights of the trees that the bounds at the root choose."""
    if obstacles(model):
        return {}
    explorer, own = PathExplorer(model, work), counts()
    first = exchange.tree(exchange.evaluator.network.closed[exchange.numbering.branch].astype(float))
    own.cutoff[0] = np.inf if first is None else exchange.descend(first).value
    own.active[0] = 1
    explorer.explore(pool_for(model, 16), own, 1)
    flows = work.conductance * np.hypot(work.drop_y, work.drop_mu)
    return {"paths": explorer.tree_weight(), "largest flows": flows}


def timed(exchange: Exchange, call: Callable[[], Candidate]) -> tuple[float, Candidate, int]:
    """Least processor time of some runs, the state reached, and the incremental flows of one run."""
    assert exchange.incremental is not None
    call()  # compiled from here on
    spent = []
    for _ in range(REPEATS):
        flows, began = int(exchange.incremental.tree.flows[0]), time.process_time()
        found = call()
        spent.append(time.process_time() - began)
    return min(spent), found, int(exchange.incremental.tree.flows[0]) - flows


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.exchange", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("grids", nargs="+", metavar="GRID", help="names of built-in grids, or files")
    parser.add_argument("--effort-limit", type=float, default=1000.0, help="of perturbations (default 1000)")
    parser.add_argument("--markdown", metavar="PAGE", help="renew the table of this page")
    given = parser.parse_args()
    table = [HEAD]
    for name in given.grids:
        for line in rows(name, given.effort_limit):
            print(*line, sep="  ", file=sys.stderr, flush=True)
            table.append(line)
    print(tables.aligned(table))
    if given.markdown:
        page = Path(given.markdown)
        text = tables.between_marks(page.read_text("utf-8"), tables.as_markdown(table), "exchange")
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
