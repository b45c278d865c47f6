"""Paths to be written: whether a path is a file or a folder, by its ending."""

from __future__ import annotations

import os
import re
from pathlib import Path

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
