"""Lean functions take tables, arrays, numbers and named tuples of these, as in Python."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from openpoint.compiled.jit import lean
from openpoint.compiled.machine_code import Code, read, write


class Several(NamedTuple):
    """Arrays and numbers."""

    values: Any
    rows: Any
    factor: float
    on: bool


def several(size: int) -> Several:
    rng = np.random.default_rng(size)
    return Several(rng.normal(size=size), rng.integers(-9, 9, (3, size)).astype(np.int8), 0.5, True)


@lean
def norms(of: Several) -> float:
    found = 0.0
    for k in range(len(of.values)):
        found += math.hypot(of.values[k], of.rows[1, k]) * of.factor
    return found if of.on else -found


@lean
def at(values: Any, row: int, column: int) -> float:
    return float(values[row, column] * values.shape[1])


@lean
def smaller(a: int, b: float) -> bool:
    return a < b


@lean
def swap(values: Any) -> None:
    values[0], values[1] = values[1], values[0]


@pytest.mark.parametrize("size", [0, 1, 6])
@pytest.mark.parametrize("on", [True, False, np.bool_(False)])
def test_tuples_with_names(size: int, on: Any) -> None:
    of = several(size)._replace(on=on)
    expected = 0.5 * np.hypot(of.values, of.rows[1]).sum()
    assert norms(of) == pytest.approx(expected if on else -expected, rel=1e-14)


def test_arrays_of_any_order() -> None:
    values = np.random.default_rng(0).normal(size=(6, 8))
    for view in (values, np.asfortranarray(values), values[::2], values[:, ::-3], values.T):
        for row in range(view.shape[0]):
            for column in range(view.shape[1]):
                assert at(view, row, np.int64(column)) == view[row, column] * view.shape[1]


def test_results_have_the_types_of_python() -> None:
    assert smaller(2, 2.5) is True
    assert smaller(-(2**40), -float(2**41)) is False
    pair = np.array([1, 2], dtype=np.int32)
    assert swap(pair) is None  # type: ignore[func-returns-value]
    assert pair.tolist() == [2, 1]
    values = np.array([[np.nan, np.inf]])
    assert math.isnan(at(values, 0, 0))
    assert at(values, 0, 1) == math.inf


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(TypeError, match="take no str"):
        smaller("2", 2.5)  # type: ignore[arg-type]


def test_code_that_cannot_be_read_or_kept_is_made_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, place = Code("f.entry", "none", [], b"\x7fELF"), tmp_path / "f-text-kinds.nbo"
    write(place, code)
    assert read(place, "f") == code
    place.unlink()
    assert read(place, "f") is None
    place.mkdir()
    assert read(place, "f") is None
    write(place, code)
    assert read(place, "f") is None
    assert capsys.readouterr().err == ""
