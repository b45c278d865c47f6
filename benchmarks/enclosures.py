"""Enclosures: how wide, how long on which grid, and whether sampled exact flows lie within.

    python -m benchmarks.enclosures                                     built-in grids
    python -m benchmarks.enclosures case533mt_hi.m bus_10476_84.pos     and files
    python -m benchmarks.enclosures --samples 1000000                   exact flows of sets of every kind

All loads deviate by 25 %, each by itself. *Wider*: mean and most over voltages of the share by which bounds are wider
than what exact flows at chosen vertices span, an upper bound. Processor seconds of one core, the least of ten runs:
`corners` of the bounds of all quantities by two corners, where these hold, `matrices` of the same without; both are
begun with a network and the powers at its places.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

# Before numpy is imported: one core for everybody, whatever the linear algebra underneath would take.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np
import polars as pl
import scipy.sparse as sp

import openpoint
from openpoint import Grid
from openpoint.arrays import Complexes, Floats, Ints
from openpoint.enclosure.bounds import NotEnclosed
from openpoint.enclosure.claims import Claim, Stated
from openpoint.enclosure.corners import corners_of, ends_of
from openpoint.enclosure.flow import NoFlow
from openpoint.enclosure.grid import GridBounds, bounds_of
from openpoint.enclosure.parts import LinearPart, Response, linear_part, part_of
from openpoint.enclosure.ports import Ports, ports_of
from openpoint.enclosure.ranges import Measured, modulus_ranges
from openpoint.enclosure.system import system_of
from openpoint.errors import InputError
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.powerflow.balanced import solve
from tests.builders.phase_devices import feeder_with_devices
from tests.builders.phase_trees import phase_trees

from . import tables

SHARE = 0.25
GRIDS = ("baran33", "zhang118", "mantovani136", "ieee37")
AT_ONCE = 5000
"""Flows that are computed at once."""
WITH_OHMS, WITH_PHASES = 20, 100
"""The same with the same resistances and reactances, where these deviate, of balanced grids and of others."""
FLOWS_OF_A_GRID = 2000
"""Flows of a random grid."""
NEAR = 1e-9
"""Share by which computed flows may miss a bound that is attained."""


def measure(name: str) -> tuple[str, ...]:
    """A row of the table."""
    grid = openpoint.read(name)
    network = Limits().applied(build_network(grid))
    ports = ports_of(grid, network, {"load": SHARE})
    found, matrices = timed(lambda: bounds_of(grid, network, ports), no_corners=True)
    corners = "" if corners_of(network, ports) is None else f"{timed(lambda: bounds_of(grid, network, ports))[1]:.4f}"
    wider = 100.0 * found.voltage.wider[np.isfinite(found.voltage.wider)]
    outcome = f"{wider.mean():.2f} %", f"{wider.max():.2f} %", f"{found.largest:.3f}", f"{found.contraction:.3f}"
    return grid.name, str(len(ports.fr)), *outcome, corners, f"{matrices:.3f}"


def timed(ask: Callable[[], GridBounds], *, no_corners: bool = False) -> tuple[GridBounds, float]:
    """Bounds, and the least processor seconds of some runs."""
    least = np.inf
    chosen = (lambda *_: None) if no_corners else ends_of
    with patch("openpoint.enclosure.grid.ends_of", chosen):
        for _ in range(10 if least < 1.0 else 1):
            begun = time.process_time()
            found = ask()
            least = min(least, time.process_time() - begun)
    return found, least


def realisations(
    count: int, n: int, budget: float | None, rng: np.random.Generator, at_once: int = AT_ONCE
) -> Iterator[Floats]:
    """(n, K) points of a set, half of them vertices."""
    for start in range(0, count, at_once):
        size = min(at_once, count - start)
        points = rng.uniform(-1.0, 1.0, (n, size))
        points[:, ::2] = np.sign(points[:, ::2])
        if budget is not None and budget < n:
            far = np.argsort(rng.random((n, size)), axis=0) < int(budget)
            points *= np.where(np.arange(size) % 2 == 0, far, np.minimum(1.0, budget / np.abs(points).sum(axis=0)))
        yield points


def beyond(values: Floats, low: Floats, high: Floats) -> int:
    """How many of (K, q) values lie outside."""
    near = NEAR * (1.0 + np.abs(high))
    return int(((values < low - near) | (values > high + near)).sum())


def with_other_ohms(network: Network, ohms: tuple[float, float], rng: np.random.Generator) -> Network:
    """The network with other resistances and reactances, of phases by themselves and between them, half of the time at
    the ends of their shares."""
    z = sp.coo_array(network.z)
    first, last = np.minimum(z.row, z.col), np.maximum(z.row, z.col)
    pair = np.unique(first * network.n_conductors + last, return_inverse=True)[1]
    by = rng.uniform(-1.0, 1.0, (2, len(z.data)))[:, pair]
    by = np.sign(by) if rng.random() < 0.5 else by
    data = z.data + ohms[0] * by[0] * z.data.real + 1j * ohms[1] * by[1] * z.data.imag
    return replace(network, z=sp.csr_array(sp.coo_array((data, (z.row, z.col)), shape=z.shape)))


def of_grid(name: str | Grid, shares: dict[str, float], budget: float | None, count: int) -> tuple[int, int]:
    """Quantities, and how many values of flows of a balanced grid, by sweeps, lie outside."""
    grid = openpoint.read(name)
    network = Limits().applied(build_network(grid))
    ports = ports_of(grid, network, shares)
    found = bounds_of(grid, network, ports, budget)
    outside, names, rng = 0, ("s_power", "s_current", "s_impedance"), np.random.default_rng(1)
    given, at_once = network, WITH_OHMS if any(ports.ohms) else AT_ONCE
    for points in realisations(count, len(ports.names), budget, rng, at_once):
        network = with_other_ohms(given, ports.ohms, rng) if any(ports.ohms) else given
        moved = ports.spread @ points
        demand: dict[str, Any] = {each: np.tile(getattr(network, each), (points.shape[1], 1)) for each in names}
        for degree, each in enumerate(names):
            of = ports.degree == degree
            demand[each][:, ports.fr[of]] += moved[of].T
        flows = solve(network, network.closed, **demand)
        assert flows.converged.all()
        of_sources = (flows.source_s.real, found.p), (flows.source_s.imag, found.q), (flows.loss[:, None], found.loss)
        for values, bounds in ((np.abs(flows.v), found.voltage), (flows.i_rated, found.current), *of_sources):
            outside += beyond(values, bounds.low, bounds.high)
    return network.n_terminals + network.n_conductors + 2 * len(found.p.low) + 1, outside


def of_claim(grid: Grid, claim: Claim, count: int) -> tuple[int, int]:
    """The same of voltages and currents of conductors in any phases, of sets with recourse too, by port equations."""
    stated, outside, quantities = Stated(grid, claim), 0, 0
    for linear, moving in stated.parts():
        found, spread = states_of(stated, linear, moving), stated.ports.spread[linear.ports][:, moving]
        quantities += len(found.low)
        for points in realisations(count, len(moving), stated.operated.among.budget, np.random.default_rng(1)):
            outside += states_beyond(linear, stated.ports, spread @ points, found)
    return quantities, outside


def of_phases(ohms: tuple[float, float], count: int) -> tuple[int, int]:
    """The same of random unbalanced grids with wye and delta loads of all models, generators, capacitors, regulators
    and other transformers, whose resistances and reactances deviate, too, by port equations made anew for each."""
    quantities, outside, done, seed = 0, 0, 0, 0
    shares = {"load": 0.1, "generation": 0.3, "resistance": ohms[0], "reactance": ohms[1]}
    while done < count:
        seed += 1
        grid = without_bands(feeder_with_devices(seed) if seed % 3 == 0 else phase_trees(seed, generation=True))
        try:
            stated = Stated(grid, Claim(Limits(), shares))
            parts = [(linear, states_of(stated, linear, moving)) for linear, moving in stated.parts()]
        except (NotEnclosed, NoFlow, InputError):
            continue
        rng, ports = np.random.default_rng(seed), stated.ports
        quantities += sum(len(found.low) for _, found in parts)
        for points in realisations(FLOWS_OF_A_GRID, ports.spread.shape[1], None, rng, WITH_PHASES):
            system = system_of(grid, with_other_ohms(stated.operated.network, ohms, rng), ports)
            for given, found in parts:
                linear = linear_part(system, ports, given.states, given.ports)
                outside += states_beyond(linear, ports, ports.spread[linear.ports] @ points, found)
            done += points.shape[1]
    return quantities, outside


def without_bands(grid: Grid) -> Grid:
    """The grid with loads whose models hold at all voltages."""
    free = [pl.lit(None, pl.Float64).alias(column) for column in ("v_min_pu", "v_max_pu")]
    return grid.with_tables(loads=grid.loads.with_columns(free))


def states_of(stated: Stated, linear: LinearPart, moving: Ints) -> Measured:
    """Bounds of the moduli of all states of a part."""
    part = part_of(stated.ports, stated.operated.among, linear, moving)
    return modulus_ranges(part.known, part.forms(whole_of(linear)))


def whole_of(linear: LinearPart) -> Response:
    """All states."""
    return linear.response(sp.csr_array(sp.eye_array(len(linear.states), format="csr")))


def states_beyond(linear: LinearPart, ports: Ports, more: Complexes, found: Measured) -> int:
    """How many moduli of states lie outside in exact flows of ports that draw (m, K) more."""
    response, y = whole_of(linear), currents(linear, ports, more)
    return beyond(np.abs(response.start[:, None] - response.gain @ y).T, found.low, found.high)


def currents(linear: LinearPart, ports: Ports, more: Complexes) -> Complexes:
    """(m, K) currents of ports that draw (m, K) more."""
    at = linear.ports
    s, unit, degree = ports.s[at][:, None] + more, ports.unit[at][:, None], ports.degree[at][:, None]
    u = np.repeat(linear.u0[:, None], more.shape[1], axis=1)
    for _ in range(500):
        y = np.conj(s * (np.abs(u) / unit) ** degree / u)
        u, last = linear.u0[:, None] - linear.z @ y, u
        if np.abs(u - last).max(initial=0.0) < 1e-14:
            return np.asarray(y)
    raise RuntimeError("a flow does not converge")


def mixed() -> Grid:
    """baran33 with loads of constant power, current and impedance in turn, and generators."""
    grid = openpoint.read("baran33")
    models = pl.Series([("power", "current", "impedance")[k % 3] for k in range(grid.loads.height)])
    rows = [{"name": f"g{bus}", "bus": bus, "p_kw": 400.0, "q_kvar": 50.0} for bus in grid.loads["bus"][5::10]]
    kept = {name: table for name, table in grid.tables().items() if table.height}
    return Grid.from_tables("mixed", {**kept, "loads": grid.loads.with_columns(model=models), "generators": rows})


def sampled(count: int) -> list[list[str]]:
    """The table of sets of every kind and flows outside, `count` in all."""
    each, plan = (
        count // 12,
        openpoint.partition("ieee37-microgrids", uncertainty=0.15, uncertain_loads=6, certify=True),
    )
    assert plan.certificate is not None
    claim = plan.certificate.claim
    assert claim is not None
    wide = [without_bands(openpoint.read(name)) for name in ("ieee13", "ieee37")]
    both = {"load": 0.1, "generation": 0.3}
    ohms = {"load": 0.1, "generation": 0.3, "resistance": 0.1, "reactance": 0.05}
    asked: list[tuple[str, str, Callable[[], tuple[int, int]]]] = [
        ("baran33", "load ±50 %, two corners", lambda: of_grid("baran33", {"load": 0.5}, None, each)),
        ("mantovani136", "load ±25 %, two corners", lambda: of_grid("mantovani136", {"load": 0.25}, None, each)),
        ("zhang118", "load ±25 %, 10 at once", lambda: of_grid("zhang118", {"load": 0.25}, 10.0, each)),
        ("baran33", "ZIP and generators, load ±50 %, generation ±30 %",
         lambda: of_claim(mixed(), Claim(Limits(), {"load": 0.5, "generation": 0.3}), each)),
        ("ieee13", "wye, delta, ZIP, load ±10 %", lambda: of_claim(wide[0], Claim(Limits(), both), each)),
        ("ieee13", "the same, 3 at once", lambda: of_claim(wide[0], Claim(Limits(), both, 3.0), each)),
        ("ieee37", "delta, ZIP, load ±25 %", lambda: of_claim(wide[1], Claim(Limits(), {"load": 0.25}), each)),
        ("zhang118", "load ±10 %, r ±10 %, x ±5 %, two corners", lambda: of_grid("zhang118", ohms, None, each)),
        ("mantovani136", "the same, 10 loads at once", lambda: of_grid("mantovani136", ohms, 10.0, each)),
        ("baran33", "ZIP and generators, load ±10 %, generation ±30 %, r ±10 %, x ±5 %",
         lambda: of_grid(mixed(), ohms, None, each)),
        ("100 random", "wye, delta, ZIP, regulators, load ±10 %, generation ±30 %, r ±10 %, x ±5 %",
         lambda: of_phases((0.1, 0.05), each)),
        ("ieee37-microgrids", "six loads ±15 %, recourse",
         lambda: of_claim(openpoint.read("ieee37-microgrids"), claim, each)),
    ]  # fmt: skip
    rows = [["grid", "set", "quantities", "flows", "outside", "CPU s"]]
    for name, what, ask in asked:
        begun = time.process_time()
        quantities, outside = ask()
        seconds = f"{time.process_time() - begun:.0f}"
        rows.append([name, what, str(quantities), f"{each:,}", str(outside), seconds])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grids", nargs="*", help="names or files, beside the built-in ones")
    parser.add_argument("--samples", type=int, default=0, help="exact flows to compare with bounds, instead of times")
    asked = parser.parse_args()
    if asked.samples:
        print(tables.aligned(sampled(asked.samples)))
        return
    rows = [measure(name) for name in (*GRIDS, *asked.grids)]
    heads = "grid", "ports", "wider, mean", "most", "X", "λ", "corners s", "matrices s"
    print(tables.aligned([heads, *rows]))


if __name__ == "__main__":
    main()
