"""The log of `--verbose`: the steps of a run, each with the seconds from the start to its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from openpoint.report.terminal.words import safe

_ALL = logging.getLogger("openpoint")


class _Steps(logging.Handler):
    def __init__(self, *, to_stderr: bool) -> None:
        super().__init__(logging.INFO)
        self._to_stderr, self._began = to_stderr, time.perf_counter()

    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(f"{time.perf_counter() - self._began:>9.2f} s  {safe(record.getMessage())}", err=self._to_stderr)


@contextmanager
def telling(*, to_stderr: bool) -> Iterator[None]:
    """Within it the steps are shown, and every line of the progress is."""
    handler, level = _Steps(to_stderr=to_stderr), _ALL.level
    _ALL.addHandler(handler)
    _ALL.setLevel(logging.INFO)
    try:
        yield
    finally:
        _ALL.removeHandler(handler)
        _ALL.setLevel(level)


def is_verbose() -> bool:
    """Whether the steps are being shown."""
    return _ALL.isEnabledFor(logging.INFO)
