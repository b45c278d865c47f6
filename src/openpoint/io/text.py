"""Text of input files: decoding, and faults that name file and line."""

from __future__ import annotations

from openpoint.errors import InputError, Problem


def decode(content: bytes, file: str) -> str:
    """The text of a file: UTF-8, else Latin-1 (old files with accents in comments).

    Raises:
        InputError: the file is empty or holds no text.
    """
    if not content.strip():
        raise InputError([Problem(file, "", "", "the file is empty", "Get the whole file")])
    if b"\0" in content:
        message = "the file holds binary data, no text"
        raise InputError([Problem(file, "", "", message, "Give a text file, not packed and not in UTF-16")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def fault(file: str, line: int | None, column: str, message: str, remedy: str) -> Problem:
    """An error in a line of a file (None = the whole file)."""
    return Problem(file, "" if line is None else f"line {line}", column, message, remedy)


def doubt(
    file: str, line: int | None, column: str, message: str, remedy: str, *, changes_figures: bool = False
) -> Problem:
    """A warning about a line of a file (None = the whole file); `changes_figures` as of `Problem`."""
    row = "" if line is None else f"line {line}"
    return Problem(file, row, column, message, remedy, "warning", changes_figures)
