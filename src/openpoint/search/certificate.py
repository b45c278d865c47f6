"""The lines of a certificate from the rows of a record.

Certificates: files with the branch-and-bound tree of a search, which `openpoint.verify` checks.

docs/formats.md describes the format.
"""

from __future__ import annotations

import errno
import gzip
import json
import logging
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openpoint.arrays import Bools, Ints
from openpoint.atomic import chunks, write_bytes
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.devices import Devices, with_positions
from openpoint.search.checkpoint import MOST, Saved
from openpoint.search.exchange.ac_check import Candidate
from openpoint.search.kernel.arrays import Model
from openpoint.search.kernel.bookkeeping import APPLY, BOUND, FROM, JUDGED, NONE, PROBE, SPLIT, STEP, Record, record_for
from openpoint.search.kernel.entries import LEAF
from openpoint.search.model.build import Numbering
from openpoint.search.model.objective import Objective
from openpoint.search.no_flow import is_swept
from openpoint.search.tree import CompiledTree
from openpoint.verify.asked import Asked
from openpoint.verify.lines import shifted

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


_LOG = logging.getLogger(__name__)
FORMAT = "openpoint certificate 14"
MARGINS = (1e-9, 1e-7, 1e-5, 1e-3)
"""By how much of itself the bound of a state with outputs to choose is lowered until few digits prove it."""
ROUNDING = 1e-14
"""What rounding adds to a bound, relative to what no state of interest exceeds."""
MEMORY = 64e6
"""Bytes of multipliers that are held before they are written."""


def earlier(path: Path) -> Path:
    """Where a certificate that was at `path` is kept until another one is written there."""
    return path.with_name(path.name + ".earlier")


def put_aside(path: Path) -> None:
    """Keep a certificate of an earlier search, which may end with a proof where this one does not.

    Raises:
        IsADirectoryError: there is a folder, which is not moved.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists():
        path.replace(earlier(path))


BITS = 40
"""Binary digits of multipliers in a line, at most."""


class Certificate:
    """A certificate that is being written during a search.

    The lines of the tree go to a temporary file in the same folder. `finish` writes the header, which is known only at
    the end, and then the lines to `path`; before that there is no file at `path`. `pause` and `resume` interrupt and
    continue a certificate together with its search.

    Where the disk takes no more, a warning says so, nothing is written any more, and the search goes on without a
    certificate (`failure`): its answer is worth more.
    """

    def __init__(
        self,
        path: Path,
        network: Network,
        devices: Devices,
        model: Model,
        numbering: Numbering,
        objective: Objective | None = None,
        asked: Asked | None = None,
        *,
        anew: bool = True,
    ) -> None:
        """`objective`: what is minimised if it is not the loss, or has limits of supply. asked: the question in words.

        `anew`: start with an empty temporary file; otherwise `resume` must follow.
        """
        self.path, self.network, self.devices, self.numbering = path, network, devices, numbering
        self.objective, self.asked = objective, asked or Asked()
        row = 33 * max(len(model.p), 1)
        self.record = record_for(model, int(np.clip(MEMORY / row, 64, 4096)))
        self.failure: OSError | None = None
        put_aside(path)
        self.body = path.with_name(path.name + ".part")
        if anew:
            self.body.unlink(missing_ok=True)
        self.file = self._append()
        self.lines = 0
        self.steps = Steps.of(numbering, len(model.p))
        self.least = math.inf
        """Least bound of a state with outputs to choose, of which multipliers must be the proof."""
        self.lost: float | None = None
        """Loss of the best state known at the start, by which voltages are bounded from below; inf: of none."""

    def take(self) -> None:
        """Write the recorded lines to the file and empty the record."""
        for line in of_record(self.record, self.numbering.branch, self.steps):
            self.write(line)

    def begin_anew(self) -> None:
        """Drop all lines."""
        self.record.size[0] = 0
        if self.failure is not None:
            return
        with self._writing():
            self.file.close()
            self.body.unlink()
            self.file = self._append()
        self.lines, self.least = 0, math.inf
        self.steps = Steps.of(self.numbering, self.steps.last.shape[1])

    def write(self, line: Line) -> None:
        """Write a line."""
        if self.failure is not None:
            return
        with self._writing():
            self.file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        self.lines += 1

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Within it an error of the disk ends the certificate, not the search."""
        try:
            yield
        except OSError as error:
            self._fail(error)

    def give_up(self, why: str) -> None:
        """Write no file: something is proven that its lines cannot hold."""
        if self.failure is None:
            self.failure = OSError(why)
            _LOG.warning("no certificate: %s. The answer does without it", why)

    def _fail(self, error: OSError) -> None:
        if self.failure is None:
            self.failure = error
            why = error.strerror or error
            _LOG.warning("no certificate: %s cannot be written: %s. The answer does without it", self.path, why)
        with suppress(OSError):
            self.file.close()

    def add(self, lines: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write lines that were recorded elsewhere, by the names of the arrays of a record."""
        self.take()
        at_once = len(self.record.kind)
        for start in range(0, len(lines["kind"]), at_once):
            for name, values in lines.items():
                some = values[start : start + at_once]
                getattr(self.record, name)[: len(some)] = some
                self.record.size[0] = len(some)
            self.take()

    def pause(self) -> dict[str, npt.NDArray[Any]]:
        """Write the recorded lines to the disk; returns the state that `resume` needs.

        Raises:
            OSError: they could not be written, now or before, so that nothing later can be resumed.
        """
        self.take()
        with self._writing():
            self.file.close()
        if self.failure is not None:
            raise self.failure
        size = self.body.stat().st_size
        self.file = self._append()
        counts = np.array([size, self.lines, self.steps.bits])
        kept = {"least": self.least, "lost": math.inf if self.lost is None else self.lost}
        return {
            "certificate": counts,
            "certificate_last": self.steps.last,
            **{f"certificate_{name}": np.array(value) for name, value in kept.items()},
        }

    def resume(self, saved: Saved) -> None:
        """Continue after a `pause`; lines that were written after it are discarded.

        Raises:
            OptionError: the temporary file is missing or shorter than at the pause, or a number of the state is none.
        """
        counts = saved.within("certificate", saved.array("certificate", np.int64, (3,)), 0, MOST)
        size, self.lines, self.steps.bits = counts.tolist()
        saved.within("certificate", counts[2:], 0, BITS)
        self.steps.last = saved.like("certificate_last", self.steps.last)
        self.least, self.lost = saved.number("certificate_least"), saved.number("certificate_lost")
        self.file.close()
        if not self.body.exists() or self.body.stat().st_size < size:
            raise OptionError(
                f"the lines of the certificate written so far, {self.body}, are gone or cut short. Delete the "
                "checkpoint to start anew"
            )
        os.truncate(self.body, size)
        self.file = self._append()

    def first_loss(self, value: float) -> float:
        """The loss by which voltages are bounded from below: of the first call, also where the search was continued."""
        self.lost = value if self.lost is None else self.lost
        return self.lost

    def prove_leaf(self, tree: CompiledTree[Any]) -> None:
        """Record the bound of a radial state with generators to dispatch, in place of the line `LEAF` just recorded."""
        counts = tree.counts
        bound, kept = float(counts.bound[0]), (float(counts.cutoff[0]), float(counts.floor[0]))
        least = -math.inf
        for margin in MARGINS if bound > -math.inf else ():
            self.record.size[0] -= 1
            self.take()
            counts.nodes[0] -= 1
            counts.active[0] = 1
            counts.cutoff[0] = bound - margin * abs(bound) - ROUNDING * self.numbering.greatest
            if tree.process_one() != LEAF:
                least = float(counts.cutoff[0])
                break
        self.least = min(self.least, least)
        counts.cutoff[0], counts.floor[0] = kept
        counts.active[0] = 0

    def _append(self) -> gzip.GzipFile:
        return gzip.open(self.body, "ab", compresslevel=6)

    def finish(self, best: Candidate, cutoff: float) -> None:
        """Write the file: the claim, then the lines. No file is written where a state has no bound by multipliers.

        Args:
            best: best state that keeps the limits. cutoff: value that the bounds of all lines reach, or `least`.
        """
        self.take()
        bound = min(cutoff, self.least)
        if self.numbering.fixed_cost != 0.0:  # rounded downwards
            bound = float(np.nextafter(bound + self.numbering.fixed_cost, -np.inf))
        bound = min(bound, best.value)
        if not math.isfinite(bound):
            self.drop()
            return
        placed = with_positions(self.network, self.devices, best.positions) if self.devices.count else self.network
        if not is_swept(replace(placed, generator_s=best.generation), best.closed):
            self.give_up("the best state has hardly a power flow, which a checker does not find")
        head = self.head(best.closed, (best.value, bound))
        head["generation"] = [best.generation.real.tolist(), best.generation.imag.tolist()]
        if self.lost is not None and math.isfinite(self.lost):
            head["voltage_loss"] = self.lost
        if self.devices.count:
            head["positions"] = best.positions.tolist()
        if self.objective is not None:
            head["base"] = self._base(self.objective)
        self.close(head)

    def head(self, closed: Bools, worth: tuple[float, float]) -> dict[str, Any]:
        """What every head holds; `worth`: of the best state, and the bound."""
        names, (value, bound) = self.network.branch_names, worth
        return {
            "format": FORMAT,
            "question": self.asked.to_json(),
            "open": [names[e] for e in np.flatnonzero(~closed)],
            "value": value,
            "bound": bound,
        }

    def close(self, head: dict[str, Any], alone: bytes = b"") -> None:
        """Write the file: the head, certificates of futures by themselves, and the lines; whole or not at all."""
        with self._writing():
            self.file.close()
        if self.failure is not None:
            return
        with self._writing():
            first = gzip.compress((json.dumps(head) + "\n").encode() + alone, mtime=0)
            write_bytes(self.path, chain([first], chunks(self.body)))
            self.drop()
            earlier(self.path).unlink(missing_ok=True)

    def _base(self, objective: Objective) -> list[int | None]:
        """By bus the source whose price its multipliers lack."""
        base = np.zeros(self.network.n_terminals)
        base[self.numbering.bus] = self.record.base
        of = {price: s for s, price in reversed(list(enumerate(objective.cost.source.tolist())))}
        return [of.get(price) if price else None for price in base.tolist()]

    def drop(self, *, keep: bool = False) -> None:
        """Delete the temporary file, or keep it for `resume`."""
        with self._writing():
            self.file.close()
        if not keep:
            self.body.unlink(missing_ok=True)
