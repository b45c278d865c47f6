"""Days as tables: read from files and from Python, scenarios; every fault at once with place and remedy."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint import Grid, InputError, OptionError, Problem
from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.network.day import DayArrays, network_of_period
from openpoint.scenarios.day.build import build_day
from openpoint.scenarios.day.faults import day_problems, equipped, grid_of_day
from openpoint.scenarios.day.schemas import DAY_SCHEMAS
from openpoint.scenarios.day.tables import Day, built_in_days, day_from_files, read_day
from openpoint.scenarios.day.uncertain import DayFutures, Uncertainty, futures_notes, read_day_futures, realisations_of
from tests.grid import small
from tests.grid.strategies import cells

PERIODS = {"period": ["a", "b", "c"], "price_usd_per_kwh": [0.1, 0.2, 0.1]}
PROFILES = {"period": ["a", "b", "c"], "sun": [0.0, 0.5, 1.0]}
PV = {"name": "pv", "bus": "18", "kind": "solar", "p_kw": 100.0, "profile": "sun"}
BATTERY = {"name": "battery", "bus": "6", "energy_kwh": 100.0, "start_kwh": 50.0, "charge_kw": 20.0}
CAR = {"name": "car", "bus": "7", "energy_kwh": 50.0, "start_kwh": 10.0, "end_kwh": 20.0, "charge_kw": 7.0}
GAS = {"name": "gas", "bus": "6", "p_kw": 0.0, "p_min_kw": 0.0, "p_max_kw": 500.0}


def day(**tables: Any) -> Day:
    return Day.from_tables(**{"periods": PERIODS, **tables})


def find_day_problems(given: Any, day: Day) -> list[Problem]:
    grid = openpoint.read(given)
    return day_problems(day, grid, equipped(grid, day))


def problems(**tables: Any) -> list[Problem]:
    return find_day_problems("baran33", day(**tables))


def told(found: list[Problem]) -> str:
    return "\n".join(map(str, found))


def test_a_sound_day_has_nothing_to_tell() -> None:
    tables = {"profiles": PROFILES, "renewables": [PV], "storages": [BATTERY], "vehicles": [CAR], "generators": [GAS]}
    units = [{"generator": "gas", "ramp_up_kw_per_h": 100.0, "p_before_kw": 250.0}]
    grid, notes = grid_of_day("baran33", day(**tables, units=units, flexible_loads=[{"shift_buses_share": 0.1}]))
    assert not notes
    assert grid.generators["name"].to_list() == ["gas"]
    assert grid.sources["price_usd_per_kwh"].item() == pytest.approx(0.4 / 3)


WRONG: list[tuple[dict[str, Any], str, str]] = [
    # Periods
    ({"periods": {"period": []}}, "periods: the table has no rows", "Give a row for each period"),
    ({"periods": {**PERIODS, "period": ["a", "b", "a"]}}, "'a' stands in row number 1, too", "Keep one"),
    (
        {"periods": {**PERIODS, "hours": [1.0, 0.0, 1.0]}},
        "periods, row b, hours: 0 is out of range",
        "more than 0 or more",
    ),
    ({"periods": {**PERIODS, "hours": [1.0, math.nan, 1.0]}}, "hours: the value is not finite", "Give a number"),
    ({"periods": {"period": ["a"]}}, "the value is missing, and source '1' of the grid has no price", "Give it here"),
    (
        {"periods": {**PERIODS, "export_price_usd_per_kwh": [0.1, 0.2, 0.11]}},
        "periods, row c, export_price_usd_per_kwh: 0.11 $/kWh is above the price, 0.1",
        "Give at most the price",
    ),
    (
        {"periods": {**PERIODS, "starts_at": ["00:00", "01:00", "04:00"]}},
        "row c, starts_at: a gap of 2 h: 04:00 is 3 h after 01:00, a period of 1 h",
        "Add the periods that are missing",
    ),
    ({"periods": {**PERIODS, "starts_at": ["00:00", "01:00", None]}}, "other periods have it", "in every row"),
    ({"periods": {**PERIODS, "starts_at": ["00:00", "01:00", "2 pm"]}}, "'2 pm' is no time", "Write 2026-03-29T01:00"),
    (
        {"periods": {**PERIODS, "starts_at": ["2026-03-29 01:00", "2026-03-29 03:00", "2026-03-29 04:00"]}},
        "a gap of 1 h as where clocks change: 2026-03-29 03:00 is 2 h after",
        "Where clocks change, write the offset from UTC",
    ),
    (
        {"periods": {**PERIODS, "starts_at": ["2026-10-25 01:00", "2026-10-25 02:00", "2026-10-25 02:00"]}},
        "an overlap of 1 h",
        "Where clocks change, write the offset from UTC",
    ),
    (
        {"periods": {**PERIODS, "starts_at": ["2026-10-25 01:00", "2026-10-25 02:00", "2026-10-25T03:00Z"]}},
        "some times have an offset from UTC and some have none",
        "such as",
    ),
    # Profiles
    (
        {"profiles": {"period": ["a", "b"], "sun": [0.0, 1.0]}, "renewables": [PV]},
        "profiles, period: rows for 2 of 3 periods; none for 'c'",
        "Give a row for every period",
    ),
    ({"profiles": {"period": ["a", "b", "c", "d"], "sun": [0.0] * 4}}, "there is no period 'd'", "Use a period"),
    ({"profiles": {"period": ["a", "b", "c", "c"], "sun": [0.0] * 4}}, "'c' stands in row number 3, too", "Keep one"),
    ({"profiles": {**PROFILES, "sun": [0.0, -0.1, 1.0]}}, "profiles, row b, sun: -0.1 is out of range", "Give 0"),
    ({"profiles": {**PROFILES, "sun": [0.0, math.inf, 1.0]}}, "row b, sun: the value is not finite", "Give a number"),
    (
        {"profiles": {**PROFILES, "sun": [0.0, 1.2, 1.0]}, "renewables": [PV]},
        "row b, sun: a share of 1.2, which 'pv' follows",
        "Give 0 to 1",
    ),
    ({"renewables": [PV]}, "renewables, row pv, profile: there is no profile 'sun'", "Use a column"),
    # Loads
    ({"load_profiles": [{"load": "34", "profile": "sun"}], "profiles": PROFILES}, "there is no load '34'", "Did you"),
    ({"flexible_loads": [{"load": "3"}, {"load": "3"}]}, "'3' stands in row number 1, too", "Keep one"),
    ({"flexible_loads": [{"load": None}, {"load": None}]}, "a row for all others stands in row", "Keep one"),
    ({"flexible_loads": [{"load": "3", "bus": "3"}]}, "the row names a load and a bus", "Keep one of the two"),
    ({"flexible_loads": [{"bus": "x"}]}, "there is no bus 'x'", "Use a bus of the grid"),
    ({"flexible_loads": [{"shed_share": 1.1}]}, "shed_share: 1.1 is out of range", "Give 0 to 1"),
    ({"flexible_loads": [{"shed_share": 0.5}]}, "shed_price_usd_per_kwh: the value is missing", "not served costs"),
    # Resources
    ({"renewables": [PV, PV], "profiles": PROFILES}, "this name is used in renewables, too", "a name of its own"),
    ({"renewables": [PV | {"kind": "hydro"}]}, "kind: 'hydro' is not known", "Write solar or wind"),
    ({"renewables": [PV | {"bus": "99"}]}, "renewables, row pv, bus: there is no bus '99'", "Did you mean '9'?"),
    ({"storages": [BATTERY], "vehicles": [CAR | {"name": "battery"}]}, "this name is used in storages, too", "own"),
    ({"storages": [BATTERY | {"start_kwh": 120.0}]}, "start_kwh: 120 kWh are more than it holds", "at most 100"),
    ({"storages": [BATTERY | {"start_kwh": 10.0, "least_kwh": 20.0}]}, "10 kWh are less than it may hold, 20", "20 or"),
    ({"storages": [BATTERY | {"charge_efficiency": 0.0}]}, "charge_efficiency: 0 is out of range", "more than 0 to 1"),
    ({"storages": [BATTERY | {"discharge_efficiency": 1.1}]}, "1.1 is out of range", "more than 0 to 1"),
    ({"storages": [BATTERY | {"charge_kw": -1.0}]}, "charge_kw: -1 is out of range", "Give 0 or more"),
    ({"storages": [BATTERY | {"energy_kwh": math.nan}]}, "energy_kwh: the value is not finite", "Give a number"),
    ({"storages": [BATTERY | {"s_max_kva": 10.0}]}, "20 kW are more than the inverter can, 10 kVA", "Correct"),
    ({"storages": [BATTERY | {"end_kwh": 99.0, "charge_kw": 5.0}]}, "99 kWh are out of reach: 50 at first", "Ask for"),
    ({"vehicles": [CAR | {"arrival": "z"}]}, "there is no arrival 'z'", "Use a period"),
    (
        {"vehicles": [CAR | {"arrival": "c", "departure": "b"}]},
        "vehicles, row car, departure: it leaves at the start of period 'b', and comes at that of 'c'",
        "one that stays over midnight is two rows",
    ),
    (
        {"vehicles": [CAR | {"arrival": "b", "departure": "c"}]},
        "end_kwh: 20 kWh are out of reach: 10 at first, 7 to gain in 1 h",
        "let it stay longer",
    ),
    (
        {"flexible_loads": [{"shed_price_usd_per_kvarh": 1.0}]},
        "shed_price_usd_per_kvarh: a price of reactive load shed, and none may be shed",
        "Give shed_share",
    ),
    # Units and limits
    ({"units": [{"generator": "gas"}]}, "there is no generator 'gas'", "Use a generator"),
    ({"units": [{"generator": "gas"}] * 2, "generators": [GAS]}, "'gas' stands in row number 1, too", "Keep one"),
    (
        {"units": [{"generator": "gas"}], "generators": [GAS | {"p_min_kw": None, "p_max_kw": None}]},
        "it is not dispatchable",
        "Give it p_min_kw",
    ),
    ({"units": [{"generator": "gas", "on_before": False}], "generators": [GAS]}, "but may_stop is false", "Write"),
    ({"units": [{"generator": "gas", "p_before_kw": 501.0}], "generators": [GAS]}, "lie outside its limits", "leave"),
    ({"units": [{"generator": "gas", "ramp_up_kw_per_h": -1.0}], "generators": [GAS]}, "-1 is out of range", "0 or"),
    ({"limits": [{"v_min_pu": 1.1, "v_max_pu": 1.0}]}, "1.1 lies above v_max_pu, 1", "Exchange them"),
    ({"limits": [{"bus": "0", "v_min_pu": 0.9}]}, "there is no bus '0'", "Did you mean '30'"),
]


@pytest.mark.parametrize(("tables", "message", "remedy"), WRONG, ids=[message for _, message, _ in WRONG])
def test_a_fault_is_told_with_its_place_and_remedy(tables: dict[str, Any], message: str, remedy: str) -> None:
    found = [problem for problem in problems(**tables) if problem.severity == "error"]
    assert message in told(found)
    assert remedy in told(found)


def test_all_faults_are_told_at_once() -> None:
    faulty: dict[str, Any] = {}
    tables = (
        {"storages": [BATTERY | {"charge_kw": -1.0, "bus": "99"}]},
        {"vehicles": [CAR | {"arrival": "c", "departure": "b"}]},
        {"limits": [{"v_min_pu": 1.1, "v_max_pu": 1.0}]},
        {"generators": [GAS | {"bus": "98"}]},
    )
    for table in tables:
        faulty |= table
    with pytest.raises(InputError) as caught:
        grid_of_day("baran33", day(**faulty))
    assert {(problem.table, problem.row, problem.column) for problem in caught.value.problems} == {
        ("generators", "gas", "bus"),
        ("storages", "battery", "charge_kw"),
        ("storages", "battery", "bus"),
        ("vehicles", "car", "departure"),
        ("limits", "number 1", "v_min_pu"),
    }


@pytest.mark.parametrize(
    ("starts", "hours", "change"),
    [
        (["2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"], 1.0, "03:00+02:00"),
        (["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00"], 1.0, "02:00+01:00"),
        (["2026-10-25T02:30+02:00", "2026-10-25T02:00+01:00", "2026-10-25T02:30+01:00"], 0.5, "02:00+01:00"),
    ],
)
def test_a_clock_change_with_offsets_is_sound_and_told(starts: list[str], hours: float, change: str) -> None:
    found = problems(periods={**PERIODS, "starts_at": starts, "hours": [hours] * 3})
    assert [problem.severity for problem in found] == ["warning"]
    assert f"{change}: the day has {3 * hours:g} hours" in told(found)


@pytest.mark.parametrize("count", [23, 24, 25])
def test_a_day_of_23_or_25_hours_is_told(count: int) -> None:
    periods = {"period": [str(k) for k in range(count)], "price_usd_per_kwh": [0.1] * count}
    found = problems(periods=periods)
    assert ([problem.severity for problem in found] == ["warning"]) == (count != 24)
    assert (f"the day has {count} hours" in told(found)) == (count != 24)


@pytest.mark.parametrize("starts", [["23:00", "00:00", "01:00"], ["2026-01-01", "2026-01-01T01", "2026-01-01 02:00"]])
def test_times_that_follow_each_other_are_sound(starts: list[str]) -> None:
    assert not problems(periods={**PERIODS, "starts_at": starts})


def test_negative_prices_are_told_and_lower_what_is_earned() -> None:
    periods = {**PERIODS, "price_usd_per_kwh": [0.1, -0.02, 0.1]}
    found = problems(periods=periods)
    assert [problem.severity for problem in found] == ["warning"]
    assert "the price is below 0 in 1 periods ('b')" in told(found)
    assert "is above the price, -0.02" in told(problems(periods={**periods, "export_price_usd_per_kwh": [0.0] * 3}))


def test_a_resource_stands_for_the_generator_of_its_name() -> None:
    grid = openpoint.read("baran33-devices")
    name, bus = grid.generators.select("name", "bus").row(0)
    battery = BATTERY | {"name": name, "bus": bus}
    ready, notes = grid_of_day(grid, day(storages=[battery]))
    assert name not in ready.generators["name"].to_list()
    assert "in place of the generator of this name" in told(list(notes))
    assert notes[0].changes_figures
    elsewhere = [battery | {"bus": "1"}]
    assert f"a generator of this name at bus '{bus}', not at '1'" in told(
        find_day_problems(grid, day(storages=elsewhere))
    )


def test_a_grid_of_three_phases_is_refused() -> None:
    with pytest.raises(OptionError, match="balanced grids"):
        grid_of_day("ieee37-microgrids", day())


def test_a_bus_that_no_source_reaches_is_told() -> None:
    grid = openpoint.read("baran33")
    lines = grid.lines.filter(~pl.col("name").is_in(["17", "36"]))  # both lines of bus 18
    with pytest.raises(InputError, match="cannot be reached from a source"):
        grid_of_day(grid.with_tables(lines=lines), day(storages=[BATTERY | {"bus": "18"}]))


def test_a_day_is_written_and_read_back(tmp_path: Path) -> None:
    built_in = read_day("baran33-day")
    built_in.write(tmp_path / "mine")
    built_in.write(tmp_path / "mine")  # an earlier day is replaced
    again = read_day(tmp_path / "mine")
    assert all(again.tables()[kind].equals(frame) for kind, frame in built_in.tables().items())
    assert read_day(again) is again
    (tmp_path / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(OptionError, match=r"letter\.txt, which is no table of a day"):
        built_in.write(tmp_path / "mine")
    assert "letter.txt: this file is not read" in told(list(read_day(tmp_path / "mine").notes))


@pytest.mark.parametrize(
    ("limits", "fault"),
    [("bus,v_min_pu\n18,low\n", "'low' is not a number"), ("bus,v_min_pu\nX,0.9\n", "there is no bus 'X'")],
)
def test_a_file_that_is_not_read_is_told_beside_the_faults(tmp_path: Path, limits: str, fault: str) -> None:
    (tmp_path / "periods.csv").write_text("period\na\n", encoding="utf-8")
    (tmp_path / "storage.csv").write_text("name\n", encoding="utf-8")
    (tmp_path / "limits.csv").write_text(limits, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        grid_of_day("baran33", read_day(tmp_path))
    assert fault in str(refused.value)
    assert "storage.csv: this file is not read" in str(refused.value)
    (tmp_path / "periods.csv").rename(tmp_path / "period.csv")
    with pytest.raises(InputError) as refused:
        read_day(tmp_path)
    for text in ("no table of the periods", "period.csv: this file is not read", "storage.csv: this file is not"):
        assert text in str(refused.value)


def test_a_table_of_nothing_but_defaults_is_not_written(tmp_path: Path) -> None:
    plain = pl.DataFrame({"bus": [None], "v_min_pu": [None]}, schema={"bus": pl.String, "v_min_pu": pl.Float64})
    day(limits=plain).write(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["periods.csv"]
    assert read_day(tmp_path).limits.is_empty()


def test_one_file_holds_the_periods(tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    file.write_text("period;hours;price_usd_per_kwh\nnoon;0,5;0,10\n", encoding="utf-8")
    assert read_day(str(file)).periods.select("hours", "price_usd_per_kwh").row(0) == (0.5, 0.1)
    built_in = read_day("baran33-day")
    built_in.periods.write_parquet(tmp_path / "day.parquet")
    assert read_day(tmp_path / "day.parquet").periods.equals(built_in.periods)


def test_a_workbook_holds_a_sheet_a_table(tmp_path: Path) -> None:
    xlsxwriter = pytest.importorskip("xlsxwriter")
    built_in = read_day("baran33-day")
    with xlsxwriter.Workbook(tmp_path / "day.xlsx") as book:
        for kind, frame in built_in.tables().items():
            sheet = book.add_worksheet(kind)
            for n, row in enumerate([frame.columns, *frame.iter_rows()]):
                sheet.write_row(n, 0, row)
    read = read_day(tmp_path / "day.xlsx")
    assert all(read.tables()[kind].equals(frame) for kind, frame in built_in.tables().items())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("baran33-dya", "Did you mean baran33-day or baran69-day?"),
        ("elsewhere", "The built-in days are baran33-day, baran69-day"),
        ("a\0b", "no such file or folder"),
    ],
)
def test_what_is_no_day_is_named(given: str, told: str) -> None:
    with pytest.raises(InputError, match=told.replace("?", r"\?")):
        read_day(given)


def test_faults_of_files_name_the_line(tmp_path: Path) -> None:
    (tmp_path / "periods.csv").write_text("period,hours\na,1\nb,long\n", encoding="utf-8")
    (tmp_path / "profiles.csv").write_text("period,sun,sun\na,1,1\n", encoding="utf-8")
    (tmp_path / "storages.csv").write_text("name,bus,power\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_day(tmp_path)
    text = told(list(caught.value.problems))
    assert "periods.csv, line 3, hours: 'long' is not a number" in text
    assert "profiles.csv, line 1, sun: the column is given more than once" in text
    assert "storages.csv, line 1, power: unknown column 'power'" in text
    with pytest.raises(OptionError, match="the day is 3; give a Day"):
        read_day(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unknown table"):
        Day.from_tables(PERIODS, batteries=[BATTERY])


SMALL = small.grid(small.tables())
SOUND = Day.from_tables(
    {"period": ["a", "b", "c"], "price_usd_per_kwh": [0.1, 0.2, 0.1], "starts_at": ["00:00", "01:00", "02:00"]},
    profiles={"period": ["a", "b", "c"], "sun": [0.0, 0.5, 1.0], "shop": [0.5, 1.0, 1.5]},
    load_profiles=[{"load": "b", "profile": "shop"}],
    generators=[{"name": "gas", "bus": "D", "p_kw": 0.0, "p_min_kw": 5.0, "p_max_kw": 90.0, "may_stop": True}],
    units=[{"generator": "gas", "start_cost_usd": 3.0, "on_before": False, "profile": "sun"}],
    renewables=[PV | {"bus": "C", "s_max_kva": 90.0}],
    storages=[BATTERY | {"bus": "B"}],
    vehicles=[CAR | {"bus": "E", "arrival": "a", "departure": "c", "back_feed_kw": 7.0}],
    flexible_loads=[{"load": "e", "shed_share": 0.5, "shed_price_usd_per_kwh": 2.0}, {"bus": "B"}, {}],
    limits=[{"v_min_pu": 0.95}],
)


@st.composite
def day_with_a_changed_cell(draw: st.DrawFn) -> Day:
    """The sound day with another value, of the right type, in one cell of one table."""
    kind = draw(st.sampled_from([kind for kind, frame in SOUND.tables().items() if frame.height]))
    frame = SOUND.tables()[kind]
    name = draw(st.sampled_from(frame.columns))
    schema = DAY_SCHEMAS[kind].columns()
    dtype = frame.schema[name]
    values = cells(dtype, nullable=name in schema and schema[name].nullable)
    if dtype == pl.String:
        values |= st.sampled_from(["A", "E", "a", "c", "sun", "shop", "gas", "b", "pv", "wind", "03:00"])
    if dtype == pl.Float64:
        values |= st.sampled_from([-1.0, 0.0, 0.3, 1.0, 60.0, 1e9])
    column = frame[name].to_list()
    column[draw(st.integers(0, frame.height - 1))] = draw(values)
    return SOUND.with_tables(**{kind: frame.with_columns(pl.Series(name, column, dtype=dtype))})


def refusal(call: Callable[[], object]) -> tuple[Problem, ...]:
    """The problems with which a call is refused; none where it is not."""
    try:
        call()
    except InputError as error:
        return error.problems
    return ()


@settings(max_examples=15)
@given(day_with_a_changed_cell())
def test_a_day_is_built_or_refused_with_reasons(found: Day) -> None:
    faults = [problem for problem in find_day_problems(SMALL, found) if problem.severity == "error"]
    assert all(problem.table and problem.message and problem.remedy for problem in faults)
    told = refusal(lambda: grid_of_day(SMALL, found))
    assert set(faults) <= set(told)
    if told:
        return
    grid, _ = grid_of_day(SMALL, found)
    shares = {"load": 0.1} | dict.fromkeys(found.renewables["kind"], 1.0)
    network = build_network(grid)
    grid_base = network.s_base_kva
    _, arrays = build_day(grid, network, found, Uncertainty.of(shares, "1/all"))
    numbers = (arrays.hours, arrays.load_power, arrays.source_price, arrays.renewables.available, arrays.uncertain.up)
    assert all(np.isfinite(values).all() for values in numbers)
    assert (arrays.export_price <= arrays.source_price).all()
    stores = arrays.stores
    assert (stores.first < stores.last).all()
    assert (stores.energy_end <= stores.energy_max).all()
    rated = found.renewables.select(pl.coalesce("s_max_kva", "p_kw")).to_series().to_numpy()
    for r, u in enumerate(arrays.uncertain.renewable):
        most = arrays.renewables.available[:, r] * (1.0 + arrays.uncertain.up[:, u])
        assert (most <= rated[r] / grid_base * (1.0 + 1e-9)).all()


@given(st.binary(max_size=60), st.sampled_from(["periods", "profiles", "storages"]))
def test_any_bytes_are_read_or_refused(content: bytes, kind: str) -> None:
    files = {"periods.csv": b"period\na\n"} | {f"{kind}.csv": content}
    assert all(problem.remedy for problem in refusal(lambda: day_from_files(files)))


def built(name: str) -> tuple[Grid, Network, DayArrays]:
    """The grid, network and arrays of a built-in day."""
    day = read_day(name)
    grid, notes = grid_of_day(name.removesuffix("-day"), day)
    assert not notes
    return grid, *build_day(grid, build_network(grid), day)


@pytest.mark.parametrize("name", built_in_days())
def test_built_in_days_are_sound(name: str) -> None:
    grid, network, arrays = built(name)
    assert arrays.periods == 24
    assert arrays.hours.sum() == 24.0
    assert not network.s_power.any()
    assert (arrays.source_price >= 0.05).all()
    assert (arrays.source_price <= 0.20).all()
    limited = ~np.isin(np.arange(network.n_terminals), network.source_terminal)
    assert network.w_min[limited] == pytest.approx(0.95**2)
    assert network.w_max[limited] == pytest.approx(1.05**2)
    assert set(arrays.uncertain.names) == set()
    assert grid.generators.height == len(network.generator_names) == len(arrays.units.start)


@pytest.mark.parametrize("name", ["baran33", "baran33-devices", "khodr70", "das70", "zhang13"])
def test_a_period_with_the_loads_of_the_grid_is_the_grid(name: str) -> None:
    """Its arrays are those of the network, bit by bit."""
    day = Day.from_tables({"period": ["now"], "price_usd_per_kwh": [0.1]})
    grid, _ = grid_of_day(name, day)
    network = build_network(grid)
    again = network_of_period(*build_day(grid, network, day), 0)
    for field in ("s_power", "s_current", "s_impedance", "p_max", "p_min"):
        assert np.array_equal(getattr(again, field), getattr(network, field))


def test_every_model_of_a_load_and_fixed_generation_are_kept() -> None:
    grid = openpoint.read("baran33")
    models = ["power", "current", "impedance", "cvr"] * 8
    loads = grid.loads.with_columns(model=np.array(models))
    wind = {"name": "wind", "bus": "7", "p_kw": 123.0, "q_kvar": 4.0}
    bank = {"name": "bank", "bus": "30", "q_kvar": 300.0}
    grid = Grid.from_tables("mixed", grid.tables() | {"loads": loads, "generators": [wind], "capacitors": [bank]})
    day = Day.from_tables({"period": ["a", "b"], "price_usd_per_kwh": [0.1, 0.1], "load_share": [1.0, 0.5]})
    ready, notes = grid_of_day(grid, day)
    assert ["the output is the same in every period" in note.message for note in notes] == [True]
    network = build_network(ready)
    bare, arrays = build_day(ready, network, day)
    whole = network_of_period(bare, arrays, 0)
    half = network_of_period(bare, arrays, 1)
    for field in ("s_power", "s_current", "s_impedance"):
        assert getattr(whole, field) == pytest.approx(getattr(network, field), abs=1e-15)
        fixed = getattr(bare, field)
        assert getattr(half, field) - fixed == pytest.approx((getattr(network, field) - fixed) / 2, abs=1e-15)


GRID = files.load("baran33")


def short_day() -> Day:
    """Two periods of the built-in day: noon and evening."""
    day = read_day("baran33-day")
    periods = day.periods[[12, 20]].with_columns(period=pl.Series(["noon", "evening"]), starts_at=pl.lit(None))
    profiles = day.profiles[[12, 20]].with_columns(period=pl.Series(["noon", "evening"]))
    nobody = {kind: day.tables()[kind].clear() for kind in ("vehicles", "storages", "units")}
    return day.with_tables(periods=periods, profiles=profiles, **nobody)


def frame(**columns: Any) -> pl.DataFrame:
    """A table of the futures a and b."""
    both = {"future": ["a", "a", "b", "b"], "period": ["noon", "evening"] * 2}
    return pl.DataFrame({**both, **columns})


def read(table: pl.DataFrame | Path) -> DayFutures:
    day = short_day()
    return read_day_futures(table, grid_of_day(GRID, day)[0], day)


def faults(table: pl.DataFrame | Path) -> list[tuple[str, str, str]]:
    """(row, column, message) of all faults."""
    with pytest.raises(InputError) as caught:
        read(table)
    return [(p.row, p.column, p.message) for p in caught.value.problems]


def test_a_quantity_scales_what_has_no_column_of_its_own() -> None:
    futures = read(
        frame(
            load=[1.1, 0.9, 1.0, 1.0],
            solar10=[0.5, 0.5, 2.0, 2.0],
            solar=[0.8, 0.2, 1.0, 1.0],
            **{"load at 6": [2.0, 1.0, 1.0, 1.0], "probability": [0.25, 0.25, 0.75, 0.75]},
        )
    )
    assert futures.names == ("a", "b")
    assert futures.probabilities.tolist() == [0.25, 0.75]
    grid, _ = grid_of_day(GRID, short_day())
    _, day = build_day(grid, build_network(grid), short_day(), futures)
    some, names = day.uncertain, day.uncertain.names
    assert dict(zip(day.renewables.names, some.renewable.tolist(), strict=True))["solar10"] == names.index("solar10")
    assert {names[q] for q in some.renewable if q >= 0} == {"solar10", "solar"}
    assert some.load[5] == names.index("load at 6")
    assert some.load[6] == names.index("load")
    assert some.load[0] == -1  # the source has no load
    assert some.reactive is None
    own = read(frame(load=[1.1, 0.9, 1.0, 1.0], **{"reactive load at 6": [2.0, 1.0, 1.0, 1.0]}))
    _, other = build_day(grid, build_network(grid), short_day(), own)
    assert other.uncertain.of_reactive[5] == 1
    assert other.uncertain.of_reactive[6] == other.uncertain.load[5] == other.uncertain.load[6] == 0
    assert other.uncertain.group == ("load", "reactive")
    days = realisations_of(futures, some)
    assert days.shape == (2, 2, 4)
    assert days[0, :, names.index("load")].tolist() == [1.1, 0.9]
    assert days[:, 1, names.index("solar")].tolist() == [1.0, 1.0]  # there is no sun in the evening
    rated = 440.0 / 360.0  # the inverter
    assert days[1, 0, names.index("solar10")] == pytest.approx(rated)
    assert futures_notes(futures, some) == (
        "solar10 exceeds the rated power of its sources in 1 rows of the futures, and ends there",
    )
    assert np.all(some.hours == 2)


def test_all_faults_at_once_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text(
        "future,period,load,solar,price,heat,probability\n"
        "a,noon,1,-1,0.1,1,0.5\n"
        "a,noon,1,1,0.1,1,0.5\n"
        "b,noon,many,1,0.1,1,-0.6\n"
        "b,night,1,,0.1,1,-0.6\n"
    )
    assert set(faults(file)) == {
        ("", "heat", "unknown column"),
        ("", "price", "the prices of a day are the same in all of its futures"),
        ("line 2, future 'a', period 'noon'", "solar", "the share is negative"),
        ("line 3, future 'a', period 'noon'", "period", "this period is given more than once in this future"),
        ("line 4, future 'b', period 'noon'", "load", "'many' is not a number"),
        ("line 5, future 'b', period 'night'", "period", "the day has no period 'night'"),
        ("line 5, future 'b', period 'night'", "solar", "value is missing"),
        ("line 4, future 'b', period 'noon'", "probability", "the probability is not between 0 and 1"),
        ("line 5, future 'b', period 'night'", "probability", "the probability is not between 0 and 1"),
        ("future 'a'", "period", "no rows for 1 of 2 periods: 'evening'"),
        ("future 'b'", "period", "no rows for 1 of 2 periods: 'evening'"),
    }


def test_a_table_without_a_quantity_says_nothing() -> None:
    assert faults(frame()) == [("", "", "no column says what differs from the forecast")]
