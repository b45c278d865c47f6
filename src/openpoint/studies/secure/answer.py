"""The result of `secure`: tables of faults and buses, the indices, and what was assumed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.powerflow.state import AcState
from openpoint.results import ac_tables as states
from openpoint.scenarios.reliability import Reliability
from openpoint.studies.secure.model.data import by_name, customers_of, failure_rates
from openpoint.studies.secure.model.faults import Fault
from openpoint.studies.secure.model.indices import Interruptions, interruptions
from openpoint.studies.secure.model.restoration import Restoration
from openpoint.studies.secure.model.switchings import Answer, Switching
from openpoint.studies.secure.options import SecureOptions
from openpoint.studies.secure.result import SecureResult
from openpoint.studies.secure.tables import Evaluated, bus_table, fault_table, switching_table


def answer(
    grid: Grid,
    network: Network,
    state: AcState,
    faults: Sequence[Fault],
    restored: Sequence[Restoration],
    switched: Sequence[Switching],
    load_kw: Floats,
    data: Reliability,
    options: SecureOptions,
) -> SecureResult:
    """The result of a grid in the state asked about."""
    customers = customers_of(network, data)
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
            switching_h=options.switching(grid.branches()["remote"].to_numpy()),
            customers=customers,
            load_kw=load_kw,
        )
    figures = Evaluated(network, faults, restored, switched, load_kw, customers if known else None, rates, times)
    asked = np.concatenate([fault.branches for fault in faults]) if faults else np.zeros(0, dtype=np.int64)
    broken = states.violations(network, state)
    saifi, saidi = _indices(times, customers) if known else (None, None)
    notes = _notes(len(broken), unrated & np.isin(np.arange(len(unrated)), asked), times, switched, options)
    return SecureResult(
        grid=grid,
        open_branches=states.open_names(network, network.closed),
        is_today=options.state is None,
        loss_kw=state.loss * network.s_base_kva,
        saifi_per_year=saifi,
        saidi_h_per_year=saidi,
        caidi_h=saidi / saifi if saifi and saidi is not None else None,
        not_supplied_kwh_per_year=None if times is None else float(times.kwh.sum()),
        faults=fault_table(grid, figures),
        switchings=switching_table(figures),
        buses=bus_table(state, figures),
        broken=broken,
        beyond_ties=options.beyond_ties,
        rules=_rules(options),
        notes=(*grid.figure_notes, *notes, *(options.doubts if times is not None else ())),
    )


def _indices(times: Interruptions | None, customers: Floats) -> tuple[float | None, float | None]:
    """SAIFI and SAIDI."""
    total = float(customers.sum())
    if times is None or total <= 0.0:
        return None, None
    return float(customers @ times.times) / total, float(customers @ times.hours) / total


def _rules(options: SecureOptions) -> str:
    where = "isolated at both ends of each line" if options.isolate_lines else "isolated by the switches of the grid"
    which = "lines and transformers" if options.transformers else "lines"
    remote = "" if options.remote_switching_h is None else f" ({options.remote_switching_h:g} h where all is remote)"
    ties = "one tie for each part cut off"
    if options.switchings > 1:
        ties += f", or at most {options.switchings} closings with the openings that keep the grid radial"
    return (
        f"faults of {which}, {where}; {ties}; ratings at {options.max_loading_percent:g} %; "
        f"switching takes {options.switching_h:g} h{remote}, a repair {options.repair_h:g} h"
    )


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
        found.append(f"the state without a fault breaks {limits}, so that switching restores little within the limits")
    if times is not None and unrated.any():
        count = int(unrated.sum())
        found.append(f"{count} branches have no rate of faults and count as never failing in all figures of a year")
    if unknown:
        found.append(
            f"of {unknown} faults it is not known whether switching restores their supply: the time was up, or the "
            "grid has something that the proof does not hold for; they are counted neither as restorable nor as not"
        )
    return found
