"""Load models: what loads, capacitors and generators draw at given voltages; for the checks of power flows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.grid.grid import Grid
from openpoint.network import DeltaLoads, LoadShares, Network, load_shares
from openpoint.network.load_shares import power_shares

V_LOW_PU = 0.5
"""Voltage (pu) below which OpenDSS models a load as the impedance that draws its nominal power at nominal voltage."""
_DEGREE = {"power": 0, "current": 1, "impedance": 2}


@dataclass(frozen=True)
class Powers:
    """Power of the loads and generators of a grid in K cases, in kVA.

    Attributes:
        shares: share of each load at terminals and pairs. load: (L, K) at nominal voltage. load_more: (L, K) power in
            addition to that of the table. low, high: (L) voltage band in which the model of a load applies.
        made_wye, made_delta: (N, G), (D, G) where generators feed in. made_more: (G, K) power in addition to that of
            the table.
    """

    shares: LoadShares
    load: Complexes
    load_more: Complexes
    low: Floats
    high: Floats
    made_wye: sp.csr_array
    made_delta: sp.csr_array
    made_more: Complexes

    @staticmethod
    def of(grid: Grid, leave_out: Collection[str], loads: Complexes | None, generators: Complexes | None) -> Powers:
        """The powers of a grid.

        Args:
            leave_out: generators that hold a voltage and deliver what the balance requires.
            loads, generators: (K, rows) or (rows) of each row of the table; None = the table.
        """
        tables = [(t["p_kw"].to_numpy() + 1j * t["q_kvar"].to_numpy())[:, None] for t in (grid.loads, grid.generators)]
        load, made = (
            table if given is None else np.atleast_2d(given).T for table, given in zip(tables, (loads, generators))
        )
        free = grid.generators["name"].is_in(list(leave_out)).to_numpy()
        made_wye, made_delta = power_shares(grid, grid.generators)
        return Powers(
            shares=load_shares(grid),
            load=load,
            load_more=load - tables[0],
            low=grid.loads["v_min_pu"].fill_null(0.0).to_numpy(),
            high=grid.loads["v_max_pu"].fill_null(np.inf).to_numpy(),
            made_wye=made_wye,
            made_delta=made_delta,
            made_more=np.where(free[:, None], 0.0, made) - tables[1],
        )


@np.errstate(invalid="ignore")  # voltages may be nan
def drawn_current(network: Network, v: Complexes, energised: Bools, powers: Powers) -> Complexes:
    """(N, K) current that loads, capacitors and generators draw at each terminal, per unit.

    Args:
        network: that of the grid. v: (N, K) voltage to neutral, per unit. energised: (N).
    """
    delta, on = network.delta, energised[:, None]
    alive = on[delta.fr]
    # Where not energised, 1 avoids a division by 0.
    u = np.where(on, v, 1.0), np.where(alive, v[delta.fr] - v[delta.to], 1.0)
    size = np.abs(u[0]), np.abs(u[1]) / np.sqrt(3.0)
    wye = _drawn(network, size[0], powers, powers.shares.wye) - powers.made_wye @ powers.made_more
    pairs = _drawn(delta, size[1], powers, powers.shares.delta) - powers.made_delta @ powers.made_more
    current, into = np.where(on, np.conj(wye / u[0]), 0.0), np.where(alive, np.conj(pairs / u[1]), 0.0)
    np.add.at(current, delta.fr, into)
    np.subtract.at(current, delta.to, into)
    for s, terminal, back in zip(network.generator_s, network.generator_terminal, network.generator_return):
        if not energised[terminal]:
            continue
        i = np.conj(s / (v[terminal] - (v[back] if back >= 0 else 0.0)))
        current[terminal] -= i
        if back >= 0:
            current[back] += i
    return np.asarray(current, dtype=np.complex128)


def _drawn(known: Network | DeltaLoads, size: Floats, powers: Powers, shares: sp.csr_array) -> Complexes:
    """(rows, K) power at voltages of this size: today's loads, additional power, corrections outside the band."""
    drawn = known.s_power[:, None] + known.s_current[:, None] * size + known.s_impedance[:, None] * size**2
    models = powers.shares
    for model, degree in _DEGREE.items():
        p, q = (np.array([m == model for m in each])[:, None] for each in (models.p_models, models.q_models))
        more = np.where(p, powers.load_more.real, 0.0) + 1j * np.where(q, powers.load_more.imag, 0.0)
        drawn += np.asarray(shares @ more) * size**degree
    entries = shares.tocoo()
    for row, k, share in zip(entries.row, entries.col, entries.data, strict=True):
        u, (low, high) = size[row], (powers.low[k], powers.high[k])
        astray = (u < low) | (u > high)
        if astray.any():
            p_model, q_model = models.p_models[k], models.q_models[k]
            beyond = _beyond(p_model if p_model == q_model else "cvr", u, low, high)
            s = powers.load[k] * share
            inside = s.real * u ** _DEGREE[p_model] + 1j * s.imag * u ** _DEGREE[q_model]
            drawn[row] += np.where(astray, beyond * s - inside, 0.0)
    return np.asarray(drawn)


def _beyond(model: str, u: Floats, low: float, high: float) -> Floats:
    """(K) share of its power that a load draws at voltages u outside its band, as in OpenDSS.

    Above the band it is the impedance that draws at `high` what a load of constant power (current) draws there. Below,
    its current goes in a straight line from that of its model (of constant power or current) at `low` to that of the
    load as an impedance at `V_LOW_PU`.
    """
    over = u**2 / (high if model == "current" else high**2)
    if low <= V_LOW_PU:
        return np.where(u > high, over, u**2)
    at_low = 1.0 if model == "current" else 1.0 / low
    under = u * (V_LOW_PU + (at_low - V_LOW_PU) * (u - V_LOW_PU) / (low - V_LOW_PU))
    return np.where(u > high, over, np.where(u <= V_LOW_PU, u**2, under))
