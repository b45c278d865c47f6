"""Random grids with stations: as tables, and as power-grid-model writes them."""

import math
import random
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from openpoint.arrays import Bools
from openpoint.graph import energised, forest
from openpoint.grid import Grid
from openpoint.network import Network


def station_grid(seed: int, *, limited: bool = False) -> Grid:
    """One or two sources of one voltage, two or three transformers, busbars in a ring of couplers, feeders."""
    rng = np.random.default_rng(seed)
    sections, units, feeders = (int(rng.integers(low, high)) for low, high in ((2, 4), (2, 4), (3, 6)))
    sources = int(rng.integers(1, 3))
    buses: list[dict[str, Any]] = [{"name": f"H{k}", "vn_kv": 110.0} for k in range(2)]
    buses += [{"name": f"M{k}", "vn_kv": 20.0} for k in range(sections)]
    couplers = [{"name": f"C{k}", "from_bus": f"M{k}", "to_bus": f"M{(k + 1) % sections}"} for k in range(sections)]
    if sources == 1:
        couplers.append({"name": "CH", "from_bus": "H1", "to_bus": "H0"})
    step = float(rng.integers(-3, 4))
    unit = {"vn_from_kv": 110.0 * (1 + 0.015 * step), "vn_to_kv": 20.0, "shift_degree": 150.0, "g_us": 5.0}
    transformers = [
        {
            "name": f"T{k}",
            "from_bus": f"H{k % 2}",
            "to_bus": f"M{k % sections}",
            "r_ohm": float(rng.uniform(0.05, 0.2)),
            "x_ohm": float(rng.uniform(1.0, 3.0)),
            "b_us": -20.0,
            "s_max_kva": float(rng.uniform(3000, 9000)) if limited else None,
            **unit,
        }
        for k in range(units)
    ]
    for row in transformers[1:] if rng.random() < 0.5 else []:
        row |= {name: transformers[0][name] for name in ("r_ohm", "x_ohm")}
    lines: list[dict[str, Any]] = []
    loads: list[dict[str, Any]] = []

    def line(name: str, a: str, b: str, **more: Any) -> None:
        z = {"r_ohm": float(rng.uniform(0.2, 2.0)), "x_ohm": float(rng.uniform(0.2, 1.0)), "b_us": 60.0}
        limit = {"i_max_a": float(rng.uniform(90, 300))} if limited else {}
        lines.append({"name": name, "from_bus": a, "to_bus": b, **z, **limit, **more})

    for f in range(feeders):
        last = f"M{f % sections}"
        for k in range(2):
            bus = f"F{f}{k}"
            buses.append({"name": bus, "vn_kv": 20.0})
            loads.append({"name": bus, "bus": bus, "p_kw": float(rng.uniform(200, 1500)), "q_kvar": 200.0})
            line(f"L{f}{k}", last, bus, switchable=k == 1 or bool(rng.random() < 0.5), open_end=str(rng.choice(ENDS)))
            last = bus
    for t in range(2):
        a, b = rng.choice(feeders, 2, replace=False)
        line(f"tie{t}", f"F{a}1", f"F{b}{t}", closed=False, open_end=str(rng.choice(ENDS)))
    if rng.random() < 0.5:  # a cable beside a coupler
        line("beside", "M1", "M0", switchable=False)
    tables: dict[str, Any] = {
        "buses": buses,
        "lines": lines,
        "switches": [{**coupler, "switchable": False} for coupler in couplers],
        "transformers": transformers,
        "sources": [{"name": f"S{k}", "bus": f"H{k}", "v_pu": 1.03} for k in range(sources)],
        "loads": loads,
    }
    return Grid.from_tables("station", tables)


ENDS = ("both", "from", "to")


def states(network: Network) -> Iterator[Bools]:
    """Every state of the switchable branches in which one path joins each bus to the sources, permanently closed loops
    aside."""
    n, fr, to, source = network.n_terminals, network.terminal_fr, network.terminal_to, network.source_terminal
    held = np.flatnonzero(network.closed & ~network.switchable)
    free = np.flatnonzero(network.switchable)
    fixed = held[forest(n, fr[held], to[held])]
    joined = np.full(max(len(source) - 1, 0), source[0])
    for bits in product((False, True), repeat=len(free)):
        on = free[np.array(bits, dtype=np.bool_)]
        tree = np.concatenate([fixed, on])
        a, b = np.concatenate([joined, fr[tree]]), np.concatenate([source[1:], to[tree]])
        extra = ~forest(n, a, b)
        if extra[len(joined) + len(fixed) :].any():
            continue
        closed = network.closed & ~network.switchable
        closed[on] = True
        if energised(n, fr, to, closed, source).all():
            yield closed


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
