"""What a plan must keep, over a whole set: bounds of every voltage, current and output, with their slopes."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.enclosure.grid import port_voltages
from openpoint.enclosure.parts import LinearPart, Part, Response, linear_part, part_of
from openpoint.enclosure.ranges import Forms, Measured, modulus_ranges, real_ranges
from openpoint.enclosure.recourse import Capability, Operated
from openpoint.enclosure.rounding import lost, twice, up
from openpoint.enclosure.sets import DeviationSet


@dataclass(frozen=True)
class Rows:
    """q quantities with limits, in their unit.

    Attributes:
        what: kind, element, phase and unit of each.
        least, most: (q) limits, ±inf where there is none. ramp: (q) most distance from the middle of the set.
        scale: (q) what room is relative to.
        middle, low, high: (q) in the middle of the set, and bounds.
        by_load, by_unit: (q, n), (q, 2 P) slopes in loads, without a policy, and in outputs, kW and kvar.
        up, down: (q) by how much the bounds lie beyond middle ± the width of the linear part.
    """

    what: tuple[tuple[str, str, str, str], ...]
    least: Floats
    most: Floats
    ramp: Floats
    scale: Floats
    middle: Floats
    low: Floats
    high: Floats
    by_load: Floats
    by_unit: Floats
    up: Floats
    down: Floats

    @property
    def margins(self) -> Floats:
        """(q, 4) room to the least, the most, and the ramp down and up; negative: not proved."""
        moved = self.ramp - (self.middle - self.low), self.ramp - (self.high - self.middle)
        return np.column_stack([self.low - self.least, self.most - self.high, *moved])

    def what_is(self, kind: str) -> Bools:
        """(q) which are of a kind."""
        return np.array([each[0] == kind for each in self.what], dtype=np.bool_)

    @property
    def room(self) -> Floats:
        """(q) least margin, as a share of the scale."""
        return np.asarray(self.margins.min(axis=1) / self.scale)

    def some(self, rows: Ints) -> Rows:
        """Those of some."""
        arrays = {name: value[rows] for name, value in vars(self).items() if name != "what"}
        return Rows(what=tuple(self.what[k] for k in rows), **arrays)

    @staticmethod
    def joined(parts: list[Rows]) -> Rows:
        """All together."""
        names = [name for name in vars(parts[0]) if name != "what"]
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return Rows(what=tuple(each for part in parts for each in part.what), **arrays)


@dataclass(frozen=True)
class _Moduli:
    """q moduli with limits, base · |matrix @ state + plus|.

    Attributes:
        what: kind, element, phase and unit of each. state: (q) number of the state that it belongs to.
        least, most: (q) limits, in the unit of base.
    """

    what: tuple[tuple[str, str, str, str], ...]
    state: Ints
    matrix: sp.csr_array
    plus: Complexes
    least: Floats
    most: Floats
    base: Floats

    def some(self, rows: Ints) -> _Moduli:
        """Those of some."""
        what = tuple(self.what[k] for k in rows)
        return _Moduli(what, *(value[rows] for name, value in vars(self).items() if name != "what"))


class PlanSet:
    """A plan whose set-points, policy and set are to be tried."""

    def __init__(self, operated: Operated) -> None:
        self.operated = operated
        net, ports = operated.network, operated.ports
        held = np.full(net.n_terminals, -1)
        held[net.source_terminal] = np.arange(len(net.source_terminal))
        self._here, self._held = np.flatnonzero(held[ports.fr] < 0), np.flatnonzero(held[ports.fr] >= 0)
        self._by_unit = np.concatenate([operated.power, 1j * operated.power], axis=1)
        # What the ports at the generators that form the grid take from each of their terminals.
        v = net.source_v
        self.taken = np.zeros((len(v), len(self._held)), dtype=np.complex128)
        for k, port in enumerate(self._held):
            fr, to = held[ports.fr[port]], held[ports.to[port]] if ports.to[port] >= 0 else -1
            u = v[fr] - (v[to] if to >= 0 else 0.0)
            scale = (np.abs(u) / ports.unit[port]) ** ports.degree[port]
            self.taken[fr, k] = scale * v[fr] / u
            if to >= 0:
                self.taken[to, k] = -scale * v[to] / u

    @cached_property
    def linear(self) -> LinearPart:
        """All that is linear, as one part."""
        system = self.operated.system
        return linear_part(system, self.operated.ports, np.arange(system.matrix.shape[0]), self._here)

    @cached_property
    def _responses(self) -> tuple[Response, Response]:
        """What the generators that form the grid supply, and what is limited, of this part."""
        supplies = self.operated.system.supplies[self.operated.lead_at]
        return self.linear.response(sp.csr_array(supplies)), self.linear.response(self._limited.matrix)

    def of(self, operated: Operated) -> PlanSet:
        """That of the same grid, its limits, and places of ports, with other powers and units."""
        found = copy(self)
        found.operated = operated
        found._by_unit = np.concatenate([operated.power, 1j * operated.power], axis=1)
        return found

    def capability(self, own: Capability, outputs: Floats, gain: Floats, times: float) -> Rows:
        """The rows of joint limits of units with a policy, over a multiple of the set."""
        middle, never = own.fixed + own.by_unit @ outputs, np.full(len(own.most), np.inf)
        width = self.operated.among.support(times * own.by_load + own.by_unit @ gain)
        what, bounds = (("capability", "", "", "kW"),) * len(never), (middle, middle - width, middle + width)
        slopes = own.by_load, own.by_unit
        return Rows(what, -never, own.most, never, own.most, *bounds, *slopes, 0.0 * width, 0.0 * width)

    def power(self, outputs: Floats) -> Complexes:
        """(m) or (m, n) what (2 P) or (2 P, n) outputs add at the ports, per unit."""
        return np.asarray(self._by_unit @ outputs)

    def enclosed(
        self, outputs: Floats, loads: Complexes, spread: Complexes, among: DeviationSet, *, only_outputs: bool = False
    ) -> Rows:
        """The rows of a set of flows.

        Args:
            outputs: (2 P) in its middle, kW and kvar. loads: (m) beside those of the ports, spread: (m, n) deviations.
            among: of these. only_outputs: of the generators that form the grid alone.

        Raises:
            NotEnclosed, NoFlow: as of `openpoint.enclosure.parts.part_of`.
        """
        ports = self.operated.ports
        now = replace(ports, s=ports.s + loads + self.power(outputs))
        part = part_of(now, among, self.linear, np.arange(spread.shape[1]), spread[self.linear.ports])
        found = self.outputs(part, now.s, spread)
        return found if only_outputs else Rows.joined([found, *self.states(part)])

    def states(self, part: Part) -> list[Rows]:
        """Voltages, currents, and the bands of voltage of loads, as far as there are some, of a part."""
        ports = self.operated.ports
        banded = bool((ports.low > 0.0).any() or np.isfinite(ports.high).any())
        return [self._moduli(part), self._bands(part)] if banded else [self._moduli(part)]

    def outputs(self, part: Part, s: Complexes, spread: Complexes) -> Rows:
        """Active and reactive power of the generators that form the grid, by phase; s, spread: (m), (m, n) of ports."""
        here, system = self.operated, self.operated.system
        v, at = here.network.source_v, here.lead_at
        current = part.forms(self._responses[0]).plus(system.supplies_given[at])
        v, taken = v[at][:, None], self.taken[at]
        middle = v[:, 0] * np.conj(current.middle) + taken @ s[self._held]
        rows, own = v * np.conj(current.rows), taken @ spread[self._held]
        size = np.abs(taken) @ (np.abs(s[self._held]) + np.abs(spread[self._held]).sum(axis=1)) + np.abs(middle)
        error = up(np.abs(v[:, 0]) * current.error + lost(len(s) + spread.shape[1]) * size)
        turn = np.concatenate([np.ones(len(at)), np.full(len(at), -1j)])
        both = Forms(
            turn * twice(middle),
            turn[:, None] * twice(rows),
            turn[:, None] * twice(own),
            twice(error),
            np.zeros(2 * len(at)),
            twice(up(np.abs(v[:, 0]) * current.loose) * (current.loose > 0.0)),
        )
        found, leads, base = real_ranges(part.known, both), here.leads, here.base_kw
        held_units, held_loads = taken @ self._by_unit[self._held], taken @ here.loads[self._held]
        what = tuple(
            (kind, name, phase, unit)
            for kind, unit in (("active power", "kW"), ("reactive power", "kvar"))
            for name, phase in zip(leads.names, leads.phases, strict=True)
        )
        by_unit = self._slopes(part, both.rows, self._by_unit) + (turn[:, None] * twice(held_units)).real
        by_load = self._slopes(part, both.rows, here.loads) + (turn[:, None] * twice(held_loads)).real
        limits = leads.least, leads.most, leads.ramp, leads.size
        return self._rows(part, what, limits, both.middle.real, found, (by_load, by_unit), base)

    @cached_property
    def _limited(self) -> _Moduli:
        """Voltages, and currents at the to and at the from ends of conductors, as far as they are limited."""
        net, system = self.operated.network, self.operated.system
        at, free = system.free, len(system.free)
        pick = sp.csr_array(sp.eye_array(free, system.matrix.shape[0], format="csr"))
        what = [("voltage", net.bus_names[net.terminal_bus[t]], net.terminal_phase[t], "pu") for t in at]
        volts = np.arange(free), pick, np.zeros(free, complex), np.sqrt(net.w_min[at]), np.sqrt(net.w_max[at])
        parts: list[tuple[Any, ...]] = [(*volts, np.ones(free))]
        used = np.flatnonzero(np.isfinite(net.l_max[system.used]))
        for ends, given, rated in (
            (system.ends_to, system.ends_to_given, net.rated_to),
            (system.ends_fr, system.ends_fr_given, net.rated_fr),
        ):
            which = used[rated[system.used[used]] > 0.0]
            e = system.used[which]
            weight, base = rated[e], net.i_base_a[e]
            scaled = sp.csr_array(sp.diags_array(weight) @ ends[which])
            what += [("current", net.branch_names[net.conductor_branch[k]], net.conductor_phase[k], "A") for k in e]
            most = np.sqrt(net.l_max[e]) * base
            parts.append((which + free, scaled, weight * given[which], np.full(len(e), -np.inf), most, base))
        state, matrix, *arrays = zip(*parts, strict=True)
        whole = sp.csr_array(sp.vstack(matrix))
        return _Moduli(tuple(what), np.concatenate(state), whole, *(np.concatenate(each) for each in arrays))

    def _moduli(self, part: Part) -> Rows:
        """Voltages and currents of a part."""
        limited, states = self._limited, part.linear.states
        if len(states) < limited.matrix.shape[1]:
            limited = limited.some(np.flatnonzero(np.isin(limited.state, states)))
            response = part.linear.response(sp.csr_array(limited.matrix[:, states]))
        else:
            response = self._responses[1] if part.linear is self.linear else part.linear.response(limited.matrix)
        forms = part.forms(response).plus(limited.plus)
        found, turned = modulus_ranges(part.known, forms), forms.turned()
        slopes = self._slopes(part, turned.rows, self.operated.loads), self._slopes(part, turned.rows, self._by_unit)
        most, never = limited.most, np.full(len(limited.what), np.inf)
        limits = limited.least, most, never, np.where(np.isfinite(most), most, 1.0)
        return self._rows(part, limited.what, limits, turned.middle.real, found, slopes, limited.base)

    def _bands(self, part: Part) -> Rows:
        """The bands of voltage in which the models of loads hold."""
        ports, net, at = self.operated.ports, self.operated.network, part.linear.ports
        low, high = port_voltages(part.known, ports.unit[at])
        q, n, units = len(at), len(self.operated.names), self._by_unit.shape[1]
        what = tuple(
            ("band of loads", net.bus_names[net.terminal_bus[t]], net.terminal_phase[t], "pu") for t in ports.fr[at]
        )
        never, nothing = np.full(q, np.inf), np.zeros(q)
        middle = 0.5 * (low + high)
        return Rows(
            what, ports.low[at], ports.high[at], never, np.ones(q), middle, low, high,
            np.zeros((q, n)), np.zeros((q, units)), nothing + high - middle, nothing + middle - low,
        )  # fmt: skip

    def _rows(
        self,
        part: Part,
        what: tuple[tuple[str, str, str, str], ...],
        limits: tuple[Floats, Floats, Floats, Floats],
        middle: Floats,
        found: Measured,
        slopes: tuple[Floats, Floats],
        base: Floats | float,
    ) -> Rows:
        """Rows of what is measured, in the unit of their limits."""
        width = part.known.set.support(found.gradient)
        each = base * np.ones(len(what))
        return Rows(
            what,
            *limits,
            middle=middle * each,
            low=found.low * each,
            high=found.high * each,
            by_load=slopes[0] * each[:, None],
            by_unit=slopes[1] * each[:, None],
            up=(found.high - middle - width) * each,
            down=(middle - width - found.low) * each,
        )

    @staticmethod
    def _slopes(part: Part, rows: Complexes, columns: Complexes) -> Floats:
        """(q, K) real parts of rows · columns, of (m, K) powers at all ports."""
        scaled, m = columns[part.linear.ports] * part.known.flow.scale[:, None], len(part.linear.ports)
        return np.asarray(rows.real[:, :m] @ scaled.real + rows.real[:, m:] @ scaled.imag)
