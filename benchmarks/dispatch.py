"""Time to a proven answer with devices: topology search, Benders, and SCIP on the one-piece program; same grids.

    python -m benchmarks.dispatch [NAME …] [--scip-time-limit S] [--benders-time-limit S] [--markdown] [--json FILE]

The grids and their devices are those of `tests/builders/device_cases.py`; losses are least, all limits hold. Times are
processor time of one core; kernels are compiled before, the compiling of programs counts. SCIP is given the very
program that Benders decomposes, and stops at half the gap.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
)

import numpy as np

from openpoint.errors import OpenpointError
from openpoint.network import Network
from openpoint.network.devices import Devices
from openpoint.network.freedom import SwitchingRules
from openpoint.network.operating_cost import least_loss, no_supply_limits
from openpoint.search.topology import search_topologies
from openpoint.studies.dispatch.model.program import DispatchProgram
from openpoint.twostage.methods.decomposition import Benders
from openpoint.twostage.methods.solving import ExtensiveForm
from tests.builders.device_cases import CASES, device_case

from . import tables, timing

GAP = 1e-4
REPEATS = 5
"""Runs of topology search, of which the median counts: most take a tenth of a second."""
SEARCH_S = 60.0


@dataclass(frozen=True)
class Row:
    """One method on one case: loss and bound in kW, processor seconds; nodes of the search."""

    case: str
    method: str
    termination: str
    loss_kw: float | None
    bound_kw: float | None
    cpu_seconds: float
    nodes: int | None = None

    @property
    def gap(self) -> float | None:
        if self.loss_kw is None or self.bound_kw is None:
            return None
        return max(0.0, self.loss_kw - self.bound_kw) / self.loss_kw

    @property
    def proven(self) -> bool:
        return self.gap is not None and self.gap <= GAP * (1.0 + 1e-9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--scip-time-limit", type=float, default=100.0, help="seconds a case; 0 leaves SCIP out")
    parser.add_argument("--benders-time-limit", type=float, default=100.0, help="seconds a case; 0 leaves it out")
    parser.add_argument("--markdown", action="store_true", help="a table for the documentation")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    arguments = parser.parse_args()
    search_topologies(device_case("33-A")[0], devices=device_case("33-A")[1], gap=0.5)  # compiles the kernels
    rows: list[Row] = []
    for case in arguments.cases:
        network, devices = device_case(case)
        rows.append(searched(case, network, devices))
        for name, seconds in (("benders", arguments.benders_time_limit), ("scip", arguments.scip_time_limit)):
            if seconds > 0.0:
                rows.append(solved(case, name, seconds, network, devices))
        for row in rows[-3:]:
            if row.case == case:
                print(row, file=sys.stderr)
    if arguments.json:
        record = {"machine": timing.machine(), "rows": [asdict(row) for row in rows]}
        Path(arguments.json).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    table = table_of(rows)
    if not arguments.markdown:
        print(tables.aligned(table))
        return
    for k, line in enumerate(table):
        print("| " + " | ".join(line) + " |")
        if k == 0:
            print("|---" + "|--:" * (len(line) - 1) + "|")


def searched(case: str, network: Network, devices: Devices) -> Row:
    """Topology search, the median of some runs, or one that takes long."""
    spent: list[float] = []
    while len(spent) < REPEATS and sum(spent) < SEARCH_S / REPEATS:
        began = time.process_time()
        found = search_topologies(network, devices=devices, gap=GAP, time_limit=SEARCH_S)
        spent.append(time.process_time() - began)
    s = network.s_base_kva
    value, bound = (None if not np.isfinite(v) else float(v) * s for v in (found.value, found.lower_bound))
    return Row(case, "search", str(found.termination), value, bound, median(spent), found.nodes)


def solved(case: str, name: str, seconds: float, network: Network, devices: Devices) -> Row:
    """Benders, or SCIP on the one-piece program."""
    method: Benders | ExtensiveForm = Benders(gap=GAP, time_limit_s=seconds)
    if name == "scip":
        method = ExtensiveForm(solver="scip", gap=GAP, time_limit_s=seconds)
    cost = least_loss(len(network.generator_names), len(network.source_terminal), network.n_conductors)
    supply = no_supply_limits(len(network.generator_names), len(network.source_terminal))
    program = DispatchProgram(network, devices, cost, supply, SwitchingRules.of(network))
    began = time.process_time()
    try:
        outcome = method.solve(program)
    except OpenpointError as error:
        return Row(case, name, f"failed: {error}", None, None, time.process_time() - began)
    value, bound = (None if not np.isfinite(v) else float(v) for v in (outcome.upper_bound, outcome.lower_bound))
    return Row(case, name, str(outcome.termination), value, bound, time.process_time() - began)


def table_of(rows: list[Row]) -> list[list[str]]:
    """A line a case: the search, and how many times longer the others took in the same run."""
    table = [["case", "loss kW", "bound kW", "nodes", "search s", "Benders s", "ratio", "SCIP s", "ratio"]]
    for ours in (row for row in rows if row.method == "search"):
        line = [ours.case, tables.number(ours.loss_kw), tables.number(ours.bound_kw), f"{ours.nodes:,}"]
        line.append(_time(ours))
        for name in ("benders", "scip"):
            peer = next((row for row in rows if (row.case, row.method) == (ours.case, name)), None)
            more = "" if peer is None or peer.proven else "> "
            line += ["", ""] if peer is None else [_time(peer), f"{more}{peer.cpu_seconds / ours.cpu_seconds:,.0f}"]
        table.append(line)
    return table


def _time(row: Row) -> str:
    """Seconds; of a run that proved less than the gap, what it reached."""
    if row.proven:
        return f"{row.cpu_seconds:.2f}"
    reached = f"{tables.number(row.loss_kw)} / {tables.number(row.bound_kw)}"
    return f"> {row.cpu_seconds:.0f}: {reached}"


if __name__ == "__main__":
    main()
