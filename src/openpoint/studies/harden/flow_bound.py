"""A lower bound of the load shed after a disaster: a linear program of flows that ratings and voltages cap.

Cuts of the graph say what no path reaches; here a path carries no more than its ratings, nor than the voltage drop up
to its end allows. In any tree, what arrives at a bus over its last branch has come from the source over all branches of
the path, so that it drops the voltage by at least twice itself times the resistance of the shortest path. So with
d = r + κ x, κ the least ratio of reactive to active load, at most 1, ρ the distances from the source by d, and I what
infeed and backup generators can take off a path,

    Σ_a 2 (ρ_a + d_ab) P_ab  ≤  w_source − w_min,b + max_a 2 (ρ_a + d_ab) I        for every bus b

and P_ab ≤ rating. Flows need not form a tree, which makes it linear: a relaxation of the recourse. Where the
distances are those of the grid without damage, its value is convex in what is bought and its duals are cuts for every
plan; where they are those after the disaster and a plan, it bounds the cost of this plan more tightly.

Theory: docs/methods.md M28.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import dijkstra

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations.islands import nominal_demand, voltage_limits
from openpoint.network import Network
from openpoint.network.limits import series_limits
from openpoint.solvers.base import StandardForm, Status
from openpoint.solvers.highs import HighsModel

MARGIN = 1e-6
"""Relative margin by which bounds are lowered: ten times the tolerance of the linear programs."""
SHORTEST = 1e-12
"""Least distance along a branch, per unit: a sparse graph takes 0 for no branch."""


@final
@dataclass(frozen=True)
class FlowCut:
    """At every decision the recourse costs at least value + branch · (branches hardened) + place · (places bought)."""

    value: float
    branch: Floats
    place: Floats


@final
@dataclass
class FlowBound:
    """The bound of one grid, for many disasters and plans.

    Attributes:
        network: the grid. usable: (E) branches that can be closed.
        value_usd: (N) value of the load of each bus.
        infeed: (N) most that buses and generators of the grid feed in, per unit.
        buses: (G) places of backup generators. backup_pu: active and reactive power of one.
        most: generators that may be bought.
        ideal: whether taps stand beside sources alone, and what feeds in takes a known amount off a path.
        net_demand: (N) active and reactive, where infeed is replaced by what takes at least as much off either, in the
            least ratio of reactive to active load.
    """

    network: Network
    usable: Bools
    value_usd: Floats
    infeed: Floats
    buses: Ints
    backup_pu: tuple[float, float]
    most: int
    ideal: bool = field(init=False)
    net_demand: tuple[Floats, Floats] = field(init=False)
    _least: dict[bytes, float] = field(default_factory=dict, init=False)
    _cuts: dict[bytes, FlowCut] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        net, n = self.network, self.network.n_terminals
        self._root = int(net.source_terminal[0])
        s = nominal_demand(net)
        self._p = np.maximum(s.real, 0.0)
        loaded = self._p > 0.0
        with np.errstate(over="ignore"):  # by next to nothing
            ratio = float(np.clip(np.min(s.imag[loaded] / self._p[loaded], initial=1.0), 0.0, 1.0))
        fed_q = np.maximum(ratio * self._p - s.imag, 0.0)
        capacitive = float(fed_q.sum()) + float(np.maximum(np.abs(net.q_min), np.abs(net.q_max)).sum())
        self._taken = self._off_path(float(self.infeed.sum()), capacitive, ratio)
        fed = np.maximum(self.infeed, fed_q / ratio if ratio > 0.0 else 0.0)
        self.net_demand = self._p - fed, np.where(fed > 0.0, -ratio * fed, s.imag)
        self._taken_each = self._off_path(*self.backup_pu, ratio) if self.most else 0.0
        r, x = np.asarray(net.r), np.asarray(net.x)
        low, _ = voltage_limits(net)
        # Taps beside the sources move what these hold; elsewhere they would move the drops of all that is beyond.
        source, taps = np.zeros(n), np.asarray(net.tap) ** 2
        source[net.source_terminal] = np.abs(net.source_v) ** 2
        ahead, back = source[net.terminal_fr] > 0.0, source[net.terminal_to] > 0.0
        first = np.where(ahead, source[net.terminal_fr] / taps, source[net.terminal_to] * taps)
        top = float(np.max(first[self.usable], initial=0.0))
        # Where infeed must raise the voltage, a path that carries less than I proves nothing by its length.
        self._drop = np.maximum(top - low, 0.0)
        held = np.flatnonzero(self.usable)
        ideal = bool(np.all((taps == 1.0) | ahead | back, where=self.usable) and np.all(r[held] >= 0.0))
        ideal = ideal and bool(np.all(x[held] >= 0.0))
        self.ideal = ideal and bool(np.isfinite(self._taken))
        if not ideal or not np.isfinite(self._taken + self._taken_each):
            self._drop = np.full(n, np.inf)
            self._taken = self._taken_each = 0.0
        self._d = np.maximum((r + ratio * x) * np.where(back & ~ahead, taps, 1.0), SHORTEST)
        fr, to = net.merged_ends
        self._tail, self._head = np.concatenate([fr, to]), np.concatenate([to, fr])
        self._opens = np.tile(self.usable, 2) & (self._head != self._root)  # what never carries any has no slope
        rating = np.sqrt(series_limits(net))
        if not self.infeed.any() and capacitive == 0.0 and not self.most:  # then reactive power comes along
            rating = rating / np.sqrt(1.0 + ratio**2)
        self._cap = np.minimum(np.tile(rating, 2), float(self._p.sum()) + 1.0)

    @staticmethod
    def _off_path(p: float, q: float, ratio: float) -> float:
        """By how much infeed lowers the active power that drops voltages; inf where it may raise them at will."""
        return max(p, q / ratio if ratio > 0.0 else np.inf if q > 0.0 else 0.0)

    def least(self, whole: Bools, built: Ints, dead: Bools) -> float:
        """A lower bound of the cost where these branches are whole, (E), and these buses have a generator.

        Args:
            dead: (N) buses that neither a source nor a generator can reach.
        """
        key = whole.tobytes() + built.tobytes()
        if key not in self._least:
            most = self._taken + self._taken_each * len(built)
            model, cap = self._model(self.distance(whole), most)
            given = np.bincount(built, minlength=len(dead)) * self.backup_pu[0]
            self._set(model, cap, whole.astype(np.float64), np.where(dead, 0.0, self.infeed) + given)
            answer = model.solve(integral=False)
            known = answer.status is Status.OPTIMAL
            self._least[key] = answer.value - MARGIN * max(1.0, abs(answer.value)) if known else 0.0
        return self._least[key]

    def cut(self, open_share: Floats, places: Floats) -> FlowCut:
        """The cut where so much of each branch is whole or hardened, (E), and of each place has one, (G), from
        0 to 1; it holds at every decision, with the slope of a branch that is broken alone."""
        key = open_share.tobytes() + places.tobytes()
        if key not in self._cuts:
            self._cuts[key] = self._cut(open_share, places)
        return self._cuts[key]

    def _cut(self, open_share: Floats, places: Floats) -> FlowCut:
        e, n = self.network.n_conductors, self.network.n_terminals
        model, cap = self._undamaged
        given = np.bincount(self.buses, weights=places, minlength=n) * self.backup_pu[0]
        self._set(model, cap, open_share, self.infeed + given)
        answer = model.solve(integral=False)
        if answer.status is not Status.OPTIMAL or answer.reduced is None:
            return FlowCut(0.0, np.zeros(e), np.zeros(len(self.buses)))
        gain = np.minimum(answer.reduced, 0.0)
        arcs = np.where(self._opens, gain[: 2 * e] * cap, 0.0)
        place = gain[2 * e + n :][self.network.merged[self.buses]] * self.backup_pu[0]
        return FlowCut(answer.value - MARGIN * max(1.0, abs(answer.value)), arcs[:e] + arcs[e:], place)

    @cached_property
    def _inner(self) -> Ints:
        """Numbers of the buses that are no source."""
        return np.setdiff1d(self.network.merged, self._root)

    @cached_property
    def _row(self) -> Ints:
        """(N) the place of each bus among those that are no source, −1 for others."""
        row = np.full(self.network.n_terminals, -1)
        row[self._inner] = np.arange(len(self._inner))
        return row

    @cached_property
    def _entries(self) -> tuple[Ints, Ints, Floats]:
        """Rows, columns and values of the balances: flows in, less flows out, less what is served, and infeed."""
        n, arcs = self.network.n_terminals, len(self._tail)
        p = np.bincount(self.network.merged, weights=self._p, minlength=n)
        into, out = np.flatnonzero(self._row[self._head] >= 0), np.flatnonzero(self._row[self._tail] >= 0)
        rows = [self._row[self._head[into]], self._row[self._tail[out]], *2 * [np.arange(len(self._inner))]]
        columns = [into, out, arcs + self._inner, arcs + n + self._inner]
        values = [np.ones(len(into)), -np.ones(len(out)), -p[self._inner], np.ones(len(self._inner))]
        return np.concatenate(rows), np.concatenate(columns), np.concatenate(values)

    @cached_property
    def _undamaged(self) -> tuple[HighsModel, Floats]:
        return self._model(self.distance(self.usable), self._taken + self._taken_each * self.most)

    def distance(self, whole: Bools) -> Floats:
        """(N) distances from the sources; inf where there is no path."""
        n, on = self.network.n_terminals, np.flatnonzero(whole)
        a, b, d = self._tail[on], self._head[on], self._d[on]
        order = np.lexsort((d, np.maximum(a, b), np.minimum(a, b)))  # of branches in parallel, the shortest
        low, high = np.minimum(a, b)[order], np.maximum(a, b)[order]
        first = np.ones(len(on), dtype=np.bool_)
        first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
        graph = sp.csr_array((d[order][first], (low[first], high[first])), shape=(n, n))
        return np.asarray(dijkstra(graph, directed=False, indices=[self._root])[0], dtype=np.float64)

    def _model(self, distance: Floats, taken: float) -> tuple[HighsModel, Floats]:
        """The program over the flows along both directions of each branch, the share served and the infeed of each bus;
        and the most that each direction carries."""
        n, arcs = self.network.n_terminals, len(self._tail)
        along = np.where(np.isfinite(distance[self._tail]), distance[self._tail] + np.tile(self._d, 2), 0.0)
        weight, (rows, columns, entries) = 2.0 * along, self._entries
        held = self._inner if np.isfinite(self._drop).all() else self._inner[:0]
        heaviest = np.zeros(n)
        np.maximum.at(heaviest, self._head, weight)
        room, width, count = self._drop + heaviest * taken, arcs + 2 * n, len(self._inner)
        into = np.flatnonzero(np.isin(self._head, held))
        a = sp.csc_array(
            (
                np.concatenate([entries, weight[into], np.full(width, -1.0)]),
                (
                    np.concatenate([rows, count + self._row[self._head[into]], count + len(held) + np.arange(width)]),
                    np.concatenate([columns, into, np.arange(width)]),
                ),
            ),
            shape=(count + len(held) + width, width),
        )
        b = np.concatenate([np.zeros(count), room[held], np.zeros(width)])
        value = np.bincount(self.network.merged, weights=self.value_usd, minlength=n)
        c = np.concatenate([np.zeros(arcs), -value, np.zeros(n)])
        none = np.empty(0, dtype=np.int64)
        offset = float(self.value_usd.sum())
        with np.errstate(divide="ignore", invalid="ignore"):
            cap = np.minimum(self._cap, np.where(weight > 0.0, room[self._head] / weight, np.inf))
        return HighsModel(StandardForm(c, offset, a, b, count, len(held) + width, (), none, {})), cap

    def _set(self, model: HighsModel, cap: Floats, share: Floats, feed: Floats) -> None:
        """Bounds of the columns where so much of the branches may be used, and buses feed in at most so much."""
        n = self.network.n_terminals
        flows = np.where(self._opens, np.tile(share, 2) * cap, 0.0)
        fed = np.bincount(self.network.merged, weights=feed, minlength=n)
        upper = np.concatenate([flows, np.ones(n), fed])
        model.set_bounds(np.arange(len(upper)), np.zeros(len(upper)), upper)
