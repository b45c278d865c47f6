"""Time of one exact power flow in a batch, next to power-grid-model and pandapower in the same run, on one core.

    python benchmarks/powerflow.py [--flows 1000] [--json FILE]

Every batch is solved once before the clock starts, so that no compilation is counted; of several runs the fastest
counts. Only radial topologies whose flow converges take part. pandapower has no batch: it is timed flow by flow, on
fewer of them, and most of its time is spent outside the solver.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# One core for everybody, whatever the linear algebra underneath would take.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import numpy as np

from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.powerflow.balanced import losses, solve

CASES = ("baran33", "das70", "zhang118", "mantovani136")
TOLERANCE = 1e-10
SINGLE = 10  # flows that are solved one by one

spec = importlib.util.spec_from_file_location(
    "oracles", Path(__file__).parents[1] / "tests" / "powerflow" / "oracles.py"
)
assert spec is not None
assert spec.loader is not None
oracles = importlib.util.module_from_spec(spec)
spec.loader.exec_module(oracles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", type=int, default=1000, help="flows in a batch (default 1000)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there; - is standard output")
    arguments = parser.parse_args()
    record = run(arguments.flows)
    if arguments.json == "-":
        json.dump(record, sys.stdout, indent=2)
        return
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    show(record["rows"])


def run(flows: int = 1000) -> dict[str, Any]:
    """All figures, as they go into the JSON file."""
    rows = []
    for name in CASES:
        network = build_network(files.load(name))
        rows += [measure(name, network, kind, flows) for kind in ("topologies", "loads")]
    return {"machine": platform.machine(), "python": platform.python_version(), "tolerance": TOLERANCE, "rows": rows}


def measure(name: str, network: Network, kind: str, flows: int) -> dict[str, Any]:
    """Microseconds per flow of every solver on one batch, and how far their voltages are apart."""
    rng = np.random.default_rng(1)
    if kind == "topologies":
        closed, scale = radial_topologies(network, flows, rng), np.ones((1, 1))
    else:
        closed, scale = network.closed[None, :], rng.uniform(0.3, 1.2, (flows, network.n_terminals))
    power = network.s_power * scale

    def own_loss() -> None:
        losses(network, closed, s_power=power, tolerance=TOLERANCE)

    def own() -> np.ndarray:
        return solve(network, closed, s_power=power, tolerance=TOLERANCE).v

    model, update = power_grid_model_batch(network, closed, power, kind)

    def peer() -> np.ndarray:
        node = model.calculate_power_flow(update_data=update, error_tolerance=TOLERANCE, threading=-1)["node"]
        return np.asarray(node["u_pu"] * np.exp(1j * node["u_angle"]))

    times = {"loss_us": best(own_loss), "flow_us": best(own), "power_grid_model_us": best(peer)}
    times = {key: seconds / flows * 1e6 for key, seconds in times.items()}
    times["pandapower_us"] = pandapower_time(network, closed, power) * 1e6
    apart = float(np.abs(own() - peer()).max())
    return {"case": name, "buses": network.n_terminals, "batch": kind, "flows": flows, **times, "apart_pu": apart}


def best(run: Callable[[], object], repeats: int = 5) -> float:
    """Seconds of the fastest of several runs after one that does not count."""
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def radial_topologies(network: Network, number: int, rng: np.random.Generator) -> np.ndarray:
    """(number, E) radial states that converge: spanning trees of random weights, today's branches preferred."""
    found = np.empty((0, network.n_conductors), dtype=bool)
    while len(found) < number:
        batch = []
        for _ in range(number):
            order = np.argsort(rng.random(network.n_conductors) - 0.5 * network.closed)
            leader = np.arange(network.n_terminals)
            leader[network.source_terminal] = network.source_terminal[0]
            state = np.zeros(network.n_conductors, dtype=bool)
            for e in order:
                a, b = leader[network.terminal_fr[e]], leader[network.terminal_to[e]]
                if a != b:
                    leader[leader == a] = b
                    state[e] = True
            batch.append(state)
        states = np.array(batch)
        found = np.concatenate([found, states[losses(network, states)[1] == 0]])
    return found[:number]


def power_grid_model_batch(network: Network, closed: np.ndarray, power: np.ndarray, kind: str) -> tuple[Any, Any]:
    """A power-grid-model of the network, and the batch as its update."""
    from power_grid_model import PowerGridModel, initialize_array

    data = oracles.power_grid_model_input(network, network.closed)
    if kind == "topologies":
        update = initialize_array("update", "generic_branch", closed.shape)
        update["id"] = data["generic_branch"]["id"]
        update["from_status"] = update["to_status"] = closed
        return PowerGridModel(data), {"generic_branch": update}
    loads = data["sym_load"]
    update = initialize_array("update", "sym_load", (len(power), len(loads)))
    update["id"] = loads["id"]
    update["p_specified"] = power[:, loads["node"]].real * network.s_base_kva * 1e3
    update["q_specified"] = power[:, loads["node"]].imag * network.s_base_kva * 1e3
    return PowerGridModel(data), {"sym_load": update}


def pandapower_time(network: Network, closed: np.ndarray, power: np.ndarray) -> float:
    """Seconds a flow of `pandapower.runpp` with its defaults and numba; only loads and states change between flows."""
    import pandapower as pp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = oracles.pandapower_net(network, np.ones(network.n_conductors, dtype=bool))
        s_mva = network.s_base_kva / 1000.0

        def run(number: int) -> float:
            net.line["in_service"] = closed[number % len(closed)]
            s = power[number % len(power)][net.load.bus.to_numpy()] * s_mva
            net.load["p_mw"], net.load["q_mvar"] = s.real, s.imag
            start = time.perf_counter()
            pp.runpp(net)
            return time.perf_counter() - start

        run(0)
        return min(run(number) for number in range(SINGLE))


def show(rows: list[dict[str, Any]]) -> None:
    print("µs per flow          loss only   all results   power-grid-model   pandapower   apart pu")
    for row in rows:
        print(
            f"{row['buses']:>4} {row['batch']:<12} {row['loss_us']:>12.1f} {row['flow_us']:>13.1f} "
            f"{row['power_grid_model_us']:>18.1f} {row['pandapower_us']:>12.0f} {row['apart_pu']:>10.0e}"
        )


if __name__ == "__main__":
    main()
