"""Futures: what a table of them means, every fault with its place, and futures drawn from assumptions of growth."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.arrays import Floats
from openpoint.errors import InputError, OptionError
from openpoint.grid import Grid
from openpoint.network import build_network
from openpoint.scenarios.futures import Futures, at_buses, constant_power_kva, read_futures, statistics, write_futures
from openpoint.scenarios.growth import SUMMER_NOON, WINTER_EVENING, Growth, Snapshot, grow
from tests.builders.grids import DISPATCH, FEED, RICH, grids
from tests.grid.small import grid, tables

# Text ends lines at carriage returns, and zero bytes mark what is no text.
CHARACTERS = st.characters(codec="utf-8", exclude_characters="\r\0")
finite = st.floats(allow_nan=False, allow_infinity=False)


@cache
def small() -> Grid:
    """Buses A to E; constant power of 100 + 30j at B and of 50 at E; a dispatchable generator at C."""
    changed = tables()
    changed["loads"].append({"name": "i", "bus": "B", "p_kw": 7.0, "model": "current"})
    changed["generators"].append({"name": "sun", "bus": "E", "p_kw": 60.0, "q_kvar": 5.0})
    return grid(changed)


def frame(*rows: tuple[Any, ...]) -> pl.DataFrame:
    columns = ["future", "bus", "p_kw", "q_kvar", "probability"][: len(rows[0])]
    return pl.DataFrame(rows, schema=columns, orient="row")


def faults(table: pl.DataFrame | Path) -> list[tuple[str, str, str, str]]:
    """(row, column, message, remedy) of all faults."""
    with pytest.raises(InputError) as caught:
        read_futures(table, small())
    return [(p.row, p.column, p.message, p.remedy) for p in caught.value.problems]


@st.composite
def some_futures(draw: st.DrawFn) -> Futures:
    names = draw(st.lists(st.text(CHARACTERS, min_size=1), min_size=1, max_size=4, unique=True))
    shape = (2, len(names), 5)
    p, q = np.array(draw(st.lists(finite, min_size=10 * len(names), max_size=10 * len(names)))).reshape(shape)
    known = draw(st.none() | st.lists(st.floats(1e-3, 1.0), min_size=len(names), max_size=len(names)))
    return Futures(tuple(names), None if known is None else np.array(known) / sum(known), tuple("ABCDE"), p, q)


@given(grids(FEED) | grids(DISPATCH))
@settings(max_examples=13)  # to make a grid takes a hundred times as long as the test
def test_today_is_the_constant_power_of_the_network(some: Grid) -> None:
    network, today = build_network(some), Futures.today(some)
    assert today.bus_names == network.bus_names
    np.testing.assert_allclose(today.p_kw[0] + 1j * today.q_kvar[0], network.s_power * network.s_base_kva, atol=1e-9)


def test_a_row_replaces_constant_power_and_a_bus_not_named_keeps_todays() -> None:
    futures = read_futures(frame(("hot", "C", 5, -1), ("hot", "E", 80, 8), ("cold", "A", 3, 2)), small())
    assert futures.names == ("hot", "cold")
    assert futures.probabilities is None
    assert futures.bus_names == ("A", "B", "C", "D", "E")
    # Neither the load of constant current at B nor the generator of C, which is dispatchable, belongs to it.
    assert futures.p_kw.tolist() == [[0, 100, 5, 0, 80], [3, 100, 0, 0, -10]]
    assert futures.q_kvar.tolist() == [[0, 30, -1, 0, 8], [2, 30, 0, 0, -5]]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@given(futures=some_futures())
def test_written_and_read_again(ending: str, futures: Futures, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("futures") / f"some.{ending}"
    write_futures(futures, file)
    assert read_futures(file, small()).equals(futures)


def test_a_table_may_be_written_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "by hand.csv"
    file.write_bytes(
        b"\xef\xbb\xbfbus,q_kvar,future,p_kw,probability\r\n"
        b"B, 1.5 ,007,2,0.25\r\n\r\nC,0,7,1e2,0.75\r\nD,0,007,4,0.25\r\n"
    )
    futures = read_futures(file, small())
    assert futures.names == ("007", "7")
    assert futures.weights.tolist() == [0.25, 0.75]
    assert futures.p_kw.tolist() == [[0, 2, 0, 4, -10], [0, 100, 100, 0, -10]]


def test_numbers_as_names_and_an_empty_column_of_probabilities() -> None:
    table = pl.DataFrame({"future": [1.0, 2.0], "bus": ["B", "B"], "p_kw": [1, 2], "q_kvar": [0, 0]})
    futures = read_futures(table.with_columns(probability=pl.lit(None)), small())
    assert futures.names == ("1", "2")
    assert futures.probabilities is None


def test_all_faults_at_once_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text(
        "future,bus,p_kw,q_kvar,probability,note\n"
        "one,B,1,0,0.5,\n"
        "one,Bb,1,0,0.5,\n"
        "\n"
        "one,Bb,many,0,0.5,\n"
        "two,B,inf,,0.4,\n"
        "two,B,1,0,0.3,\n"
        ",C,1,0,,\n"
        "three,C,1,nan,-0.1,\n"
    )
    with pytest.raises(InputError) as caught:
        read_futures(file, small())
    assert {p.table for p in caught.value.problems} == {"wrong.csv"}
    assert {(p.row, p.column, p.message) for p in caught.value.problems} == {
        ("", "note", "unknown column"),
        ("line 3, future 'one', bus 'Bb'", "bus", "there is no bus 'Bb' in the grid"),
        ("line 5, future 'one', bus 'Bb'", "p_kw", "'many' is not a number"),
        ("line 5, future 'one', bus 'Bb'", "bus", "this bus is given more than once in this future"),
        ("line 6, future 'two', bus 'B'", "p_kw", "the value is not a finite number"),
        ("line 6, future 'two', bus 'B'", "q_kvar", "value is missing"),
        ("line 7, future 'two', bus 'B'", "bus", "this bus is given more than once in this future"),
        ("future 'two'", "probability", "the probability differs between rows of this future: 0.4 and 0.3"),
        ("line 8, future None, bus 'C'", "future", "value is missing"),
        ("line 8, future None, bus 'C'", "probability", "value is missing"),
        ("line 9, future 'three', bus 'C'", "q_kvar", "the value is not a finite number"),
        ("line 9, future 'three', bus 'C'", "probability", "the probability is not between 0 and 1"),
    }
    assert "Did you mean 'B'?" in str(caught.value)


def test_probabilities_must_sum_to_one() -> None:
    wrong = frame(("one", "B", 1, 0, 0.5), ("two", "B", 1, 0, 0.5 - 2e-6))
    assert [(f[1], f[2]) for f in faults(wrong)] == [
        ("probability", "the probabilities of the 2 futures sum to 0.999998, not to 1")
    ]
    nearly = read_futures(frame(*((name, "B", 1, 0, 0.333333) for name in "abc")), small())
    assert nearly.weights == pytest.approx([1 / 3] * 3, abs=1e-15)


@pytest.mark.parametrize(
    ("table", "messages"),
    [
        (pl.DataFrame({"future": [], "bus": [], "p_kw": [], "q_kvar": []}), ["the table has no rows"]),
        (pl.DataFrame(), [*["column is missing"] * 4, "the table has no rows"]),
        (frame(("one", "B", 1)), ["column is missing"]),
        (
            frame(*((str(k), "B", "x", 0) for k in range(30))),
            [*["'x' is not a number"] * 20, "not a number, in 10 more rows"],
        ),
        (frame(("one", "B", [1.0], 0)), ["[1.0] is not a number"]),
    ],
)
def test_tables_that_are_none(table: pl.DataFrame, messages: list[str]) -> None:
    assert [message for _, _, message, _ in faults(table)] == messages


@pytest.mark.parametrize("content", [b"", b"PAR1", b"a,b\n1,2,3\n", b'future,bus\n"x,1\n'])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_damaged_files_are_named(content: bytes, ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"damaged.{ending}"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged\."):
        read_futures(file, small())


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_futures(tmp_path / "none.csv", small())
    with pytest.raises(OptionError, match=r"\.csv or \.parquet"):
        read_futures(tmp_path / "some.ods", small())
    with pytest.raises(OptionError, match=r"\.csv or \.parquet"):
        write_futures(Futures.today(small()), tmp_path / "some.json")
    with pytest.raises(OptionError, match="cannot be written"):
        write_futures(Futures.today(small()), Path(__file__) / "some.csv")


def test_a_future_of_a_grid_with_phases_is_the_demand_of_all_phases_of_a_bus() -> None:
    buses = [{"name": "A", "vn_kv": 10.0, "phases": "abc"}]
    loads = [{"name": p, "bus": "A", "phases": p, "p_kw": 2.0, "q_kvar": 1.0} for p in "ab"]
    phased = Grid.from_tables("phased", {"buses": buses, "sources": [{"name": "s", "bus": "A"}], "loads": loads})
    assert Futures.today(phased).p_kw.tolist() == [[4.0]]
    assert read_futures(frame(("one", "A", 1, 0)), phased).p_kw.tolist() == [[1.0]]


@given(some_futures(), st.integers(0, 100), st.floats(0.01, 0.99))
def test_a_split_shares_out_all_futures(futures: Futures, seed: int, share: float) -> None:
    if len(futures) < 2:
        with pytest.raises(OptionError, match="two futures"):
            futures.split(seed, share)
        return
    plan, judge = futures.split(seed, share)
    assert len(plan) == min(max(round(share * len(futures)), 1), len(futures) - 1)
    assert sorted(plan.names + judge.names) == sorted(futures.names)
    for part in (plan, judge):
        at = [futures.names.index(name) for name in part.names]
        assert at == sorted(at)
        assert part.equals(futures.take(at))
        # Probabilities keep their ratios and sum to one.
        np.testing.assert_allclose(part.weights, futures.weights[at] / futures.weights[at].sum(), rtol=1e-12)
        assert (part.probabilities is None) == (futures.probabilities is None)
    assert all(mine.equals(again) for mine, again in zip((plan, judge), futures.split(seed, share)))


def test_the_mean_weighs_by_probability() -> None:
    p, q = np.array([[0.0, 10.0], [4.0, 30.0]]), np.zeros((2, 2))
    known = Futures(("a", "b"), np.array([0.75, 0.25]), ("A", "B"), p, q)
    assert known.mean().p_kw.tolist() == [[1.0, 15.0]]
    assert Futures(("a", "b"), None, ("A", "B"), p, q).mean().p_kw.tolist() == [[2.0, 20.0]]


def test_futures_are_a_value() -> None:
    p = np.zeros((1, 2))
    futures = Futures(("a",), None, ("A", "B"), p, p)
    p[0, 0] = 1.0
    assert futures.p_kw[0, 0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        futures.p_kw[0, 0] = 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"names": ("a", "a")},
        {"names": ()},
        {"p_kw": np.zeros((2, 3))},
        {"q_kvar": np.full((2, 2), np.nan)},
        {"probabilities": np.array([0.5, 0.6])},
        {"probabilities": np.array([1.5, -0.5])},
        {"probabilities": np.array([1.0])},
    ],
)
def test_what_is_no_futures(wrong: dict[str, Any]) -> None:
    sound: dict[str, Any] = {
        "names": ("a", "b"),
        "probabilities": None,
        "bus_names": ("A", "B"),
        "p_kw": np.zeros((2, 2)),
        "q_kvar": np.zeros((2, 2)),
    }
    with pytest.raises(OptionError):
        Futures(**{**sound, **wrong})


@pytest.mark.parametrize("indices", [[], [2], [-1], [0, 0], [True, False], [[0]], [0.0]])
def test_take_wants_numbers_of_futures(indices: Any) -> None:
    futures = Futures(("a", "b"), None, ("A",), np.zeros((2, 1)), np.zeros((2, 1)))
    with pytest.raises(OptionError, match="take needs"):
        futures.take(indices)


def test_take_of_the_impossible() -> None:
    futures = Futures(("a", "b"), np.array([1.0, 0.0]), ("A",), np.zeros((2, 1)), np.zeros((2, 1)))
    with pytest.raises(OptionError, match="probability zero"):
        futures.take([1])


def test_statistics_by_future() -> None:
    p, q = np.array([[3.0, 1.0], [8.0, -2.0], [0.0, -1.0]]), np.array([[1.0, 1.0], [0.0, 2.0], [0.0, 0.0]])
    assert statistics(Futures(("a", "b", "c"), None, ("A", "B"), p, q)).rows() == [
        ("a", 4.0, 2.0, 1.0, "B", 0.0),
        ("b", 6.0, 2.0, -2.0, "B", 0.25),
        ("c", -1.0, 0.0, -1.0, "B", None),
    ]


def test_built_in_grid() -> None:
    today = Futures.today(openpoint.read("baran33"))
    assert today.p_kw.sum() == pytest.approx(3715.0)
    assert today.q_kvar.sum() == pytest.approx(2300.0)


ALL_ON = Snapshot("all on", share=1.0, load=0.5, sun=1.0, charging=1.0, heat=1.0)
NOTHING = Growth(pv_adoption=0.0, ev_adoption=0.0, heat_pump_adoption=0.0, load_growth_spread=0.0, snapshots=(ALL_ON,))
SHARES = ("pv_adoption", "ev_adoption", "heat_pump_adoption")

some_grids = grids(RICH) | grids(FEED)
seeds = st.integers(0, 2**63)
share = st.floats(0.0, 1.0)
spread = st.floats(0.0, 0.99)


@st.composite
def growths(draw: st.DrawFn) -> Growth:
    numbers = {name: draw(share) for name in (*SHARES, "load_growth_spread", "load_growth_correlation")}
    numbers |= {"adoption_spread": draw(spread), "adoption_spread_bus": draw(spread)}
    return replace(draw(st.sampled_from((Growth(), Growth.solar()))), **numbers)


@settings(max_examples=13)
@given(some_grids, seeds, growths(), st.integers(1, 6), st.integers(0, 6))
def test_more_futures_begin_with_the_fewer(some: Grid, seed: int, growth: Growth, count: int, more: int) -> None:
    few, many = (grow(some, count=n, seed=seed, growth=growth) for n in (count, count + more))
    assert many.names[:count] == few.names
    assert many.bus_names == tuple(some.buses["name"])
    np.testing.assert_array_equal(many.p_kw[:count], few.p_kw)
    np.testing.assert_array_equal(many.q_kvar[:count], few.q_kvar)
    np.testing.assert_array_equal(many.weights, 1.0 / len(many))
    assert grow(some, count=count, seed=seed, growth=growth).equals(few)


def test_futures_do_not_depend_on_how_many_are_worked_out_together(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = grow(openpoint.read("baran33"), count=20, seed=4)
    monkeypatch.setattr("openpoint.scenarios.growth.BLOCK", 3)
    assert grow(openpoint.read("baran33"), count=20, seed=4).equals(whole)


@settings(max_examples=13)
@given(some_grids, seeds, st.floats(-0.9, 3.0), st.sampled_from((WINTER_EVENING, SUMMER_NOON)))
def test_without_adoption_loads_only_grow(some: Grid, seed: int, more: float, snapshot: Snapshot) -> None:
    growth = replace(NOTHING, load_growth=more, snapshots=(replace(snapshot, share=1.0),))
    futures = grow(some, count=2, seed=seed, growth=growth)
    load, generation = constant_power_kva(some)
    expected = load * (1.0 + more) * snapshot.load - generation
    np.testing.assert_allclose(futures.p_kw, np.tile(expected.real, (2, 1)), rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(futures.q_kvar, np.tile(expected.imag, (2, 1)), rtol=1e-12, atol=1e-9)


@settings(max_examples=13)
@given(some_grids, seeds, growths(), st.sampled_from(SHARES), share, share)
def test_more_of_a_technology_moves_every_bus_its_way(
    some: Grid, seed: int, growth: Growth, name: str, one: float, other: float
) -> None:
    few, many = (
        grow(some, count=3, seed=seed, growth=replace(growth, **{name: value})) for value in sorted((one, other))
    )
    step = many.p_kw - few.p_kw
    assert (step <= 1e-9).all() if name == "pv_adoption" else (step >= -1e-9).all()
    if name == "pv_adoption":  # of power factor one
        np.testing.assert_array_equal(many.q_kvar, few.q_kvar)
    else:
        assert (many.q_kvar - few.q_kvar >= -1e-9).all()


@settings(max_examples=13)
@given(some_grids, seeds, growths())
def test_nobody_has_more_than_one(some: Grid, seed: int, growth: Growth) -> None:
    """Between the least and the most that the customers of a bus can do."""
    growth = replace(growth, load_growth_spread=0.0, snapshots=(ALL_ON,))
    futures = grow(some, count=3, seed=seed, growth=growth)
    customers = np.round(at_buses(some, some.loads).real / growth.customer_kw)
    load, generation = constant_power_kva(some)
    base = ALL_ON.load * (1.0 + growth.load_growth) * load.real - generation.real
    assert (futures.p_kw >= base - growth.pv_kw * customers - 1e-6).all()
    assert (futures.p_kw <= base + (growth.ev_kw + growth.heat_pump_kw) * customers + 1e-6).all()


@cache
def grown(growth: Growth, count: int, seed: int) -> Futures:
    """Futures of baran33; drawn once for all that look at them."""
    return grow(openpoint.read("baran33"), count=count, seed=seed, growth=growth)


def devices(growth: Growth, name: str, mean: float, count: int = 400, seed: int = 1) -> Floats:
    """(count, buses with customers) share of the customers of baran33 that use a technology of 1 kW."""
    grid = openpoint.read("baran33")
    only = replace(growth, **{name: mean}, pv_kw=1.0, ev_kw=1.0, heat_pump_kw=1.0)
    used = np.abs(grown(only, count, seed).p_kw - grown(growth, count, seed).p_kw)
    customers = np.round(at_buses(grid, grid.loads).real / growth.customer_kw)
    return used[:, customers > 0] / customers[customers > 0]


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("mean", [0.05, 0.3, 0.9])
def test_adoption_is_as_assumed(name: str, mean: float) -> None:
    growth = replace(NOTHING, ev_coincidence=1.0)
    penetration = devices(growth, name, mean).mean(axis=1)
    deviation = growth.adoption_spread * np.sqrt(mean * (1.0 - mean))
    # Four standard errors of the mean; the buses add a little to the spread of the whole grid.
    assert abs(penetration.mean() - mean) < 4.0 * penetration.std() / np.sqrt(len(penetration))
    assert penetration.std() == pytest.approx(deviation, rel=0.15)


def test_buses_spread_around_the_penetration_of_the_grid() -> None:
    growth = replace(NOTHING, adoption_spread=0.0, customer_kw=0.01)  # so many customers that all is the beta's
    shares = devices(growth, "pv_adoption", 0.3)
    assert shares.mean() == pytest.approx(0.3, abs=4.0 * shares.std() / np.sqrt(shares.size))
    assert shares.std() == pytest.approx(growth.adoption_spread_bus * np.sqrt(0.3 * 0.7), rel=0.05)
    few = devices(replace(growth, customer_kw=1.5, adoption_spread_bus=0.0), "pv_adoption", 0.3)
    customers = np.round(openpoint.read("baran33").loads["p_kw"].to_numpy() / 1.5)
    np.testing.assert_allclose(few.std(axis=0), np.sqrt(0.3 * 0.7 / customers), rtol=0.2)


def test_vehicles_charge_by_coincidence() -> None:
    growth = replace(NOTHING, ev_coincidence=0.2)
    charging = devices(growth, "ev_adoption", 0.4).mean(axis=1)
    assert abs(charging.mean() - 0.2 * 0.4) < 4.0 * charging.std() / np.sqrt(len(charging))


@pytest.mark.parametrize("correlation", [-0.8, 0.0, 0.8])
@pytest.mark.parametrize("pair", [("pv", "ev"), ("pv", "heat_pump"), ("ev", "heat_pump")])
def test_technologies_come_together(pair: tuple[str, str], correlation: float) -> None:
    apart: dict[str, Any] = {"pv_ev_correlation": 0.0, "pv_heat_pump_correlation": 0.0, "ev_heat_pump_correlation": 0.0}
    growth = replace(NOTHING, ev_coincidence=1.0, **{**apart, f"{'_'.join(pair)}_correlation": correlation})
    one, other = (devices(growth, f"{name}_adoption", 0.5).mean(axis=1) for name in pair)
    # Fisher's z has a standard error of 1 / √(K − 3); beta marginals and buses take a little off the correlation.
    z = np.arctanh(np.corrcoef(one, other)[0, 1])
    assert abs(z - np.arctanh(correlation)) < 4.0 / np.sqrt(len(one) - 3) + 0.05


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_loads_grow_together(correlation: float) -> None:
    growth = replace(NOTHING, load_growth=0.2, load_growth_spread=0.3, load_growth_correlation=correlation)
    p = grow(openpoint.read("baran33"), count=1000, seed=3, growth=growth).p_kw[:, 1:]
    factors = p / Futures.today(openpoint.read("baran33")).p_kw[0, 1:] / ALL_ON.load
    assert factors.mean(axis=0) == pytest.approx([1.2] * 32, abs=4.0 * 0.3 * 1.2 / np.sqrt(1000))
    assert factors.std(axis=0) / factors.mean(axis=0) == pytest.approx([0.3] * 32, rel=0.15)
    between = np.corrcoef(np.log(factors).T)[np.triu_indices(32, 1)]
    assert between.mean() == pytest.approx(correlation, abs=0.06)


def test_snapshots_by_their_shares() -> None:
    growth = Growth(snapshots=(replace(WINTER_EVENING, share=0.2), replace(SUMMER_NOON, share=0.8)))
    names = grow(openpoint.read("civanlar16"), count=2000, seed=7, growth=growth).names
    assert sum(name.endswith("winter evening") for name in names) == pytest.approx(400, abs=4.0 * np.sqrt(2000 * 0.16))
    assert all(name.startswith(f"{k} ") for k, name in enumerate(names, start=1))


def test_reactive_power_follows_the_power_factors() -> None:
    grid = openpoint.read("baran33")
    for name, factor in (("pv", 0.9), ("ev", 0.98), ("heat_pump", 0.95)):
        none = replace(NOTHING, **{f"{name}_power_factor": factor})
        with_it = grow(grid, count=5, seed=2, growth=replace(none, **{f"{name}_adoption": 0.5}))
        without = grow(grid, count=5, seed=2, growth=none)
        p, q = with_it.p_kw - without.p_kw, with_it.q_kvar - without.q_kvar
        np.testing.assert_allclose(q, np.abs(p) * np.sqrt(1.0 - factor**2) / factor, rtol=1e-9, atol=1e-9)


def test_moderate_growth_feeds_back_at_few_buses_and_solar_growth_at_most() -> None:
    grid = openpoint.read("baran33")
    for growth, low, high in ((Growth(), 0.05, 0.3), (Growth.solar(), 0.7, 1.0)):
        futures = grow(grid, count=200, seed=1, growth=growth)
        noon = np.array([name.endswith("noon") for name in futures.names])
        assert low <= (futures.p_kw[noon, 1:] < 0.0).mean() <= high
        assert (futures.p_kw[~noon] >= 0.0).all()


def test_another_seed_gives_other_futures() -> None:
    one, other = (grow(openpoint.read("baran33"), count=3, seed=seed) for seed in (1, 2))
    assert not (one.p_kw[:, 1:] == other.p_kw[:, 1:]).any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"customer_kw": 0.0}, "customer_kw=0 must be above 0"),
        ({"pv_adoption": 1.2, "ev_kw": -1.0}, "ev_kw=-1 must be 0 or more; pv_adoption=1.2 must be from 0 to 1"),
        ({"adoption_spread": 1.0}, "below 1"),
        ({"pv_kw": float("nan")}, "pv_kw=nan"),
        ({"load_growth": -1.0}, "above -1"),
        ({"ev_power_factor": 0.0}, "ev_power_factor=0"),
        ({"pv_ev_correlation": -1.0}, "contradict each other"),
        ({"snapshots": ()}, "sum to one"),
        ({"snapshots": (WINTER_EVENING,)}, "sum to one"),
        ({"snapshots": (replace(WINTER_EVENING, sun=-1.0), SUMMER_NOON)}, "sun of snapshot 'winter evening'"),
        ({"ev_coincidence": 0.6, "snapshots": (replace(ALL_ON, charging=2.0),)}, "more vehicles charge"),
    ],
)
def test_growth_out_of_range(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message.replace("(", r"\(")):
        Growth(**wrong)


@pytest.mark.parametrize(("count", "seed"), [(0, 1), (1, -1)])
def test_count_and_seed_out_of_range(count: int, seed: int) -> None:
    with pytest.raises(OptionError, match="count"):
        grow(openpoint.read("baran33"), count=count, seed=seed)


def test_fully_tied_technologies_are_no_contradiction() -> None:
    tied = replace(NOTHING, pv_ev_correlation=1.0, pv_heat_pump_correlation=-1.0, ev_heat_pump_correlation=-1.0)
    pv, pumps = (devices(tied, name, 0.5, count=50).mean(axis=1) for name in ("pv_adoption", "heat_pump_adoption"))
    assert np.corrcoef(pv, pumps)[0, 1] < -0.9
