"""The reference checker, for tests: why it refuses a certificate."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from openpoint.verify import Question, reference
from openpoint.verify.problem import problem_text


def by_reference(problem: str, text: bytes) -> str | None:
    """Of an unpacked certificate; None where it accepts it."""
    try:
        reference.Check(reference.Problem(problem), reference.File(text)).run()
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
