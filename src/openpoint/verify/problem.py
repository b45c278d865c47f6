"""The problem file: grid and question of a certificate as plain tables, which the reference checker reads.

It is written from the user's grid, tables and options, never from a certificate. docs/formats.md describes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from openpoint.arrays import Floats
from openpoint.network.devices import DeviceKind
from openpoint.verify.futures import Futures
from openpoint.verify.measure import Between
from openpoint.verify.question import Question
from openpoint.verify.year import Steps

FORMAT = "openpoint problem 1"
KINDS = {DeviceKind.BANK: "bank", DeviceKind.VOLTAGE: "source", DeviceKind.TAP: "tap", DeviceKind.UNIT: "unit"}


def problem_text(question: Question) -> str:
    """The problem file of a question: JSON, with a line for each row of a table."""
    return (
        "{\n" + ",\n".join(f"{json.dumps(key)}: {_lines(part)}" for key, part in _problem(question).items()) + "\n}\n"
    )


def _problem(question: Question) -> dict[str, Any]:
    cost, many = question.objective.cost, question.futures
    words = None if question.asked is None else replace(question.asked, futures=False, year=False).to_json()
    return {
        "format": FORMAT,
        "s_base_kva": question.net.s_base_kva,
        "asked": words,
        "max_changes": question.max_changes,
        "change_cost": question.change_cost,
        "loss": cost.loss,
        "move": cost.move,
        "buses": _buses(question),
        "branches": _branches(question),
        "sources": _sources(question),
        "generators": _generators(question),
        "devices": _devices(question),
        "futures": None if many is None else _of_futures(many),
        "year": None if question.steps is None else _of_year(question.steps, question.net.bus_names),
    }


def _buses(question: Question) -> dict[str, Any]:
    net = question.net
    loads = {"": net.s_power, "_v": net.s_current, "_w": net.s_impedance}
    return _table(
        {"name": net.bus_names, "vn_kv": net.v_base_kv}
        | {"p_kw": net.s_power.real * net.s_base_kva, "q_kvar": net.s_power.imag * net.s_base_kva}
        | {"v_min_pu": np.sqrt(net.w_min), "v_max_pu": _ends(np.sqrt(net.w_max))}
        | {
            f"{part}{end}": getattr(s, side)
            for end, s in loads.items()
            for part, side in (("p", "real"), ("q", "imag"))
        }
        | {"w_min": question.w_min, "w_max": _ends(question.w_max)}
    )


def _branches(question: Question) -> dict[str, Any]:
    net, names = question.net, question.net.bus_names
    z, y = net.z.diagonal(), net.y_shunt.diagonal()
    ohm = net.v_base_kv[net.terminal_to] ** 2 * 1000.0 / net.s_base_kva
    locks = zip(question.must_close.tolist(), question.must_open.tolist(), strict=True)
    ends = (net.y_open_fr.real, net.y_open_fr.imag, net.y_open_to.real, net.y_open_to.imag)
    found: dict[str, Any] = (
        {"name": net.branch_names, "from": [names[k] for k in net.terminal_fr]}
        | {"to": [names[k] for k in net.terminal_to], "r_ohm": z.real * ohm, "x_ohm": z.imag * ohm}
        | {"i_max_a": _ends(np.sqrt(net.l_max) * net.i_base_a), "switchable": net.switchable, "closed": net.closed}
        | {"lock": ["closed" if close else "open" if opened else None for close, opened in locks]}
        | {"r": z.real, "x": z.imag, "g": y.real, "b": y.imag, "tap": net.tap, "l_max": _ends(question.l_max)}
        | {"rated_fr": net.rated_fr, "rated_to": net.rated_to}
        | dict(zip(("g_fr", "b_fr", "g_to", "b_to"), ends, strict=True))
        | {"current": question.objective.cost.current}
    )
    return _table(found)


def _sources(question: Question) -> dict[str, Any]:
    net, cost, supply = question.net, question.objective.cost, question.objective.supply
    limits = {end: _ends(getattr(supply, end)) for end in ("p_min", "p_max", "q_min", "q_max", "s_max")}
    at: dict[str, Any] = {"bus": [net.bus_names[k] for k in net.source_terminal]}
    return _table(at | {"v_re": net.source_v.real, "v_im": net.source_v.imag, "price": cost.source} | limits)


def _generators(question: Question) -> dict[str, Any]:
    net, cost = question.net, question.objective.cost
    prices = {"price": cost.generator, "square": cost.square, "idle": cost.idle}
    limits: dict[str, Any] = {end: getattr(net, end) for end in ("p_min", "p_max", "q_min", "q_max")}
    limits["s_max"] = _ends(question.objective.supply.generator_s_max)
    at = {"name": net.generator_names, "bus": [net.bus_names[k] for k in net.generator_terminal]}
    return _table(at | limits | prices)


def _devices(question: Question) -> dict[str, Any]:
    devices = question.devices
    kinds, values = [KINDS[DeviceKind(kind)] for kind in devices.kind], [part.tolist() for part in devices.values]
    return _table({"name": devices.names, "kind": kinds, "at": devices.place, "today": devices.today, "values": values})


def _of_futures(futures: Futures) -> dict[str, Any]:
    """Probabilities are numbers, or fractions in texts where no number is exactly that."""
    measure, demands = futures.measure, futures.demands

    def shares(parts: list[int]) -> list[float | str]:
        return [_exact(Fraction(part, measure.whole)) for part in parts]

    if isinstance(measure, Between):
        given: dict[str, Any] = {"lower": shares(measure.lower), "upper": shares(measure.upper)}
    else:
        far = measure.distance
        distance = None if far is None else [[_exact(d) for d in row] for row in far]
        given = {"nominal": shares(measure.nominal), "radius": _exact(measure.radius), "distance": distance}
    tables = {"weights": futures.weights, "p": demands.real.tolist(), "q": demands.imag.tolist()}
    return {"regret": futures.regret, "share": futures.share, "measure": given, **tables}


def _exact(value: Fraction) -> float | str:
    return float(value) if Fraction(float(value)) == value else str(value)


def _of_year(steps: Steps, names: tuple[str, ...]) -> dict[str, Any]:
    power = {"p": steps.power.real, "q": steps.power.imag}
    shares = _table({"bus": [names[k] for k in steps.bus], "follows": steps.follows, **power})
    return {"hours": steps.hours.tolist(), "profiles": steps.profile.tolist(), "shares": shares}


def _table(columns: Mapping[str, Iterable[Any]]) -> dict[str, Any]:
    plain = [list(part.tolist() if isinstance(part, np.ndarray) else part) for part in columns.values()]
    return {"columns": list(columns), "rows": [list(row) for row in zip(*plain, strict=True)]}


def _ends(limits: Floats | list[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in map(float, limits)]


def _lines(value: Any) -> str:
    """JSON with a line for each row of a table, or of a list of lists."""
    if isinstance(value, dict) and value:
        return "{" + ",\n ".join(f"{json.dumps(key)}: {_lines(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list) and any(isinstance(part, list) for part in value):
        return "[\n  " + ",\n  ".join(json.dumps(part) for part in value) + "]"
    return json.dumps(value)
