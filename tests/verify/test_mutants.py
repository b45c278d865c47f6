"""Certificates of all kinds with typed changes: nothing false is accepted, and nothing ends in an internal error."""

from pathlib import Path

import pytest

from tests.builders.certified import KINDS
from tests.builders.mutants import Tally, originals, tried

EACH = 60


@pytest.mark.parametrize("kind", KINDS)
def test_no_mutant_proves_what_is_false(kind: str, tmp_path: Path) -> None:
    """`python -m benchmarks.certificates_mutated` tries as many as one likes."""
    tally, made = Tally(), list(originals(tmp_path, 2, (kind,)))
    for number in range(EACH):
        tried([7, number], made[number % 2], made, tmp_path / "mutant", tally)
    assert tally.wrong == []
    assert tally.accepted < EACH // 2
