"""The shape of what `openpoint enclose` writes."""

from __future__ import annotations

from openpoint.results import columns as c
from openpoint.results.common import BRANCH, BUS, with_phase
from openpoint.results.schema import Schema, maybe, names, number, text, value, whole
from openpoint.results.shape import Shape

VERDICTS = ("proved", "disproved", "open")


def _bounds(name: str, unit: str, what: str, digits: int) -> c.Table:
    """The columns of one quantity: in the middle, its bounds, and what exact flows attain."""
    words = {
        "": f"{what}, at the loads as they are",
        "_low": f"{what}: no realisation has less",
        "_high": f"{what}: no realisation has more",
        "_least": f"{what}: the least that an exact flow of a realisation was seen to have",
        "_greatest": f"{what}: the greatest that an exact flow of a realisation was seen to have",
    }
    titles = {"": "as it is", "_low": "at least", "_high": "at most", "_least": "", "_greatest": ""}
    return {
        f"{name}{end}_{unit}": c.number(doc, f"{titles[end]}, {unit}" if titles[end] else "", digits)
        for end, doc in words.items()
    }


_EXACT = c.flag("whether the bounds are attained, as the signs of all slopes are proven")
_KEPT = c.text("whether its limits hold for every realisation: `open` where neither is known", options=VERDICTS)
_TABLES: dict[str, c.Table] = {
    "buses": {
        **with_phase(BUS),
        **_bounds("v", "pu", "voltage to neutral, pu of the nominal phase voltage", 5),
        "exact": _EXACT,
        "limits": _KEPT,
    },
    "branches": {
        **with_phase(BRANCH),
        "closed": c.flag("closed today", "state"),
        "i_max_a": c.maybe_number("current limit, A", "limit, A", 1),
        **_bounds("i", "a", "current at the end nearer to its limit, of a transformer referred to its to side, A", 2),
        "exact": _EXACT,
        "limits": _KEPT,
    },
    "sources": {
        "name": c.text("name of the source", "source"),
        "bus": c.text("its bus"),
        **_bounds("p", "kw", "active power delivered by all phases, kW", 2),
        **_bounds("q", "kvar", "reactive power delivered by all phases, kvar", 2),
    },
}

_KEYS: dict[str, Schema] = {
    "for_every": text("what deviates, and by which share of its power"),
    "budget": maybe("number", "how many deviate fully at once, at most; null: any number"),
    "deviations": whole("loads and generators that deviate, each by itself"),
    "limits": value("string", "whether all limits hold for every realisation", enum=list(VERDICTS)),
    "loss_kw": number("active power lost in all branches at the loads as they are, kW"),
    "loss_low_kw": number("no realisation loses less, kW"),
    "loss_high_kw": number("no realisation loses more, kW"),
    "v_low_pu": number("no voltage of any realisation is lower, pu"),
    "v_low_bus": text("where it is lowest"),
    "v_low_phase": value("string", "its phase", enum=["1", "a", "b", "c"]),
    "v_high_pu": number("no voltage of any realisation is higher, pu"),
    "v_high_bus": text("where it is highest"),
    "v_high_phase": value("string", "its phase", enum=["1", "a", "b", "c"]),
    "v_wider_percent": maybe("number", "most by which the bounds of a voltage are wider than its true range, %"),
    "exact_percent": number("share of voltages and currents whose bounds are attained, %"),
    "deviation": number("no voltage at a load deviates more from that at the loads as they are, relative to it"),
    "contraction": number("factor below 1 of the contraction that proves that the flows are unique"),
    "notes": names("what changes the meaning of the figures"),
}

ENCLOSE = Shape("enclose", "enclose", "Result of openpoint enclose", _KEYS, _TABLES)
