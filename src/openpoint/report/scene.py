"""The scene of a picture, as arrays: the states of a grid, and those of a changed topology."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats
from openpoint.grid.grid import Grid
from openpoint.network.limits import LIMIT_TOLERANCE
from openpoint.report.layout.feeders import ends, source_buses, spanning_forest
from openpoint.report.layout.place import Layout, compute_layout
from openpoint.results.violation import Violation


@dataclass(frozen=True)
class State:
    """One operating state over N buses and E branches; NaN where a number is unknown.

    Attributes:
        key: `before` or `after`.
        title: what the state is, for people.
        loss_kw: exact AC loss, None where there is none.
        v: (N) voltage in pu. closed: (E).
        i, loading, p, q, loss: (E) current in A, loading in %, power at the from end in kW and kvar, loss in kW.
        violations: limits that the state breaks.
    """

    key: str
    title: str
    loss_kw: float | None
    v: Floats
    closed: Bools
    i: Floats
    loading: Floats
    p: Floats
    q: Floats
    loss: Floats
    violations: tuple[Violation, ...]

    def distance(self, scene: Scene) -> Floats:
        """(N) length of the closed branches between a bus and its source, NaN where no source reaches it."""
        forest = spanning_forest(len(self.v), scene.ends, scene.sources, self.closed.tolist(), use_open=False)
        result = np.full(len(self.v), np.nan)
        result[[root for root in forest.roots if root in scene.sources]] = 0.0
        for bus in forest.order:
            if forest.parent[bus] >= 0:
                result[bus] = result[forest.parent[bus]] + scene.lengths[forest.parent_branch[bus]]
        return result


@dataclass(frozen=True)
class Scene:
    """A result as arrays, over N buses and E branches in the order of the grid.

    Of several phases, the voltage of a bus is the lowest, the current of a branch the largest, its power the sum.

    Attributes:
        grid: the grid asked about.
        bus_names, branch_names: names. ends: (from, to) bus numbers of every branch. sources: bus numbers.
        states: `before` always, `after` where there is an answer or a state of least violation.
        opened, closed: branches that the answer opens or closes.
        v_min, v_max: (N) voltage limits in pu, NaN = none. i_max: (E) in A, NaN = none.
        lengths: (E) length of every branch, of lines in km where those of all lines are known; else 1.
        feasible: whether the after state is an answer that keeps the limits.
    """

    grid: Grid
    bus_names: tuple[str, ...]
    branch_names: tuple[str, ...]
    ends: tuple[tuple[int, int], ...]
    sources: tuple[int, ...]
    states: dict[str, State]
    opened: frozenset[int]
    closed: frozenset[int]
    v_min: Floats
    v_max: Floats
    i_max: Floats
    lengths: Floats
    feasible: bool

    @cached_property
    def layout(self) -> Layout:
        """The one layout that all pictures of the result share."""
        return compute_layout(self.grid, self._tree())

    @cached_property
    def has_phases(self) -> bool:
        """Whether the grid is one of phases a, b, c."""
        return bool((self.grid.buses["phases"] != "1").any())

    @property
    def voltage_word(self) -> str:
        """What the voltage of a bus is."""
        return "lowest phase voltage" if self.has_phases else "voltage"

    @property
    def in_km(self) -> bool:
        """Whether the distance to the source is one in km."""
        return lengths_known(self.grid)

    @property
    def distance_title(self) -> str:
        """What the distance of a bus to its source is."""
        return "distance to the source, km" if self.in_km else "number of branches between bus and source"

    @property
    def distance_unit(self) -> str:
        """The unit of that distance, with where it is measured from."""
        return "km from the source" if self.in_km else "branches from the source"

    @cached_property
    def v_range(self) -> tuple[float, float]:
        """Lowest and highest voltage of all states, for one colour scale; (0.95, 1.0) where none is known."""
        v = np.concatenate([s.v for s in self.states.values()])
        v = v[np.isfinite(v)]
        if not len(v):
            return 0.95, 1.0
        lo, hi = float(v.min()), float(v.max())
        return (lo, hi) if hi - lo > 1e-6 else (lo - 0.005, hi + 0.005)

    @property
    def rated(self) -> bool:
        """Whether branches are compared by loading: all that ever carry a current have a rating."""
        i = np.nanmax(np.stack([np.nan_to_num(s.i) for s in self.states.values()]), axis=0)
        return bool(len(i)) and bool(np.isfinite(self.i_max).any() and np.isfinite(self.i_max[i > 1e-9]).all())

    @cached_property
    def loading_limit(self) -> Floats:
        """(E) limit in % of the rating, NaN where none is known: of branches that carry a current."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = [np.where(s.i > 0.0, s.loading * (self.i_max / s.i), np.nan) for s in self.states.values()]
        return np.asarray(np.fmax.reduce(found))

    def stress(self, state: State) -> Floats:
        """(E) loading in % where `rated`, else current in A; 0 on open branches."""
        return np.where(state.closed, np.nan_to_num(state.loading if self.rated else state.i), 0.0)

    @property
    def stress_max(self) -> float:
        """Largest stress in any state, at least a little above 0."""
        return max([1e-9, *(float(self.stress(s).max(initial=0.0)) for s in self.states.values())])

    def opens(self, state: State) -> frozenset[int]:
        """Branches that a state opens; of today's state those that any other opens."""
        return frozenset(e for e in self.opened if state is self.states["before"] or not state.closed[e])

    def closes(self, state: State) -> frozenset[int]:
        """Branches that a state closes; of today's state those that any other closes."""
        return frozenset(e for e in self.closed if state is self.states["before"] or state.closed[e])

    def violated(self, state: State) -> tuple[dict[int, Violation], dict[int, Violation]]:
        """Violations of a state by bus number and by branch number."""
        bus = {name: i for i, name in enumerate(self.bus_names)}
        branch = {name: i for i, name in enumerate(self.branch_names)}
        at_bus = {bus[v.name]: v for v in state.violations if v.kind != "current" and v.name in bus}
        at_branch = {branch[v.name]: v for v in state.violations if v.kind == "current" and v.name in branch}
        return at_bus, at_branch

    def _tree(self) -> list[bool]:
        # The engineer knows today's feeders: they make the rows, unless today's state is no tree and the answer is.
        before = self.states["before"]
        after = self.states.get("after")
        shown = before if before.loss_kw is not None or after is None else after
        return [bool(c) for c in shown.closed]


def scene_of(
    grid: Grid,
    branch_names: Iterable[str],
    states: dict[str, State],
    limits: tuple[Floats, Floats, Floats],
    *,
    feasible: bool,
) -> Scene:
    """The scene of states of one grid.

    Args:
        branch_names: in the order of the grid. states: `before` and those of the answer; a branch that it opens is open
            in one of them, a branch that it closes is closed in one of them. limits: lowest and highest voltage in pu
            (N), current in A (E). feasible: whether there is an answer that keeps them.
    """
    today = states["before"].closed
    later = np.array([state.closed for key, state in states.items() if key != "before"] or [today])
    return Scene(
        grid=grid,
        bus_names=tuple(grid.buses["name"]),
        branch_names=tuple(branch_names),
        ends=ends(grid),
        sources=source_buses(grid),
        states=states,
        opened=frozenset(np.flatnonzero(today & ~later.all(axis=0)).tolist()),
        closed=frozenset(np.flatnonzero(~today & later.any(axis=0)).tolist()),
        v_min=limits[0],
        v_max=limits[1],
        i_max=limits[2],
        lengths=branch_lengths(grid),
        feasible=feasible,
    )


def lengths_known(grid: Grid) -> bool:
    """Whether every line has a length, and any is longer than nothing."""
    lengths = grid.lines["length_km"]
    return not lengths.is_empty() and lengths.null_count() == 0 and bool((lengths > 0.0).any())


def branch_lengths(grid: Grid) -> Floats:
    """(E) length of every branch in km, of what is no line 0; where some line has none, 1 for every branch."""
    order = grid.branches().select("name")
    if not lengths_known(grid):
        return np.ones(order.height)
    table = order.join(grid.lines.select("name", "length_km"), on="name", how="left", maintain_order="left")
    return table["length_km"].fill_null(0.0).to_numpy().astype(np.float64)


def numbers(frame: pl.DataFrame, column: str) -> Floats:
    """A column with NaN where it has no value."""
    return frame[column].cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64)


def read_state(
    key: str,
    title: str,
    loss_kw: float | None,
    closed: Bools,
    buses: pl.DataFrame,
    branches: pl.DataFrame,
    violations: tuple[Violation, ...],
) -> State:
    """The state whose columns have `key` in their names, from tables with a row a bus and a row a branch."""
    return State(
        key=key,
        title=title,
        loss_kw=loss_kw,
        v=numbers(buses, f"v_{key}_pu"),
        closed=closed,
        i=numbers(branches, f"i_{key}_a"),
        loading=numbers(branches, f"loading_{key}_percent"),
        p=numbers(branches, f"p_from_{key}_kw"),
        q=numbers(branches, f"q_from_{key}_kvar"),
        loss=numbers(branches, f"loss_{key}_kw"),
        violations=violations,
    )


def over_phases(table: pl.DataFrame, how: dict[str, str]) -> pl.DataFrame:
    """The columns named in `how`, a row a name: the first, the least, the most or the sum of its phases."""
    columns = []
    for name, word in how.items():
        column = pl.col(name)
        some = {"first": column.first(), "min": column.min(), "max": column.max(), "sum": column.sum()}[word]
        columns.append(pl.when(column.count() > 0).then(some).alias(name))
    return table.group_by("name", maintain_order=True).agg(columns)


_TIMES = ("before", "after")
_BUS = {f"v_{when}_pu": "min" for when in _TIMES}
_BRANCH = {
    **dict.fromkeys(("closed_before", "closed_after", "i_max_a"), "first"),
    **{f"{what}_{when}_{unit}": "max" for when in _TIMES for what, unit in (("i", "a"), ("loading", "percent"))},
    **{
        f"{what}_{when}_{unit}": "sum"
        for when in _TIMES
        for what, unit in (("p_from", "kw"), ("q_from", "kvar"), ("loss", "kw"))
    },
}


class Change(Protocol):
    """A result that is one topology of a grid, with the AC states before and after as tables.

    Attributes:
        grid: the grid asked about. buses, branches: in the columns of `results.common`.
        loss_before_kw, loss_kw: exact AC losses, None where there is none.
        open_branches: of the answer. least_violation_open: where there is none, of the state of least violation.
        violations, least_violation: limits that these break.
    """

    @property
    def grid(self) -> Grid: ...
    @property
    def buses(self) -> pl.DataFrame: ...
    @property
    def branches(self) -> pl.DataFrame: ...
    @property
    def loss_before_kw(self) -> float | None: ...
    @property
    def loss_kw(self) -> float | None: ...
    @property
    def open_branches(self) -> tuple[str, ...]: ...
    @property
    def least_violation_open(self) -> tuple[str, ...]: ...
    @property
    def violations(self) -> tuple[Violation, ...]: ...
    @property
    def least_violation(self) -> tuple[Violation, ...]: ...


def build_scene(result: Change) -> Scene:
    """The scene of a result. States without numbers have NaN."""
    grid = result.grid
    order = grid.branches().select("name", today="closed")
    branches = order.join(over_phases(result.branches, _BRANCH), on="name", how="left", maintain_order="left")
    own = grid.buses.select("name", lo="v_min_pu", hi="v_max_pu")
    buses = own.join(over_phases(result.buses, _BUS), on="name", how="left", maintain_order="left")
    names = tuple(order["name"])
    limits = (numbers(buses, "lo"), numbers(buses, "hi"), numbers(branches, "i_max_a"))
    closed = branches["closed_before"].fill_null(branches["today"]).to_numpy().astype(bool)
    today = _broken(result.buses.join(own, on="name"), result.branches)
    before = read_state("before", "Today", result.loss_before_kw, closed, buses, branches, today)
    states = {"before": before}
    feasible = result.loss_kw is not None
    open_after = result.open_branches if feasible else result.least_violation_open
    if feasible or open_after:
        closed = np.array([name not in set(open_after) for name in names], dtype=bool)
        title = "Answer" if feasible else "Least violation met (not an answer)"
        broken = result.violations if feasible else result.least_violation
        states["after"] = read_state("after", title, result.loss_kw, closed, buses, branches, broken)
    return scene_of(grid, names, states, limits, feasible=feasible)


def _broken(buses: pl.DataFrame, branches: pl.DataFrame) -> tuple[Violation, ...]:
    """Limits that today's state breaks; the result lists those of the answer only. What is missing is kept."""
    found: list[Violation] = []
    for kind, table, value, limit, sign in (
        ("voltage low", buses, "v_before_pu", "lo", -1),
        ("voltage high", buses, "v_before_pu", "hi", 1),
        ("current", branches, "i_before_a", "i_max_a", 1),
    ):
        beyond = sign * (pl.col(value) - pl.col(limit) * (1 + sign * LIMIT_TOLERANCE)) > 0.0
        rows = table.filter(beyond).select("name", value, limit, "phase").iter_rows()
        found += [Violation(kind, *row) for row in rows]
    return tuple(found)
