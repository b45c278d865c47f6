"""Whether certificates of heavily loaded grids are accepted, where many radial states have no power flow.

    python -m benchmarks.heavy_certificates [--count 2000] [--first 0]

Loads and generation of every random grid are multiplied until a good part of its radial states has no power flow, and
some have one. The search writes a certificate, or says that it cannot. Every file must be accepted, its bound and that
of the search must not lie above the best state of all, and what is called infeasible must have none. Exit status 1: a
fault.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np

from openpoint.network import Network
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.state import excesses
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from openpoint.verify import CertificateError
from tests.builders.certificates import verify_network
from tests.builders.grids import FEED, LIMITED, LIMITED_FEED, PLAIN, RICH, all_topologies, random_grid
from tests.builders.programs import program_of

FLAVOURS = PLAIN, RICH, FEED, LIMITED, LIMITED_FEED
FACTORS = 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0
"""Multiples of loads and generation that are tried, in this order."""
LOST = 0.3
"""Share of the radial states without a power flow from which on a grid is heavily loaded."""
EVERY = 100
"""How many grids lie between two lines of progress."""


def heavy(seed: int) -> tuple[Network, float, float] | None:
    """A heavily loaded grid, the share of its radial states without a power flow, and its least loss, inf where nothing
    keeps the limits; None where no factor is one of these."""
    net = program_of(random_grid(seed, FLAVOURS[seed % len(FLAVOURS)])).network
    if len(net.generator_names):
        return None
    closed = all_topologies(net)
    closed = closed[(closed == net.closed)[:, ~net.switchable].all(axis=1)]
    for factor in FACTORS:
        more = {name: factor * getattr(net, name) for name in ("s_power", "s_current", "s_impedance")}
        loaded = replace(net, **more, l_max=factor**2 * net.l_max)
        flows = solve(loaded, closed)
        held = flows.converged & flows.energised.all(axis=1)
        if held.any() and held.mean() <= 1.0 - LOST:
            good = held & (np.where(held, excesses(loaded, flows), 1.0) == 0.0)
            return loaded, 1.0 - float(held.mean()), float(flows.loss[good].min(initial=np.inf))
    return None


def judged(net: Network, best: float, path: Path) -> tuple[str, list[str]]:
    """How the search ended, and faults."""
    found, wrong = search_topologies(net, certificate=path, time_limit=60.0), list[str]()
    room = 1e-7 * abs(best) + 1e-12 if np.isfinite(best) else 0.0
    if found.lower_bound > best + room:
        wrong.append(f"bound {found.lower_bound} above {best}")
    if found.termination is Termination.INFEASIBLE and np.isfinite(best):
        wrong.append(f"called infeasible, and {best} is there")
    if not path.exists():
        return f"{found.termination.value}, no file", wrong
    try:
        proven = verify_network(net, path).bound_kw / net.s_base_kva
        if proven > best + room:
            wrong.append(f"proven bound {proven} above {best}")
    except CertificateError as error:
        wrong.append(str(error))
    path.unlink()
    return f"{found.termination.value}, file", wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    counts, faults, seed, lost = Counter[str](), 0, arguments.first, 0.0
    with tempfile.TemporaryDirectory() as folder:
        while counts.total() < arguments.count:
            grid = heavy(seed)
            seed += 1
            if grid is None:
                continue
            end, wrong = judged(grid[0], grid[2], Path(folder) / "proof.gz")
            counts[end] += 1
            lost += grid[1]
            faults += len(wrong)
            for fault in wrong:
                print(f"grid {seed - 1}: {fault}", flush=True)
            if counts.total() % EVERY == 0:
                print(f"{counts.total():,} grids, {faults} faults", flush=True)
    print(", ".join(f"{end}: {number:,}" for end, number in sorted(counts.items())))
    print(f"{100.0 * lost / counts.total():.0f} % of radial states without a power flow; {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
