"""Futures: what a table of them means, every fault with its place, and sets of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.errors import InputError, OptionError
from openpoint.grid import Grid
from openpoint.network import build_network
from openpoint.scenarios.futures import Futures, read_futures, statistics, write_futures
from tests.builders.grids import DISPATCH, FEED, grids
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
@settings(max_examples=50)  # to make a grid takes a hundred times as long as the test
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
        ("future 'two'", "probability", "the probability differs between rows of this future"),
        ("line 8, future None, bus 'C'", "future", "value is missing"),
        ("line 8, future None, bus 'C'", "probability", "value is missing"),
        ("line 9, future 'three', bus 'C'", "q_kvar", "the value is not a finite number"),
        ("line 9, future 'three', bus 'C'", "probability", "the probability is negative"),
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


def test_phases_are_refused() -> None:
    buses = [{"name": "A", "vn_kv": 10.0, "phases": "abc"}]
    phased = Grid.from_tables("phased", {"buses": buses, "sources": [{"name": "s", "bus": "A"}]})
    with pytest.raises(OptionError, match="balanced"):
        read_futures(frame(("one", "A", 1, 0)), phased)


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
