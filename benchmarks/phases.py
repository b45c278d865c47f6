"""Proofs on unbalanced grids: gap and time of the topology search, beside enumeration by OpenDSS.

    python -m benchmarks.phases                                  everything, about ten minutes
    python -m benchmarks.phases --grids ieee13 33 --limit 60     some grids, stopped after a minute each

All lines of the IEEE feeders may open, and ties are added with the median impedance of their lines of phases abc. Grids
of 33 and 118 buses are balanced ones made unbalanced: the shares of a load in the three phases are drawn within the per
cent that stand behind the name, and lines couple their phases by 0.35 of the resistance and 0.45 of the reactance, give
or take 5 %. No limits of voltage and current, but `limited` are 0.95 to 1.06 pu. Kernels are compiled before any clock
runs; seconds are processor time of one core, with all of the answer but reading.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

# Before numpy is imported: one core.
os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
)

import numpy as np
import polars as pl

import openpoint
from openpoint import Enumeration, Grid, Limits, TopologySearch

from . import tables

FREE = Limits(voltage=False, current=False)
LIMITS = {"ieee123+4 limited": Limits(v_min_pu=0.95, v_max_pu=1.06, current=False)}
MUTUAL_R, MUTUAL_X, SCATTER = 0.35, 0.45, 0.05
ORDER = ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2))
"""Entries of a matrix of three phases in the order of the tables."""


def with_ties(name: str, ties: tuple[tuple[str, str, str], ...]) -> Grid:
    """A feeder all of whose lines may open, with open ties (bus, bus, phases)."""
    grid = openpoint.read(name)
    sources = grid.sources["bus"].to_list()
    lines = grid.lines.with_columns(switchable=~pl.col("from_bus").is_in(sources))
    three = lines.filter((pl.col("phases") == "abc") & pl.col("switchable"))
    ohm = {of: np.median(np.array(three[of].to_list()), axis=0) for of in ("r_ohm", "x_ohm")}
    more = [
        {"name": f"tie {a}-{b}", "from_bus": a, "to_bus": b, "phases": phases, "closed": False, "switchable": True}
        | {of: _of_phases(values, phases) for of, values in ohm.items()}
        for a, b, phases in ties
    ]
    return (
        grid.with_tables(lines=pl.concat([lines, pl.DataFrame(more)], how="diagonal_relaxed"))
        if more
        else (grid.with_tables(lines=lines))
    )


def _of_phases(values: np.ndarray, phases: str) -> list[float]:
    """What a matrix of three phases has in some of them."""
    at = ["abc".index(phase) for phase in phases]
    return [float(values[k]) for k, (i, j) in enumerate(ORDER) if i in at and j in at]


def unbalanced(name: str, spread: float, seed: int = 1) -> Grid:
    """A balanced grid of lines and loads of constant power as one of three phases."""
    grid, rng = openpoint.read(name), np.random.default_rng(seed)
    ohm: dict[str, list[list[float]]] = {"r_ohm": [], "x_ohm": []}
    for line in grid.lines.iter_rows(named=True):
        for of, mutual in (("r_ohm", MUTUAL_R), ("x_ohm", MUTUAL_X)):
            (own,) = line[of]
            matrix = own * (np.eye(3) + mutual)
            drawn = rng.normal(0.0, SCATTER, (3, 3))
            matrix = matrix * (1.0 + (drawn + drawn.T) / 2.0)
            ohm[of].append([float(matrix[at]) for at in ORDER])
    loads = list[dict[str, object]]()
    for load in grid.loads.iter_rows(named=True):
        share = rng.uniform(1.0 - spread, 1.0 + spread, 3)
        for phase, part in zip("abc", share / share.sum(), strict=True):
            power = {of: float(load[of]) * float(part) for of in ("p_kw", "q_kvar")}
            loads.append({"name": f"{load['name']}{phase}", "bus": load["bus"], "phases": phase} | power)
    return Grid.from_tables(
        f"{name} ±{100 * spread:.0f} %",
        {
            "buses": grid.buses.with_columns(phases=pl.lit("abc")),
            "lines": grid.lines.with_columns(
                pl.Series("r_ohm", ohm["r_ohm"]), pl.Series("x_ohm", ohm["x_ohm"]), phases=pl.lit("abc")
            ),
            "loads": loads,
            "sources": grid.sources,
        },
    )


def more_ties() -> Grid:
    """The feeder of 123 nodes with four ties more."""
    return with_ties("ieee123", (("83", "250", "abc"), ("47", "79", "abc"), ("56", "151", "abc"), ("33", "450", "a")))


GRIDS: dict[str, Callable[[], Grid]] = {
    "ieee13": lambda: with_ties("ieee13", (("675", "633", "abc"), ("680", "692", "abc"), ("646", "611", "c"))),
    "ieee37": lambda: with_ties("ieee37", (("725", "731", "abc"), ("742", "722", "abc"), ("735", "741", "abc"))),
    "ieee123": lambda: with_ties("ieee123", ()),
    "ieee123+4": more_ties,
    "ieee123+4 limited": more_ties,
    "33±40": lambda: unbalanced("baran33", 0.4),
    "33±80": lambda: unbalanced("baran33", 0.8),
    "118±40": lambda: unbalanced("zhang118", 0.4),
    "118±80": lambda: unbalanced("zhang118", 0.8),
}


@dataclass(frozen=True)
class Row:
    """What the search proved of a grid, in kW and as a share of the loss, and `tried`: the best of enumeration."""

    grid: str
    before: float
    loss: float
    gap: float
    seconds: float
    tried: float
    tried_seconds: float

    def cells(self) -> list[str]:
        """The cells of the table."""
        other = f"{self.tried:.4f}" if math.isfinite(self.tried) else "–"
        ratio = f"{self.tried_seconds / self.seconds:,.0f}"
        losses = f"{self.before:.3f}", f"{self.loss:.4f}"
        proven = f"{100 * self.gap:.4f} %", f"{self.seconds:.2f}"
        return [self.grid, *losses, *proven, other, ratio if math.isfinite(self.tried) else f"> {ratio}"]


def measured(name: str, limit: float, enumerated: float, gap: float) -> Row:
    """The row of a grid, with so many seconds for the search and for enumeration."""
    grid, limits = GRIDS[name](), LIMITS.get(name, FREE)
    began = time.process_time()
    found = openpoint.reconfigure(grid, limits=limits, method=TopologySearch(gap=gap, time_limit_s=limit))
    seconds, began = time.process_time() - began, time.process_time()
    assert found.loss_kw is not None
    assert found.gap is not None
    assert found.loss_before_kw is not None
    tried = openpoint.reconfigure(grid, limits=limits, method=Enumeration(time_limit_s=enumerated))
    spent = time.process_time() - began
    whole = tried.loss_kw if tried.termination == "optimal" and tried.loss_kw is not None else math.inf
    return Row(name, found.loss_before_kw, found.loss_kw, found.gap, seconds, whole, spent)


def main() -> int:
    """Measure; exit code 1 where enumeration found less than what was proven."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", nargs="+", choices=GRIDS, default=list(GRIDS), help="default: all")
    parser.add_argument("--limit", type=float, default=120.0, metavar="S", help="of a search (default 120)")
    parser.add_argument("--enumerate", type=float, default=60.0, metavar="S", help="of enumeration (default 60)")
    parser.add_argument("--gap", type=float, default=1e-4, help="relative gap to reach (default 1e-4)")
    given = parser.parse_args()
    openpoint.reconfigure(GRIDS["ieee13"](), limits=FREE, method=TopologySearch(gap=given.gap))  # compiles
    table, missed = [["grid", "today kW", "best kW", "open", "s", "enumerated kW", "times longer"]], False
    for name in given.grids:
        row = measured(name, given.limit, given.enumerate, given.gap)
        print(*row.cells(), sep="  ", file=sys.stderr, flush=True)
        table.append(row.cells())
        missed |= row.tried < row.loss * (1.0 - row.gap) - 1e-6
    print(tables.aligned(table))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
