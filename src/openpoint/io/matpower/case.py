"""The fields of a MATPOWER case file (`mpc.bus`, …) after all its statements. Nothing is executed.

Read are assignments of numbers, texts and matrices, the statements that name columns (`[…] = idx_bus`), and
assignments to parts of a matrix, by which distribution cases turn ohms and kW into per unit and MW. Any other
statement is refused with its line.

Evaluation of the arithmetic in MATPOWER case files: a fixed list of forms; nothing is executed.

Known are numbers, `pi`, `Inf`, `NaN`, names assigned before, `+ - * / ^` and their elementwise forms, brackets, the
functions below, and cells, rows or columns of a matrix as in `mpc.bus(1, BASE_KV)` or `mpc.branch(:, [BR_R BR_X])`.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from openpoint.arrays import Floats
from openpoint.errors import Faults, Problem
from openpoint.inputs import MOST_CELLS, MOST_VALUES, most, refuse_more
from openpoint.io.matpower.text import Statement, Token, statements

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


_BUS = "BUS_I BUS_TYPE PD QD GS BS BUS_AREA VM VA BASE_KV ZONE VMAX VMIN LAM_P LAM_Q MU_VMAX MU_VMIN"
_BRANCH = "F_BUS T_BUS BR_R BR_X BR_B RATE_A RATE_B RATE_C TAP SHIFT BR_STATUS"
_BRANCH_LATER = {"PF": 14, "QF": 15, "PT": 16, "QT": 17, "MU_SF": 18, "MU_ST": 19}
_BRANCH_LAST = {"ANGMIN": 12, "ANGMAX": 13, "MU_ANGMIN": 20, "MU_ANGMAX": 21}
_GEN = "GEN_BUS PG QG QMAX QMIN VG MBASE GEN_STATUS PMAX PMIN"
_GEN_LATER = {"MU_PMAX": 22, "MU_PMIN": 23, "MU_QMAX": 24, "MU_QMIN": 25}
_GEN_LAST = "PC1 PC2 QC1MIN QC1MAX QC2MIN QC2MAX RAMP_AGC RAMP_10 RAMP_30 RAMP_Q APF"


def _count(words: str, first: int = 1) -> dict[str, int]:
    return {word: k for k, word in enumerate(words.split(), start=first)}


# What the functions of MATPOWER return, in their order, which is the order of the names on the left.
COLUMNS: dict[str, dict[str, int]] = {
    "idx_bus": {"PQ": 1, "PV": 2, "REF": 3, "NONE": 4, **_count(_BUS)},
    "idx_brch": {**_count(_BRANCH), **_BRANCH_LATER, **_BRANCH_LAST},
    "idx_gen": {**_count(_GEN), **_GEN_LATER, **_count(_GEN_LAST, 11)},
    "idx_cost": {"PW_LINEAR": 1, "POLYNOMIAL": 2, **_count("MODEL STARTUP SHUTDOWN NCOST COST")},
}
_MOST_WORK = 1_000_000_000
"""Cells that statements may go through, all together; a conversion of units takes about ten a cell."""
_HELP = "Only assignments of numbers and matrices and the usual conversions of units are read; write the values out"


@dataclass
class Matrix:
    """A matrix as the file holds it after its statements.

    Attributes:
        values: the numbers, 2-D.
        lines: line of the file of each row.
        written: text of the cells (row, column) that are more than a number.
    """

    values: Floats
    lines: list[int]
    written: dict[tuple[int, int], str] = field(default_factory=dict)


@dataclass
class Case:
    """The fields of a case file. `faults`: what could not be read; `broken`: names without a value because of them."""

    name: str = ""
    matrices: dict[str, Matrix] = field(default_factory=dict)
    scalars: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    field_lines: dict[str, int] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    broken: set[str] = field(default_factory=set)


def read_case(text: str, file: str) -> Case:
    """The fields of a case file; every statement that is not understood becomes a fault."""
    found, faults = statements(text, file, whole_rows=True)
    machine = _Machine(file, Case(faults=Faults(faults), broken={fault.column for fault in faults}))
    for statement in found:
        machine.run(statement)
    return machine.case


class _Machine:
    """The names assigned so far while the statements are read one after the other."""

    def __init__(self, file: str, case: Case) -> None:
        self.file = file
        self.case = case
        self.names: dict[str, Value] = {}
        self.largest = self.held = self.work = 0

    def run(self, statement: Statement) -> None:
        """Read one statement, or note why it cannot be."""
        tokens = statement.tokens
        if [t.text for t in tokens[1:3]] != ["=", "["]:
            self.work += len(tokens) * self.largest
            refuse_more(self.work, _MOST_WORK, "operations on cells of matrices", self.file)
        try:
            if tokens[0].text == "function":
                self._function(tokens)
            elif tokens[0].text in ("end", "return", "endfunction") and len(tokens) == 1:
                pass
            elif tokens[0].text == "define_constants" and len(tokens) == 1:
                for columns in COLUMNS.values():
                    self.names |= {name: np.float64(k) for name, k in columns.items()}
            elif tokens[0].text == "[":
                self._name_columns(tokens)
            elif tokens[0].kind == "name" and len(tokens) > 2:
                self._assign(tokens)
            else:
                raise NotUnderstoodError("this is no assignment")
        except NotUnderstoodError as error:
            # A consequence of an earlier fault is not reported again.
            used = {t.text for t in tokens}
            known_broken = not self.case.broken.isdisjoint(used)
            if tokens[0].text.startswith("mpc.") or (len(tokens) > 1 and tokens[1].text == "="):
                self.case.broken.add(tokens[0].text)
            if known_broken:
                return
            message = f"this statement is not read ({error}): {_short(statement.shown)}"
            self.case.faults.append(Problem(self.file, f"line {statement.line}", "", message, _HELP))

    def _function(self, tokens: Sequence[Token]) -> None:
        words = [t.text for t in tokens]
        if len(words) == 4 and words[1:3] == ["mpc", "="]:
            self.case.name = words[3]
        elif len(words) > 1 and words[1] == "[":
            raise NotUnderstoodError("version 1 of the case format; save it as version 2 with MATPOWER's savecase")
        else:
            raise NotUnderstoodError("a case file begins with: function mpc = name")

    def _name_columns(self, tokens: Sequence[Token]) -> None:
        """`[PQ, PV, …] = idx_bus`"""
        texts = [t.text for t in tokens]
        if texts[-2:-1] != ["="] or texts[-1] not in COLUMNS or texts[-3] != "]":
            raise NotUnderstoodError("this is no assignment of column numbers")
        names = [t for t in tokens[1:-3] if t.text != "," and t.kind != "newline"]
        numbers = list(COLUMNS[texts[-1]].values())
        if any(t.kind != "name" or "." in t.text for t in names) or len(names) > len(numbers):
            raise NotUnderstoodError("this is no list of names")
        self.names |= {t.text: np.float64(k) for t, k in zip(names, numbers)}

    def _assign(self, tokens: Sequence[Token]) -> None:
        name, rest = tokens[0].text, tokens[1:]
        if rest[0].text == "(":
            self._assign_part(name, tokens)
            return
        if rest[0].text != "=":
            raise NotUnderstoodError("this is no assignment")
        value = rest[1:]
        is_field = name.startswith("mpc.") and name.count(".") == 1
        if is_field:
            self.case.field_lines[name[4:]] = tokens[0].line
        if is_field and value[0].text == "[" and value[-1].text == "]":
            matrix = self._matrix(name, value[1:-1])
            self.largest = max(self.largest, matrix.values.size)
            self.names[name] = matrix.values
            self.case.matrices[name[4:]] = matrix
        elif is_field and value[0].kind == "text" and len(value) == 1:
            self.case.texts[name[4:]] = value[0].text[1:-1]
        elif is_field and value[0].text == "{" and value[-1].text == "}":
            _only_texts(value[1:-1])
        elif is_field or "." not in name:
            number = evaluate(value, self.names)
            if is_field and np.ndim(number):
                raise NotUnderstoodError("only a number or a matrix in brackets is read here")
            self.largest = max(self.largest, np.size(number))
            self.held += np.size(number)
            refuse_more(self.held, MOST_CELLS, "cells of matrices", self.file)
            self.names[name] = np.array(number) if np.ndim(number) else number
            if is_field:
                self.case.scalars[name[4:]] = float(number)
        else:
            raise NotUnderstoodError("only fields of mpc are read")

    def _assign_part(self, name: str, tokens: Sequence[Token]) -> None:
        """`mpc.branch(:, [BR_R BR_X]) = …`"""
        if not name.startswith("mpc.") or name[4:] not in self.case.matrices:
            raise NotUnderstoodError(f"{name!r} is no matrix given above")
        matrix = self.case.matrices[name[4:]].values
        reader = Reader(tokens, self.names)
        reader.at = 1
        rows, columns = reader.index(matrix)
        reader.expect("=")
        value = evaluate(tokens[reader.at :], self.names)
        if np.ndim(value) and np.shape(value) != (len(rows), len(columns)):
            raise NotUnderstoodError("the two sides differ in size")
        matrix[np.ix_(rows, columns)] = value

    def _matrix(self, name: str, tokens: Sequence[Token]) -> Matrix:
        rows: list[Sequence[float]] = []
        lines: list[int] = []
        written: dict[tuple[int, int], str] = {}
        for row in rows_of(tokens):
            plain = row[0].kind == "row"
            numbers: Sequence[float] = _numbers(row[0].text) if plain else self._row(name, row, len(rows), written)
            rows.append(numbers)
            lines.append(row[0].line)
        width = Counter(len(r) for r in rows).most_common(1)[0][0] if rows else 0
        for numbers, line in zip(rows, lines):
            if len(numbers) != width:
                message = f"{len(numbers)} numbers, where the other rows of {name} have {width}"
                remedy = "Complete the row; a file that was cut off ends like this"
                self.case.faults.append(Problem(self.file, f"line {line}", name, message, remedy))
        whole = [k for k, r in enumerate(rows) if len(r) == width]
        values = np.array([rows[k] for k in whole], dtype=np.float64).reshape(len(whole), width)
        place = {k: i for i, k in enumerate(whole)}
        kept = {(place[k], column): text for (k, column), text in written.items() if k in place}
        return Matrix(values, [lines[k] for k in whole], kept)

    def _row(self, name: str, row: Sequence[Token], at: int, written: dict[tuple[int, int], str]) -> list[float]:
        """The numbers of a row, NaN and a fault where a cell is none; texts of longer cells are added to `written`."""
        numbers: list[float] = []
        for cell in cells_of(row):
            try:
                numbers.append(self._cell(cell))
            except NotUnderstoodError as error:
                shown = _short(_joined(cell))
                message = f"{shown!r} is no number" if shown in str(error) else f"{shown!r} is no number: {error}"
                column = f"{name} column {len(numbers) + 1}"
                self.case.faults.append(Problem(self.file, f"line {cell[0].line}", column, message, "Write a number"))
                numbers.append(np.nan)
            if len(cell) > 2:
                written[at, len(numbers) - 1] = _joined(cell)
        return numbers

    def _cell(self, tokens: Sequence[Token]) -> float:
        # Nearly every cell is a number, with or without its sign.
        last = tokens[-1]
        if last.kind == "number" and (len(tokens) == 1 or (len(tokens) == 2 and tokens[0].text in "+-")):
            number = float(last.text.replace("d", "e").replace("D", "e"))
            return -number if tokens[0].text == "-" else number
        value = evaluate(tokens, self.names)
        if np.ndim(value):
            raise NotUnderstoodError("a matrix stands within a matrix")
        return float(value)


def _numbers(text: str) -> array[float]:
    """The numbers of a row that holds nothing else."""
    if "d" in text or "D" in text:
        text = text.replace("d", "e").replace("D", "e")
    return array("d", map(float, text.replace(",", " ").split()))


def rows_of(tokens: Sequence[Token]) -> list[list[Token]]:
    """The rows of a matrix, which semicolons and newlines end."""
    rows: list[list[Token]] = [[]]
    for token in tokens:
        if token.kind == "newline" or token.text == ";":
            rows.append([])
        else:
            rows[-1].append(token)
    return [row for row in rows if row and any(t.text != "," for t in row)]


def cells_of(row: Sequence[Token]) -> list[list[Token]]:
    """Cells of a row, separated by commas or, as in MATLAB, blanks (`1 -2` is two cells, `1 - 2` and `1-2` are one)."""
    cells: list[list[Token]] = [[]]
    depth = 0
    for k, token in enumerate(row):
        if depth == 0 and token.text == ",":
            cells.append([])
            continue
        if depth == 0 and cells[-1] and token.spaced and _begins_cell(row, k):
            cells.append([])
        depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
        cells[-1].append(token)
    return [cell for cell in cells if cell]


def _begins_cell(row: Sequence[Token], k: int) -> bool:
    before, token = row[k - 1], row[k]
    if before.kind == "mark" and before.text not in (")", "]", "}"):
        return False
    if token.text in ("+", "-"):
        return k + 1 < len(row) and not row[k + 1].spaced
    return token.kind != "mark" or token.text in ("(", "[", "{")


def _only_texts(tokens: Sequence[Token]) -> None:
    """Read and ignore a cell array of texts and numbers, like `mpc.bus_name`."""
    if any(t.kind not in ("text", "number", "row", "newline") and t.text not in (",", ";", "-", "+") for t in tokens):
        raise NotUnderstoodError("only texts and numbers are read in a cell array")


def _joined(tokens: Sequence[Token]) -> str:
    return "".join((" " if t.spaced and k else "") + t.text for k, t in enumerate(tokens))


def _short(text: str, most: int = 80) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
