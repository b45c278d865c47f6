"""By how much LinDist3Flow misses the voltages of OpenDSS on the IEEE feeders, a line a feeder and loading.

    python benchmarks/linear_error.py [--markdown] [--json FILE]

Loads are of constant power at every voltage, so that what is seen is the linear model: losses, line charging, and the
curvature of the power flow. The phases are squared voltages, √w against |v|; `with shunts` is the largest of them
where capacitors and line charging follow w; `between lines` are those of `phasors`. On
the feeder without a neutral (ieee37) the neutral of OpenDSS is moved to where no zero sequence is behind the
substation's delta; buses behind another delta count between lines only. `ieee37 from 799` begins behind the regulators,
with balanced 1.0 pu there. The last column is the time of one of many evaluations at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np
import polars as pl

from openpoint.formulations.lindist3flow_equations import closed_deltas
from openpoint.grid import Grid, files
from openpoint.network import Network, build_network
from openpoint.powerflow.opendss import OpenDssCircuit
from tests.builders.linear_flow import (
    charging,
    evaluate,
    line_to_line,
    loads_at_nominal,
    no_load,
    phasors,
)

LOADINGS = (0.25, 0.5, 1.0)
FEEDERS = ("ieee13", "ieee37", "ieee37 from 799", "ieee123")
SAMPLES = 10_000


@dataclass(frozen=True)
class Row:
    """Largest errors in pu by phase, of any where shunts follow w, and between lines; least voltage between lines."""

    feeder: str
    loading: float
    a: float
    b: float
    c: float
    shunts: float
    between_lines: float
    least_between_lines: float
    us_per_flow: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="a table for the documentation")
    parser.add_argument("--json", metavar="FILE", help="write the figures there; - is standard output")
    arguments = parser.parse_args()
    rows = [row(name, share) for name in FEEDERS for share in LOADINGS]
    if arguments.json:
        text = json.dumps([asdict(each) for each in rows], indent=2) + "\n"
        if arguments.json == "-":
            sys.stdout.write(text)
            return
        Path(arguments.json).write_text(text, encoding="utf-8")
    show(rows, markdown=arguments.markdown)


def row(name: str, share: float) -> Row:
    """The errors of one feeder at a share of its loads."""
    grid = feeder(name, share)
    network = build_network(grid)
    closed = np.ones(len(network.branch_names), dtype=np.bool_)
    closed[network.conductor_branch] = network.closed
    flow = OpenDssCircuit(grid, tolerance=1e-10).solve()
    if not flow.converged.all():
        raise SystemExit(f"{name} at {share:.0%}: OpenDSS did not converge")
    loads = loads_at_nominal(network)
    reference = no_load(network, closed)
    w = evaluate(network, closed, *loads, reference=reference).w[0]
    # Where the neutral of lines floats, their capacitance is what fixes it: nothing that this model has.
    shunts = network.s_impedance + (0.0 if name == "ieee37" else charging(network, closed))
    rest = loads[0] - network.s_impedance
    better = evaluate(network, closed, rest, loads[1], reference=reference, per_w=shunts).w[0]
    v = phasors(network, closed, *loads)
    between, exact = (line_to_line(network, each)[2][0] for each in (v, flow.v))
    seen, moved = neutral(network, flow.v[0], name)
    error, less = (np.where(seen & flow.energised, np.abs(np.sqrt(each) - np.abs(moved)), 0.0) for each in (w, better))
    phase = np.array(network.terminal_phase)
    start = time.perf_counter()
    scale = np.random.default_rng(0).uniform(0.8, 1.2, (SAMPLES, 1))
    evaluate(network, closed, scale * loads[0], scale * loads[1], reference=reference)
    each_us = (time.perf_counter() - start) / SAMPLES * 1e6
    a, b, c = (float(error[phase == p].max()) for p in "abc")
    lines, least = float(np.abs(between - exact).max()), float(exact[exact > 0].min())
    return Row(name, share, a, b, c, float(less.max()), lines, least, each_us)


def feeder(name: str, share: float) -> Grid:
    """A built-in feeder with loads of constant power."""
    grid = files.load(name.split()[0])
    none = pl.lit(None, dtype=pl.Float64)
    scaled = [pl.col(c) * share for c in ("p_kw", "q_kvar")]
    grid = grid.with_tables(loads=grid.loads.with_columns(*scaled, model=pl.lit("power"), v_min_pu=none, v_max_pu=none))
    if "from 799" not in name:
        return grid
    before = ("sourcebus", "799", "vsource.source")
    behind = ~(pl.col("from_bus").is_in(before) | pl.col("to_bus").is_in(before))
    return grid.with_tables(
        buses=grid.buses.filter(~pl.col("name").is_in(before)),
        lines=grid.lines.filter(behind),
        transformers=grid.transformers.filter(behind),
        sources=grid.sources.with_columns(bus=pl.lit("799r"), v_pu=1.0, angle_degree=0.0),
    )


def neutral(network: Network, v: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(N) terminals whose neutral is known, and voltages against that of the first closed delta behind the source."""
    deltas = closed_deltas(network, network.source_terminal, network.closed)
    seen = np.ones(network.n_terminals, dtype=np.bool_)
    if name == "ieee37":
        # The neutral moves for all buses behind it alike: the jumper of the regulators carries it on.
        first, v = deltas.floating[0], v.copy()
        upstream = [b for b, bus in enumerate(network.bus_names) if bus in ("vsource.source", "sourcebus")]
        rest = ~np.isin(network.terminal_bus, upstream)
        v[rest] -= v[first].mean()
        seen[deltas.floating[1:].ravel()] = False
    else:
        seen[deltas.floating.ravel()] = False
    return seen, v


def show(rows: list[Row], *, markdown: bool) -> None:
    """The table as text or as Markdown."""
    head = ("feeder", "load", "a", "b", "c", "with shunts", "between lines", "least between lines", "µs a flow")
    lines = [
        (
            each.feeder,
            f"{each.loading:.0%}",
            *(f"{value:.5f}" for value in (each.a, each.b, each.c, each.shunts, each.between_lines)),
            f"{each.least_between_lines:.4f}",
            f"{each.us_per_flow:.0f}",
        )
        for each in rows
    ]
    if markdown:
        print("| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
        print("\n".join("| " + " | ".join(line) + " |" for line in lines))
        return
    widths = [max(len(line[k]) for line in (head, *lines)) for k in range(len(head))]
    print("\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in (head, *lines)))


if __name__ == "__main__":
    main()
