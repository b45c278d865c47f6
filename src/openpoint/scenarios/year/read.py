"""A year of a grid: the demands of its buses in steps, from profiles of its loads and generators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.grid.grid import Grid
from openpoint.io import GridLike, read
from openpoint.powerflow.series import StepDemand
from openpoint.scenarios.profiles import Follows, Profiles, ProfilesLike, read_profiles


@dataclass(frozen=True, eq=False)
class Year:
    """T steps of a balanced grid of N buses. The powers of loads and generators of constant power are shares that
    follow one of d profiles; what follows none follows the last profile, which is 1 in every step.

    All else is as in the grid in every step: loads of constant current and impedance, capacitors, voltages of sources.

    Attributes:
        names: (T) when the steps start, or their numbers. hours: (T) how long they are.
        profile_names: (d). profile: (T, d) values. bus_names: (N) as in `grid.buses`.
        bus, follows: (L) numbers of bus and profile of a share. kva: (L) its power p + jq at profile 1, positive
            consumption.
        notes: what changes the meaning of figures.
    """

    names: tuple[str, ...]
    hours: Floats
    profile_names: tuple[str, ...]
    profile: Floats
    bus_names: tuple[str, ...]
    bus: Ints
    follows: Ints
    kva: Complexes
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.hours)

    def __repr__(self) -> str:
        return f"Year({len(self)} steps, {self.hours.sum():g} h, {len(self.bus_names)} buses)"

    def demand(self, s_base_kva: float) -> StepDemand:
        """The demands in per unit."""
        return StepDemand(self.profile, self.bus, self.follows, self.kva / s_base_kva, len(self.bus_names))

    def total_kw(self) -> Floats:
        """(T) net active demand of all buses of constant power."""
        by_profile = np.bincount(self.follows, self.kva.real, minlength=self.profile.shape[1])
        return np.asarray(self.profile @ by_profile)


YearLike = Year | ProfilesLike
"""A `Year`, or what `read_year` takes: the path of tables, a frame, `own`, or a built-in name."""


def read_year(source: YearLike, grid: GridLike) -> Year:
    """The year of a grid. A `Year` is returned as it is.

    **The table of profiles** has a row for each step, in order. `starts_at` is when the step starts, `hours` how long
    it is; one of the two is enough, and with both each step starts when the one before ends. The steps make up a year
    of 8760 or 8784 h. Every other column is a profile: `NAME` for shares of the power in the grid (1 = that of the
    grid, active and reactive alike), `NAME_p` and `NAME_q` for shares of active and of reactive power, `NAME_p_kw` and
    `NAME_q_kvar` (or `_p_mw`, `_q_mvar`) for powers.

    **Who follows which profile** is given by the tables `load_profiles` (load, profile and, where wanted, q_profile; a
    row without a load is for all others) and `generator_profiles` (generator, profile) beside it in the folder or
    workbook. Without them a profile is for the load, the bus with all its loads, or the generator whose name it has, or
    for those to which the file of the grid gives it; one that is alone and has no such name is for all loads. Loads and
    generators that follow none keep the power that they have in the grid.

    Args:
        source: a folder with `profiles.csv` (or .parquet) and, where wanted, `load_profiles` and
            `generator_profiles`; a workbook with sheets of these names; the table of profiles alone (.csv, .parquet,
            .xlsx, or a frame); `own`, the profiles in the file of the grid (`openpoint.io.pandapower.profiles`); or
            `synthetic-hours`, `synthetic-quarters` (`openpoint.scenarios.synthetic`).
        grid: the grid, a path or a name that `read` takes.

    Raises:
        InputError: the grid or the tables have faults, with all of them; or its file has no profiles.
        OptionError: the grid has several phases.
    """
    if isinstance(source, Year):
        return source
    grid = read(grid)
    return year_of(read_profiles(source, grid), grid)


def year_of(profiles: Profiles, grid: Grid) -> Year:
    """The demands of the buses of a grid that profiles tell, in their steps."""
    number = {name: n for n, name in enumerate(grid.buses["name"])}
    rows = [
        *(("loads", 1.0, row) for row in grid.loads.iter_rows(named=True) if row["model"] == "power"),
        *(("generators", -1.0, row) for row in grid.generators.iter_rows(named=True)),
    ]
    constant = len(profiles.columns)
    shares: list[tuple[int, int, complex]] = []
    for kind, sign, row in rows:
        element, bus = (kind, row["name"]), number[row["bus"]]
        p = profiles.p.get(element, Follows(constant, row["p_kw"]))
        q = profiles.q.get(element, Follows(constant, row["q_kvar"]))
        if p.number == q.number:
            shares.append((bus, p.number, sign * complex(p.per, q.per)))
        else:
            shares += [(bus, p.number, sign * complex(p.per, 0.0)), (bus, q.number, sign * complex(0.0, q.per))]
    shares = [each for each in shares if each[2]] or shares
    return Year(
        names=profiles.names,
        hours=profiles.hours,
        profile_names=(*profiles.columns, "constant"),
        profile=np.hstack([profiles.values, np.ones((len(profiles.hours), 1))]),
        bus_names=tuple(grid.buses["name"]),
        bus=np.array([bus for bus, *_ in shares], dtype=np.int64),
        follows=np.array([follows for _, follows, _ in shares], dtype=np.int64),
        kva=np.array([kva for *_, kva in shares], dtype=np.complex128),
        notes=profiles.notes,
    )
