"""Disasters as tables, and storms drawn by seed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid import Grid
from openpoint.scenarios.disasters import Disasters, read_disasters, write_disasters
from openpoint.scenarios.storms import storms
from tests.grid import small

ZHANG = openpoint.read("zhang13")
SMALL = small.grid(small.tables())
HEAD = "disaster,probability,branch\n"

Write = Callable[[str], Path]


@pytest.fixture
def csv(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "storms.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def faults(source: Path | pl.DataFrame, grid: Grid = ZHANG) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        read_disasters(source, grid)
    return list(caught.value.problems)


def test_a_table_is_read_in_the_order_of_the_grid(csv: Write) -> None:
    path = csv(HEAD + "A,0.7,11\nA,0.7,2\n\nnothing,0.1,\nB,0.2,4\n")
    disasters = read_disasters(path, ZHANG)
    assert disasters.names == ("A", "nothing", "B")
    assert disasters.probabilities.tolist() == [0.7, 0.1, 0.2]
    # Lines "1" to "15" are branches 0 to 14.
    assert [np.flatnonzero(broken).tolist() for broken in disasters.broken] == [[1, 10], [], [3]]
    assert disasters.broken.shape == (3, 15)
    same = Disasters.from_branches(ZHANG, {"A": (0.7, ["2", "11"]), "nothing": (0.1, []), "B": (0.2, ["4"])})
    assert same.equals(disasters)


def test_branches_are_lines_then_switches_then_transformers() -> None:
    disasters = Disasters.from_branches(SMALL, {"A": (1.0, ["de", "cd", "ad"])})
    assert SMALL.branches()["name"].filter(disasters.broken[0]).to_list() == ["ad", "cd", "de"]


@st.composite
def any_disasters(draw: st.DrawFn, n_branches: int = 15) -> Disasters:
    names = draw(
        st.lists(st.sampled_from(["A", "007", "1e5", " a ", "a,b", 'say "so"', "Sturm Ä", "nan"]), unique=True)
    )
    names = names or ["only"]
    weights = np.array(draw(st.lists(st.floats(0.0, 1.0), min_size=len(names), max_size=len(names)))) + 1e-3
    patterns = st.lists(st.booleans(), min_size=n_branches, max_size=n_branches)
    broken = np.array(draw(st.lists(patterns, min_size=len(names), max_size=len(names))))
    return Disasters(tuple(names), weights / weights.sum(), broken)


@given(disasters=any_disasters())
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_written_is_read_back(
    ending: str, disasters: Disasters, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("table") / f"disasters.{ending}"
    write_disasters(disasters, ZHANG, path)
    assert read_disasters(path, ZHANG).equals(disasters)
    assert read_disasters(disasters.table(ZHANG), ZHANG).equals(disasters)


def test_odd_names_of_branches_survive_a_file(tmp_path: Path) -> None:
    odd = ["a,b", 'say "so"', " x ", "nan", "007"]
    lines = ZHANG.lines.head(5).with_columns(name=pl.Series(odd))
    grid = ZHANG.with_tables(lines=pl.concat([lines, ZHANG.lines.tail(10)]))
    disasters = Disasters.from_branches(grid, {"all": (1.0, odd)})
    write_disasters(disasters, grid, tmp_path / "odd.csv")
    assert read_disasters(tmp_path / "odd.csv", grid).equals(disasters)


def test_numbers_that_a_spreadsheet_made_of_names_are_names() -> None:
    frame = pl.DataFrame({"disaster": [1, 1, 2], "probability": [0.5] * 3, "branch": [2.0, 11.0, float("nan")]})
    disasters = read_disasters(frame, ZHANG)
    assert disasters.names == ("1", "2")
    assert [np.flatnonzero(broken).tolist() for broken in disasters.broken] == [[1, 10], []]


@given(disasters=any_disasters(n_branches=2))
def test_merging_keeps_patterns_and_their_probability(disasters: Disasters) -> None:
    merged, number = disasters.merged()
    assert len(np.unique(merged.broken, axis=0)) == len(merged)
    np.testing.assert_array_equal(merged.broken[number], disasters.broken)
    for k in range(len(merged)):
        assert merged.probabilities[k] == pytest.approx(disasters.probabilities[number == k].sum(), rel=1e-12)
        # In the order of their first, and called by it.
        assert merged.names[k] == disasters.names[int(np.flatnonzero(number == k)[0])]
    assert (np.diff(np.unique(number, return_index=True)[1]) > 0).all()


def test_every_fault_is_told_at_once_with_its_place(csv: Write) -> None:
    text = HEAD + "A,0.5,2\nA,0.4,11\nA,0.5,2\nB,1.5,33\nB,1.5,\nC,much,4\nC,,5\n,0.1,6\n"
    found = {(p.row.partition(",")[0], p.column): p for p in faults(csv(text))}
    assert set(found) == {
        ("disaster 'A'", "probability"),
        ("line 4", "branch"),
        ("line 5", "probability"),
        ("line 5", "branch"),
        ("line 6", "probability"),
        ("line 6", "branch"),
        ("line 7", "probability"),
        ("line 8", "probability"),
        ("line 9", "disaster"),
    }
    assert all(p.table == "storms.csv" and p.remedy for p in found.values())
    differs = "the probability differs between rows of this disaster: 0.5 and 0.4"
    assert found["disaster 'A'", "probability"].message == differs
    assert found["line 4", "branch"].row == "line 4, disaster 'A', branch '2'"
    assert found["line 4", "branch"].message == "this branch is given more than once in this disaster"
    assert found["line 5", "branch"].remedy == "Did you mean '3'?"
    assert "not between 0 and 1" in found["line 5", "probability"].message
    assert "other rows" in found["line 6", "branch"].message
    assert found["line 7", "probability"].message == "'much' is not a number"
    assert "missing" in found["line 8", "probability"].message


def test_lines_are_counted_as_an_editor_does(csv: Write) -> None:
    text = '\n\ndisaster,probability,branch\n\n"two\nlines",1,2\nA,1,\n'
    assert {p.row for p in faults(csv(text + "B,2,2\n")) if p.row} == {"line 8, disaster 'B', branch '2'"}


@pytest.mark.parametrize(
    ("name", "message", "remedy"),
    [
        ("grid", "'grid' is a source, and a source cannot break", "at bus 'A' break instead: 'ab', 'ad'"),
        ("A", "'A' is a bus that a source holds, and a bus cannot break", "'ab', 'ad'"),
        ("D", "'D' is a bus, and a bus cannot break", "'ad', 'cd', 'de'"),
        ("pv", "'pv' is a generator, and a generator cannot break", "at bus 'C' break instead: 'bc', 'cd'"),
        (" AB", "there is no branch ' AB' in the grid", "Did you mean 'ab'?"),
        ("xyz", "there is no branch 'xyz' in the grid", "lines, switches, transformers"),
    ],
)
def test_only_branches_break(name: str, message: str, remedy: str) -> None:
    frame = pl.DataFrame({"disaster": ["X", "X"], "probability": [1.0, 1.0], "branch": ["bc", name]})
    (problem,) = faults(frame, SMALL)
    assert (problem.row, problem.column, problem.message) == (
        f"number 2, disaster 'X', branch {name!r}",
        "branch",
        message,
    )
    assert remedy in problem.remedy


def test_a_branch_with_the_name_of_a_bus_is_a_branch() -> None:
    assert read_disasters(pl.DataFrame({"disaster": "X", "probability": 1.0, "branch": "1"}), ZHANG).broken[0, 0]


@pytest.mark.parametrize("probability", [None, float("nan"), ""])
def test_probabilities_are_not_assumed_to_be_equal(probability: object) -> None:
    frame = pl.DataFrame({"disaster": ["A", "B"], "probability": [probability] * 2, "branch": ["2", "3"]})
    (problem,) = faults(frame)
    assert (problem.row, problem.column, problem.message) == ("", "probability", "no disaster has a probability")
    assert "equal ones are not assumed" in problem.remedy


def test_probabilities_sum_to_one_within_a_millionth() -> None:
    def frame(p: float) -> pl.DataFrame:
        return pl.DataFrame({"disaster": ["A", "B", "C"], "probability": [p] * 3, "branch": ["2", "3", "4"]})

    assert read_disasters(frame(0.333333), ZHANG).probabilities.sum() == pytest.approx(1.0, abs=1e-15)
    for p, total in ((0.33333, "0.99999"), (0.4, "1.2")):
        (problem,) = faults(frame(p))
        assert problem.message == f"the probabilities of the 3 disasters sum to {total}, not to 1"
        assert problem.column == "probability"
    # What cannot be read has its own fault and spoils no sum.
    assert len(faults(frame(0.4).with_columns(probability=pl.Series([0.4, 0.4, -0.1])))) == 1


def test_columns_are_these_three(csv: Write) -> None:
    problems = faults(csv("disaster,probabilty,branch\nA,1,2\n"))
    assert [(p.column, p.message) for p in problems] == [
        ("probabilty", "unknown column"),
        ("probability", "column is missing"),
    ]
    assert (
        faults(csv("disaster,branch,probability,branch\nA,2,1,3\n"))[0].message == "the column is given more than once"
    )
    (problem,) = faults(csv(HEAD + "A,0,5,2\n"))
    assert (problem.row, problem.message) == ("line 2", "4 cells, but the first line names 3 columns")


@pytest.mark.parametrize("rows", ["", ",,\n"])
def test_an_empty_table_says_what_to_give(rows: str, csv: Write) -> None:
    (problem,) = faults(csv(HEAD + rows))
    assert problem.message == "the table has no rows"


def test_a_flood_of_faults_is_counted(csv: Write) -> None:
    problems = faults(csv(HEAD + "".join(f"A,1,no {k}\n" for k in range(500))))
    assert len(problems) == 21
    assert problems[-1].message.endswith("in 480 more rows")


def test_files_that_are_no_tables(tmp_path: Path, csv: Write) -> None:
    assert "cannot be read" in faults(tmp_path / "none.csv")[0].message
    assert "empty" in faults(csv(""))[0].message
    assert "no table" in faults(csv(HEAD + '"A,1,2\n'))[0].message
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    assert "no Parquet file" in faults(tmp_path / "bad.parquet")[0].message
    for act in (read_disasters, lambda path, grid: write_disasters(ONE, grid, path)):
        with pytest.raises(OptionError, match=r"\.csv or \.parquet"):
            act(tmp_path / "storms.ods", ZHANG)
    with pytest.raises(OptionError, match="cannot be written"):
        write_disasters(ONE, ZHANG, Path(__file__) / "storms.csv")


ONE = Disasters(("A",), np.ones(1), np.zeros((1, 15), dtype=bool))


def test_a_faulty_grid_is_told_first() -> None:
    with pytest.raises(InputError, match="the grid has no source"):
        Disasters.from_branches(ZHANG.with_tables(sources=ZHANG.sources.clear()), {"A": (1.0, ["2"])})


def test_disasters_of_another_grid_are_refused() -> None:
    with pytest.raises(OptionError, match=r"15 branches, 'small' has 5"):
        ONE.table(SMALL)


@pytest.mark.parametrize(
    ("names", "probabilities", "broken"),
    [
        ((), [], np.zeros((0, 2))),
        (("A", "A"), [0.5, 0.5], np.zeros((2, 2))),
        (("",), [1.0], np.zeros((1, 2))),
        (("A", "B"), [1.0], np.zeros((2, 2))),
        (("A",), [1.0], np.zeros(2)),
        (("A", "B"), [1.5, -0.5], np.zeros((2, 2))),
        (("A",), [float("nan")], np.zeros((1, 2))),
        (("A",), [0.9], np.zeros((1, 2))),
    ],
)
def test_disasters_are_sound_by_themselves(names: tuple[str, ...], probabilities: list[float], broken: object) -> None:
    with pytest.raises(OptionError):
        Disasters(names, np.array(probabilities), np.asarray(broken, dtype=bool))


def test_disasters_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        ONE.broken[0, 0] = True


BARAN = openpoint.read("baran33")
CHAIN = 40


def chain(step: float = 1.0, turn: tuple[float, float] = (1.0, 0.0), long: float = 10.0) -> Grid:
    """Buses in a row, `step` apart in the direction `turn`; every tenth line is `long` times as long."""
    places = np.concatenate([[0.0], np.cumsum([long * step if k % 10 == 9 else step for k in range(CHAIN)])])
    buses = [{"name": str(k), "vn_kv": 10.0, "x": p * turn[0], "y": p * turn[1]} for k, p in enumerate(places.tolist())]
    lines = [
        {"name": str(k), "from_bus": str(k), "to_bus": str(k + 1), "r_ohm": 0.1, "x_ohm": 0.1} for k in range(CHAIN)
    ]
    return Grid.from_tables("chain", {"buses": buses, "lines": lines, "sources": [{"name": "s", "bus": "0"}]})


def names(disasters: Disasters, grid: Grid) -> list[str]:
    branches = grid.branches()["name"].to_numpy()
    return [" ".join(branches[broken]) for broken in disasters.broken]


def mean_is(disasters: Disasters, wanted: float) -> bool:
    """Whether the mean number of broken branches is as wanted, within five standard errors and those of the fit."""
    count = disasters.broken.sum(axis=1)
    error = count.std() * np.sqrt(1.0 / len(disasters) + 1.0 / 5000)
    return bool(abs(count.mean() - wanted) < 5.0 * error)


def test_a_seed_gives_these_storms_on_every_machine() -> None:
    drawn = storms(BARAN, count=5, seed=1)
    assert names(drawn, BARAN) == PINNED_BARAN
    assert names(storms(ZHANG, count=5, seed=1), ZHANG) == PINNED_ZHANG


PINNED_BARAN = ["15 16 30 32 36", "37", "1 3 17 22 29 33 35 36 37", "4 24 25 26 33", "8 10"]
PINNED_ZHANG = ["3 7 8 9 10 13 15", "", "", "3 7 8", "7 10"]


def test_a_longer_series_begins_with_the_shorter_one() -> None:
    short, long = storms(BARAN, count=20, seed=7), storms(BARAN, count=60, seed=7)
    np.testing.assert_array_equal(long.broken[:20], short.broken)
    assert long.names[:20] == short.names == tuple(f"storm {k}" for k in range(1, 21))
    assert not np.array_equal(storms(BARAN, count=20, seed=8).broken, short.broken)


@pytest.mark.parametrize("numbers", [1, 100, 777])
def test_storms_do_not_depend_on_how_many_are_worked_out_together(
    numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = storms(ZHANG, count=30, seed=7)
    monkeypatch.setattr("openpoint.scenarios.storms._NUMBERS_BLOCK", numbers)
    np.testing.assert_array_equal(storms(ZHANG, count=30, seed=7).broken, whole.broken)


@settings(max_examples=8)
@given(
    seed=st.integers(0, 2**64),
    count=st.integers(1, 400),
    mean=st.floats(0.01, 14.99),
    width=st.floats(1e-3, 1e3),
    spread=st.floats(0.0, 0.99),
)
def test_whatever_is_asked_for_is_a_set_of_disasters(
    seed: int, count: int, mean: float, width: float, spread: float
) -> None:
    drawn = storms(ZHANG, count=count, seed=seed, mean_broken=mean, width=width, spread=spread)
    assert drawn.broken.shape == (count, 15)
    assert drawn.probabilities.sum() == pytest.approx(1.0, abs=1e-12)
    assert (drawn.probabilities == 1.0 / count).all()


@pytest.mark.parametrize("grid", [BARAN, ZHANG], ids=lambda grid: grid.name)
@pytest.mark.parametrize("mean", [0.2, 3.0, 10.0])
@pytest.mark.parametrize("width", [0.03, 0.1, 1.0])
def test_as_many_branches_break_as_asked_for(grid: Grid, mean: float, width: float) -> None:
    assert mean_is(storms(grid, count=3000, seed=3, mean_broken=mean, width=width), mean)


def test_the_default_is_three_lines() -> None:
    assert mean_is(storms(BARAN, count=3000, seed=11), 3.0)


def test_nearer_lines_break_more_often() -> None:
    # Where the line in the middle breaks, the path is near it; the farther a line is, the rarer it breaks as well.
    broken = storms(chain(long=1.0), count=6000, seed=5, width=0.05, mean_broken=4.0).broken
    with_it = broken[broken[:, 20]].mean(axis=0)
    far = [np.r_[20 - last : 21 - first, 20 + first : 21 + last] for first, last in ((1, 2), (3, 5), (6, 10), (12, 19))]
    often = [1.0, *(float(with_it[lines].mean()) for lines in far)]
    assert (np.diff(often) < -0.02).all()
    assert often[1] > 2.0 * often[-1]


def test_a_narrow_storm_breaks_lines_closer_together() -> None:
    def reach(width: float) -> float:
        broken = storms(chain(), count=2000, seed=5, width=width).broken
        return float(np.mean([np.ptp(np.flatnonzero(row)) for row in broken if row.any()]))

    assert reach(0.02) < reach(0.1) < reach(1.0)


def test_strong_storms_differ_from_weak_ones_by_the_spread() -> None:
    def variance(spread: float) -> float:
        return float(storms(BARAN, count=3000, seed=2, width=10.0, spread=spread).broken.sum(axis=1).var())

    # In an even wind without spread, 37 lines break independently of each other: 37 p (1 - p), p = 3 / 37.
    assert variance(0.0) == pytest.approx(3.0 * (1.0 - 3.0 / 37.0), rel=0.1)
    assert variance(0.0) < variance(0.3) < variance(0.6)


def test_scale_and_turn_of_the_coordinates_do_not_matter() -> None:
    one = storms(chain(), count=200, seed=4)
    # Powers of two change no digit.
    np.testing.assert_array_equal(storms(chain(step=1024.0), count=200, seed=4).broken, one.broken)
    turned = storms(chain(turn=(0.0, 1.0)), count=3000, seed=4)
    assert mean_is(turned, 3.0)
    mine, theirs = storms(chain(), count=3000, seed=5).broken.mean(axis=0), turned.broken.mean(axis=0)
    np.testing.assert_allclose(mine, theirs, atol=5.0 * np.sqrt(2.0 * mine.max() / 3000))


def test_long_lines_break_more_often_where_asked() -> None:
    def share(per_length: bool) -> float:
        often = storms(chain(), count=4000, seed=6, width=10.0, mean_broken=1.0, per_length=per_length).broken.mean(0)
        return float(often[9::10].mean() / np.delete(often, np.s_[9::10]).mean())

    assert share(False) == pytest.approx(1.0, rel=0.15)
    assert share(True) == pytest.approx(10.0, rel=0.3)  # odds, so a little less than ten times


def test_only_the_kinds_asked_for_break() -> None:
    kinds = SMALL.branches()["kind"].to_numpy()
    for asked in (("lines",), ("lines", "switches"), ("switches", "transformers")):
        broken = storms(SMALL, count=300, seed=1, mean_broken=1.0, kinds=asked).broken
        assert set(kinds[broken.any(axis=0)]) == set(asked)


def test_laterals_of_a_sketch_break_together() -> None:
    # Lines 22 to 24 are a lateral of the 33 buses, lines 29 to 32 the end of another.
    broken = storms(BARAN, count=4000, seed=9).broken
    together = broken[broken[:, 22]].mean(axis=0)
    assert together[[23]].mean() > 2.0 * together[28:32].mean()


def test_a_dead_bus_and_a_second_source_have_their_place_in_a_sketch() -> None:
    grid = openpoint.read("civanlar16").with_closed({"4-5": False})
    assert mean_is(storms(grid, count=1000, seed=1), 3.0)


def test_some_coordinates_are_not_enough() -> None:
    x = pl.when(pl.col("name") == "7").then(None).otherwise(pl.col("x")).alias("x")
    with pytest.raises(OptionError, match="buses without coordinates: '7'; give all buses x and y"):
        storms(ZHANG.with_tables(buses=ZHANG.buses.with_columns(x)), count=1, seed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count of at least 1"),
        ({"seed": -1}, "seed of at least 0"),
        ({"mean_broken": 0.0}, "between 0 and 15"),
        ({"mean_broken": 15.0}, "between 0 and 15"),
        ({"mean_broken": float("nan")}, "between 0 and 15"),
        ({"width": 0.0}, "width from 0.001"),
        ({"spread": 1.0}, "spread from 0"),
        ({"kinds": ("transformers",)}, "no transformers that could break"),
        ({"kinds": ()}, "could break"),
        ({"kinds": ("cables",)}, "'cables'; the kinds are lines, switches, transformers"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        storms(ZHANG, **{"count": 1, "seed": 1, **options})


def test_lengths_and_distances_need_places() -> None:
    with pytest.raises(OptionError, match="per_length"):
        storms(BARAN, count=1, seed=1, per_length=True)
    spot = ZHANG.buses.with_columns(x=pl.lit(1.0), y=pl.lit(1.0))
    with pytest.raises(OptionError, match="one spot"):
        storms(ZHANG.with_tables(buses=spot), count=1, seed=1)


def test_a_faulty_grid_is_refused() -> None:
    with pytest.raises(InputError):
        storms(ZHANG.with_tables(sources=ZHANG.sources.clear()), count=1, seed=1)
