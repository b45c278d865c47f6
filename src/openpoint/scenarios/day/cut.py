"""A day that is cut out of profiles: its tables, with what loads take and what feeds in.

- Periods are the hours of the date as they are written; shorter steps are taken together, by their mean.
- Loads follow shares of their power in the grid, active and reactive power apart.
- A fixed generator that follows a profile is a renewable source without reactive power: what it feeds in is available,
  and may be curtailed. One that is dispatchable has so much of its greatest power. One that takes power at some time,
  as a battery does, rests: whoever wants it planned gives its energy in the table `storages`.
- Energy of sources that have no price costs `PRICE`.
"""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.errors import InputError, Problem, did_you_mean
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import names_in_words
from openpoint.scenarios.profiles import Element, Profiles

PRICE = 0.1
"""$/kWh where nobody tells a price: an assumption, by which only the proportions of costs count."""
WINDY = ("wind", "wp")
"""Beginnings of a name or a profile that are wind; all others count as sun."""


def date_of(text: object) -> str | None:
    """A date as it stands before the times of its steps; None where it is none."""
    if isinstance(text, datetime.date) and not isinstance(text, datetime.datetime):
        return text.isoformat()
    try:
        return datetime.date.fromisoformat(text).isoformat() if isinstance(text, str) and len(text) == 10 else None
    except ValueError:
        return None


def cut_tables(profiles: Profiles, grid: Grid, date: str) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """The tables of a day of profiles, and what to know of it.

    Raises:
        InputError: the profiles have no times, or none of this day; a load without power follows one in kW.
    """
    return _Cut(profiles, grid, date).tables()


class _Cut:
    """A day while it is cut out, with the profiles so far."""

    def __init__(self, profiles: Profiles, grid: Grid, date: str) -> None:
        self.profiles, self.grid, self.date = profiles, grid, date
        self.steps = self._steps()
        hours = [profiles.names[n][:13] + profiles.names[n][16:] for n in self.steps]
        self.starts = np.array([n for n, hour in enumerate(hours) if n == 0 or hour != hours[n - 1]], dtype=np.int64)
        self.lengths = np.add.reduceat(profiles.hours[self.steps], self.starts)
        self.columns: dict[str, Floats] = {}
        self.names: dict[bytes, str] = {}
        self.faults: list[Problem] = []
        self.notes: list[Problem] = [self._note("periods", note) for note in profiles.notes]

    def _steps(self) -> Ints:
        names = self.profiles.names
        found = np.array([n for n, name in enumerate(names) if name[:10] == self.date], dtype=np.int64)
        if not len(found):
            if names[0].isdigit():
                message, remedy = "the profiles have no times, so that no day can be cut out", "Give starts_at or time"
            else:
                message = f"the profiles have no step on this day; they go from {names[0][:10]} to {names[-1][:10]}"
                remedy = did_you_mean(self.date, sorted({name[:10] for name in names}), "Give a day between them")
            raise InputError([Problem("profiles", self.date, "", message, remedy)])
        return found

    def tables(self) -> tuple[dict[str, Any], tuple[Problem, ...]]:
        """The tables, and the notes."""
        starts = [self.profiles.names[n] for n in self.steps[self.starts]]
        periods = [name[11:16] for name in starts]
        if len(set(periods)) < len(periods):
            periods = [name[11:] for name in starts]
        tables: dict[str, Any] = {"periods": {"period": periods, "hours": self.lengths, "starts_at": starts}}
        if self.grid.sources["price_usd_per_kwh"].null_count():
            tables["periods"]["price_usd_per_kwh"] = [PRICE] * len(periods)
            message = f"a source has no price; its energy is taken to cost {PRICE:g} $/kWh in every period"
            self.notes.append(self._note("periods", message))
        tables["load_profiles"] = self._loads()
        tables |= self._generators()
        if self.faults:
            raise InputError(self.faults)
        tables["profiles"] = {"period": periods, **self.columns}
        return tables, tuple(self.notes)

    def _power(self, kind: str, row: dict[str, Any], letter: str) -> Floats:
        """(T) kW or kvar of a load or generator."""
        element: Element = (kind, row["name"])
        follows = (self.profiles.p if letter == "p" else self.profiles.q).get(element)
        values = self.profiles.power(follows, row["p_kw" if letter == "p" else "q_kvar"])[self.steps]
        hours = self.profiles.hours[self.steps]
        return np.asarray(np.add.reduceat(values * hours, self.starts) / self.lengths)

    def _share(self, kind: str, row: dict[str, Any], letter: str) -> str:
        """The name of the profile of the shares that a load or generator has of its own power."""
        own, power = row["p_kw" if letter == "p" else "q_kvar"], self._power(kind, row, letter)
        if own == 0.0 and power.any():
            message = "it has no power in the grid, and follows one in kW or kvar"
            self.faults.append(Problem(kind, row["name"], "", message, "Give it a power, of which shares are taken"))
        return self._column(np.round(power / own, 12) if own else np.ones(len(power)), f"{row['name']}_{letter}")

    def _column(self, values: Floats, name: str) -> str:
        """The name of the profile with these values, which is added where there is none."""
        known = self.names.setdefault(values.tobytes(), name)
        self.columns.setdefault(known, values)
        return known

    def _loads(self) -> list[dict[str, str]]:
        found = []
        for row in self.grid.loads.iter_rows(named=True):
            if {("loads", row["name"])} & {*self.profiles.p, *self.profiles.q}:
                p, q = (self._share("loads", row, letter) for letter in "pq")
                found.append({"load": row["name"], "profile": p, "q_profile": q})
        return found

    def _generators(self) -> dict[str, Any]:
        found: dict[str, list[dict[str, Any]]] = {"renewables": [], "units": [], "generators": []}
        unknown, reactive, resting = [], [], []
        for row in self.grid.generators.iter_rows(named=True):
            name, element = row["name"], ("generators", row["name"])
            if element not in self.profiles.p and element not in self.profiles.q:
                continue
            power = self._power("generators", row, "p")
            if any(row[limit] is not None for limit in ("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar")):
                if row["p_max_kw"] and row["p_max_kw"] > 0.0:
                    column = self._column(np.clip(power / row["p_max_kw"], 0.0, 1.0), f"{name}_p")
                    found["units"].append({"generator": name, "profile": column})
            elif power.min() < 0.0:
                resting.append(name)
                found["generators"].append({"name": name, "bus": row["bus"], "p_kw": 0.0})
            else:
                profile = self.profiles.columns[self.profiles.p[element].number] if element in self.profiles.p else ""
                words = f"{name} {profile}".lower().split()
                windy = any(word.startswith(WINDY) for word in words)
                unknown += [] if windy or any(word.startswith(("pv", "sol", "sun")) for word in words) else [name]
                reactive += [name] if self._power("generators", row, "q").any() else []
                most = max(float(power.max()), abs(row["p_kw"]))
                column = self._column(power / most if most else power, f"{name}_p")
                made = {"name": name, "bus": row["bus"], "kind": "wind" if windy else "solar", "p_kw": most}
                found["renewables"].append({**made, "profile": column})
        for names, message in (
            (unknown, "nothing tells whether these are sun or wind; they count as sun"),
            (reactive, "of these the active power is taken alone, without the reactive"),
            (resting, "these take power at times, as batteries do, and rest; to plan them, give them in storages"),
        ):
            if names:
                self.notes.append(self._note("renewables", f"{message}: {names_in_words(names)}"))
        return {kind: rows for kind, rows in found.items() if rows}

    def _note(self, table: str, message: str) -> Problem:
        return Problem(table, "", "", message, "Correct the tables of the day, if this is not meant", "warning", True)
