"""Loads that no state can carry, whatever its reactive power: proven by one maximum flow, before anything is searched.

At the end of a series impedance z = r + jx that is fed at the squared voltage w arrives active power p, with reactive
power q and squared voltage u. By the branch flow equations

    w = u + 2 (r p + x q) + |z|² (p² + q²) / u

which is least over q at q = −x u / |z|², where it is (r √u / |z| + |z| p / √u)² >= 4 r p. So p <= w / 4r: no more can
be transmitted, however the power factor is corrected. Of the power of a state, take what is delivered to loads, without
what is lost on the way: it is a flow from sources and generators to the loads within these capacities. Where there is
none, the state does not exist. Where no bus generates, all that a bus and those behind it take arrives over one branch.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import maximum_flow

from openpoint.errors import OptionError
from openpoint.search.kernel.arrays import Model

W_MOST = 4.0
"""Squared voltage above which no grid is run, where there is no limit."""
WHOLE = 1e8
"""The sum of all loads in whole numbers of the flow; rounding is to the side of carrying the load."""


def is_hopeless(model: Model) -> bool:
    """Whether no state within the limits can carry the loads, see `cannot_carry`.

    Raises:
        OptionError: that is so at voltages below 2 pu only, and higher ones are not excluded.
    """
    if cannot_carry(model):
        return True
    if cannot_carry(replace(model, w_max=np.minimum(model.w_max, W_MOST))):
        raise OptionError(
            f"no radial state carries the loads at voltages up to {np.sqrt(W_MOST):g} pu: check lengths, impedances "
            "and loads (`openpoint check GRID`); with upper limits of voltage, --v-max 1.1 or Limits(v_max_pu=1.1), "
            "that is a proof"
        )
    return False


def cannot_carry(model: Model) -> bool:
    """Whether no state of a search model can deliver its active loads of constant power; False where that is not known.

    Nothing is said where an impedance, a conductance or another load is negative, or where a tap changer may be set.
    """
    total = float(np.maximum(model.p[: model.n], 0.0).sum())
    others = np.any(model.p_v < 0.0) or np.any(model.p_w < 0.0)
    if not model.passive or others or np.any(model.changer >= 0) or not total > 0.0:
        return False
    with np.errstate(divide="ignore"):
        least = np.where(model.r > 0.0, 0.25 / model.r, np.inf)
        forth, back = (least * k * model.w_max[at] for k, at in ((model.k_fr, model.fr), (model.k_to, model.to)))
    demands = np.floor(np.maximum(model.p[: model.n], 0.0) / total * WHOLE)
    size = len(model.w_max)
    through = np.full(size, np.inf)
    if not np.any(model.p < 0.0):
        through = np.zeros(size)
        np.maximum.at(through, model.to, forth)
        np.maximum.at(through, model.fr, back)
        through[model.n :] = np.inf
    # Bus j is the pair of nodes 2j, where power arrives, and 2j + 1, where it is taken and passed on.
    arrives, leaves, (begin, end) = 2 * np.arange(size), 2 * np.arange(size) + 1, (2 * size, 2 * size + 1)
    fed = np.maximum(-model.p, 0.0)
    fed[model.n :] = np.inf
    arcs = (
        (arrives, leaves, through),
        (leaves[model.fr], arrives[model.to], forth),
        (leaves[model.to], arrives[model.fr], back),
        (np.full(size, begin), leaves, fed),
    )
    rows, columns, capacity = (np.concatenate(each) for each in zip(*arcs, strict=True))
    whole = np.minimum(np.ceil(np.minimum(capacity / total, 2.0) * WHOLE) + 1.0, 2.0 * WHOLE)
    some = capacity > 0.0
    taking = leaves[: model.n]
    entries = np.concatenate([whole[some], demands])
    places = np.concatenate([rows[some], taking]), np.concatenate([columns[some], np.full(model.n, end)])
    graph = sp.csr_array(sp.coo_array((entries, places), shape=(end + 1, end + 1)))
    graph.data = np.minimum(graph.data, 2.0 * WHOLE)
    found = maximum_flow(graph.astype(np.int32), begin, end)
    return bool(found.flow_value < demands.sum() * (1.0 - 1e-6))
