"""The certificate of a search for many futures: bounds of single futures, and where their measure reaches the cutoff.

docs/formats.md describes the format. Lines of bounds give multipliers of one future as differences from those that this
future had before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.devices import no_devices
from openpoint.search.certificate import Certificate
from openpoint.search.certificate_lines import Steps
from openpoint.search.futures.model import FuturesModel
from openpoint.search.kernel.bookkeeping import record_for
from openpoint.twostage.ambiguity import Between, ProbabilitySet

ROUNDING = 1e-12
"""Relative margin of greatest probabilities."""

SPARE = 8
"""Rows of the record beyond one for each branch."""


class Claim(Protocol):
    """What a certificate claims of the load vectors that it bounds."""

    @property
    def key(self) -> str:
        """Under which it stands in the head of the file."""
        ...

    def head(self) -> dict[str, Any]:
        """As it stands in the head of the file."""
        ...

    def numbers(self) -> bytes:
        """What follows the head."""
        ...


@dataclass(frozen=True)
class FuturesClaim:
    """What a certificate claims of its futures.

    Attributes:
        demands: (K, N). probabilities: the set over which the risk is the worst expectation. reference: (K) loss of
            each future that is subtracted. weights: (K) by which futures that keep the limits are counted. share: of
            them, at least.
    """

    demands: Complexes
    probabilities: ProbabilitySet
    reference: Floats
    weights: Floats
    share: float

    key: ClassVar[str] = "futures"

    def head(self) -> dict[str, Any]:
        """As it stands in the head of the file.

        Raises:
            OptionError: the set of probabilities has no such form.
        """
        form = self.probabilities.form
        if form is None:
            raise OptionError(
                "certificates do not cover probabilities by their moments; leave it out, or use another ambiguity set"
            )
        if isinstance(form, Between):
            # Without the margin a rounded sum may lack 1e-16, which would be left to futures that have no bound.
            upper = np.where(form.lower < form.upper, form.upper * (1.0 + ROUNDING), form.upper)
            measure: dict[str, Any] = {"lower": form.lower.tolist(), "upper": upper.tolist()}
        else:
            far = None if form.distance is None else form.distance.tolist()
            measure = {"nominal": form.nominal.tolist(), "radius": form.radius, "distance": far}
        return {
            "count": len(self.demands),
            "measure": measure,
            "reference": self.reference.tolist(),
            "weights": self.weights.tolist(),
            "share": self.share,
        }

    def numbers(self) -> bytes:
        """The demands, active power first."""
        return np.array([self.demands.real, self.demands.imag]).astype("<f8").tobytes()


class FuturesCertificate:
    """A certificate that is being written during a search for many futures.

    Attributes:
        lines: written so far. record: of the bounds that are written next. node: number of the current node.
        broken: whether something could not be proven, so that no file is left.
    """

    def __init__(self, path: Path, network: Network, built: FuturesModel, claim: Claim) -> None:
        self.lines = Certificate(path, network, no_devices(), built.model, built.numbering)
        self.network, self.numbering = network, built.numbering
        self.record = record_for(built.model, len(built.model.fr) + SPARE)
        self.claim, self.of_futures = claim, claim.head()
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
            more, numbers = self.each[k].to(self.record, row)
            self.lines.write(["future", k, -1 if branch < 0 else int(self.numbering.branch[branch]), *more], numbers)

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

    def end(
        self,
        locks: tuple[Bools, Bools],
        changes: tuple[int | None, float],
        closed: Bools,
        worth: tuple[float, float],
        gap: float,
    ) -> None:
        """Write the file; `worth`: of the best state, and the bound."""
        value, bound = worth
        if self.broken or not math.isfinite(bound):
            self.lines.drop()
            return
        head = self.lines.head(locks, changes, closed, (value, min(bound, value)), gap)
        none = np.zeros(len(self.network.generator_names))
        head |= {"generation": [none.tolist(), none.tolist()], self.claim.key: self.of_futures}
        self.lines.close(head, self.claim.numbers())
