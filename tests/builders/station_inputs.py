"""Random grids as power-grid-model writes them: stations with held meshes, rings of cables, several sources.

A station has one or two sources behind their impedance, transformers in parallel, and busbar sections joined by links,
at times in a ring, at times with a cable beside a link. Cables between the stations have a switch at either end:
closed, open at one end, where they hang under voltage, or open at both. Low-voltage grids may be fed from two sides.
"""

from __future__ import annotations

import math
import random
from typing import Any

Row = dict[str, Any]
OPEN = ((1, 0), (0, 1), (0, 0))
"""States of the switches at the ends of a cable that is open."""


class _Made:
    """The components made so far; ids count through all of them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.data: dict[str, list[Row]] = {
            kind: [] for kind in ("node", "line", "link", "transformer", "source", "shunt", "sym_load", "sym_gen")
        }

    def add(self, kind: str, **row: Any) -> int:
        number = 1 + sum(map(len, self.data.values()))
        self.data[kind].append({"id": number, **row})
        return number

    def branch(self, kind: str, fr: int, to: int, ends: tuple[int, int] = (1, 1), **row: Any) -> int:
        return self.add(kind, from_node=fr, to_node=to, from_status=ends[0], to_status=ends[1], **row)

    def cable(self, fr: int, to: int, ends: tuple[int, int] = (1, 1), scale: float = 1.0) -> int:
        """A cable; `scale` is 1 at 20 kV."""
        rng, km = self.rng, self.rng.uniform(0.3, 6.0)
        z = {"r1": rng.uniform(0.05, 0.4) * km * scale, "x1": rng.uniform(0.08, 0.15) * km * scale}
        charging = {"c1": rng.choice((0.0, 2.5e-7, 4e-7)) * km, "tan1": rng.choice((0.0, 0.01))}
        if rng.random() < 0.5:
            fr, to, ends = to, fr, (ends[1], ends[0])
        return self.branch("line", fr, to, ends, **z, **charging, i_n=400.0)

    def unit(self, fr: int, to: int, u1: float, u2: float, sn: float, **row: Any) -> int:
        rng = self.rng
        losses = {"uk": rng.uniform(0.06, 0.14), "pk": rng.uniform(0.003, 0.008) * sn}
        losses |= {"i0": rng.uniform(0.001, 0.003), "p0": rng.uniform(0.0002, 0.0009) * sn}
        ratio = {"u1": u1, "u2": u2, "sn": sn, "winding_from": 1, "winding_to": 2}
        return self.branch("transformer", fr, to, **ratio, **losses, **row)


def station_input(seed: int) -> dict[str, Any]:
    """Input data of power-grid-model in the form of its JSON; every node has supply."""
    made = _Made(random.Random(seed))
    rng = made.rng
    clock = rng.choice((5, 11))
    busbars = [_station(made, clock) for _ in range(rng.randint(1, 3))]
    nodes = _cables(made, busbars)
    for one, other in (rng.sample(nodes, 2) for _ in range(rng.randint(0, 2))):
        _low_voltage(made, one, other)
    sections = [node for station in busbars for node in station]
    kv = {row["id"]: row["u_rated"] for row in made.data["node"]}
    low = [node for node, u in kv.items() if u < 1e3]
    for node in [*nodes, *low, *rng.sample(sections, 1)]:
        _bus(made, node, 1.0 if node not in low else 0.1, kv[node])
    return {"version": "1.0", "type": "input", "is_batch": False, "attributes": {}, "data": made.data}


def without_links(content: dict[str, Any]) -> tuple[dict[str, Any], dict[int, int]]:
    """The same grid with one node for all that links join, and that node by each; the links of power-grid-model have
    an impedance.
    """
    data = {kind: [dict(row) for row in rows] for kind, rows in content["data"].items()}
    node = {row["id"]: row["id"] for row in data["node"]}
    for link in data.pop("link"):
        one, other = node[link["from_node"]], node[link["to_node"]]
        node.update({key: one for key, now in node.items() if now == other})
    kept = {"node": [row for row in data["node"] if node[row["id"]] == row["id"]], "line": []}
    for row in data["line"]:
        row |= {end: node[row[end]] for end in ("from_node", "to_node")}
        if row["from_node"] != row["to_node"]:
            kept["line"].append(row)
        elif row["from_status"] and row["to_status"]:  # what is beside a link carries its charging alone
            b = 2.0 * math.pi * 50.0 * row["c1"]
            shunt = {"node": row["from_node"], "status": 1, "g1": b * row["tan1"], "b1": b}
            data["shunt"].append({"id": row["id"], **shunt})
        else:
            far = 1_000_000 + row["id"]
            kept["node"].append({"id": far, "u_rated": 20e3})
            kept["line"].append({**row, "from_node" if row["to_status"] else "to_node": far})
    for kind in ("transformer", "source", "shunt", "sym_load", "sym_gen"):
        ends = ("from_node", "to_node") if kind == "transformer" else ("node",)
        kept[kind] = [{**row, **{end: node[row[end]] for end in ends}} for row in data[kind]]
    return {**content, "data": kept}, node


def _station(made: _Made, clock: int) -> list[int]:
    """The sections of its busbar; all are joined."""
    rng = made.rng
    high = [made.add("node", u_rated=110e3) for _ in range(rng.randint(1, 2))]
    sections = [made.add("node", u_rated=20e3) for _ in range(rng.randint(1, 4))]
    if len(high) == 2:
        made.branch("link", *high)
    for node in high[: rng.randint(1, 2)]:
        power = {"sk": rng.uniform(1e9, 6e9), "rx_ratio": rng.uniform(0.05, 0.3)}
        made.add("source", node=node, status=1, u_ref=rng.uniform(1.0, 1.05), u_ref_angle=0.0, **power)
    tap = {"tap_side": rng.randint(0, 1), "tap_pos": rng.randint(-3, 3), "tap_min": -9, "tap_max": 9, "tap_nom": 0}
    tap["tap_size"] = (1500.0, 300.0)[tap["tap_side"]]
    for k in range(rng.randint(1, 3)):
        to = sections[k % len(sections)]
        made.unit(high[k % len(high)], to, 110e3, 21e3, rng.choice((25e6, 40e6)), clock=clock, **tap)
    for k in range(len(sections) - 1):
        made.branch("link", sections[k], sections[k + 1])
    if len(sections) > 2 and rng.random() < 0.6:  # a ring of couplers
        made.branch("link", sections[-1], sections[0])
    if len(sections) > 1 and rng.random() < 0.3:  # a cable beside a coupler
        made.cable(sections[0], sections[1])
    return sections


def _cables(made: _Made, busbars: list[list[int]]) -> list[int]:
    """Feeders and what joins them; the nodes along them."""
    rng = made.rng
    sections = [node for station in busbars for node in station]
    nodes: list[int] = []
    for _ in range(rng.randint(4, 14)):
        node = made.add("node", u_rated=20e3)
        made.cable(rng.choice(sections if len(nodes) < 2 else [*sections, *nodes]), node)
        nodes.append(node)
    for _ in range(rng.randint(1, 6)):
        ends = (1, 1) if rng.random() < 0.5 else rng.choice(OPEN)
        made.cable(*rng.sample([*sections, *nodes], 2), ends)
    if rng.random() < 0.4:  # two circuits on one way
        first = rng.choice(made.data["line"])
        made.cable(first["from_node"], first["to_node"])
    return nodes


def _low_voltage(made: _Made, one: int, other: int) -> None:
    """A grid of low voltage between two stations, closed or open in the middle."""
    rng = made.rng
    at = [made.add("node", u_rated=400.0) for _ in range(2)]
    for high, low in zip((one, other), at):
        tap = {
            "tap_side": 0,
            "tap_pos": rng.randint(-2, 2),
            "tap_min": -2,
            "tap_max": 2,
            "tap_nom": 0,
            "tap_size": 500.0,
        }
        made.unit(high, low, 20e3, 400.0, 630e3, clock=11, **tap)
    made.cable(*at, (1, 1) if rng.random() < 0.6 else rng.choice(OPEN), scale=0.05)


def _bus(made: _Made, node: int, scale: float, kv: float) -> None:
    rng = made.rng
    if rng.random() < 0.85:
        p = scale * rng.uniform(5e4, 8e5)
        kind = rng.choice((0, 0, 0, 1, 2))
        power = {"p_specified": p, "q_specified": p * rng.uniform(-0.1, 0.5)}
        made.add("sym_load", node=node, status=int(rng.random() < 0.95), type=kind, **power)
    if rng.random() < 0.2:
        power = {"p_specified": scale * rng.uniform(1e5, 9e5), "q_specified": 0.0}
        made.add("sym_gen", node=node, status=1, type=0, **power)
    if rng.random() < 0.15:
        b = rng.choice((-1.0, 1.0)) * scale * rng.uniform(5e4, 5e5) / kv**2
        made.add("shunt", node=node, status=1, g1=rng.choice((0.0, 1e4 / kv**2)), b1=b)
