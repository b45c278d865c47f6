"""The shape of what `openpoint reconfigure` writes where futures are given."""

from __future__ import annotations

from collections.abc import Callable

import dataframely as dy

from openpoint.results import columns as c
from openpoint.results.common import BRANCH, BUS, run_keys
from openpoint.results.schema import Schema, listing, maybe, names, number, text, whole
from openpoint.results.shape import Shape
from openpoint.results.switched import SWITCHED, SWITCHING_LIST
from openpoint.studies.reconfigure.schema import ITERATIONS

TOPOLOGIES = ("before", "mean", "after")
"""Today's topology, the one that is best for the mean future alone, and the answer."""
_WORDS = {"before": "today's topology", "mean": "that of the mean future", "after": "the answer"}


def _each(
    name: str,
    unit: str,
    doc: str,
    *,
    of: tuple[str, ...] = TOPOLOGIES,
    column: Callable[[str], dy.Column] = c.maybe_number,
) -> c.Table:
    """The columns of one quantity for some topologies."""
    ending = unit and f"_{unit}"
    return {f"{name}_{which}{ending}": column(f"{doc}, {_WORDS[which]}") for which in of}


_TWO = ("before", "after")
_SAMPLE: c.Table = {
    "future": c.text("name of the future"),
    "probability": c.maybe_number("null where nobody knows it"),
    "demand_kw": c.number("net active demand of all buses of constant power, kW"),
}
_STATES: c.Table = {
    column: shape
    for which in TOPOLOGIES
    for column, shape in {
        **_each("loss", "kw", "exact AC loss, kW; null without a power flow solution", of=(which,)),
        **_each("v_min", "pu", "lowest voltage of a bus that is no source, pu", of=(which,)),
        **_each("v_max", "pu", "highest voltage of a bus that is no source, pu", of=(which,)),
        **_each("loading", "percent", "highest current in percent of its limit", of=(which,)),
        **_each("violations", "", "number of limits that do not hold", of=(which,), column=c.maybe_whole),
    }.items()
}

_TABLES: dict[str, c.Table] = {
    "switching_list": SWITCHING_LIST,
    "plans": {
        "set": c.text("futures planned for, or those of the sample", options=["planned", "sample"]),
        "topology": c.text("; ".join(f"{k}: {v}" for k, v in _WORDS.items()), options=list(TOPOLOGIES)),
        "loss_expected_kw": c.maybe_number(
            "mean loss by the probabilities, or by equal ones where they are unknown, kW"
        ),
        "loss_cvar90_kw": c.maybe_number("mean loss of the worst tenth of the futures, kW"),
        "loss_worst_kw": c.maybe_number("largest loss of any future, kW"),
        "worst_future": c.text("where that is"),
        "risk_kw": c.maybe_number("the risk asked for, of these losses, kW; null where it cannot be told"),
        "limits_kept_share": c.number("share of the futures in which all limits hold"),
        "unsolved": c.whole("futures without a power flow solution"),
        "v_lowest_pu": c.maybe_number("lowest voltage in any future, pu"),
        "v_highest_pu": c.maybe_number("highest voltage in any future, pu"),
        "loading_highest_percent": c.maybe_number("highest current in any future in percent of its limit"),
    },
    "futures": {
        "future": _SAMPLE["future"],
        "probability": _SAMPLE["probability"],
        "weight": c.maybe_number("probability that counts for the answer under the risk; null where it is not told"),
        "demand_kw": _SAMPLE["demand_kw"],
        **_STATES,
    },
    "sample": {**_SAMPLE, **_STATES},
    "buses": {
        **BUS,
        **{
            column: shape
            for which in _TWO
            for column, shape in {
                **_each("v_lowest", "pu", "lowest voltage in any future, pu", of=(which,)),
                **_each("v_highest", "pu", "highest voltage in any future, pu", of=(which,)),
            }.items()
        },
    },
    "branches": {
        **BRANCH,
        "closed_before": c.flag("closed today"),
        "closed_mean": c.maybe_flag("closed in the topology of the mean future"),
        "closed_after": c.maybe_flag("closed in the answer"),
        "i_max_a": c.maybe_number("current limit, A"),
        **{
            column: shape
            for which in _TWO
            for column, shape in {
                **_each("i_highest", "a", "highest current in any future, A", of=(which,)),
                **_each("loading_highest", "percent", "the same in percent of the limit", of=(which,)),
                **_each("loss_expected", "kw", "mean active power lost, kW", of=(which,)),
            }.items()
        },
    },
    "violations": {
        "future": c.text("name of the future"),
        "kind": c.text("what is broken", options=["voltage low", "voltage high", "current"]),
        "name": c.text("bus or branch"),
        "value": c.number("what the AC power flow gives"),
        "limit": c.number("what is allowed"),
        "unit": c.text("of value and limit", options=["pu", "A"]),
    },
    "iterations": ITERATIONS,
}

_KEYS: dict[str, Schema] = {
    **run_keys("of the method for the answer, without imports, reading and comparison"),
    "futures_count": whole("number of futures planned for"),
    "sample_count": whole("number of other futures by which the answer is judged"),
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
    "futures",
    "futures",
    "Result of openpoint reconfigure for many futures",
    _KEYS,
    _TABLES,
    beside=("switching_list",),
    asked="what was asked: one topology for many futures",
)
