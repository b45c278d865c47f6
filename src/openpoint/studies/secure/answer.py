"""The result of `secure`: tables of faults and buses, the indices, and what was assumed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats
from openpoint.enclosure.ports import of_open_ends
from openpoint.grid.balanced import has_phases
from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.network import Network
from openpoint.results import ac_tables as states
from openpoint.results import columns as c
from openpoint.results.realised import realised_table
from openpoint.results.violation import Violation
from openpoint.scenarios.reliability import Reliability
from openpoint.search.plan.flows import Figures
from openpoint.studies.secure.model.every_load import Standings
from openpoint.studies.secure.model.faults import Fault
from openpoint.studies.secure.model.indices import (
    Interruptions,
    by_name,
    customers_of,
    dark_buses,
    failure_rates,
    interruptions,
)
from openpoint.studies.secure.model.states import closed_ties
from openpoint.studies.secure.model.switchings import Answer, Restoration, Switching, needs_of
from openpoint.studies.secure.model.taps import TapControls
from openpoint.studies.secure.options import SecureOptions
from openpoint.studies.secure.result import BUSES, FAULTS, SWITCHINGS, WITNESSES, SecureResult

UNTRIED_SHOWN = 10
"""Open branches that are not switchable, of which a note names so many."""


@dataclass(frozen=True)
class Before:
    """The state without a fault.

    Attributes:
        v: (N) lowest voltage of a phase of each bus, pu. loss_kw: active power lost.
        broken: limits of planning that it breaks. in_emergency: how many of an emergency.
    """

    v: Floats
    loss_kw: float
    broken: tuple[Violation, ...]
    in_emergency: int


@dataclass(frozen=True)
class Evaluated:
    """The evaluated faults of a network, of which the tables are made.

    Attributes:
        faults, restored, switched: of one state, in the same order. load_kw, customers: (N) of each bus; None where
            the number of customers is unknown. controls: tap changers that hold a voltage. rates: (E) faults a year.
        times: what they do in a year. known: whether what is restored holds over a set of loads.
    """

    network: Network
    controls: TapControls
    faults: Sequence[Fault]
    restored: Sequence[Restoration]
    switched: Sequence[Switching]
    load_kw: Floats
    customers: Floats | None
    rates: Floats | None
    times: Interruptions | None
    known: Standings


def fault_table(grid: Grid, evaluated: Evaluated) -> pl.DataFrame:
    """A row a branch, those of most load without supply until the repair first."""
    network, load_kw, customers, times = evaluated.network, evaluated.load_kw, evaluated.customers, evaluated.times
    places = grid.branches().select("kind", "name", "from_bus", "to_bus").to_dicts()
    rows = []
    every = zip(evaluated.faults, evaluated.restored, evaluated.switched, evaluated.known.of_faults, strict=True)
    for fault, restoration, switching, standing in every:
        dark = dark_buses(fault, restoration)
        best = restoration.best
        shown = best or restoration.nearest
        ties, then = ([], ()) if best is None else (closed_ties(best.ties), best.opened)
        common = {
            "verdict": _verdict(fault, restoration, load_kw, customers),
            **_restorable(evaluated, fault, switching),
            "tripped_kw": float(load_kw[fault.tripped].sum()),
            "isolated_kw": float(load_kw[fault.isolated].sum()),
            "lost_kw": float(load_kw[dark].sum() - load_kw[fault.isolated].sum()),
            "tripped_customers": None if customers is None else float(customers[fault.tripped].sum()),
            "dark_customers": None if customers is None else float(customers[dark].sum()),
            "to_open": join_names(network.branch_names[e] for e in fault.opened),
            "to_close": join_names(network.branch_names[e] for e in ties),
            "then_open": join_names(network.branch_names[e] for e in then),
            "taps": "" if shown is None else evaluated.controls.in_words(shown.taps),
            "v_min_pu": None if shown is None else c.finite(shown.figures.v_min[0]),
            "loading_percent": None if shown is None else c.finite(100.0 * shown.figures.loading[0]),
            "limit": "" if restoration.nearest is None else _limit(network, restoration.nearest.figures),
            "is_whole": restoration.is_whole,
            "for_every": "" if standing is None else standing.word,
            "is_next": standing is not None and standing.is_next,
            "for_every_limit": ""
            if standing is None or standing.figures is None
            else _limit(network, standing.figures),
        }
        for e in fault.branches.tolist():
            by_customers = None if times is None or customers is None else float(times.customer_hours[e])
            figures = {
                "failures_per_year": None if evaluated.rates is None else float(evaluated.rates[e]),
                "customer_hours_per_year": by_customers,
                "not_supplied_kwh_per_year": None if times is None else float(times.kwh[e]),
            }
            rows.append({**places[e], **common, **figures})
    table = c.frame(FAULTS, rows)
    return table.sort(pl.col("lost_kw") + pl.col("isolated_kw"), descending=True, maintain_order=True)


def _restorable(evaluated: Evaluated, fault: Fault, switching: Switching) -> dict[str, object]:
    """What any switching, or as many as were asked for, can do."""
    cut = None
    if switching.reached is not None:
        parts = [part.buses for part, there in zip(fault.parts, switching.reached, strict=True) if not there]
        cut = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
    if switching.by_any is Answer.YES:
        word = "switchings" if switching.state else "ties" if switching.closings else "nothing"
    elif switching.by_any is Answer.NO:
        word = "none"
    else:
        word = "more" if switching.within is Answer.NO else "unknown"
    return {
        "restorable": word,
        "closings": switching.closings,
        "is_fewest": switching.is_fewest,
        "cut_off_kw": None if cut is None else float(evaluated.load_kw[cut].sum()),
        "cut_off": join_names(evaluated.network.bus_names[n] for n in ([] if cut is None else cut)),
    }


def switching_table(evaluated: Evaluated) -> pl.DataFrame:
    """A row a branch after whose fault more than ties restores the supply."""
    names, rows = evaluated.network.branch_names, []
    for fault, restoration, switching in zip(evaluated.faults, evaluated.restored, evaluated.switched, strict=True):
        if (state := switching.state) is None:
            continue
        rows += [
            {
                "name": names[e],
                "closings": switching.closings,
                "is_fewest": switching.is_fewest,
                "is_taken": restoration.best is state,
                "to_open": join_names(names[k] for k in fault.opened),
                "to_close": join_names(names[k] for k in closed_ties(state.ties)),
                "then_open": join_names(names[k] for k in state.opened),
                "v_min_pu": c.finite(state.figures.v_min[0]),
                "loading_percent": c.finite(100.0 * state.figures.loading[0]),
                "loss_kw": state.loss * evaluated.network.s_base_kva,
            }
            for e in fault.branches.tolist()
        ]
    return c.frame(SWITCHINGS, rows).sort("closings", maintain_order=True)


def witness_table(grid: Grid, evaluated: Evaluated) -> pl.DataFrame:
    """The loads at which what is restored breaks limits."""
    judge, names = evaluated.known.judge, evaluated.network.branch_names
    parts = [c.empty(WITNESSES)]
    for fault, standing in zip(evaluated.faults, evaluated.known.of_faults, strict=True):
        if judge is not None and standing is not None and standing.at is not None:
            loads = realised_table(grid, judge.ports, judge.shares, standing.at)
            parts += [loads.select(pl.lit(names[e]).alias("fault"), pl.all()) for e in fault.branches.tolist()]
    return pl.concat(parts)


def _verdict(fault: Fault, restoration: Restoration, load_kw: Floats, customers: Floats | None) -> str:
    """What switching does; a part without load and customers needs no supply."""
    needs = np.flatnonzero(needs_of(fault, load_kw, customers)).tolist()
    served = restoration.served or (False,) * len(fault.parts)
    if not needs:
        return "overload" if fault.is_held and restoration.best is None else "nothing lost"
    if all(served[k] for k in needs):
        return "restored"
    if any(served[k] for k in needs):
        return "partly restored"
    tried = restoration.nearest is not None and bool(closed_ties(restoration.nearest.ties))
    return "limits" if tried or not restoration.is_whole else "no tie"


def _limit(network: Network, state: Figures) -> str:
    """What breaks its limit most in a state after a fault."""
    kind, number = state.worst
    if kind == "tap changers":
        return "tap changers hunt: their bands are narrower than their steps"
    if kind == "phases":
        return "ties that do not have all phases"
    if kind == "no power flow":
        return "no power flow: the voltage collapses"
    if kind == "current":
        return f"current of {network.branch_names[number]}: {100.0 * (1.0 + state.excess):.1f} % of what is allowed"
    if not kind:
        return ""
    low = kind == "voltage low"
    limit = math.sqrt((network.w_min if low else network.w_max)[number])
    v = limit * (1.0 - state.excess if low else 1.0 + state.excess)
    return f"{kind} at {network.bus_names[network.terminal_bus[number]]}: {v:.5f} pu"


def bus_table(before: Before, evaluated: Evaluated) -> pl.DataFrame:
    """A row a bus."""
    network, customers, times = evaluated.network, evaluated.customers, evaluated.times
    tripping, dark = (np.zeros(network.n_terminals, dtype=np.int64) for _ in range(2))
    for fault, restoration in zip(evaluated.faults, evaluated.restored, strict=True):
        tripping[fault.tripped] += len(fault.branches)
        dark[dark_buses(fault, restoration)] += len(fault.branches)
    nothing = [None] * network.n_terminals
    columns = {
        "name": list(network.bus_names),
        "load_kw": evaluated.load_kw,
        "customers": nothing if customers is None else customers,
        "v_pu": before.v,
        "tripping_faults": tripping,
        "dark_faults": dark,
        "interruptions_per_year": nothing if times is None else times.times,
        "hours_per_year": nothing if times is None else times.hours,
    }
    return pl.DataFrame(columns, schema=c.dtypes(BUSES))


def answer(
    grid: Grid,
    network: Network,
    before: Before,
    controls: TapControls,
    told: tuple[str, ...],
    faults: Sequence[Fault],
    restored: Sequence[Restoration],
    switched: Sequence[Switching],
    known: Standings,
    load_kw: Floats,
    data: Reliability,
    options: SecureOptions,
) -> SecureResult:
    """The result of a grid in the state asked about.

    Args:
        network: with the limits of an emergency. before: without a fault. controls: tap changers that hold a voltage.
        told: notes on them.
        known: of `restored`, over a set of loads.
    """
    customers = customers_of(network, data)
    counted = bool(data.customers.height)
    rates, unrated = failure_rates(grid, network, data, *options.rates)
    repair_h = by_name(data.rates, "branch", "repair_h", network.branch_names, options.repair_h)
    times = None
    if rates is not None:
        times = interruptions(
            faults,
            restored,
            rates=rates,
            repair_h=repair_h,
            switching_h=options.switching(grid.branches()["remote"].to_numpy()),
            customers=customers,
            load_kw=load_kw,
        )
    figures = Evaluated(
        network, controls, faults, restored, switched, load_kw, customers if counted else None, rates, times, known
    )
    asked = np.concatenate([fault.branches for fault in faults]) if faults else np.zeros(0, dtype=np.int64)
    saifi, saidi = _indices(times, customers) if counted else (None, None)
    notes = _notes(before.in_emergency, unrated & np.isin(np.arange(len(unrated)), asked), times, switched, options)
    table = fault_table(grid, figures)
    if count := int(table["is_next"].sum()):
        notes.append(
            f"after {count} faults a state is taken that comes next, as it is proved for every load of the set"
        )
    return SecureResult(
        grid=grid,
        open_branches=states.open_names(network, network.closed),
        is_today=options.open_branches is None,
        loss_kw=before.loss_kw,
        saifi_per_year=saifi,
        saidi_h_per_year=saidi,
        caidi_h=saidi / saifi if saifi and saidi is not None else None,
        not_supplied_kwh_per_year=None if times is None else float(times.kwh.sum()),
        faults=table,
        switchings=switching_table(figures),
        buses=bus_table(before, figures),
        witnesses=witness_table(grid, figures),
        for_every=options.set_words,
        violations=before.broken,
        beyond_ties=options.beyond_ties,
        rules=_rules(options, grid, controls),
        notes=(
            *grid.figure_notes,
            *told,
            *_untried(grid, table),
            *_fixed_taps(grid, table, controls),
            *of_open_ends(network, options.shares),
            *notes,
            *(options.doubts if times is not None else ()),
        ),
    )


def _indices(times: Interruptions | None, customers: Floats) -> tuple[float | None, float | None]:
    """SAIFI and SAIDI."""
    total = float(customers.sum())
    if times is None or total <= 0.0:
        return None, None
    return float(customers @ times.times) / total, float(customers @ times.hours) / total


def _rules(options: SecureOptions, grid: Grid, controls: TapControls) -> str:
    where = "isolated at both ends of each line" if options.isolate_lines else "isolated by the switches of the grid"
    which = "lines" if options.lines_only else "lines and transformers"
    remote = "" if options.remote_switching_h is None else f" ({options.remote_switching_h:g} h where all is remote)"
    ties = "one tie for each part cut off"
    if options.switchings > 1:
        ties += f", or at most {options.switchings} closings with the openings that keep the grid radial"
    held = [f"{name} {low:g} to {high:g} pu" for name, low, high in zip(controls.names, controls.low, controls.high)]
    taps = f"; tap changers step until they hold {join_names(held[:UNTRIED_SHOWN])}" if held else ""
    taps += f"; {'other ' if held else ''}taps stay where they are" if tap_changers(grid, controls) else ""
    return (
        f"faults of {which}, {where}; {ties}; {options.emergency_words}{taps}; "
        f"switching takes {options.switching_h:g} h{remote}, a repair {options.repair_h:g} h"
    )


def tap_changers(grid: Grid, controls: TapControls) -> list[str]:
    """Names of the transformers in operation whose tap can move, and holds no voltage."""
    moves = (pl.col("tap_min") < pl.col("tap_max")) & (pl.col("tap_step_percent") != 0.0) & pl.col("closed")
    return grid.transformers.filter(moves, ~pl.col("name").is_in(controls.names))["name"].to_list()


def _fixed_taps(grid: Grid, faults: pl.DataFrame, controls: TapControls) -> tuple[str, ...]:
    """A note on tap changers, where a voltage is what no tie keeps."""
    count, names = int(faults["limit"].str.starts_with("voltage").sum()), tap_changers(grid, controls)
    if not count or not names or has_phases(grid):
        return ()
    named = join_names(names[:UNTRIED_SHOWN]) + (" …" if len(names) > UNTRIED_SHOWN else "")
    what = f"after {count} faults it is a voltage that no tie keeps within its limits"
    return (f"{what}; these taps stay where they are today, and --hold T*=1.00:1.03 lets them follow: {named}",)


def _untried(grid: Grid, faults: pl.DataFrame) -> tuple[str, ...]:
    """A note on open branches that nobody may close, where a fault has no tie."""
    still = pl.col("closed") | pl.col("switchable") | (pl.col("locked_reason") != "")
    idle = grid.branches().filter(~still)["name"].to_list()
    if not idle or not (faults["verdict"] == "no tie").any():
        return ()
    named = join_names(idle[:UNTRIED_SHOWN]) + (" …" if len(idle) > UNTRIED_SHOWN else "")
    return (f"open branches that are not switchable were not closed after any fault: {named}; --switchable allows it",)


def _notes(
    broken: int,
    unrated: Bools,
    times: Interruptions | None,
    switched: Sequence[Switching],
    options: SecureOptions,
) -> list[str]:
    found = []
    unknown = 0
    if options.beyond_ties:
        unknown = sum((e.by_any if options.any_switching else e.within) is Answer.UNKNOWN for e in switched)
    if broken:
        limits = "a limit" if broken == 1 else f"{broken} limits"
        found.append(f"the state without a fault breaks {limits} of an emergency, so that switching restores little")
    if times is not None and unrated.any():
        count = int(unrated.sum())
        found.append(f"{count} branches have no rate of faults and count as never failing in all figures of a year")
    if unknown:
        found.append(
            f"of {unknown} faults it is not known whether switching restores their supply: the time was up, or the "
            "grid has something that the proof does not hold for; they are counted neither as restorable nor as not"
        )
    return found
