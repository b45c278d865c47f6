"""The robust day of 33 and 69 buses: tables 2 to 4 of the publication, with the topology free, beside what is printed.

    python -m benchmarks.published_day --json docs/published_day.json --markdown docs/results.md
    python -m benchmarks.published_day --from docs/published_day.json --markdown docs/results.md

The publication (Scientific Reports 14, 2024, article 23041) plans the day of both grids in four cases: no load moves
between buses (a), 10, 15 and 20 % of every load may (b, c, d). Its prices, profiles and budgets are not public, so that
its figures cannot be met; what can be compared is in which direction they go from case to case. Each case is planned
as forecast and for load that deviates by 10 %, solar and wind by 30 %, in at most two hours each.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import openpoint
from openpoint.studies.dispatch.day.result import DispatchDayResult

from . import tables, timing

SHIFTS = {"a": 0.0, "b": 0.1, "c": 0.15, "d": 0.2}
PLANS = {"forecast": {}, "robust": {"uncertain": "load=0.1,solar=0.3,wind=0.3", "budget": 2}}
PUBLISHED = {
    "baran33": {
        "a": ("10 12 20 24 25", 0.64, 1.35, 0.970, 1.022),
        "b": ("10 13 20 24 32", 0.61, 1.30, 0.975, 1.024),
        "c": ("10 20 24 25 34", 0.57, 1.11, 0.979, 1.0245),
        "d": ("10 13 20 24 25", 0.52, 1.05, 0.980, 1.025),
        "a as forecast": ("7 13 20 24 32", 0.58, 1.21, 0.978, 1.022),
    },
    "baran69": {
        "a": ("14 56 63 69 70", 0.85, 0.987, 0.962, 1.010),
        "b": ("13 58 61 69 70", 0.83, 0.966, 0.965, 1.012),
        "c": ("13 18 56 61 69", 0.81, 0.952, 0.969, 1.013),
        "d": ("14 58 61 69 70", 0.79, 0.947, 0.972, 1.014),
    },
}
"""Printed of each case: open lines, MW lost, MWh bought, lowest and highest voltage; nothing is shed in any."""
FIGURES = ("cost_usd", "loss_kwh", "purchased_kwh", "purchased_kvarh", "shed_kwh", "v_min_pu", "v_mean_pu", "v_max_pu")
SENSES = (
    ("loss_kwh", "lost", -1),
    ("purchased_kwh", "bought", -1),
    ("v_min_pu", "lowest voltage", 1),
    ("v_max_pu", "highest voltage", 1),
)
"""What the publication prints of the cases a to d: each figure falls, or rises."""
PRINTED = "printed: lost MW, bought MWh, lowest, highest, open"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", metavar="FILE", help="compute nothing, show the figures of this file")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--markdown", metavar="PAGE", help="renew the generated tables of this page")
    parser.add_argument("--gap", type=float, default=1e-3, help="to prove, relative (default 0.001)")
    given = parser.parse_args()
    record = json.loads(Path(given.source).read_text("utf-8")) if given.source else computed(given.gap)
    if given.json:
        Path(given.json).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text = page(record)
    print(text)
    if given.markdown:
        where = Path(given.markdown)
        where.write_text(tables.between_marks(where.read_text("utf-8"), text, "published days"), encoding="utf-8")


def computed(gap: float) -> dict[str, Any]:
    """All figures, as they go into the JSON file."""
    return {"machine": timing.machine(), "gap": gap, "grids": {name: of_grid(name, gap) for name in PUBLISHED}}


def of_grid(name: str, gap: float) -> dict[str, Any]:
    """The cases of a grid: with the topology free; with those printed, and with the one of case d, in its place."""
    grid, common = openpoint.read(name), {"day": f"{name}-day", "gap": gap, "time_limit_s": 900.0}
    free: dict[str, dict[str, Any]] = {
        f"{case} {plan}": {**common, "shift": {"buses": shift}, **options}
        for plan, options in PLANS.items()
        for case, shift in SHIFTS.items()
    }
    found = openpoint.compare(grid, "dispatch-day", free)
    record: dict[str, Any] = {"free": {case: figures(result) for case, result in found.results.items()}}  # type: ignore[arg-type]
    opened = {f"printed {case}": printed[0] for case, printed in PUBLISHED[name].items() if case in SHIFTS}
    for plan in PLANS:
        opened |= {f"of d {plan} in {case}": " ".join(found[f"d {plan}"].open_branches) for case in SHIFTS}
    record["fixed"] = {}
    for what, lines in opened.items():
        closed = {branch: branch not in lines.split() for branch in grid.branches()["name"]}
        case, plan = (what[-1], "forecast") if what.startswith("printed") else (what[-1], what.split()[2])
        options = {**free[f"{case} {plan}"], "topology": "fixed"}
        try:
            record["fixed"][what] = figures(openpoint.dispatch_day(grid.with_closed(closed), **options))
        except openpoint.InputError as error:  # the printed state is not radial
            record["fixed"][what] = {"error": str(error)}
    return record


def figures(result: DispatchDayResult) -> dict[str, Any]:
    """What the tables show of a plan."""
    return {
        "cost_usd": result.objective_usd,
        "bound_usd": result.lower_bound_usd,
        "gap": result.gap,
        "seconds": result.seconds,
        "open": " ".join(result.open_branches),
        "balance_kw": result.balance_max_kw,
        **{case: {name: result.total(name, case) for name in FIGURES} for case in ("forecast", "worst")},
    }


def page(record: dict[str, Any]) -> str:
    """The tables with what they say."""
    parts = []
    for name, number in (("baran33", 2), ("baran69", 4)):
        free, fixed = (record["grids"][name][key] for key in ("free", "fixed"))
        head = [
            "case",
            "cost $",
            "gap",
            "lost kWh",
            "bought kWh",
            "bought kvarh",
            "shed kWh",
            "lowest pu",
            "highest pu",
        ]
        rows = [[*head, "open lines", PRINTED]]
        rows += [[case, *cells(free[f"{case} robust"], "worst"), printed(name, case)] for case in SHIFTS]
        parts += [
            f"**Table {number}: {name}, at worst**\n\n{tables.as_markdown(rows)}",
            claims(free, "robust", "worst"),
        ]
        rows = [[*head, "open lines"], *([case, *cells(free[f"{case} forecast"], "forecast")] for case in SHIFTS)]
        parts += [f"The same if all is certain to come as forecast:\n\n{tables.as_markdown(rows)}"]
        parts += [claims(free, "forecast", "forecast"), topologies(free, fixed)]
    return "\n\n".join([*parts, certain(record["grids"]["baran33"]["free"])])


def printed(name: str, case: str) -> str:
    """What the publication prints of a case."""
    lines, *told = PUBLISHED[name][case]
    return ", ".join([*(f"{value:g}" for value in told), str(lines)])


def cells(row: dict[str, Any], case: str) -> list[str]:
    """The figures of a plan in a case, with its cost, gap and open lines."""
    told = row[case]
    kwh = [f"{told[key] or 0.0:,.0f}" for key in ("loss_kwh", "purchased_kwh", "purchased_kvarh", "shed_kwh")]
    pu = [f"{told[key]:.4f}" for key in ("v_min_pu", "v_max_pu")]
    return [f"{row['cost_usd']:,.2f}", f"{100.0 * row['gap']:.3f} %", *kwh, *pu, row["open"]]


def claims(free: dict[str, Any], plan: str, case: str) -> str:
    """Which of the directions that the publication prints from a to d are met."""
    told = []
    for key, words, sense in SENSES:
        values = [free[f"{name} {plan}"][case][key] for name in SHIFTS]
        digits = ",.0f" if key.endswith("kwh") else ".4f"
        met = "not as printed"
        if sense * (values[-1] - values[0]) > 0.0:
            every = all(sense * (after - before) > 0.0 for before, after in pairwise(values))
            met = "as printed at every step" if every else "as printed from end to end, not at every step"
        told.append(f"{words} {values[0]:{digits}} → {values[-1]:{digits}}, {met}")
    return f"From a to d: {'; '.join(told)}."


def topologies(free: dict[str, Any], fixed: dict[str, Any]) -> str:
    """Whether the cases need topologies of their own, and what those printed cost."""
    rows = [["case", "plan", "cost $", "with the topology of d $", "with the printed one $"]]
    for plan in PLANS:
        for case in SHIFTS:
            ours, shared = free[f"{case} {plan}"]["cost_usd"], fixed[f"of d {plan} in {case}"]["cost_usd"]
            theirs = fixed[f"printed {case}"].get("cost_usd") if plan == "forecast" else None
            rows.append([case, plan, *(f"{usd:,.2f}" if usd else "" for usd in (ours, shared, theirs))])
    return f"Topologies, printed ones only as forecast; costs are proven to 0.1 %:\n\n{tables.as_markdown(rows)}"


def certain(free: dict[str, Any]) -> str:
    """Table 3: case a, robust against as forecast."""
    rows = [
        ["case a", "cost $", "gap", "lost kWh", "bought kWh", "bought kvarh", "shed kWh", "lowest pu", "highest pu"]
    ]
    rows[0] += ["open lines", PRINTED]
    for plan, case, key in (("robust", "worst", "a"), ("forecast", "forecast", "a as forecast")):
        rows.append([plan, *cells(free[f"a {plan}"], case), printed("baran33", key)])
    return f"**Table 3: baran33, robust against deterministic**\n\n{tables.as_markdown(rows)}"


if __name__ == "__main__":
    main()
