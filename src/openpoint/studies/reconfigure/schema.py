"""The shape of what `openpoint reconfigure` writes."""

from __future__ import annotations

from openpoint.results import columns as c
from openpoint.results.common import BRANCH, BUS, run_keys, with_phase
from openpoint.results.iterations import iteration_columns
from openpoint.results.schema import Schema, flag, listing, maybe, names, number, record, value
from openpoint.results.shape import Shape
from openpoint.results.switched import SWITCHED, SWITCHING_LIST
from openpoint.results.violation import PHASE, VIOLATION, VIOLATIONS

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


def _both(name: str, unit: str, doc: str, heading: str, digits: int) -> c.Table:
    """The columns of one quantity today and in the answer; `{}` in the heading is which."""
    return {
        f"{name}_{when}_{unit}": c.maybe_number(f"{doc}, {word}", heading.format(short), digits)
        for when, word, short in (("before", "today", "today"), ("after", "in the answer", "answer"))
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
_TABLES: dict[str, c.Table] = {
    "buses": {
        **with_phase(BUS),
        **_both("v", "pu", "voltage to neutral, pu of the nominal phase voltage", "{}, pu", 5),
        **_both("angle", "degree", "voltage angle, degree", "angle {}, °", 4),
    },
    "branches": {
        **with_phase(BRANCH),
        "closed_before": c.flag("closed today", "state today"),
        "closed_after": c.maybe_flag("closed in the answer", "state after"),
        "i_max_a": c.maybe_number("current limit, A", "limit, A", 1),
        **_both("i", "a", "current, A", "{}, A", 2),
        **_both("loading", "percent", "current in percent of the limit", "{}, %", 1),
        **_both("p_from", "kw", "active power into the branch at its from end, kW", "P {}, kW", 2),
        **_both("q_from", "kvar", "reactive power into the branch at its from end, kvar", "Q {}, kvar", 2),
        **_both(
            "loss",
            "kw",
            "active power in at both ends, kW; add it up over the phases of a branch, which couple",
            "loss {}, kW",
            3,
        ),
    },
    "switching_list": SWITCHING_LIST,
    "phases": {
        "phase": PHASE,
        **_both("v_min", "pu", "lowest voltage of the phase, pu", "lowest {}, pu", 5),
        **_both("v_max", "pu", "highest voltage of the phase, pu", "highest {}, pu", 5),
    },
    "generators": GENERATORS,
    "iterations": ITERATIONS,
    "violations": VIOLATIONS,
}

_KEYS: dict[str, Schema] = {
    **run_keys("of the method alone, without imports and reading"),
    "loss_before_kw": maybe("number", "exact AC loss today; null where today's state is not radial or has no solution"),
    "loss_kw": maybe("number", "exact AC loss of the answer; null where there is none"),
    "objective_kw": maybe("number", "loss plus the cost of the changes: what the bounds enclose"),
    "lower_bound_kw": maybe("number", "proven bound, of objective_kw or in the linear model of linear_kw"),
    "gap": maybe("number", "(objective − bound) / objective, of what the bound is of; 0.0001 is 0.01 %"),
    "bound_of": value("string", "what the bound holds for", enum=["AC power flow", "linear model"]),
    "linear_kw": maybe(
        "number", "least objective found in the linear model; null where the bound is of the AC power flow"
    ),
    "open_before": names("branches open today"),
    "open_branches": names("branches open in the answer"),
    "changes": listing(
        SWITCHED,
        "the switching list: what to close and then to open to get from today's state to the answer",
    ),
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
    "notes": names("warnings that belong to the answer"),
}

RECONFIGURE = Shape(
    "reconfigure",
    "result",
    "Result of openpoint reconfigure",
    _KEYS,
    _TABLES,
    beside=("violations", "switching_list"),
)
