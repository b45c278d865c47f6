"""What a user of partitioning gives besides the grid: costs, priorities of loads, the size of deviations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, final

import dataframely as dy

from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.arguments import of_kind
from openpoint.grid.files import table_from_files
from openpoint.grid.table_text import table_from_rows
from openpoint.io.workbook import read as workbook

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
        for name, value in (
            ("block_weight", self.block_weight),
            ("load_weight", self.load_weight),
            *(("priority", value) for value in self.priorities.values()),
            *(("generation_usd_per_kwh", value) for value in prices),
        ):
            if not (math.isfinite(value) and value >= 0.0):
                raise OptionError(f"{name} is {value:g}; give 0 or more")
        if self.weigh not in ("kw", "block"):
            raise OptionError(f"weigh is {self.weigh!r}; give kw or block")
        if self.priorities and self.weigh == "block":
            raise OptionError("priorities are factors on kW, which weigh='block' does not count; use weigh='kw'")


def check_uncertainty(uncertainty: float) -> None:
    """Refuse what is no share of a load.

    Raises:
        OptionError: out of range.
    """
    if not (math.isfinite(uncertainty) and 0.0 <= uncertainty <= 1.0):
        raise OptionError(f"uncertainty is {uncertainty:g}; give a share of the load from 0 to 1, such as 0.15")


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
    try:
        content = file.read_bytes()
        if name.endswith(workbook.ENDINGS):
            rows = workbook.only_sheet(content, file.name, "priorities")
            frame, faults = table_from_rows("priorities", rows, file.name, Priorities)
        else:
            frame, faults = table_from_files(file.stem, {name: content}, Priorities)
    except OSError as error:
        message = f"it cannot be read: {error.strerror or error}"
        raise InputError([Problem(str(file), "", "", message, "Check the path and its rights")]) from error
    first: dict[str, int] = {}
    for n, (load, priority) in enumerate(frame.iter_rows(), start=1):
        if (before := first.setdefault(load, n)) != n:
            message = f"{load} stands in row number {before}, too"
            faults.append(Problem(file.name, f"number {n}", "load", message, "Keep one of the rows"))
        if not (math.isfinite(priority) and priority >= 0.0):
            message, remedy = f"a priority of {priority:g}", "Give 0 or more; 1 is that of all other loads"
            faults.append(Problem(file.name, f"number {n}", "priority", message, remedy))
    if faults:
        raise InputError(faults)
    return dict(frame.iter_rows())
