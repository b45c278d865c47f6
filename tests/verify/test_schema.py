"""Values of another type than they should have, or beyond their range, are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openpoint.verify import CertificateError, schema

WRONG: list[tuple[Callable[[Any], Any], list[Any]]] = [
    (lambda v: schema.whole(v, "it", 0, 5), [True, False, 1.0, "1", None, [1], {}, -1, 6, 10**30]),
    (lambda v: schema.number(v, "it", 0.0), [True, "1", None, [1.0], {}, -1e-9, float("nan"), float("inf"), 10**30]),
    (lambda v: schema.wholes(v, "it", 0, 5, 2), [[1], [1, 2, 3], (1, 2), "12", {1: 2}, None, [1, True], [[1], 2]]),
    (lambda v: schema.different(v, "it", 3), [[0, 0], [3], [True], [0, False]]),
    (lambda v: schema.numbers(v, "it", 2), [[1.0], [1.0, None], [1.0, "x"], [True, 1.0], [1.0, 1e400]]),
    (lambda v: schema.numbers(v, "it", 1, 0.0, 0.0), [[-1.0], [[]], None]),
    (lambda v: schema.pairs(v, "it", 3, 1, 9), [[[0, 1], [0, 2]], [[3, 1]], [[0, 0]], [[0]], [0, 1], [[True, 1]]]),
    (lambda v: schema.text(v, "it"), [1, None, ["a"], True]),
    (lambda v: schema.texts(v, "it"), [["a", "a"], ["a", 1], "ab"]),
    (lambda v: schema.named(v, "it", {"a": 0}), [["b"], ["a", "a"], [0], "a"]),
    (lambda v: schema.record(v, "it", ("a",), ("b",)), [[], {}, {"b": 1}, {"a": 1, "c": 1}, None]),
]


@pytest.mark.parametrize("at", range(len(WRONG)))
def test_a_wrong_value_is_refused_with_its_place(at: int) -> None:
    read, values = WRONG[at]
    for value in values:
        with pytest.raises(CertificateError, match="it "):
            read(value)


def test_right_values_are_read() -> None:
    assert type(schema.number(3, "it")) is float
    assert schema.numbers([1.5, None], "it", 2, 7.0).tolist() == [1.5, 7.0]
    assert schema.pairs([[2, 5], [0, 1]], "it", 3, 1, 9) == {2: 5, 0: 1}
    assert schema.named(["b", "a"], "it", {"a": 0, "b": 4}) == [4, 0]
    assert schema.record({"a": 1}, "it", ("a",), ("b",)) == {"a": 1}


def test_a_refusal_can_be_printed_whatever_the_value_is() -> None:
    for value in ("\ud800" * 100, "x" * 1000, ["\ud800"], {"\ud800": 1}):
        with pytest.raises(CertificateError) as error:
            schema.whole(value, "it", 0, 1)
        assert len(str(error.value).encode("ascii")) < 150
