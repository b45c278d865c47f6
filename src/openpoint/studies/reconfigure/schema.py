"""The shape of what `openpoint reconfigure` writes."""

from __future__ import annotations

from openpoint.results import columns as c
from openpoint.results.common import BRANCH_BEFORE_AFTER, BUS_BEFORE_AFTER, both, run_keys
from openpoint.results.iterations import iteration_columns
from openpoint.results.schema import Schema, flag, listing, maybe, names, number, record, value
from openpoint.results.shape import Shape
from openpoint.results.switch_plan import PLAN, STEPS
from openpoint.results.switched import SWITCHED, SWITCHING_LIST
from openpoint.results.violation import PHASE, VIOLATION, VIOLATIONS
from openpoint.results.worth import WORTH_KEYS

_RELAXED = {
    "kind": value("string", "what is relaxed", enum=["voltage low", "voltage high", "current"]),
    "name": maybe("string", "branch; null for a limit of voltage, which is relaxed alike at all buses"),
    "phase": maybe("string", "phase of the branch"),
    "percent": number("by how much of the limit"),
}
_SOFT = record(
    {
        "proven": flag("whether no radial state does with less"),
        "least_percent": number("proven: no radial state keeps all limits relaxed alike by less"),
        "relaxed": listing(record(_RELAXED), "the limits that had to give way; all others are kept"),
    }
) | {
    "type": ["object", "null"],
    "description": "how limits were relaxed where nothing keeps them all; null: not asked for, or kept",
}


GENERATORS: c.Table = {
    "name": c.text("name of the generator", "generator"),
    "bus": c.text("its bus"),
    "p_kw": c.maybe_number("active power in the answer, kW", "P, kW", 2),
    "q_kvar": c.maybe_number("reactive power in the answer, kvar", "Q, kvar", 2),
}
ITERATIONS = iteration_columns(
    "kw",
    "kW",
    value="exact objective of the topology tried, kW; null where it breaks limits",
    violation="least violation of the topology tried; 0 where limits hold",
    heading="violation",
)
SWITCH_GROUPS: c.Table = {
    "group": c.whole("number of the group of switchings", "group"),
    "to_close": c.names("branches to close", "close"),
    "to_open": c.names("branches to open", "open"),
    "operations": c.whole("switch operations of the group", "operations"),
    "saving_kw": c.number("loss that the group saves after those before it, kW", "saves, kW", 3),
    "saving_per_operation_kw": c.number("the same per switch operation, kW", "per operation, kW", 3),
    "loss_kw": c.number("exact AC loss after the group, kW", "loss after it, kW", 3),
}
_TABLES: dict[str, c.Table] = {
    "buses": BUS_BEFORE_AFTER,
    "branches": BRANCH_BEFORE_AFTER,
    "switching_list": SWITCHING_LIST,
    "switch_groups": SWITCH_GROUPS,
    "phases": {
        "phase": PHASE,
        **both("v_min", "pu", "lowest voltage of the phase, pu", "lowest {}, pu", 5),
        **both("v_max", "pu", "highest voltage of the phase, pu", "highest {}, pu", 5),
    },
    "generators": GENERATORS,
    "iterations": ITERATIONS,
    "violations": VIOLATIONS,
    "switch_plan": STEPS,
}

_KEYS: dict[str, Schema] = {
    **run_keys("of the method alone, without imports and reading"),
    "loss_before_kw": maybe("number", "exact AC loss today; null where today's state is not radial or has no solution"),
    "loss_kw": maybe("number", "exact AC loss of the answer; null where there is none"),
    **WORTH_KEYS,
    "objective_kw": maybe("number", "loss plus the cost of the changes: what the bounds enclose"),
    "lower_bound_kw": maybe("number", "proven bound of objective_kw"),
    "gap": maybe("number", "(objective − bound) / objective; 0.0001 is 0.01 %"),
    "open_before": names("branches open today"),
    "open_branches": names("branches open in the answer"),
    "changes": listing(
        SWITCHED,
        "the switching list: what to close and then to open to get from today's state to the answer",
    ),
    "switch_groups": c.rows_schema("switch_groups", SWITCH_GROUPS),
    "v_min_pu": maybe("number", "lowest voltage of the answer, pu"),
    "v_min_bus": maybe("string", "its bus"),
    "v_min_phase": maybe("string", "its phase"),
    "v_min_before_pu": maybe("number", "lowest voltage today, pu"),
    "v_min_before_bus": maybe("string", "its bus"),
    "v_min_before_phase": maybe("string", "its phase"),
    "ac_max_mismatch_pu": maybe("number", "largest power mismatch of the AC solution at any bus, pu"),
    "violations": listing(VIOLATION, "limits that the AC solution of the answer breaks"),
    "least_violation": listing(VIOLATION, "where infeasible: limits that break at the least violation met"),
    "least_violation_open": names("where infeasible: the branches open at the least violation met"),
    "soft_limits": _SOFT,
    "plan": PLAN,
    "notes": names("warnings that belong to the answer"),
}

RECONFIGURE = Shape(
    "reconfigure",
    "reconfigure",
    "Result of openpoint reconfigure",
    _KEYS,
    _TABLES,
    beside=("violations", "switching_list", "switch_groups"),
)
