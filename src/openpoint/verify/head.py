"""The head of a certificate as typed values: the words of its question, the best state, and how the proof is written.

What the values mean, and whether they hold, `openpoint.verify.claim` tells. Of the question the head has words alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Complexes, Ints
from openpoint.network import Network
from openpoint.verify import schema
from openpoint.verify.archive import Archive
from openpoint.verify.asked import Asked, read_asked
from openpoint.verify.errors import CertificateError

FORMAT = "openpoint certificate 11"
MUST = ("format", "digest", "question", "open", "generation", "value", "bound", "lines")
MAY = "voltage_loss", "positions", "base", "junctions", "futures", "year"
MOST_LINES = 1 << 40
"""Lines of a file, at most."""
MOST_DEMANDS = 1 << 24
"""Demands of futures, at most: of each bus in each future."""
MOST_STEPS = 1 << 22
"""Steps of a year, at most: those of eight years in minutes."""
MOST_BYTES = 1 << 40
"""Bytes of the certificate of a future by itself, at most."""


@dataclass(frozen=True)
class GivenFutures:
    """Futures in a head: how many, the digest of their table, and bytes of the certificates of each by itself."""

    count: int
    digest: str
    alone: list[int] | None


@dataclass(frozen=True, eq=False)
class GivenYear:
    """A year in a head; `label`: (T) number of the group of each step."""

    digest: str
    groups: int
    groups_digest: str
    label: Ints


@dataclass(frozen=True, eq=False)
class Head:
    """The head of a certificate of a grid with N buses and G generators.

    Attributes:
        open: numbers of branches. generation: (G). base: (N) number of a source, or None. positions: of devices.
        The others are as in docs/formats.md.
    """

    digest: str
    asked: Asked
    open: list[int]
    generation: Complexes
    value: float
    bound: float
    lines: int
    junctions: int
    voltage_loss: float | None
    positions: list[int]
    base: list[int | None]
    futures: GivenFutures | None
    year: GivenYear | None


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


def read_head(archive: Archive, net: Network) -> Head:
    """The head, and the numbers that follow it at once; the archive is at the first line then.

    Raises:
        CertificateError: the file is damaged, of another form, or a value is not what it should be for this grid.
    """
    head = _head(archive)
    n, g = net.n_terminals, len(net.generator_names)
    branch = {name: e for e, name in enumerate(net.branch_names)}
    p, q = (schema.numbers(part, "generation", g) for part in schema.array(head["generation"], "generation", 2))
    lost = head.get("voltage_loss")
    base = schema.array(head.get("base", [None] * n), "base", n)
    return Head(
        digest=schema.text(head["digest"], "digest"),
        asked=read_asked(head["question"]),
        open=schema.named(head["open"], "open", branch),
        generation=p + 1j * q,
        value=schema.number(head["value"], "value"),
        bound=schema.number(head["bound"], "bound"),
        lines=schema.whole(head["lines"], "lines", 1, MOST_LINES),
        junctions=schema.whole(head.get("junctions", 0), "junctions", 0, n),
        voltage_loss=None if lost is None else schema.number(lost, "voltage_loss"),
        positions=schema.wholes(head.get("positions", []), "positions", 0, schema.LARGE),
        base=[None if s is None else schema.whole(s, "base", 0, len(net.source_terminal) - 1) for s in base],
        futures=_futures(head["futures"], n) if "futures" in head else None,
        year=_year(head["year"], archive) if "year" in head else None,
    )


def _futures(given: Any, n: int) -> GivenFutures:
    futures = schema.record(given, "futures", ("count", "digest"), ("alone",))
    count = schema.whole(futures["count"], "futures: count", 1, MOST_DEMANDS // n)
    alone = futures.get("alone")
    if alone is not None:
        alone = schema.wholes(alone, "futures: alone", 1, MOST_BYTES, count)
    return GivenFutures(count, schema.text(futures["digest"], "futures: digest"), alone)


def _year(given: Any, archive: Archive) -> GivenYear:
    year = schema.record(given, "year", ("steps", "groups", "digest", "groups_digest"))
    digests = [schema.text(year[name], f"year: {name}") for name in ("digest", "groups_digest")]
    steps = schema.whole(year["steps"], "year: steps", 1, MOST_STEPS)
    groups = schema.whole(year["groups"], "year: groups", 1, steps)
    label = np.frombuffer(archive.block(4 * steps), dtype="<i4").astype(np.int64)
    return GivenYear(digests[0], groups, digests[1], label)
