"""Profiles of tables, of nets and of folders: which power each load and generator has in each step, and every fault."""

import datetime
import pickle
import zoneinfo
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.arrays import Complexes
from openpoint.errors import InputError, OptionError
from openpoint.grid.grid import Grid
from openpoint.io.memory import net_of
from openpoint.network import build_network
from openpoint.scenarios.day.build import build_day
from openpoint.scenarios.day.faults import grid_of_day
from openpoint.scenarios.profiles import read_profiles
from openpoint.scenarios.year.read import Year, read_year

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
HOURS = 8784


@pytest.fixture(scope="module")
def grid() -> Grid:
    """Three loads at two buses, a generator and a battery."""
    return openpoint.Grid.from_tables(
        "small",
        {
            "buses": {"name": ["S", "A", "B"], "vn_kv": [20.0] * 3},
            "sources": {"name": ["S"], "bus": ["S"]},
            "lines": {
                "name": ["SA", "AB", "SB"],
                "from_bus": ["S", "A", "S"],
                "to_bus": ["A", "B", "B"],
                "r_ohm": [0.5] * 3,
                "x_ohm": [0.4] * 3,
                "switchable": [True] * 3,
                "closed": [True, True, False],
            },
            "loads": {
                "name": ["one", "two", "three"],
                "bus": ["A", "A", "B"],
                "p_kw": [300.0, 100.0, 200.0],
                "q_kvar": [90.0, 10.0, 0.0],
            },
            "generators": {"name": ["sun", "store"], "bus": ["B", "A"], "p_kw": [400.0, 50.0], "q_kvar": [40.0, 0.0]},
        },
    )


def demand(year: Year) -> Complexes:
    """(T, N) kVA."""
    return year.demand(1.0).rows(slice(None))


def told(source: pl.DataFrame | Path | str, grid: Any) -> str:
    with pytest.raises(InputError) as error:
        read_year(source, grid)
    return "\n".join(str(problem) for problem in error.value.problems)


def test_active_and_reactive_power_apart_as_shares_and_as_powers(grid: Grid) -> None:
    steps = {"hours": [4380.0, 4380.0]}
    columns = {
        "one_p": [0.5, 1.0],
        "one_q": [1.0, -0.5],
        "two_p_kw": [80.0, 40.0],
        "two_q_kvar": [8.0, -3.0],
        "three_p_mw": [0.1, 0.3],
        "sun_p_kw": [0.0, 250.0],
        "store_p_kw": [-60.0, 20.0],
    }
    year = read_year(pl.DataFrame(steps | columns), grid)
    wanted = [
        [0.0, 150.0 + 90.0j + 80.0 + 8.0j - (-60.0), 100.0 - 0.0],
        [0.0, 300.0 - 45.0j + 40.0 - 3.0j - 20.0, 300.0 - 250.0 - 25.0j],
    ]
    np.testing.assert_allclose(demand(year), wanted, atol=1e-9)
    (note,) = year.notes
    assert "follows the active in the ratio of the grid: sun" in note  # the others that are alone have none


def test_powers_of_a_bus_are_those_of_its_loads_together(grid: Grid) -> None:
    year = read_year(pl.DataFrame({"hours": [8760.0], "A_p_kw": [80.0], "A_q_kvar": [20.0], "three": [0.5]}), grid)
    assert demand(year)[0].tolist() == pytest.approx([0.0, 80.0 + 20.0j - 50.0, 100.0 - 400.0 - 40.0j])


def test_tables_of_followers_name_profiles_of_both_powers(grid: Grid, tmp_path: Path) -> None:
    (tmp_path / "profiles.csv").write_text("hours,H0_pload,H0_qload,flat,swing\n8760,0.5,0.2,1,-0.4\n")
    (tmp_path / "load_profiles.csv").write_text("load,profile,q_profile\none,H0,\ntwo,flat,swing_q\n,flat,\n")
    assert "there is no profile 'swing_q'" in told(tmp_path, grid)
    (tmp_path / "profiles.csv").write_text("hours,H0_pload,H0_qload,flat,swing_q\n8760,0.5,0.2,1,-0.4\n")
    (tmp_path / "load_profiles.csv").write_text("load,profile,q_profile\none,H0,\ntwo,flat,swing\n,flat,\n")
    (tmp_path / "generator_profiles.csv").write_text("generator,profile\nsun,flat\nstore,flat\n")
    assert demand(read_year(tmp_path, grid))[0, 1:].tolist() == pytest.approx(
        [150.0 + 18.0j + 100.0 - 4.0j - 50.0, 200.0 - 400.0 - 40.0j]
    )


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_shares_and_powers_of_any_columns_are_the_same_demand(grid: Grid, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(1, 6))
    frame, other = {"hours": [8760.0 / steps] * steps}, {"hours": [8760.0 / steps] * steps}
    wanted = np.zeros((steps, 3), dtype=np.complex128)
    rows = [(row, sign) for kind, sign in (("loads", 1), ("generators", -1)) for row in grid.tables()[kind].to_dicts()]
    for row, sign in rows:
        p, q = rng.uniform(0.1, 2.0, steps), rng.uniform(-2.0, 2.0, steps)
        frame |= {f"{row['name']}_p": p.tolist(), f"{row['name']}_q": q.tolist()}
        kw, kvar = p * row["p_kw"], q * row["q_kvar"]
        unit = ("_p_mw", "_q_mvar", 1e3) if rng.random() < 0.5 else ("_p_kw", "_q_kvar", 1.0)
        other |= {f"{row['name']}{e}": (x / unit[2]).tolist() for e, x in zip(unit, (kw, kvar))}
        wanted[:, "SAB".index(row["bus"])] += sign * (kw + 1j * kvar)
    for each in (frame, other):
        columns = [*each]
        rng.shuffle(columns)
        np.testing.assert_allclose(demand(read_year(pl.DataFrame(each).select(columns), grid)), wanted, atol=1e-8)


def test_the_little_that_wind_takes_is_left_out_with_its_number(grid: Grid) -> None:
    frame = pl.DataFrame({"hours": [4380.0, 4380.0], "all_p": [1.0, 1.0], "sun": [-0.001, 0.9]})
    columns = {"one": [1.0] * 2, "two": [1.0] * 2, "three": [1.0] * 2}
    year = read_year(frame.select("hours", "sun").with_columns(**{k: pl.Series(v) for k, v in columns.items()}), grid)
    assert any("profile sun: 1 values between -0.001 and 0 feed nothing in" in note for note in year.notes)
    assert year.profile.min() == 0.0
    assert "number 1, sun: -0.2 is out of range" in told(pl.DataFrame({"hours": [8760.0], "sun": [-0.2]}), grid)
    assert "one: -0.001 is out of range" in told(pl.DataFrame({"hours": [8760.0], "one": [-0.001]}), grid)


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        ({"one_p": [1.0], "one_p_kw": [3.0]}, "one: one_p and one_p_kw tell its active power, both"),
        ({"one": [1.0], "one_q": [1.0]}, "one: one and one_q tell its reactive power, both"),
        ({"one": [1.0], "xne_p": [1.0]}, "no load, bus with loads or generator is called 'xne_p' or 'xne'"),
        ({"one_p": [1.0], "oen_q": [1.0]}, "Did you mean 'one'?"),
        ({"one_p": [float("nan")], "one_q": [None]}, "number 1, one_p: nan is not finite"),
        ({"one_p": [float("nan")], "one_q": [None]}, "number 1, one_q: the value is missing"),
        ({"one_p": ["x"]}, "'x' is no number"),
        ({"one_p_kw": [float("inf")]}, "is not finite"),
        ({"all_p_kw": [1.0]}, "no load, bus with loads or generator is called 'all_p_kw' or 'all'"),
    ],
)
def test_columns_that_tell_nothing_or_twice_are_refused(grid: Grid, columns: dict[str, Any], wanted: str) -> None:
    assert wanted in told(pl.DataFrame({"hours": [8760.0], **columns}), grid)


def test_a_column_that_stands_twice_in_a_file_is_refused(grid: Grid, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("hours,one_p,one_p\n8760,1,1\n")
    assert "one_p: the column is given more than once" in told(tmp_path / "a.csv", grid)


def ring() -> Any:
    """A ring of pandapower with loads, a wind turbine and a battery that follow profiles, an hour a step."""
    import pandapower as pp

    net = pp.create_empty_network(name="ring")
    a, b, c = (pp.create_bus(net, 20.0, name=name) for name in "ABC")
    pp.create_ext_grid(net, a, name="up")
    for fr, to, name in ((a, b, "AB"), (b, c, "BC"), (a, c, "AC")):
        line = pp.create_line_from_parameters(net, fr, to, 5.0, 0.2, 0.12, 10.0, 0.3, name=name)
        pp.create_switch(net, fr, line, et="l", closed=name != "AC")
    pp.create_load(net, b, 1.0, 0.4, name="homes", profile="H0")
    pp.create_load(net, c, 2.0, 0.5, name="shop", scaling=0.5, profile="G0")
    pp.create_sgen(net, c, 3.0, 0.1, name="wind", profile="W")
    pp.create_storage(net, b, -0.5, 2.0, name="battery", profile="W")
    rng = np.random.default_rng(4)
    numbers = {key: rng.uniform(0.1, 1.0, HOURS) for key in ("H0_pload", "H0_qload", "G0_pload", "G0_qload", "W", "S")}
    numbers["W"][::100] = -1e-5
    net.profiles = {
        "load": _frame({key: numbers[key] for key in numbers if "load" in key}),
        "renewables": _frame({"W": numbers["W"]}),
        "powerplants": _frame({}),
        "storage": _frame({"W": numbers["S"]}),
    }
    return net


def clock() -> list[datetime.datetime]:
    """The hours of 2016 on the clock of central Europe."""
    first = datetime.datetime(2016, 1, 1, tzinfo=BERLIN).timestamp()
    return [datetime.datetime.fromtimestamp(first + 3600.0 * n, BERLIN) for n in range(HOURS)]


def _frame(columns: dict[str, Any]) -> Any:
    import pandas as pd

    return pd.DataFrame({"time": [each.strftime("%d.%m.%Y %H:%M") for each in clock()], **columns})


def folder_of(net: Any, folder: Path) -> Path:
    """The same net as a SimBench folder."""
    tables = {
        "Node": "id;type;vmSetp;vaSetp;vmR\nA;busbar;1.0;0;20\nB;node;NULL;NULL;20\nC;node;NULL;NULL;20\n"
        + "".join(f"x{n};auxiliary;NULL;NULL;20\n" for n in range(3)),
        "ExternalNet": "id;node;calc_type\nup;A;vavm\n",
        "Line": "id;nodeA;nodeB;type;length\nAB;x0;B;cable;5\nBC;x1;C;cable;5\nAC;x2;C;cable;5\n",
        "LineType": f"id;r;x;b;iMax\ncable;0.2;0.12;{10.0 * 0.3141592653589793};300\n",
        "Switch": "id;nodeA;nodeB;type;cond\nS0;A;x0;LBS;1\nS1;B;x1;LBS;1\nS2;A;x2;LBS;0\n",
        "Load": "id;node;profile;pLoad;qLoad\nhomes;B;H0;1;0.4\nshop;C;G0;1;0.25\n",
        "RES": "id;node;profile;calc_type;pRES;qRES\nwind;C;W;pq;3;0.1\n",
        "Storage": "id;node;profile;pStor;qStor\nbattery;B;W;-0.5;0\n",
    }
    folder.mkdir()
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    for name, key in (("LoadProfile", "load"), ("RESProfile", "renewables"), ("StorageProfile", "storage")):
        net.profiles[key].to_csv(folder / f"{name}.csv", sep=";", index=False)
    return folder


@pytest.mark.filterwarnings("ignore")
def test_a_net_its_file_and_its_folder_have_the_same_year(tmp_path: Path) -> None:
    import pandapower as pp

    net = ring()
    pp.to_json(net, str(tmp_path / "ring.json"))
    tables, wind = net.profiles, np.maximum(net.profiles["renewables"]["W"].to_numpy(), 0.0)
    load = {name: tables["load"][name].to_numpy() for name in tables["load"].columns if name != "time"}
    b = 1000.0 * (load["H0_pload"] + 0.4j * load["H0_qload"]) - 500.0 * tables["storage"]["W"].to_numpy()
    c = 1000.0 * (load["G0_pload"] + 0.25j * load["G0_qload"]) - 3000.0 * wind - 100.0j
    for source in (net, tmp_path / "ring.json", folder_of(net, tmp_path / "folder")):
        grid = openpoint.read(source)
        year = read_year("own", pickle.loads(pickle.dumps(grid)))
        np.testing.assert_allclose(demand(year)[:, 1:], np.stack([b, c], axis=1), rtol=1e-12)
        assert [datetime.datetime.fromisoformat(name).timestamp() for name in year.names] == [
            t.timestamp() for t in clock()
        ]
        assert year.hours.tolist() == [1.0] * HOURS
        assert [note for note in year.notes if "profile W: 88 values between -1e-05 and 0" in note] == [*year.notes]
        assert grid.with_closed({"AC": True}).profiles is grid.with_tables(loads=grid.loads).profiles is grid.profiles
    assert net.profiles["load"].shape == (HOURS, 5)  # the net stays as it is


@pytest.mark.filterwarnings("ignore")
def test_a_table_of_the_user_is_a_library_for_the_profiles_that_the_net_names() -> None:
    frame = pl.DataFrame({"hours": [8760.0], "H0_pload": [0.3], "H0_qload": [0.1], "G0": [0.5], "W": [0.2]})
    year = read_year(frame, ring())
    assert demand(year)[0, 1:].tolist() == pytest.approx([300.0 + 40.0j - 100.0, 500.0 + 125.0j - 600.0 - 100.0j])


@pytest.mark.filterwarnings("ignore")
def test_controllers_with_tables_are_read_as_data_and_others_are_named(tmp_path: Path) -> None:
    import pandapower as pp
    import pandas as pd
    from pandapower.control import ConstControl, ContinuousTapControl
    from pandapower.timeseries import DFData

    net = ring()
    del net["profiles"]
    net.load["profile"] = net.sgen["profile"] = net.storage["profile"] = None
    numbers = pd.DataFrame(np.random.default_rng(0).uniform(0.2, 1.0, (8760, 3)), columns=["a", "b", "c"])
    source = DFData(numbers)
    ConstControl(net, "load", "p_mw", element_index=[0, 1], profile_name=["a", "b"], data_source=source)
    ConstControl(net, "load", "q_mvar", element_index=1, profile_name="c", data_source=source, scale_factor=-0.5)
    ConstControl(net, "sgen", "scaling", element_index=0, profile_name="c", data_source=source)
    pp.create_transformer(net, 0, pp.create_bus(net, 0.4), "0.4 MVA 20/0.4 kV")
    ContinuousTapControl(net, 0, 1.0)
    pp.to_json(net, str(tmp_path / "net.json"))
    a, b, c = numbers.to_numpy().T
    wanted = np.stack([1000.0 * a + 400.0j - 500.0, 500.0 * b - 250.0j * c - 3000.0 * c - 100.0j * c], axis=1)
    for given_as in (net, tmp_path / "net.json"):
        grid = openpoint.read(given_as)
        np.testing.assert_allclose(demand(read_year("own", grid))[:, 1:3], wanted, rtol=1e-12)
        assert any("1 controllers are not read" in str(note) for note in grid.notes)
    assert len(net.controller) == 4
    again = net_of(openpoint.read(net), "pandapower", {})
    kinds = [type(each).__name__ for each in again.controller["object"]]
    assert kinds == ["ConstControl"] * 3 + ["ContinuousTapControl"]


@pytest.mark.filterwarnings("ignore")
def test_faults_of_the_profiles_of_a_net_are_told_at_once() -> None:
    net = ring()
    net.load.loc[0, "profile"] = "H1"
    net.profiles["renewables"] = net.profiles["renewables"].iloc[:-1]
    net.profiles["load"].loc[7, "G0_qload"] = np.nan
    faults = told("own", net)
    assert "there is no profile 'H1', which loads follow: homes" in faults
    assert "Add its columns, or leave the profile of these empty" in faults
    assert "profiles, renewables: it has 8783 steps, and profiles, load has 8784" in faults
    assert "profiles, load, row number 8, G0_qload: nan is not finite" in faults
    bare = ring()
    del bare["profiles"]
    assert "names profiles, but holds no table" in told("own", bare)
    assert "the file of the grid has no profiles" in told("own", "baran33")
    assert "Did you mean own?" in told("ownn", "baran33")


@pytest.mark.filterwarnings("ignore")
def test_profiles_of_less_than_a_year_are_no_year_but_profiles() -> None:
    net = ring()
    net.profiles = {key: frame.iloc[:48] for key, frame in net.profiles.items()}
    assert "48 steps have 48 h together" in told("own", net)
    assert len(read_profiles("own", net, whole_year=False).hours) == 48
    net.profiles = {key: frame.drop(columns="time") for key, frame in net.profiles.items()}
    assert "nothing tells how long its 48 steps are" in told("own", net)


@pytest.mark.filterwarnings("ignore")
def test_a_net_in_memory_has_its_year_of_least_loss_in_one_line() -> None:
    import pandapower as pp

    net = ring()
    result = openpoint.reconfigure_year(net)
    assert result.energy_before_mwh is not None
    assert result.energy_bound_mwh <= result.energy_mwh <= result.energy_before_mwh
    again = result.to_pandapower()
    assert all(
        again.profiles[key].equals(frame) and again.profiles[key] is not frame for key, frame in net.profiles.items()
    )
    result.apply_to(net)
    for step in (0, 4000, 8100):  # 8100: negative wind
        for table, key, column in (("load", "load", "pload"), ("load", "load", "qload")):
            values = [net.profiles[key][f"{name}_{column}"][step] for name in ("H0", "G0")]
            net[table]["p_mw" if column == "pload" else "q_mvar"] = np.array(values) * (
                [1.0, 2.0] if column == "pload" else [0.4, 0.5]
            )
        net.sgen["p_mw"] = 3.0 * max(net.profiles["renewables"]["W"][step], 0.0)
        net.storage["p_mw"] = -0.5 * net.profiles["storage"]["W"][step]
        pp.runpp(net, tolerance_mva=1e-10, numba=False)
        assert result.steps["loss_after_kw"][step] == pytest.approx(1000.0 * net.res_line.pl_mw.sum(), rel=1e-8)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("date", "periods"), [("2016-06-21", 24), ("2016-03-27", 23), ("2016-10-30", 25)])
def test_a_day_of_a_date_has_the_powers_of_its_hours(date: str, periods: int) -> None:
    grid = openpoint.read(ring())
    day, year = openpoint.read_day(date, grid), read_year("own", grid)
    steps = [n for n, name in enumerate(year.names) if name.startswith(date)]
    assert day.periods["starts_at"].to_list() == [year.names[n] for n in steps]
    assert day.periods["period"].n_unique() == len(steps) == periods
    assert {row["name"]: row["kind"] for row in day.renewables.to_dicts()} == {"wind": "wind", "battery": "solar"}
    with_day, notes = grid_of_day(grid, day)
    bare, arrays = build_day(with_day, build_network(with_day), day)
    found = (arrays.load_power + bare.s_power) * bare.s_base_kva
    np.add.at(found, (slice(None), arrays.renewables.terminal), -arrays.renewables.available * bare.s_base_kva)
    wanted = demand(year)[steps]
    wanted[:, 2] += 100.0j  # reactive power of the wind, which a note leaves out
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)
    assert any("without the reactive: 'wind'" in str(note) for note in notes)


@pytest.mark.filterwarnings("ignore")
def test_quarters_of_a_day_are_hours_of_their_mean_and_batteries_rest(grid: Grid, tmp_path: Path) -> None:
    start = datetime.datetime(2029, 5, 1, tzinfo=datetime.UTC)
    starts = [(start + datetime.timedelta(minutes=15 * n)).isoformat() for n in range(192)]
    kw = np.random.default_rng(2).uniform(10.0, 300.0, 192)
    frame = pl.DataFrame({"starts_at": starts, "one_p_kw": kw, "store_p_kw": kw - 150.0, "two_q": -kw / 300.0})
    frame.write_csv(tmp_path / "days.csv")
    day = openpoint.read_day("2029-05-02", grid, profiles=tmp_path / "days.csv")
    (follows,) = [row for row in day.load_profiles.to_dicts() if row["load"] == "one"]
    np.testing.assert_allclose(day.profiles[follows["profile"]] * 300.0, kw[96:].reshape(24, 4).mean(axis=1))
    assert day.generators.select("name", "p_kw").rows() == [("store", 0.0)]
    assert any("rest; to plan them" in note.message for note in day.notes)
    assert openpoint.dispatch_day(grid, day, topology="fixed").objective_usd > 0.0
    with pytest.raises(InputError, match="no step on this day; they go from 2029-05-01 to 2029-05-02"):
        openpoint.read_day("2029-06-01", grid, profiles=tmp_path / "days.csv")


@pytest.mark.filterwarnings("ignore")
def test_futures_are_steps_of_the_profiles() -> None:
    net = ring()
    year = read_year("own", net)
    futures = openpoint.Futures.of_steps(net, count=40, seed=3)
    steps = [year.names.index(name) for name in futures.names]
    np.testing.assert_allclose(futures.p_kw + 1j * futures.q_kvar, demand(year)[steps])
    assert futures.weights.tolist() == pytest.approx([1.0 / 40] * 40)
    assert futures.names == openpoint.Futures.of_steps(net, "own", count=40, seed=3).names
    with pytest.raises(OptionError, match="give 1 to 8784"):
        openpoint.Futures.of_steps(net, count=9000, seed=3)


@pytest.mark.filterwarnings("ignore")
def test_tables_of_powers_by_index_are_those_of_the_elements(tmp_path: Path) -> None:
    import pandapower as pp
    import pandas as pd

    net = ring()
    kw = np.random.default_rng(1).uniform(0.1, 2.0, (8760, 2))
    net.load["profile"] = net.sgen["profile"] = net.storage["profile"] = None
    net.profiles = {"load.p_mw": pd.DataFrame(kw, columns=[0, 1])}
    pp.to_json(net, str(tmp_path / "net.json"))
    wanted = 1000.0 * kw * [1.0, 0.5] + [400.0j - 500.0, 250.0j - 3000.0 - 100.0j]  # the second one is scaled
    for source in (net, tmp_path / "net.json"):
        np.testing.assert_allclose(demand(read_year("own", source))[:, 1:], wanted, rtol=1e-12)
    net.profiles = {("load", "p_mw"): pd.DataFrame(kw, columns=[0, 1])}
    np.testing.assert_allclose(demand(read_year("own", net))[:, 1:], wanted, rtol=1e-12)
