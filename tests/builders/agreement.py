"""The fast checker and the reference checker beside each other, which share nothing."""

import copy
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openpoint.verify import CertificateError, Question, check
from openpoint.verify.proof import fast
from openpoint.verify.question import problem_text
from openpoint.verify.reference import Problem
from tests.builders.certificates import by_reference
from tests.builders.mutations import text_of

ROUNDING = 1e-11
LEAST = 1e-13
"""Share of a bound, and a loss per unit, by which the rounding of the fast checker may lower it."""


@dataclass(frozen=True)
class Both:
    """What both checkers say of a certificate: why it is refused, None where it is accepted."""

    fast: str | None
    reference: str | None

    @property
    def agree(self) -> bool:
        return (self.fast is None) == (self.reference is None)


def both(question: Question, text: bytes, path: Path, problem: Problem | str | None = None) -> Both:
    """`text`: an unpacked certificate. path: where it is written. problem: the same, or its file, where it is known."""
    path.write_bytes(gzip.compress(text, 1))
    why = None
    try:
        (fast if question.plain else check)(question, path)
    except CertificateError as error:
        why = str(error)
    return Both(why, by_reference(problem or problem_text(question), text))


def by_rounding(question: Question, pieces: list[Any], path: Path) -> bool:
    """Whether the fast checker accepts a little less, where the reference checker alone accepts a certificate.

    Bounds of parts and regions are written as the fast checker finds them, to the last digit, so that what changes its
    rounding makes it refuse what is true.
    """
    pieces = copy.deepcopy(pieces)
    for line in pieces:
        if isinstance(line, dict):
            line["bound"] -= ROUNDING * abs(line["bound"]) + 10.0 * LEAST
        elif line[0] in ("part", "region"):
            at = 2 if line[0] == "part" else 1
            line[at] -= 0.01 * ROUNDING * abs(line[at]) + LEAST
    path.write_bytes(gzip.compress(text_of(pieces), 1))
    try:
        fast(question, path)
    except CertificateError:
        return False
    return True
