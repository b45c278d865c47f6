"""Profiles: the powers of loads and generators over steps of time, from tables or from the file of the grid itself.

Every reader of a year, and of what is cut or drawn of one, is this one.

**The table of profiles** has a row for each step, in order. `starts_at` is when the step starts, `hours` how long it
is. Every other column belongs to a name, and its ending says what it holds:

| column | holds |
|---|---|
| `NAME` | shares of the power in the grid, active and reactive alike |
| `NAME_p`, `NAME_q` (also `NAME_pload`, `NAME_qload`) | shares of active power, and of reactive power |
| `NAME_p_kw`, `NAME_q_kvar` (also `_p_mw`, `_q_mvar`) | powers: what a load takes, what a generator feeds in |

Where only active power is told, reactive power follows in the ratio that it has in the grid.

**Who follows which**: tables `load_profiles` (load, profile, q_profile; a row without a load is for all others) and
`generator_profiles` beside it. Without them a name is that of a load, of a bus with all its loads, or of a generator;
or that of a profile which the file of the grid gives to its loads and generators; a name that is alone and none of
these is for all loads. What follows nothing keeps the power that it has in the grid.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from openpoint.arguments import path_of
from openpoint.arrays import Floats
from openpoint.errors import InputError, Problem, did_you_mean
from openpoint.grid.balanced import has_phases
from openpoint.grid.grid import Grid
from openpoint.grid.profiles import Curve, Follower
from openpoint.io import GridLike, read
from openpoint.scenarios import synthetic
from openpoint.scenarios.steps import HOURS, LENGTHS_H, STARTS, Table, hours_of, tables_of

OWN = "own"
"""The profiles in the file of the grid."""
ProfilesLike = str | os.PathLike[str] | pl.DataFrame
"""What stands for profiles: the path of tables, a frame, `own`, or a built-in name."""
TABLES = ("profiles", "load_profiles", "generator_profiles")
_WANTED = (
    "a Year, a Polars frame, the path of a folder, a workbook or a table, the name of a built-in year, or own, the "
    "profiles in the file of the grid"
)
ENDINGS: Mapping[str, tuple[str, float | None]] = {
    "_p_kw": ("p", 1.0),
    "_p_mw": ("p", 1000.0),
    "_q_kvar": ("q", 1.0),
    "_q_mvar": ("q", 1000.0),
    "_pload": ("p", None),
    "_qload": ("q", None),
    "_p": ("p", None),
    "_q": ("q", None),
}
"""Endings of columns: whether active or reactive power, and kW or kvar at 1; None: shares of the power in the grid."""
UNLIKELY = 10.0
"""A profile that is greater than this is hardly a share of the power in the grid."""
SMALL = 0.01
"""What feeds in counts as 0 where it is negative by up to this share of its greatest value: it takes what it needs."""
FOR_ALL = ("all", "load", "loads", "demand", "profile", "profiles", "share", "factor", "load_factor")
"""Names of a profile that is alone by which it is clear that all loads follow it."""
_ALONE = (
    "profile {} is alone and has the name of no load, bus or generator, so all loads follow it: correct the name if it "
    "was meant for one, or call it all"
)
_MUCH = (
    "profile {} goes up to {:g} times the power in the grid: a profile is a share of that power (1 = as in the grid), "
    "no percentage and no kW; divide it if it is one of those, or name it with the ending _p_kw"
)
Element = tuple[str, str]
"""A load or generator: `loads` or `generators`, and its name."""


@dataclass(frozen=True)
class Follows:
    """A profile that a power follows: its number, and kW or kvar where it is 1."""

    number: int
    per: float


@dataclass(frozen=True, eq=False)
class Profiles:
    """T steps of d profiles, and what follows them; all other powers are those of the grid in every step.

    Attributes:
        names: (T) when the steps start, or their numbers. hours: (T) how long they are.
        columns: (d) names of the profiles. values: (T, d).
        p, q: of a load what it takes, of a generator what it feeds in, active and reactive.
        notes: what changes the meaning of figures.
    """

    names: tuple[str, ...]
    hours: Floats
    columns: tuple[str, ...]
    values: Floats
    p: Mapping[Element, Follows]
    q: Mapping[Element, Follows]
    notes: tuple[str, ...] = ()

    def power(self, follows: Follows | None, instead: float) -> Floats:
        """(T) kW or kvar of what follows a profile; of what follows none `instead` in every step."""
        if follows is None:
            return np.full(len(self.hours), instead)
        return np.asarray(follows.per * self.values[:, follows.number])


def read_profiles(source: ProfilesLike, grid: GridLike, *, whole_year: bool = True) -> Profiles:
    """The profiles of a grid.

    Args:
        source: a folder, a workbook or a table (see above), a frame of the table of profiles, `own`, or the name of a
            synthetic year. grid: the grid, a path or a name that `read` takes.
        whole_year: whether the steps must be a year of 8760 or 8784 h.

    Raises:
        InputError: the grid or the tables have faults, with all of them; or the grid's file has no profiles.
    """
    grid = read(grid).check()
    return _Reading(grid, _tables(source, grid), own=source == OWN if isinstance(source, str) else False).read(
        whole_year
    )


def _tables(source: ProfilesLike, grid: Grid) -> dict[str, Table]:
    if isinstance(source, pl.DataFrame):
        return {"profiles": Table("profiles", source)}
    path, name = path_of(source, "year", _WANTED), os.fspath(source)
    if name == OWN:
        return _own_tables(grid)
    try:
        if path.exists() and name:
            return tables_of(path, TABLES)
    except OSError as error:
        message = f"it cannot be read: {error.strerror or error}"
        raise InputError([Problem(str(path), "", "", message, "Check the path and its rights")]) from error
    if name in synthetic.NAMES:
        loads, generators = synthetic.followers(grid)
        shapes = synthetic.profiles(synthetic.NAMES[name])
        frames = (shapes if generators.height else shapes.drop("sun"), loads, generators)
        return {table: Table(table, frame) for table, frame in zip(TABLES, frames, strict=True)}
    near = difflib.get_close_matches(name, [*synthetic.NAMES, OWN], n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"The built-in years are {', '.join(synthetic.NAMES)}"
    raise InputError([Problem(name, "", "", "there is no such file or folder, and no built-in year", remedy)])


def _own_tables(grid: Grid) -> dict[str, Table]:
    """The tables in the file of the grid that have rows, all of the same steps."""
    remedy = "Give a table of profiles, or a file with them: a SimBench folder, or a pandapower net with net.profiles"
    if grid.profiles is None:
        raise InputError([Problem(grid.name, "", "", "the file of the grid has no profiles", remedy)])
    tables = {name: Table(f"profiles, {name}", each) for name, each in grid.profiles.tables().items() if each.height}
    if not tables:
        message = "the file of the grid names profiles, but holds no table of them"
        raise InputError([Problem(grid.name, "", "", message, remedy)])
    first = next(iter(tables.values()))
    for table in tables.values():
        if len(table) != len(first):
            message = f"it has {len(table)} steps, and {first.name} has {len(first)}"
            table.fault("", "", message, "Give all tables the same steps")
        elif table.has(STARTS) and first.has(STARTS) and table.texts(STARTS) != first.texts(STARTS):
            table.fault(
                "", STARTS, f"its times are others than those of {first.name}", "Give all tables the same steps"
            )
    return tables


@dataclass(frozen=True)
class _Entry:
    """A column that tells something of a name: `p`, `q` or both, and kW or kvar at 1; None: shares."""

    letters: str
    column: str
    per: float | None


@dataclass(frozen=True)
class _Pair:
    """The columns of a name for active and reactive power."""

    p: _Entry | None
    q: _Entry | None


class _Columns:
    """The columns of a table of profiles by the names that they belong to.

    Attributes:
        table: the table. names: of its columns of numbers. of: entries by name.
    """

    def __init__(self, table: Table, taken: Iterable[str]) -> None:
        self.table = table
        self.names = [name for name in table.frame.columns if name not in (STARTS, HOURS)]
        self.of: dict[str, list[_Entry]] = {}
        self._told: set[str] = set()
        known = set(taken)
        for column in self.names:
            self.of.setdefault(column, []).append(_Entry("pq", column, None))
            ending = next((each for each in ENDINGS if column.endswith(each) and len(column) > len(each)), None)
            if ending is not None and column not in known:
                letter, per = ENDINGS[ending]
                self.of.setdefault(column.removesuffix(ending), []).append(_Entry(letter, column, per))

    def base(self, column: str) -> str:
        """The name that a column belongs to, without its ending."""
        return next((column.removesuffix(each) for each in ENDINGS if column.endswith(each)), column)

    def pair(self, name: str) -> _Pair | None:
        """What is told of a name; a fault where it is told twice."""
        entries = self.of.get(name)
        if entries is None:
            return None
        found = {letter: [each for each in entries if letter in each.letters] for letter in "pq"}
        for word, letter in (("active", "p"), ("reactive", "q")):
            if len(found[letter]) > 1 and name not in self._told:
                self._told.add(name)
                both = " and ".join(each.column for each in found[letter])
                self.table.fault("", name, f"{both} tell its {word} power, both", "Keep one of the columns")
        return _Pair(*(found[letter][0] if found[letter] else None for letter in "pq"))


class _Reading:
    """Profiles while they are read."""

    def __init__(self, grid: Grid, tables: dict[str, Table], *, own: bool) -> None:
        self.grid, self.tables, self.own = grid, tables, own
        self.rows = {
            (kind, row["name"]): row for kind in ("loads", "generators") for row in grid.tables()[kind].to_dicts()
        }
        self.profiles = next(iter(tables.values()))
        named = {name for _, name in self.rows} | set(grid.loads["bus"])
        self.columns = {
            name: _Columns(table, () if own else named) for name, table in tables.items() if own or name == "profiles"
        }
        self.numbers: dict[tuple[str, str], int] = {}
        self.p: dict[Element, Follows] = {}
        self.q: dict[Element, Follows] = {}
        self.notes: list[str] = []
        self.in_ratio: list[str] = []
        self.shares: set[int] = set()

    def read(self, whole_year: bool) -> Profiles:
        """The profiles.

        Raises:
            InputError: with every fault.
        """
        table = self.profiles
        columns = [name for each in self.columns.values() for name in each.names]
        if not len(table) or not columns:
            message = "the table has no rows" if columns else "the table has no profile"
            table.fault("", "", message, "Give a row for each step, and a column for each profile")
        hours = self._hours(whole_year) if len(table) else None
        self._follow()
        if not (whole_year and has_phases(self.grid)):
            self._check_models()
        wanted = [(name, c) for name, each in self.columns.items() for c in each.names if not self.own]
        for key in wanted:
            self._number(*key)
        values = {key: self.columns[key[0]].table.numbers(key[1]) for key in self.numbers}
        for key, number in self.numbers.items():
            self._check_sign(key, number, values[key])
        faults = [fault for each in self.tables.values() for fault in each.faults]
        if faults:
            raise InputError(faults)
        assert hours is not None
        for (_, column), number in self.numbers.items():
            most = np.abs(values[self._key(number)]).max()
            self.notes += [_MUCH.format(column, most)] if number in self.shares and most > UNLIKELY else []
        self._note_ratio()
        names = table.texts(STARTS) if table.has(STARTS) else [str(n + 1) for n in range(len(table))]
        return Profiles(
            names=tuple(str(name) for name in names),
            hours=hours,
            columns=tuple(column if not self.own else f"{name} {column}" for name, column in self.numbers),
            values=np.stack([*values.values()], axis=1) if values else np.zeros((len(hours), 0)),
            p=self.p,
            q=self.q,
            notes=tuple(self.notes),
        )

    def _hours(self, whole_year: bool) -> Floats | None:
        table = self.profiles
        if self.own and not table.has(STARTS):
            # Tables without times in the file of a grid are years if they can be.
            whole = next((length for length in LENGTHS_H if len(table) >= length and len(table) % length == 0), None)
            if whole is not None:
                return np.full(len(table), whole / len(table))
            message = f"nothing tells how long its {len(table)} steps are"
            table.fault("", "", message, "Give a column time, or the steps of a year: 8760, 8784 or a multiple of it")
            return None
        return hours_of(table, whole_year=whole_year)

    def _number(self, table: str, column: str) -> int:
        """The number of a column, which is read."""
        return self.numbers.setdefault((table, column), len(self.numbers))

    def _key(self, number: int) -> tuple[str, str]:
        return [*self.numbers][number]

    def _follow(self) -> None:
        """Find what every load and generator follows."""
        if self.own:
            self._by_file()
        elif "load_profiles" in self.tables or "generator_profiles" in self.tables:
            self._by_tables()
        else:
            self._by_name()
        kept = [name for kind, name in self.rows if kind == "loads" and (kind, name) not in {*self.p, *self.q}]
        if kept:
            text = _some(kept)
            self.notes.append(f"these loads follow no profile and keep today's power in every step: {text}")

    def _set(self, table: str, element: Element, pair: _Pair, *, reactive: bool = True, part: float = 1.0) -> None:
        """Let a load or generator follow columns; `part`: its part of powers that are told of several."""
        row = self.rows[element]
        for letter, entry, follows, own in (
            ("p", pair.p, self.p, row["p_kw"]),
            ("q", pair.q if reactive else None, self.q, row["q_kvar"]),
        ):
            if entry is not None:
                number = self._number(table, entry.column)
                self.shares |= {number} if entry.per is None else set()
                follows[element] = Follows(number, own if entry.per is None else entry.per * part)
            elif letter == "q" and reactive and pair.p is not None and row["q_kvar"]:
                self._set_ratio(element, row)

    def _set_ratio(self, element: Element, row: Mapping[str, Any]) -> None:
        """Let reactive power follow active power."""
        if row["p_kw"]:
            self.in_ratio.append(element[1])
            self.q[element] = Follows(self.p[element].number, self.p[element].per * row["q_kvar"] / row["p_kw"])

    def _by_file(self) -> None:
        """What the file of the grid tells."""
        assert self.grid.profiles is not None
        missing: dict[tuple[str, tuple[str, ...]], list[Follower]] = {}
        for each in self.grid.profiles.followers:
            element = each.kind, each.name
            if element not in self.rows:
                continue
            if each.p is not None or each.q is not None:
                for curve, follows in ((each.p, self.p), (each.q, self.q)):
                    if curve is not None and self._has(curve, each):
                        follows[element] = Follows(self._number(curve.table, curve.column), curve.per)
                continue
            pairs = ((name, self.columns[name].pair(each.profile)) for name in each.tables if name in self.columns)
            name, pair = next(((name, pair) for name, pair in pairs if pair is not None), ("", None))
            if pair is None:
                missing.setdefault((each.profile, each.tables), []).append(each)
            else:
                self._set(name, element, pair, reactive=each.reactive)
        for (profile, tables), followers in missing.items():
            known = [base for name in tables if name in self.columns for base in self._bases(name)]
            message = (
                f"there is no profile {profile!r}, which {followers[0].kind} follow: {_some(f.name for f in followers)}"
            )
            remedy = did_you_mean(profile, known, "Add its columns, or leave the profile of these empty")
            self.profiles.faults.append(Problem(f"profiles, {tables[0]}", "", profile, message, remedy))

    def _has(self, curve: Curve, follower: Follower) -> bool:
        """Whether a curve is there; a fault where it is not."""
        known = self.columns[curve.table].names if curve.table in self.columns else []
        if curve.column in known:
            return True
        message = f"there is no column {curve.column!r}, which {follower.name!r} follows"
        self.profiles.fault("", curve.column, message, did_you_mean(curve.column, known, "Correct profile_name"))
        return False

    def _bases(self, table: str) -> list[str]:
        columns = self.columns[table]
        return list(dict.fromkeys(columns.base(name) for name in columns.names))

    def _by_tables(self) -> None:
        """What the tables of followers tell."""
        for name, what, kind in (("load_profiles", "load", "loads"), ("generator_profiles", "generator", "generators")):
            known = [who for each, who in self.rows if each == kind]
            told = dict(self._rows_of(name, what, known))
            others = told.pop("", None)
            for who in known:
                if (pair := told.get(who, others)) is not None:
                    self._set("profiles", (kind, who), pair)
        followed = {self._key(each.number)[1] for each in (*self.p.values(), *self.q.values())}
        self.notes += [f"nothing follows the profile {c}" for c in self.columns["profiles"].names if c not in followed]

    def _rows_of(self, name: str, what: str, known: list[str]) -> Iterator[tuple[str, _Pair]]:
        """Rows of a table of followers: name, "" for all others, and what it follows."""
        table = self.tables.get(name)
        if table is None:
            return
        missing = [column for column in (what, "profile") if not table.has(column)]
        for column in missing:
            table.fault(
                "", column, "column is missing", f"The columns are {what}, profile and, where wanted, q_profile"
            )
        if missing:
            return
        seen = set[str]()
        reactive = table.texts("q_profile") if table.has("q_profile") else [None] * len(table)
        for n, (who, profile, other) in enumerate(zip(table.texts(what), table.texts("profile"), reactive)):
            who = who or ""
            if who and who not in known:
                remedy = did_you_mean(who, known, f"Use a {what} of the grid")
                table.fault(table.row(n), what, f"there is no {what} {who!r}", remedy)
            if not who and what == "generator":
                table.fault(table.row(n), what, "the value is missing", "Name the generator")
            if who in seen:
                table.fault(table.row(n), what, f"{who or 'a row for all others'!r} stands twice", "Keep one row")
            seen.add(who)
            pair = self._named(table, n, "profile", profile or "")
            found = self._named(table, n, "q_profile", other) if other else None
            if pair is not None:
                yield who, pair if found is None else _Pair(pair.p, found.q or found.p)

    def _named(self, table: Table, n: int, column: str, profile: str) -> _Pair | None:
        """What a cell of a table of followers names; a fault where there is no such profile."""
        pair = self.columns["profiles"].pair(profile)
        if pair is None:
            remedy = did_you_mean(profile, self._bases("profiles"), "Use a column of the table profiles")
            table.fault(table.row(n), column, f"there is no profile {profile!r}", remedy)
        return pair

    def _by_name(self) -> None:
        """Follow the names of the columns, or the profiles that the file of the grid gives its elements."""
        columns, loads = self.columns["profiles"], [name for kind, name in self.rows if kind == "loads"]
        given = () if self.grid.profiles is None else self.grid.profiles.followers
        assigned = {(each.kind, each.name): each for each in given if each.profile}
        used = set[str]()
        buses: dict[str, list[str]] = {}
        for name, bus in self.grid.loads.select("name", "bus").iter_rows():
            buses.setdefault(bus, []).append(name)
        at = {name: bus for bus, names in buses.items() for name in names}
        for element in self.rows:
            kind, name = element
            if (pair := columns.pair(name)) is not None:
                used |= self._use(element, name, pair, used)
            elif kind == "loads" and (pair := columns.pair(at[name])) is not None:
                part = _part(self.rows, buses[at[name]], name)
                self._set("profiles", element, pair, part=part)
                used |= _columns_of(pair)
            elif element in assigned and (pair := columns.pair(assigned[element].profile)) is not None:
                self._set("profiles", element, pair, reactive=assigned[element].reactive)
                used |= _columns_of(pair)
        left = [name for name in columns.names if name not in used]
        bases = dict.fromkeys(columns.base(name) for name in left)
        if left == columns.names and len(bases) == 1 and self._for_all(next(iter(bases)), left, loads):
            return
        known = sorted({name for _, name in self.rows} | buses.keys() | {each.profile for each in assigned.values()})
        for name in left:
            base = columns.base(name)
            remedy = did_you_mean(base, known, "Name the column so, or add a table load_profiles")
            called = f"{name!r}" if base == name else f"{name!r} or {base!r}"
            self.profiles.fault("", name, f"no load, bus with loads or generator is called {called}", remedy)

    def _use(self, element: Element, name: str, pair: _Pair, used: set[str]) -> set[str]:
        """Let an element follow the columns of its name, unless others do."""
        twice = element[0] == "generators" and _columns_of(pair) & used
        if twice:
            remedy = "Tell what follows it by the tables load_profiles and generator_profiles"
            self.profiles.fault("", name, f"both a load or its bus and a generator are called {name!r}", remedy)
        else:
            self._set("profiles", element, pair)
        return _columns_of(pair)

    def _for_all(self, base: str, left: list[str], loads: list[str]) -> bool:
        """Let all loads follow the only profile, shares of a name that is none of the grid; whether they do."""
        pair = self.columns["profiles"].pair(base if base not in left else left[0])
        if pair is None or any(each is not None and each.per is not None for each in (pair.p, pair.q)):
            return False
        if base.lower() not in FOR_ALL:
            self.notes.append(_ALONE.format(base))
        for name in loads:
            self._set("profiles", ("loads", name), pair)
        return True

    def _check_models(self) -> None:
        """What follows a profile has a constant power."""
        for name, model in self.grid.loads.select("name", "model").iter_rows():
            element = "loads", name
            follows = self.p.get(element) or self.q.get(element)
            if follows is not None and model != "power":
                column = self._key(follows.number)[1]
                remedy = "Make it one of constant power, or leave it out of the profiles"
                self.profiles.fault("", column, f"load {name!r}, which follows it, is of constant {model}", remedy)

    def _check_sign(self, key: tuple[str, str], number: int, values: Floats) -> None:
        """Take the little that a generator needs itself as 0; refuse shares of a power and its like below 0."""
        table = self.columns[key[0]].table
        low = np.nan_to_num(values) < 0.0
        if not low.any():
            return
        feeds = any(
            kind == "generators" and each.number == number and each.per >= 0.0 for (kind, _), each in self.p.items()
        )
        least, most = float(values[low].min()), float(np.nanmax(values))
        if feeds and -least <= SMALL * most:
            message = (
                f"profile {key[1]}: {int(low.sum()):,} values between {least:.2g} and 0 feed nothing in, and count as 0"
            )
            self.notes.append(message)
            values[low] = 0.0
        elif not self.own and number in self.shares and (feeds or self._is_plain(key[1])):
            table.at(key[1], low.tolist(), "{} is out of range", "Give 0 or more, or powers by the ending _p_kw")

    def _is_plain(self, column: str) -> bool:
        """Whether a column is for active and reactive power alike."""
        return not any(column.endswith(ending) for ending in ENDINGS)

    def _note_ratio(self) -> None:
        if self.in_ratio:
            text = _some(self.in_ratio)
            self.notes.append(
                f"reactive power is not told of these, and follows the active in the ratio of the grid: {text}"
            )


def _columns_of(pair: _Pair) -> set[str]:
    return {each.column for each in (pair.p, pair.q) if each is not None}


def _part(rows: Mapping[Element, Mapping[str, Any]], names: list[str], name: str) -> float:
    """The part of a load in those of its bus."""
    sizes = {each: abs(rows["loads", each]["p_kw"]) for each in names}
    total = sum(sizes.values())
    return sizes[name] / total if total else 1.0 / len(names)


def _some(names: Iterable[str]) -> str:
    """Five names, and how many more there are."""
    every = list(names)
    return ", ".join(every[:5]) + (f" and {len(every) - 5} more" if len(every) > 5 else "")
