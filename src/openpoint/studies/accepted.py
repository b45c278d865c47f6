"""What grids have that studies treat apart: how it is kept, and which studies refuse it, with the reason.

The only list of it. Studies refuse by it, the page docs/grids.md is made of it, and a test tries every cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.balanced import HAS_PHASES, has_phases
from openpoint.grid.grid import Grid
from openpoint.grid.rules.wiring import meshes

POWERFLOW = "powerflow"
NAMES = (
    "powerflow",
    "enclose",
    "reconfigure",
    "reconfigure-futures",
    "reconfigure-year",
    "reconfigure-seasons",
    "reconfigure-secure",
    "reconfigure-front",
    "dispatch",
    "dispatch-front",
    "dispatch-day",
    "secure",
    "plan",
    "harden",
    "partition",
)
"""The studies of one grid; others ask the same of it as one of these."""


@dataclass(frozen=True)
class Part:
    """Something that a grid may have.

    Attributes:
        title: what it is. kept: what the studies make of it that take it. why: why others refuse it, and the way on.
        refused: the studies that do.
    """

    title: str
    kept: str
    why: str = ""
    refused: frozenset[str] = field(default_factory=frozenset)


_BUT_POWERFLOW = frozenset(NAMES) - {POWERFLOW}
_ONE_PHASE = frozenset(NAMES) - {
    *(POWERFLOW, "enclose", "reconfigure", "reconfigure-futures", "reconfigure-year", "dispatch", "plan", "secure"),
    "partition",
}
PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "station": Part("substation with its transformer", "a branch with its ratio, impedance and both ratings"),
        "couplers": Part(
            "ring of closed couplers, double busbar",
            "stays closed: one node of voltage; its currents are checked after",
            "currents of couplers in a ring are not unique, so that they have no bounds: open one, or give impedances",
            frozenset({"enclose"}),
        ),
        "parallel": Part(
            "parallel transformers or lines of one ratio",
            "stay closed: one equivalent branch, exact; currents, losses and ratings are those of each",
        ),
        "joined": Part(
            "substations of one voltage that parallel transformers join",
            "stay joined: their buses count as one",
            "every source has a price and limits of its own, and the closed loop shares the load among them: "
            "open it at one transformer (`--open` where there is one, else `openpoint convert --switchable`)",
            frozenset({"dispatch-day", "harden"}),
        ),
        "held_ring": Part(
            "other loops of branches that nobody may open, parallel transformers of different ratios",
            "solved with its loop",
            "no radial grid has the same power flow, on which bounds rest: mark a branch of the loop as switchable, or "
            "open it",
            _BUT_POWERFLOW - {"enclose", "plan"},
        ),
        "three_windings": Part("transformer of three windings", "three branches at a star point"),
        "negative_arm": Part(
            "star of three windings with an arm of negative reactance",
            "computed as it is",
            "bounds rest on impedances of 0 or more: replace it by transformers of two windings",
            _BUT_POWERFLOW,
        ),
        "ratio": Part("taps off neutral, phase shifts", "exact; `dispatch` and `dispatch-day` may move them"),
        "charging": Part("charging of cables", "exact, in bounds and power flow"),
        "iron": Part("iron losses and magnetising currents", "exact, half at either end"),
        "ends": Part("lines that are open at one end", "stay under voltage from the other end, with their charging"),
        "generation": Part("generation of given output", "a negative load"),
        "limits": Part(
            "generators with limits of output",
            "dispatched by `reconfigure`, `reconfigure-futures`, `dispatch` and `partition`; else they keep the given "
            "output, with a note",
        ),
        "holding": Part(
            "generators that hold a voltage (PV buses)",
            "held within their reactive power",
            "they are read with another output: `--pv pq` or `--pv free`",
            _BUT_POWERFLOW,
        ),
        "phases": Part(
            "several phases",
            "each phase by itself, by OpenDSS",
            "the balanced equivalent is taken: `openpoint convert --balanced`",
            _ONE_PHASE,
        ),
    }
)


def refuse(study: str, grid: Grid) -> None:
    """Refuse several phases and joined substations where a study does not take them; other parts are refused where
    they are met, by name.

    Raises:
        OptionError: several phases. InputError: joined substations, naming what joins them.
    """
    if study in PARTS["phases"].refused and has_phases(grid):
        raise OptionError(f"{study} is for balanced grids (phases '1'); {HAS_PHASES}")
    part = PARTS["joined"]
    if study in part.refused and (found := [mesh for mesh in meshes(grid) if mesh.is_held and mesh.sources]):
        why, _, remedy = part.why.partition(": ")
        message = "{} are joined by branches that stay closed, and " + why
        names = [(" and ".join(map(repr, mesh.sources)), ", ".join(mesh.names)) for mesh in found]
        raise InputError([Problem("branches", row, "", message.format(both), remedy) for both, row in names])
