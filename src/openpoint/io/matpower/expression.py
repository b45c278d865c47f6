"""Evaluation of the arithmetic in MATPOWER case files: a fixed list of forms; nothing is executed.

Known are numbers, `pi`, `Inf`, `NaN`, names assigned before, `+ - * / ^` and their elementwise forms, brackets, the
functions below, and cells, rows or columns of a matrix as in `mpc.bus(1, BASE_KV)` or `mpc.branch(:, [BR_R BR_X])`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from openpoint.arrays import Floats
from openpoint.inputs import MOST_VALUES, most
from openpoint.io.matpower.text import Token

Value = np.float64 | Floats

CONSTANTS = {
    "pi": np.pi,
    "Inf": np.inf,
    "inf": np.inf,
    "NaN": np.nan,
    "nan": np.nan,
}
FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "sqrt": np.sqrt,
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
}
DEEPEST = 40


class NotUnderstoodError(Exception):
    """The tokens are none of the known forms; the text says why."""


def evaluate(tokens: Sequence[Token], names: Mapping[str, Value]) -> Value:
    """The value of an expression.

    Args:
        tokens: the expression.
        names: values assigned before; matrices are two-dimensional.

    Raises:
        NotUnderstoodError: it is none of the known forms, or its value is no real number.
    """
    reader = Reader(tokens, names)
    with np.errstate(all="ignore"):
        value = reader.sum()
    reader.expect_end()
    return value


class Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, tokens: Sequence[Token], names: Mapping[str, Value]) -> None:
        self.tokens = tokens
        self.names = names
        self.at = 0
        self.depth = 0

    def peek(self) -> str:
        """The next token's text, empty at the end."""
        return self.tokens[self.at].text if self.at < len(self.tokens) else ""

    def take(self, text: str) -> bool:
        """Whether the next token is this one; if so, it is consumed."""
        found = self.peek() == text
        self.at += found
        return found

    def expect(self, text: str) -> None:
        """Consume this token; raise if another one is next."""
        if not self.take(text):
            raise NotUnderstoodError(f"{text!r} was expected {self._where()}")

    def expect_end(self) -> None:
        """Raise if a token is left."""
        if self.at < len(self.tokens):
            raise NotUnderstoodError(f"{self.peek()!r} does not belong here")

    def _where(self) -> str:
        return f"before {self.peek()!r}" if self.peek() else "at the end"

    def sum(self) -> Value:
        """Terms with + and - between."""
        value = self._product()
        while self.peek() in ("+", "-"):
            sign = 1.0 if self.take("+") else -1.0
            self.at += sign < 0
            value = _combine(value, sign * self._product(), np.add, elementwise=True)
        return value

    def _product(self) -> Value:
        value = self._signed()
        while (mark := self.peek()) in ("*", "/", ".*", "./"):
            self.at += 1
            right = self._signed()
            if mark == "/" and np.ndim(right):
                raise NotUnderstoodError("division by a matrix is not read")
            operation = np.multiply if "*" in mark else np.divide
            value = _combine(value, right, operation, elementwise=mark[0] == ".")
        return value

    def _signed(self) -> Value:
        self.depth += 1
        if self.depth > DEEPEST:
            raise NotUnderstoodError("the expression is nested too deeply")
        if self.take("-"):
            value = -self._signed()
        elif self.take("+"):
            value = self._signed()
        else:
            value = self._power()
        self.depth -= 1
        return value

    def _power(self) -> Value:
        value = self._atom()
        while (mark := self.peek()) in ("^", ".^"):
            self.at += 1
            right = -self._atom() if self.take("-") else self._atom()
            if mark == "^" and (np.ndim(value) or np.ndim(right)):
                raise NotUnderstoodError("the power of a matrix is not read")
            value = _real(_combine(value, right, np.power, elementwise=True), value, right)
        return value

    def _atom(self) -> Value:
        if self.at >= len(self.tokens):
            raise NotUnderstoodError("the expression is not complete")
        token = self.tokens[self.at]
        self.at += 1
        if token.kind == "number":
            return np.float64(token.text.replace("d", "e").replace("D", "e"))
        if token.text == "(":
            value = self.sum()
            self.expect(")")
            return value
        if token.kind != "name":
            raise NotUnderstoodError(f"{token.text!r} is not a number")
        return self._named(token.text)

    def _named(self, name: str) -> Value:
        if name in self.names:
            value = self.names[name]
            return self._part(value) if self.peek() == "(" else value
        if name in CONSTANTS:
            return np.float64(CONSTANTS[name])
        if name in FUNCTIONS and self.take("("):
            value = self.sum()
            self.expect(")")
            return _real(FUNCTIONS[name](np.asarray(value))[()], value)
        raise NotUnderstoodError(f"{name!r} is not known")

    def _part(self, matrix: Value) -> Value:
        rows, columns = self.index(matrix)
        part = np.asarray(matrix)[np.ix_(rows, columns)]
        return np.float64(part[0, 0]) if part.shape == (1, 1) else part

    def index(self, matrix: Value) -> tuple[list[int], list[int]]:
        """Numbers (from 0) of the rows and columns in an index like `(:, [PD, QD])`."""
        if np.ndim(matrix) != 2:
            raise NotUnderstoodError("only a matrix has rows and columns")
        self.expect("(")
        height, width = np.shape(matrix)
        rows = self._numbers(height, "rows")
        self.expect(",")
        columns = self._numbers(width, "columns")
        self.expect(")")
        if len(rows) * len(columns) > most(MOST_VALUES):
            raise NotUnderstoodError(f"the part has {len(rows) * len(columns):,} cells")
        return rows, columns

    def _numbers(self, size: int, what: str) -> list[int]:
        if self.take(":"):
            return list(range(size))
        if not self.take("["):
            return [_position(self.sum(), size, what)]
        positions = []
        while not self.take("]"):
            positions.append(_position(self._atom(), size, what))
            self.take(",")
        return positions


def _position(value: Value, size: int, what: str) -> int:
    if np.ndim(value) or value != np.floor(value) or not 1 <= value <= size:
        raise NotUnderstoodError(f"there are {size} {what}, {value} is none of them")
    return int(value) - 1


def _combine(left: Value, right: Value, operation: np.ufunc, *, elementwise: bool) -> Value:
    if np.ndim(left) and np.ndim(right):
        if not elementwise:
            raise NotUnderstoodError("the product of two matrices is not read")
        if np.shape(left) != np.shape(right):
            raise NotUnderstoodError("the two matrices differ in size")
    result: Value = operation(left, right)
    return result


def _real(result: Value, *given: Value) -> Value:
    """The result, unless it became no number though it was made of numbers (a root of a negative number)."""
    if np.isnan(result).any() and not any(np.isnan(v).any() for v in given):
        raise NotUnderstoodError("the result is not a real number")
    return result
