"""Widths and times of enclosures: how much wider than the true range, and how long on which grid.

    python -m benchmarks.enclosures                                     built-in grids
    python -m benchmarks.enclosures case533mt_hi.m bus_10476_84.pos     and files

All loads deviate by 25 %, each by itself. *Wider*: mean and most over voltages of the share by which bounds are wider
than what exact flows at chosen vertices span, an upper bound. Processor seconds of one core, the least of three runs:
`bounds` of all quantities, of which `ports` is the enclosure of the ports' voltages alone.
"""

from __future__ import annotations

import argparse
import os
import time

# Before numpy is imported: one core for everybody, whatever the linear algebra underneath would take.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np

import openpoint
from openpoint.enclosure.grid import bounds_of
from openpoint.enclosure.parts import linear_part, part_of
from openpoint.enclosure.ports import ports_of
from openpoint.enclosure.sets import DeviationSet
from openpoint.enclosure.system import system_of
from openpoint.network import build_network
from openpoint.network.limits import Limits

from . import tables

SHARE = 0.25
GRIDS = ("baran33", "zhang118", "mantovani136", "ieee37")


def measure(name: str) -> tuple[str, ...]:
    """A row of the table."""
    grid = openpoint.read(name)
    network = Limits().applied(build_network(grid))
    shares = {"load": SHARE}
    bounds, ports = [], []
    for _ in range(3):
        begun = time.process_time()
        found = bounds_of(grid, network, ports_of(grid, network, shares))
        between = time.process_time()
        of = ports_of(grid, network, shares)
        system = system_of(grid, network, of)
        for states, here, moving in system.parts(of):
            part_of(of, DeviationSet(), linear_part(system, of, states, here), moving)
        bounds.append(between - begun)
        ports.append(time.process_time() - between)
    wider = 100.0 * found.voltage.wider[np.isfinite(found.voltage.wider)]
    outcome = f"{wider.mean():.2f} %", f"{wider.max():.2f} %", f"{found.largest:.3f}", f"{found.contraction:.3f}"
    return grid.name, str(len(of.fr)), *outcome, f"{min(ports):.3f}", f"{min(bounds):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grids", nargs="*", help="names or files, beside the built-in ones")
    rows = [measure(name) for name in (*GRIDS, *parser.parse_args().grids)]
    heads = "grid", "ports", "wider, mean", "most", "X", "λ", "ports s", "bounds s"
    print(tables.aligned([heads, *rows]))


if __name__ == "__main__":
    main()
