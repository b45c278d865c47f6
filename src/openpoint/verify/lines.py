"""The file of a certificate: lines of JSON, which are unpacked within limits.

A packed file may unpack to a thousand times its size, and a line of JSON to ten times its own. So a line is looked at
as bytes first: its length, and the depth and number of its brackets. What is read here is JSON without NaN, Infinity
and keys that come twice; types and ranges are those of `openpoint.verify.schema`.

The head of a certificate as typed values: the words of its question, the best state, and how the proof is written.

What the values mean, and whether they hold, `openpoint.verify.claim` tells. Of the question the head has words alone.

The lines of a certificate as typed values: numbers of branches, buses and paths that there are.

The multipliers of a line are differences from those of an earlier line.

docs/formats.md has the meaning of each word. Whether a line holds where it stands, the checker tells.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, ClassVar, Never

import numpy as np

from openpoint.arrays import Complexes, Ints
from openpoint.network import Network
from openpoint.verify import schema
from openpoint.verify.asked import Asked, read_asked
from openpoint.verify.part_node import NEW, TAKE
from openpoint.verify.schema import LARGE, CertificateError

BUFFER = 1 << 16
"""Bytes that are unpacked at a time."""
LINE = 32 << 20
"""Bytes of a line, at most, beside those of the grid: distances between a thousand futures, leaves of a tree."""
BY_PLACE = 256
"""Bytes of a line for each bus and each branch: the name of a branch, and numbers in full."""
DEPTH = 5
"""Brackets within brackets, at most: a distance in the matrix of a measure of the futures of a head."""
BRACKETS = 1 << 17
"""Brackets of a line, at most, beside two pairs for each bus and each branch."""
TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')
"""A string in JSON."""
PLAIN = bytes(set(range(256)) - set(b"[]{}"))
"""All bytes that are no brackets."""


class Archive:
    """An open certificate.

    Attributes:
        lines: read so far, the head included. size: bytes of the file.
    """

    def __init__(self, path: Path | str, places: int) -> None:
        """`path`: of the file. places: number of buses and branches of the grid.

        Raises:
            OSError: it cannot be opened.
        """
        self.places, self.lines = places, 0
        self._packed: IO[bytes] = open(path, "rb")  # noqa: SIM115
        self.size = self._packed.seek(0, io.SEEK_END)
        self._packed.seek(0)
        self._file: IO[bytes] = io.BufferedReader(gzip.GzipFile(fileobj=self._packed), BUFFER)

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self._packed.close()

    @property
    def place(self) -> tuple[int, int]:
        """Bytes of the file that are read, and all of them."""
        return self._packed.tell(), max(self.size, 1)

    def line(self) -> Any:
        """The next line; None at the end of the file.

        Raises:
            CertificateError: it is too long, too deep, no JSON, or cut off.
        """
        most = LINE + BY_PLACE * self.places
        text = self._unpacked(most + 1)
        if not text:
            return None
        if len(text) > most:
            raise CertificateError(f"the line has more than {most:,} bytes")
        if not text.endswith(b"\n"):
            raise CertificateError("the file is cut off within a line. Write it again")
        self._look_at(text)
        found = json_of(text)
        self.lines += 1
        return found

    def _unpacked(self, size: int) -> bytes:
        try:
            return self._file.readline(size)
        except gzip.BadGzipFile as error:
            what = "damaged" if self.lines else "no certificate, which is packed by gzip"
            raise CertificateError(f"this is {what} ({error}). Give the file of --certificate") from None
        except (EOFError, zlib.error) as error:
            raise CertificateError(f"the file is damaged or cut off ({error}). Write it again") from None

    def _look_at(self, text: bytes) -> None:
        """Refuse a line by its brackets."""
        brackets = TEXT.sub(b"", text).translate(None, PLAIN)
        if len(brackets) > 2 * (BRACKETS + 2 * self.places):
            raise CertificateError(f"the line has {len(brackets):,} brackets, too many for this grid")
        for _ in range(DEPTH):
            brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if brackets:
            raise CertificateError(f"the line has brackets that do not match, or more than {DEPTH} within each other")


def json_of(text: bytes) -> Any:
    try:
        return json.loads(text.decode(), parse_constant=_no_number, object_pairs_hook=_object)
    except ValueError as error:  # of bytes that are no UTF-8, too
        raise CertificateError(f"the line is no JSON ({error}). Write the file again") from None


def _no_number(word: str) -> Never:
    raise CertificateError(f"{word} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise CertificateError("a name comes twice in one object")
    return found


FORMAT = "openpoint certificate 14"
MUST = ("format", "question", "open", "generation", "value", "bound")
MAY = "voltage_loss", "positions", "base", "alone", "groups"


@dataclass(frozen=True, eq=False)
class Head:
    """The head of a certificate of a grid with N buses and G generators.

    Attributes:
        open: numbers of branches. generation: (G). positions: of devices.
        alone: lines of the certificate of each future by itself. label: (T) number of the group of each step of a year.
        The others are as in docs/formats.md.
    """

    asked: Asked
    open: list[int]
    generation: Complexes
    value: float
    bound: float
    voltage_loss: float | None
    positions: list[int]
    alone: list[int] | None
    label: Ints | None


def read_words(archive: Archive) -> Asked:
    """The question in the head; the archive is at its first line.

    Raises:
        CertificateError: the file is damaged, of another form, or has no question.
    """
    return read_asked(_head(archive)["question"])


def _head(archive: Archive) -> dict[str, Any]:
    head = archive.line()
    form = head.get("format") if isinstance(head, dict) else None
    if form != FORMAT:
        was = f"its form is {ascii(form)[: schema.SHOWN]}" if isinstance(form, str) else "this is no certificate"
        raise CertificateError(f"{was}, not '{FORMAT}': write it again with this version")
    return schema.record(head, "the head", MUST, MAY)


def read_head(archive: Archive, net: Network, steps: int | None) -> Head:
    """The head.

    Args:
        steps: of the year that is asked about; None: it is about none.

    Raises:
        CertificateError: the file is damaged, of another form, or a value is not what it should be for this grid.
    """
    head = _head(archive)
    g = len(net.generator_names)
    branch = {name: e for e, name in enumerate(net.branch_names)}
    p, q = (schema.numbers(part, "generation", g) for part in schema.array(head["generation"], "generation", 2))
    lost = head.get("voltage_loss")
    return Head(
        asked=read_asked(head["question"]),
        open=schema.named(head["open"], "open", branch),
        generation=p + 1j * q,
        value=schema.number(head["value"], "value"),
        bound=schema.number(head["bound"], "bound"),
        voltage_loss=None if lost is None else schema.number(lost, "voltage_loss"),
        positions=schema.wholes(head.get("positions", []), "positions", 0, schema.LARGE),
        alone=schema.wholes(head["alone"], "alone", 1, schema.LARGE) if "alone" in head else None,
        label=_groups(head.get("groups"), steps),
    )


def _groups(given: Any, steps: int | None) -> Ints | None:
    """The group of each step of a year."""
    if steps is None or given is None:
        if steps is not None:
            raise CertificateError("it is not about a year; leave the year out")
        if given is not None:
            raise CertificateError("it is about a year: give the table of its profiles (--year), as the search had it")
        return None
    found = np.unique(label := np.array(schema.wholes(given, "groups", 0, steps - 1, steps), dtype=np.int64))
    if len(found) <= found[-1]:
        raise CertificateError("a group has no step")
    return label


MOST_BITS = 40
"""Binary digits of multipliers, at most."""
GREATEST = 1 << 61
"""Multipliers that others are differences from are not larger, so that all fit in 64 bits."""


@dataclass(frozen=True, eq=False)
class Given:
    """The multipliers of a line.

    Attributes:
        bits: digits. y, mu: (n) differences from earlier ones, times 2^bits. tops: buses from which parts without a
            source are directed. phi: by bus, times 2^`PHI`. near: by bus, times 2^`NEAR`, > 0.
    """

    bits: int
    y: Ints
    mu: Ints
    tops: list[int] = field(default_factory=list)
    phi: dict[int, int] = field(default_factory=dict)
    near: dict[int, int] = field(default_factory=dict)


class Multipliers:
    """Multipliers of the balances and limits.

    Attributes:
        bits, tops, phi, near: as in `Given`. y, mu: (n) times 2^bits.
    """

    def __init__(self, n: int) -> None:
        self.bits = 0
        self.y: Ints = np.zeros(n, dtype=np.int64)
        self.mu: Ints = np.zeros(n, dtype=np.int64)
        self.tops: list[int] = []
        self.phi: dict[int, int] = {}
        self.near: dict[int, int] = {}

    def take(self, given: Given) -> None:
        """Go on to the multipliers of a line."""
        up = given.bits - self.bits
        self.y, self.mu = shifted(self.y, up) + given.y, shifted(self.mu, up) + given.mu
        self.bits, self.tops, self.phi, self.near = given.bits, given.tops, given.phi, given.near


def shifted(values: Ints, up: int) -> Ints:
    """Values times 2^up, rounded down, none of them larger than `GREATEST`."""
    most = GREATEST >> max(up, 0)
    found: Ints = np.clip(values >> max(-up, 0), -most, most) << max(up, 0)
    return found


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
    """Parts of the paths: how many; prices of junctions, and their multipliers."""

    word: ClassVar = "parts"
    count: int
    prices: list[int]
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


OfTree = Probe | Bound | Future | Apply | Nothing | Judged | Split | From
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


def _from(rest: list[Any], _: Sizes) -> Line:
    return From(schema.whole(rest[0], "node", 1, LARGE))


def _by_regions(rest: list[Any], sizes: Sizes) -> Line:
    return ByRegions(schema.different(rest[0], "buses", sizes.buses), _given(rest[1:], sizes.buses))


def _of_region(rest: list[Any], sizes: Sizes) -> Line:
    return OfRegion(schema.number(rest[0], "bound"), schema.wholes(rest[1], "prices", -LARGE, LARGE))


def _by_parts(rest: list[Any], sizes: Sizes) -> Line:
    count, prices = schema.whole(rest[0], "parts", 1, LARGE), schema.wholes(rest[1], "prices", -LARGE, LARGE)
    return ByParts(count, prices, _plain(rest[2], rest[3], rest[4], len(prices)))


def _of_part(rest: list[Any], sizes: Sizes) -> Line:
    branches = schema.different(rest[0], "branches", sizes.branches)
    if not branches:
        raise CertificateError("a part has no path")
    nodes = schema.wholes(rest[2], "the tree", TAKE, MOST_NODE)
    rows = [
        schema.integers(row, "a leaf") for row in schema.array(rest[4], "leaves", nodes.count(NEW) + nodes.count(TAKE))
    ]
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
    "from": (1, _from),
    "regions": (7, _by_regions),
    "region": (2, _of_region),
    "parts": (5, _by_parts),
    "part": (5, _of_part),
}
"""By word the number of values after it, and what reads them."""
