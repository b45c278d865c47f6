"""The file of a certificate: lines of JSON, which are unpacked within limits.

A packed file may unpack to a thousand times its size, and a line of JSON to ten times its own. So a line is looked at
as bytes first: its length, and the depth and number of its brackets. What is read here is JSON without NaN, Infinity
and keys that come twice; types and ranges are those of `openpoint.verify.schema`.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Never

from openpoint.verify.schema import CertificateError

BUFFER = 1 << 16
"""Bytes that are unpacked at a time."""
LINE = 32 << 20
"""Bytes of a line, at most, beside those of the grid: distances between a thousand futures, leaves of a tree."""
BY_PLACE = 256
"""Bytes of a line for each bus and each branch: the name of a branch, and numbers in full."""
DEPTH = 5
"""Brackets within brackets, at most: a distance in the matrix of a measure of the futures of a head."""
BRACKETS = 1 << 17
"""Brackets of a line, at most, beside two pairs for each bus and each branch."""
TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')
"""A string in JSON."""
PLAIN = bytes(set(range(256)) - set(b"[]{}"))
"""All bytes that are no brackets."""


class Archive:
    """An open certificate.

    Attributes:
        lines: read so far, the head included. size: bytes of the file.
    """

    def __init__(self, path: Path | str, places: int) -> None:
        """`path`: of the file. places: number of buses and branches of the grid.

        Raises:
            OSError: it cannot be opened.
        """
        self.places, self.lines = places, 0
        self._packed: IO[bytes] = open(path, "rb")  # noqa: SIM115
        self.size = self._packed.seek(0, io.SEEK_END)
        self._packed.seek(0)
        self._file: IO[bytes] = io.BufferedReader(gzip.GzipFile(fileobj=self._packed), BUFFER)

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self._packed.close()

    @property
    def place(self) -> tuple[int, int]:
        """Bytes of the file that are read, and all of them."""
        return self._packed.tell(), max(self.size, 1)

    def line(self) -> Any:
        """The next line; None at the end of the file.

        Raises:
            CertificateError: it is too long, too deep, no JSON, or cut off.
        """
        most = LINE + BY_PLACE * self.places
        text = self._unpacked(most + 1)
        if not text:
            return None
        if len(text) > most:
            raise CertificateError(f"the line has more than {most:,} bytes")
        if not text.endswith(b"\n"):
            raise CertificateError("the file is cut off within a line. Write it again")
        self._look_at(text)
        found = _of_json(text)
        self.lines += 1
        return found

    def _unpacked(self, size: int) -> bytes:
        try:
            return self._file.readline(size)
        except gzip.BadGzipFile as error:
            what = "damaged" if self.lines else "no certificate, which is packed by gzip"
            raise CertificateError(f"this is {what} ({error}). Give the file of --certificate") from None
        except (EOFError, zlib.error) as error:
            raise CertificateError(f"the file is damaged or cut off ({error}). Write it again") from None

    def _look_at(self, text: bytes) -> None:
        """Refuse a line by its brackets."""
        brackets = TEXT.sub(b"", text).translate(None, PLAIN)
        if len(brackets) > 2 * (BRACKETS + 2 * self.places):
            raise CertificateError(f"the line has {len(brackets):,} brackets, too many for this grid")
        for _ in range(DEPTH):
            brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if brackets:
            raise CertificateError(f"the line has brackets that do not match, or more than {DEPTH} within each other")


def _of_json(text: bytes) -> Any:
    try:
        return json.loads(text.decode(), parse_constant=_no_number, object_pairs_hook=_object)
    except ValueError as error:  # of bytes that are no UTF-8, too
        raise CertificateError(f"the line is no JSON ({error}). Write the file again") from None


def _no_number(word: str) -> Never:
    raise CertificateError(f"{word} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise CertificateError("a name comes twice in one object")
    return found
