"""Hardening of 13 buses: what was published, what was recomputed apart from openpoint, and what openpoint finds.

    python -m benchmarks.published --json docs/harden.json --markdown docs/results.md --figure docs/images/ambiguity.png
    python -m benchmarks.published --from docs/harden.json --markdown docs/results.md --figure docs/images/ambiguity.png

The published figures are those of M.-J. Hu and Y.-H. Wang, ORA Final Project, on the grid of Zhang et al. (Int. J.
Electr. Power Energy Syst. 122, 2020, 106161). The recomputed ones come from a mixed-integer program of the same data,
written apart from openpoint and solved by HiGHS.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import openpoint
from openpoint import ColumnAndConstraint, Disasters, ExtensiveForm, HardenCosts, harden
from openpoint.report.canvas import RC, light
from openpoint.scenarios.futures import DisastersRecipe as Recipe
from openpoint.scenarios.futures import moved, outages_within
from openpoint.scenarios.futures import outages_moved as transported
from openpoint.studies.harden.result import HardenResult

from . import tables, timing

LINES = {"A": ("2", "11"), "B": ("4", "6", "11"), "C": ("2", "5", "8", "14", "15")}
"""Published disasters: the lines that break."""
ODDS = {"A": 0.8, "B": 0.15, "C": 0.05}
"""Probabilities of the example of docs/harden.md."""
EXACT = ColumnAndConstraint(gap=1e-6)
ONE_EACH: dict[str, Any] = {"max_lines": 1, "max_generators": 1, "method": EXACT, "value_of_information": False}
"""A line and a generator at most."""
SWITCHING = HardenCosts(closed_line_usd=0.01)
"""Prices of phase 3: a cent for every closed line."""

PHASE_1 = (
    (("1",), "1155.35", 1155.35),
    (("11",), "110", 0.0),
    (("2", "7"), "120", 0.0),
    (("2", "11", "15"), "551.00", 471.0),
    (LINES["C"], "", 617.68),
)
"""Broken lines, the kW printed, and the kW shed as recomputed."""
PHASE_2 = ((2, 0, 800.0), (1, 1, 5744.0))
"""Lines and generators to buy at most against a loss of 2, 6, 11 and 15, and the least cost."""
PHASE_3 = (
    (1, "A", "C", 0.9, 1, 479.45, 55.11, 864.86),
    (2, "B", "C", 0.9, 1, 1049.52, 415.11, 1264.86),
    (3, "A", "C", 0.5, 1, 550.11, 275.11, 4323.84),
    (4, "B", "C", 0.5, 1, 1180.17, 475.11, 4723.84),
    (5, "A", "C", 0.1, 1, 550.11, 495.11, 550.11),
    (6, "B", "C", 0.1, 1, 736.78, 535.11, 736.78),
    (2, "B", "C", 0.9, 2, 879.45, 415.11, 1264.86),
    (4, "B", "C", 0.5, 2, 950.11, 475.11, 4723.84),
)
"""Case, two disasters, probability of the first, most lines, and least cost, wait-and-see and most likely plan."""
TIPPING = ((400.0, 0.051), (550.0, 0.189))
"""Investment, and the probability of C beside A from which on it pays."""

RADII: tuple[tuple[str, str, Callable[[float], Recipe], tuple[float, ...]], ...] = (
    ("tv", "total variation: share moved", moved, tuple(np.linspace(0.0, 1.0, 21).round(3))),
    ("moments", "moments: outage probability of a line ±", outages_within, tuple(np.linspace(0.0, 1.0, 21).round(3))),
    ("wasserstein", "Wasserstein: lines moved on average", transported, tuple(np.linspace(0.0, 7.0, 29).round(3))),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", metavar="FILE", help="compute nothing, show the figures of this file")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--markdown", metavar="PAGE", help="renew the generated tables of this page")
    parser.add_argument("--figure", metavar="FILE", help="draw the cost over the radius of ambiguity")
    given = parser.parse_args()
    record = json.loads(Path(given.source).read_text("utf-8")) if given.source else computed()
    for title, table in sections(record):
        print(f"\n{title}\n{tables.aligned(table)}")
    if given.json:
        Path(given.json).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if given.markdown:
        page = Path(given.markdown)
        parts = [f"#### {title}\n\n{tables.as_markdown(table)}" for title, table in sections(record)]
        page.write_text(
            tables.between_marks(page.read_text("utf-8"), "\n\n".join(parts), "hardening"), encoding="utf-8"
        )
    if given.figure:
        with matplotlib.rc_context(RC):
            figure(record).savefig(given.figure)
    return 0


def computed() -> dict[str, Any]:
    """All figures, as they go into the JSON file."""
    grid = openpoint.read("zhang13")
    return {
        "machine": timing.machine(),
        "phase_1": [phase_1(grid, *row) for row in PHASE_1],
        "phase_2": [phase_2(grid, *row) for row in PHASE_2],
        "phase_3": phase_3(grid),
        "tipping": [tipping(grid, *row) for row in TIPPING],
        "ambiguity": ambiguity(grid),
    }


def of(grid: openpoint.Grid, odds: Mapping[str, float]) -> Disasters:
    """Published disasters with these probabilities."""
    return Disasters.from_branches(grid, {name: (p, LINES[name]) for name, p in odds.items()})


def phase_1(grid: openpoint.Grid, lines: Sequence[str], printed: str, shed_kw: float) -> dict[str, Any]:
    """What is shed where nothing is bought, and the lines that are closed then."""
    certain = Disasters.from_branches(grid, {"loss": (1.0, lines)})
    result = harden(grid, disasters=certain, budget_usd=0.0, costs=SWITCHING, method=EXACT, value_of_information=False)
    shed = float(result.shed_kw["loss"] or 0.0)
    closed = round(100.0 * ((result.cost_usd or 0.0) - 14.0 * shed))
    first = result.branches.filter(name="11")["p_from_kw"].item()
    return {
        "lines": lines,
        "printed": printed,
        "recomputed_kw": shed_kw,
        "shed_kw": shed,
        "closed": closed,
        "line_11_kw": None if first is None else abs(first),
    }


def phase_2(grid: openpoint.Grid, lines: int, generators: int, usd: float) -> dict[str, Any]:
    """The least cost against one attack."""
    certain = Disasters.from_branches(grid, {"attack": (1.0, ("2", "6", "11", "15"))})
    one, other = (
        harden(
            grid,
            disasters=certain,
            max_lines=lines,
            max_generators=generators,
            method=method,
            value_of_information=False,
        )
        for method in (EXACT, ExtensiveForm(solver="highs", gap=1e-6))
    )
    most = {"most_lines": lines, "most_generators": generators}
    return {**most, "recomputed_usd": usd, **found(one), "one_piece_usd": other.cost_usd}


def phase_3(grid: openpoint.Grid) -> list[dict[str, Any]]:
    """Two disasters: the cases side by side, by copies and in one piece."""
    asked = {
        f"{case}, {lines}": {
            "disasters": of(grid, {one: odds, two: 1.0 - odds}),
            "max_lines": lines,
            "max_generators": 1,
            "costs": SWITCHING,
        }
        for case, one, two, odds, lines, *_ in PHASE_3
    }
    pieces = {"method": ExtensiveForm(solver="highs", gap=1e-6), "value_of_information": False}
    copies, whole = (
        openpoint.compare(grid, "harden", {name: {**options, **more} for name, options in asked.items()})
        for more in ({"method": EXACT}, pieces)
    )
    rows = []
    for name, (case, one, two, odds, lines, usd, wait, likely) in zip(asked, PHASE_3, strict=True):
        result = copies[name]
        rows.append(
            {
                "case": case,
                "odds": {one: odds, two: round(1.0 - odds, 9)},
                "most_lines": lines,
                "recomputed_usd": usd,
                "recomputed_wait_and_see_usd": wait,
                "recomputed_most_likely_usd": likely,
                **found(result),
                "one_piece_usd": whole[name].cost_usd,
                "wait_and_see_usd": result.wait_and_see_usd,
                "most_likely_usd": result.most_likely_plan_usd,
                "mean_value_usd": result.mean_value_plan_usd,
                "evpi_usd": result.evpi_usd,
                "vss_usd": result.vss_usd,
            }
        )
    return rows


def found(result: HardenResult) -> dict[str, Any]:
    """The plan and its cost."""
    return {
        "usd": result.cost_usd,
        "gap": result.gap,
        "lines": result.hardened_branches,
        "generators": result.generators,
        "shed_kw": result.shed_kw,
    }


TIP_PARTS = 10
"""Into how many parts the range that holds a tipping point is divided, again and again."""


def tipping(grid: openpoint.Grid, investment: float, recomputed: float) -> dict[str, Any]:
    """The probability of C beside A from which on so much is invested."""
    low, high = 0.0, 0.5
    while high - low > 1e-4:
        chances = np.linspace(low, high, TIP_PARTS + 1)
        asked = {
            f"{p}": {**ONE_EACH, "disasters": of(grid, {"A": 1.0 - p, "C": p}), "costs": SWITCHING} for p in chances
        }
        plans = openpoint.compare(grid, "harden", asked).results.values()
        first = next(k for k, plan in enumerate(plans) if (plan.investment_usd or 0.0) >= investment)  # type: ignore[attr-defined]
        low, high = float(chances[first - 1]), float(chances[first])
    return {"investment_usd": investment, "recomputed": recomputed, "probability": 0.5 * (low + high)}


def ambiguity(grid: openpoint.Grid) -> dict[str, Any]:
    """Least cost over the radius of three kinds of sets, and what the plan for exact odds costs under their worst."""
    disasters = of(grid, ODDS)
    sets = {(kind, radius): recipe(radius) for kind, _, recipe, radii in RADII for radius in radii}
    asked = {"exact": ONE_EACH, "worst": {**ONE_EACH, "ambiguity": moved(1.0)}}
    asked |= {f"{kind} {radius}": {**ONE_EACH, "ambiguity": made} for (kind, radius), made in sets.items()}
    plans = openpoint.compare(grid, "harden", {name: {**each, "disasters": disasters} for name, each in asked.items()})
    nominal, worst = plans["exact"], plans["worst"]
    costs = np.array([nominal.disasters.filter(disaster=name)["cost_usd"].item() for name in disasters.names])
    curves: dict[str, list[dict[str, Any]]] = {kind: [] for kind, *_ in RADII}
    for (kind, radius), made in sets.items():
        set_ = made(disasters).around(disasters.probabilities, len(disasters))
        fixed = (nominal.investment_usd or 0.0) + set_.worst(costs)[0]
        curves[kind].append({"radius": radius, "nominal_plan_usd": fixed, **found(plans[f"{kind} {radius}"])})
    for kind, rows in curves.items():
        usd = [nominal.cost_usd or 0.0, *(row["usd"] for row in rows), worst.cost_usd or 0.0]
        tolerance = 2.0 * EXACT.gap * usd[-1]
        if any(more < less - tolerance for less, more in itertools.pairwise(usd)):
            raise AssertionError(f"{kind}: the cost falls while the set grows")
    return {"odds": ODDS, "nominal": found(nominal), "worst": found(worst), "curves": curves}


def sections(record: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """Title and table of everything."""
    one = [
        ["broken lines", "printed kW", "shed kW, recomputed", "shed kW, ours", "closed lines", "shed + 10 kW a line"]
    ]
    one += [
        [
            " ".join(row["lines"]),
            row["printed"] or "–",
            f"{row['recomputed_kw']:.2f}",
            f"{row['shed_kw']:.2f}",
            str(row["closed"]),
            f"{row['shed_kw'] + 10 * row['closed']:.2f}",
        ]
        for row in record["phase_1"]
    ]
    two = [["lines and generators at most", "recomputed $", "ours $", "one piece $", "plan", "shed kW"]]
    two += [
        [
            f"{row['most_lines']} + {row['most_generators']}",
            f"{row['recomputed_usd']:.2f}",
            f"{row['usd']:.2f}",
            f"{row['one_piece_usd']:.2f}",
            plan(row),
            f"{row['shed_kw']['attack']:.2f}",
        ]
        for row in record["phase_2"]
    ]
    three = [["case", "probabilities", "lines at most", "recomputed $", "ours $", "one piece $", "plan", "shed kW"]]
    worth = [["case", "lines at most", "wait and see $", "ours $", "most likely plan $", "ours $", "EVPI $", "VSS $"]]
    for row in record["phase_3"]:
        head = [str(row["case"]), " ".join(f"{name} {p:g}" for name, p in row["odds"].items()), str(row["most_lines"])]
        shed = " / ".join(f"{kw:.2f}" for kw in row["shed_kw"].values())
        costs = [f"{row[key]:.2f}" for key in ("recomputed_usd", "usd", "one_piece_usd")]
        three.append([*head, *costs, plan(row), shed])
        keys = ("recomputed_wait_and_see_usd", "wait_and_see_usd", "recomputed_most_likely_usd", "most_likely_usd")
        worth.append([head[0], head[2], *(f"{row[key]:.2f}" for key in (*keys, "evpi_usd", "vss_usd"))])
    tip = [["investment begins", "p(C), recomputed", "p(C), ours"]]
    for row, word in zip(record["tipping"], ("a line, $400", "line and generator, $550"), strict=True):
        tip.append([word, f"{row['recomputed']:.3f}", f"{row['probability']:.4f}"])
    return [
        ("Phase 1: what is shed where nothing is bought", one),
        ("Phase 2: one attack, lines 2, 6, 11 and 15", two),
        ("Phase 3: two disasters", three),
        ("Phase 3: what the plan is worth", worth),
        ("Tipping points of A and C", tip),
    ]


def plan(row: dict[str, Any]) -> str:
    """What is bought, in words."""
    parts = [f"line {' '.join(row['lines'])}"] if row["lines"] else []
    parts += [f"generator {' '.join(row['generators'])}"] if row["generators"] else []
    return ", ".join(parts) or "nothing"


def figure(record: dict[str, Any]) -> Figure:
    """Cost over the radius, one panel a kind of set."""
    data = record["ambiguity"]
    picture = Figure(figsize=(10.0, 3.8), layout="constrained")
    panels = picture.subplots(1, len(RADII), sharey=True)
    low, high = data["nominal"]["usd"], data["worst"]["usd"]
    for panel, (kind, label, _, _) in zip(panels, RADII, strict=True):
        rows = data["curves"][kind]
        radius = [row["radius"] for row in rows]
        panel.axhline(low, color=light("@before"), linewidth=0.9, linestyle=":")
        panel.axhline(high, color=light("@before"), linewidth=0.9, linestyle=":")
        panel.plot(
            radius,
            [row["nominal_plan_usd"] for row in rows],
            color=light("@opens"),
            linestyle="--",
            label="plan for the exact odds, under the worst",
        )
        panel.plot(
            radius,
            [row["usd"] for row in rows],
            color=light("@after"),
            marker="o",
            markersize=3.2,
            label="best plan, proven",
        )
        panel.set_xlabel(label)
        panel.set_xlim(0.0, radius[-1])
        panel.set_ylim(0.0, 1.6 * high)
    panels[0].set_ylabel("investment + worst expectation, $")
    for usd, word, below in ((low, f"stochastic optimum ${low:,.0f}", True), (high, f"worst case ${high:,.0f}", False)):
        panels[-1].annotate(
            word,
            (radius[-1], usd),
            xytext=(0, -4 if below else 4),
            textcoords="offset points",
            ha="right",
            va="top" if below else "bottom",
            color=light("@soft"),
        )
    picture.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return picture


if __name__ == "__main__":
    sys.exit(main())
