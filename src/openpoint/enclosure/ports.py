"""Ports: the places where loads and generators draw power, and how far each of them may deviate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import scipy.sparse as sp

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.errors import InputError, Problem
from openpoint.graph import energised
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import names_in_words
from openpoint.network import Network, load_shares
from openpoint.network.load_shares import LoadShares, power_shares

_DEGREE = {"power": 0, "current": 1, "impedance": 2}


@dataclass(frozen=True)
class Ports:
    """m ports; what deviates is n loads and generators, each by itself and its active and reactive power together.

    Attributes:
        fr, to: (m) terminals that the port lies between; `to` is -1 to neutral.
        degree: (m) of the model, see `openpoint.enclosure.models`.
        s: (m) power that it draws at nominal voltage, per unit of the base of a phase.
        spread: (m, n) what a full deviation adds to it.
        names: of what deviates, as `loads NAME` and `generators NAME`.
        low, high: (m) band of voltage in which the models of all its loads hold, pu.
        ohms: shares by which the resistance and the reactance of each branch deviate, down and up.
    """

    fr: Ints
    to: Ints
    degree: Ints
    s: Complexes
    spread: sp.csr_array
    names: tuple[str, ...]
    low: Floats
    high: Floats
    ohms: tuple[float, float] = (0.0, 0.0)

    @property
    def unit(self) -> Floats:
        """(m) nominal voltage, pu."""
        return np.where(self.to >= 0, np.sqrt(3.0), 1.0)

    def some(self, rows: Ints) -> Ports:
        """Some of the ports, with the names of all that deviates."""
        kept = {name: getattr(self, name)[rows] for name in ("fr", "to", "degree", "s", "spread", "low", "high")}
        return Ports(names=self.names, ohms=self.ohms, **kept)

    def realised(self, network: Network, deviations: Floats) -> Network:
        """The balanced network with its loads at a realisation; deviations: (n)."""
        more = self.added(network.n_terminals, deviations)
        return replace(network, **{name: getattr(network, name) + part for name, part in more.items()})

    def added(self, terminals: int, deviations: Floats) -> dict[str, Complexes]:
        """(N) what a realisation adds to the loads of each model of a balanced network."""
        more = np.zeros((3, terminals), dtype=np.complex128)
        np.add.at(more, (self.degree, self.fr), self.spread @ deviations)
        return dict(zip(("s_power", "s_current", "s_impedance"), more, strict=True))


def ports_of(grid: Grid, network: Network, shares: Mapping[str, float]) -> Ports:
    """The ports of a grid.

    Args:
        grid: sound. network: that of the grid.
        shares: by group, `load` and `generation`, the share of its power by which each of the group deviates; also
            `resistance` and `reactance`, of those of each branch.
    """
    groups = ("load", grid.loads), ("generation", grid.generators)
    share = np.repeat([shares.get(name, 0.0) for name, _ in groups], [t.height for _, t in groups])
    ohms = shares.get("resistance", 0.0), shares.get("reactance", 0.0)
    return replace(ports_with(grid, network, share), ohms=ohms)


def of_open_ends(network: Network, shares: Mapping[str, float]) -> tuple[str, ...]:
    """A note on lines that are connected at one end when they are open, where resistances or reactances deviate."""
    kept = np.abs(network.y_open_fr) + np.abs(network.y_open_to) > 0.0
    if not kept.any() or not (shares.get("resistance") or shares.get("reactance")):
        return ()
    names = names_in_words([network.branch_names[b] for b in np.unique(network.conductor_branch[kept]).tolist()])
    told = "where open at one end, such a line draws what it does at the resistance and reactance of the grid"
    return (f"{names}: {told}; these deviate only where it is closed",)


def ports_with(grid: Grid, network: Network, share: Floats) -> Ports:
    """The ports of a grid with the share by which each load, and then each generator, deviates."""
    parts: list[tuple[Ints, Ints, Complexes, Ints]] = []  # place, degree, power, column
    names: list[str] = []
    n = network.n_terminals
    loads = load_shares(grid)
    made = power_shares(grid, grid.generators)
    low, high = bands_of(grid.loads, loads, n + len(network.delta.fr))
    tables = (
        ("loads", grid.loads, (loads.wye, loads.delta), (loads.p_models, loads.q_models), 1.0),
        ("generators", grid.generators, made, (("power",) * grid.generators.height,) * 2, -1.0),
    )
    for kind, table, (wye, delta), models, sign in tables:
        at = sp.vstack([wye, delta]).tocoo()
        kva = sign * (table["p_kw"].to_numpy() + 1j * table["q_kvar"].to_numpy())
        degrees = [np.array([_DEGREE[each] for each in model], dtype=np.int64) for model in models]
        for k in _DEGREE.values():
            drawn = np.where(degrees[0] == k, kva.real, 0.0) + 1j * np.where(degrees[1] == k, kva.imag, 0.0)
            power = at.data * drawn[at.col]
            used = power != 0.0
            column = at.col[used].astype(np.int64) + len(names)
            parts.append((at.row[used].astype(np.int64), np.full(used.sum(), k), power[used], column))
        names += [f"{kind} {name}" for name in table["name"]]
    place, degree, s, column = (np.concatenate(each) for each in zip(*parts, strict=True))
    return _gathered(network, place, degree, s, column, share, names, low, high)


def bands_of(table: pl.DataFrame, loads: LoadShares, count: int) -> tuple[Floats, Floats]:
    """(count) the band of voltage of each place, wye ones first, in which the models of its loads hold, pu."""
    low, high = np.zeros(count), np.full(count, np.inf)
    at = sp.vstack([loads.wye, loads.delta]).tocoo()
    alike = np.array([p == q == "impedance" for p, q in zip(loads.p_models, loads.q_models, strict=True)], dtype=bool)
    least, most = table["v_min_pu"].fill_null(0.0).to_numpy(), table["v_max_pu"].fill_null(np.inf).to_numpy()
    np.maximum.at(low, at.row, np.where(alike, 0.0, least)[at.col])  # an impedance is one at any voltage
    np.minimum.at(high, at.row, np.where(alike, np.inf, most)[at.col])
    return low, high


def _gathered(
    network: Network,
    place: Ints,
    degree: Ints,
    s: Complexes,
    column: Ints,
    share: Floats,
    names: list[str],
    low: Floats,
    high: Floats,
) -> Ports:
    """Parts of loads at the same place and of the same model as one port."""
    key, port = np.unique(place * 3 + degree, return_inverse=True)
    total = np.zeros(len(key), dtype=np.complex128)
    np.add.at(total, port, s)
    spread = sp.coo_array((s * share[column], (port, column)), shape=(len(key), len(share))).tocsc()
    moving = np.flatnonzero(np.diff(spread.indptr) * (share > 0.0))
    at, n = key // 3, network.n_terminals
    is_wye = at < n
    pair = np.where(is_wye, 0, at - n)
    ends = (network.delta.fr, network.delta.to) if len(network.delta.fr) else (np.zeros(1, np.int64),) * 2
    return Ports(
        fr=np.where(is_wye, at, ends[0][pair]),
        to=np.where(is_wye, -1, ends[1][pair]),
        degree=key % 3,
        s=total,
        spread=sp.csr_array(spread[:, moving]),
        names=tuple(names[k] for k in moving),
        low=low[at],
        high=high[at],
    )


def refuse_dark(network: Network) -> None:
    """Refuse buses that no source reaches.

    Raises:
        InputError: with their names.
    """
    on = energised(
        network.n_terminals, network.terminal_fr, network.terminal_to, network.closed, network.source_terminal
    )
    dark = sorted({network.bus_names[b] for b in network.terminal_bus[~on]})
    if dark:
        remedy = "Close a branch to them, or take them out"
        raise InputError(
            [Problem("buses", names_in_words(dark), "", "no source reaches them in today's state", remedy)]
        )
