"""The result of `secure`: tables of faults and buses, the indices, and what was assumed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats
from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.network import Network
from openpoint.powerflow.state import AcState
from openpoint.results import ac_tables as states
from openpoint.results import columns as c
from openpoint.scenarios.reliability import Reliability
from openpoint.studies.secure.model.data import by_name, failure_rates
from openpoint.studies.secure.model.faults import Fault
from openpoint.studies.secure.model.indices import Interruptions, dark_buses, interruptions
from openpoint.studies.secure.model.restoration import Restoration
from openpoint.studies.secure.model.states import Figures
from openpoint.studies.secure.options import SecureOptions
from openpoint.studies.secure.result import SecureResult
from openpoint.studies.secure.schema import SECURE


def answer(
    grid: Grid,
    network: Network,
    state: AcState,
    faults: Sequence[Fault],
    restored: Sequence[Restoration],
    load_kw: Floats,
    data: Reliability,
    options: SecureOptions,
) -> SecureResult:
    """The result of a grid in the state asked about."""
    customers = by_name(data.customers, "bus", "customers", network.bus_names, 0.0)
    known = bool(data.customers.height)
    rates, unrated = failure_rates(grid, network, data, options.failures_per_km_year, options.failures_per_branch_year)
    repair_h = by_name(data.rates, "branch", "repair_h", network.branch_names, options.repair_h)
    times = None
    if rates is not None:
        times = interruptions(
            faults,
            restored,
            rates=rates,
            repair_h=repair_h,
            switching_h=options.switching_h,
            customers=customers,
            load_kw=load_kw,
        )
    counted = customers if known else None
    asked = np.concatenate([fault.branches for fault in faults]) if faults else np.zeros(0, dtype=np.int64)
    broken = states.violations(network, state)
    saifi, saidi = _indices(times, customers) if known else (None, None)
    return SecureResult(
        grid=grid,
        open_branches=states.open_names(network, network.closed),
        is_today=options.state is None,
        loss_kw=state.loss * network.s_base_kva,
        saifi_per_year=saifi,
        saidi_h_per_year=saidi,
        caidi_h=saidi / saifi if saifi and saidi is not None else None,
        not_supplied_kwh_per_year=None if times is None else float(times.kwh.sum()),
        faults=_fault_table(grid, network, faults, restored, load_kw, counted, rates, times),
        buses=_bus_table(network, state, faults, restored, load_kw, counted, times),
        broken=broken,
        rules=_rules(options),
        notes=(*grid.figure_notes, *_notes(len(broken), unrated & np.isin(np.arange(len(unrated)), asked), times)),
    )


def _indices(times: Interruptions | None, customers: Floats) -> tuple[float | None, float | None]:
    """SAIFI and SAIDI."""
    total = float(customers.sum())
    if times is None or total <= 0.0:
        return None, None
    return float(customers @ times.times) / total, float(customers @ times.hours) / total


def _fault_table(
    grid: Grid,
    network: Network,
    faults: Sequence[Fault],
    restored: Sequence[Restoration],
    load_kw: Floats,
    customers: Floats | None,
    rates: Floats | None,
    times: Interruptions | None,
) -> pl.DataFrame:
    """A row a branch, those of most load without supply until the repair first."""
    places = grid.branches().select("kind", "name", "from_bus", "to_bus").to_dicts()
    rows = []
    for fault, restoration in zip(faults, restored, strict=True):
        dark = dark_buses(fault, restoration)
        best = restoration.best
        shown = best or restoration.nearest
        ties = [] if best is None else [tie for tie in best.ties if tie is not None]
        common = {
            "verdict": _verdict(fault, restoration, load_kw, customers),
            "tripped_kw": float(load_kw[fault.tripped].sum()),
            "isolated_kw": float(load_kw[fault.isolated].sum()),
            "lost_kw": float(load_kw[dark].sum() - load_kw[fault.isolated].sum()),
            "tripped_customers": None if customers is None else float(customers[fault.tripped].sum()),
            "dark_customers": None if customers is None else float(customers[dark].sum()),
            "to_open": join_names(network.branch_names[e] for e in fault.opened),
            "to_close": join_names(network.branch_names[e] for e in ties),
            "v_min_pu": None if shown is None else c.finite(shown.figures.v_min),
            "loading_percent": None if shown is None else c.finite(100.0 * shown.figures.loading),
            "limit": "" if restoration.nearest is None else _limit(network, restoration.nearest.figures),
            "is_whole": restoration.is_whole,
        }
        for e in fault.branches.tolist():
            by_customers = None if times is None or customers is None else float(times.customer_hours[e])
            figures = {
                "failures_per_year": None if rates is None else float(rates[e]),
                "customer_hours_per_year": by_customers,
                "not_supplied_kwh_per_year": None if times is None else float(times.kwh[e]),
            }
            rows.append({**places[e], **common, **figures})
    table = pl.DataFrame(rows, schema=c.dtypes(SECURE.tables["faults"]))
    return table.sort(pl.col("lost_kw") + pl.col("isolated_kw"), descending=True, maintain_order=True)


def _verdict(fault: Fault, restoration: Restoration, load_kw: Floats, customers: Floats | None) -> str:
    """What switching does; a part without load and customers needs no supply."""
    needs = [
        k
        for k, part in enumerate(fault.parts)
        if load_kw[part.buses].any() or (customers is not None and customers[part.buses].any())
    ]
    served = restoration.served or (False,) * len(fault.parts)
    if not needs:
        return "overload" if fault.is_held and restoration.best is None else "nothing lost"
    if all(served[k] for k in needs):
        return "restored"
    if any(served[k] for k in needs):
        return "partly restored"
    return "limits" if any(len(fault.parts[k].ties) for k in needs) else "no tie"


def _limit(network: Network, state: Figures) -> str:
    """What breaks its limit most in a state after a fault."""
    kind, number = state.worst
    if kind == "no power flow":
        return "no power flow: the voltage collapses"
    if kind == "current":
        return f"current of {network.branch_names[number]}: {100.0 * (1.0 + state.excess):.1f} % of what is allowed"
    if not kind:
        return ""
    low = kind == "voltage low"
    limit = math.sqrt((network.w_min if low else network.w_max)[number])
    v = limit / (1.0 + state.excess) if low else limit * (1.0 + state.excess)
    return f"{kind} at {network.bus_names[network.terminal_bus[number]]}: {v:.5f} pu"


def _bus_table(
    network: Network,
    state: AcState,
    faults: Sequence[Fault],
    restored: Sequence[Restoration],
    load_kw: Floats,
    customers: Floats | None,
    times: Interruptions | None,
) -> pl.DataFrame:
    tripping, dark = (np.zeros(network.n_terminals, dtype=np.int64) for _ in range(2))
    for fault, restoration in zip(faults, restored, strict=True):
        tripping[fault.tripped] += len(fault.branches)
        dark[dark_buses(fault, restoration)] += len(fault.branches)
    nothing = [None] * network.n_terminals
    columns = {
        "name": list(network.bus_names),
        "load_kw": load_kw,
        "customers": nothing if customers is None else customers,
        "v_pu": np.abs(state.v),
        "tripping_faults": tripping,
        "dark_faults": dark,
        "interruptions_per_year": nothing if times is None else times.times,
        "hours_per_year": nothing if times is None else times.hours,
    }
    return pl.DataFrame(columns, schema=c.dtypes(SECURE.tables["buses"]))


def _rules(options: SecureOptions) -> str:
    where = "isolated at both ends of each line" if options.isolate_lines else "isolated by the switches of the grid"
    which = "lines and transformers" if options.transformers else "lines"
    return (
        f"faults of {which}, {where}; one tie for each part cut off; ratings at {options.max_loading_percent:g} %; "
        f"switching takes {options.switching_h:g} h, a repair {options.repair_h:g} h"
    )


def _notes(broken: int, unrated: Bools, times: Interruptions | None) -> list[str]:
    found = []
    if broken:
        limits = "a limit" if broken == 1 else f"{broken} limits"
        found.append(f"the state without a fault breaks {limits}, so that switching restores little within the limits")
    if times is not None and unrated.any():
        count = int(unrated.sum())
        found.append(f"{count} branches have no rate of faults and count as never failing in all figures of a year")
    return found
