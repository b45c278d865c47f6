"""The lines of a certificate as typed values: numbers of branches, buses and paths that there are.

docs/formats.md has the meaning of each word. Whether a line holds where it stands, the checker tells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openpoint.arrays import Ints
from openpoint.verify import schema
from openpoint.verify.archive import Archive
from openpoint.verify.fixed_point import MOST_BITS, Given
from openpoint.verify.part_node import NEW, SAME
from openpoint.verify.schema import LARGE, CertificateError

MOST_NODE = 1 << 31
"""Numbers in the tree of a part are less."""


@dataclass(frozen=True)
class Sizes:
    """Of the grid, or of the region whose tree the lines are of.

    Attributes:
        futures: their number; 0 for one demand.
    """

    buses: int
    branches: int
    devices: int
    futures: int


@dataclass(frozen=True)
class Probe:
    """With this branch open the bound is reached; `given`: by these multipliers, None under many futures."""

    word: ClassVar = "probe"
    branch: int
    given: Given | None


@dataclass(frozen=True)
class Bound:
    """The bound is reached; `given`: by these multipliers, None under many futures."""

    word: ClassVar = "bound"
    given: Given | None


@dataclass(frozen=True)
class Future:
    """Multipliers of one future, with this branch open; None: of the node."""

    word: ClassVar = "future"
    k: int
    branch: int | None
    given: Given


@dataclass(frozen=True)
class Apply:
    """Close the branches that were probed."""

    word: ClassVar = "apply"


@dataclass(frozen=True)
class Nothing:
    """No radial state is left."""

    word: ClassVar = "none"


@dataclass(frozen=True)
class Judged:
    """A radial state for the power flow."""

    word: ClassVar = "judged"


@dataclass(frozen=True)
class Split:
    """Decide this branch."""

    word: ClassVar = "split"
    branch: int


@dataclass(frozen=True)
class Step:
    """Divide the positions of a device after position k; `side` is next."""

    word: ClassVar = "step"
    device: int
    k: int
    side: int


@dataclass(frozen=True)
class From:
    """Go on with what this node has left open."""

    word: ClassVar = "from"
    node: int


@dataclass(frozen=True)
class ByRegions:
    """Buses that are not supplied, and multipliers of all buses."""

    word: ClassVar = "regions"
    apart: list[int]
    given: Given


@dataclass(frozen=True)
class OfRegion:
    """The next region: its bound, and prices of its hubs."""

    word: ClassVar = "region"
    bound: float
    prices: list[int]


@dataclass(frozen=True)
class ByParts:
    """Parts of the paths: how many; prices of junctions; flows of paths, and multipliers of junctions."""

    word: ClassVar = "parts"
    count: int
    prices: list[int]
    flows: Given
    held: Given


@dataclass(frozen=True)
class OfPart:
    """The next part: a branch of each of its paths, bound, tree, and by leaf y, then μ of its inner junctions."""

    word: ClassVar = "part"
    branches: list[int]
    bound: float
    nodes: Ints
    bits: int
    leaves: list[Ints]


OfTree = Probe | Bound | Future | Apply | Nothing | Judged | Split | Step | From
Line = OfTree | ByRegions | OfRegion | ByParts | OfPart


def read_line(archive: Archive, sizes: Sizes) -> Line:
    """The next line.

    Args:
        sizes: of what the line is of.

    Raises:
        CertificateError: the file ends, is damaged, or a value is not what it should be.
    """
    line = archive.line()
    if line is None:
        raise CertificateError("the file ends with nodes left")
    word, *rest = schema.array(line, "the line") or [None]
    if type(word) is not str or word not in READERS:
        raise CertificateError(f"the line begins with {ascii(word)[: schema.SHOWN]}, which is no word of a certificate")
    count, reader = READERS[word]
    if word in ("probe", "bound"):
        count -= 6 if sizes.futures else 0
    return reader(schema.array(rest, f"the line '{word}'", count), sizes)


def _probe(rest: list[Any], sizes: Sizes) -> Line:
    return Probe(_branch(rest[0], sizes), None if sizes.futures else _given(rest[1:], sizes.buses))


def _bound(rest: list[Any], sizes: Sizes) -> Line:
    return Bound(None if sizes.futures else _given(rest, sizes.buses))


def _future(rest: list[Any], sizes: Sizes) -> Line:
    k, branch = schema.whole(rest[0], "the future", 0, sizes.futures - 1), rest[1]
    opened = None if type(branch) is int and branch == -1 else _branch(branch, sizes)
    return Future(k, opened, _given(rest[2:], sizes.buses))


def _split(rest: list[Any], sizes: Sizes) -> Line:
    return Split(_branch(rest[0], sizes))


def _step(rest: list[Any], sizes: Sizes) -> Line:
    device, k = schema.whole(rest[0], "the device", 0, sizes.devices - 1), schema.whole(rest[1], "position", 0, LARGE)
    return Step(device, k, schema.whole(rest[2], "side", 0, 1))


def _from(rest: list[Any], _: Sizes) -> Line:
    return From(schema.whole(rest[0], "node", 1, LARGE))


def _by_regions(rest: list[Any], sizes: Sizes) -> Line:
    return ByRegions(schema.different(rest[0], "buses", sizes.buses), _given(rest[1:], sizes.buses))


def _of_region(rest: list[Any], sizes: Sizes) -> Line:
    return OfRegion(schema.number(rest[0], "bound"), schema.wholes(rest[1], "prices", -LARGE, LARGE))


def _by_parts(rest: list[Any], sizes: Sizes) -> Line:
    count, prices = schema.whole(rest[0], "parts", 1, LARGE), schema.wholes(rest[1], "prices", -LARGE, LARGE)
    return ByParts(count, prices, _plain(rest[2], rest[3], rest[4]), _plain(rest[5], rest[6], rest[7], len(prices)))


def _of_part(rest: list[Any], sizes: Sizes) -> Line:
    branches = schema.different(rest[0], "branches", sizes.branches)
    if not branches:
        raise CertificateError("a part has no path")
    nodes = schema.wholes(rest[2], "the tree", SAME, MOST_NODE)
    rows = [schema.integers(row, "a leaf") for row in schema.array(rest[4], "leaves", nodes.count(NEW))]
    return OfPart(branches, schema.number(rest[1], "bound"), np.array(nodes, dtype=np.int64), _digits(rest[3]), rows)


def _branch(value: Any, sizes: Sizes) -> int:
    return schema.whole(value, "the branch", 0, sizes.branches - 1)


def _given(rest: list[Any], n: int) -> Given:
    """Of `[bits, roots, phi, near, y, mu]` of so many buses."""
    bits, tops, phi, near, y, mu = rest
    plain = _plain(bits, y, mu, n)
    pairs = schema.pairs(phi, "phi", n, -LARGE, LARGE), schema.pairs(near, "near", n, 1, LARGE)
    return Given(plain.bits, plain.y, plain.mu, schema.different(tops, "roots", n), *pairs)


def _plain(bits: Any, y: Any, mu: Any, n: int | None = None) -> Given:
    """Of digits, and two lists of numbers."""
    return Given(_digits(bits), schema.integers(y, "y", n), schema.integers(mu, "mu", n))


def _digits(bits: Any) -> int:
    return schema.whole(bits, "the binary digits", 0, MOST_BITS)


READERS: dict[str, tuple[int, Callable[[list[Any], Sizes], Line]]] = {
    "probe": (7, _probe),
    "bound": (6, _bound),
    "future": (8, _future),
    "apply": (0, lambda *_: Apply()),
    "none": (0, lambda *_: Nothing()),
    "judged": (0, lambda *_: Judged()),
    "split": (1, _split),
    "step": (3, _step),
    "from": (1, _from),
    "regions": (7, _by_regions),
    "region": (2, _of_region),
    "parts": (8, _by_parts),
    "part": (5, _of_part),
}
"""By word the number of values after it, and what reads them."""
