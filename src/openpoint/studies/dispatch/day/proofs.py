"""Every period of a plan in exact AC over its whole uncertainty set, with a policy of recourse, and its worst day.

In a period everything that was decided beforehand stands, sources deliver what is missing, and curtailment, shedding
and reactive power of renewable sources follow what comes by an affine policy. Deviations and policy together are one
set, so that an enclosure bounds every voltage, current and power over all of it. At first the policy is to do as in the
forecast; where that is not proved the set is divided at the forecast, and at last a linear program looks for a policy.
Limits of the resources themselves are convex in what comes and what is done, so that they are checked at vertices. What
sources deliver is linear but for a bounded rest, so that the worst day of the bounds is one of vertices. Theory:
docs/every_load.md E9.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.enclosure.policy import Policy
from openpoint.enclosure.ports import Ports, bands_of
from openpoint.enclosure.recourse import Capability, Operated, Units
from openpoint.enclosure.rounding import up
from openpoint.enclosure.rows import PlanSet, Rows
from openpoint.enclosure.sets import DeviationSet
from openpoint.enclosure.system import system_of
from openpoint.enclosure.verdict import Certifier, Proof, Start
from openpoint.errors import InputError
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.day import (
    DayPlan,
    HourRecourse,
    available_power,
    load_factors,
    nominal_load,
    scaled,
    shed_price,
    tangent,
)
from openpoint.network.devices import with_positions
from openpoint.network.limits import greatest_square, least_square, power_scale, power_slack
from openpoint.network.load_shares import load_shares
from openpoint.results import columns as c
from openpoint.results.columns import finite
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator, recourse_excess, recourse_parts, running
from openpoint.studies.dispatch.day.model.finder import rule_of
from openpoint.studies.dispatch.day.model.question import DayOutcome, DayQuestion, Operation
from openpoint.studies.dispatch.day.model.vertices import WorstDays, vertices_of
from openpoint.studies.dispatch.day.schema import POLICY, PROOFS
from openpoint.twostage.deadline import Deadline

ROOM = 1e-5
"""Room that is asked for at every limit, as a share of it: beyond the accuracy of a linear program; it costs."""
ROUNDED = 1e-6
"""Share of a remainder that stands for what rounding adds to it where nothing deviates."""
_SIDES = 8
"""Of the polygon within the half circle of what an inverter gives."""
DIVISIONS = 2
"""Times that the set of a period is divided, one quantity at a time."""


@dataclass(frozen=True)
class PartProof:
    """What is proved of a part of the set of a period.

    Attributes:
        vertices: (K) numbers of its vertices among those of the period.
        why: what is missing; empty where it is proved.
        costs: (2, K) bounds of the cost of the recourse at the vertices, $; nan: not known.
        part: the part; None where it cannot be put as one. proof: the policy and the bounds; None where no flow of the
            whole part is proved to exist.
    """

    vertices: Ints
    why: str
    costs: Floats
    part: Part | None = None
    proof: Proof | None = None

    @property
    def words(self) -> str:
        """The part in words."""
        if self.part is None:
            return ""
        moving, low, high = self.part.moving, *self.part.ends
        ends = zip(self.part.names, low[moving], high[moving], strict=True)
        return ", ".join(f"{name} {low:.4g} to {high:.4g}" for name, low, high in ends)

    @property
    def bounds(self) -> tuple[float | None, ...]:
        """Voltages, what sources deliver, and the cost."""
        cost = finite(float(self.costs[1].max()))
        if self.proof is None:
            return None, None, None, None, cost
        rows = self.proof.rows
        v, p = (np.flatnonzero(rows.what_is(kind)) for kind in ("voltage", "active power"))
        low, high = rows.low, rows.high
        return float(low[v].min()), float(high[v].max()), float(low[p].sum()), float(high[p].sum()), cost

    @property
    def policy(self) -> Iterator[tuple[str, str, float, float]]:
        """What is done: by resource its set-point, and what of it follows which quantity."""
        if self.proof is None or self.part is None:
            return
        policy, count = self.proof.policy, len(self.part.units.names)
        for k, name in enumerate(self.part.units.names):
            columns = ("", policy.outputs), *zip(self.part.names, policy.gain.T, strict=True)
            for quantity, column in columns:
                if column[k] or column[count + k]:
                    yield name, quantity, float(column[k]), float(column[count + k])


@dataclass(frozen=True)
class DayProof:
    """What is proved of a day.

    Attributes:
        periods: (T) parts of each. worst: bounds of the cost of the worst day with the policies, $; nan: not known.
    """

    periods: tuple[tuple[PartProof, ...], ...]
    worst: tuple[float, float]

    @property
    def is_proved(self) -> tuple[bool, ...]:
        """(T) whether each period is."""
        return tuple(not any(part.why for part in parts) for parts in self.periods)


def proof_of(grid: Grid, question: DayQuestion, outcome: DayOutcome, deadline: Deadline) -> DayProof | None:
    """What is proved of the plan of an outcome; None without a plan, or where nothing deviates by a budgeted set."""
    plan, forecast = outcome.plan, outcome.forecast
    if plan is None or forecast is None or not math.isfinite(outcome.upper_bound) or question.scenarios is not None:
        return None
    if not question.day.uncertain.count:
        return None
    day = _Day(grid, question.whole, question.in_whole(plan), forecast, outcome.worst or forecast)
    return day.proved(deadline)


def proof_figures(periods: tuple[str, ...], proof: DayProof | None) -> dict[str, Any]:
    """The keys and tables of a result."""
    done, policies = list[tuple[object, ...]](), list[tuple[object, ...]]()
    for period, parts in zip(periods, proof.periods if proof else (), strict=proof is not None):
        for part in parts:
            done.append((period, part.words, not part.why, part.why, *part.bounds))
            policies += [(period, part.words, *row) for row in part.policy]
    worst = math.nan if proof is None else proof.worst[1]
    return {
        "proved_periods": None if proof is None else sum(proof.is_proved),
        "proved_worst_usd": finite(worst),
        "proofs": c.frame(PROOFS, done),
        "policy": c.frame(POLICY, policies),
    }


class _Day:
    """The plan of a day, with what its periods share."""

    def __init__(self, grid: Grid, question: DayQuestion, plan: DayPlan, forecast: Operation, worst: Operation) -> None:
        self.question, self.plan, self.forecast = question, plan, forecast.recourse
        self.evaluator, self.on = DayEvaluator(question), running(question, plan)
        self.vertices = vertices_of(question.day)
        has_capacitors = grid.capacitors.height > 0  # they are among the impedances of the network
        self.grid = grid.with_tables(capacitors=grid.capacitors.clear()) if has_capacitors else grid
        net, day = question.network, question.day
        n = net.n_terminals
        self.sheds = np.any([each.recourse.shed != 0.0 for each in (forecast, worst)], axis=(0, 1))
        models = day.load_power, day.load_current, day.load_impedance
        fixed = net.s_power, net.s_current, net.s_impedance
        used = np.array([each.any(axis=0) | (own != 0.0) for each, own in zip(models, fixed, strict=True)])
        used[2] |= np.any([with_positions(net, question.devices, p).s_impedance != 0.0 for p in plan.positions], axis=0)
        for at in (day.renewables.terminal, day.stores.terminal, net.generator_terminal):
            used[0, at] = True
        used[0] |= plan.shift.any(axis=0) | self.forecast.shift.any(axis=0) | (day.demand.shed_share > 0.0)
        self.ports = np.flatnonzero(used)
        low, high = bands_of(grid.loads, load_shares(grid), n)
        self.bands = low[self.ports % n], high[self.ports % n]
        self.alike: dict[bytes, PlanSet] = {}
        self.starts: dict[Hashable, Start] = {}

    def proved(self, deadline: Deadline) -> DayProof:
        """What is proved of all periods."""
        found, costs = [], []
        for t, listed in enumerate(self.vertices.realisations):
            parts = tuple(self._parts(Part(self, t, np.arange(len(listed))), DIVISIONS, deadline))
            best = np.full((2, len(listed)), np.inf)
            for part in parts:  # where parts meet, the cheaper policy
                at, (low, high) = part.vertices, part.costs
                best[:, at] = np.where(high < best[1, at], [low, high], best[:, at])
            found.append(parts)
            costs.append(best)
        worst = math.nan, math.nan
        if all(np.isfinite(each).all() for each in costs):
            days = WorstDays(self.vertices.deviations, self.vertices.hours)
            scheduled = float(self.evaluator.schedule_costs(self.plan).sum())
            low, high = (scheduled + days.of([each[side] for each in costs])[0] for side in (0, 1))
            worst = low, high
        return DayProof(tuple(found), worst)

    def _parts(
        self, part: Part, divisions: int, deadline: Deadline, of: tuple[Part, Proof] | None = None
    ) -> Iterator[PartProof]:
        """A part of a period, or parts that it is divided into.

        Args:
            of: a larger part that was divided, and what holds there of the recourse as in the forecast.
        """
        t, vertices, limited = part.t, part.vertices, self.question.day.flow_max
        unknown = np.full((2, len(vertices)), np.nan)
        if deadline.over():
            yield PartProof(vertices, "the time was over", unknown)
            return
        if limited is not None and np.isfinite(limited).any():
            yield PartProof(vertices, "limits of the powers of branches are not in the proof", unknown)
            return
        ways = self.vertices.deviations[t][vertices]
        both = np.flatnonzero((ways < 0).any(axis=0) & (ways > 0).any(axis=0))
        divisible = bool(divisions) and not self.question.day.uncertain.sums and len(both) > 0
        needs_more = of is not None and part.is_beyond(*of)
        if not (needs_more and divisible):
            try:
                certifier = part.certifier()
                proof = None if needs_more else certifier.judged(part.as_forecast)
            except InputError as error:  # such as a loop without impedance
                yield PartProof(vertices, "; ".join(each.message for each in error.problems), unknown, part)
                return
            if proof is not None:
                of = part, proof
            why = part.missing(proof)
            # An affine policy that sheds in one corner does so in the middle, and a divided one does not.
            if why and not (divisible and self.sheds.any()):
                part, proof, why = self._with_policy(part, certifier, proof)
            if not (why and divisible):
                yield PartProof(vertices, why, unknown if proof is None else part.costs(proof), part, proof)
                return
        u = int(both[0]) if of is None else of[0].steepest(of[1], both)
        for sign in (-1, 1):
            yield from self._parts(Part(self, t, vertices[sign * ways[:, u] >= 0]), divisions - 1, deadline, of)

    def _with_policy(self, part: Part, certifier: Certifier, proof: Proof | None) -> tuple[Part, Proof | None, str]:
        """The best policy found, and what is missing in it; at first only what the plan is known to shed is shed."""
        other, why = self._policy(part, certifier, proof)
        if why and not part.sheds_all:
            part = Part(self, part.t, part.vertices, sheds_all=True)
            certifier = part.certifier()
            other, why = self._policy(part, certifier, None)
        if other is None:
            other = proof or certifier.judged(part.as_forecast)
            why = part.missing(other)
        return part, other, why

    def _policy(self, part: Part, certifier: Certifier, known: Proof | None) -> tuple[Proof | None, str]:
        """A policy from where a search in a similar part ended, or, where that finds none, from the forecast."""
        key = self.plan.closed[part.t].tobytes(), part.moving.tobytes(), part.units.names
        start = self.starts.get(key)
        found = certifier.proof(from_plan=False, known=known, start=start)
        why = part.missing(found)
        if why and start is not None:
            found = certifier.proof(from_plan=False, known=known)
            why = part.missing(found)
        if certifier.end is not None:
            self.starts[key] = certifier.end
        return found, why


class Part:
    """A part of the set of a period, and the grid there, whose renewable sources and shed loads follow what comes."""

    def __init__(self, of: _Day, t: int, vertices: Ints, *, sheds_all: bool = False) -> None:
        self.vertices, self.sheds_all = vertices, sheds_all or not (of.question.day.demand.shed_share > 0.0).any()
        self.of, self.t, self.question, self.plan = of, t, of.question, of.plan
        self.day, self.base = of.question.day, of.question.network.s_base_kva
        self.realisations, some = of.vertices.realisations[t][vertices], self.day.uncertain
        low, high = self.realisations.min(axis=0), self.realisations.max(axis=0)
        self.ends, self.middle, self.half = (low, high), 0.5 * (low + high), up(0.5 * (high - low)) * (high > low)
        self.moving = np.flatnonzero(self.half > 0.0)
        self.n, self.names = len(self.moving), tuple(some.names[u] for u in self.moving)
        self.points = self._deviations(self.realisations)
        self.among = DeviationSet(float(up(np.abs(self.points).sum(axis=1)).max()))
        # What is done as in the forecast, cut to what every realisation allows.
        own = HourRecourse(*(getattr(of.forecast, name)[t : t + 1] for name in ("renewable", "shed", "shift")))
        sure, s_max = np.ones(some.count), self.day.renewables.s_max
        self.kept = rule_of(self.question, t, own, sure).at(self.question, self.plan, t, low[None, :])
        least, most = (available_power(self.day, t, each) for each in (low, high))
        self.available = available_power(self.day, t, self.middle)
        curtailed = np.clip(available_power(self.day, t, sure) - own.renewable[0].real, 0.0, least)
        curtailed = np.where(
            s_max > 0.0, np.maximum(curtailed, most - s_max), np.where(curtailed > 1e-6, curtailed, 0.0)
        )
        room = np.sqrt(np.maximum(s_max**2 - (most - curtailed) ** 2, 0.0)) * (s_max > 0.0)
        self.units = self._units(least, curtailed, np.clip(own.renewable[0].imag, -room, room))

    def _units(self, most_curtailed: Floats, curtailed: Floats, reactive: Floats) -> Units:
        """Renewable sources: what they feed in more than is available, and reactive power; loads: what is shed of
        them, with the reactive power that goes with it, or that is shed by itself."""
        day, demand, net = self.day, self.day.demand, self.question.network
        load = nominal_load(day, self.t)
        at = np.flatnonzero((demand.shed_share > 0.0) & (load.real > 0.0) & (self.of.sheds | self.sheds_all))
        count, apart, shed = day.renewables.count, demand.sheds_apart[at], self.kept.shed[0, at]
        self.at = np.concatenate([day.renewables.terminal, at])
        alone = np.concatenate([np.ones(count, dtype=np.bool_), apart])
        self.columns = -np.where(alone, 1.0, 1.0 + 1j * tangent(day, self.t)[self.at])
        most = (demand.shed_share * scaled(load, load_factors(day, self.ends[0])))[at]
        nothing, most_q, size = np.zeros(len(at)), np.where(apart, most.imag, 0.0), day.renewables.s_max
        one = np.zeros((len(at), len(load)), dtype=np.complex128)
        one[np.arange(len(at)), at] = 1.0
        price, price_q = (shed_price(day, part).sum(axis=1) for part in (one, 1j * one))
        least = np.concatenate([-most_curtailed, nothing, -size, np.minimum(most_q, 0.0)]) * self.base
        top = np.concatenate([np.zeros(count), most.real, size, np.maximum(most_q, 0.0)]) * self.base
        planned = np.concatenate([-curtailed, shed.real, reactive, np.where(apart, shed.imag, 0.0)]) * self.base
        return Units(
            part=np.arange(len(self.at)),
            names=(*day.renewables.names, *(f"load at bus {net.bus_names[net.terminal_bus[k]]}" for k in at)),
            phases=("1",) * len(self.at),
            least=least,
            most=top,
            ramp=np.full(len(least), np.inf),
            size=top - least,
            price=np.concatenate([-day.renewables.curtailment, price, np.zeros(count), np.sign(most_q) * price_q]),
            planned=np.clip(planned, least, top),
        )

    def certifier(self) -> Certifier:
        """Of the grid.

        Raises:
            InputError: its linear part has no unique state.
        """
        q, t, day = self.question, self.t, self.day
        key = self.plan.closed[t].tobytes() + self.plan.positions[t].tobytes()
        alike = self.of.alike.get(key)
        if alike is None:
            net = with_positions(q.network, q.devices, self.plan.positions[t])
            net = replace(
                net,
                closed=self.plan.closed[t],
                w_min=least_square(net.w_min),
                w_max=greatest_square(net.w_max),
                l_max=greatest_square(net.l_max),
            )
        else:
            net = alike.operated.network
        ports, loads, power = self._ports(net)
        supply, count = q.supply, len(net.source_terminal)
        least, most = np.concatenate([supply.p_min, supply.q_min]), np.concatenate([supply.p_max, supply.q_max])
        scale = np.maximum(power_scale(least), power_scale(most))
        leads = Units(
            part=np.arange(count),
            names=tuple(self.of.grid.sources["name"]),
            phases=("1",) * count,
            least=(least - power_slack(least)) * self.base,
            most=(most + power_slack(most)) * self.base,
            ramp=np.full(2 * count, np.inf),
            size=np.where(scale > 0.0, scale, 1.0) * self.base,
            price=np.concatenate([day.source_price[t], np.zeros(count)]),
            planned=np.zeros(2 * count),
        )
        operated = Operated(
            network=net,
            base_kw=self.base,
            system=alike.operated.system if alike else system_of(self.of.grid, net, ports),
            ports=ports,
            loads=loads,
            names=self.names,
            among=self.among,
            power=power,
            units=self.units,
            leads=leads,
            lead_at=np.arange(count),
            room=ROOM,
            capability=self._capability(),
        )
        found = Certifier(operated, alike)
        self.of.alike[key] = found.plan
        return found

    def _ports(self, net: Network) -> tuple[Ports, Complexes, Complexes]:
        """Where power is drawn with no unit running, (m, n) what deviations and (m, P) what a kVA of the units add."""
        day, t, n, some = self.day, self.t, net.n_terminals, self.day.uncertain
        models, factor = (
            np.array([day.load_power[t], day.load_current[t], day.load_impedance[t]]),
            load_factors(day, self.middle),
        )
        own = HourRecourse(np.asarray(self.available[None, :] + 0j), 0.0 * self.kept.shed, self.kept.shift)
        drawn = self.of.evaluator.drawn(self.plan, t, own)[0]
        np.subtract.at(drawn, net.generator_terminal, np.where(self.of.on[t], self.plan.generation[t], 0.0))
        s = np.array([net.s_power + drawn, net.s_current, net.s_impedance]) + scaled(models, factor)
        spread = np.zeros((3, n, self.n), dtype=np.complex128)
        for k, u in enumerate(self.moving):
            spread[:, :, k] = scaled(models, self.half[u] * ((some.load == u) + 1j * (some.of_reactive == u)))
            of = some.renewable == u
            np.subtract.at(spread[0, :, k], day.renewables.terminal[of], self.half[u] * day.renewables.available[t, of])
        power = np.zeros((3, n, len(self.at)), dtype=np.complex128)
        power[0, self.at, np.arange(len(self.at))] = self.columns / self.base
        at = self.of.ports
        s, spread, power = s.reshape(-1)[at], spread.reshape(3 * n, -1)[at], power.reshape(3 * n, -1)[at]
        return (
            Ports(
                at % n, np.full(len(at), -1), at // n, s, sp.csr_array((len(at), self.n)), self.names, *self.of.bands
            ),
            spread,
            power,
        )

    def _capability(self) -> Capability:
        """What the inverters of renewable sources give, p² + q² ≤ s², as a polygon within."""
        day, units = self.day, len(self.at)
        inverters = np.flatnonzero(day.renewables.s_max > 0.0)
        angles = (np.arange(_SIDES) + 0.5) * np.pi / _SIDES - 0.5 * np.pi
        of, angle = np.repeat(inverters, _SIDES), np.tile(angles, len(inverters))
        by_unit, row = np.zeros((len(of), 2 * units)), np.arange(len(of))
        by_unit[row, of], by_unit[row, units + of] = np.cos(angle), np.sin(angle)
        swing = (day.uncertain.renewable[of][:, None] == self.moving) * self.half[self.moving]
        return Capability(
            fixed=self.base * np.cos(angle) * self.available[of],
            by_load=(self.base * np.cos(angle) * day.renewables.available[self.t, of])[:, None] * swing,
            by_unit=by_unit,
            most=self.base * np.cos(0.5 * np.pi / _SIDES) * day.renewables.s_max[of],
        )

    @property
    def as_forecast(self) -> Policy:
        """The recourse as in the forecast, whatever comes."""
        return Policy(self.units.planned, np.zeros((len(self.units.planned), self.n)), False)

    def is_beyond(self, of: Part, proof: Proof) -> bool:
        """Whether something is beyond its limit to first order, as in the forecast; proof: of a larger part."""
        rows, at = _limited(proof), of.moving
        shift, share = (self.middle - of.middle)[at] / of.half[at], self.half[at] / of.half[at]
        middle = rows.middle + rows.by_load @ shift + rows.by_unit @ (self.units.planned - of.units.planned)
        width = self.among.support(rows.by_load * share)
        return bool(((middle - width < rows.least) | (middle + width > rows.most)).any())

    def steepest(self, proof: Proof, some: Ints) -> int:
        """That of some quantities which does most to what is not proved."""
        rows, size = _limited(proof), np.zeros(self.day.uncertain.count)
        size[self.moving] = np.abs(rows.by_load[np.argmin(rows.room)])
        return int(some[np.argmax(size[some])])

    def _deviations(self, realisations: Floats) -> Floats:
        """(K, n) of realisations (K, U), between −1 and 1."""
        moving = self.moving
        return np.asarray((realisations - self.middle)[:, moving] / self.half[moving])

    def recourse(self, policy: Policy, realisations: Floats) -> HourRecourse:
        """What a policy does in realisations (K, U)."""
        found = (policy.outputs[:, None] + policy.gain @ self._deviations(realisations).T).T / self.base
        count, units, renewables = len(found), len(self.at), self.day.renewables.count
        done = found[:, :units] + 1j * found[:, units:]
        shed = np.zeros((count, self.kept.shed.shape[1]), dtype=np.complex128)
        shed[:, self.at[renewables:]] = -done[:, renewables:] * self.columns[renewables:]
        available = available_power(self.day, self.t, realisations)
        return HourRecourse(
            np.asarray(available + done[:, :renewables]), shed, np.repeat(self.kept.shift, count, axis=0)
        )

    def missing(self, proof: Proof | None) -> str:
        """What is missing in a proof, or nothing."""
        if proof is None:
            return "no flow of the whole set is proved to exist"
        rows, count = _limited(proof), len(self.question.network.source_terminal)
        if (rows.room < 0.0).any():
            k = int(np.argmin(rows.room))
            kind, name, _, unit = rows.what[k]
            bounds = f"{rows.low[k]:.5g} to {rows.high[k]:.5g} {unit}"
            return f"{kind} of {name} may be {bounds}, {-rows.margins[k].min():.2g} {unit} beyond its limit"
        size = np.maximum(np.abs(rows.low), np.abs(rows.high))[: 2 * count].reshape(2, count)
        most = self.question.supply.s_max
        if (np.hypot(*size) > (most + power_slack(most)) * self.base).any():
            return "the apparent power of a source may be beyond its limit"
        beyond = recourse_excess(
            self.question, self.plan, self.t, self.realisations, self.recourse(proof.policy, self.realisations)
        )
        return "the policy does more than the resources can" if (beyond > 0.0).any() else ""

    def costs(self, proof: Proof) -> Floats:
        """(2, K) bounds of the cost of the recourse at the vertices, $; nan where losses have a price, or pay."""
        q, day, t, rows = self.question, self.day, self.t, proof.rows
        if q.cost.loss or q.cost.current.any() or min(day.source_price[t].min(), day.export_price[t].min()) < 0.0:
            return np.full((2, len(self.points)), np.nan)
        count, recourse = len(q.network.source_terminal), self.recourse(proof.policy, self.realisations)
        slopes = (rows.by_load + rows.by_unit @ proof.policy.gain)[: 2 * count]
        middle = rows.middle[: 2 * count, None] + slopes @ self.points.T
        # A set that is λ times as large has a remainder that is at most λ² times as large: convex in ζ.
        size = np.abs(self.points)
        most = max(self.among.budget or 0.0, 1.0)
        reach = np.maximum(size.max(axis=1, initial=0.0), size.sum(axis=1) / most) + ROUNDED
        ends = middle - reach * rows.down[: 2 * count, None], middle + reach * rows.up[: 2 * count, None]
        powers = [(each[:count] + 1j * each[count:]).T / self.base for each in ends]
        available, lost = available_power(day, t, self.realisations), np.zeros(len(size))
        return np.array([sum(recourse_parts(q, t, s, lost, available, recourse).values()) for s in powers])


def _limited(proof: Proof) -> Rows:
    """What limits of the grid hold for; those of inverters are polygons within what they can."""
    return proof.rows.some(np.flatnonzero(~proof.rows.what_is("capability")))
