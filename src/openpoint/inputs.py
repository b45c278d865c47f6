"""Input files: opened, unpacked and decoded within limits, so that no file can hang a run or fill the memory.

Every file that is read goes through `content_of`, which takes regular files only. What packs much into little
(archives, JSON, tables) is measured before it is unpacked or parsed. A limit that is met is named with its remedy: the
environment variable `OPENPOINT_INPUT_LIMITS=4` allows four times as much everywhere.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import stat
import tomllib
import zipfile
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.parsers import expat

from openpoint.errors import InputError, OpenpointError, Problem

LIMITS = "OPENPOINT_INPUT_LIMITS"
"""The environment variable with a factor on all limits of this module."""
MOST_BYTES = 256_000_000
"""Bytes of a file, and of all files of an archive together once unpacked."""
MOST_VALUES = 3_000_000
"""Numbers, texts and empty cells of a file that are held one by one as Python objects, some 100 bytes each."""
MOST_CELLS = 50_000_000
"""Cells of a table that is held column by column, 8 to 20 bytes each."""
MOST_COLUMNS = 20_000
"""Columns of a table."""
MOST_SETTINGS = 2_000_000
"""Bytes of a TOML file, whose reader takes a second for each megabyte."""
MOST_OPTIONS = 100_000
"""Bytes of a file of options."""
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_CHUNK = 1 << 20
_LONG_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){100}""", re.ASCII)
"""A key of a hundred parts: the time of tomllib grows with the square of their number."""


def most(limit: int) -> int:
    """A limit times the factor of the environment.

    Raises:
        InputError: the factor is no positive number.
    """
    text = os.environ.get(LIMITS, "1")
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0.0 < factor < 1e6:
        raise InputError([Problem(LIMITS, "", "", f"{text!r} is no factor", "Give a positive number, such as 4")])
    return int(limit * factor)


def refuse_more(count: int, limit: int, what: str, file: str) -> None:
    """Refuse a file with more of something than the limit, before it is taken into memory.

    Args:
        count: how much there is. limit: of this module. what: what is counted, in the plural. file: its name.

    Raises:
        InputError: there is more.
    """
    if count > (allowed := most(limit)):
        message = f"it holds {count:,} {what}, and at most {allowed:,} are read, for the sake of memory and time"
        factor = -(-count // limit)
        remedy = f"If that is right and the memory suffices, set {LIMITS}={factor} in the environment"
        raise InputError([Problem(file, "", "", message, remedy)])


def content_of(path: Path, limit: int = MOST_BYTES) -> bytes:
    """The bytes of a regular file.

    Raises:
        InputError: it is a folder, a pipe, a socket or a device, is too large, or cannot be read.
    """
    try:
        mode = os.stat(path).st_mode  # before it is opened: opening a pipe waits for whoever writes into it
        if kind := next((word for is_kind, word in _KINDS if is_kind(mode)), ""):
            remedy = "Give a file" if kind == "a folder" else "Write its content into a file, and give that"
            raise InputError([Problem(str(path), "", "", f"this is {kind}, and no file", remedy)])
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            refuse_more(size, limit, "bytes", str(path))
            content = file.read(most(limit) + 1)  # a file of the system may be longer than it says
    except (OSError, ValueError) as error:  # ValueError: a path with a character that no path can have
        raise InputError([unreadable(path, error)]) from error
    refuse_more(len(content), limit, "bytes", str(path))
    return content


def real_path(path: Path | str) -> Path:
    """Where a path leads; unlike `Path.resolve`, without an error where links lead in a circle."""
    return Path(os.path.realpath(path))


def unreadable(path: Path | str, error: OSError | ValueError) -> Problem:
    """The fault of a file or folder that the system does not open."""
    reason = getattr(error, "strerror", None) or str(error)
    return Problem(str(path), "", "", f"it cannot be read: {reason}", "Check the path and its rights")


@contextmanager
def decoding(file: str, what: str, remedy: str) -> Iterator[None]:
    """Whatever a library raises about damage of a file becomes an `InputError` that names the file.

    Args:
        file: as messages call it. what: what the file is not, such as "no Parquet file". remedy: what to do.

    Raises:
        InputError: within, something else than an error of openpoint was raised.
    """
    try:
        yield
    except (OpenpointError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # Polars panics on some damaged files, and a panic is no Exception
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        if isinstance(error, KeyError):
            reason = f"{reason} is missing"
        raise InputError([Problem(file, "", "", f"this is {what}: {reason}", remedy)]) from error


def json_of(text: str, file: str, remedy: str) -> Any:
    """What a JSON text holds.

    Raises:
        InputError: it is no JSON, or holds too many values.
    """
    refuse_more(sum(map(text.count, ",[{")), MOST_VALUES, "values", file)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError([Problem(file, f"line {error.lineno}", "", f"this is no JSON: {error.msg}", remedy)]) from None
    except RecursionError:
        message = "this is no JSON that is read: brackets are nested too deeply"
        raise InputError([Problem(file, "", "", message, remedy)]) from None
    except ValueError as error:
        raise InputError([Problem(file, "", "", f"this is no JSON: {error}", remedy)]) from None


def toml_of(content: bytes, file: str, limit: int = MOST_SETTINGS) -> tuple[str, dict[str, Any]]:
    """The text of a TOML file, and what it holds.

    Raises:
        InputError: it is no TOML in UTF-8, or too long.
    """
    refuse_more(len(content), limit, "bytes", file)
    remedy = "Correct the file"
    try:
        text = content.decode("utf-8-sig")
        if _LONG_KEY.search(text):
            raise ValueError("a key has a hundred parts or more")
        return text, tomllib.loads(text)
    except UnicodeDecodeError:
        raise InputError([Problem(file, "", "", "this is no text file in UTF-8", "Save it as UTF-8")]) from None
    except RecursionError:
        message = "this is no TOML that is read: brackets are nested too deeply"
        raise InputError([Problem(file, "", "", message, remedy)]) from None
    except ValueError as error:
        raise InputError([Problem(file, "", "", f"this is no TOML: {error}", remedy)]) from None


def unpacked(content: bytes, file: str, what: str, remedy: str, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The files of a zip archive by name, those that are wanted.

    Args:
        content, file: of the archive. what, remedy: as of `decoding`. wanted: of a name.

    Raises:
        InputError: it is damaged or locked by a password, or holds too much.
    """
    found: dict[str, bytes] = {}
    with decoding(file, what, remedy), zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = [entry for entry in archive.infolist() if wanted(entry.filename)]
        # No entry yields more than it declares; but read in one go, it would be unpacked whole before that is seen.
        refuse_more(sum(entry.file_size for entry in entries), MOST_BYTES, "bytes once unpacked", file)
        for entry in entries:
            if entry.filename in found:
                message = f"it holds two files named {entry.filename}"
                raise InputError([Problem(file, "", "", message, "Pack the files anew")])
            with decoding(f"{file}, {entry.filename[:80]}", what, remedy), archive.open(entry) as packed:
                found[entry.filename] = b"".join(iter(lambda: packed.read(_CHUNK), b""))
    return found


def parse_xml(
    content: bytes,
    spaces: Container[str],
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None],
) -> None:
    """Go through an XML text without holding it as a tree.

    Names of elements in the namespaces that are wanted come alone, all others after theirs and a blank.

    Args:
        content: the text. spaces: the namespaces, in one of which the outermost element is.
        start: called with name and attributes of each element. end: with its name. text: with what stands between.

    Raises:
        ValueError: it is no XML, or has declarations (`<!DOCTYPE`), by which a short text can stand for a long one.
    """

    def refuse(*_: object) -> None:
        raise ValueError("declarations (<!DOCTYPE …) are not read")

    depth = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        space, _, alone = name.rpartition(" ")
        if not depth and space not in spaces:
            raise ValueError(f"the outermost element is {shown(name)}, which does not belong here")
        depth += 1
        start(alone if space in spaces else name, attributes)

    def finish(name: str) -> None:
        space, _, alone = name.rpartition(" ")
        end(alone if space in spaces else name)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = begin
    parser.EndElementHandler = finish
    parser.CharacterDataHandler = text
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError) as error:  # LookupError: an encoding that is not known
        raise ValueError(f"no XML: {error}") from None


def finite(value: object) -> float | None:
    """A value of JSON as a number, None where it is none or not finite; true is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def shown(value: object, longest: int = 40) -> str:
    """A value of a file in a message, cut where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a whole number of thousands of digits, or lists in lists
        text = "this value"
    return text if len(text) <= longest else text[: longest - 1] + "…"
