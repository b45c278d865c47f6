"""The lines of a certificate from the rows of a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Ints
from openpoint.search.kernel.bookkeeping import (
    APPLY,
    BOUND,
    FROM,
    JUDGED,
    NONE,
    PROBE,
    SPLIT,
    STEP,
    Record,
)
from openpoint.search.model.build import Numbering

Line = list[Any]
"""A line without the numbers that follow it."""
WORDS = {
    PROBE: "probe",
    APPLY: "apply",
    BOUND: "bound",
    NONE: "none",
    SPLIT: "split",
    JUDGED: "judged",
    FROM: "from",
    STEP: "step",
}


@dataclass
class Steps:
    """The multipliers of lines as differences from those of the line before.

    Attributes:
        bus: (N) numbers of the buses in the grid. last: (2, N) y and μ of the line before. bits: their digits.
    """

    bus: Ints
    last: Ints
    bits: int = 0

    @staticmethod
    def of(numbering: Numbering, size: int) -> Steps:
        """Before the first line; `size`: number of buses."""
        return Steps(numbering.bus, np.zeros((2, size), dtype=np.int64))

    def to(self, record: Record, row: int) -> tuple[list[Any], bytes]:
        """Bits, roots, φ, w, and the bytes of a number; then y and μ by bus, as differences from the last line's.

        Each of these lacks the one before it in its list, since buses that follow each other differ little, and all are
        numbers modulo 2^64. The lowest bytes of all come first, then the next ones.
        """
        bus, bits = self.bus, int(record.bits[row])
        now = np.empty_like(self.last)
        now[0, bus], now[1, bus] = record.y[row], record.mu[row]
        before = self.last >> (self.bits - bits) if bits < self.bits else self.last << (bits - self.bits)
        self.last, self.bits = now, bits
        steps, width = packed(now - before)
        tops = sorted(bus[np.flatnonzero(record.top[row])].tolist())
        pairs = [[[int(bus[k]), int(a[k])] for k in np.flatnonzero(a)] for a in (record.phi[row], record.w[row])]
        return [bits, tops, *pairs, width], steps


def packed(steps: Ints) -> tuple[bytes, int]:
    """The rows of `steps`, each number less the one before, in as few bytes a number as suffice; and how many.

    The lowest bytes of all come first, then the next ones.
    """
    steps = np.diff(steps, axis=1, prepend=0)
    width = next(w for w in (1, 2, 4, 8) if w == 8 or np.array_equal(steps, steps.astype(f"<i{w}")))
    planes = np.ascontiguousarray(steps.reshape(-1, 1).astype(f"<i{width}").view(np.uint8).T)
    return planes.tobytes(), width


def of_record(record: Record, branch: Ints, steps: Steps) -> list[tuple[Line, bytes]]:
    """The recorded lines, each with the numbers that follow it; the record is empty then.

    Args:
        branch: (m) numbers of the branches. steps: of multipliers, which go on.
    """
    lines = []
    for row in range(int(record.size[0])):
        kind = int(record.kind[row])
        line: Line = [WORDS[kind]]
        if kind in (PROBE, SPLIT):
            line.append(int(branch[record.branch[row]]))
        elif kind == FROM:
            line.append(int(record.branch[row]))
        elif kind == STEP:
            line += [int(part[row]) for part in (record.branch, record.last, record.bits)]
        numbers = b""
        if kind in (PROBE, BOUND):
            more, numbers = steps.to(record, row)
            line += more
        lines.append((line, numbers))
    record.size[0] = 0
    return lines
