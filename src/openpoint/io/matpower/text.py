"""Tokens and statements of a MATPOWER case file, which is read as text. Nothing is executed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from openpoint.errors import Problem
from openpoint.inputs import MOST_VALUES, most, refuse_more

_TOKEN = re.compile(
    r"""
    (?P<blank>[ \t\f\v\r\xa0\ufeff]+)
  | (?P<more>\.\.\.[^\n]*\n)
  | (?P<comment>%[^\n]*)
  | (?P<newline>\n)
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?)
  | (?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
  | (?P<text>'(?:[^'\n]|'')*'|"(?:[^"\n]|"")*")
  | (?P<mark>\.\*|\./|\.\^|[-+*/^()\[\]{},;:=])
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_BLOCK_MARK = re.compile(r"^[ \t]*%([{}])[ \t]*\r?$", re.MULTILINE)
_NUMBER = r"[-+]?(?:\d++\.?+\d*+|\.\d++)(?:[eEdD][-+]?\d++)?+"
# A row of a matrix in a line of its own, of numbers alone.
_BETWEEN = r"(?:[ \t]*+,[ \t]*+|[ \t]++)"
_ROW = re.compile(rf"[ \t]*+({_NUMBER}(?:{_BETWEEN}{_NUMBER})++)[ \t]*+;?+[ \t]*+(?:%[^\n]*+)?+(?=\n)", re.ASCII)
_OF_A_TOKEN = 4
"""What a word of its own takes, as a number of numbers in rows of numbers alone."""
_OPENING = {"(": ")", "[": "]", "{": "}"}
# At the start of a line these begin a new statement, even where a bracket was left open.
_START = re.compile(r"[ \t]*(?:mpc\.\w+[ \t]*=|function\b)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    """A token: kind as in the pattern, its text, its line, whether a blank stands before it, where it begins."""

    kind: str
    text: str
    line: int
    spaced: bool
    start: int


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its tokens without the closing mark, and its first line as written."""

    tokens: tuple[Token, ...]
    shown: str

    @property
    def line(self) -> int:
        return self.tokens[0].line


def statements(text: str, file: str, *, whole_rows: bool = False) -> tuple[list[Statement], list[Problem]]:
    """The statements of a file, and a fault for every bracket that is not closed and every character not known.

    Semicolons and newlines within brackets stay as tokens; comments and continuations are gone.

    Args:
        text, file: of the case. whole_rows: whether a line of numbers alone is one token of the kind `row`, which
            takes a tenth of the time and memory.

    Raises:
        InputError: there are too many numbers and words.
    """
    text = without_block_comments(text)
    lines = text.split("\n")
    found: list[Statement] = []
    faults: list[Problem] = []
    current: list[Token] = []
    open_marks: list[Token] = []

    def finish() -> None:
        if current:
            found.append(Statement(tuple(current), lines[current[0].line - 1].strip()))
            current.clear()

    for token in _tokens(text, file, whole_rows=whole_rows):
        if open_marks and token.kind == "newline" and token.line < len(lines) and _START.match(lines[token.line]):
            faults.append(_not_closed(file, open_marks[0], current))
            open_marks.clear()
            current.clear()
        elif open_marks:
            if token.text in _OPENING:
                open_marks.append(token)
            elif token.text == _OPENING[open_marks[-1].text]:
                open_marks.pop()
            current.append(token)
        elif token.kind == "newline" or token.text in (";", ","):
            finish()
        else:
            if token.text in _OPENING:
                open_marks.append(token)
            current.append(token)
    if open_marks:
        faults.append(_not_closed(file, open_marks[0], current))
    else:
        finish()
    return found, faults


def without_block_comments(text: str) -> str:
    """The text with blanks in the place of comments between lines `%{` and `%}`."""
    parts: list[str] = []
    begun, done = -1, 0
    for mark in _BLOCK_MARK.finditer(text):
        if mark[1] == "{":
            begun = mark.start() if begun < 0 else begun
        elif begun >= 0:
            parts += [text[done:begun], re.sub(r"[^\n]", " ", text[begun : mark.end()])]
            begun, done = -1, mark.end()
    return "".join([*parts, text[done:]]) if parts else text


def _tokens(text: str, file: str, *, whole_rows: bool) -> Iterator[Token]:
    line, spaced, position, count = 1, False, 0, 0
    may_be_row = whole_rows
    while position < len(text):
        if may_be_row and (row := _ROW.match(text, position)):
            count += len(row[1].split())
            _refuse_more(count, position, text, file)
            yield Token("row", row[1], line, False, position)
            position, may_be_row = row.end(), False
            continue
        match = _TOKEN.match(text, position)
        assert match is not None  # the last of its kinds is any sign
        position = match.end()
        kind = match.lastgroup or "other"
        may_be_row = whole_rows and kind == "newline"
        if kind in ("blank", "comment"):
            spaced = True
        elif kind == "more":
            line += 1
            spaced = True
        else:
            count += _OF_A_TOKEN
            if count % 1000 == 0:
                _refuse_more(count, position, text, file)
            yield Token(kind, match.group(0), line, spaced, match.start())
            spaced = False
            line += kind == "newline"


def _refuse_more(count: int, position: int, text: str, file: str) -> None:
    """Refuse a file with too many tokens up to a position; how many it has in all is extrapolated."""
    if count > most(MOST_VALUES):
        refuse_more(count * len(text) // max(position, 1), MOST_VALUES, "numbers and words or so", file)


def _not_closed(file: str, mark: Token, tokens: list[Token]) -> Problem:
    owner = next((t.text for t in tokens if t.kind == "name"), "")
    message = f"the bracket {mark.text!r} opened here{' for ' + owner if owner else ''} is not closed"
    remedy = f"Close it with {_OPENING[mark.text] + ';'!r}, or get the whole file: it may be cut off"
    return Problem(file, f"line {mark.line}", owner, message, remedy)
