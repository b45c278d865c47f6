"""REDS: the repository of distribution systems of Kavasseri and Ababei, files named `bus_*.pos`.

A header of keys with a dot (`.PU`, `.V_base` in kV, `.S_base` in MVA, `.Feeder_node_ids`, also misspelt
`.Feder_node_ids`), then rows `id from to r x p q S|N` of sectionalising branches, whose load belongs to the receiving
node, then after `.Tie` rows `id from to r x` of the open ties, then coordinates. Branches and buses go by the ids of
the file. Every branch is switchable; feeder nodes are sources at 1 pu.

Units, where the files do not agree with each other:

- `.PU 0`: ohm, kW and kvar.
- `.PU 1`: r, x and the loads are per unit on `.S_base` and `.V_base`.
- `.PU 0`, but all loads together, taken for kW, are less than a thousandth of `.S_base`: r and x are per unit on
  `.S_base`, loads are MW, as in bus_13_3.pos (the feeders of Civanlar et al. 1988). This is noted as a warning.

The base of a file with `.PU 1` scales its powers and ohms, not its voltages: check it where kW matter (bus_29_1.pos
gives the 5.68 MVA of bus_32_1.pos, while its impedances are known from the literature on 100 MVA).

Coordinates beyond `.Grid_size` are placeholders and are left out.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from openpoint.errors import Faults, InputError, Problem
from openpoint.grid.grid import Grid
from openpoint.inputs import MOST_VALUES, refuse_more
from openpoint.io.text import doubt, fault

Row = dict[str, Any]

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_ID = re.compile(r"\d+", re.ASCII)
_BRANCH_WIDTH, _TIE_WIDTH, _NODE_WIDTH = 8, 5, 3
_HELP = "A row is: id from to r x p q S (or N), a tie: id from to r x"
# Where all loads as kW are a smaller share of the base than this, they are MW.
LEAST_LOADING = 1e-3


@dataclass(frozen=True)
class _Branch:
    line: int
    name: str
    fr: str
    to: str
    r: float
    x: float
    p: float
    q: float
    closed: bool


@dataclass
class _Reading:
    file: str
    header: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    branches: list[_Branch] = field(default_factory=list)
    places: dict[str, tuple[float, float]] = field(default_factory=dict)
    faults: list[Problem] = field(default_factory=Faults)
    notes: list[Problem] = field(default_factory=list)

    def fault(self, line: int | None, column: str, message: str, remedy: str) -> None:
        self.faults.append(fault(self.file, line, column, message, remedy))


def grid_from_text(text: str, file: str) -> Grid:
    """The grid in the text of a `.pos` file.

    Raises:
        InputError: with every fault and its line.
    """
    reading = _Reading(file)
    _read_lines(reading, text)
    feeders = _feeders(reading)
    v_kv, s_mva = _number(reading, "V_base"), _number(reading, "S_base")
    per_unit = _number(reading, "PU")
    _check_counts(reading)
    if reading.faults:
        raise InputError(reading.faults)
    ohm, kw = _units(reading, v_kv, s_mva, per_unit)
    return Grid.from_tables(
        file.rpartition(".")[0] or file,
        _tables(reading, feeders, v_kv, ohm, kw),
        title=f"{file}, REDS",
        source="REDS: Kavasseri, Ababei, repository of distribution systems",
        notes=reading.notes,
    )


def _read_lines(reading: _Reading, text: str) -> None:
    section = "header"
    refuse_more(len(text.split()), MOST_VALUES, "words", reading.file)
    for line, content in enumerate(text.split("\n"), start=1):
        words = content.split()
        if not words:
            continue
        key = words[0].lower()
        if key == ".branch":
            section = "branches"
        elif key == ".tie":
            section = "ties"
        elif key == ".node":
            section = "places"
        elif words[0].startswith("."):
            name = "Feeder_node_ids" if key == ".feder_node_ids" else words[0][1:]
            reading.header[name] = (line, words[1:])
        elif section == "header":
            message = f"{_short(content)!r} is no key of the header"
            reading.fault(line, "", message, "Keys begin with a dot: .V_base 12.66")
        elif section == "places":
            _read_place(reading, line, words)
        else:
            _read_branch(reading, line, words, tie=section == "ties")


def _read_branch(reading: _Reading, line: int, words: list[str], *, tie: bool) -> None:
    width = _TIE_WIDTH if tie else _BRANCH_WIDTH
    if len(words) != width:
        reading.fault(line, "", f"{len(words)} entries, but {'a tie' if tie else 'a branch'} has {width}", _HELP)
        return
    bad = [w for w in words[:3] if not _ID.fullmatch(w)]
    bad += [w for w in words[3 : 5 if tie else 7] if not _NUMBER.fullmatch(w) or not math.isfinite(float(w))]
    bad += [w for w in words[7:] if w not in ("S", "N")]
    for word in bad:
        reading.fault(line, "", f"{_short(word)!r} is not what belongs here", _HELP)
    if not bad:
        name, fr, to = words[:3]
        r, x, p, q = (float(w) for w in (words[3:7] if not tie else [*words[3:5], "0", "0"]))
        reading.branches.append(_Branch(line, name, fr, to, r, x, p, q, closed=not tie))


def _read_place(reading: _Reading, line: int, words: list[str]) -> None:
    if len(words) != _NODE_WIDTH or not _ID.fullmatch(words[0]) or not all(_NUMBER.fullmatch(w) for w in words[1:]):
        reading.fault(line, "", f"{_short(' '.join(words))!r} is no node", "A node is: id x y")
        return
    reading.places[words[0]] = (float(words[1]), float(words[2]))


def _number(reading: _Reading, key: str) -> float:
    line, words = reading.header.get(key, (None, []))
    if line is None:
        reading.fault(None, f".{key}", "the key is missing in the header", f"Add it: .{key} and its value")
        return math.nan
    value = float(words[0]) if len(words) == 1 and _NUMBER.fullmatch(words[0]) else math.nan
    sound = value in (0, 1) if key == "PU" else 0 < value < math.inf
    if not sound:
        remedy = "Write 0 (ohm, kW) or 1 (per unit)" if key == "PU" else "Give a positive number"
        reading.fault(line, f".{key}", f"{_short(' '.join(words))!r} is no value of this key", remedy)
    return value


def _feeders(reading: _Reading) -> list[str]:
    line, words = reading.header.get("Feeder_node_ids", (None, []))
    if not words:
        message, remedy = "the feeder nodes are missing in the header", "Add them: .Feeder_node_ids 0 1 2"
        reading.fault(line, ".Feeder_node_ids", message, remedy)
    known = {end for b in reading.branches for end in (b.fr, b.to)}
    for word in words:
        if word not in known:
            message = f"{_short(word)!r} is no node that a branch ends at"
            reading.fault(line, ".Feeder_node_ids", message, "Correct the node")
    return words


def _check_counts(reading: _Reading) -> None:
    """The counts of the header are the only guard of the format against a file that was cut off."""
    counts = {
        "Branch_count": len(reading.branches),
        "Sectionalizing_count": sum(b.closed for b in reading.branches),
        "Tie_count": sum(not b.closed for b in reading.branches),
        "Nodes": len({end for b in reading.branches for end in (b.fr, b.to)}),
    }
    if any(p.row for p in reading.faults):
        return
    for key, found in counts.items():
        line, words = reading.header.get(key, (None, []))
        if line is not None and words != [str(found)]:
            message = f"the header says {_short(' '.join(words))}, the file holds {found}"
            reading.fault(line, f".{key}", message, "Get the whole file, or correct the count")
    loaded: dict[str, int] = {}
    for branch in reading.branches:
        if branch.closed and loaded.setdefault(branch.to, branch.line) != branch.line:
            message = f"node {branch.to} receives already in line {loaded[branch.to]}; which load is meant is not clear"
            reading.fault(branch.line, "to", message, "Exchange the ends of one of the two branches")


def _units(reading: _Reading, v_kv: float, s_mva: float, per_unit: float) -> tuple[float, float]:
    """Factors to ohm and kW."""
    in_per_unit = v_kv * v_kv / s_mva, s_mva * 1000.0
    if per_unit == 1:
        return in_per_unit
    total = sum(abs(b.p) for b in reading.branches)
    if 0 < total < LEAST_LOADING * s_mva * 1000.0:
        message = f"all loads together are {total:g} on a base of {s_mva:g} MVA: read as MW, and r and x as per unit"
        remedy = "If the file does hold ohm and kW, give the true .S_base"
        line, _ = reading.header["PU"]
        reading.notes.append(doubt(reading.file, line, ".PU", message, remedy, changes_figures=True))
        return in_per_unit[0], 1000.0
    return 1.0, 1.0


def _tables(reading: _Reading, feeders: list[str], v_kv: float, ohm: float, kw: float) -> dict[str, list[Row]]:
    places = {} if _are_placeholders(reading) else reading.places
    lines, loads = [], []
    buses = dict.fromkeys([*feeders, *(end for b in reading.branches for end in (b.fr, b.to))])
    for b in reading.branches:
        # The product is cleared of rounding noise beyond the digits of the file.
        r, x = (float(f"{value * ohm:.12g}") for value in (b.r, b.x))
        row = {"name": b.name, "from_bus": b.fr, "to_bus": b.to, "r_ohm": [r], "x_ohm": [x], "closed": b.closed}
        lines.append(row)
        if b.p or b.q:
            p, q = (float(f"{value * kw:.12g}") for value in (b.p, b.q))
            loads.append({"name": b.to, "bus": b.to, "p_kw": p, "q_kvar": q})
    return {
        "buses": [{"name": n, "vn_kv": v_kv, **_place(places.get(n))} for n in sorted(buses, key=int)],
        "lines": lines,
        "sources": [{"name": n, "bus": n, "v_pu": 1.0} for n in feeders],
        "loads": loads,
    }


def _place(at: tuple[float, float] | None) -> dict[str, float | None]:
    return {"x": at[0], "y": at[1]} if at else {"x": None, "y": None}


def _are_placeholders(reading: _Reading) -> bool:
    _, words = reading.header.get("Grid_size", (None, []))
    if len(words) != 2 or not all(_NUMBER.fullmatch(w) for w in words):
        return False
    width, height = float(words[0]), float(words[1])
    return any(not (0 <= x <= width and 0 <= y <= height) for x, y in reading.places.values())


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
