"""All faults and doubts of a grid at once: names, references, phases, words; values and wiring have their own files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import polars as pl

from openpoint.errors import Problem
from openpoint.grid.rules.device_rules import held_faults, set_voltage_faults
from openpoint.grid.rules.doubts import load_doubts
from openpoint.grid.rules.rule import rows
from openpoint.grid.rules.values import plausibility_doubts, value_faults
from openpoint.grid.rules.windings import connection_faults, negative_doubts
from openpoint.grid.rules.wiring import mesh_doubts, wiring_faults
from openpoint.grid.schemas import BRANCH_TABLES, SCHEMAS, Tables

BALANCED = "1"
MOST_NAMED = 5
"""Names that a message gives."""
PHASE_SETS = ("1", "a", "b", "c", "ab", "ac", "bc", "abc")
AT_A_BUS = ("sources", "loads", "generators", "capacitors")
WITH_PHASES = ("loads", "generators", "capacitors")
WINDINGS = ("wye-wye", "delta-wye", "wye-delta", "delta-delta")
# Buses that lines and switches join may differ this much in nominal voltage (rounding of the file).
VOLTAGE_TOLERANCE = 1e-6

_WORDS = (
    ("lines", "open_end", ("both", "from", "to")),
    ("lines", "switch_ends", ("", "both", "from", "to", "none")),
    ("transformers", "connection", WINDINGS),
    *(("transformers", column, ("from", "to")) for column in ("tap_side", "hold_side")),
    ("loads", "connection", ("wye", "delta")),
    ("loads", "model", ("power", "current", "impedance", "cvr")),
    ("generators", "connection", ("wye", "delta")),
    ("capacitors", "connection", ("wye", "delta")),
)


def find_problems(grid: Tables) -> list[Problem]:
    """Every fault and doubt of a grid: errors, what changes the meaning of figures, other warnings, the reader's last.

    Wiring (loops, joined sources, buses out of reach) is checked on the branches without faults of their own.
    """
    return problems_of(grid, frozenset())


def problems_of(grid: Tables, unknown: frozenset[tuple[str, str]]) -> list[Problem]:
    """Every fault and doubt of a grid in which some cells are unknown and hold stand-ins; see `find_problems`.

    Args:
        unknown: (table, column) that have such cells: checks of one table against another that need them are left out.
    """
    found = [problem for check, needs in _checks() if unknown.isdisjoint(needs) for problem in check(grid)]
    return sorted([*found, *grid.notes], key=lambda problem: (problem.severity != "error", not problem.changes_figures))


def _checks() -> Iterator[tuple[Callable[[Tables], Iterable[Problem]], tuple[tuple[str, str], ...]]]:
    """Every check, and the columns of other rows than its own that it needs, in the order of the messages."""
    buses = (("buses", "name"), ("buses", "phases"))
    ends = tuple((kind, column) for kind in BRANCH_TABLES for column in ("name", "from_bus", "to_bus", "phases"))
    states = tuple((kind, column) for kind in BRANCH_TABLES for column in ("switchable", "closed"))
    yield _name_faults, ()
    yield _missing_tables, (*buses, ("sources", "name"))
    yield _phase_faults, ()
    yield _mixed_phases, buses
    yield _reference_faults, buses
    yield _word_faults, ()
    yield connection_faults, (*buses, *ends)
    yield value_faults, ()
    yield negative_doubts, ()
    yield _voltage_level_faults, (*buses, ("buses", "vn_kv"))
    limits = tuple(("buses", column) for column in ("name", "v_min_pu", "v_max_pu"))
    yield set_voltage_faults, (*limits, ("sources", "bus"), ("sources", "v_pu"))
    yield held_faults, (("sources", "bus"), *(("generators", column) for column in ("name", "bus", "v_pu")))
    wiring = (*buses, *ends, *states, ("sources", "name"), ("sources", "bus"))
    yield wiring_faults, wiring
    yield mesh_doubts, wiring
    yield load_doubts, (("buses", "name"), ("buses", "vn_kv"), *(("loads", name) for name in ("bus", "p_kw", "q_kvar")))
    yield plausibility_doubts, tuple((kind, name) for kind, shape in SCHEMAS.items() for name in shape.columns())


def _name_faults(grid: Tables) -> Iterator[Problem]:
    for kind, frame in grid.tables().items():
        for name in _repeated(frame["name"]):
            yield Problem(kind, name, "name", "this name is given more than once", "Give every row a name of its own")
        if "" in frame["name"].to_list():
            yield Problem(kind, "", "name", "a name is empty", "Give every row a name")
    owners: dict[str, list[str]] = {}
    for kind in BRANCH_TABLES:
        for name in dict.fromkeys(grid.tables()[kind]["name"].to_list()):
            owners.setdefault(name, []).append(kind)
    for name, kinds in owners.items():
        if len(kinds) > 1:
            message = f"this name is also used in {' and '.join(kinds[:-1])}"
            remedy = "Branch names are unique over lines, switches and transformers; rename one"
            yield Problem(kinds[-1], name, "name", message, remedy)


def _repeated(names: pl.Series) -> list[str]:
    return [name for name, count in Counter(names.to_list()).items() if count > 1]


def _missing_tables(grid: Tables) -> Iterator[Problem]:
    if grid.buses.is_empty():
        yield Problem("buses", "", "", "the grid has no bus", "Give at least one bus")
    if grid.sources.is_empty():
        yield Problem("sources", "", "", "the grid has no source", "Name the bus of a substation in `sources`")


def _phase_faults(grid: Tables) -> Iterator[Problem]:
    """Faults in the words of phases."""
    for kind in ("buses", *BRANCH_TABLES, *WITH_PHASES):
        frame = grid.tables()[kind]
        for name, phases in _others(frame, "phases", PHASE_SETS):
            message = f"{phases!r} is no set of phases"
            remedy = 'Write "1" for the balanced equivalent, or letters of "abc" in this order'
            yield Problem(kind, name, "phases", message, remedy)


def _mixed_phases(grid: Tables) -> Iterator[Problem]:
    """The fault of a grid that has both the balanced equivalent and phases with letters."""
    buses = [(name, phases) for name, phases in rows(grid.buses, "name", "phases") if phases in PHASE_SETS]
    lettered = [name for name, phases in buses if phases != BALANCED]
    if 0 < len(lettered) < len(buses):
        fewer = min(lettered, [name for name, phases in buses if phases == BALANCED], key=len)
        message = f'some buses have phases "1", others letters; the fewer are {names_in_words(fewer)}'
        yield Problem("buses", "", "phases", message, 'Use either "1" or letters of "abc" throughout the grid')


def _reference_faults(grid: Tables) -> Iterator[Problem]:
    """Ends that are no bus, branches from a bus to itself, phases that a bus does not have."""
    phases_of = dict(rows(grid.buses, "name", "phases"))
    for kind in BRANCH_TABLES:
        columns = ("name", "from_bus", "to_bus", "phases")
        for name, fr, to, phases in rows(grid.tables()[kind], *columns):
            yield from _end_fault(kind, name, "from_bus", fr, phases, phases_of)
            if fr == to:
                yield Problem(kind, name, "to_bus", f"both ends are bus {fr!r}", "Join two different buses")
            else:
                yield from _end_fault(kind, name, "to_bus", to, phases, phases_of)
    for kind in AT_A_BUS:
        frame = grid.tables()[kind]
        phases_given = frame["phases"].to_list() if kind in WITH_PHASES else [""] * frame.height
        for name, bus, phases in zip(frame["name"].to_list(), frame["bus"].to_list(), phases_given):
            yield from _end_fault(kind, name, "bus", bus, phases, phases_of)


def _end_fault(
    kind: str, name: str, column: str, bus: str, phases: str, phases_of: dict[str, str]
) -> Iterator[Problem]:
    if bus not in phases_of:
        yield Problem(kind, name, column, f"there is no bus {bus!r}", "Correct it, or add the bus to the table `buses`")
        return
    at_bus = phases_of[bus]
    if phases in PHASE_SETS and at_bus in PHASE_SETS and (lacking := [p for p in phases if p not in at_bus]):
        message = f"bus {bus!r} has phases {at_bus!r}, not {''.join(lacking)!r}"
        yield Problem(kind, name, "phases", message, "Correct the phases of the row or of the bus")


def _word_faults(grid: Tables) -> Iterator[Problem]:
    for kind, column, words in _WORDS:
        frame = grid.tables()[kind]
        for name, word in _others(frame, column, words):
            yield Problem(kind, name, column, f"{word!r} is not known", f"Write one of {', '.join(words)}")


def _others(frame: pl.DataFrame, column: str, words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Name and text of the rows whose text is none of these words."""
    pairs = zip(frame["name"].to_list(), frame[column].to_list(), strict=True)
    return [(name, text) for name, text in pairs if text not in words]


def _voltage_level_faults(grid: Tables) -> Iterator[Problem]:
    """Lines and switches between two voltage levels."""
    level = dict(rows(grid.buses, "name", "vn_kv"))
    for kind in ("lines", "switches"):
        for name, fr, to in rows(grid.tables()[kind], "name", "from_bus", "to_bus"):
            v_fr, v_to = level.get(fr), level.get(to)
            if v_fr and v_to and abs(v_fr - v_to) > VOLTAGE_TOLERANCE * max(abs(v_fr), abs(v_to)):
                message = f"it joins {v_fr:g} kV at {fr!r} and {v_to:g} kV at {to!r}"
                yield Problem(kind, name, "", message, "Correct `vn_kv` of the buses, or use a transformer")


def names_in_words(names: list[str]) -> str:
    """The names one after the other, and how many more there are."""
    shown = ", ".join(repr(n) for n in names[:MOST_NAMED])
    return shown if len(names) <= MOST_NAMED else f"{shown} and {len(names) - MOST_NAMED} more"
