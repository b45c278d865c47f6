"""Mutated certificates through the fast checker: what is accepted is true, and nothing ends in an internal error."""

import copy
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from openpoint.verify import CertificateError, Question, check
from tests.builders.certified import KINDS, certified
from tests.builders.mutations import mutated, pieces_of, text_of

TOLERANCE = 1e-8
"""Of the value of a state that a power flow in floating point finds."""
MOST_LINES = 80
SEEDS = 400


@dataclass(frozen=True)
class Original:
    """A certificate that holds.

    Attributes:
        kind: of `tests.builders.certified.KINDS`. value_kw: of the best state; a higher bound is false.
    """

    kind: str
    question: Question
    pieces: list[Any]
    value_kw: float


def originals(folder: Path, each: int, kinds: tuple[str, ...] = ()) -> Iterator[Original]:
    """So many certificates of each kind, short ones."""
    for kind in kinds or KINDS:
        found = 0
        for seed in range(SEEDS):
            if found == each:
                break
            if (case := certified(kind, seed, folder)) is None:
                continue
            question, text = case
            pieces = pieces_of(text)
            if len(pieces) <= MOST_LINES:
                path = folder / "original"
                path.write_bytes(gzip.compress(text, 1))
                yield Original(kind, question, pieces, check(question, path).value_kw)
                found += 1


@dataclass
class Tally:
    """What became of mutants of one kind, and what is wrong."""

    mutants: int = 0
    accepted: int = 0
    wrong: list[str] = field(default_factory=list)


def tried(seed: list[int], of: Original, others: list[Original], path: Path, tally: Tally) -> None:
    """Check one mutant; a third of them claim more than is true from the start, and some have a line of another one."""
    rng = np.random.default_rng(seed)
    pieces = copy.deepcopy(of.pieces)
    if rng.random() < 0.3:
        _claim_more(rng, pieces[0])
    if rng.random() < 0.1:
        other = others[int(rng.integers(len(others)))].pieces
        pieces[int(rng.integers(1, len(pieces)))] = copy.deepcopy(other[int(rng.integers(1, len(other)))])
    pieces, what = mutated(rng, pieces)
    tally.mutants += 1
    path.write_bytes(gzip.compress(text_of(pieces), 1))
    try:
        proven = check(of.question, path)
    except CertificateError:
        return
    except Exception as error:
        tally.wrong.append(f"{of.kind} {seed}: {error!r} ({what})")
        return
    tally.accepted += 1
    if proven.bound_kw > of.value_kw + TOLERANCE * abs(of.value_kw) + 1e-9:
        tally.wrong.append(f"{of.kind} {seed}: accepted {proven.bound_kw} above {of.value_kw} ({what})")


def _claim_more(rng: np.random.Generator, head: dict[str, Any]) -> None:
    """A higher bound, and perhaps a value as high."""
    factor = 1.0 + float(rng.choice([1e-6, 1e-4, 1e-2, 0.3, 10.0]))
    head["bound"] = head["bound"] * factor if head["bound"] > 0.0 else head["bound"] + 1e-3 * factor
    if rng.random() < 0.7:
        head["value"] = max(head["value"], head["bound"])
