"""A question in numbers: what a certificate has to prove, made from the user's grid, tables and words alone.

Nothing here comes from a certificate but the words of its question, where the user gives none
(`openpoint.verify.asked`); these are shown in full. Limits are wider by `TOLERANCE`, within which they count as kept.

The problem file has grid and question as plain tables, which the reference checker reads. docs/formats.md describes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.grid.today import as_asked, with_outputs_as_given
from openpoint.network import Network, build_network
from openpoint.network.criteria import criterion_costs, weighted
from openpoint.network.devices import DeviceKind, Devices, build_devices, build_prices, build_supply, no_devices
from openpoint.network.freedom import SwitchingRules, free_kinds, freed, without_idle
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.network.stations import open_held_meshes
from openpoint.verify.asked import Asked, Between, FuturesTable, measure_of, risk_of
from openpoint.verify.data import LEAST_POWER, Objective, least_losses
from openpoint.verify.year import Futures, Steps, YearLike

TOLERANCE = 1e-6
"""Share of a limit of voltage, current or power by which it counts as kept."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """The question put to a network with N buses and E branches; per unit.

    Attributes:
        net: with the limits asked, outputs that are not free held as today, devices at today's positions, and held
            meshes opened. dropped: (E) branches that are open for the last.
        devices: those that matter among what may be set; the others stay. stay: those of the grid that do, with names
            and positions as the grid counts them.
        objective: what is minimised but for changes, and limits of supply, wider by the tolerance.
        rules: of switching.
        futures, steps: where demands are many. asked: the words; None where there were none.
        free: what may move, of `openpoint.network.freedom.FREE`; of `reconfigure` nothing is named.
        held: in words which outputs are held as today. unsupplied: whether the grid has limits of the power of sources
            and generators that are not asked to be kept.
    """

    net: Network
    dropped: Bools
    devices: Devices
    stay: tuple[tuple[str, int], ...]
    objective: Objective
    rules: SwitchingRules
    futures: Futures | None = None
    steps: Steps | None = None
    asked: Asked | None = None
    free: tuple[str, ...] = ()
    held: str = ""
    unsupplied: bool = False

    @classmethod
    def of(
        cls,
        net: Network,
        rules: SwitchingRules | None = None,
        *,
        devices: Devices | None = None,
        cost: OperatingCost | None = None,
        supply: SupplyLimits | None = None,
        futures: Futures | None = None,
        steps: Steps | None = None,
    ) -> Question:
        """The question about a network as it is, with the same arguments as a search; limits are widened here."""
        plain, free = least_losses(net), no_devices() if devices is None else devices
        rules = SwitchingRules.of(net) if rules is None else rules
        supply = plain.supply if supply is None else supply
        change = rules.change_cost + (0.0 if cost is None else cost.change)
        return cls(
            net=net,
            dropped=np.zeros(net.n_conductors, dtype=np.bool_),
            devices=free.only(mattering(net, free, rules.must_open, supply)),
            stay=(),
            objective=Objective(replace(cost or plain.cost, change=0.0), widened(supply)),
            rules=replace(rules, change_cost=change),
            futures=futures,
            steps=steps,
        )

    @property
    def plain(self) -> bool:
        """Whether losses alone are minimised, without devices and limits of the power of sources and generators."""
        return self.objective.by_loss and not self.devices.count and not self.objective.supply_given

    @cached_property
    def w_min(self) -> list[float]:
        """(N) least squared voltages that count as kept."""
        return _floats(self.net.w_min * (1.0 - TOLERANCE) ** 2)

    @cached_property
    def w_max(self) -> list[float]:
        """(N) greatest squared voltages that count as kept; inf: no limit."""
        return _floats(self.net.w_max * (1.0 + TOLERANCE) ** 2)

    @cached_property
    def l_max(self) -> list[float]:
        """(E) greatest squared currents that count as kept; inf: no limit."""
        return _floats(self.net.l_max * (1.0 + TOLERANCE) ** 2)


def _floats(values: Floats) -> list[float]:
    return [float(value) for value in values]


def question_of(
    grid: Grid, asked: Asked, *, futures: FuturesTable | None = None, year: YearLike | None = None
) -> Question:
    """The question that words ask about a grid and its tables.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or no prices where the cost is sought.
        OptionError: words that do not go with the grid or the tables, or a question that certificates do not cover.
    """
    _refuse_without_effect(asked)
    grid = as_asked(grid, (), asked.locked_open, asked.locked_closed)
    grid = with_outputs_as_given(grid)[0] if asked.year else grid
    network = build_network(grid)
    if not network.is_balanced:
        raise OptionError("certificates do not cover several phases, which this grid has")
    network, every = asked.limits.applied(network), build_devices(grid, network)
    if asked.minimize is None:
        given = Objective(least_losses(network).cost, build_supply(grid, network)).supply_given
        found = replace(_of_reconfigure(network, asked), unsupplied=given)
    else:
        found = _of_dispatch(grid, network, every, asked, asked.minimize)
    set_here = {(int(kind), int(place)) for kind, place in zip(found.devices.kind, found.devices.place, strict=True)}
    rows = zip(every.names, every.kind, every.place, every.first + every.today, strict=True)
    stay = tuple((name, int(at)) for name, kind, place, at in rows if (int(kind), int(place)) not in set_here)
    many = None if futures is None else _futures(network, asked, futures)
    steps = None if year is None else Steps.of(year, network)
    return replace(found, stay=stay, futures=many, steps=steps, asked=asked)


def _refuse_without_effect(asked: Asked) -> None:
    """Refuse words that say nothing of this question, and so would be told without being proven.

    Raises:
        OptionError: naming them.
    """
    plain = Asked()
    if asked.minimize is not None and asked.change_cost_kw:
        raise OptionError("changes are a criterion of what is minimised (changes=…); leave the change cost out")
    if not asked.futures and (asked.risk, asked.ambiguity, asked.limits_share) != (
        plain.risk,
        plain.ambiguity,
        plain.limits_share,
    ):
        raise OptionError("risk, ambiguity and limits share go with many futures; give these, or leave them out")


def _of_reconfigure(network: Network, asked: Asked) -> Question:
    if asked.free is not None:
        raise OptionError("what is free is asked together with what is minimised")
    stations = open_held_meshes(network)
    rules = _rules(network, network.switchable, asked).without(stations.dropped)
    return replace(Question.of(stations.opened, rules), dropped=stations.dropped)


def _rules(network: Network, switchable: Bools, asked: Asked) -> SwitchingRules:
    """The rules of switching that are asked for."""
    asked_for = asked.locked_open, asked.locked_closed, asked.max_changes, asked.change_cost_kw / network.s_base_kva
    return SwitchingRules.locked(network, network.closed, switchable, *asked_for)


def _of_dispatch(grid: Grid, network: Network, every: Devices, asked: Asked, weights: Mapping[str, float]) -> Question:
    free = free_kinds(network, every, asked.free)
    prices = None
    if "cost" in weights or not grid.sources["price_usd_per_kwh"].null_count():
        prices = without_idle(build_prices(grid, network), network, every, free)
    supply = build_supply(grid, network)
    as_it_is = network
    network, devices = freed(network, every, free)
    moving = network.source_terminal[devices.place[devices.of(DeviceKind.VOLTAGE)]]
    stations = open_held_meshes(network, moving)
    switchable = network.switchable & ("topology" in free)
    cost = weighted(criterion_costs(stations, prices), weights)
    if cost.deviation:
        raise OptionError("certificates do not cover the deviation of voltages")
    rules = _rules(network, switchable, asked).without(stations.dropped)
    found = Question.of(stations.opened, rules, devices=devices, cost=cost, supply=supply)
    return replace(found, dropped=stations.dropped, free=free, held=_held(as_it_is, network, free))


def _held(was: Network, now: Network, free: tuple[str, ...]) -> str:
    """In words which outputs are held as today; empty where none is that could differ."""
    ends = ("p_min", "p_max", "q_min", "q_max")
    if all(np.array_equal(getattr(was, end), getattr(now, end)) for end in ends):
        return ""
    return "generators that are off stay off" if "generators" in free else "outputs of generators as today"


def _futures(network: Network, asked: Asked, table: FuturesTable) -> Futures:
    if tuple(table.bus_names) != tuple(network.bus_names):
        raise OptionError("these futures are of another grid: their buses are not those of this grid, in its order")
    demands = np.asarray(table.p_kw + 1j * table.q_kvar, dtype=np.complex128) / network.s_base_kva
    measure = measure_of(asked.risk, asked.ambiguity, table)
    return Futures(demands, measure, table.weights.tolist(), asked.limits_share, regret=risk_of(asked.risk)[0])


def mattering(net: Network, devices: Devices, must_open: Bools, supply: SupplyLimits) -> Ints:
    """Numbers of the devices that change what is minimised or kept.

    A bank at the bus of a source does not, as its power is reactive and flows through no branch, but where the power of
    sources has limits; nor does a tap changer in a branch that is open in all states.
    """
    found = []
    for d, (kind, place) in enumerate(zip(devices.kind.tolist(), devices.place.tolist(), strict=True)):
        idle = kind == DeviceKind.BANK and place in net.source_terminal and not supply.any_of_sources
        if kind == DeviceKind.TAP:
            idle = must_open[place] or net.terminal_fr[place] == net.terminal_to[place]
        if not idle:
            found.append(d)
    return np.array(found, dtype=np.int64)


def widened(supply: SupplyLimits) -> SupplyLimits:
    """The limits of sources, each wider by the tolerance of itself or of a least power; others are as they are."""

    def wider(limit: Floats, side: int) -> Floats:
        size = np.where(np.isfinite(limit), np.maximum(np.abs(limit), LEAST_POWER), 0.0)
        return np.asarray(limit + side * TOLERANCE * size)

    return SupplyLimits(
        wider(supply.p_min, -1),
        wider(supply.p_max, 1),
        wider(supply.q_min, -1),
        wider(supply.q_max, 1),
        wider(supply.s_max, 1),
        supply.generator_s_max,
    )


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
        "max_changes": question.rules.max_changes,
        "change_cost": question.rules.change_cost,
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
    locks = zip(question.rules.must_close.tolist(), question.rules.must_open.tolist(), strict=True)
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
