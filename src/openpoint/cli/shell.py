"""What the entry point and the guard of the commands share: an exit code and the name of an environment variable."""

from __future__ import annotations

INTERRUPTED = 130
"""Exit code after Ctrl-C."""
DEBUG = "OPENPOINT_DEBUG"
"""Environment variable that asks for tracebacks."""
