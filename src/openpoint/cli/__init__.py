"""The command `openpoint`: arguments in, tables out; no logic.

This module imports nothing heavy, and the others import the rooms of the house only inside the commands, so that
`--version` and `--help` answer at once.
"""

from __future__ import annotations

import io
import os
import sys
from typing import NoReturn

from openpoint.cli.shell import DEBUG, INTERRUPTED, NOT_WRITTEN
from openpoint.cli.streams import failure_of_output, nobody_reads, outlast
from openpoint.version import __version__

# Threads of linear algebra wait for each other in a loop: with other work on the machine a small factorisation took
# five times its processor time. These are read where numpy is imported.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def main() -> None:
    """Entry point of the command; leaves by `SystemExit` with the documented exit code."""
    arguments = sys.argv[1:]
    outlast()
    if arguments in (["--version"], ["-V"]):
        print(f"openpoint {__version__}")
        _leave(0)
    if arguments[:1] == ["--debug"]:
        os.environ[DEBUG] = "1"
        del arguments[0]
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show an arrow or a foreign name gets a question mark, not a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        from openpoint.cli.app import run_app

        run_app(arguments)
    except KeyboardInterrupt:
        _leave(INTERRUPTED)
    except SystemExit as left:
        _leave(left.code)


def _leave(code: str | int | None) -> NoReturn:
    """End with this code, but where text that was asked for is lost, as on a full disk, not with 0."""
    lost = failure_of_output()
    if lost is not None and not nobody_reads(lost):
        print(f"error: the standard output does not take all: {lost.strerror}", file=sys.stderr)
        code = code or NOT_WRITTEN
    sys.exit(code)
