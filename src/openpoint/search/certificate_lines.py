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
from openpoint.verify.fixed_point import shifted

Line = list[Any]
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

    def to(self, record: Record, row: int) -> list[Any]:
        """Bits, roots, φ, w; then y and μ by bus, as differences from the last line's."""
        bus, bits = self.bus, int(record.bits[row])
        now = np.empty_like(self.last)
        now[0, bus], now[1, bus] = record.y[row], record.mu[row]
        steps = now - shifted(self.last, bits - self.bits)
        self.last, self.bits = now, bits
        tops = sorted(bus[np.flatnonzero(record.top[row])].tolist())
        pairs = [[[int(bus[k]), int(a[k])] for k in np.flatnonzero(a)] for a in (record.phi[row], record.w[row])]
        return [bits, tops, *pairs, *steps.tolist()]


def of_record(record: Record, branch: Ints, steps: Steps) -> list[Line]:
    """The recorded lines; the record is empty then.

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
        if kind in (PROBE, BOUND):
            line += steps.to(record, row)
        lines.append(line)
    record.size[0] = 0
    return lines
