"""The result of reconfiguring for many futures: one topology, evaluated in every future."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from openpoint.columns import TableColumn
from openpoint.names import join_names
from openpoint.results import columns as c
from openpoint.results.base import in_kw
from openpoint.results.common import BRANCH, BUS
from openpoint.results.shape import figure, table
from openpoint.results.switched import LossResult
from openpoint.results.violation import VIOLATIONS
from openpoint.studies.reconfigure.result import ITERATIONS

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
_OF_BUSES = _each(
    _TWO,
    {
        "v_lowest_{}_pu": (c.maybe_number, "lowest voltage in any future, pu", "lowest {}, pu", 5),
        "v_highest_{}_pu": (c.maybe_number, "highest voltage in any future, pu", "highest {}, pu", 5),
    },
)
_OF_BRANCHES = _each(
    _TWO,
    {
        "i_highest_{}_a": (c.maybe_number, "highest current in any future, A", "highest current {}, A", 2),
        "loading_highest_{}_percent": (c.maybe_number, "the same in percent of the rating", "highest loading {}, %", 1),
        "loss_expected_{}_kw": (c.maybe_number, "mean active power lost, kW", "mean loss {}, kW", 3),
    },
)
PLANS: c.Table = {
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
}
FUTURES: c.Table = {
    "future": _SAMPLE["future"],
    "probability": _SAMPLE["probability"],
    "weight": c.maybe_number(
        "probability that counts for the answer under the risk; null where there is none", "weight", 5
    ),
    "demand_kw": _SAMPLE["demand_kw"],
    **_STATES,
}
SAMPLE: c.Table = {**_SAMPLE, **_STATES}
BUSES: c.Table = {**BUS, **_OF_BUSES}
BRANCHES: c.Table = {
    **BRANCH,
    "closed_before": c.flag("closed today"),
    "closed_mean": c.maybe_flag("closed in the topology of the mean future"),
    "closed_after": c.maybe_flag("closed in the answer"),
    **c.LIMITS_OF_CURRENT,
    **_OF_BRANCHES,
}


class FuturesResult(LossResult, study="reconfigure-futures", also=("futures_count", "sample_count")):
    """The answer of `reconfigure` where futures are given. Every figure is that of an exact AC power flow.

    Three topologies are compared: `before`, today's; `mean`, the best one for the mean future alone, under the same
    limits and options; `after`, the answer, or where infeasible the state of least violation met, if any. Where
    probabilities are not known, means and shares count all futures alike. A future in which a topology has no power
    flow solution has an infinite loss, and keeps no limits. The sample is empty where there is none.
    """

    risk: str = figure("how the losses of the futures become one number")
    ambiguity: str | None = figure("how the probabilities may be wrong; null where they are taken as they are")
    limits_share: float = figure("share of the futures in which the limits had to be kept")
    open_mean: tuple[str, ...] = figure("branches open in the topology that is best for the mean future alone")
    plans: pl.DataFrame = table(PLANS)
    futures: pl.DataFrame = table(FUTURES)
    sample: pl.DataFrame = table(SAMPLE)
    violations: pl.DataFrame = table({"future": _SAMPLE["future"], **VIOLATIONS})
    seconds: float = figure("of the method for the answer, without imports, reading and comparison")
    buses: pl.DataFrame = table(BUSES)
    branches: pl.DataFrame = table(BRANCHES)
    iterations: pl.DataFrame = table(ITERATIONS)

    def answer_facts(self) -> dict[str, str]:
        return {self.risk: in_kw(self.objective_kw), "open": join_names(self.open_branches) or "none"}

    @property
    def futures_count(self) -> int:
        """Number of futures planned for."""
        return self.futures.height

    @property
    def sample_count(self) -> int:
        """Number of other futures in which the answer is evaluated."""
        return self.sample.height
