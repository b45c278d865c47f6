"""The columns of the tables of a day."""

from __future__ import annotations

from openpoint.results import columns as c
from openpoint.results.common import ENDS, iteration_columns
from openpoint.scenarios.day.schemas import MeasuredState
from openpoint.studies.dispatch.tables import DEVICE_KINDS

CASES = ("today", "forecast", "worst")
"""The plan of today as forecast; the answer as forecast; the answer in its worst realisation, or dearest future."""
OFTEN = ("fixed", "once", "hourly")
_CASE = c.text(
    "today: nothing is scheduled, all comes as forecast; forecast: the answer, all comes as forecast; worst: the "
    "answer in its worst realisation, or in its dearest future",
    "case",
    options=CASES,
)
_PERIOD = c.text("name of the period", "period")

VIOLATIONS: c.Table = {
    "case": _CASE,
    "period": _PERIOD,
    "kind": c.text(
        "what is broken",
        "limit broken",
        options=[
            *("voltage low", "voltage high", "current", "active power", "reactive power", "apparent power"),
            *("branch active power", "branch reactive power"),
            *("energy in store", "ramp", "energy balance", "no power flow"),
        ],
    ),
    "name": c.text("bus, branch, source, generator or store; empty where it is the whole grid", "where"),
    "value": c.maybe_number("what the AC power flow gives", "value", 4),
    "limit": c.maybe_number("what is allowed", "limit", 4),
    "unit": c.text("of value and limit", options=["pu", "A", "kW", "kvar", "kVA", "kWh", "kW/h", ""]),
}
PERIODS: c.Table = {
    "period": _PERIOD,
    "case": _CASE,
    "start_h": c.number("hours from the start of the day to that of the period", "from, h", 2),
    "starts_at": c.text("what the clock says then; null: not given", "starts at", nullable=True),
    "hours": c.number("how long it is", "hours", 2),
    "price_usd_per_kwh": c.number("price of the energy of the sources, $/kWh; of several, the mean", "$/kWh", 4),
    "load_kw": c.maybe_number("demand, with what is moved, before anything is shed, kW", "load, kW", 1),
    "source_kw": c.maybe_number("active power that the sources deliver, kW; negative: it flows back", "sources, kW", 1),
    "source_kvar": c.maybe_number("reactive power that the sources deliver, kvar", "sources, kvar", 1),
    "generators_kw": c.maybe_number("active power of generators, those of fixed output included, kW", "units, kW", 1),
    "solar_kw": c.maybe_number("solar power fed in, kW", "solar, kW", 1),
    "wind_kw": c.maybe_number("wind power fed in, kW", "wind, kW", 1),
    "curtailed_kw": c.maybe_number("renewable power that is not taken, kW", "curtailed, kW", 1),
    "stores_kw": c.maybe_number("what batteries feed in, kW; negative: they charge", "batteries, kW", 1),
    "vehicles_kw": c.maybe_number("what vehicles feed in, kW; negative: they charge", "vehicles, kW", 1),
    "shed_kw": c.maybe_number("load that is shed, kW", "shed, kW", 1),
    "shifted_kw": c.maybe_number("by how much the load is higher because it is moved in time, kW", "in time, kW", 1),
    "moved_kw": c.maybe_number("load that is moved to other buses, kW", "between buses, kW", 1),
    "loss_kw": c.maybe_number("active power that all branches take, kW", "loss, kW", 2),
    "balance_kw": c.maybe_number("all that comes in less all that goes out, kW: 0 but for rounding"),
    "v_min_pu": c.maybe_number("lowest voltage, pu", "lowest, pu", 4),
    "v_min_bus": c.text("its bus", nullable=True),
    "v_max_pu": c.maybe_number("highest voltage, pu", "highest, pu", 4),
    "v_max_bus": c.text("its bus", nullable=True),
    "v_mean_pu": c.maybe_number("mean voltage of all buses, pu", "mean, pu", 4),
    "loading_max_percent": c.maybe_number("highest current, percent of its rating", "loading, %", 1),
    "open_points": c.text("branches that are open, in one line"),
    "cost_usd": c.maybe_number("cost, starts and switching included, $", "cost, $", 2),
}
COSTS: c.Table = {
    "part": c.text("what is paid", "part"),
    **{f"{case}_usd": c.maybe_number(f"of the day, $, case {case}", f"{case}, $", 2) for case in CASES},
    "definition": c.text("what it is"),
}
DECIDED: c.Table = {
    "what": c.text("what is decided", "what"),
    "when": c.text(
        "fixed: as today; once: for the day, beforehand; hourly: for every period, beforehand; recourse: once it is "
        "known what came",
        "when",
        options=[*OFTEN, "recourse"],
    ),
    "told": c.text("in words"),
}
SOURCES: c.Table = {
    "period": _PERIOD,
    "case": _CASE,
    "name": c.text("name of the source", "source"),
    "bus": c.text("its bus", "bus"),
    "p_kw": c.maybe_number("active power delivered, kW", "P, kW", 1),
    "q_kvar": c.maybe_number("reactive power delivered, kvar", "Q, kvar", 1),
    "price_usd_per_kwh": c.number("price of its energy, $/kWh", "$/kWh", 4),
    "export_usd_per_kwh": c.number("what energy earns that flows back, $/kWh", "export $/kWh", 4),
}
GENERATORS: c.Table = {
    "period": _PERIOD,
    "name": c.text("name of the generator", "generator"),
    "bus": c.text("its bus", "bus"),
    "on": c.flag("whether it runs", "on"),
    "started": c.flag("whether it is started in this period", "started"),
    "p_kw": c.number("active power, kW", "P, kW", 1),
    "q_kvar": c.number("reactive power, kvar", "Q, kvar", 1),
    "p_max_kw": c.maybe_number("most active power in this period, kW", "P at most, kW", 1),
    "cost_usd": c.number("energy, running and start, $", "cost, $", 2),
}
STORES: c.Table = {
    "period": _PERIOD,
    "name": c.text("name of the battery or vehicle", "store"),
    "kind": c.text("what it is", "kind", options=["battery", "vehicle"]),
    "bus": c.text("its bus", "bus"),
    "present": c.flag("whether it is there"),
    "charge_kw": c.number("power that it takes from the grid, kW", "charge, kW", 1),
    "discharge_kw": c.number("power that it feeds in, kW", "discharge, kW", 1),
    "q_kvar": c.number("reactive power that it feeds in, kvar", "Q, kvar", 1),
    "start_kwh": c.maybe_number(
        "what it holds at the start of the period, kWh; null: it is not there", "before, kWh", 1
    ),
    "end_kwh": c.maybe_number("what it holds at the end, kWh", "after, kWh", 1),
    "min_kwh": c.number("the least it may hold, kWh", "least, kWh", 1),
    "max_kwh": c.number("the most it may hold, kWh", "most, kWh", 1),
}
RENEWABLES: c.Table = {
    "period": _PERIOD,
    "case": _CASE,
    "name": c.text("name of the renewable source", "source"),
    "kind": c.text("what it is", "kind", options=["solar", "wind"]),
    "bus": c.text("its bus", "bus"),
    "available_kw": c.number("active power available, kW", "available, kW", 1),
    "p_kw": c.number("active power fed in, kW", "P, kW", 1),
    "curtailed_kw": c.number("what is not taken, kW", "curtailed, kW", 1),
    "q_kvar": c.number("reactive power fed in, kvar", "Q, kvar", 1),
}
DEMAND: c.Table = {
    "period": _PERIOD,
    "case": _CASE,
    "bus": c.text("name of the bus", "bus"),
    "forecast_kw": c.number("load as forecast, at the rated voltage, kW", "forecast, kW", 1),
    "realised_kw": c.maybe_number("load as it comes, before anything is moved or shed, kW", "comes, kW", 1),
    "shifted_kw": c.maybe_number("by how much it is higher because load is moved in time, kW", "in time, kW", 1),
    "moved_kw": c.maybe_number("load that comes from other buses; negative: goes there, kW", "from buses, kW", 1),
    "shed_kw": c.maybe_number("load that is shed, kW", "shed, kW", 1),
    "served_kw": c.maybe_number("load that is served, kW", "served, kW", 1),
    "forecast_kvar": c.number("reactive load as forecast, at the rated voltage, kvar", "forecast, kvar", 1),
    "realised_kvar": c.maybe_number("reactive load as it comes, kvar", "comes, kvar", 1),
    "shifted_kvar": c.maybe_number("reactive load that is moved in time with the active one, kvar", "in time, kvar", 1),
    "moved_kvar": c.maybe_number("reactive load that comes from other buses, kvar", "from buses, kvar", 1),
    "shed_kvar": c.maybe_number("reactive load that is shed with the active one, kvar", "shed, kvar", 1),
    "served_kvar": c.maybe_number("reactive load that is served, kvar", "served, kvar", 1),
}
FLOWS: c.Table = {
    "period": _PERIOD,
    "case": _CASE,
    "name": c.text("name of the branch", "branch"),
    "closed": c.flag("whether it is closed", "closed"),
    "p_from_kw": c.maybe_number("active power into it at its from end, kW", "P, kW", 1),
    "q_from_kvar": c.maybe_number("reactive power into it at its from end, kvar", "Q, kvar", 1),
    "i_a": c.maybe_number("current, A", "current, A", 1),
    "loading_percent": c.maybe_number("current, percent of its rating", "loading, %", 1),
    "loss_kw": c.maybe_number("active power that it takes, kW", "loss, kW", 2),
}
SWITCHES: c.Table = {
    "period": _PERIOD,
    **ENDS,
    "action": c.text("what to do at its start", "action", options=["close", "open"]),
}
DEVICES: c.Table = {
    "period": _PERIOD,
    "kind": c.text("what kind of device", "device", options=DEVICE_KINDS),
    "name": c.text("its name", "name"),
    "position": c.number("where it stands: steps, tap position, voltage in pu, or on (1) and off (0)", "position", 4),
}
UNCERTAINTY: c.Table = {
    "period": _PERIOD,
    "quantity": c.text("what is uncertain", "quantity"),
    "group": c.text("its group", "group", options=["load", "solar", "wind"]),
    "low": c.number("least that it may be, a share of its forecast", "at least", 3),
    "high": c.number("most that it may be, a share of its forecast", "at most", 3),
    "worst": c.maybe_number("what it is in the worst realisation, a share of its forecast", "at worst", 3),
    "deviates": c.flag("whether it deviates in the worst realisation", "deviates"),
}
FUTURES: c.Table = {
    "future": c.text("name of the future", "future"),
    "probability": c.maybe_number("its probability; null where it is not known", "probability", 4),
    "weight": c.maybe_number("probability that counts for the answer under the risk; null: no answer", "weight", 4),
    "cost_usd": c.maybe_number("cost of the day, $", "cost, $", 2),
    "purchased_kwh": c.maybe_number("energy bought from the sources, kWh", "bought, kWh", 1),
    "loss_kwh": c.maybe_number("energy lost, kWh", "lost, kWh", 1),
    "curtailed_kwh": c.maybe_number("renewable energy not taken, kWh", "curtailed, kWh", 1),
    "shed_kwh": c.maybe_number("energy of load shed, kWh", "shed, kWh", 1),
    "v_min_pu": c.maybe_number("lowest voltage of the day, pu", "lowest, pu", 4),
    "v_max_pu": c.maybe_number("highest voltage of the day, pu", "highest, pu", 4),
    "violations": c.whole("limits broken, counted by period", "limits broken"),
}
VOLTAGES: c.Table = {
    "period": _PERIOD,
    "bus": c.text("name of the bus", "bus"),
    "v_min_pu": c.maybe_number("lower limit, pu"),
    "v_max_pu": c.maybe_number("upper limit, pu"),
    **{f"v_{case}_pu": c.maybe_number(f"voltage, pu, case {case}", f"{case}, pu", 5) for case in CASES},
}
BRANCHES: c.Table = {
    **ENDS,
    "switchable": c.flag("may be opened or closed by a decision"),
    "closed_today": c.flag("closed today", "today"),
    "closed_hours": c.maybe_number("hours of the day in which the answer has it closed", "closed, h", 1),
    "operations": c.whole("how often it is switched", "switched"),
    **c.LIMITS_OF_CURRENT,
    **{f"i_{case}_a": c.maybe_number(f"highest current of the day, A, case {case}", f"{case}, A", 1) for case in CASES},
    **{f"loss_{case}_kwh": c.maybe_number(f"energy lost, kWh, case {case}", f"{case}, kWh", 2) for case in CASES},
}
SAMPLES: c.Table = {
    "plan": c.text(
        "today: nothing is scheduled; as forecast: the plan that is best if all comes as forecast; answer: the plan",
        "plan",
    ),
    "objective_usd": c.maybe_number("cost at which it was planned, by its own set or risk, $", "planned at, $", 2),
    "worst_usd": c.maybe_number(
        "cost in the worst realisation of the set asked about, $; null: there is none, or limits are broken in it",
        "worst of the set, $",
        2,
    ),
    "days": c.whole("days drawn", "days"),
    "mean_usd": c.maybe_number("mean cost of those with a power flow, $", "mean, $", 2),
    "p95_usd": c.maybe_number("cost that 95 of 100 do not exceed, $", "95th percentile, $", 2),
    "tail_usd": c.maybe_number("mean cost of the dearest twentieth, $", "mean of the worst 5 %, $", 2),
    "max_usd": c.maybe_number("highest cost, $", "highest, $", 2),
    "shed_days": c.whole("days on which load is shed", "with shedding"),
    "shed_kwh": c.maybe_number("load shed on a mean day, kWh", "shed, kWh", 2),
    "curtailed_kwh": c.maybe_number("renewable energy not taken on a mean day, kWh", "curtailed, kWh", 2),
    "outside_days": c.whole("days on which some limit is not kept", "outside limits"),
}
PROOFS: c.Table = {
    "period": _PERIOD,
    "part": c.text("part of its set: what the quantities are, as shares of their forecasts", "for every"),
    "proved": c.flag("whether all limits hold for every realisation of the part, in exact AC", "proved"),
    "why": c.text("what is missing; empty where it is proved", "what is missing"),
    "v_low_pu": c.maybe_number("no realisation has a lower voltage, pu", "voltage at least, pu", 5),
    "v_high_pu": c.maybe_number("no realisation has a higher voltage, pu", "voltage at most, pu", 5),
    "source_low_kw": c.maybe_number("no realisation takes less from the sources, kW", "sources at least, kW", 1),
    "source_high_kw": c.maybe_number("no realisation takes more from the sources, kW", "sources at most, kW", 1),
    "cost_high_usd": c.maybe_number(
        "no realisation costs more in this period with the policy, without what was decided beforehand, $; null: "
        "losses have a price, or a price is negative",
        "costs at most, $",
        2,
    ),
}
POLICY: c.Table = {
    "period": _PERIOD,
    "part": c.text("part of its set", "for every"),
    "name": c.text("renewable source, or load that is shed", "what"),
    "quantity": c.text("by which it is multiplied: its deviation from the middle, 1 at its end; empty: as it is"),
    "p_kw": c.number("active power beyond what is available, or load shed, kW", "P, kW", 2),
    "q_kvar": c.number("reactive power fed in, or shed by itself, kvar", "Q, kvar", 2),
}
_MEASURED = {name: str(column.metadata["doc"]) for name, column in MeasuredState.columns().items()}
STATES: c.Table = {
    "period": c.text("period at whose start it is so", "period"),
    **{name: c.text(_MEASURED[name], name) for name in ("kind", "name")},
    **{name: c.maybe_number(_MEASURED[name]) for name in ("energy_kwh", "p_kw", "q_kvar")},
    **{name: c.maybe_flag(_MEASURED[name]) for name in ("on", "closed")},
    "operations": c.maybe_whole(_MEASURED["operations"]),
    **{name: c.maybe_number(_MEASURED[name]) for name in ("position", "moved_kwh", "deviated_hours")},
}
"""The state that a plan reaches, as `--state` takes it."""
ITERATIONS = iteration_columns(
    "usd",
    "$",
    value="exact worst cost of the plan tried, $; null where it breaks limits",
    violation="least violation of the plan tried; 0 where limits hold",
    heading="violation",
)
