"""The reference checker, for tests: why it refuses a certificate."""

from __future__ import annotations

import copy
import gzip
import zlib
from pathlib import Path

from openpoint.verify import Question, reference
from openpoint.verify.problem import problem_text


def by_reference(problem: reference.Problem | str, text: bytes) -> str | None:
    """Of an unpacked certificate; None where it accepts it."""
    try:
        given = reference.Problem(problem) if isinstance(problem, str) else copy.copy(problem)
        given.grid = copy.copy(given.grid)  # which a check narrows
        reference.Check(given, reference.File(text)).run()
    except reference.BROKEN as error:
        return repr(error)
    return None


def of_file(question: Question, path: Path) -> str | None:
    """The same of a file."""
    try:
        text = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        return repr(error)
    return by_reference(problem_text(question), text)
