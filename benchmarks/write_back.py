"""Answers written back into a user's file, and the loss that another program computes of it, before and after.

    python -m benchmarks.write_back [MATPOWER FILE …]

Files of power-grid-model and OpenDSS are made of built-in grids, and computed by power-grid-model and by OpenDSS. Of a
MATPOWER file the tables are parsed here, kW and ohm turned into MW and per unit where its last statements do that, and
pandapower computes them. Nets of pandapower are in `benchmarks.real_grids`. Exit status 1: a difference above 1e-6.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import openpoint
from openpoint.io.opendss.engine import borrow_engine, hand_back, run_statements, solve_today
from openpoint.io.opendss.text import read_script
from openpoint.io.write_back import write_back

GRIDS = ("baran33", "das70", "zhang118")
EXACT = 1e-6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE", type=Path, help="MATPOWER files")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| file | switchings | before kW | Δ | after kW | Δ |")
    greatest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        cases = list[tuple[Path, Any, Any, str]]()
        cases += [(Path(folder) / f"{name}.json", pgm_file, by_pgm, name) for name in GRIDS]
        cases += [(Path(folder) / f"{name}.dss", opendss_file, by_opendss, name) for name in GRIDS]
        cases += [(file, None, by_pandapower, file.stem) for file in given.files]
        for file, made, loss_of, name in cases:
            if made is not None:
                made(name, file)
            asked = name if made is opendss_file else file  # read from OpenDSS it has three phases
            answer = openpoint.reconfigure(asked, method=openpoint.TopologySearch(gap=1e-4, time_limit_s=60.0))
            copy = Path(folder) / f"copy of {file.name}"
            changes = write_back(file, copy, dict(answer.branches.select("name", "closed_after").iter_rows()))
            assert answer.loss_before_kw is not None
            both = (answer.loss_before_kw, loss_of(file)), (answer.loss_kw or math.nan, loss_of(copy))
            differences = [abs(mine / theirs - 1.0) for mine, theirs in both]
            greatest = max(greatest, *differences)
            cells = " | ".join(f"{mine:.3f} | {gap:.0e}" for (mine, _), gap in zip(both, differences))
            print(f"| {file.name} | {len(changes)} | {cells} |", flush=True)
    return int(not greatest <= EXACT)


def pgm_file(name: str, file: Path) -> None:
    """A built-in grid as input data of power-grid-model."""
    grid = openpoint.read(name)
    number = {bus: k for k, bus in enumerate(grid.buses["name"])}
    first = len(number)
    nodes = [{"id": k, "u_rated": 1e3 * kv} for k, kv in enumerate(grid.buses["vn_kv"])]
    lines: list[dict[str, Any]] = []
    for k, row in enumerate(grid.lines.iter_rows(named=True), start=first):
        ends = {"from_node": number[row["from_bus"]], "to_node": number[row["to_bus"]]}
        status = dict.fromkeys(("from_status", "to_status"), int(row["closed"]))
        lines.append({"id": k, **ends, **status, "r1": row["r_ohm"][0], "x1": row["x_ohm"][0], "c1": 0.0, "tan1": 0.0})
    first += len(lines)
    loads: list[dict[str, Any]] = []
    for k, (bus, p, q) in enumerate(grid.loads.select("bus", "p_kw", "q_kvar").iter_rows(), start=first):
        power = {"type": 0, "p_specified": 1e3 * p, "q_specified": 1e3 * q}
        loads.append({"id": k, "node": number[bus], "status": 1, **power})
    first += len(loads)
    sources: list[dict[str, Any]] = []
    for k, (bus, v) in enumerate(grid.sources.select("bus", "v_pu").iter_rows(), start=first):
        sources.append({"id": k, "node": number[bus], "status": 1, "u_ref": v, "sk": 1e20, "rx_ratio": 0.1})
    data = {"node": nodes, "line": lines, "sym_load": loads, "source": sources}
    head = {"version": "1.0", "type": "input", "is_batch": False, "attributes": {}}
    file.write_text(json.dumps({**head, "data": data}, indent=1), encoding="utf-8")


def by_pgm(file: Path) -> float:
    from power_grid_model import PowerGridModel
    from power_grid_model.utils import json_deserialize_from_file

    model = PowerGridModel(json_deserialize_from_file(file))
    found = model.calculate_power_flow(error_tolerance=1e-10)["line"]
    return float((found["p_from"] + found["p_to"]).sum()) / 1e3


def opendss_file(name: str, file: Path) -> None:
    openpoint.write(name, file)


def by_opendss(file: Path) -> float:
    engine = borrow_engine()
    try:
        if run_statements(engine, read_script(file).statements) or not solve_today(engine):
            raise RuntimeError(f"OpenDSS does not solve {file}")
        return float(engine.Circuit.Losses()[0]) / 1e3
    finally:
        hand_back(engine)


def by_pandapower(file: Path) -> float:
    import pandapower as pp
    from pandapower.converter.pypower.from_ppc import from_ppc

    text = re.sub(r"%.*", "", file.read_text(encoding="utf-8"))
    bus, gen, branch = (_table(text, name) for name in ("bus", "gen", "branch"))
    base = float(re.findall(r"mpc\.baseMVA\s*=\s*([\d.]+)", text)[0])
    if "(Vbase^2 / Sbase)" in text:
        branch[:, 2:4] /= bus[0, 9] ** 2 / base
    if re.search(r"\[PD, QD\]\) / 1e3", text):
        bus[:, 2:4] /= 1e3
    gen = np.pad(gen, ((0, 0), (0, max(0, 21 - gen.shape[1]))))
    net = from_ppc({"version": "2", "baseMVA": base, "bus": bus, "gen": gen, "branch": branch}, f_hz=50.0)
    pp.runpp(net, tolerance_mva=1e-9, numba=False)
    return 1e3 * sum(float(net[f"res_{table}"].pl_mw.sum()) for table in ("line", "trafo", "impedance"))


def _table(text: str, name: str) -> Any:
    rows = re.findall(rf"mpc\.{name}\s*=\s*\[(.*?)\]", text, re.DOTALL)[0]
    return np.array([[float(cell) for cell in row.split()] for row in re.split(r"[;\n]", rows) if row.strip()])


if __name__ == "__main__":
    sys.exit(main())
