"""A partition in the terminal: what is served, what to switch, and what robustness costs."""

from __future__ import annotations

from openpoint.report.page.model import Remarks
from openpoint.report.terminal import words
from openpoint.report.terminal.view import Line, Rows, View, stop
from openpoint.studies.partition.ac import PartitionSamples, Share
from openpoint.studies.partition.result import PartitionLevelsResult, PartitionResult, PlanResult

_ISLANDS = ("island", "forms the grid", "load kW", "capacity kW", "blocks (first bus)")
_UNITS = ("generator", "island", "p kW", "q kvar", "most kW")
_LEVELS = ("loads ±", "served kW", "share", "cost at worst", "gap %", "islands", "blocks")


def view(result: PartitionResult | PartitionLevelsResult) -> View:
    """Why the run stopped, what is served and what to switch; of several levels a row each."""
    if isinstance(result, PartitionLevelsResult):
        return _levels(result)
    return [*stop(result), *costs(result, "kW", result.served_kw, result.total_kw), *_plan(result)]


def _plan(result: PartitionResult) -> View:
    if result.cost_usd is None:
        return []
    islands = [
        (
            str(row["island"]),
            words.safe(row["grid_forming"]),
            words.kw(row["load_kw"]),
            words.kw(row["capacity_kw"]),
            words.safe(row["blocks"]),
        )
        for row in result.islands.iter_rows(named=True)
    ]
    units = [
        (words.safe(row["name"]), str(row["island"]), *(words.kw(row[key]) for key in ("p_kw", "q_kvar", "p_max_kw")))
        for row in result.generators.iter_rows(named=True)
        if row["island"]
    ]
    return [
        Rows([_ISLANDS, *islands], (2, 3), head=True),
        Line(f"\nDead blocks: {words.names(result.blocks.filter(energised=False)['name'])}"),
        *(_moves(result, action, state) for action, state in (("close", "closed"), ("open", "open"))),
        Line(),
        Rows([_UNITS, *units], range(1, 5), head=True),
        *([] if result.samples is None else _samples(result.samples)),
    ]


def _moves(result: PartitionResult, action: str, state: str) -> Line:
    there = result.switches.filter(closed=action == "close")
    move, stay = (words.names(there.filter(switching=what)["name"]) for what in (action, ""))
    return Line(f"{action.title()}: {move}", "bold", f"   (stay {state}: {stay})", "dim")


def _samples(samples: PartitionSamples) -> View:
    """In how many samples of the loads the plan holds, and the one made for nominal loads."""
    plans = samples.by_plan
    cut = "" if samples.stopped is None else f" ({samples.asked} asked)"
    titles = {"robust": "this plan", "deterministic": "plan for nominal loads"}
    rows = [
        (f"{words.count(samples.judged, 'sample')} of the loads{cut}", *(titles[name] for name in plans)),
        ("served kW", *(words.kw(each.served_kw) for each in plans.values())),
        ("followed in the linear model", *(_share(each.linear) for each in plans.values())),
        ("all limits kept in AC", *(_share(each.ac) for each in plans.values())),
        ("the same, losses left to one generator", *(_share(each.ac_alone) for each in plans.values())),
    ]
    worst = words.small(max(each.max_mismatch_pu for each in plans.values()))
    return [
        Line(),
        Rows(rows, head=True),
        *(
            Line(f"Commonest failure in AC, {titles[name]}: {words.safe(each.commonest)}")
            for name, each in plans.items()
        ),
        Line(f"AC check by the equations of the network: largest mismatch {worst} pu"),
    ]


def _share(share: Share) -> str:
    if share.of == 1:
        return "yes" if share.count else "no"
    low, high = share.interval
    return f"{100.0 * share.share:.2f} % ({100.0 * low:.2f} to {100.0 * high:.2f})"


def costs(result: PlanResult, unit: str, served: float, total: float) -> View:
    """What is served, what is uncertain, what it costs, and how close the proof is."""
    bound = f"bound {words.usd(result.lower_bound_usd)}"
    if result.cost_usd is None:
        return [Line(f"No plan was found ({bound}).")]
    share = f"{100.0 * served / total:.1f} %" if total else "-"
    moved = f"{len(result.uncertain_loads)} loads ± {100.0 * result.uncertainty:g} %"
    rows = [
        ("uncertain", moved if result.uncertain_loads else "no"),
        ("cost at worst", words.usd(result.cost_usd)),
        ("dead blocks", words.usd(result.lost_usd)),
        ("set-points", words.usd(result.generation_usd)),
        ("following the loads, at worst", words.usd(result.worst_recourse_usd)),
        ("worst slack kW", words.kw(result.worst_slack_kw)),
    ]
    return [
        Line(f"\nServes {words.kw(served)} of {words.kw(total)} {unit} ({share})", "bold"),
        Rows(rows),
        Line(f"Gap: {words.percent(result.gap)} % ({bound})\n"),
    ]


def _levels(found: PartitionLevelsResult) -> View:
    """A row a level: what is served, what it costs and how close the proof is."""
    rows = [
        (
            f"{100.0 * level:g} %",
            words.kw(each.served_kw),
            f"{100.0 * each.served_kw / each.total_kw:.1f} %" if each.total_kw else "-",
            words.usd(each.cost_usd),
            words.percent(each.gap),
            str(each.islands.height),
            str(len(each.energised_blocks)),
            "-" if each.samples is None else f"{100.0 * each.samples.robust.ac.share:.2f} %",
            words.names(each.closed_switches),
            each.termination.value,
        )
        for level, each in found.by_level.items()
    ]
    missing = sorted(set(found.asked) - set(found.by_level))
    return [
        Line(),
        Remarks(tuple(note for each in found.results for note in each.notes)),
        Rows([(*_LEVELS, "kept in AC", "closed", "ended"), *rows], range(8), head=True),
        *([Line(f"Interrupted, not computed: {', '.join(f'{level:g}' for level in missing)}")] if missing else []),
        Line("\nEach plan in full: --json, --csv, --excel or --report.", "dim"),
    ]
