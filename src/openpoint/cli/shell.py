"""Constants of the entry point and the guard of the commands: exit codes and the name of an environment variable."""

from __future__ import annotations

INTERRUPTED = 130
"""Exit code after Ctrl-C."""
NOT_WRITTEN = 74
"""Exit code where what was asked for could not be written."""
DEBUG = "OPENPOINT_DEBUG"
"""Environment variable that asks for tracebacks."""
