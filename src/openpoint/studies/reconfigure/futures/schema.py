"""The shape of what `openpoint reconfigure` writes where futures are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from openpoint.columns import TableColumn
from openpoint.results import columns as c
from openpoint.results.common import BRANCH, BUS, run_keys
from openpoint.results.schema import Schema, listing, maybe, names, number, text, whole
from openpoint.results.shape import Shape
from openpoint.results.switched import SWITCHED, SWITCHING_LIST
from openpoint.results.violation import VIOLATIONS, without_phase
from openpoint.studies.reconfigure.schema import ITERATIONS

TOPOLOGIES = ("before", "mean", "after")
"""Today's topology, the one that is best for the mean future alone, and the answer."""
_WORDS = {"before": "today's topology", "mean": "that of the mean future", "after": "the answer"}
_SHORT = {"before": "today", "mean": "mean future's", "after": "answer"}


Quantity = tuple[Callable[[str, str, int], TableColumn], str, str, int]
"""Kind of column, sentence, heading and digits; `{}` in the heading is the topology."""


def _each(topologies: tuple[str, ...], quantities: Mapping[str, Quantity]) -> c.Table:
    """The columns of some quantities for some topologies, by names in which `{}` is the topology."""
    return {
        name.format(which): column(f"{doc}, {_WORDS[which]}", heading.format(_SHORT[which]), digits)
        for which in topologies
        for name, (column, doc, heading, digits) in quantities.items()
    }


_TWO = ("before", "after")
_SAMPLE: c.Table = {
    "future": c.text("name of the future"),
    "probability": c.maybe_number("null where nobody knows it", "probability", 5),
    "demand_kw": c.number("net active demand of all buses of constant power, kW", "demand, kW", 1),
}
_STATES = _each(
    TOPOLOGIES,
    {
        "loss_{}_kw": (c.maybe_number, "exact AC loss, kW; null without a power flow solution", "loss {}, kW", 2),
        "v_min_{}_pu": (c.maybe_number, "lowest voltage of a bus that is no source, pu", "lowest {}, pu", 4),
        "v_max_{}_pu": (c.maybe_number, "highest voltage of a bus that is no source, pu", "highest {}, pu", 4),
        "loading_{}_percent": (c.maybe_number, "highest current in percent of its rating", "", 0),
        "violations_{}": (c.maybe_whole, "number of limits that do not hold", "limits broken {}", 0),
    },
)
_BUSES = _each(
    _TWO,
    {
        "v_lowest_{}_pu": (c.maybe_number, "lowest voltage in any future, pu", "lowest {}, pu", 5),
        "v_highest_{}_pu": (c.maybe_number, "highest voltage in any future, pu", "highest {}, pu", 5),
    },
)
_BRANCHES = _each(
    _TWO,
    {
        "i_highest_{}_a": (c.maybe_number, "highest current in any future, A", "highest current {}, A", 2),
        "loading_highest_{}_percent": (c.maybe_number, "the same in percent of the rating", "highest loading {}, %", 1),
        "loss_expected_{}_kw": (c.maybe_number, "mean active power lost, kW", "mean loss {}, kW", 3),
    },
)

_TABLES: dict[str, c.Table] = {
    "switching_list": SWITCHING_LIST,
    "plans": {
        "set": c.text("futures planned for, or those of the sample", options=["planned", "sample"]),
        "topology": c.text("; ".join(f"{k}: {v}" for k, v in _WORDS.items()), options=list(TOPOLOGIES)),
        "loss_expected_kw": c.maybe_number(
            "mean loss by the probabilities, or by equal ones where they are unknown, kW", "mean loss", 2
        ),
        "loss_cvar90_kw": c.maybe_number("mean loss of the worst tenth of the futures, kW", "worst 10 %", 2),
        "loss_worst_kw": c.maybe_number("largest loss of any future, kW", "worst", 2),
        "worst_future": c.text("where that is"),
        "risk_kw": c.maybe_number("the risk asked for, of these losses, kW; null where it is not defined"),
        "limits_kept_share": c.number("share of the futures in which all limits hold", "limits hold in", 3),
        "unsolved": c.whole("futures without a power flow solution"),
        "v_lowest_pu": c.maybe_number("lowest voltage in any future, pu", "lowest voltage", 4),
        "v_highest_pu": c.maybe_number("highest voltage in any future, pu", "highest", 4),
        "loading_highest_percent": c.maybe_number(
            "highest current in any future in percent of its rating", "loading, %", 1
        ),
    },
    "futures": {
        "future": _SAMPLE["future"],
        "probability": _SAMPLE["probability"],
        "weight": c.maybe_number(
            "probability that counts for the answer under the risk; null where there is none", "weight", 5
        ),
        "demand_kw": _SAMPLE["demand_kw"],
        **_STATES,
    },
    "sample": {**_SAMPLE, **_STATES},
    "buses": {**BUS, **_BUSES},
    "branches": {
        **BRANCH,
        "closed_before": c.flag("closed today"),
        "closed_mean": c.maybe_flag("closed in the topology of the mean future"),
        "closed_after": c.maybe_flag("closed in the answer"),
        **c.LIMITS_OF_CURRENT,
        **_BRANCHES,
    },
    "violations": {
        "future": _SAMPLE["future"],
        **without_phase(VIOLATIONS),
    },
    "iterations": ITERATIONS,
}

_KEYS: dict[str, Schema] = {
    **run_keys("of the method for the answer, without imports, reading and comparison"),
    "futures_count": whole("number of futures planned for"),
    "sample_count": whole("number of other futures in which the answer is evaluated"),
    "risk": text("how the losses of the futures become one number"),
    "ambiguity": maybe("string", "how the probabilities may be wrong; null where they are taken as they are"),
    "limits_share": number("share of the futures in which the limits had to be kept"),
    "objective_kw": maybe("number", "risk of the losses plus the cost of the changes; null where there is no answer"),
    "lower_bound_kw": maybe("number", "proven bound of objective_kw"),
    "gap": maybe("number", "(objective − bound) / objective; 0.0001 is 0.01 %"),
    "open_before": names("branches open today"),
    "open_mean": names("branches open in the topology that is best for the mean future alone"),
    "open_branches": names("branches open in the answer"),
    "changes": listing(
        SWITCHED,
        "what to close and then to open to get from today's state to the answer",
    ),
    "ac_max_mismatch_pu": maybe(
        "number", "largest power mismatch of the answer in any future, by a check of its own, pu"
    ),
    "least_violation_open": names("where infeasible: the branches open at the least violation met"),
    "notes": names("warnings that belong to the answer"),
}

FUTURES = Shape(
    "reconfigure-futures",
    "reconfigure-futures",
    "Result of openpoint reconfigure-futures",
    _KEYS,
    _TABLES,
    beside=("switching_list",),
    asked="what was asked: one topology for many futures",
)
