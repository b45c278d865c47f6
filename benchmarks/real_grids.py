"""Grids as planners keep them: those of SimBench with switches, and those of pandapower with a tie.

    python -m benchmarks.real_grids --json docs/real_grids.json --markdown docs/real_grids.md
    python -m benchmarks.real_grids --from docs/real_grids.json --markdown docs/real_grids.md
    python -m benchmarks.real_grids --from docs/real_grids.json --years --json docs/real_grids.json
    python -m benchmarks.real_grids --cases "lv_schutterwald (heat pumps)" 1-MVLV-rural-all-0-sw

The last are large, and not among those that are computed where none is named. Each net is written by pandapower, read
by openpoint, and goes the way of a planner: check, power flow, state of least loss in which limits that cannot be kept
are broken least, faults of lines and transformers in both states, order of switching, states written back. pandapower
computes what comes out of each: losses, voltages, loadings, currents of both ends of lines and of each winding, the
states after faults, and the net with the states of the answer. Exit status 1: a difference above 1e-6, an answer that
switches anything but lines, or one that opens a branch at the bus of a source, or a command `info` or `check` that
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import openpoint
from openpoint import TopologySearch
from openpoint.cli.app import run_app
from openpoint.grid.rules.wiring import meshes
from openpoint.io.pandapower.branches import branch_names
from openpoint.io.pandapower.reading import Net, net_from_text
from openpoint.io.pandapower.states import cells_of_states

from . import tables, timing

SIMBENCH = (
    *(f"1-MV-{kind}--{year}-sw" for kind in ("rural", "semiurb", "urban", "comm") for year in range(3)),
    "1-MVLV-rural-1.108-0-sw",
    "1-MVLV-urban-5.303-0-sw",
)
PANDAPOWER = (
    "mv_oberrhein",
    "mv_oberrhein (generation)",
    "mv_oberrhein (substations)",
    "create_cigre_network_mv",
    "create_cigre_network_mv (pv_wind)",
    "create_cigre_network_mv (all)",
    "simple_mv_open_ring_net",
    "example_simple",
    "example_multivoltage",
    "example_multivoltage (10 kV)",
    "case33bw",
    "lv_schutterwald",
)
OPTIONS: dict[str, dict[str, Any]] = {
    "mv_oberrhein (generation)": {"scenario": "generation"},
    "mv_oberrhein (substations)": {"include_substations": True},
    "create_cigre_network_mv (pv_wind)": {"with_der": "pv_wind"},
    "create_cigre_network_mv (all)": {"with_der": "all"},
    "lv_schutterwald (heat pumps)": {"include_heat_pumps": True},
}
"""Arguments of nets that pandapower ships in several forms."""
FAULTS = ("waiting today", "waiting after")
"""Faults after which load waits for the repair, whichever tie is closed: headings of their columns."""
RESTORED = ("restored", "partly restored")
COMPARED = 100
"""States after faults that pandapower computes of a state of a net, at most: spread over all that are restored."""
ENDS = {
    "line": ("from", "to"),
    "trafo": ("hv", "lv"),
    **{f"trafo3w {side}": (side,) for side in ("hv", "mv", "lv")},
    "impedance": ("from", "to"),
}
"""The ends of a branch whose currents are compared, by its table; of a winding that at its bus."""
SECONDS = 60.0
YEAR_SECONDS, YEAR_GAP = 250.0, 1e-3
HOURS = np.arange(8760)
"""Hours of the year of nets without profiles, in which all loads follow one share from 0.2 to 1."""
EXACT = 1e-6
"""Largest difference from pandapower: of losses and currents relative, of voltages in pu, of loadings of 1 = 100 %."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", metavar="FILE", help="compute nothing, show the figures of this file")
    parser.add_argument("--cases", nargs="+", default=(*SIMBENCH, *PANDAPOWER))
    parser.add_argument("--years", action="store_true", help="compute the years anew, of all rows or those of --cases")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--markdown", metavar="PAGE", help="renew the generated tables of this page")
    given = parser.parse_args()
    if given.source:
        record = json.loads(Path(given.source).read_text("utf-8"))
        for row in record["rows"] if given.years else ():
            if row["grid"] in given.cases and "refused" not in row["answer"]:
                row["year"] = year_of(row["grid"])
                print(json.dumps({row["grid"]: row["year"]}), file=sys.stderr, flush=True)
                Path(given.json or given.source).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    else:
        openpoint.reconfigure("baran33")  # compiles what is compiled at first use
        record = {"machine": timing.machine(), "rows": []}
        for name in given.cases:
            record["rows"].append(measured(name))
            print(json.dumps(record["rows"][-1]), file=sys.stderr, flush=True)
    both = as_tables(record["rows"])
    print(*(tables.aligned(table) for table in both), sep="\n\n")
    if given.json:
        Path(given.json).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if given.markdown:
        page = Path(given.markdown)
        text = "\n\n".join([*(tables.as_markdown(table) for table in both), tables.where(record)])
        page.write_text(tables.between_marks(page.read_text("utf-8"), text), encoding="utf-8")
    return 1 if any(is_fault(row) for row in record["rows"]) else 0


def measured(name: str) -> dict[str, Any]:
    """The figures of a net."""
    import pandapower as pp

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = Path(folder) / "net.json"
        net = net_named(name)
        net.profiles = {}
        loss = by_pandapower(net)
        pp.to_json(net, str(file))
        grid = openpoint.read(file)
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
            **flow_differences(openpoint.run_powerflow(file), net, loss),
            "answer": answered(file),
            "year": year_of(name),
        }


def flow_differences(flow: Any, net: Any, loss_kw: float) -> dict[str, Any]:
    """The loss of today's state, and the largest differences of a power flow from that of pandapower."""
    v = dict(flow.buses.select("name", "v_pu").iter_rows())
    rows = {row["name"]: row for row in flow.branches.iter_rows(named=True)}
    size, names = net.res_bus.vm_pu, names_of(net)
    loadings, currents = [0.0], [0.0]
    for (table, index), name in names.items():
        if name not in rows or table not in ENDS or not rows[name]["closed"]:
            continue
        found = net[f"res_{table.split()[0]}"].loc[index]
        mine = [rows[name][f"i_{end}_a"] for end in ("from", "to")]
        theirs = [1e3 * float(found[f"i_{side}_ka"]) for side in ENDS[table]]
        if len(theirs) == 1:  # a winding of three: the star point is at its other end
            mine = mine[:1] if table.endswith("hv") else mine[1:]
        if np.isfinite(theirs).all():
            currents += [abs(a - b) / max(*mine, 1.0) for a, b in zip(mine, theirs, strict=True)]
        if table in ("line", "trafo") and rows[name]["loading_percent"] is not None:
            loadings.append(abs(rows[name]["loading_percent"] - float(found.loading_percent)) / 100.0)
    at = {net.bus["name"][k]: float(size[k]) for k in net.bus.index if np.isfinite(size[k])}
    return {
        "loss_before_kw": flow.loss_kw,
        "loss_difference": abs(flow.loss_kw / loss_kw - 1.0),
        "v_difference_pu": max(abs(v[bus] - size) for bus, size in at.items() if bus in v),
        "loading_difference": max(loadings),
        "current_difference": max(currents),
    }


def names_of(net: Any) -> dict[tuple[str, int], str]:
    """The names of branches by table and index."""
    return branch_names(text_of(net))


def text_of(net: Any) -> Net:
    """The tables of a net as openpoint reads them."""
    import pandapower as pp

    return net_from_text(pp.to_json(net), "net")


def answered(file: Path) -> dict[str, Any]:
    """The figures of the state of least loss of a net, and of what comes after it; or why there is none."""
    import pandapower as pp

    grid = openpoint.read(file, pv="pq")
    begun = time.process_time()
    method = TopologySearch(gap=1e-4, time_limit_s=SECONDS)
    try:
        answer = openpoint.reconfigure(grid, method=method, soft_limits=True)
    except openpoint.InputError as error:
        return {"refused": str(error.problems[0])}
    seconds = time.process_time() - begun
    copied = file.with_name("copy.json")
    changes = openpoint.write_back(file, copied, dict(answer.branches.select("name", "closed_after").iter_rows()))
    again = pp.from_json(str(copied))
    alike = pp.toolbox.nets_equal(again, answer.to_pandapower(), check_only_results=False)
    written = by_pandapower(again, grid, answer.generators)
    moved = {change.branch for change in changes}
    switched = answer.branches.filter(answer.branches["name"].is_in(list(moved)))
    sources = grid.sources["bus"].implode()
    at_sources = switched.filter(
        ~switched["closed_after"], switched["from_bus"].is_in(sources) | switched["to_bus"].is_in(sources)
    )
    plan = openpoint.plan_answer(answer)
    begun = time.process_time()
    assert answer.grid_after is not None
    faults = {"before": faults_in(grid, None), "after": faults_in(answer.grid_after, None)}
    faults_seconds = time.process_time() - begun
    states = {"before": pp.from_json(str(file)), "after": again}
    compared = [
        fault_differences(states[when], grid, found) for when, found in faults.items() if not isinstance(found, str)
    ]
    return {
        "faults": {
            when: found if isinstance(found, str) else [found.faults.height, found.waiting.height]
            for when, found in faults.items()
        },
        "faults_seconds": faults_seconds,
        "faults_compared": sum(each[0] for each in compared),
        "faults_v_difference_pu": max((each[1] for each in compared), default=0.0),
        "faults_loading_difference": max((each[2] for each in compared), default=0.0),
        "plan": {
            "operations": plan.operations,
            "found": plan.found,
            "keeps_limits": plan.keeps_limits,
            "proven": plan.proven,
        },
        "opened_at_sources": at_sources["name"].to_list(),
        "loss_kw": answer.loss_kw,
        "gap": answer.gap if np.isfinite(answer.gap) else None,
        "termination": str(answer.termination),
        "seconds": seconds,
        "switchings": len(moved),
        "kinds": sorted(switched["kind"].unique().to_list()),
        "written_difference": abs((answer.loss_kw or 0.0) / written - 1.0),
        "one_net": alike,
    }


def year_of(name: str) -> dict[str, Any]:
    """The topology of a year of a net, and how figures of some of its steps differ from pandapower; or why none."""
    net = net_named(name)
    has_own = name in SIMBENCH
    share = 0.6 + 0.25 * np.cos(np.pi * (HOURS - 19) / 12) + 0.15 * np.cos(2.0 * np.pi * (HOURS - 360) / 8760)
    year: Any = "own" if has_own else pl.DataFrame({"hours": np.ones(len(HOURS)), "all": share})
    begun = time.process_time()
    try:
        found = openpoint.reconfigure_year(net, year, gap=YEAR_GAP, time_limit_s=YEAR_SECONDS, soft_limits=True)
    except openpoint.InputError as error:
        return {"refused": str(error.problems[0])}
    seconds, steps = time.process_time() - begun, found.steps.to_dicts()
    chosen = sorted({0, len(steps) // 2, max(range(len(steps)), key=lambda k: steps[k]["demand_kw"])})
    differences = [0.0], [0.0]
    made = {"before": net_named(name), "after": found.to_pandapower() if found.energy_mwh is not None else None}
    for when, states in made.items():
        # Today's state has no figures where it is not radial.
        for k in chosen if states is not None and steps[0][f"loss_{when}_kw"] is not None else ():
            loaded(states, net, None if has_own else float(share[k]), k)
            loss = by_pandapower(states)
            v = float(states.res_bus.vm_pu.drop(states.ext_grid["bus"].unique()).min())
            differences[0].append(abs(steps[k][f"loss_{when}_kw"] / loss - 1.0))
            differences[1].append(abs(steps[k][f"v_min_{when}_pu"] - v))
    return {
        "own": has_own,
        "steps": len(steps),
        "before_mwh": found.energy_before_mwh,
        "mwh": found.energy_mwh,
        "gap": found.gap if np.isfinite(found.gap) else None,
        "relaxed": [] if found.soft_limits is None else [str(limit) for limit in found.soft_limits.relaxed],
        "proven": found.soft_limits is None or found.soft_limits.proven,
        "broken": [found.steps_broken_before, found.steps_broken],
        "seconds": seconds,
        "loss_difference": max(differences[0]),
        "v_difference_pu": max(differences[1]),
    }


def loaded(states: Any, net: Any, share: float | None, step: int) -> None:
    """Set powers of a step: those of the profiles of SimBench, or a share of all loads of the net."""
    import simbench

    if share is not None:
        for column in ("p_mw", "q_mvar"):
            states.load[column] = share * net.load[column]
        return
    for (table, column), values in simbench.get_absolute_values(net, profiles_instead_of_study_cases=True).items():
        if len(net[table]):
            states[table][column] = values.iloc[step].clip(lower=0.0 if table == "sgen" else None)


def fault_differences(net: Any, grid: openpoint.Grid, found: Any) -> tuple[int, float, float]:
    """How many states after faults pandapower computed, and the largest differences: lowest voltage, highest loading.

    Args:
        net: in the state of `found`, with generators as in `grid`. found: the result of `secure`.
    """
    as_given(net, grid.generators)
    tables, known = text_of(net), grid.with_closed(dict(found.grid.branches().select("name", "closed").iter_rows()))
    listed = lister(known)
    rows = [row for row in found.faults.to_dicts() if row["verdict"] in RESTORED and row["v_min_pu"] is not None]
    chosen = [rows[k] for k in np.unique(np.linspace(0, len(rows) - 1, COMPARED).astype(int))] if rows else []
    inner = set(found.buses["name"]) & set(net.bus["name"])
    volts, loadings = 0.0, 0.0
    for row in chosen:
        opened, closed = (*listed(row["to_open"]), *listed(row["then_open"])), listed(row["to_close"])
        states = dict.fromkeys(opened, False) | dict.fromkeys(closed, True)
        cells = cells_of_states(tables, "net", known, states)
        before = [net[cell.table].at[cell.row["index"], cell.column] for cell in cells]
        for cell in cells:
            net[cell.table].at[cell.row["index"], cell.column] = cell.value
        by_pandapower(net)
        for cell, value in zip(cells, before, strict=True):
            net[cell.table].at[cell.row["index"], cell.column] = value
        lowest = float(net.res_bus.vm_pu[net.bus["name"].isin(inner)].min())
        rated = [net[f"res_{table}"].loading_percent.max() for table in ("line", "trafo", "trafo3w", "switch")]
        volts = max(volts, abs(row["v_min_pu"] - lowest))
        if row["loading_percent"] is not None:
            loadings = max(loadings, abs(row["loading_percent"] - float(np.nanmax(rated))) / 100.0)
    return len(chosen), volts, loadings


def lister(grid: openpoint.Grid) -> Callable[[str], list[str]]:
    """A function that takes a text of names of branches apart, which stand between blanks or commas."""
    names = set(grid.branches()["name"])

    def listed(text: str) -> list[str]:
        parts = text.split(", ") if text else []
        return parts if names.issuperset(parts) else text.split()

    return listed


def is_accepted(command: str, file: Path) -> bool:
    """Whether a command of openpoint takes the file."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            run_app([command, str(file)])
        except SystemExit as left:
            return not left.code
    return True


def faults_in(grid: openpoint.Grid, open_branches: Any) -> Any:
    """What `secure` finds, or in a meshed state why it refuses."""
    try:
        return openpoint.secure(grid, open_branches=open_branches)
    except openpoint.InputError as error:
        if not all("closes a loop" in problem.message or "join" in problem.message for problem in error.problems):
            raise
        return "meshed"


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


def by_pandapower(net: Any, grid: openpoint.Grid | None = None, generators: Any = None) -> float:
    """Loss in kW; where generators are given with the output that these have."""
    import pandapower as pp

    if grid is not None:
        as_given(net, generators)
    pp.runpp(net, tolerance_mva=1e-9, calculate_voltage_angles=True, enforce_q_lims=True, numba=False)
    return 1e3 * sum(float(net[f"res_{table}"].pl_mw.sum()) for table in ("line", "trafo", "trafo3w", "impedance"))


def as_given(net: Any, generators: Any) -> None:
    """Put static generators with the output of a table in the place of generators that hold a voltage."""
    import pandapower as pp

    if not len(net.gen):
        return
    made = {name: (p, q) for name, p, q in generators.select("name", "p_kw", "q_kvar").iter_rows()}
    for k, row in net.gen[~net.gen["slack"].astype(bool) & net.gen["in_service"]].iterrows():
        p, q = made[row["name"]]
        pp.create_sgen(net, row["bus"], p_mw=p / 1e3, q_mvar=q / 1e3)
        net.gen.loc[k, "in_service"] = False


def is_fault(row: dict[str, Any]) -> bool:
    """Whether a figure differs from pandapower's, or a planner would not open what is opened."""
    answer = row["answer"]
    figures = [row[f"{what}_difference{unit}"] for what, unit in FLOW]
    if "refused" not in (year := row.get("year", {"refused": ""})):
        figures += [year["loss_difference"], year["v_difference_pu"]]
    if "refused" not in answer:
        figures += [answer["written_difference"], answer["faults_v_difference_pu"], answer["faults_loading_difference"]]
    if not max(figures) <= EXACT or row["refused"]:
        return True
    return "refused" not in answer and (
        answer["kinds"] not in ([], ["lines"]) or bool(answer["opened_at_sources"]) or not answer["one_net"]
    )


FLOW = (("loss", ""), ("v", "_pu"), ("loading", ""), ("current", ""))
"""What is compared of today's state, and its unit."""


def as_tables(rows: list[dict[str, Any]]) -> tuple[list[list[str]], ...]:
    """Tables with a line a net: the power flow and the answer, what is done with it, and the topology of a year."""
    head = ["grid", "buses", "branches", "switchable", "loops that stay", "other loops", "today kW"]
    first = [[*head, "Δ loss", "Δ pu", "Δ loading", "Δ currents", "answer kW", "gap", "CPU s"]]
    second = [
        ["grid", "switchings", "of", "order", "written back: Δ loss", *FAULTS, "states compared", "Δ pu", "Δ loading"]
    ]
    for row in rows:
        answer = row["answer"]
        refused = "refused" in answer
        first.append(
            [
                row["grid"],
                *(f"{row[key]:,}" for key in ("buses", "branches", "switchable", "held", "loops")),
                tables.number(row["loss_before_kw"]),
                *(f"{row[f'{what}_difference{unit}']:.0e}" for what, unit in FLOW),
                *(["refused", "", ""] if refused else _answer_cells(answer)),
            ]
        )
        if not refused:
            second.append([row["grid"], *_after_cells(answer)])
    heading = [
        "grid",
        "profiles",
        "steps",
        "today MWh",
        "answer MWh",
        "gap",
        "limits relaxed",
        "CPU s",
        "Δ loss",
        "Δ pu",
    ]
    third = [heading]
    for row in rows:
        year = row.get("year")
        word = "refused" if year else "not measured"
        third.append([row["grid"], *([word, *[""] * 8] if not year or "refused" in year else _year_cells(year))])
    return first, second, third


def _year_cells(year: dict[str, Any]) -> list[str]:
    before, after = ("none" if value is None else f"{value:,.3f}" for value in (year["before_mwh"], year["mwh"]))
    gap = "none" if year["gap"] is None else tables.percent(year["gap"])
    return [
        "its own" if year["own"] else "one share",
        f"{year['steps']:,}",
        before,
        after,
        gap,
        _relaxed(year),
        f"{year['seconds']:.1f}",
        f"{year['loss_difference']:.0e}",
        f"{year['v_difference_pu']:.0e}",
    ]


def _relaxed(year: dict[str, Any]) -> str:
    """Which limits give way, and in how many steps any is broken."""
    if not year["relaxed"]:
        return "-"
    before, after = ("none known" if number is None else f"{number:,}" for number in year["broken"])
    least = "" if year["proven"] else ", not proven least"
    return f"{'; '.join(year['relaxed'])}{least} ({before} → {after} steps)"


def _answer_cells(answer: dict[str, Any]) -> list[str]:
    gap = "none" if answer["gap"] is None else tables.percent(answer["gap"])
    return [tables.number(answer["loss_kw"]), gap, f"{answer['seconds']:.1f}"]


def _after_cells(answer: dict[str, Any]) -> list[str]:
    plan = answer["plan"]
    words = [] if plan["keeps_limits"] else ["limits broken"]
    words += [] if plan["proven"] else ["not proven best"]
    order = f"{plan['operations']} operations" if plan["found"] else "none found"
    return [
        str(answer["switchings"]),
        ", ".join(answer["kinds"]) or "-",
        ", ".join([order, *words]),
        f"{answer['written_difference']:.0e}",
        *(found if isinstance(found, str) else f"{found[1]} of {found[0]}" for found in answer["faults"].values()),
        str(answer["faults_compared"]),
        f"{answer['faults_v_difference_pu']:.0e}",
        f"{answer['faults_loading_difference']:.0e}",
    ]


if __name__ == "__main__":
    sys.exit(main())
