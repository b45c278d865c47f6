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
from openpoint.verify.schema import CertificateError

FORMAT = "openpoint certificate 13"
MUST = ("format", "question", "open", "generation", "value", "bound")
MAY = "voltage_loss", "positions", "base", "alone", "groups"


@dataclass(frozen=True, eq=False)
class Head:
    """The head of a certificate of a grid with N buses and G generators.

    Attributes:
        open: numbers of branches. generation: (G). base: (N) number of a source, or None. positions: of devices.
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
    base: list[int | None]
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
    n, g = net.n_terminals, len(net.generator_names)
    branch = {name: e for e, name in enumerate(net.branch_names)}
    p, q = (schema.numbers(part, "generation", g) for part in schema.array(head["generation"], "generation", 2))
    lost = head.get("voltage_loss")
    base = schema.array(head.get("base", [None] * n), "base", n)
    return Head(
        asked=read_asked(head["question"]),
        open=schema.named(head["open"], "open", branch),
        generation=p + 1j * q,
        value=schema.number(head["value"], "value"),
        bound=schema.number(head["bound"], "bound"),
        voltage_loss=None if lost is None else schema.number(lost, "voltage_loss"),
        positions=schema.wholes(head.get("positions", []), "positions", 0, schema.LARGE),
        base=[None if s is None else schema.whole(s, "base", 0, len(net.source_terminal) - 1) for s in base],
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
