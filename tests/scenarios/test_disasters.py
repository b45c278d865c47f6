"""Disasters: tables there and back, every fault with its place, and patterns merged without losing probability."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import openpoint
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid import Grid
from openpoint.scenarios.disasters import Disasters, read_disasters, write_disasters
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
        ("line 3", "probability"),
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
    assert found["line 3", "probability"].message == "the probability 0.4 differs from 0.5 in line 2"
    assert found["line 3", "probability"].row == "line 3, disaster 'A'"
    assert found["line 4", "branch"].message == "branch '2' breaks twice in this disaster, see line 2"
    assert found["line 5", "branch"].remedy == "Did you mean '3'?"
    assert "not between 0 and 1" in found["line 5", "probability"].message
    assert "other rows" in found["line 6", "branch"].message
    assert found["line 7", "probability"].message == "'much' is not a number"
    assert "missing" in found["line 8", "probability"].message


def test_lines_are_counted_as_an_editor_does(csv: Write) -> None:
    text = '\n\ndisaster,probability,branch\n\n"two\nlines",1,2\nA,1,\n'
    assert {p.row for p in faults(csv(text + "B,2,2\n")) if p.row} == {"line 8, disaster 'B'"}


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
    assert (problem.row, problem.column, problem.message) == ("number 2, disaster 'X'", "branch", message)
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
        ("probabilty", "unknown column 'probabilty'"),
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
    assert problems[-1].message.startswith("480 more rows have this fault")


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
