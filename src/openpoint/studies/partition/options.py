"""What partitioning is asked beside its grid, checked in one place; costs, and priorities of loads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Literal, final

import dataframely as dy
import numpy as np

from openpoint.arguments import Names, Solves, all_checked, names_of, not_negative, of_kind
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.files import table_from_files
from openpoint.grid.table_files import table_from_rows
from openpoint.inputs import content_of
from openpoint.io.workbook import read as workbook
from openpoint.network.limits import Limits
from openpoint.twostage.methods.benders import Benders
from openpoint.twostage.methods.ccg import ColumnAndConstraint
from openpoint.twostage.methods.extensive import ExtensiveForm

Method = ColumnAndConstraint | ExtensiveForm | Benders

BLOCK_USD = 1000.0
"""$ that a weight of 1 makes of a whole block, where blocks are weighed as published."""


@final
@dataclass(frozen=True, kw_only=True)
class PartitionCosts:
    """What counts, for an hour of operation.

    A block of n loads has the weight block_weight + load_weight · n, that of the publication, in $ for each kW that is
    not served (`weigh="kw"`), or in 1000 $ for the whole block as there (`weigh="block"`). The latter sheds large
    blocks as readily as small ones.

    Attributes:
        block_weight, load_weight: see above.
        weigh: kw or block.
        priorities: factors on the kW of named loads, 1 where none is given (`weigh="kw"` only).
        generation_usd_per_kwh: of every generator, or by name.
    """

    block_weight: float = 10.0
    load_weight: float = 0.01
    weigh: Literal["kw", "block"] = "kw"
    priorities: Mapping[str, float] = field(default_factory=dict)
    generation_usd_per_kwh: float | Mapping[str, float] = 0.3

    def __post_init__(self) -> None:
        of_kind(self.priorities, Mapping, "priorities", "factors by load, such as {'hospital': 5.0}")
        given = self.generation_usd_per_kwh
        prices = given.values() if isinstance(given, Mapping) else (given,)
        figures = (
            ("block_weight", self.block_weight),
            ("load_weight", self.load_weight),
            *(("priority", value) for value in self.priorities.values()),
            *(("generation_usd_per_kwh", value) for value in prices),
        )
        all_checked(*(partial(not_negative, *each) for each in figures), self._check_weigh)

    def _check_weigh(self) -> None:
        if self.weigh not in ("kw", "block"):
            raise OptionError(f"weigh is {self.weigh!r}; give kw or block")
        if self.priorities and self.weigh == "block":
            raise OptionError("priorities are factors on kW, which weigh='block' does not count; use weigh='kw'")


@final
@dataclass(frozen=True, kw_only=True)
class PartitionOptions:
    """The arguments of `openpoint.partition` and `openpoint.partition_steps` about the answer and the way to it.

    Attributes:
        levels: of `openpoint.partition_levels`, in place of the uncertainty.
        max_actions, keep_energised: of several steps.

    Raises:
        OptionError: with all that is wrong.
    """

    uncertainty: float = 0.0
    levels: float | Iterable[float] = ()
    uncertain_loads: Literal["all"] | int | Names = "all"
    most_deviating: int | None = None
    ramp: float = 0.3
    max_grid_forming: int = 1
    max_actions: int | None = None
    keep_energised: bool = False
    costs: PartitionCosts | None = None
    limits: Limits | None = None
    method: Method | None = None

    def __post_init__(self) -> None:
        all_checked(
            lambda: check_uncertainty(self.uncertainty),
            lambda: object.__setattr__(self, "levels", levels_of(self.levels)),  # an iterator is read once
            self._as_loads,
            self._check_most_deviating,
            self._check_ramp,
            self._check_max_grid_forming,
            self._check_max_actions,
            self._check_costs,
            lambda: Limits.given(self.limits),
            self._check_method,
        )

    def _as_loads(self) -> None:
        given = self.uncertain_loads
        if isinstance(given, bool) or not isinstance(given, str | int | np.integer):
            object.__setattr__(self, "uncertain_loads", names_of(given, "uncertain_loads"))

    def _check_most_deviating(self) -> None:
        if self.most_deviating is not None:
            of_kind(self.most_deviating, Real, "most_deviating", "0 or more loads")
            if self.most_deviating < 0:
                raise OptionError(f"most_deviating is {self.most_deviating}; give 0 or more loads")

    def _check_ramp(self) -> None:
        of_kind(self.ramp, Real, "ramp", "a share of the capacity from 0 to 1, such as 0.3")
        if not (math.isfinite(self.ramp) and 0.0 <= self.ramp <= 1.0):
            raise OptionError(f"ramp is {self.ramp:g}; give a share of the capacity from 0 to 1, such as 0.3")

    def _check_max_grid_forming(self) -> None:
        of_kind(self.max_grid_forming, Real, "max_grid_forming", "1 or more generators")
        if self.max_grid_forming < 1:
            raise OptionError(f"max_grid_forming is {self.max_grid_forming}; every island needs at least 1")

    def _check_max_actions(self) -> None:
        if self.max_actions is not None:
            of_kind(self.max_actions, Real, "max_actions", "0 or more, or leave it out for no limit")
            if self.max_actions < 0:
                raise OptionError(f"max_actions is {self.max_actions}; give 0 or more, or leave it out for no limit")

    def _check_costs(self) -> None:
        if self.costs is not None:
            of_kind(self.costs, PartitionCosts, "costs", "PartitionCosts()")

    def _check_method(self) -> None:
        if self.method is not None:
            advice = "ColumnAndConstraint(), Benders(relaxation=False) or ExtensiveForm()"
            of_kind(self.method, Solves, "method", advice)


def check_uncertainty(uncertainty: float) -> None:
    """Refuse what is no share of a load.

    Raises:
        OptionError: out of range.
    """
    of_kind(uncertainty, Real, "uncertainty", "a share of the load from 0 to 1, such as 0.15")
    if not (math.isfinite(uncertainty) and 0.0 <= uncertainty <= 1.0):
        raise OptionError(f"uncertainty is {uncertainty:g}; give a share of the load from 0 to 1, such as 0.15")


def levels_of(levels: float | Iterable[float]) -> tuple[float, ...]:
    """The levels of uncertainty, each once, the lowest first; a single number is one.

    Raises:
        OptionError: something that is no number, or out of range.
    """
    given = tuple(levels) if isinstance(levels, Iterable) and not isinstance(levels, str) else (levels,)
    if wrong := [level for level in given if not isinstance(level, Real)]:
        raise OptionError(f"levels has {wrong[0]!r}, which is no number; give shares of the load, such as [0.0, 0.15]")
    all_checked(*(partial(check_uncertainty, level) for level in given))
    return tuple(sorted(set(map(float, given))))


class Priorities(dy.Schema):
    """Priorities: factors on the cost of a kW that is not served; loads that are not named have 1."""

    load = dy.String(nullable=False, metadata={"doc": "load", "unit": ""})
    priority = dy.Float64(nullable=False, metadata={"doc": "factor, 0 or more", "unit": ""})


def read_priorities(file: str | Path) -> dict[str, float]:
    """The priorities in a CSV, Parquet or Excel file with the columns load and priority.

    Raises:
        InputError: with every fault; names that no load of a grid has are found by the study.
    """
    file = Path(file)
    name = f"{file.stem}{file.suffix.lower()}"
    if not name.endswith((".csv", ".parquet", *workbook.ENDINGS)):
        remedy = "Give a .csv, .parquet or .xlsx file"
        raise InputError([Problem(str(file), "", "", "priorities are no such file", remedy)])
    content = content_of(file)
    if name.endswith(workbook.ENDINGS):
        rows = workbook.only_sheet(content, file.name, "priorities")
        frame, faults = table_from_rows("priorities", rows, file.name, Priorities)
    else:
        frame, faults = table_from_files(file.stem, {name: content}, Priorities)
    first: dict[str, int] = {}
    for n, (load, priority) in enumerate(frame.iter_rows(), start=1):
        if load is not None and (before := first.setdefault(load, n)) != n:
            message = f"{load} stands in row number {before}, too"
            faults.append(Problem(file.name, f"number {n}", "load", message, "Keep one of the rows"))
        if priority is not None and not (math.isfinite(priority) and priority >= 0.0):
            message, remedy = f"a priority of {priority:g}", "Give 0 or more; 1 is that of all other loads"
            faults.append(Problem(file.name, f"number {n}", "priority", message, remedy))
    if faults:
        raise InputError(faults)
    return dict(frame.iter_rows())
