"""A horizon: the steps of a partition over time, the events in them, and the generators with storage, as tables.

A folder holds them as `steps.csv` and, where there are any, `events.csv`, `profiles.csv` and `storage.csv` (or
.parquet); a single file is the table of the steps.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from openpoint.arguments import path_of
from openpoint.columns import Float64, String, TableColumn, TableSchema
from openpoint.errors import InputError, Problem
from openpoint.grid.conform import RawTable, conform
from openpoint.grid.grid import Grid
from openpoint.inputs import unreadable
from openpoint.io import GridLike, read
from openpoint.scenarios.tables import Found, read_tables

EVENTS = ("fault", "open", "close", "release")


def _column(kind: type[TableColumn], doc: str, unit: str = "", *, nullable: bool = False, **default: Any) -> Any:
    return kind(nullable=nullable, metadata={"doc": doc, "unit": unit, **default})


class Steps(TableSchema):
    """Steps: spans of time, one after the other in the order of the rows."""

    step = _column(String, "name of the step, unique")
    hours = _column(Float64, "how long it is", "h", default=1.0)
    load_share = _column(Float64, "what all loads are, a share of the grid's", default=1.0)


class Events(TableSchema):
    """Events: what happens to branches at the start of a step, and lasts until another event of the branch.

    `open` and `close` hold a switchable branch in that state, `release` leaves it to the decision again. A `fault` of a
    switchable branch holds it open; that of any other branch keeps its block de-energised and all switches of the block
    open.
    """

    step = _column(String, "step at whose start it happens")
    branch = _column(String, "branch")
    event = _column(String, "fault, open, close or release")


class Profiles(TableSchema):
    """Profiles: loads that have a share of their own in a step, in place of that of the step."""

    step = _column(String, "step")
    load = _column(String, "load")
    share = _column(Float64, "what the load is, a share of the grid's")


class StoredEnergy(TableSchema):
    """Storage: generators that have an energy. Power limits and reactive power are those of the generator."""

    generator = _column(String, "dispatchable generator, such as a battery or a unit with little fuel")
    energy_kwh = _column(Float64, "the most it holds", "kWh")
    start_kwh = _column(Float64, "what it holds at the start", "kWh")
    least_kwh = _column(Float64, "the least it may hold", "kWh", default=0.0)
    end_kwh = _column(Float64, "the least at the end; empty = least_kwh", "kWh", nullable=True, default=None)
    charge_kw = _column(
        Float64, "most power of charging; empty = -p_min_kw of the generator", "kW", nullable=True, default=None
    )
    charge_efficiency = _column(Float64, "energy held for each kWh taken", default=1.0)
    discharge_efficiency = _column(Float64, "kWh delivered for each kWh held", default=1.0)


HORIZON_SCHEMAS: dict[str, type[TableSchema]] = {
    "steps": Steps,
    "events": Events,
    "profiles": Profiles,
    "storage": StoredEnergy,
}


@dataclass(frozen=True, eq=False, repr=False)
class Horizon:
    """A horizon as tables: `Steps`, `Events`, `Profiles` and `StoredEnergy`. A study checks them against its grid.

    Attributes:
        steps, events, profiles, storage: with exactly the columns of their schemas.
        notes: warnings of the reader.
    """

    steps: pl.DataFrame
    events: pl.DataFrame
    profiles: pl.DataFrame
    storage: pl.DataFrame
    notes: tuple[Problem, ...] = field(default=())

    @staticmethod
    def from_tables(
        steps: RawTable,
        *,
        events: RawTable | None = None,
        profiles: RawTable | None = None,
        storage: RawTable | None = None,
    ) -> Horizon:
        """A horizon from tables: Polars frames, mappings column -> values, or iterables of row mappings.

        Raises:
            InputError: with every column that is unknown, missing or of the wrong type.
        """
        given: Mapping[str, pl.DataFrame | Mapping[str, Any] | Iterable[Mapping[str, Any]] | None] = {
            "steps": steps,
            "events": events,
            "profiles": profiles,
            "storage": storage,
        }
        return _horizon(Found({kind: conform(kind, given[kind], schema) for kind, schema in HORIZON_SCHEMAS.items()}))

    def equipped(self, grid: GridLike) -> Grid:
        """The grid with the charging power of the storage table as the least output of its generators."""
        grid = read(grid)
        charge = {name: -most for name, most in self.storage.select("generator", "charge_kw").iter_rows() if most}
        rows = grid.generators.select("name", "p_min_kw").iter_rows()
        least = pl.Series("p_min_kw", [charge.get(name, p) for name, p in rows], dtype=pl.Float64)
        return grid.with_tables(generators=grid.generators.with_columns(least))

    def __repr__(self) -> str:
        tables = {"steps": self.steps, "events": self.events, "profiles": self.profiles, "storage": self.storage}
        return f"Horizon({', '.join(f'{name}: {frame.height}' for name, frame in tables.items() if frame.height)})"


HorizonLike = Horizon | str | os.PathLike[str]
"""What stands for a horizon: a `Horizon`, or what `read_horizon` takes, the path of a folder or of a table of steps."""


def read_horizon(path: HorizonLike) -> Horizon:
    """A horizon from a folder, or from a file with its steps. A `Horizon` is returned as it is.

    Raises:
        InputError: with every fault of every file.
        OptionError: an argument that is neither a `Horizon` nor a path.
    """
    if isinstance(path, Horizon):
        return path
    path = path_of(path, "the horizon", "a Horizon, or the path of a folder or of a table of steps")
    try:
        found = read_tables(path, HORIZON_SCHEMAS, "the steps")
    except OSError as error:
        raise InputError([unreadable(path, error)]) from error
    return _horizon(found)


def _horizon(found: Found) -> Horizon:
    if faults := found.all_faults():
        raise InputError(faults)
    return Horizon(**{kind: frame for kind, (frame, _) in found.tables.items()}, notes=tuple(found.notes))
