"""Tokens and statements of a MATPOWER case file, which is read as text. Nothing is executed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from openpoint.errors import Problem

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
_BLOCK_COMMENT = re.compile(r"^[ \t]*%\{[ \t]*\r?\n.*?^[ \t]*%\}[ \t]*\r?$", re.MULTILINE | re.DOTALL)
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


def statements(text: str, file: str) -> tuple[list[Statement], list[Problem]]:
    """The statements of a file, and a fault for every bracket that is not closed and every character not known.

    Semicolons and newlines within brackets stay as tokens; comments and continuations are gone.
    """
    text = _BLOCK_COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match.group(0)), text)
    lines = text.split("\n")
    found: list[Statement] = []
    faults: list[Problem] = []
    current: list[Token] = []
    open_marks: list[Token] = []

    def finish() -> None:
        if current:
            found.append(Statement(tuple(current), lines[current[0].line - 1].strip()))
            current.clear()

    for token in _tokens(text):
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


def _tokens(text: str) -> Iterator[Token]:
    line, spaced = 1, False
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if kind in ("blank", "comment"):
            spaced = True
        elif kind == "more":
            line += 1
            spaced = True
        else:
            yield Token(kind, match.group(0), line, spaced, match.start())
            spaced = False
            line += kind == "newline"


def _not_closed(file: str, mark: Token, tokens: list[Token]) -> Problem:
    owner = next((t.text for t in tokens if t.kind == "name"), "")
    message = f"the bracket {mark.text!r} opened here{' for ' + owner if owner else ''} is not closed"
    remedy = f"Close it with {_OPENING[mark.text] + ';'!r}, or get the whole file: it may be cut off"
    return Problem(file, f"line {mark.line}", owner, message, remedy)
