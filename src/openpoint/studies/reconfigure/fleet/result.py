"""The result of a fleet: a row a grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from openpoint.results import columns as c
from openpoint.results.base import Result, count_words, in_kw
from openpoint.results.shape import cell, columns_of, figure
from openpoint.results.worth import WORTH_KEYS, Worth
from openpoint.studies.reconfigure.result import SWITCH_GROUPS, SwitchGroup
from openpoint.twostage.log import Termination

SOLVED, KEPT, FAILED, NOT_RUN = "solved", "kept", "failed", "not run"

SWITCHINGS: c.Table = {
    "rank": c.whole("number in the list, from 1", "rank", 0),
    "grid": c.text("name of the grid"),
    "to_close": c.names("branches to close", "close"),
    "to_open": c.names("branches to open", "open"),
    "operations": c.whole("switch operations", "operations", 0),
    "saving_kw": SWITCH_GROUPS["saving_kw"],
    "saving_per_operation_kw": SWITCH_GROUPS["saving_per_operation_kw"],
    "operations_so_far": c.maybe_whole("operations of what is chosen, to this row; null: not chosen", "so far", 0),
    "saving_so_far_kw": c.maybe_number("what they save, kW; null: not chosen", "saved so far, kW", 3),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRow:
    """The row of one grid of a fleet; the fields are the columns of the table `grids`."""

    name: str = cell(c.text("name of its folder below `grids/`, after the file; unique", "grid"))
    source: str = cell(c.text("file or folder that was read, or the built-in grid"))
    status: str = cell(
        c.text(
            "solved: in this run; kept: by an earlier run, of the same file with the same options; failed: `error` "
            "says why; not run: the run was stopped before",
            options=[SOLVED, KEPT, FAILED, NOT_RUN],
        )
    )
    buses: int | None = cell(c.maybe_whole("number of buses", "buses", 0))
    branches: int | None = cell(c.maybe_whole("number of branches", "branches", 0))
    loss_before_kw: float | None = cell(
        c.maybe_number("exact AC loss today; null: today's state is not radial", "today, kW", 3)
    )
    loss_kw: float | None = cell(c.maybe_number("exact AC loss of the answer; null: no answer", "answer, kW", 3))
    saving_kw: float | None = cell(c.maybe_number("loss_before_kw − loss_kw", "saving, kW", 3))
    saving_percent: float | None = cell(c.maybe_number("the saving in percent of the loss today", "saving, %", 2))
    lower_bound_kw: float | None = cell(c.maybe_number("proven bound of the objective", "bound, kW", 3))
    gap_percent: float | None = cell(
        c.maybe_number("(objective − bound) / objective, in percent; null: nothing is proven", "gap, %", 4)
    )
    termination: str | None = cell(
        c.text("why the run of the grid ended", "ended", nullable=True, options=[t.value for t in Termination])
    )
    changes: int | None = cell(c.maybe_whole("branches to close or to open", "to switch", 0))
    v_min_pu: float | None = cell(c.maybe_number("lowest voltage of the answer, pu", "lowest, pu", 4))
    violations: int | None = cell(
        c.maybe_whole("limits that the answer breaks, or at the least violation met", "limits broken", 0)
    )
    seconds: float | None = cell(c.maybe_number("for the grid, from its reading to its report", "s", 2))
    report: str | None = cell(c.text("its own report, beside this table; null: none was written", nullable=True))
    notes: str | None = cell(c.text("warnings that belong to its figures", nullable=True))
    error: str | None = cell(c.text("why it failed: every fault of its file", nullable=True))

    @property
    def is_proven(self) -> bool:
        """Whether its answer is proven to the gap asked for, or that there is none."""
        ended = self.termination
        return ended is not None and Termination(ended) in (
            Termination.OPTIMAL,
            Termination.GAP,
            Termination.INFEASIBLE,
        )


GRIDS = columns_of(FleetRow)


@dataclass(frozen=True, slots=True)
class RankedGroup:
    """A group of switchings of a grid of the fleet.

    Attributes:
        grid: its name. group: the switchings. chosen: whether it is among those to be done.
    """

    grid: str
    group: SwitchGroup
    chosen: bool


class FleetResult(
    Result,
    study="reconfigure-fleet",
    subject="name of the fleet, which is that of its folder",
    also=(
        *("grid_count", "solved", "kept", "failed", "not_run", "proven", "loss_before_kw", "loss_kw", "saving_kw"),
        *("gap_percent", "changes", "operations", "chosen_kw"),
    ),
    more=WORTH_KEYS,
    frames={"grids": GRIDS, "switchings": SWITCHINGS},
):
    """The answer of `reconfigure_fleet`: a row a grid. All is in the folder `out` as well.

    Attributes:
        out: the folder. rows: what is known of each grid, in the order asked.
        ranked: the groups of switchings of all grids (`openpoint.studies.reconfigure.answer`), those that save
            most per operation first, and which of them are chosen.
        worth: what losses are worth, where that was given.
        interrupted: whether Ctrl-C ended the run; the grids that it did not come to are `not run`.
    """

    out: Path
    rows: tuple[FleetRow, ...]
    method: str = figure("the method that was named, or that each grid has its own")
    workers: int = figure("processes that solved grids")
    seconds: float = figure("of the run, in wall time")
    ranked: tuple[RankedGroup, ...]
    worth: Worth | None = None
    interrupted: bool = False
    notes: tuple[str, ...] = figure("warnings that belong to the fleet", default=())

    @property
    def subject(self) -> str:
        return self.out.resolve().name

    @property
    def grids(self) -> pl.DataFrame:
        """A row a grid: today, the answer, what it saves, its gap, why it ended, or its error."""
        return c.frame(GRIDS, map(asdict, self.rows))

    @property
    def grid_count(self) -> int:
        """Grids asked about."""
        return len(self.rows)

    @property
    def solved(self) -> int:
        """Grids solved in this run."""
        return self._count(SOLVED)

    @property
    def kept(self) -> int:
        """Grids that an earlier run had finished."""
        return self._count(KEPT)

    @property
    def failed(self) -> int:
        """Grids that failed."""
        return self._count(FAILED)

    @property
    def not_run(self) -> int:
        """Grids that the run did not come to."""
        return self._count(NOT_RUN)

    @property
    def proven(self) -> int:
        """Grids whose answer is proven, to the gap asked for."""
        return sum(row.is_proven for row in self.rows)

    @property
    def infeasible(self) -> int:
        """Grids of which it is proven that no state keeps the limits; they are among the proven."""
        return sum(row.termination == Termination.INFEASIBLE.value for row in self.rows)

    @property
    def loss_before_kw(self) -> float:
        """Loss today, of all grids where today's loss and an answer are known."""
        return _total(row.loss_before_kw for row in self.rows if row.saving_kw is not None)

    @property
    def loss_kw(self) -> float:
        """Loss of the answers of the same grids."""
        return _total(row.loss_kw for row in self.rows if row.saving_kw is not None)

    @property
    def saving_kw(self) -> float:
        """What the answers save of the losses of today."""
        return _total(row.saving_kw for row in self.rows)

    @property
    def gap_percent(self) -> float | None:
        """Greatest gap of all answers; None where that of one is not known."""
        gaps = [row.gap_percent for row in self.rows if row.loss_kw is not None]
        known = [gap for gap in gaps if gap is not None]
        return max(known) if known and len(known) == len(gaps) else None

    @property
    def changes(self) -> int:
        """Branches to close or to open in all grids."""
        return sum(row.changes or 0 for row in self.rows)

    @property
    def switchings(self) -> pl.DataFrame:
        """The groups of switchings of all grids, those that save most per operation first; which of them are chosen."""
        rows, count, saved = list[dict[str, object]](), 0, 0.0
        for rank, each in enumerate(self.ranked, 1):
            group = each.group
            row = {**group.row, "rank": rank, "grid": each.grid}
            if each.chosen:
                count, saved = count + group.operations, saved + group.saving_kw
                row |= {"operations_so_far": count, "saving_so_far_kw": saved}
            rows.append(row)
        return c.frame(SWITCHINGS, rows)

    @property
    def operations(self) -> int:
        """Switch operations chosen."""
        return sum(each.group.operations for each in self.ranked if each.chosen)

    @property
    def chosen_kw(self) -> float:
        """What they save."""
        return sum(each.group.saving_kw for each in self.ranked if each.chosen)

    @property
    def exit_code(self) -> int:
        """That of the command: 130 after Ctrl-C, 2 where a grid failed, else the greatest of the grids."""
        if self.interrupted:
            return Termination.INTERRUPTED.exit_code
        if self.failed:
            return 2
        return max((Termination(row.termination).exit_code for row in self.rows if row.termination), default=0)

    @property
    def hint(self) -> str:
        return f"All grids: {self.out / 'index.html'}"

    @property
    def headline(self) -> str:
        return f"{self.subject}: {self.in_short}"

    @property
    def in_short(self) -> str:
        counts = ((self.solved, SOLVED), (self.kept, "kept of an earlier run"), (self.failed, FAILED))
        texts = [f"{number} {word}" for number, word in (*counts, (self.not_run, NOT_RUN)) if number]
        none = f"; in {self.infeasible} of them nothing keeps the limits" if self.infeasible else ""
        return f"{count_words(self.grid_count, 'grid') or 'no grid'} ({', '.join(texts)}), {self.proven} proven{none}."

    def facts(self) -> dict[str, str]:
        gap = "not known" if self.gap_percent is None else f"{self.gap_percent:.4f} % at most"
        losses = f"{in_kw(self.loss_before_kw)} → {in_kw(self.loss_kw)}"
        return {"grids": str(self.grid_count), "failed": str(self.failed), "loss": losses, "gap": gap}

    def _special_values(self) -> dict[str, Any]:
        return dict(Worth(0.0).values(None) if self.worth is None else self.worth.values(self.saving_kw))

    def _count(self, status: str) -> int:
        return sum(row.status == status for row in self.rows)


def ranked(found: Mapping[str, Sequence[SwitchGroup]], most: int | None) -> tuple[RankedGroup, ...]:
    """The groups of switchings of all grids, what saves most per operation first, with a choice of them.

    Chosen is each in turn that still fits into `most` operations, and whose grid has all before it.

    Args:
        found: the switch groups by name of the grid. most: operations; None = any number.
    """
    every = [(name, group) for name, groups in found.items() for group in groups]
    every.sort(key=lambda each: -each[1].saving_per_operation_kw)  # stable: the groups of a grid keep their order
    count, ended, rows = 0, set[str](), list[RankedGroup]()
    for name, group in every:
        if most is not None and count + group.operations > most:
            ended.add(name)
        chosen = name not in ended
        count += group.operations if chosen else 0
        rows.append(RankedGroup(name, group, chosen))
    return tuple(rows)


def _total(values: Iterable[float | None]) -> float:
    return float(sum(value for value in values if value is not None))
