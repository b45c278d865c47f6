"""The tables of a result for many futures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.results import ac_tables as states
from openpoint.results.columns import empty, filled, frame
from openpoint.scenarios.futures import Futures
from openpoint.studies.reconfigure.futures.evaluate import FuturesEvaluation
from openpoint.studies.reconfigure.futures.schema import FUTURES, TOPOLOGIES
from openpoint.twostage.ambiguity import tail_of

TAIL = 0.9
"""Level of the conditional value at risk that every result tells."""

_TABLES = FUTURES.tables


@dataclass(frozen=True)
class Compared:
    """Three topologies in the same futures; None where there is none."""

    before: FuturesEvaluation
    mean: FuturesEvaluation | None
    after: FuturesEvaluation | None

    def items(self) -> list[tuple[str, FuturesEvaluation | None]]:
        """With the names by which columns call them."""
        return list(zip(TOPOLOGIES, (self.before, self.mean, self.after)))


def futures(given: Futures | None, compared: Compared | None, weights: Floats | None) -> pl.DataFrame:
    """A row a future; none at all where none are given."""
    if given is None or compared is None:
        return empty(_TABLES["futures"])
    columns: dict[str, object] = {
        "future": list(given.names),
        "probability": given.probabilities,
        "weight": weights,
        "demand_kw": given.p_kw.sum(axis=1),
    }
    for which, evaluation in compared.items():
        if evaluation is not None:
            columns |= {
                f"loss_{which}_kw": evaluation.loss_kw,
                f"v_min_{which}_pu": evaluation.v_min,
                f"v_max_{which}_pu": evaluation.v_max,
                f"loading_{which}_percent": evaluation.loading,
                f"violations_{which}": evaluation.broken,
            }
    return filled(_TABLES["futures"], {name: values for name, values in columns.items() if values is not None})


def plans(name: str, given: Futures, compared: Compared, risk: Callable[[Floats], float]) -> pl.DataFrame:
    """A row a topology: its losses over the futures as single numbers, and how far they go."""
    rows = []
    for which, evaluation in compared.items():
        if evaluation is None:
            continue
        loss, weights = evaluation.loss_kw, given.weights
        worst = int(np.argmax(loss))
        row = {
            "set": name,
            "topology": which,
            "loss_expected_kw": _mean(loss, weights),
            "loss_cvar90_kw": tail_of(weights, TAIL).worst(loss)[0],
            "loss_worst_kw": float(loss[worst]),
            "worst_future": given.names[worst],
            "risk_kw": risk(loss),
            "limits_kept_share": min(float(evaluation.kept @ weights), 1.0),
            "unsolved": int(np.isinf(loss).sum()),
            "v_lowest_pu": _extreme(evaluation.v_min, np.min),
            "v_highest_pu": _extreme(evaluation.v_max, np.max),
            "loading_highest_percent": _extreme(evaluation.loading, np.max),
        }
        rows.append(row)
    return frame(_TABLES["plans"], rows).with_columns(pl.selectors.float().fill_nan(None))


def buses(network: Network, compared: Compared) -> pl.DataFrame:
    """Lowest and highest voltage of every bus in any future, today and in the answer."""
    columns: dict[str, object] = {
        "name": list(network.bus_names),
        "vn_kv": network.v_base_kv,
        **states.bus_limits(network),
    }
    for which, evaluation in _two(compared):
        v = np.full((1, network.n_terminals), np.nan) if evaluation is None else evaluation.v
        columns[f"v_lowest_{which}_pu"] = _over(v, np.fmin)
        columns[f"v_highest_{which}_pu"] = _over(v, np.fmax)
    return states.frame(columns)


def branches(grid: Grid, network: Network, compared: Compared, weights: Floats) -> pl.DataFrame:
    """State of every branch in the three topologies; highest current and expected loss today and in the answer."""
    table = grid.branches()
    closed = dict(compared.items())
    columns: dict[str, object] = {
        **{name: table[name] for name in ("kind", "name", "from_bus", "to_bus", "switchable")},
        **{f"closed_{which}": _closed(closed[which], network) for which in TOPOLOGIES},
        "i_max_a": states.current_limits(network),
    }
    rated = np.isfinite(network.l_max)
    rating = np.sqrt(np.where(rated, network.l_max, 1.0))
    for which, evaluation in _two(compared):
        nothing = np.full((1, network.n_conductors), np.nan)
        i, loss = (nothing, nothing) if evaluation is None else (evaluation.i, evaluation.loss)
        highest = _over(i, np.fmax)
        known = None if evaluation is None or np.isnan(loss).any() else weights @ loss
        columns[f"i_highest_{which}_a"] = highest * network.i_base_a
        columns[f"loading_highest_{which}_percent"] = np.where(rated, 100.0 * highest / rating, np.nan)
        columns[f"loss_expected_{which}_kw"] = nothing[0] if known is None else known
    return states.frame(columns)


def _closed(evaluation: FuturesEvaluation | None, network: Network) -> pl.Series:
    values = [None] * network.n_conductors if evaluation is None else evaluation.closed.tolist()
    return pl.Series(values, dtype=pl.Boolean)


def _two(compared: Compared) -> list[tuple[str, FuturesEvaluation | None]]:
    return [(which, evaluation) for which, evaluation in compared.items() if which != "mean"]


def _mean(loss: Floats, weights: Floats) -> float:
    counted = weights > 0.0
    return float(weights[counted] @ loss[counted])


def _extreme(values: Floats, of: Callable[[Floats], Any]) -> float | None:
    known = values[~np.isnan(values)]
    return float(of(known)) if len(known) else None


def _over(values: Floats, which: np.ufunc) -> Floats:
    """The lowest or highest of each column over the futures that have a state, nan where none has."""
    return np.asarray(which.reduce(values, axis=0))
