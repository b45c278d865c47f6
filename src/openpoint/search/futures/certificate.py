"""The certificate of a search for many futures: bounds of single futures, and where their measure reaches the cutoff.

docs/formats.md describes the format. Lines of bounds give multipliers of one future as differences from those that this
future had before.

What a certificate claims of a year: of which steps it is, and in which groups these are bounded.

The steps themselves are not in the file: the checker reads them from the table of the user.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Ints
from openpoint.network import Network
from openpoint.network.devices import no_devices
from openpoint.search.certificate import Certificate
from openpoint.search.certificate_lines import Steps
from openpoint.search.futures.model import FuturesModel
from openpoint.search.kernel.bookkeeping import record_for
from openpoint.verify.asked import Asked

SPARE = 8
"""Rows of the record beyond one for each branch."""


class FuturesCertificate:
    """A certificate that is being written during a search for many futures.

    Attributes:
        lines: written so far. record: of the bounds that are written next. node: number of the current node.
        broken: whether something could not be proven, so that no file is left.
    """

    def __init__(
        self,
        path: Path,
        network: Network,
        built: FuturesModel,
        asked: Asked | None = None,
        *,
        alone: tuple[bytes, ...] = (),
        label: Ints | None = None,
    ) -> None:
        """`asked`: the question in words. alone: of regret certificates of what each future loses at best by itself,
        not packed. label: (T) of a year the number of the group of each step; the checker reads the steps from the
        table of the user.
        """
        self.lines = Certificate(path, network, no_devices(), built.model, built.numbering, asked=asked)
        self.network, self.numbering = network, built.numbering
        self.record = record_for(built.model, len(built.model.fr) + SPARE)
        self.more: dict[str, Any] = {"alone": [proof.count(b"\n") for proof in alone]} if alone else {}
        self.alone = b"".join(alone)
        if label is not None:
            self.more = {"groups": label.tolist()}
        self.each = [Steps.of(built.numbering, built.p.shape[1]) for _ in range(len(built.p))]
        self.node, self.broken = 1, False
        self.origin: dict[int, int] = {}

    def leaf(self) -> None:
        """A radial state for the power flow."""
        self.lines.write(["judged"])

    def nothing(self) -> None:
        """No radial state is left."""
        self.lines.write(["none"])

    def reached(self) -> None:
        """The bounds of the futures reach the cutoff."""
        self.lines.write(["bound"])

    def drop(self) -> None:
        """Delete the temporary file."""
        self.lines.drop()

    def bounds(self, k: int, rows: Iterable[int]) -> None:
        """Write the bounds of future k in these rows of the record: of the node, or with a branch open."""
        for row in rows:
            branch = int(self.record.branch[row])
            opened = -1 if branch < 0 else int(self.numbering.branch[branch])
            self.lines.write(["future", k, opened, *self.each[k].to(self.record, row)])

    def must_close(self, branches: Iterable[int]) -> None:
        """These branches cannot be open: the bounds with each of them open reach the cutoff."""
        for branch in branches:
            self.lines.write(["probe", int(self.numbering.branch[branch])])
        self.lines.write(["apply"])

    def split(self, branch: int, number: int) -> None:
        """A branch is decided; the open side waits under this number."""
        self.lines.write(["split", int(self.numbering.branch[branch])])
        self.origin[number] = self.node
        self.node += 1

    def go_on(self, number: int) -> None:
        """The open side that waits under this number is next."""
        self.lines.write(["from", self.origin.pop(number)])
        self.node += 1

    def end(self, closed: Bools, worth: tuple[float, float]) -> None:
        """Write the file; `worth`: of the best state, and the bound."""
        value, bound = worth
        if self.broken or not math.isfinite(bound):
            self.lines.drop()
            return
        head = self.lines.head(closed, (value, min(bound, value)))
        none = np.zeros(len(self.network.generator_names))
        head |= {"generation": [none.tolist(), none.tolist()]} | self.more
        self.lines.close(head, self.alone)
