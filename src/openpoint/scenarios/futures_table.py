"""Tables of futures, a row for each future and bus: every fault with its place, then names and numbers."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from openpoint.arrays import Floats, Ints
from openpoint.errors import InputError
from openpoint.scenarios.long_table import Columns, LongTable, Place

COLUMNS = Columns(
    key="bus",
    key_meaning="the name of the bus",
    rows="a row for each future and bus that changes",
    twice="a row is the whole net demand of the bus",
    numbers={
        "p_kw": "net active power, positive consumption",
        "q_kvar": "net reactive power, positive consumption",
    },
    needed=("p_kw", "q_kvar"),
)


@dataclass(frozen=True)
class Rows:
    """A table without faults: M rows of K futures.

    Attributes:
        names: (K) futures in the order of their first rows.
        probabilities: (K) sum to one; None where the table gives none.
        future, bus: (M) numbers of future and bus of a row.
        p_kw, q_kvar: (M) net demand.
    """

    names: tuple[str, ...]
    probabilities: Floats | None
    future: Ints
    bus: Ints
    p_kw: Floats
    q_kvar: Floats


def read_rows(frame: pl.DataFrame, bus_names: tuple[str, ...], place: Place) -> Rows:
    """The rows of a long table.

    Args:
        frame: columns future, bus, p_kw, q_kvar and optional probability, of any types that can be read.
        bus_names: the buses of the grid. place: how messages name the table.

    Raises:
        InputError: with every fault.
    """
    table = LongTable(frame, COLUMNS, place)
    table.read(bus_names, ("there is no bus {} in the grid", "Use names of the table `buses`"))
    if table.faults:
        raise InputError(table.faults)
    return Rows(
        names=tuple(table.names),
        probabilities=table.probabilities(),
        future=table.numbers_of("future", table.names),
        bus=table.numbers_of("bus", bus_names),
        p_kw=table.rows["p_kw"].to_numpy(),
        q_kvar=table.rows["q_kvar"].to_numpy(),
    )
