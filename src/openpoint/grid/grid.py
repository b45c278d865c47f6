"""Grid: a distribution grid as immutable tables, one for each kind of component."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import polars as pl

from openpoint.arguments import Names, names_of, of_kind
from openpoint.errors import InputError, OptionError, Problem, grouped, refuse_unknown
from openpoint.grid.conform import Read, fill
from openpoint.grid.profiles import FileProfiles
from openpoint.grid.schemas import BRANCH_TABLES, SCHEMAS, may_operate


@dataclass(frozen=True, eq=False)
class Grid:
    """A distribution grid: one Polars table per kind of component, names as keys, units in the column names.

    Build one with `openpoint.read` (a file, a folder, a built-in name) or `Grid.from_tables`. A Grid may hold faulty
    data: `problems` lists all faults at once, `check` raises them.

    Attributes:
        name: short name of the grid.
        buses, lines, switches, transformers, sources, loads, generators, capacitors: the tables; the columns are
            those of `openpoint.grid.schemas`.
        title: one line for people.
        source: where the data come from.
        notes: doubts met while reading (warnings); shown to the user, never silently dropped.
        origin: the text of the pandapower net or of the input data of power-grid-model that was read; else empty.
        profiles: time series in the file; None where it has none.
    """

    name: str
    buses: pl.DataFrame
    lines: pl.DataFrame
    switches: pl.DataFrame
    transformers: pl.DataFrame
    sources: pl.DataFrame
    loads: pl.DataFrame
    generators: pl.DataFrame
    capacitors: pl.DataFrame
    title: str = ""
    source: str = ""
    notes: tuple[Problem, ...] = field(default=())
    origin: str = field(default="", repr=False)
    profiles: FileProfiles | None = field(default=None, repr=False)

    @classmethod
    def from_tables(
        cls,
        name: str,
        tables: Mapping[str, pl.DataFrame | Mapping[str, Any] | Iterable[Mapping[str, Any]]],
        *,
        title: str = "",
        source: str = "",
        notes: Iterable[Problem] = (),
        origin: str = "",
    ) -> Grid:
        """A grid from tables; absent tables are empty, absent optional columns take the default of the schema.

        Args:
            name: short name of the grid.
            tables: per kind a Polars frame, a mapping column -> values, or an iterable of row mappings.
            title: one line for people.
            source: where the data come from.
            notes: warnings to keep with the grid.
            origin: the text that a net of another program is made from again.

        Raises:
            InputError: unknown tables or columns, missing columns, values of the wrong type; all of them at once, with
                other faults as far as they can be found.
            OptionError: no mapping of tables.
        """
        from openpoint.grid.conform import conform

        of_kind(tables, Mapping, "tables", f"a mapping of {', '.join(SCHEMAS)} to tables")
        read = {kind: conform(kind, tables.get(kind)) for kind in SCHEMAS}
        strange = [
            Problem(kind, "", "", "unknown table", f"The tables of a grid are {', '.join(SCHEMAS)}")
            for kind in tables
            if kind not in SCHEMAS
        ]
        if faults := [*strange, *(fault for _, found in read.values() for fault in found)]:
            # A strange table may be any of those that are absent.
            known = {kind: (frame, found if kind in tables else strange) for kind, (frame, found) in read.items()}
            raise InputError([*faults, *more_faults(known)])
        frames = {kind: frame for kind, (frame, _) in read.items()}
        return cls(name, **frames, title=title, source=source, notes=tuple(notes), origin=origin, profiles=None)

    def tables(self) -> dict[str, pl.DataFrame]:
        """The tables by kind, in the order of the schemas."""
        return {
            "buses": self.buses,
            "lines": self.lines,
            "switches": self.switches,
            "transformers": self.transformers,
            "sources": self.sources,
            "loads": self.loads,
            "generators": self.generators,
            "capacitors": self.capacitors,
        }

    def branches(self) -> pl.DataFrame:
        """Lines, switches and transformers in one table, in this order: the order of branches everywhere.

        Columns: kind, name, from_bus, to_bus, phases, switchable (and not locked), closed, remote, locked_reason.
        """
        return self._branches.clone()  # a frame can be changed in place

    @cached_property
    def _branches(self) -> pl.DataFrame:
        # Cached: every study asks for it several times.
        columns: list[str | pl.Expr] = ["name", "from_bus", "to_bus", "phases", may_operate(), "closed"]
        columns += ["remote", "locked_reason"]
        return pl.concat([self.tables()[kind].select(pl.lit(kind).alias("kind"), *columns) for kind in BRANCH_TABLES])

    def with_tables(self, **tables: pl.DataFrame) -> Grid:
        """A copy with the named tables replaced.

        Raises:
            InputError: as `from_tables`.
        """
        tables = {**self.tables(), **tables}
        given: dict[str, Any] = {key: getattr(self, key) for key in ("title", "source", "notes", "origin")}
        return replace(Grid.from_tables(self.name, tables, **given), profiles=self.profiles)

    def with_closed(self, closed: Mapping[str, bool]) -> Grid:
        """A copy in which the named branches are closed (True) or open (False).

        Raises:
            InputError: a name that is no branch.
            OptionError: no mapping of names to True or False.
        """
        advice = "a mapping of names to True or False, such as {'33': True, '7': False}"
        of_kind(closed, Mapping, "closed", advice)
        if wrong := [name for name, value in closed.items() if value not in (True, False)]:
            raise OptionError(f"closed has {closed[wrong[0]]!r} for {wrong[0]!r}; give {advice}")
        refuse_unknown("branches", closed, self.branches()["name"])
        tables = self.tables()
        state = {
            kind: tables[kind].with_columns(
                pl.Series(
                    "closed",
                    [closed.get(n, c) for n, c in tables[kind].select("name", "closed").iter_rows()],
                    dtype=pl.Boolean,
                )
            )
            for kind in BRANCH_TABLES
        }
        return replace(self, lines=state["lines"], switches=state["switches"], transformers=state["transformers"])

    def with_switchable(self, names: Names) -> Grid:
        """A copy in which the named branches may be opened or closed by a decision.

        Readers never mark a transformer as switchable, although it has breakers; with this it can be made so.

        Args:
            names: a name of a branch, or several.

        Raises:
            InputError: a name that is no branch, or one of a branch that is locked.
            OptionError: something that is no name.
        """
        chosen = set(names_of(names, "names"))
        refuse_unknown("branches", sorted(chosen), self.branches()["name"])
        refuse_locked(self, chosen)
        may = pl.col("switchable") | pl.col("name").is_in(list(chosen))
        tables = {kind: self.tables()[kind].with_columns(switchable=may) for kind in BRANCH_TABLES}
        return replace(self, lines=tables["lines"], switches=tables["switches"], transformers=tables["transformers"])

    @property
    def figure_notes(self) -> tuple[str, ...]:
        """The remarks on what changes the meaning of figures, such as units; the notes of every result include them.

        Notes of the reader, and doubts about the loads as a whole.
        """
        from openpoint.grid.rules.doubts import load_doubts

        notes = (*self.notes, *load_doubts(self))
        return tuple(str(alike) for alike in grouped(note for note in notes if note.changes_figures))

    def problems(self) -> list[Problem]:
        """All faults and doubts of the grid, errors first, then what changes the meaning of figures; empty if none."""
        return list(self._problems)

    @cached_property
    def _problems(self) -> tuple[Problem, ...]:
        # Cached: every study checks its grid, and tables do not change.
        from openpoint.grid.rules.problems import find_problems

        return tuple(find_problems(self))

    def check(self) -> Grid:
        """The grid itself if it has no errors.

        Raises:
            InputError: with all errors of `problems`.
        """
        if errors := [p for p in self.problems() if p.severity == "error"]:
            raise InputError(errors)
        return self

    def equals(self, other: Grid) -> bool:
        """Whether all tables, the name, title and source are equal (notes and profiles are not compared)."""
        mine, theirs = self.tables(), other.tables()
        return (self.name, self.title, self.source) == (other.name, other.title, other.source) and all(
            mine[kind].equals(theirs[kind]) for kind in SCHEMAS
        )

    def __repr__(self) -> str:
        return f"Grid({self.name!r}: {', '.join(self._counts())})"

    def _counts(self) -> list[str]:
        """How much there is of every kind, in words: `33 buses`, `1 source`."""
        one = {"buses": "bus", "switches": "switch"}
        counts = {kind: frame.height for kind, frame in self.tables().items() if frame.height}
        return [f"{n} {kind if n > 1 else one.get(kind, kind.removesuffix('s'))}" for kind, n in counts.items()]

    def _repr_html_(self) -> str:
        from html import escape
        from importlib import import_module

        closed = self.branches().filter("closed").height
        rows = {
            "data": escape(self.source),
            "holds": ", ".join(self._counts()),
            "load": f"{self.loads['p_kw'].sum():,.1f} kW, {self.loads['q_kvar'].sum():,.1f} kvar",
            "branches": f"{closed} closed, {self.branches().height - closed} open",
            "doubts": f"{len(self.notes)} while reading, in <code>notes</code>" if self.notes else "",
        }
        cells = [f"<tr><td>{key}</td><td>{value}</td></tr>" for key, value in rows.items() if value]
        title = f"<p><strong>{escape(self.title or self.name)}</strong></p>"
        picture: str = import_module("openpoint.results.notebook").picture_html("picture_of_today", self)
        return f"<div>{title}<table>{''.join(cells)}</table></div>{picture}"


def more_faults(read: Mapping[str, Read]) -> list[Problem]:
    """The faults of values, references and wiring that do not follow from faults of form.

    Checks that need cells that are not known are left out.

    Args:
        read: every table of a grid, with the faults of its form.
    """
    from openpoint.grid.rules.problems import problems_of

    filled = fill(read)
    return filled.errors_elsewhere(
        problems_of(Grid("", **filled.frames, title="", source="", notes=(), origin="", profiles=None), filled.unknown)
    )


def refuse_locked(grid: Grid, names: Iterable[str]) -> None:
    """Refuse to operate branches that are locked.

    Raises:
        InputError: naming each with its table and the reason.
    """
    asked = grid.branches().filter(pl.col("name").is_in(list(names)) & (pl.col("locked_reason") != ""))
    remedy = "Leave it as it is; or, once it may be operated, empty `locked_reason`"
    if asked.height:
        rows = asked.select("kind", "name", "locked_reason").iter_rows()
        raise InputError([Problem(kind, name, "locked_reason", f"locked: {why}", remedy) for kind, name, why in rows])
