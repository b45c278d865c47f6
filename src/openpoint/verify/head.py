"""The head of a certificate as typed values: numbers of the grid's branches, arrays of its sizes, and nothing else.

What the values mean, and whether they hold, `openpoint.verify.claim` tells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.network import Network
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.verify import schema
from openpoint.verify.archive import Archive
from openpoint.verify.verified import CertificateError

FORMAT = "openpoint certificate 10"
MUST = (
    *("format", "digest", "locked_closed", "locked_open", "max_changes", "change_cost"),
    *("least_squared_voltage", "greatest_squared_voltage", "greatest_squared_current"),
    *("open", "generation", "value", "bound", "gap", "lines"),
)
MAY = "voltage_loss", "devices", "positions", "prices", "supply", "base", "junctions", "futures", "year"
MOST_LINES = 1 << 40
"""Lines of a file, at most."""
MOST_DEMANDS = 1 << 24
"""Demands of futures, at most: of each bus in each future."""
MOST_STEPS = 1 << 22
"""Steps of a year, at most: those of eight years in minutes."""


@dataclass(frozen=True)
class BetweenBounds:
    """A set of probability vectors: (K) least and greatest probabilities, >= 0."""

    lower: Floats
    upper: Floats


@dataclass(frozen=True)
class NearNominal:
    """A set of probability vectors: (K) nominal ones, >= 0, and how far probability may be moved.

    `distance`: (K, K), >= 0; None: 1 between any two.
    """

    nominal: Floats
    radius: float
    distance: Floats | None


@dataclass(frozen=True, eq=False)
class GivenFutures:
    """Futures in a head: (K, N) demands, what of their losses counts, and (K) numbers of each."""

    demands: Complexes
    measure: BetweenBounds | NearNominal
    reference: Floats
    weights: Floats
    share: float


@dataclass(frozen=True, eq=False)
class GivenYear:
    """A year in a head; `label`: (T) number of the group of each step."""

    digest: str
    groups: int
    groups_digest: str
    label: Ints


@dataclass(frozen=True, eq=False)
class Head:
    """The head of a certificate of a grid with N buses, E branches and G generators.

    Attributes:
        locked_closed, locked_open, open: numbers of branches. least_squared_voltage, greatest_squared_voltage: (N).
            greatest_squared_current: (E); inf is none. generation: (G). base: (N) number of a source, or None.
        The others are as in docs/formats.md.
    """

    digest: str
    locked_closed: list[int]
    locked_open: list[int]
    least_squared_voltage: Floats
    greatest_squared_voltage: Floats
    greatest_squared_current: Floats
    max_changes: int | None
    change_cost: float
    open: list[int]
    generation: Complexes
    value: float
    bound: float
    gap: float
    lines: int
    junctions: int
    voltage_loss: float | None
    devices: list[str]
    positions: list[int]
    prices: OperatingCost | None
    supply: SupplyLimits | None
    base: list[int | None]
    futures: GivenFutures | None
    year: GivenYear | None


def read_head(archive: Archive, net: Network) -> Head:
    """The head, and the numbers that follow it at once; the archive is at the first line then.

    Raises:
        CertificateError: the file is damaged, of another form, or a value is not what it should be for this grid.
    """
    head = archive.line()
    form = head.get("format") if isinstance(head, dict) else None
    if form != FORMAT:
        was = f"its form is {ascii(form)[: schema.SHOWN]}" if isinstance(form, str) else "this is no certificate"
        raise CertificateError(f"{was}, not '{FORMAT}': write it again with this version")
    schema.record(head, "the head", MUST, MAY)
    n, m, g = net.n_terminals, net.n_conductors, len(net.generator_names)
    branch = {name: e for e, name in enumerate(net.branch_names)}
    p, q = (schema.numbers(part, "generation", g) for part in schema.array(head["generation"], "generation", 2))
    locks = [schema.named(head[name], name, branch) for name in ("locked_closed", "locked_open")]
    if both := {*locks[0]} & {*locks[1]}:
        raise CertificateError(f"branch '{net.branch_names[min(both)]}' is locked closed and open")
    devices = [schema.text(name, "devices") for name in schema.array(head.get("devices", []), "devices")]
    most, lost = head["max_changes"], head.get("voltage_loss")
    base = schema.array(head.get("base", [None] * n), "base", n)
    return Head(
        digest=schema.text(head["digest"], "digest"),
        locked_closed=locks[0],
        locked_open=locks[1],
        least_squared_voltage=schema.numbers(head["least_squared_voltage"], "least_squared_voltage", n, least=0.0),
        greatest_squared_voltage=_limits(head, "greatest_squared_voltage", n),
        greatest_squared_current=_limits(head, "greatest_squared_current", m),
        max_changes=None if most is None else schema.whole(most, "max_changes", 0, schema.LARGE),
        change_cost=schema.number(head["change_cost"], "change_cost", 0.0),
        open=schema.named(head["open"], "open", branch),
        generation=p + 1j * q,
        value=schema.number(head["value"], "value"),
        bound=schema.number(head["bound"], "bound"),
        gap=schema.number(head["gap"], "gap", 0.0),
        lines=schema.whole(head["lines"], "lines", 1, MOST_LINES),
        junctions=schema.whole(head.get("junctions", 0), "junctions", 0, n),
        voltage_loss=None if lost is None else schema.number(lost, "voltage_loss"),
        devices=devices,
        positions=schema.wholes(head.get("positions", []), "positions", 0, schema.LARGE, len(devices)),
        prices=_prices(head["prices"], net) if "prices" in head else None,
        supply=_supply(head["supply"], net) if "supply" in head else None,
        base=[None if s is None else schema.whole(s, "base", 0, len(net.source_terminal) - 1) for s in base],
        futures=_futures(head["futures"], n, archive) if "futures" in head else None,
        year=_year(head["year"], archive) if "year" in head else None,
    )


def _limits(head: dict[str, Any], name: str, size: int) -> Floats:
    return schema.numbers(head[name], name, size, math.inf, 0.0)


def _prices(given: Any, net: Network) -> OperatingCost:
    g, s, m = len(net.generator_names), len(net.source_terminal), net.n_conductors
    prices = schema.record(given, "prices", ("loss", "move", "source", "generator", "square", "idle", "current"))
    return OperatingCost(
        schema.number(prices["loss"], "prices: loss"),
        schema.numbers(prices["source"], "prices: source", s),
        schema.numbers(prices["generator"], "prices: generator", g),
        schema.numbers(prices["square"], "prices: square", g, least=0.0),
        schema.numbers(prices["idle"], "prices: idle", g),
        schema.numbers(prices["current"], "prices: current", m),
        move=schema.number(prices["move"], "prices: move", 0.0),
    )


def _supply(given: Any, net: Network) -> SupplyLimits:
    by_source = {"p_min": -math.inf, "p_max": math.inf, "q_min": -math.inf, "q_max": math.inf}
    supply = schema.record(given, "supply", (*by_source, "s_max", "generator_s_max"))
    s, g = len(net.source_terminal), len(net.generator_names)
    return SupplyLimits(
        **{name: schema.numbers(supply[name], f"supply: {name}", s, none) for name, none in by_source.items()},
        s_max=schema.numbers(supply["s_max"], "supply: s_max", s, math.inf, 0.0),
        generator_s_max=schema.numbers(supply["generator_s_max"], "supply: generator_s_max", g, math.inf, 0.0),
    )


def _futures(given: Any, n: int, archive: Archive) -> GivenFutures:
    futures = schema.record(given, "futures", ("count", "measure", "reference", "weights", "share"))
    count = schema.whole(futures["count"], "futures: count", 1, MOST_DEMANDS // n)
    reference = schema.numbers(futures["reference"], "futures: reference", count)
    weights = schema.numbers(futures["weights"], "futures: weights", count, least=0.0)
    share = schema.number(futures["share"], "futures: share", 0.0)
    measure = _measure(futures["measure"], count)
    p, q = np.frombuffer(archive.block(16 * count * n), dtype="<f8").reshape(2, count, n)
    if not (np.isfinite(p).all() and np.isfinite(q).all()):
        raise CertificateError("a demand of a future is no number")
    return GivenFutures(p + 1j * q, measure, reference, weights, share)


def _measure(given: Any, count: int) -> BetweenBounds | NearNominal:
    place = "futures: measure"
    if type(given) is dict and "nominal" in given:
        near = schema.record(given, place, ("nominal", "radius", "distance"))
        rows, nominal = near["distance"], schema.numbers(near["nominal"], f"{place}: nominal", count, least=0.0)
        distance = None
        if rows is not None:
            rows = schema.array(rows, f"{place}: distance", count)
            distance = np.array([schema.numbers(row, f"{place}: distance", count, least=0.0) for row in rows])
        return NearNominal(nominal, schema.number(near["radius"], f"{place}: radius", 0.0), distance)
    between = schema.record(given, place, ("lower", "upper"))
    lower, upper = (schema.numbers(between[name], f"{place}: {name}", count, least=0.0) for name in ("lower", "upper"))
    return BetweenBounds(lower, upper)


def _year(given: Any, archive: Archive) -> GivenYear:
    year = schema.record(given, "year", ("steps", "groups", "digest", "groups_digest"))
    digests = [schema.text(year[name], f"year: {name}") for name in ("digest", "groups_digest")]
    steps = schema.whole(year["steps"], "year: steps", 1, MOST_STEPS)
    groups = schema.whole(year["groups"], "year: groups", 1, steps)
    label = np.frombuffer(archive.block(4 * steps), dtype="<i4").astype(np.int64)
    return GivenYear(digests[0], groups, digests[1], label)
