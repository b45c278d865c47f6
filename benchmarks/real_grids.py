"""Grids as planners keep them: those of SimBench with switches, and those of pandapower with a tie.

    python -m benchmarks.real_grids --json docs/real_grids.json --markdown docs/real_grids.md
    python -m benchmarks.real_grids --from docs/real_grids.json --markdown docs/real_grids.md
    python -m benchmarks.real_grids --cases mv_oberrhein 1-MV-comm--0-sw

Each net is written by pandapower and read by openpoint. Today's state is compared with `pandapower.runpp`; the state of
least loss, in which limits that cannot be kept are broken least, is written back into the net, and `runpp` computes
its loss. Faults of lines and transformers are checked in both states. Exit status 1: a difference above 1e-6, an answer
that switches anything but lines, or one that opens a branch at the bus of a source, or a command `info` or `check` that
finds a fault.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import openpoint
from openpoint import TopologySearch
from openpoint.cli.app import run_app
from openpoint.grid.rules.wiring import meshes
from openpoint.io.write_back import write_back

from . import tables, timing

SIMBENCH = tuple(f"1-MV-{kind}--{year}-sw" for kind in ("rural", "semiurb", "urban", "comm") for year in range(3))
PANDAPOWER = (
    "mv_oberrhein",
    "mv_oberrhein (generation)",
    "create_cigre_network_mv",
    "create_cigre_network_mv (pv_wind)",
    "create_cigre_network_mv (all)",
    "simple_mv_open_ring_net",
    "example_simple",
    "example_multivoltage",
    "example_multivoltage (10 kV)",
    "case33bw",
    "lv_schutterwald",
    "lv_schutterwald (heat pumps)",
)
OPTIONS: dict[str, dict[str, Any]] = {
    "mv_oberrhein (generation)": {"scenario": "generation"},
    "create_cigre_network_mv (pv_wind)": {"with_der": "pv_wind"},
    "create_cigre_network_mv (all)": {"with_der": "all"},
    "lv_schutterwald (heat pumps)": {"include_heat_pumps": True},
}
"""Arguments of nets that pandapower ships in several forms."""
NO_BOUND = ("example_multivoltage",)
"""Nets that only the power flow computes, as a transformer of three windings has a negative resistance."""
FAULTS = ("waiting today", "waiting after")
"""Faults after which load waits for the repair, whichever tie is closed: headings of their columns."""
SECONDS = 60.0
EXACT = 1e-6
"""Largest difference from pandapower: of losses relative, of voltages in pu."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", metavar="FILE", help="compute nothing, show the figures of this file")
    parser.add_argument("--cases", nargs="+", default=(*SIMBENCH, *PANDAPOWER))
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--markdown", metavar="PAGE", help="renew the generated tables of this page")
    given = parser.parse_args()
    if given.source:
        record = json.loads(Path(given.source).read_text("utf-8"))
    else:
        openpoint.reconfigure("baran33")  # compiles what is compiled at first use
        record = {"machine": timing.machine(), "rows": []}
        for name in given.cases:
            record["rows"].append(measured(name))
            print(json.dumps(record["rows"][-1]), file=sys.stderr, flush=True)
    table = as_table(record["rows"])
    print(tables.aligned(table))
    if given.json:
        Path(given.json).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if given.markdown:
        page = Path(given.markdown)
        text = f"{tables.as_markdown(table)}\n\n{tables.where(record)}"
        page.write_text(tables.between_marks(page.read_text("utf-8"), text), encoding="utf-8")
    return 1 if any(is_fault(row) for row in record["rows"]) else 0


def measured(name: str) -> dict[str, Any]:
    """The figures of a net; without an answer for one that only the power flow computes."""
    import pandapower as pp

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = Path(folder) / "net.json"
        net = net_named(name)
        net.profiles = {}
        loss, v = by_pandapower(net)
        pp.to_json(net, str(file))
        grid = openpoint.read(file)
        today = openpoint.run_powerflow(file)
        names = dict(zip(today.buses["name"], today.buses["v_pu"]))
        doubts = [problem for problem in grid.problems() if problem.severity == "warning"]
        return {
            "grid": name,
            "doubts": len(doubts) + len(grid.notes),
            "refused": [word for word in ("info", "check") if not is_accepted(word, file)],
            "buses": grid.buses.height,
            "branches": grid.branches().height,
            "switchable": int(grid.branches()["switchable"].sum()),
            "held": sum(mesh.is_held for mesh in meshes(grid)),
            "loops": sum(not mesh.is_held for mesh in meshes(grid)),
            "loss_before_kw": today.loss_kw,
            "loss_difference": abs(today.loss_kw / loss - 1.0),
            "v_difference_pu": max(abs(names[bus] - size) for bus, size in v.items() if bus in names),
            "answer": None if name in NO_BOUND else answered(file),
        }


def answered(file: Path) -> dict[str, Any]:
    """The figures of the state of least loss of a net."""
    import pandapower as pp

    grid = openpoint.read(file, pv="pq")
    begun = time.process_time()
    method = TopologySearch(gap=1e-4, time_limit_s=SECONDS)
    answer = openpoint.reconfigure(grid, method=method, soft_limits=True)
    seconds = time.process_time() - begun
    copy = file.with_name("copy.json")
    changes = write_back(file, copy, dict(answer.branches.select("name", "closed_after").iter_rows()))
    again, _ = by_pandapower(pp.from_json(str(copy)), answer)
    moved = {change.branch for change in changes}
    switched = answer.branches.filter(answer.branches["name"].is_in(list(moved)))
    sources = grid.sources["bus"].implode()
    at_sources = switched.filter(
        ~switched["closed_after"], switched["from_bus"].is_in(sources) | switched["to_bus"].is_in(sources)
    )
    begun = time.process_time()
    faults = {"before": faults_in(grid, None), "after": faults_in(grid, answer.open_branches)}
    return {
        "faults": faults,
        "faults_seconds": time.process_time() - begun,
        "opened_at_sources": at_sources["name"].to_list(),
        "loss_kw": answer.loss_kw,
        "gap": answer.gap if np.isfinite(answer.gap) else None,
        "termination": str(answer.termination),
        "seconds": seconds,
        "switchings": len(moved),
        "kinds": sorted(switched["kind"].unique().to_list()),
        "written_difference": abs((answer.loss_kw or 0.0) / again - 1.0),
    }


def is_accepted(command: str, file: Path) -> bool:
    """Whether a command of openpoint takes the file."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            run_app([command, str(file)])
        except SystemExit as left:
            return not left.code
    return True


def faults_in(grid: openpoint.Grid, open_branches: Any) -> list[int] | None:
    """The number of faults, and of those that leave load without supply until the repair; None in a meshed state."""
    try:
        found = openpoint.secure(grid, open_branches=open_branches)
    except openpoint.InputError as error:
        if not all("closes a loop" in problem.message or "join" in problem.message for problem in error.problems):
            raise
        return None
    return [found.faults.height, found.waiting.height]


def net_named(name: str) -> Any:
    """A net of SimBench or of pandapower; buses of one name, or with a number for one, get their number as name."""
    import pandapower.networks as networks
    import simbench

    if name == "example_multivoltage (10 kV)":
        return ten_kv()
    made = getattr(networks, name.partition(" ")[0], None)
    net = made(**OPTIONS.get(name, {})) if made is not None else simbench.get_simbench_net(name)
    if net.bus["name"].duplicated().any() or not all(isinstance(name, str) for name in net.bus["name"]):
        net.bus["name"] = [f"bus {k}" for k in net.bus.index]
    return net


def ten_kv() -> Any:
    """What `example_multivoltage` has below its 10 kV busbar, which a source holds at the voltage of the whole net."""
    import pandapower as pp
    from pandapower.toolbox import select_subnet

    net = net_named("example_multivoltage")
    by_pandapower(net)
    busbar = int(net.trafo3w["lv_bus"].iloc[0])
    below = select_subnet(net, net.bus.index[net.bus["vn_kv"] <= net.bus["vn_kv"][busbar]])
    pp.create_ext_grid(below, busbar, vm_pu=float(net.res_bus.vm_pu[busbar]), name="10 kV busbar")
    return below


def by_pandapower(net: Any, answer: Any = None) -> tuple[float, dict[str, float]]:
    """Loss in kW and voltages by bus; of an answer with generators at the output that it has."""
    import pandapower as pp

    if answer is not None and len(net.gen):
        made = dict(answer.generators.select("name", "q_kvar").iter_rows())
        for k, row in net.gen[~net.gen["slack"].astype(bool)].iterrows():
            pp.create_sgen(net, row["bus"], p_mw=row["p_mw"], q_mvar=made[row["name"]] / 1e3)
            net.gen.loc[k, "in_service"] = False
    pp.runpp(net, tolerance_mva=1e-9, calculate_voltage_angles=True, enforce_q_lims=True, numba=False)
    loss = 1e3 * sum(float(net[f"res_{table}"].pl_mw.sum()) for table in ("line", "trafo", "trafo3w", "impedance"))
    size = net.res_bus.vm_pu
    return loss, {net.bus["name"][k]: float(size[k]) for k in net.bus.index if np.isfinite(size[k])}


def is_fault(row: dict[str, Any]) -> bool:
    """Whether a figure differs from pandapower's, or a planner would not open what is opened."""
    if max(row["loss_difference"], row["v_difference_pu"]) > EXACT or row["refused"]:
        return True
    answer = row["answer"]
    if answer is None:
        return False
    return (
        answer["written_difference"] > EXACT
        or answer["kinds"] not in ([], ["lines"])
        or bool(answer["opened_at_sources"])
    )


def as_table(rows: list[dict[str, Any]]) -> list[list[str]]:
    """A line a net."""
    head = ["grid", "buses", "branches", "switchable", "loops that stay", "other loops", "today kW", "Δ loss", "Δ pu"]
    lines = [[*head, "answer kW", "gap", "CPU s", "switchings", "of", "written back: Δ loss", *FAULTS]]
    for row in rows:
        first = [
            row["grid"],
            *(f"{row[key]:,}" for key in ("buses", "branches", "switchable", "held", "loops")),
            tables.number(row["loss_before_kw"]),
            f"{row['loss_difference']:.0e}",
            f"{row['v_difference_pu']:.0e}",
        ]
        lines.append(first + (_answer_cells(row["answer"]) if row["answer"] else ["not asked"] + [""] * 7))
    return lines


def _answer_cells(answer: dict[str, Any]) -> list[str]:
    return [
        tables.number(answer["loss_kw"]),
        "none" if answer["gap"] is None else tables.percent(answer["gap"]),
        f"{answer['seconds']:.1f}",
        str(answer["switchings"]),
        ", ".join(answer["kinds"]) or "-",
        f"{answer['written_difference']:.0e}",
        *("meshed" if found is None else f"{found[1]} of {found[0]}" for found in answer["faults"].values()),
    ]


if __name__ == "__main__":
    sys.exit(main())
