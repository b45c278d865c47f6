"""A result that is one topology: open branches before and after, and the switching from one to the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.results import columns as c
from openpoint.results.base import Answer, Head, Result, switching_words
from openpoint.results.shape import figure

if TYPE_CHECKING:
    from openpoint.io.switch_states import Change

SWITCHING_LIST: c.Table = {
    "name": c.text("name of the branch"),
    "action": c.text("what to do", options=["close", "open"]),
    "kind": c.text("table of the branch", options=["lines", "switches", "transformers"]),
    "from_bus": c.text("bus at one end"),
    "to_bus": c.text("bus at the other end"),
    "open_end": c.text("end at which a line is switched, or both", options=["both", "from", "to"]),
}


class HasState(Result):
    """A result with a state of the grid, which a net can be given."""

    if TYPE_CHECKING:

        @property
        def grid_after(self) -> Grid | None: ...

    def apply_to(self, net: Mapping[str, Any]) -> tuple[Change, ...]:
        """Set the states of the answer in a grid in memory, in place: the one that was asked about, or a copy of it.

        Args:
            net: a pandapower net, or input data of power-grid-model.

        Returns:
            What was changed, in the words of the net.

        Raises:
            OptionError: there is no answer, it sets more than branches, or it is no grid in memory.
            InputError: the net has no branch of a name, or cannot hold a state; nothing is set then.
        """
        from openpoint.io.memory import set_states

        return set_states(net, self._states())

    def to_pandapower(self) -> Any:
        """A new pandapower net: the one that was read, from memory, a file or CGMES, with the states of the answer.

        It is as it was when it was read, whatever became of it since; what was changed in openpoint beside states of
        branches (`with_tables`) is not in it. pandapower's own reader makes it.

        Raises:
            OptionError: there is no answer, it sets more than branches, or the grid does not come from such a net.
            InputError: the net cannot hold a state.
            MissingExtraError: pandapower is not installed.
        """
        return self._net("pandapower")

    def to_power_grid_model(self) -> Any:
        """New input data of power-grid-model, as `to_pandapower` makes a net.

        Raises:
            OptionError: there is no answer, or the grid does not come from such data.
            InputError: the data cannot hold a state.
        """
        return self._net("power-grid-model")

    def _net(self, program: str) -> Any:
        from openpoint.io.memory import net_of

        return net_of(self.grid, program, self._states())

    def _states(self) -> dict[str, bool]:
        """Whether each branch is closed in the answer.

        Raises:
            OptionError: there is no answer, or it sets more than branches.
        """
        if self.grid_after is None:
            raise OptionError("there is no answer whose states could be set")
        return dict(self.grid_after.branches().select("name", "closed").iter_rows())


class SwitchedResult(HasState, Answer, also=("to_close", "to_open"), frames={"switching_list": SWITCHING_LIST}):
    """A result that is one topology: open branches before and after, and the switching from one to the other.

    Attributes:
        buses, branches: their states today and in the answer.
    """

    open_before: tuple[str, ...] = figure("branches open today")
    open_branches: tuple[str, ...] = figure("branches open in the answer")
    ac_max_mismatch_pu: float | None = figure("largest power mismatch of the AC solution at any bus, pu")
    least_violation_open: tuple[str, ...] = figure("where infeasible: the branches open at the least violation met")
    buses: pl.DataFrame
    branches: pl.DataFrame

    @property
    def has_answer(self) -> bool:
        """Whether a topology was found that keeps the limits as asked."""
        raise NotImplementedError

    @property
    def changes(self) -> tuple[str, ...]:
        """Branches whose state differs between today and the answer; `switching` gives the direction."""
        return tuple(sorted(set(self.open_before) ^ set(self.open_branches))) if self.has_answer else ()

    @property
    def switching(self) -> tuple[tuple[str, str], ...]:
        """(branch, "close" or "open") from today's state to the answer, first all that are closed."""
        closing = [(name, "close") for name in self.open_before if name in self.changes]
        return (*closing, *((name, "open") for name in self.open_branches if name in self.changes))

    @property
    def to_close(self) -> tuple[str, ...]:
        """Branches to close."""
        return tuple(name for name, action in self.switching if action == "close")

    @property
    def to_open(self) -> tuple[str, ...]:
        """Branches to open."""
        return tuple(name for name, action in self.switching if action == "open")

    @property
    def switching_list(self) -> pl.DataFrame:
        """The switching, first all that are closed: name, action (`close` or `open`), kind, from_bus, to_bus, open_end.

        `open_end` is where the branch is switched: at its `from` end only, at its `to` end only, or at `both`.
        """
        actions = pl.DataFrame(self.switching, schema={"name": pl.String, "action": pl.String}, orient="row")
        places = self.grid.branches().select("name", "kind", "from_bus", "to_bus")
        places = places.join(self.grid.lines.select("name", "open_end"), on="name", how="left", maintain_order="left")
        return actions.join(
            places.with_columns(pl.col("open_end").fill_null("both")), on="name", how="left", maintain_order="left"
        )

    @property
    def grid_after(self) -> Grid | None:
        """The grid with the switch states of the answer; None where there is none."""
        if not self.has_answer:
            return None
        names = self.grid.branches()["name"].to_list()
        return self.grid.with_closed({name: name not in self.open_branches for name in names})

    def to_do(self) -> str:
        return switching_words([action for _, action in self.switching]) if self.has_answer else ""

    def to_switch(self) -> list[tuple[object, ...]]:
        return list(self.switching_list.rows())


class LossResult(SwitchedResult):
    """A result whose topology was chosen for its losses."""

    objective_kw: float | None = figure("the loss, or the risk of it, plus the cost of the changes: what is bounded")
    lower_bound_kw: float = figure("proven bound of objective_kw", maybe=True)

    @property
    def has_answer(self) -> bool:
        """Whether a topology was found that keeps the limits as asked."""
        return self.objective_kw is not None

    @property
    def head(self) -> Head:
        return self._head(self.objective_kw, self.lower_bound_kw, "kW")


def with_output(grid: Grid, generators: pl.DataFrame) -> Grid:
    """The grid with the output of its generators from a table with the columns name, p_kw and q_kvar."""
    found = {name: (p, q) for name, p, q in generators.select("name", "p_kw", "q_kvar").iter_rows()}
    given = grid.generators.select("name", "p_kw", "q_kvar").rows()
    output = [found.get(name, (p, q)) for name, p, q in given]
    columns = {"p_kw": [p for p, _ in output], "q_kvar": [q for _, q in output]}
    series = [pl.Series(name, values, dtype=pl.Float64) for name, values in columns.items()]
    return grid.with_tables(generators=grid.generators.with_columns(series))
