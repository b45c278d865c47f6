"""The shape of what `openpoint powerflow` writes."""

from __future__ import annotations

from openpoint.results import columns as c
from openpoint.results.common import BRANCH, BUS, with_phase
from openpoint.results.schema import Schema, listing, names, number, text, value
from openpoint.results.shape import Shape
from openpoint.results.violation import VIOLATION, VIOLATIONS

_TABLES: dict[str, c.Table] = {
    "buses": {
        **with_phase(BUS),
        "v_pu": c.maybe_number("voltage to neutral, pu of the nominal phase voltage", "voltage, pu", 5),
        "angle_degree": c.maybe_number("voltage angle, degree", "angle, °", 4),
    },
    "branches": {
        **with_phase(BRANCH),
        "closed": c.flag("closed today", "state"),
        **c.LIMITS_OF_CURRENT,
        "i_a": c.maybe_number(
            "current at the end nearer to its limit, of a transformer referred to its to side, A", "current, A", 2
        ),
        "i_from_a": c.maybe_number("current at the from end, A; balanced grids only", "current from, A", 2),
        "i_to_a": c.maybe_number("current at the to end, A; balanced grids only", "current to, A", 2),
        "loading_percent": c.maybe_number("current in percent of the rating", "loading, %", 1),
        "p_from_kw": c.maybe_number("active power into the branch at its from end, kW", "P, kW", 2),
        "q_from_kvar": c.maybe_number("reactive power into the branch at its from end, kvar", "Q, kvar", 2),
        "loss_kw": c.maybe_number(
            "active power in at both ends, kW; add it up over the phases of a branch, which couple", "loss, kW", 3
        ),
    },
    "sources": {
        "name": c.text("name of the source", "source"),
        "bus": c.text("its bus"),
        "p_kw": c.number("active power delivered by all phases, kW", "P, kW", 2),
        "q_kvar": c.number("reactive power delivered by all phases, kvar", "Q, kvar", 2),
    },
    "generators": {
        "name": c.text("name of the generator"),
        "bus": c.text("its bus"),
        "p_kw": c.number("active power, kW"),
        "q_kvar": c.number("reactive power, kvar"),
        "v_pu": c.maybe_number("voltage to be held, pu; null: none"),
        "holds": c.maybe_flag("whether it is held; else a limit of reactive power came first"),
    },
    "violations": VIOLATIONS,
}

_KEYS: dict[str, Schema] = {
    "loss_kw": number("active power lost in all branches, kW"),
    "v_min_pu": number("lowest voltage, pu"),
    "v_min_bus": text("its bus"),
    "v_min_phase": value("string", "its phase", enum=["1", "a", "b", "c"]),
    "v_max_pu": number("highest voltage, pu"),
    "v_max_bus": text("its bus"),
    "v_max_phase": value("string", "its phase", enum=["1", "a", "b", "c"]),
    "ac_max_mismatch_pu": number("largest power mismatch at any bus and phase, pu"),
    "violations": listing(VIOLATION, "limits that the state breaks"),
    "notes": names("what changes the meaning of the figures"),
}

POWERFLOW = Shape("powerflow", "powerflow", "Result of openpoint powerflow", _KEYS, _TABLES, beside=("violations",))
