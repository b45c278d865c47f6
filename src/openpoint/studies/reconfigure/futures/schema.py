"""The shape of the JSON that `openpoint reconfigure` writes where futures are given."""

from __future__ import annotations

from openpoint.results.schema import (
    SWITCHED,
    Schema,
    flag,
    listing,
    maybe,
    names,
    number,
    text,
    value,
    whole,
)
from openpoint.studies.reconfigure.futures.result import TOPOLOGIES
from openpoint.twostage.log import Termination

_WORDS = {"before": "today's topology", "mean": "that of the mean future", "after": "the answer"}


def _each(
    name: str, unit: str, doc: str, *, of: tuple[str, ...] = TOPOLOGIES, kind: str = "number"
) -> dict[str, Schema]:
    """The columns of one quantity for some topologies."""
    ending = unit and f"_{unit}"
    return {f"{name}_{which}{ending}": maybe(kind, f"{doc}, {_WORDS[which]}") for which in of}


_TWO = ("before", "after")
_SAMPLE: dict[str, Schema] = {
    "future": text("name of the future"),
    "probability": maybe("number", "null where nobody knows it"),
    "demand_kw": number("net active demand of all buses of constant power, kW"),
}
_STATES: dict[str, Schema] = {
    column: shape
    for which in TOPOLOGIES
    for column, shape in {
        **_each("loss", "kw", "exact AC loss, kW; null without a power flow solution", of=(which,)),
        **_each("v_min", "pu", "lowest voltage of a bus that is no source, pu", of=(which,)),
        **_each("v_max", "pu", "highest voltage of a bus that is no source, pu", of=(which,)),
        **_each("loading", "percent", "highest current in percent of its limit", of=(which,)),
        **_each("violations", "", "number of limits that do not hold", of=(which,), kind="integer"),
    }.items()
}

FUTURES_TABLES: dict[str, dict[str, Schema]] = {
    "plans": {
        "set": value("string", "futures planned for, or those of the sample", enum=["planned", "sample"]),
        "topology": value("string", "; ".join(f"{k}: {v}" for k, v in _WORDS.items()), enum=list(TOPOLOGIES)),
        "loss_expected_kw": maybe(
            "number", "mean loss by the probabilities, or by equal ones where they are unknown, kW"
        ),
        "loss_cvar90_kw": maybe("number", "mean loss of the worst tenth of the futures, kW"),
        "loss_worst_kw": maybe("number", "largest loss of any future, kW"),
        "worst_future": text("where that is"),
        "risk_kw": maybe("number", "the risk asked for, of these losses, kW; null where it cannot be told"),
        "limits_kept_share": number("share of the futures in which all limits hold"),
        "unsolved": whole("futures without a power flow solution"),
        "v_lowest_pu": maybe("number", "lowest voltage in any future, pu"),
        "v_highest_pu": maybe("number", "highest voltage in any future, pu"),
        "loading_highest_percent": maybe("number", "highest current in any future in percent of its limit"),
    },
    "futures": {
        "future": _SAMPLE["future"],
        "probability": _SAMPLE["probability"],
        "weight": maybe("number", "probability that counts for the answer under the risk; null where it is not told"),
        "demand_kw": _SAMPLE["demand_kw"],
        **_STATES,
    },
    "sample": {**_SAMPLE, **_STATES},
    "buses": {
        "name": text("name of the bus"),
        "vn_kv": number("nominal voltage, line to line, kV"),
        "v_min_pu": maybe("number", "lower voltage limit, pu"),
        "v_max_pu": maybe("number", "upper voltage limit, pu"),
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
        "kind": value("string", "table of the branch", enum=["lines", "switches", "transformers"]),
        "name": text("name of the branch"),
        "from_bus": text("bus at one end"),
        "to_bus": text("bus at the other end"),
        "switchable": flag("may be opened or closed by a decision"),
        "closed_before": flag("closed today"),
        "closed_mean": maybe("boolean", "closed in the topology of the mean future"),
        "closed_after": maybe("boolean", "closed in the answer"),
        "i_max_a": maybe("number", "current limit, A"),
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
        "future": text("name of the future"),
        "kind": value("string", "what is broken", enum=["voltage low", "voltage high", "current"]),
        "name": text("bus or branch"),
        "value": number("what the AC power flow gives"),
        "limit": number("what is allowed"),
        "unit": value("string", "of value and limit", enum=["pu", "A"]),
    },
}

FUTURES: dict[str, Schema] = {
    "study": {"const": "futures", "description": "what was asked: one topology for many futures"},
    "version": text("version of openpoint"),
    "grid": text("name of the grid"),
    "method": text("name and options of the method"),
    "termination": value("string", "why the run ended", enum=[t.value for t in Termination]),
    "remedy": text("what to do about it"),
    "seconds": number("of the method for the answer, without imports, reading and comparison"),
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
