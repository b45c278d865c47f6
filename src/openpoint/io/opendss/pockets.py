"""Service transformers with a centre tap, lumped on their primary side with everything behind them.

The two legs of their secondary side are not phases: their voltages are 180° apart. The same holds for any single-phase
transformer whose windings have different nodes; behind one between two lines there is no phase to ground. Where the
part behind is fed by nothing else, its only effect on the grid is the power that it draws from one phase or between
two. This power is taken from the solution, including the losses of the transformer and of the lines behind it, and
depends on the voltage as the loads behind it do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from openpoint.io.opendss.reading import LETTER, Reading, in_words
from openpoint.io.opendss.shunts import DEGREE, load_parts

_SOURCES = ("vsource", "isource")
# Share of a load below which one of its parts is attributed to rounding.
_LEAST = 1e-12


@dataclass
class Pocket:
    """The part of the circuit behind one transformer, which is lumped.

    Attributes:
        transformer: the element. bus, nodes: where it is fed, by which of its terminals (from 0).
        buses, elements: behind it.
    """

    transformer: str
    bus: str
    nodes: list[int]
    terminal: int
    buses: set[str] = field(default_factory=set)
    elements: list[str] = field(default_factory=list)


def find_pockets(reading: Reading, elements: list[str]) -> list[Pocket]:
    """The pockets of a circuit; a transformer with a centre tap that has none is a fault when it is read."""
    ends = {element: reading.terminals(element) for element in elements if _is_wired(reading, element)}
    units = {e: at for e, at in ends.items() if e.startswith("transformer.") and _is_split(reading, e, at)}
    if not units:
        return []
    group = _Groups()
    for element, at in ends.items():
        if element not in units:
            group.join(bus for bus, _ in at)
    fed = {group.of(bus) for e, at in ends.items() if e.partition(".")[0] in _SOURCES for bus, _ in at}
    by_group: dict[str, Pocket | None] = {}
    for element, at in units.items():
        outer = [k for k, (bus, _) in enumerate(at) if group.of(bus) in fed]
        inner = {group.of(bus) for bus, _ in at} - fed
        for behind in inner:  # a part fed by two transformers, or by none, is no pocket
            is_first = behind not in by_group and len(outer) == 1 and len(inner) == 1
            by_group[behind] = Pocket(element, *at[outer[0]], outer[0]) if is_first else None
    pockets = {behind: pocket for behind, pocket in by_group.items() if pocket is not None}
    for element, at in ends.items():
        pocket = pockets.get(group.of(at[0][0])) if element not in units else None
        if pocket:
            pocket.elements.append(element)
            pocket.buses |= {bus for bus, _ in at}
    for pocket in pockets.values():
        pocket.buses |= {bus for bus, _ in ends[pocket.transformer]} - {pocket.bus}
    return list(pockets.values())


def read_pockets(reading: Reading, pockets: list[Pocket]) -> None:
    """Add the loads on the primary sides, and a note on what they represent."""
    loads_kw = losses_kw = 0.0
    for pocket in pockets:
        drawn, lost = _read_pocket(reading, pocket)
        loads_kw, losses_kw = loads_kw + drawn, losses_kw + lost
    if pockets:
        names = in_words([pocket.transformer for pocket in pockets])
        message = (
            f"{len(pockets)} single-phase transformers ({names}), whose secondary sides are no phases (a centre tap, a "
            "winding between two lines), are lumped with everything behind them as loads on their primary sides: "
            f"{loads_kw:.3f} kW net at today's voltages, and {losses_kw:.3f} kW of losses behind that are not among "
            "those of the grid"
        )
        remedy = "Where secondary sides matter, write one winding of the full voltage with the nodes of the primary"
        reading.note("", message, remedy, changes_figures=True)


def _read_pocket(reading: Reading, pocket: Pocket) -> tuple[float, float]:
    """Add the loads of a pocket; power drawn behind the transformer's losses, and those losses, in kW."""
    engine = reading.engine
    parts = dict.fromkeys(DEGREE, 0j)
    drawn = 0j
    for element in pocket.elements:
        kind = element.partition(".")[0]
        engine.Circuit.SetActiveElement(element)
        if kind == "load":
            found = load_parts(reading, element)
            for model, s in found.items():
                parts[model] += s
            drawn += sum(found.values())
        elif kind in ("generator", "pvsystem", "storage"):
            power = complex(*engine.CktElement.TotalPowers()[:2])
            parts["power"] += power
            drawn += power
    engine.Circuit.SetActiveElement(pocket.transformer)
    n = len(pocket.nodes)
    flows = np.asarray(engine.CktElement.Powers(), dtype=np.float64).view(np.complex128)
    total = complex(flows[pocket.terminal * n : (pocket.terminal + 1) * n].sum())
    parts["power"] += total - drawn
    _add(reading, pocket, parts)
    return drawn.real, (total - drawn).real


def _add(reading: Reading, pocket: Pocket, parts: dict[str, complex]) -> None:
    """Add a row for each load model, so that the parts draw this power at the voltage of the solution."""
    engine = reading.engine
    live = [node for node in pocket.nodes if node]
    engine.Circuit.SetActiveBus(pocket.bus)
    nodes, v = list(engine.Bus.Nodes()), np.asarray(engine.Bus.Voltages(), dtype=np.float64).view(np.complex128)
    u = abs(sum((v[nodes.index(node)] * sign for node, sign in zip(live, (1, -1))), 0j)) / 1000.0
    of_bus = u / (reading.phase_kv(pocket.bus) if len(live) == 1 else reading.bus_kv[pocket.bus])
    size = sum(abs(s) for s in parts.values())
    there = {model: s for model, s in parts.items() if abs(s) > _LEAST * size}
    place = {
        "bus": pocket.bus,
        "phases": "".join(LETTER[node] for node in sorted(live)),
        "connection": "wye" if len(live) == 1 else "delta",
    }
    for model, s in there.items():
        name = pocket.transformer if len(there) == 1 else f"{pocket.transformer} ({model})"
        nominal = s / of_bus ** DEGREE[model] if of_bus > 0 else s
        if nominal.real < 0:
            reading.add("generators", name=name, **place, p_kw=-nominal.real, q_kvar=-nominal.imag)
        else:
            reading.add("loads", name=name, **place, model=model, p_kw=nominal.real, q_kvar=nominal.imag)


def _is_wired(reading: Reading, element: str) -> bool:
    """Whether an element is enabled and at buses; ties that are disabled join them as well."""
    reading.engine.Circuit.SetActiveElement(element)
    active = reading.engine.CktElement
    if element.partition(".")[0] == "line":
        return True
    return bool(active.Enabled()) and len(active.NodeOrder()) > 0


def _is_split(reading: Reading, element: str, at: list[tuple[str, list[int]]]) -> bool:
    """Whether a transformer has one phase, two buses, and a side that is no phase of the other."""
    reading.engine.Circuit.SetActiveElement(element)
    if reading.engine.CktElement.NumPhases() != 1 or len({bus for bus, _ in at}) != 2:
        return False
    (_, near), (_, far), *more = at
    return bool(more) or sorted(near) != sorted(far) or all(near)


class _Groups:
    """Groups of buses that elements join (union-find)."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def of(self, bus: str) -> str:
        """The representative bus of the group of this one."""
        here = self._above.setdefault(bus, bus)
        while here != bus:
            self._above[bus] = self._above[here]
            bus, here = here, self._above[here]
        return here

    def join(self, buses: Iterable[str]) -> None:
        first, *others = buses
        for bus in others:
            self._above[self.of(bus)] = self.of(first)
