"""Certificates: the tree of a search, line by line, for `openpoint.verify`. The format is in docs/formats.md."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from openpoint.errors import OptionError
from openpoint.network import Bools, Network
from openpoint.search.arrays import APPLY, BOUND, FROM, JUDGED, NONE, PHI_BITS, PROBE, SPLIT, Model, Record, record_for
from openpoint.search.model import TOLERANCE, Numbering

FORMAT = "openpoint certificate 1"
MEMORY = 64e6
"""Bytes of multipliers that are held before they are written."""
WORDS = {PROBE: "probe", APPLY: "apply", BOUND: "bound", NONE: "none", SPLIT: "split", JUDGED: "judged", FROM: "from"}


def refuse_to_certify(network: Network, max_changes: int | None, change_cost: float) -> None:
    """Refuse what the checker does not cover.

    Raises:
        OptionError: naming it.
    """
    faults = {
        "current limits; leave them out (--no-current-limits)": np.isfinite(network.l_max).any(),
        "a greatest number or a cost of changes": max_changes is not None or change_cost > 0.0,
        "loads of constant current": network.s_current.any(),
        "loads of constant impedance and capacitors": network.s_impedance.any(),
        "shunt admittances of branches": network.g.any() or network.b.any(),
        "transformers with a ratio": np.any(network.tap != 1.0),
        "generators with limits": len(network.generator_names) > 0,
        "branches of negative resistance or reactance": np.any(network.r < 0.0) or np.any(network.x < 0.0),
    }
    if found := [what for what, there in faults.items() if there]:
        raise OptionError(f"a certificate does not cover {'; nor '.join(found)}. Search without a certificate")


class Certificate:
    """A certificate that is being written.

    The lines go to a file beside; `finish` puts the head, which is known last, before them. Until then, and if it is
    never called, there is no file at `path`. A certificate that is to be gone on with is left at a `pause`.
    """

    def __init__(self, path: Path, network: Network, model: Model, numbering: Numbering, *, anew: bool = True) -> None:
        """`anew`: forget what may be there; else `resume` follows."""
        self.path, self.network, self.numbering = path, network, numbering
        row = 25 * max(len(model.p), 1)
        self.record = record_for(model, int(np.clip(MEMORY / row, 64, 4096)))
        path.unlink(missing_ok=True)
        self.body = path.with_name(path.name + ".part")
        if anew:
            self.body.unlink(missing_ok=True)
        self.file = self._append()
        self.lines = 0
        self.bits = 0
        self.last = np.zeros((2, len(model.p)), dtype=np.int64)

    def take(self) -> None:
        """Write what is recorded, and make room."""
        for row in range(int(self.record.size[0])):
            kind = int(self.record.kind[row])
            line: list[Any] = [WORDS[kind]]
            if kind in (PROBE, SPLIT):
                line.append(int(self.numbering.branch[self.record.branch[row]]))
            elif kind == FROM:
                line.append(int(self.record.branch[row]))
            if kind in (PROBE, BOUND):
                line += self._multipliers(self.record, row)
            self.file.write(json.dumps(line, separators=(",", ":")) + "\n")
            self.lines += 1
        self.record.size[0] = 0

    def _multipliers(self, record: Record, row: int) -> list[Any]:
        """Bits, roots, φ, y and μ by bus, the last two as differences from the last line that had any."""
        bus, bits = self.numbering.bus, int(record.bits[row])
        now = np.empty_like(self.last)
        now[0, bus], now[1, bus] = record.y[row], record.mu[row]
        before = self.last << (bits - self.bits) if bits >= self.bits else self.last >> (self.bits - bits)
        self.last, self.bits = now, bits
        tops = sorted(bus[np.flatnonzero(record.top[row])].tolist())
        phi = [[int(bus[k]), int(record.phi[row, k])] for k in np.flatnonzero(record.phi[row])]
        return [bits, tops, phi, *(now - before).tolist()]

    def pause(self) -> dict[str, npt.NDArray[Any]]:
        """Write what is recorded to the disk; returns what `resume` needs."""
        self.take()
        self.file.close()
        size = self.body.stat().st_size
        self.file = self._append()
        return {"certificate": np.array([size, self.lines, self.bits]), "certificate_last": self.last}

    def resume(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on after a `pause`, forgetting what was written since.

        Raises:
            OptionError: the file beside is gone or was cut short.
        """
        size, self.lines, self.bits = state["certificate"].tolist()
        self.last = state["certificate_last"]
        self.file.close()
        if not self.body.exists() or self.body.stat().st_size < size:
            raise OptionError(
                f"the lines of the certificate written so far, {self.body}, are gone or cut short. Delete the "
                "checkpoint to start anew"
            )
        os.truncate(self.body, size)
        self.file = self._append()

    def _append(self) -> IO[str]:
        return gzip.open(self.body, "at", encoding="utf-8", compresslevel=6)

    def finish(
        self, must_close: Bools, must_open: Bools, closed: Bools, value: float, bound: float, gap: float
    ) -> None:
        """Write the file: what is claimed, then the lines."""
        self.take()
        self.file.close()
        net, names = self.network, self.network.branch_names
        low = net.w_min * (1.0 - TOLERANCE) ** 2
        high = net.w_max * (1.0 + TOLERANCE) ** 2
        caps = np.minimum(self.numbering.caps.at(value), np.finfo(np.float64).max)
        head = {
            "format": FORMAT,
            "digest": digest(net),
            "locked_closed": [names[e] for e in np.flatnonzero(must_close)],
            "locked_open": [names[e] for e in np.flatnonzero(must_open)],
            "least_squared_voltage": low.tolist(),
            "greatest_squared_voltage": [w if np.isfinite(w) else None for w in high.tolist()],
            "voltage_caps": (caps * (1.0 + 1e-12)).tolist(),
            "open": [names[e] for e in np.flatnonzero(~closed)],
            "value": value,
            "bound": bound,
            "gap": gap,
            "phi_bits": PHI_BITS,
            "lines": self.lines,
        }
        with open(self.path, "wb") as whole, open(self.body, "rb") as lines:
            whole.write(gzip.compress((json.dumps(head) + "\n").encode(), mtime=0))
            shutil.copyfileobj(lines, whole)
        self.drop()

    def drop(self, *, keep: bool = False) -> None:
        """Leave no file beside, or keep it for `resume`."""
        self.file.close()
        if not keep:
            self.body.unlink(missing_ok=True)


def digest(network: Network) -> str:
    """SHA-256 of what a certificate relies on, limits apart, as docs/formats.md lists it."""
    parts = [json.dumps([network.bus_names, network.branch_names]).encode()]
    for numbers in (network.terminal_fr, network.terminal_to, network.source_terminal):
        parts.append(np.asarray(numbers, dtype="<i8").tobytes())
    for complexes in (network.z.diagonal(), network.s_power, network.source_v):
        parts.append(np.asarray(complexes, dtype="<c16").tobytes())
    for flags in (network.switchable, network.closed):
        parts.append(np.asarray(flags, dtype="<u1").tobytes())
    return hashlib.sha256(b"".join(parts)).hexdigest()
