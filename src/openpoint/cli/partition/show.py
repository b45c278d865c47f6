"""What a person sees of a partition: what is served, what to switch, and what robustness costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from openpoint.cli import words
from openpoint.cli.display import show_notes, show_rows, show_stop

if TYPE_CHECKING:
    from openpoint.studies.partition.ac.verdict import PartitionSamples, Share
    from openpoint.studies.partition.result import PartitionLevels, PartitionResult
    from openpoint.studies.partition.steps.result import PartitionStepsResult


def show_partition(out: Console, result: PartitionResult) -> None:
    """Why the run stopped, what is served and what to switch."""
    show_stop(out, result)
    bound = f"bound {words.usd(result.lower_bound_usd)}"
    if result.cost_usd is None:
        out.print(Text(f"No plan was found ({bound})."))
        return
    share = f"{100.0 * result.served_kw / result.total_kw:.1f} %" if result.total_kw else "-"
    out.print(Text(f"\nServes {words.kw(result.served_kw)} of {words.kw(result.total_kw)} kW ({share})", "bold"))
    _show_costs(out, result)
    head = ("island", "forms the grid", "load kW", "capacity kW", "blocks (first bus)")
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
    show_rows(out, [head, *islands], (2, 3), head=True)
    dead = result.blocks.filter(energised=False)
    out.print(Text(f"\nDead blocks: {words.names(dead['name'])}"))
    for action, state in (("close", "closed"), ("open", "open")):
        there = result.switches.filter(closed=action == "close")
        move, stay = (words.names(there.filter(switching=what)["name"]) for what in (action, ""))
        out.print(Text(f"{action.title()}: {move}", "bold").append(f"   (stay {state}: {stay})", "dim"))
    out.print()
    units = [("generator", "island", "p kW", "q kvar", "most kW")]
    for row in result.generators.iter_rows(named=True):
        if not row["island"]:
            continue
        figures = (words.kw(row["p_kw"]), words.kw(row["q_kvar"]), words.kw(row["p_max_kw"]))
        units.append((words.safe(row["name"]), str(row["island"]), *figures))
    show_rows(out, units, range(1, 5), head=True)
    if result.samples is not None:
        show_samples(out, result.samples)


def show_samples(out: Console, samples: PartitionSamples) -> None:
    """In how many samples of the loads the plan holds, and the one made for nominal loads."""
    plans = samples.by_plan
    titles = {"robust": "this plan", "deterministic": "plan for nominal loads"}
    rows = [
        (f"{words.count(samples.judged, 'sample')} of the loads", *(titles[name] for name in plans)),
        ("served kW", *(words.kw(each.served_kw) for each in plans.values())),
        ("followed in the linear model", *(_share(each.linear) for each in plans.values())),
        ("all limits kept in AC", *(_share(each.ac) for each in plans.values())),
        ("the same, losses left to one generator", *(_share(each.ac_alone) for each in plans.values())),
    ]
    out.print()
    show_rows(out, rows, head=True)
    for name, each in plans.items():
        out.print(Text(f"Commonest failure in AC, {titles[name]}: {words.safe(each.commonest)}"))
    worst = max(each.max_mismatch_pu for each in plans.values())
    out.print(Text(f"AC check by the equations of the network: largest mismatch {words.small(worst)} pu"))


def _share(share: Share) -> str:
    if share.of == 1:
        return "yes" if share.count else "no"
    low, high = share.interval
    return f"{100.0 * share.share:.2f} % ({100.0 * low:.2f} to {100.0 * high:.2f})"


def _show_costs(out: Console, result: PartitionResult | PartitionStepsResult) -> None:
    """What is uncertain, what it costs, and how close the proof is."""
    moved = (
        f"{len(result.uncertain_loads)} loads ± {100.0 * result.uncertainty:g} %" if result.uncertain_loads else "no"
    )
    rows = [
        ("uncertain", moved),
        ("cost at worst", words.usd(result.cost_usd)),
        ("dead blocks", words.usd(result.lost_usd)),
        ("set-points", words.usd(result.generation_usd)),
        ("following the loads, at worst", words.usd(result.worst_recourse_usd)),
        ("worst slack kW", words.kw(result.worst_slack_kw)),
    ]
    show_rows(out, rows)
    out.print(Text(f"Gap: {words.percent(result.gap)} % (bound {words.usd(result.lower_bound_usd)})\n"))


def show_steps(out: Console, result: PartitionStepsResult) -> None:
    """What each step serves and switches, what is in store, and what the AC power flow says."""
    show_stop(out, result)
    if result.cost_usd is None:
        out.print(Text(f"No plan was found (bound {words.usd(result.lower_bound_usd)})."))
        return
    share = f"{100.0 * result.served_kwh / result.total_kwh:.1f} %" if result.total_kwh else "-"
    out.print(Text(f"\nServes {words.kw(result.served_kwh)} of {words.kw(result.total_kwh)} kWh ({share})", "bold"))
    _show_costs(out, result)
    head = ("step", "hours", "served kW", "of kW", "blocks", "actions", "close", "open", "AC voltage pu")
    rows = [head]
    for row in result.steps.iter_rows(named=True):
        moved = result.switches.filter(step=row["step"])
        close, open_ = (words.names(moved.filter(switching=word)["name"]) for word in ("close", "open"))
        volts = "-" if row["v_min_pu"] is None else f"{row['v_min_pu']:.4f} to {row['v_max_pu']:.4f}"
        figures = (f"{row['hours']:g}", words.kw(row["served_kw"]), words.kw(row["load_kw"]))
        counts = (str(row["energised_blocks"]), str(row["actions"]))
        rows.append((words.safe(row["step"]), *figures, *counts, close, open_, volts))
    show_rows(out, rows, range(1, 6), head=True)
    if result.storage.height:
        units = [("storage", "step", "p kW", "at the end kWh", "reserve kW")]
        for row in result.storage.sort("generator", maintain_order=True).iter_rows(named=True):
            reserve = f"+{words.kw(row['reserve_more_kw'])} -{words.kw(row['reserve_less_kw'])}"
            figures = (words.kw(row["p_kw"]), words.kw(row["end_kwh"]), reserve)
            units.append((words.safe(row["generator"]), words.safe(row["step"]), *figures))
        out.print()
        show_rows(out, units, range(2, 5), head=True)


def show_levels(out: Console, found: PartitionLevels) -> None:
    """A row a level: what is served, what it costs and how close the proof is."""
    head = (
        "loads ±",
        "served kW",
        "share",
        "cost at worst",
        "gap %",
        "islands",
        "blocks",
        "kept in AC",
        "closed",
        "ended",
    )
    rows = [head]
    for level, each in found.by_level.items():
        share = f"{100.0 * each.served_kw / each.total_kw:.1f} %" if each.total_kw else "-"
        rows.append(
            (
                f"{100.0 * level:g} %",
                words.kw(each.served_kw),
                share,
                words.usd(each.cost_usd),
                words.percent(each.gap),
                str(each.islands.height),
                str(len(each.energised_blocks)),
                "-" if each.samples is None else f"{100.0 * each.samples.robust.ac.share:.2f} %",
                words.names(each.closed_switches),
                each.termination.value,
            )
        )
    out.print()
    show_notes(out, (note for each in found.results for note in each.notes))
    show_rows(out, rows, range(8), head=True)
    out.print(Text("\nEach plan in full: --json, --csv, --excel or --report.", "dim"))
