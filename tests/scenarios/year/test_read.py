"""Years read from tables: what they mean, and every fault with its row."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint.errors import InputError, OptionError
from openpoint.grid.grid import Grid
from openpoint.scenarios.year import read
from openpoint.scenarios.year.read import Year, read_year


@pytest.fixture(scope="module")
def grid() -> Grid:
    return openpoint.read("civanlar16")


def hourly(count: int = 8760) -> list[str]:
    first = datetime.datetime(2029, 1, 1, tzinfo=datetime.UTC)
    return [(first + datetime.timedelta(hours=n)).isoformat() for n in range(count)]


def told(source: pl.DataFrame | Path, grid: Grid) -> list[str]:
    with pytest.raises(InputError) as error:
        read_year(source, grid)
    return [str(problem) for problem in error.value.problems]


def test_one_profile_is_for_all_loads(grid: Grid) -> None:
    year = read_year(pl.DataFrame({"hours": [8000.0, 760.0], "all": [0.5, 1.0]}), grid)
    p = year.demand(1.0).rows(slice(None)).real.sum(axis=1)
    assert p.tolist() == pytest.approx([0.5 * grid.loads["p_kw"].sum(), grid.loads["p_kw"].sum()])
    assert year.names == ("1", "2")
    assert not year.notes


@pytest.mark.parametrize("factor", [100.0, 2000.0])
def test_percentages_and_kilowatts_in_place_of_shares_are_doubted_beside_the_figures(factor: float, grid: Grid) -> None:
    share = 0.5 * factor
    year = read_year(pl.DataFrame({"hours": [8000.0, 760.0], "all": [0.1, share]}), grid)
    assert [note for note in year.notes if f"profile all goes up to {share:g} times the power" in note] == [*year.notes]
    assert len(year.notes) == 1


def test_columns_are_loads_buses_or_generators_and_others_stay(grid: Grid) -> None:
    load, bus = grid.loads["name"][0], grid.loads["bus"][1]
    year = read_year(pl.DataFrame({"hours": [8760.0], load: [0.0], bus: [2.0]}), grid)
    wanted = grid.loads["p_kw"].to_numpy().copy()
    wanted[0], wanted[1] = 0.0, 2.0 * wanted[1]
    assert year.total_kw()[0] == pytest.approx(wanted.sum())
    assert "keep today's power" in year.notes[0]


def test_followers_are_told_by_tables(grid: Grid, tmp_path: Path) -> None:
    first = grid.loads["name"][0]
    (tmp_path / "profiles.csv").write_text("hours;a;b\n4380;0,5;1\n4380;1,0;0,25\n")
    (tmp_path / "load_profiles.csv").write_text(f"load;profile\n{first};a\n;b\n")
    year = read_year(tmp_path, grid)
    p = grid.loads["p_kw"].to_numpy()
    assert year.total_kw().tolist() == pytest.approx([0.5 * p[0] + p[1:].sum(), p[0] + 0.25 * p[1:].sum()])


def test_the_same_from_every_format(grid: Grid, tmp_path: Path) -> None:
    frame = pl.DataFrame({"starts_at": hourly(), "all": np.linspace(0.2, 1.0, 8760)})
    frame.write_csv(tmp_path / "year.csv")
    frame.write_parquet(tmp_path / "year.parquet")
    stamped = frame.with_columns(pl.col("starts_at").str.to_datetime("%Y-%m-%dT%H:%M:%S%:z", time_zone="UTC"))
    for source in (frame, stamped, tmp_path / "year.csv", str(tmp_path / "year.parquet")):
        year = read_year(source, grid)
        assert len(year) == 8760
        assert year.hours.tolist() == [1.0] * 8760
        assert year.profile[:, 0] == pytest.approx(frame["all"].to_numpy())
    assert read_year(year, grid) is year


def test_a_gap_and_a_step_that_is_double_are_told_with_their_rows(grid: Grid) -> None:
    starts = hourly()
    starts = starts[:100] + starts[101:200] + [starts[199]] + starts[200:]
    faults = told(pl.DataFrame({"starts_at": starts, "all": [1.0] * len(starts)}), grid)
    assert any("number 101" in fault and "a gap of 1 h" in fault for fault in faults)
    assert any("number 200" in fault and "an overlap of 1 h" in fault for fault in faults)


def test_a_clock_change_is_told_with_what_to_write(grid: Grid) -> None:
    bare = [stamp[:19] for stamp in hourly()]
    n = bare.index("2029-03-25T02:00:00")
    faults = told(pl.DataFrame({"starts_at": bare[:n] + bare[n + 1 :], "all": [1.0] * 8759}), grid)
    assert any("as where clocks change" in fault and "offset from UTC" in fault for fault in faults)


def test_a_clock_change_with_offsets_is_none(grid: Grid) -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    stamps = [datetime.datetime.fromisoformat(stamp) for stamp in hourly()]
    turned = [s.astimezone(zone) if 2000 < n < 7000 else s for n, s in enumerate(stamps)]
    frame = pl.DataFrame({"starts_at": [s.isoformat() for s in turned], "all": [1.0] * 8760})
    assert len(read_year(frame, grid)) == 8760


def test_all_faults_are_told_at_once(grid: Grid, tmp_path: Path) -> None:
    file = tmp_path / "year.csv"
    file.write_text("hours,all\n4000,\n4000,-1\n700,x\n-5,inf\n60,1\n")
    faults = told(file, grid)
    for wanted in (
        "line 2, all: the value is missing",
        "line 3, all: '-1' is out of range",
        "line 4, all: 'x' is no number",
        "line 5, hours: '-5' is out of range",
        "line 5, all: 'inf' is not finite",
    ):
        assert any(wanted in fault for fault in faults), wanted


@pytest.mark.parametrize(
    ("frame", "wanted"),
    [
        ({"starts_at": hourly(8000), "all": [1.0] * 8000}, "8000 steps have 8000 h together"),
        ({"hours": [100.0], "all": [1.0]}, "correct the column hours"),
        ({"all": [1.0]}, "nothing tells how long"),
        ({"hours": [8760.0]}, "the table has no profile"),
        ({"hours": [8760.0], "bus 5": [1.0], "nobody": [1.0]}, "no load, bus with loads or generator"),
        ({"starts_at": ["2029-01-01T00:00", "2029-01-01T01:00+00:00"], "all": [1.0, 1.0]}, "some have none"),
        ({"starts_at": ["soon", "2029-01-01T01:00"], "all": [1.0, 1.0]}, "'soon' is no time"),
    ],
)
def test_what_makes_no_year_is_told(grid: Grid, frame: dict[str, list[object]], wanted: str) -> None:
    assert any(wanted in fault for fault in told(pl.DataFrame(frame), grid))


def test_followers_that_do_not_exist_are_told(grid: Grid, tmp_path: Path) -> None:
    (tmp_path / "profiles.csv").write_text("hours,a\n8760,1\n")
    (tmp_path / "load_profiles.csv").write_text("load,profile\nnobody,a\n,b\n,a\n")
    faults = told(tmp_path, grid)
    for wanted in ("there is no load 'nobody'", "there is no profile 'b'", "stands twice"):
        assert any(wanted in fault for fault in faults), wanted


def test_a_load_of_constant_impedance_cannot_follow(grid: Grid) -> None:
    other = grid.with_tables(loads=grid.loads.with_columns(model=pl.lit("impedance")))
    assert any(
        "is of constant impedance" in fault for fault in told(pl.DataFrame({"hours": [8760.0], "a": [1.0]}), other)
    )


def test_names_and_paths_that_are_none(grid: Grid, tmp_path: Path) -> None:
    assert "Did you mean synthetic-hours?" in told(Path("synthetic-hour"), grid)[0]
    assert "no table profiles" in told(tmp_path, grid)[0]
    (tmp_path / "year.txt").write_text("x")
    assert "format of this file is not known" in told(tmp_path / "year.txt", grid)[0]
    with pytest.raises(OptionError, match="phases"):
        read_year("synthetic-hours", "ieee13")


@pytest.mark.parametrize("name", read.NAMES)
def test_the_synthetic_years(name: str, grid: Grid) -> None:
    year = read_year(name, grid)
    assert isinstance(year, Year)
    assert year.hours.sum() == pytest.approx(8760.0)
    assert len(year) == round(8760.0 / read.NAMES[name])
    assert year.profile.min() >= 0.0
    assert year.profile.max(axis=0).tolist() == pytest.approx([1.0] * year.profile.shape[1])
    assert not year.notes
