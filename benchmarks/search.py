"""How far topology search goes: published grids, photovoltaics, real grids of other libraries, generated grids.

    python -m benchmarks.search --json docs/search.json --markdown docs/search.md --figure docs/images/search.png
    python -m benchmarks.search --from docs/search.json --markdown docs/search.md --figure docs/images/search.png
    python -m benchmarks.search --from docs/search_sizes.json --sizes docs/images/search_sizes.png
    python -m benchmarks.search --parts files --files bus_201_3.pos case533mt_hi.m --json docs/search.json --merge

Kernels are compiled before any clock runs; one core. A grid is searched from a cold start, to 0.01 %. Where a run takes
less than a second it is repeated and the median counts.

*Limits* are lower limits of the voltage, up to beyond what any radial state keeps; upper ones and ratings are left out.
*Photovoltaics* of 50, 100 and 150 % of the load stand at every second load of the table, in equal units, feed active
power only and all at once, and voltages stay within ±10 % whatever the grid's own limits are. *Generated* grids
are points in a square: the shortest spanning tree and the shortest further edges of their triangulation as ties, the
source nearest to the middle, impedances by length, lognormal loads, and 5 % of voltage drop in the tree.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib
import numpy as np
import polars as pl
from matplotlib.figure import Figure
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import Delaunay

import openpoint
from openpoint.errors import OpenpointError
from openpoint.io.pandapower.read import grid_from_text
from openpoint.network import build_network
from openpoint.powerflow.balanced import solve
from openpoint.report.canvas import RC, light

from . import tables, timing

GAP = 1e-4
REPEATS = 7
PARTS = ("published", "limits", "photovoltaics", "real", "files", "generated")
PUBLISHED = ("baran33", "baran69", "das70", "zhang118", "mantovani136")
LIMITS = {
    "baran33": (0.9412, 0.9413, 0.95),
    "das70": (0.919, 0.92, 0.93),
    "zhang118": (0.932, 0.9328, 0.934, 0.935, 0.96),
    "mantovani136": (0.967, 0.97),
}
SUNNY = ("baran33", "das70", "mantovani136", "zhang118")
SHARES = (0.5, 1.0, 1.5)
REAL = ("mv_oberrhein", "1-MV-urban--0-sw")
BUSES, TIES = (25, 50, 100, 200, 400, 800), (5, 10, 15, 20, 25, 30, 40)
SEEDS = 3


@dataclass(frozen=True)
class Run:
    """One search.

    Attributes:
        part: of `PARTS`. grid: name. variant: what was changed of the grid.
        buses, branches, open: its size, and how many branches are open in a radial state.
        termination: why it ended. seconds: median wall time of the search. nodes: of its tree.
        loss_kw, bound_kw: exact AC loss, and what no radial state goes below, None where there is none. gap: relative.
        v_min_pu, v_max_pu: least and greatest voltage of the answer.
        processor_s, memory_mb: median processor time of the search with the network before and the checks after it, and
            the most that the process held during the first one; None where not measured.
    """

    part: str
    grid: str
    variant: str
    buses: int
    branches: int
    open: int
    termination: str
    seconds: float
    nodes: int
    loss_before_kw: float | None
    loss_kw: float | None
    bound_kw: float | None
    gap: float | None
    v_min_pu: float | None
    v_max_pu: float | None
    processor_s: float | None = None
    memory_mb: float | None = None


def run(part: str, grid: openpoint.Grid, variant: str, time_limit_s: float) -> Run:
    """Search one grid."""
    method = openpoint.TopologySearch(gap=GAP, time_limit_s=time_limit_s)
    used = [time.process_time()]
    with timing.peak_memory() as peak:
        results = [openpoint.reconfigure(grid, method=method)]
        memory_mb = peak()
    used.append(time.process_time())
    while results[0].seconds < 1.0 and len(results) < REPEATS:
        results.append(openpoint.reconfigure(grid, method=method))
        used.append(time.process_time())
    result = results[0]
    sources = grid.sources["bus"].n_unique()
    found = result.loss_kw is not None and isfinite(result.loss_kw)
    volts = result.buses["v_after_pu"] if found else None
    return Run(
        part,
        grid.name,
        variant,
        grid.buses.height,
        grid.branches().height,
        grid.branches().height - (grid.buses.height - sources),
        str(result.termination),
        median(each.seconds for each in results),
        int(str(result.iterations["verdict"][-1]).split()[0].replace(",", "")),
        result.loss_before_kw,
        result.loss_kw,
        result.lower_bound_kw if isfinite(result.lower_bound_kw) else None,
        result.gap if isfinite(result.gap) else None,
        None if volts is None else volts.min(),  # type: ignore[arg-type]
        None if volts is None else volts.max(),  # type: ignore[arg-type]
        median(after - before for before, after in pairwise(used)),
        memory_mb,
    )


def sunny(name: str, share: float) -> openpoint.Grid:
    """The grid with units at every second load that feed this share of all load, and voltages within ±10 %."""
    grid = openpoint.read(name)
    at = grid.loads.gather_every(2)
    unit = share * float(grid.loads["p_kw"].sum()) / at.height
    units = pl.DataFrame({"name": "pv " + at["name"], "bus": at["bus"], "p_kw": pl.repeat(unit, at.height, eager=True)})
    limits = grid.buses.with_columns(v_min_pu=pl.lit(0.9), v_max_pu=pl.lit(1.1))
    return openpoint.Grid.from_tables(grid.name, {**grid.tables(), "buses": limits, "generators": units})


def limited(name: str, v_min_pu: float) -> openpoint.Grid:
    """The grid with this lower limit of voltages alone."""
    grid = openpoint.read(name)
    limits = grid.buses.with_columns(v_min_pu=pl.lit(v_min_pu), v_max_pu=pl.lit(None, dtype=pl.Float64))
    return openpoint.Grid.from_tables(grid.name, {**grid.tables(), "buses": limits})


def real(name: str) -> openpoint.Grid:
    """A grid of pandapower's or simbench's own, with its limits, loads and generation; what has breakers may switch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandapower
        import pandapower.networks
        import simbench

        made = getattr(pandapower.networks, name, None)
        net = made() if made is not None else simbench.get_simbench_net(name)
        breakers = net.trafo.index.isin(net.switch.element[net.switch.et == "t"])
        return grid_from_text(pandapower.to_json(net), f"{name}.json").with_switchable(net.trafo["name"][breakers])


def generated(buses: int, ties: int, seed: int) -> openpoint.Grid:
    """A meshed grid as the module describes."""
    rng = np.random.default_rng([buses, ties, seed])
    at = rng.random((buses, 2))
    sides = Delaunay(at).simplices[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    edges = np.unique(np.sort(sides, axis=1), axis=0)
    length = np.linalg.norm(at[edges[:, 0]] - at[edges[:, 1]], axis=1)
    dense = np.zeros((buses, buses))
    dense[edges[:, 0], edges[:, 1]] = length
    spans = minimum_spanning_tree(dense).toarray()[edges[:, 0], edges[:, 1]] > 0.0
    chosen = np.concatenate([np.flatnonzero(spans), np.flatnonzero(~spans)[np.argsort(length[~spans])][:ties]])
    names = [f"{k}" for k in range(buses)]
    middle = int(np.argmin(np.linalg.norm(at - 0.5, axis=1)))
    kw = rng.lognormal(0.0, 0.7, buses) * 100.0

    def grid(scale: float) -> openpoint.Grid:
        ohm = scale * length[chosen]
        return openpoint.Grid.from_tables(
            f"generated-{buses}-{ties}-{seed}",
            {
                "buses": pl.DataFrame({"name": names, "vn_kv": 12.66, "x": at[:, 0], "y": at[:, 1]}),
                "sources": pl.DataFrame({"name": ["grid"], "bus": [names[middle]]}),
                "loads": pl.DataFrame({"name": names, "bus": names, "p_kw": kw, "q_kvar": 0.5 * kw}),
                "lines": pl.DataFrame(
                    {
                        "name": [f"{k}" for k in range(len(chosen))],
                        "from_bus": [names[k] for k in edges[chosen, 0]],
                        "to_bus": [names[k] for k in edges[chosen, 1]],
                        "r_ohm": [[value] for value in ohm],
                        "x_ohm": [[0.6 * value] for value in ohm],
                        "closed": np.arange(len(chosen)) < buses - 1,
                    }
                ),
            },
        )

    scale, network = 1.0, build_network(grid(1.0))
    for _ in range(20):  # the drop is nearly linear in the impedance
        flows = solve(replace(network, z=network.z * scale), network.closed)
        drop = 1.0 - float(np.abs(flows.v[0]).min()) if flows.converged.all() else 0.5
        scale *= 0.05 / drop
    return grid(scale)


def measure(
    parts: Sequence[str], files: Sequence[str], time_limit_s: float, tell: Callable[[str], None]
) -> dict[str, Any]:
    """All runs of these parts, as they go into the JSON file."""
    openpoint.reconfigure(openpoint.read("civanlar16"), method=openpoint.TopologySearch())  # compiled from here on
    jobs: list[tuple[str, Callable[[], openpoint.Grid], str]] = []
    if "published" in parts:
        jobs += [("published", partial(openpoint.read, name), "") for name in PUBLISHED]
    if "limits" in parts:
        jobs += [("limits", partial(limited, name, v), f"{v:g}") for name, some in LIMITS.items() for v in some]
    if "photovoltaics" in parts:
        jobs += [("photovoltaics", partial(sunny, name, share), f"{share:.0%}") for name in SUNNY for share in SHARES]
    if "real" in parts:
        jobs += [("real", partial(real, name), "") for name in REAL]
    if "files" in parts:
        jobs += [("files", partial(openpoint.read, name), "") for name in files]
    if "generated" in parts:
        sizes = [(buses, 10) for buses in BUSES] + [(100, ties) for ties in TIES if ties != 10]
        jobs += [("generated", partial(generated, *size, k), f"{size[1]} ties") for size in sizes for k in range(SEEDS)]
    runs = []
    for part, made, variant in jobs:
        grid = made()
        began = time.perf_counter()
        runs.append(run(part, grid, variant, time_limit_s))
        tell(f"{grid.name} {variant}: gap {runs[-1].gap}, {time.perf_counter() - began:.1f} s")
    return {"machine": timing.machine(), "gap": GAP, "time_limit_s": time_limit_s, "runs": [asdict(r) for r in runs]}


def sections(record: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """Title and table of every part."""
    titles = {
        "published": "Published grids",
        "limits": "Lower limits of the voltage near and beyond what any radial state keeps",
        "photovoltaics": "Photovoltaics of 50, 100 and 150 % of the load",
        "real": "Real grids with their limits and generation",
        "files": "Larger published grids",
    }
    runs = [Run(**row) for row in record["runs"]]
    found = []
    for part, title in titles.items():
        if rows := [row for row in runs if row.part == part]:
            if part == "limits":
                found.append(
                    (title, [["grid", "limit pu", "verdict", "loss kW", "lowest pu", "nodes", "s"], *map(_end, rows)])
                )
                continue
            head = ["grid", "buses", "open", "today kW", "loss kW", "bound kW", "gap", "voltages pu", "nodes", "s"]
            found.append((title, [head, *(_line(row) for row in rows)]))
    return found


def _line(row: Run) -> list[str]:
    volts = "–" if row.v_min_pu is None or row.v_max_pu is None else f"{row.v_min_pu:.4f} … {row.v_max_pu:.4f}"
    return [
        f"{row.grid} {row.variant}".strip(),
        str(row.buses),
        f"{row.open} of {row.branches}",
        tables.number(row.loss_before_kw),
        tables.number(row.loss_kw),
        tables.number(row.bound_kw),
        tables.percent(row.gap),
        volts,
        f"{row.nodes:,}",
        f"{row.seconds:.3f}",
    ]


def _end(row: Run) -> list[str]:
    lowest = "–" if row.v_min_pu is None else f"{row.v_min_pu:.5f}"
    loss = tables.number(row.loss_kw)
    verdict = "proven" if proven(row) else row.termination
    return [row.grid, row.variant, verdict, loss, lowest, f"{row.nodes:,}", f"{row.seconds:.3f}"]


def proven(row: Run) -> bool:
    """Whether the run ended with its gap, which is rounded as a search compares it."""
    return row.gap is not None and row.gap <= GAP * (1.0 + 1e-9)


def figure(record: dict[str, Any]) -> Figure | None:
    """Seconds and nodes of the generated grids, over buses and over ties."""
    runs = [Run(**row) for row in record["runs"] if row["part"] == "generated"]
    if not runs:
        return None
    panels = (
        ("buses, 10 ties", [(r.buses, r) for r in runs if r.variant == "10 ties"]),
        ("ties, 100 buses", [(int(r.variant.split()[0]), r) for r in runs if r.buses == 100]),
    )
    picture = Figure(figsize=(9.0, 5.4), layout="constrained")
    axes = picture.subplots(2, 2, sharex="col", sharey="row")
    for column, (label, points) in enumerate(panels):
        for row, unit in enumerate(("seconds", "nodes")):
            panel = axes[row, column]
            for word, marker, color, kept in (
                ("proven to 0.01 %", "o", light("@after"), True),
                ("stopped by the time limit", "x", light("@opens"), False),
            ):
                if some := [(x, getattr(r, unit)) for x, r in points if proven(r) is kept]:
                    panel.plot(*zip(*some), marker, color=color, label=word, markersize=5)
            panel.set(xscale="log", yscale="log")
            panel.yaxis.set_major_formatter("{x:g}")
            ticks = sorted({x for x, _ in points})
            panel.set_xticks(ticks, [str(tick) for tick in ticks])
            panel.minorticks_off()
            if column == 0:
                panel.set_ylabel(unit)
            if row == 1:
                panel.set_xlabel(label)
    handles = {word: handle for panel in axes.flat for handle, word in zip(*panel.get_legend_handles_labels())}
    picture.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=2)
    return picture


def sizes_figure(record: dict[str, Any]) -> Figure:
    """Seconds, gap and memory of the searches for today's demand over the buses of their grids."""
    runs = [Run(**row) for row in record["runs"] if row["part"] in ("published", "real", "files", "generated")]
    runs = [row for row in runs if row.gap is not None]
    picture = Figure(figsize=(7.2, 7.6), layout="constrained")
    axes = picture.subplots(3, 1, sharex=True)
    kinds = [
        (
            f"{what}, {word}",
            colour,
            marker,
            [r for r in runs if (r.part == "generated", _ended(r)) == (generated, done)],
        )
        for what, generated, marker in (("published and real grids", False, "o"), ("generated grids", True, "x"))
        for word, done, colour in (
            ("proven to 0.01 %", True, light("@after")),
            ("stopped by the time limit", False, light("@opens")),
        )
    ]
    for label, colour, marker, some in kinds:
        if not some:
            continue
        held = [row for row in some if row.memory_mb is not None]
        buses = [row.buses for row in some]
        axes[0].plot(buses, [_processor_s(row) for row in some], marker, color=colour, ms=5, label=label)
        axes[1].plot(buses, [100.0 * max(row.gap or 0.0, GAP / 10) for row in some], marker, color=colour, ms=5)
        axes[2].plot([row.buses for row in held], [row.memory_mb for row in held], marker, color=colour, ms=5)
    axes[1].axhline(100.0 * GAP, color=light("@soft"), lw=1.0, ls=(0, (4, 3)))
    names = ("processor time, s", "gap at the end, % (not below 0.001)", "memory of the process, MB")
    for panel, name in zip(axes, names, strict=True):
        panel.set(yscale="log" if panel is not axes[2] else "linear", ylabel=name)
        panel.grid(color=light("@pale"), lw=0.6)
        panel.margins(y=0.15)
    axes[0].set(xscale="log")
    axes[2].set(xlabel="buses", ylim=(0.0, None))
    ticks = (30, 100, 300, 1000, 3000, 10000)
    axes[2].set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes[2].minorticks_off()
    for panel in axes[:2]:
        panel.yaxis.set_major_formatter("{x:g}")
    if any(row.part != "generated" for row in runs):
        largest = max((row for row in runs if row.part != "generated"), key=lambda row: row.buses)
        for panel, value in zip(
            axes, (_processor_s(largest), 100.0 * (largest.gap or 0.0), largest.memory_mb), strict=True
        ):
            if value is not None:
                at = (largest.buses, value)
                panel.annotate(largest.grid, at, xytext=(-6, 6), textcoords="offset points", ha="right", fontsize=8)
    picture.legend(loc="outside upper center", ncols=2)
    return picture


def _ended(row: Run) -> bool:
    """Whether the search ended by itself."""
    return row.termination in ("optimal", "gap")


def _processor_s(row: Run) -> float:
    """Processor time of a search; where it was not measured its wall time, on one core."""
    return row.seconds if row.processor_s is None else row.processor_s


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--files", nargs="*", default=(), metavar="GRID", help="grids of the part `files`")
    parser.add_argument("--time-limit", type=float, default=60.0, metavar="S", help="a search (default 60)")
    parser.add_argument("--from", dest="source", metavar="FILE", help="measure nothing, show the figures of this file")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--merge", action="store_true", help="keep what FILE holds of other parts")
    parser.add_argument("--markdown", metavar="PAGE", help="renew the generated tables of this page")
    parser.add_argument("--figure", metavar="FILE", help="draw seconds and nodes over buses and ties")
    parser.add_argument("--sizes", metavar="FILE", help="draw seconds, gap and memory over buses")
    given = parser.parse_args()
    try:
        record = (
            json.loads(Path(given.source).read_text("utf-8"))
            if given.source
            else measure(
                given.parts, given.files, given.time_limit, lambda text: print(text, file=sys.stderr, flush=True)
            )
        )
    except OpenpointError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if given.merge and given.json and Path(given.json).exists() and not given.source:
        old = json.loads(Path(given.json).read_text("utf-8"))
        record["runs"] += [row for row in old["runs"] if row["part"] not in given.parts]
    for title, table in sections(record):
        print(f"\n{title}\n{tables.aligned(table)}")
    if given.json:
        Path(given.json).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if given.markdown:
        page = Path(given.markdown)
        parts = [f"### {title}\n\n{tables.as_markdown(table)}" for title, table in sections(record)]
        page.write_text(tables.between_marks(page.read_text("utf-8"), "\n\n".join(parts)), encoding="utf-8")
    if given.figure and (picture := figure(record)):
        with matplotlib.rc_context(RC):
            picture.savefig(given.figure)
    if given.sizes:
        with matplotlib.rc_context(RC):
            sizes_figure(record).savefig(given.sizes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
