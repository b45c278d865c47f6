"""Shared state of the readers of OpenDSS elements: the engine, names, buses and phases, and the tables of the grid."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from openpoint.errors import Problem
from openpoint.io.opendss.engine import property_of

LETTER = {1: "a", 2: "b", 3: "c"}
MOST_SHOWN = 8


@dataclass
class Reading:
    """The tables of the grid while the elements of a solved circuit are read.

    Elements are called `class.name`, as in OpenDSS; rows take the name alone where it is given once in its table.
    `switchable` are elements with a switch, `commanded` those where it is a SwtControl, `controlled` windings with a
    regulator, and the voltages, V, that it holds at them. `known` has terminals of elements that were asked for.
    """

    engine: Any
    file: str
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    faults: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    bus_kv: dict[str, float] = field(default_factory=dict)
    bus_phases: dict[str, str] = field(default_factory=dict)
    switchable: set[str] = field(default_factory=set)
    commanded: set[str] = field(default_factory=set)
    controlled: dict[tuple[str, int], tuple[float, float] | None] = field(default_factory=dict)
    bent: list[str] = field(default_factory=list)  # loads whose power follows the voltage to an odd power
    often: Counter[tuple[str, str]] = field(default_factory=Counter)
    known: dict[str, list[tuple[str, list[int]]]] = field(default_factory=dict)

    def fault(self, element: str, message: str, remedy: str) -> None:
        self.faults.append(Problem(self.file, element, "", message, remedy))

    def note(self, element: str, message: str, remedy: str, *, changes_figures: bool = False) -> None:
        """Note a warning; `changes_figures` as of `Problem`."""
        self.notes.append(Problem(self.file, element, "", message, remedy, "warning", changes_figures))

    def add(self, kind: str, **row: Any) -> None:
        self.tables.setdefault(kind, []).append(row)

    def count(self, elements: list[str]) -> None:
        """Count the names, of which `name` takes those that are given once as they are."""
        for element in elements:
            kind, _, name = element.partition(".")
            self.often[room(kind), name] += 1

    def name(self, element: str) -> str:
        """Name of the row of an element."""
        kind, _, name = element.partition(".")
        return name if self.often[room(kind), name] <= 1 else element

    def terminals(self, element: str) -> list[tuple[str, list[int]]]:
        """Bus and nodes of each terminal of an element, with any nodes; makes the element the active one."""
        self.engine.Circuit.SetActiveElement(element)
        if element not in self.known:
            self.known[element] = self._terminals()
        return self.known[element]

    def _terminals(self) -> list[tuple[str, list[int]]]:
        """Those of the active element."""
        active = self.engine.CktElement
        if not active.Enabled():  # the nodes are known only as they are written
            return [_written(text, active.NumPhases()) for text in active.BusNames()]
        buses = [name.split(".")[0].lower() for name in active.BusNames()]
        nodes = [int(n) for n in active.NodeOrder()]
        each = len(nodes) // max(len(buses), 1)
        return [(bus, nodes[k * each : (k + 1) * each]) for k, bus in enumerate(buses)]

    def ends(self, element: str) -> list[tuple[str, list[int]]] | None:
        """Bus and nodes of each terminal of an element, or None and a fault."""
        found = self.terminals(element)
        if odd := sorted({n for _, at in found for n in at if n not in (0, 1, 2, 3)}):
            message = f"node {odd[0]} is a neutral or a fourth phase, which has no place in a grid"
            self.fault(element, message, "Eliminate the neutral from the matrices, and use nodes 1, 2, 3")
            return None
        return found

    def phase_kv(self, bus: str) -> float:
        """Nominal voltage of a phase to neutral."""
        return self.bus_kv.get(bus, math.nan) / math.sqrt(3.0)

    def text(self, name: str) -> str:
        """A property of the active element."""
        return property_of(self.engine, name)

    def value(self, name: str) -> float:
        """A property of the active element that is a number."""
        return float(property_of(self.engine, name))

    def is_delta(self) -> bool:
        """Whether the active element is connected in delta."""
        return self.text("conn").lower().startswith(("d", "ll"))

    def connection(self, element: str, nodes: list[int], *, delta: bool) -> tuple[str, str] | None:
        """(phases, connection) of an element at one bus from the nodes of its conductors, or None and a fault."""
        live = [n for n in nodes if n]
        remedy = "Name its phases in the bus, as in bus1=name.1 or bus1=name.1.2.3"
        if not live or len(set(live)) < len(live):
            self.fault(element, f"its nodes {'.'.join(map(str, nodes))} are no set of phases", remedy)
            return None
        phases = "".join(LETTER[n] for n in sorted(live))
        n_phases = int(self.engine.CktElement.NumPhases())
        if n_phases == 1 and len(live) == 2:
            return phases, "delta"
        if delta and n_phases == 2:
            self.fault(element, "a delta of two phases has two windings of three", "Write two single-phase elements")
            return None
        if delta and n_phases > 1:
            if len(live) == 3:
                return phases, "delta"
            self.fault(element, f"a delta of {len(live)} phases is not read", remedy)
            return None
        if len(live) != n_phases:
            self.fault(element, f"{n_phases} phases at the nodes {'.'.join(map(str, nodes))}", remedy)
            return None
        return phases, "wye"


def room(kind: str) -> str:
    """The group of tables in which names must be unique: that of branches, or that of loads and generators."""
    if kind in ("line", "transformer", "reactor"):
        return "branches"
    return "generators" if kind in ("generator", "pvsystem", "storage") else kind


def grouped(problems: list[Problem]) -> list[Problem]:
    """The problems, with one in place of many that differ in nothing but the element."""
    alike: dict[tuple[str, ...], list[Problem]] = {}
    for problem in problems:
        alike.setdefault((problem.table, problem.message, problem.remedy, problem.severity), []).append(problem)
    result: list[Problem] = []
    for members in alike.values():
        if len(members) <= MOST_SHOWN or any(not member.row for member in members):
            result += members
        else:
            message = f"{members[0].message}: {in_words([member.row for member in members])}"
            result.append(replace(members[0], row="", message=message))
    return result


def in_words(names: list[str]) -> str:
    """The names one after the other, and how many more there are."""
    shown = ", ".join(names[:MOST_SHOWN])
    return shown if len(names) <= MOST_SHOWN else f"{shown} and {len(names) - MOST_SHOWN} more"


def _written(text: str, n_phases: int) -> tuple[str, list[int]]:
    bus, *nodes = text.lower().split(".")
    return bus, [int(n) for n in nodes] or list(range(1, n_phases + 1))
