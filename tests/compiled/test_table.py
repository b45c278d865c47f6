"""Tables in compiled functions: the same fields, items and lengths as in Python."""

import importlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from openpoint.compiled.jit import Way, inlined, lean
from openpoint.compiled.table import Table
from openpoint.powerflow.kernel import sweep


@dataclass(frozen=True, eq=False)
class Things(Table):
    """One field of every kind."""

    count: int
    share: float
    on: bool
    states: Any
    numbers: Any
    singles: Any
    values: Any
    flags: Any
    phasors: Any
    rows: Any


def things() -> Things:
    rng = np.random.default_rng(0)
    return Things(
        count=-3,
        share=0.1,
        on=True,
        states=rng.integers(-128, 128, 5).astype(np.int8),
        numbers=rng.integers(-(2**31), 2**31, 6).astype(np.int32),
        singles=rng.normal(size=7).astype(np.float32),
        values=rng.normal(size=8),
        flags=rng.random(9) < 0.5,
        phasors=rng.normal(size=10) + 1j * rng.normal(size=10),
        rows=rng.integers(-9, 9, (3, 4)).astype(np.int8),
    )


@inlined
def total(values: Any) -> float:
    found = 0.0
    for k in range(len(values)):
        found += values[k]
    return found


@lean
def sums(t: Things, into: Any) -> int:
    into[0] = total(t.states)
    into[1] = total(t.numbers)
    into[2] = total(t.singles)
    into[3] = total(t.values)
    into[4] = t.count * t.share
    for k in range(len(t.flags)):
        into[5] += t.flags[k] and t.on
    for k in range(len(t.phasors)):
        into[6] += t.phasors[k].real
        into[7] += t.phasors[k].imag
    for i in range(len(t.rows)):
        for j in range(4):
            into[8] += (i + 1) * (j + 7) * t.rows[i, j]
    return len(t.states)


@lean
def overwrite(t: Things) -> None:
    t.states[1] = -7
    t.numbers[2] = 1 << 20
    t.singles[3] = t.share
    t.values[4] = t.count
    t.flags[5] = not t.flags[5]
    t.phasors[6] = complex(t.share, -1.0)
    t.rows[2, 3] = 5


def test_compiled_code_reads_what_python_reads() -> None:
    t, into = things(), np.zeros(9)
    assert sums(t, into) == 5
    weights = np.outer(np.arange(1, 4), np.arange(7, 11))
    expected = [
        t.states.sum(dtype=float),
        t.numbers.sum(dtype=float),
        t.singles.sum(dtype=float),
        t.values.sum(),
        t.count * t.share,
        t.flags.sum(),
        t.phasors.real.sum(),
        t.phasors.imag.sum(),
        (weights * t.rows).sum(),
    ]
    np.testing.assert_allclose(into, expected, rtol=1e-14)


def test_compiled_code_writes_where_python_reads() -> None:
    t = things()
    flag = bool(t.flags[5])
    overwrite(t)
    assert (t.states[1], t.numbers[2], t.values[4], t.rows[2, 3]) == (-7, 1 << 20, -3.0, 5)
    assert t.singles[3] == np.float32(0.1)
    assert t.flags[5] == (not flag)
    assert t.phasors[6] == 0.1 - 1.0j
    untouched, fresh = t.rows.copy(), things().rows
    untouched[2, 3] = fresh[2, 3]
    np.testing.assert_array_equal(untouched, fresh)


def test_the_type_of_a_table_is_that_of_its_fields() -> None:
    t = things()
    assert t.layout[0] == things().layout[0]
    assert replace(t, values=t.singles).layout[0] != t.layout[0]
    assert replace(t, rows=t.states).layout[0] != t.layout[0]
    assert replace(t, count=1.5).layout[0] != t.layout[0]


def value_at(t: Things, k: int) -> float:
    return float(t.values[k])


@pytest.mark.parametrize("index", [-1, 8])
def test_an_index_outside_of_its_array_is_found_where_bounds_are_checked(
    index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = importlib.import_module("openpoint.compiled.compiler")._SETTINGS
    monkeypatch.setitem(settings, Way.LEAN, {**settings[Way.LEAN], "boundscheck": True})
    at = lean(value_at)
    assert at(things(), 7) == things().values[7]
    with pytest.raises(IndexError):
        at(things(), index)


def test_arrays_with_gaps_are_refused() -> None:
    with pytest.raises(ValueError, match="numbers"):
        _ = replace(things(), numbers=np.arange(10, dtype=np.int32)[::2]).address


def test_machine_code_is_kept_by_the_text_of_all_its_files() -> None:
    keys = [lean(function.py_func).text for function in (total, total, sweep)]  # type: ignore[attr-defined]
    assert keys[0] == keys[1] != keys[2]
