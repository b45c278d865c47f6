"""Profiles in the file of a grid: which loads and generators follow which, and their tables, read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl


@dataclass(frozen=True)
class Curve:
    """A column of a table of profiles that tells a power.

    Attributes:
        table, column: its name and that of its table. per: kW or kvar of the load or generator where it is 1.
    """

    table: str
    column: str
    per: float


@dataclass(frozen=True)
class Follower:
    """A load or generator that follows profiles of its file.

    Attributes:
        kind, name: `loads` or `generators`, and its name. profile: the name of its profile, of which columns hold
            shares of its power; empty where there is none.
        tables: those in which the profile is looked for, one after the other.
        reactive: whether its reactive power follows the profile, too.
        p, q: columns that tell its power, in place of a profile.
    """

    kind: str
    name: str
    profile: str = ""
    tables: tuple[str, ...] = ()
    reactive: bool = True
    p: Curve | None = None
    q: Curve | None = None


@dataclass(frozen=True, eq=False)
class FileProfiles:
    """What the file of a grid tells of time.

    Attributes:
        followers: what follows profiles. tables: reads them; columns of numbers, and `starts_at` where times are told.
        parts: of a net in memory, by their names in it, what `Grid.origin` leaves out: tables of profiles, controllers.
    """

    followers: tuple[Follower, ...]
    tables: Callable[[], Mapping[str, pl.DataFrame]]
    parts: Mapping[str, Any] = field(default_factory=dict)
