"""Years and their blocks as tables: what they mean, and every fault with its row."""

import contextlib
import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.errors import InputError, OptionError
from openpoint.grid.grid import Grid
from openpoint.scenarios import synthetic
from openpoint.scenarios.year.read import Blocks, Year, read_blocks, read_year


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
    with pytest.raises(OptionError, match="are stored as"):
        read_year(tmp_path / "year.txt", grid)


@pytest.mark.parametrize("name", synthetic.NAMES)
def test_the_synthetic_years(name: str, grid: Grid) -> None:
    year = read_year(name, grid)
    assert isinstance(year, Year)
    assert year.hours.sum() == pytest.approx(8760.0)
    assert len(year) == round(8760.0 / synthetic.NAMES[name])
    assert year.profile.min() >= 0.0
    assert year.profile.max(axis=0).tolist() == pytest.approx([1.0] * year.profile.shape[1])
    assert not year.notes


@pytest.fixture(scope="module")
def hours() -> Year:
    return openpoint.read_year("synthetic-hours", "civanlar16")


@pytest.fixture(scope="module")
def typical() -> Year:
    return openpoint.read_year(pl.DataFrame({"hours": [730.0] * 12, "all": [0.5] * 12}), "civanlar16")


def table(*rows: tuple[str | None, str | None, str | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["block", "start", "end"], orient="row")


SEASONS = (
    ("winter 1", "2029-01-01", "2029-04-01"),
    ("summer", "2029-04-01T00:00", "2029-10-01T00:00"),
    ("winter 2", "2029-10-01", "2030-01-01"),
)


def test_months_and_quarters_are_those_of_the_clock(hours: Year) -> None:
    months = read_blocks("monthly", hours)
    assert len(months) == 12
    assert months.names[:2] == ("2029-01", "2029-02")
    assert np.bincount(months.of).tolist() == [24 * n for n in (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)]
    quarters = read_blocks("quarterly", hours)
    assert quarters.names == ("2029 Q1", "2029 Q2", "2029 Q3", "2029 Q4")
    assert (quarters.of == months.of // 3).all()


def test_a_table_cuts_where_it_says_in_any_order(hours: Year, tmp_path: Path) -> None:
    frame = table(*SEASONS[::-1])
    seasons = read_blocks(frame, hours)
    assert seasons.names == ("winter 1", "summer", "winter 2")
    assert np.bincount(seasons.of).tolist() == [24 * n for n in (90, 183, 92)]
    file = tmp_path / "seasons.csv"
    frame.write_csv(file, separator=";")
    assert (read_blocks(file, hours).of == seasons.of).all()
    assert read_blocks(seasons, hours) is seasons


def test_times_with_an_offset_are_instants(hours: Year) -> None:
    frame = table(("a", "2029-01-01T00:00Z", "2029-07-01T02:00+02:00"), ("b", "2029-07-01", "2030-01-01"))
    assert np.bincount(read_blocks(frame, hours).of).tolist() == [24 * 181, 24 * 184]


def test_steps_without_times_are_cut_by_their_numbers(typical: Year) -> None:
    frame = pl.DataFrame({"block": ["a", "b"], "start": [1, 4], "end": [4, 13]})
    assert read_blocks(frame, typical).of.tolist() == [0] * 3 + [1] * 9


@given(st.integers(1, 12), st.lists(st.floats(0.5, 3.0), min_size=12, max_size=40))
@settings(max_examples=13, deadline=None)
def test_equal_parts_are_as_long_as_each_other_up_to_a_step(count: int, lengths: list[float]) -> None:
    given = np.array(lengths)
    none = np.empty(0, dtype=np.int64)
    steps = tuple(str(n + 1) for n in range(len(given)))
    year = Year(steps, given, (), np.zeros((len(given), 0)), (), none, none, np.empty(0, dtype=np.complex128), none)
    if given.max() >= given.sum() / count:  # a part may have no step
        with contextlib.suppress(OptionError):
            read_blocks(count, year)
        return
    blocks = read_blocks(str(count), year)
    assert len(blocks) == count
    assert (np.diff(blocks.of) >= 0).all()
    each = np.bincount(blocks.of, given, minlength=count)
    assert np.abs(each - given.sum() / count).max() <= given.max() + 1e-9


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("a", "2029-01-01", "2029-04-01"), ("b", "2029-04-02", "2030-01-01")], "number 2, start: a gap"),
        ([("a", "2029-01-01", "2029-04-02"), ("b", "2029-04-01", "2030-01-01")], "number 2, start: an overlap"),
        ([("a", "2029-04-01", "2029-01-01")], "number 1, end: block 'a' ends at 2029-01-01, not after"),
        ([("a", "2029-02-01", "2030-01-01")], "Let the first block start where the year does"),
        ([("a", "2029-01-01", "2029-12-31")], "Let the last block end where the year does"),
        ([("a", "2029-01-01", "2029-07-01T00:00"), ("b", "2029-07-01T00:00", "2029-07-01T00:20"),
          ("c", "2029-07-01T00:20", "2029-07-01T00:40"), ("d", "2029-07-01T00:40", "2030-01-01")],
         "number 3: no step of the year starts in block 'c'"),
        ([("a", "2029-01-01", "2029-04-01"), ("a", "2029-04-01", "2030-01-01")], "block 'a' stands twice"),
        ([(None, "2029-01-01", "2030-01-01")], "number 1, block: the value is missing"),
        ([("a", "new year", None)], "number 1, start: 'new year' is no time"),
        ([("a", "2029-01-01", None)], "number 1, end: the value is missing"),
    ],
)  # fmt: skip
def test_a_faulty_table_is_refused_with_row_and_remedy(
    hours: Year, rows: list[tuple[str | None, str | None, str | None]], told: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_blocks(table(*rows), hours)
    assert told in str(caught.value)


def test_all_faults_of_blocks_are_told_at_once(hours: Year) -> None:
    rows = table(
        ("a", "2029-01-01", "2029-03-01"), ("b", "2029-04-01", "2029-08-01"), ("c", "2029-07-01", "2029-09-01")
    )
    with pytest.raises(InputError) as caught:
        read_blocks(rows, hours)
    assert [each.message.split(":")[0] for each in caught.value.problems[:2]] == ["a gap", "an overlap"]
    assert "last step" in caught.value.problems[2].message


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("montly", "Did you mean monthly?"),
        ("0", "give 1 to 8760"),
        (-3, "give 1 to 8760"),
        (pl.DataFrame({"block": ["a"], "from": ["2029-01-01"], "end": ["2030-01-01"]}), "column is missing"),
        (table(), "the table has no rows"),
        (Blocks(("a",), np.zeros(12, dtype=np.int64)), "these blocks are of 12 steps"),
    ],
)
def test_what_are_no_blocks(hours: Year, source: str | int | pl.DataFrame | Blocks, told: str) -> None:
    with pytest.raises((InputError, OptionError)) as caught:
        read_blocks(source, hours)
    assert told in str(caught.value)


def test_years_without_times_have_no_months(typical: Year) -> None:
    with pytest.raises(OptionError, match="number of equal parts"):
        read_blocks("monthly", typical)
    with pytest.raises(InputError, match="no number of a step"):
        read_blocks(table(("a", "2029-01-01", "2030-01-01")), typical)
