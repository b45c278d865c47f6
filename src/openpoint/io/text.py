"""Text of input files: decoding, and faults that name file and line."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeVar

from openpoint.errors import InputError, Problem


def decode(content: bytes, file: str) -> str:
    """The text of a file: UTF-8, else Latin-1 (old files with accents in comments).

    Raises:
        InputError: the file is empty or holds no text.
    """
    if not content.strip():
        raise InputError([Problem(file, "", "", "the file is empty", "Get the whole file")])
    if b"\0" in content:
        remedy = "Give a text file, not packed and not in UTF-16"
        if content.startswith(b"\x1f\x8b"):
            remedy = "Unpack it first. Is it a certificate? It comes after the grid: openpoint verify GRID FILE"
        raise InputError([Problem(file, "", "", "the file holds binary data, no text", remedy)])
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


# A dot, a letter and up to seven letters or digits: `.m`, `.xlsx`, `.parquet`, but not the `.2` of a version.
_ENDING = re.compile(r"\.[a-z][a-z0-9]{0,7}")
_SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))


def file_ending(path: str | os.PathLike[str]) -> str:
    """The ending of a path that looks like that of a file, in small letters; empty where it can only be a folder.

    It can only be a folder where it is one already, where it ends in a slash, and where there is no ending: a dot, a
    letter and up to seven letters or digits. `out.m` is a file; `out.m/`, `out` and `my.grid-v1.2` are folders.
    """
    text = os.fspath(path)
    ending = Path(text).suffix.lower()
    if text.endswith(_SEPARATORS) or not _ENDING.fullmatch(ending) or Path(text).is_dir():
        return ""
    return ending


Number = TypeVar("Number", float, complex)


def star_of(first_second: Number, second_third: Number, first_third: Number) -> tuple[Number, Number, Number]:
    """The impedances of the three windings to their common point, from those between two windings, the third open.

    Each of the three given is the sum of two of the star, so that z_1 = (z_12 + z_13 - z_23) / 2 and so on. All are
    referred to one winding. The reactance of one may be negative though those between windings are not.
    """
    half = (first_second + second_third + first_third) / 2.0
    return half - second_third, half - first_third, half - first_second
