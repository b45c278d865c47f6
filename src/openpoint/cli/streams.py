"""Standard output and standard error that outlast their terminal: what cannot be shown is lost, and the run goes on."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO


class _Lasting(io.FileIO):
    """A standard stream. What it does not take is dropped, and the first reason kept in `failure`."""

    failure: OSError | None = None

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            self.failure = self.failure or error
            return memoryview(data).nbytes  # type: ignore[arg-type]


_lasting: dict[str, _Lasting] = {}


def outlast() -> None:
    """Put such streams in the place of those of this process; what tests put there stays.

    A closed one leads nowhere, so that no file that is opened later takes its number and what is printed.
    """
    _lasting.clear()
    if os.name != "posix":
        return
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the least number that is free: this one
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream: TextIO | None = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__"):
            continue
        raw = _lasting[name] = _Lasting(number, "w", closefd=False)
        if stream is None:
            raw.failure = OSError(errno.EBADF, os.strerror(errno.EBADF))
        by_line = raw.isatty() or name == "stderr" or bool(os.environ.get("PYTHONUNBUFFERED"))
        encoding = None if stream is None else stream.encoding
        text = io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors="replace", line_buffering=by_line)
        setattr(sys, name, text)


def failure_of_output() -> OSError | None:
    """Why the standard output did not take all so far; None where it did."""
    raw = _lasting.get("stdout")
    if raw is not None:
        sys.stdout.flush()
    return None if raw is None else raw.failure


def nobody_reads(error: OSError) -> bool:
    """Whether the standard output was closed, or its reader left, as `head` does."""
    return error.errno in (errno.EPIPE, errno.EBADF)
