"""Bounds of every voltage, current, source power and loss of a grid, for every realisation of its loads."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.enclosure.bounds import Enclosure, slopes
from openpoint.enclosure.corners import Corners, ends_of
from openpoint.enclosure.parts import Part, linear_part, part_of
from openpoint.enclosure.ports import Ports
from openpoint.enclosure.ranges import Forms, Measured, Vertices, modulus_ranges, real_ranges
from openpoint.enclosure.rounding import UNIT, lost, twice, up
from openpoint.enclosure.sets import DeviationSet
from openpoint.enclosure.system import System, is_two_ended, system_of, times
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.limits import LIMIT_TOLERANCE, greatest_magnitude, least_magnitude


@dataclass(frozen=True)
class Bounds:
    """Bounds of q quantities over a set.

    Attributes:
        middle: (q) at the loads as they are. low, high: (q) that hold for every realisation.
        least, greatest: (q) what exact flows at realisations attain: the true range lies between these and the bounds.
        is_exact: (q) whether signs of all slopes are proven, so that the bounds are attained but for rounding.
        least_at, greatest_at: (q) at which of the realisations that were computed; -1: as it is, or not kept.
    """

    middle: Floats
    low: Floats
    high: Floats
    least: Floats
    greatest: Floats
    is_exact: Bools
    least_at: Ints
    greatest_at: Ints

    def some(self, rows: slice | Ints) -> Bounds:
        """Those of some of the quantities."""
        return Bounds(*(getattr(self, each.name)[rows] for each in fields(Bounds)))

    @property
    def wider(self) -> Floats:
        """(q) at most the share of the true range by which the bounds are wider; nan where nothing varies."""
        true = self.greatest - self.least
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(true > 0.0, (self.high - self.low) / true - 1.0, np.nan)


@dataclass(frozen=True)
class GridBounds:
    """Bounds of a grid, in the per unit of its network, powers of the base of a phase.

    Attributes:
        ports: where power is drawn. voltage: (N) moduli. current: (E) rated currents, 0 of what is open.
        p, q: (S) power that each source delivers. loss: (1) active power of all branches.
        largest: no port's voltage deviates more, relative to it. contraction: below 1, the greatest of the parts.
        bands: (m) bounds of the ports' voltages, pu of their nominal voltage, low and high.
        points: by part of the grid, the numbers of its deviations and the (n, K) realisations that were computed.
        heaviest: (n) the realisation at which the loss is greatest by its slopes in the middle.
    """

    ports: Ports
    voltage: Bounds
    current: Bounds
    p: Bounds
    q: Bounds
    loss: Bounds
    largest: float
    contraction: float
    bands: tuple[Floats, Floats]
    points: list[tuple[Ints, Floats]]
    heaviest: Floats

    def witness(self, network: Network) -> Floats | None:
        """(n) the realisation, of those computed, that breaks a limit most; None where none breaks any."""
        low, high, most = np.sqrt(network.w_min), np.sqrt(network.w_max), np.sqrt(network.l_max)
        v, i = self.voltage, self.current
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.concatenate([1.0 - v.least / low, v.greatest / high - 1.0, i.greatest / most - 1.0])
        at = np.concatenate([v.least_at, v.greatest_at, i.greatest_at])
        excess = np.where((at >= 0) & np.isfinite(excess), excess, -np.inf)
        worst = int(np.argmax(excess))
        if not excess[worst] > LIMIT_TOLERANCE:
            return None
        found, number = np.zeros(len(self.ports.names)), int(at[worst])
        for moving, points in self.points:  # other parts stay as they are
            if number < points.shape[1]:
                found[moving] = points[:, number]
                break
            number -= points.shape[1]
        return found

    def voltage_verdicts(self, network: Network) -> list[str]:
        """(N) whether the limits of a voltage are `proved`, `disproved` by an exact flow, or `open`."""
        low, high = least_magnitude(np.sqrt(network.w_min)), greatest_magnitude(np.sqrt(network.w_max))
        v = self.voltage
        return _verdicts((v.low >= low) & (v.high <= high), (v.least < low) | (v.greatest > high))

    def current_verdicts(self, network: Network) -> list[str]:
        """(E) the same of a current."""
        most = greatest_magnitude(np.sqrt(network.l_max))
        return _verdicts(self.current.high <= most, self.current.greatest > most)

    def verdict(self, network: Network) -> str:
        """Whether all limits are kept; `open` where a load may leave the band in which its model holds."""
        found = {*self.voltage_verdicts(network), *self.current_verdicts(network)}
        low, high = self.bands
        beyond = bool(((low < self.ports.low) | (high > self.ports.high)).any())
        if beyond:  # the flow of another model would decide
            return "open"
        return next((each for each in ("disproved", "open") if each in found), "proved")


def _verdicts(kept: Bools, broken: Bools) -> list[str]:
    found: list[str] = np.where(kept, "proved", np.where(broken, "disproved", "open")).tolist()
    return found


def bounds_of(grid: Grid, network: Network, ports: Ports, budget: float | None = None) -> GridBounds:
    """The bounds of a grid in the state of a network; what no source reaches is 0 and has no ports.

    Args:
        grid: sound. network: that of the grid. ports: of `openpoint.enclosure.ports`, which say how far powers deviate.
        budget: how many loads and generators deviate fully at once, at most; None = any number.

    Raises:
        NotEnclosed: not proved that all flows of the set exist and are unique.
        TooLarge: a part of the grid has too many ports.
        NoFlow: none was found for the loads as they are.
        InputError: the linear part of the grid has no unique state.
    """
    among = DeviationSet(budget)
    if among.is_box(len(ports.names)) and (corners := ends_of(network, ports)) is not None:
        return _at_corners(network, ports, *corners)
    system = system_of(grid, network, ports)
    parts = [
        part_of(ports, among, linear_part(system, ports, states, here), moving)
        for states, here, moving in system.parts(ports)
    ]
    return _Gatherer(system, ports, among, parts).bounds()


def _at_corners(network: Network, ports: Ports, corners: Corners, least: Corners, greatest: Corners) -> GridBounds:
    """The bounds that are attained at the two corners; `least`, `greatest`: with the branches at theirs."""

    def between(what: str, scale: Any = 1.0, *, root: bool = False, falls: bool = False) -> Bounds:
        values, less, more = (
            (np.sqrt(getattr(each, what)) if root else getattr(each, what)) * scale
            for each in (corners, least, greatest)
        )
        low, high = (2, 0) if falls else (0, 2)
        outer = (more[2], less[0]) if falls else (less[0], more[2])
        ends = np.full(values.shape[2], int(falls)), np.full(values.shape[2], int(not falls))
        exact = np.full(values.shape[2], not any(ports.ohms))
        return Bounds(values[1].mean(axis=0), outer[0][0], outer[1][1], values[low][1], values[high][0], exact, *ends)

    nearly = np.array([1.0 - 8 * UNIT, 1.0 + 8 * UNIT])[:, None]
    v = between("w", nearly, root=True, falls=True)
    i = between("current", np.maximum(network.rated_fr, network.rated_to) * nearly, root=True)
    powers = between("p"), between("q"), between("loss")
    at = ports.fr
    ends = 1.0 - (v.low[at] / v.middle[at]).min(initial=1.0), (v.high[at] / v.middle[at]).max(initial=1.0) - 1.0
    points = [(np.arange(len(ports.names)), np.stack([-corners.greatest, corners.greatest], axis=1))]
    bands = v.low[at], v.high[at]
    return GridBounds(ports, v, i, *powers, float(max(ends)), greatest.contraction, bands, points, corners.greatest)


_Found = tuple[Floats, Floats, "Bounds"]
"""(q, K) values at realisations, their errors, and the bounds of the quantities."""


class _Gatherer:
    """The bounds of all parts together."""

    def __init__(self, system: System, ports: Ports, among: DeviationSet, parts: list[Part]) -> None:
        self.system, self.ports, self.among, self.parts = system, ports, among, parts
        net = self.network = system.network
        buses = net.terminal_bus[net.source_terminal].tolist()
        source_of = {bus: k for k, bus in enumerate(dict.fromkeys(buses))}  # terminals of a source share its bus
        of = [source_of[bus] for bus in buses]
        shape = (len(source_of), len(of))
        self.to_source = sp.csr_array(sp.coo_array((np.ones(len(of)), (of, np.arange(len(of)))), shape=shape))
        self.two_ended = is_two_ended(system)

    def bounds(self) -> GridBounds:
        """All bounds."""
        net, count = self.network, len(self.ports.fr)
        totals = _Totals(self.ports.spread.shape[1], self.to_source.shape[0])
        low, high = np.ones(count), np.ones(count)
        self._add_held(totals, low, high)
        measured = []
        for part in self.parts:
            steep = slopes(part.known)
            powers, of = self._powers(part)
            whole = real_ranges(part.known, powers, steep)
            totals.add(of, part.moving, powers, whole)
            moduli = [(forms, at, modulus_ranges(part.known, forms, steep)) for forms, at in self._moduli(part)]
            measured.append((part, powers, of, whole, moduli))
        totals.look(self.among)
        voltage, current = _Collected(net.n_terminals), _Collected(net.n_conductors)
        v = np.abs(net.source_v)
        voltage.put(net.source_terminal, Bounds(v, v, v, v, v, np.ones(len(v), dtype=np.bool_), *_nowhere(len(v))))
        points: list[tuple[Ints, Floats]] = []
        count = 0
        for part, powers, of, whole, moduli in measured:
            gradients = np.concatenate([*(each.gradient for _, _, each in moduli), whole.gradient])
            corners = Vertices(part.nominal, gradients, totals.points(of, part.moving), count)
            points.append((part.moving, corners.points))
            count += corners.points.shape[1]
            start, found = 0, []
            for forms, _, each in moduli:
                values, errors = corners.values(forms)
                rows = slice(start, start + len(each.low))
                found.append((np.abs(values), errors, _sharpened(corners, np.abs(values), errors, forms, each, rows)))
                start = rows.stop
            voltage.put(moduli[0][1], found[0][2])
            two = np.flatnonzero(np.isin(moduli[1][1], moduli[2][1]))
            current.put(moduli[1][1], _larger(found[1], found[2], two, corners.first))
            totals.attain(of, corners, powers, part.nominal)
            low[part.linear.ports], high[part.linear.ports] = port_voltages(
                part.known, self.ports.unit[part.linear.ports]
            )
        p, q, loss = totals.bounds(self.among)
        x = max((float(part.known.x.max(initial=0.0)) for part in self.parts), default=0.0)
        contraction = max((part.contraction for part in self.parts), default=0.0)
        all_of = voltage.whole, current.whole, p, q, loss
        return GridBounds(self.ports, *all_of, x, contraction, (low, high), points, totals.best[-1])

    def _moduli(self, part: Part) -> list[tuple[Forms, Ints]]:
        """Voltages of terminals, currents at the to ends of conductors, and at the from ends where they differ."""
        net, system, states = self.network, self.system, part.linear.states
        n, free = len(states), len(system.free)
        volts = states[states < free]
        used = states[(states >= free) & (states < free + len(system.used))] - free
        two = used[self.two_ended[used]]
        pick = sp.csr_array(sp.eye_array(len(volts), n, format="csr"))  # voltages are the first states
        found = [(part.forms(part.linear.response(pick)), system.free[volts])]
        for ends, given, rated, which in (
            (system.ends_to, system.ends_to_given, net.rated_to, used),
            (system.ends_fr, system.ends_fr_given, net.rated_fr, two),
        ):
            weight = rated[system.used[which]]
            own = sp.csr_array(sp.diags_array(weight) @ ends[which])
            own = own if n == own.shape[1] else sp.csr_array(own[:, states])
            found.append((part.forms(part.linear.response(own)).plus(weight * given[which]), system.used[which]))
        return found

    def _powers(self, part: Part) -> tuple[Forms, Ints]:
        """What sources deliver into a part and its loss, as real parts, and their rows in `_Totals`."""
        supplies = sp.csr_array(self.system.supplies[:, part.linear.states])
        near = np.flatnonzero(np.diff(supplies.indptr))
        source = np.flatnonzero(np.diff(sp.csr_array(self.to_source[:, near]).indptr))
        to_source = sp.csr_array(self.to_source[source][:, near])
        v, current = self.network.source_v[near], part.forms(part.linear.response(sp.csr_array(supplies[near])))
        power = [times(to_source, v[:, None] * np.conj(each)) for each in (current.middle[:, None], current.rows)]
        error, loose = (times(to_source, np.abs(v) * each) for each in (current.error, current.loose))
        known = part.known
        flow, models = known.flow, known.flow.models
        loads, kept = models.is_power, ~models.is_power
        total = [each.sum(axis=0).real for each in power]
        own = -known.spread[loads].real.sum(axis=0)
        rest = np.zeros(2 * len(error) + 1)
        row = total[1]
        if kept.any():
            m = len(flow.s)
            unit = np.concatenate([np.eye(m), 1j * np.eye(m)], axis=1)
            drawn = unit - flow.apply_linear(flow.jacobian) + flow.s[:, None] * flow.jacobian
            row = row - drawn[kept].real.sum(axis=0)
            second = known.x * (known.d + known.r + models.size * known.x)
            rest[-1] = up(second[kept].sum() + (models.size * 4.0 * (known.slack + known.drift))[kept].sum(), m)
        middle = np.concatenate([power[0][:, 0], -1j * power[0][:, 0], total[0] - flow.s.real.sum(keepdims=True)])
        rows = np.concatenate([power[1], -1j * power[1], row[None, :]])
        owns = np.zeros((len(rest), len(part.moving)), dtype=np.complex128)
        owns[-1] = own
        rounding = lost(len(flow.s) + len(part.moving)) * (models.size.sum() + known.d.sum() + np.abs(power[0]).sum())
        sources = self.to_source.shape[0]
        of = np.concatenate([source, source + sources, [2 * sources]])
        error, loose = (np.concatenate([each, each, [each.sum()]]) for each in (error, loose))
        return Forms(middle, rows, owns, up(error + rounding), rest, np.where(loose > 0.0, up(loose), 0.0)), of

    def _add_held(self, totals: _Totals, low: Floats, high: Floats) -> None:
        """What sources deliver to ports and shunts at their own terminals, where voltages do not change."""
        net, ports = self.network, self.ports
        v = net.source_v
        totals.fixed += self._split(times(self.to_source, v * np.conj(self.system.supplies_given)), is_lost=True)
        number = np.full(net.n_terminals, -1)
        number[net.source_terminal] = np.arange(len(v))
        held = np.flatnonzero(number[ports.fr] >= 0)
        for k in held:
            u = v[number[ports.fr[k]]] - (v[number[ports.to[k]]] if ports.to[k] >= 0 else 0.0)
            low[k] = high[k] = np.abs(u) / ports.unit[k]
            scale = low[k] ** ports.degree[k]
            source = self.to_source[:, [number[ports.fr[k]]]].toarray()[:, 0]
            totals.fixed += self._split(source * ports.s[k] * scale, is_lost=False)
            row = ports.spread[[k]].toarray()[0] * scale
            totals.own += np.array([self._split(source * each, is_lost=False) for each in row.tolist()]).T

    @staticmethod
    def _split(power: Complexes, *, is_lost: bool) -> Floats:
        """Active and reactive power of each source, and what of it is lost."""
        return np.concatenate([power.real, power.imag, [power.real.sum() * is_lost]])


class _Totals:
    """What sources deliver, and the loss: sums over all parts; q rows, active powers, reactive ones, the loss.

    Attributes:
        fixed: (q), own: (q, n) what ports and shunts at sources take, linear in ζ.
        middle: (q) of the parts. gradient, doubt: (q, n), centre, rest, blur: (q) as in `Measured`.
        best: (q, n) realisations at which each is greatest by the slopes in the middle; at −best it is least.
        values, errors: (2, q) what is attained there.
    """

    def __init__(self, moving: int, sources: int) -> None:
        q = 2 * sources + 1
        self.sources, self.best = sources, np.zeros((q, moving))
        self.fixed, self.middle, self.centre, self.rest, self.blur = np.zeros((5, q))
        self.own, self.gradient, self.doubt = np.zeros((3, q, moving))
        self.values, self.errors = np.zeros((2, 2, q))

    def add(self, of: Ints, moving: Ints, powers: Forms, whole: Measured) -> None:
        """Add those of a part, in the rows `of`."""
        self.middle[of] += powers.middle.real
        self.centre[of] += whole.centre
        self.rest[of] += whole.rest
        self.blur[of] += whole.blur
        self.gradient[np.ix_(of, moving)] += whole.gradient
        self.doubt[np.ix_(of, moving)] += whole.doubt

    def look(self, among: DeviationSet) -> None:
        """Find the realisations, when all parts are in."""
        self.best = among.vertex(self.own + self.gradient)

    def points(self, of: Ints, moving: Ints) -> Floats:
        """(n, 2 K) realisations of a part, those at which the rows `of` are greatest and least."""
        best = self.best[np.ix_(of, moving)]
        return np.concatenate([best, -best]).T

    def attain(self, of: Ints, corners: Vertices, powers: Forms, known: Enclosure) -> None:
        """Add the values of a part at these realisations, the last of its `corners`."""
        found, errors = corners.values(powers)
        values, errors = found.real[:, corners.extra], errors[:, corners.extra]
        k = len(of) // 2
        if powers.rest[-1] > 0.0:  # what loads draw depends on their voltages: by these, and not by the linear form
            e = corners.e[:, corners.extra]
            x = known.flow.apply_jacobian(e)
            drawn = (1.0 + x) * (known.flow.s[:, None] + e - known.flow.apply_linear(x))
            slack = 4.0 * (known.flow.models.size @ known.slack) + corners.off[:, corners.extra].sum(axis=0)
            values[-1] = values[:k].sum(axis=0) - drawn.real.sum(axis=0)
            errors[-1] = errors[:k].sum(axis=0) + up(slack + lost(len(x)) * np.abs(drawn).sum(axis=0))
        row = np.arange(len(of))
        for side in (0, 1):
            self.values[side, of] += values[row, row + side * len(of)]
            self.errors[side, of] += errors[row, row + side * len(of)]

    def bounds(self, among: DeviationSet) -> tuple[Bounds, Bounds, Bounds]:
        """Those of active powers, of reactive ones, and of the loss."""
        gradient, q = self.own + self.gradient, len(self.fixed)
        width = among.support(gradient)
        size = np.abs(self.fixed) + np.abs(self.middle) + width
        wide = up(width + self.rest + (64 * UNIT) * size, q)
        low, high = self.fixed + self.centre - wide, self.fixed + self.centre + wide
        added = (self.own * self.best).sum(axis=1)
        greatest, least = self.fixed + added + self.values[0], self.fixed - added + self.values[1]
        errors = up(self.errors + lost(gradient.shape[1]) * size, q)
        exact = np.zeros(q, dtype=np.bool_)
        if among.is_box(gradient.shape[1]):
            unsure = 2.0 * np.maximum(self.doubt - np.abs(gradient), 0.0).sum(axis=1)
            high = np.minimum(high, greatest + errors[0] + unsure + self.blur)
            low = np.maximum(low, least - errors[1] - unsure - self.blur)
            exact = (unsure == 0.0) & np.isfinite(self.blur)
        middle, attained = self.fixed + self.middle, (least + errors[1], greatest - errors[0])
        whole = Bounds(middle, low, high, *attained, exact, *_nowhere(q))
        s = self.sources
        return whole.some(slice(0, s)), whole.some(slice(s, 2 * s)), whole.some(slice(2 * s, q))


class _Collected:
    """Bounds by the numbers of what they are of, 0 elsewhere."""

    def __init__(self, count: int) -> None:
        middle, low, high, least, greatest = np.zeros((5, count))
        self.whole = Bounds(middle, low, high, least, greatest, np.ones(count, dtype=np.bool_), *_nowhere(count))

    def put(self, at: Ints, some: Bounds) -> None:
        """Put some in their places."""
        for each in fields(Bounds):
            getattr(self.whole, each.name)[at] = getattr(some, each.name)


def _nowhere(count: int) -> tuple[Ints, Ints]:
    """That what is least and greatest was attained at no realisation that was kept."""
    return np.full(count, -1), np.full(count, -1)


def _larger(to: _Found, fr: _Found, two: Ints, first: int) -> Bounds:
    """The larger of the currents at both ends of the conductors `two`; of the others those at one.

    `first`: number of the first realisation.
    """
    values, errors, one = to
    other_values, other_errors, other = fr
    merged = Bounds(*(getattr(one, each.name).copy() for each in fields(Bounds)))
    a, b = one.some(two), other
    most = np.maximum(values[two], other_values)
    error = np.maximum(errors[two], other_errors)
    merged.middle[two] = np.maximum(a.middle, b.middle)
    merged.low[two], merged.high[two] = np.maximum(a.low, b.low), np.maximum(a.high, b.high)
    merged.least[two], merged.least_at[two] = (most + error).min(axis=1), first + (most + error).argmin(axis=1)
    merged.greatest[two], merged.greatest_at[two] = (most - error).max(axis=1), first + (most - error).argmax(axis=1)
    merged.is_exact[two] = (a.is_exact & (a.low >= b.high)) | (b.is_exact & (b.low >= a.high))
    return merged


def port_voltages(known: Enclosure, unit: Floats) -> tuple[Floats, Floats]:
    """(m) least and greatest voltage of each port, pu of its nominal voltage."""
    m, flow = len(known.x), known.flow
    width = np.concatenate([known.set.support(known.first.real), known.set.support(known.first.imag)])
    real = np.abs(flow.real)
    mid = -(flow.real @ known.centre)
    wide = up(
        width + real @ known.half + lost(2 * m) * (real @ np.abs(known.centre)) + twice(known.slack + known.drift),
        2 * m,
    )
    low, high = 1.0 + mid - wide, 1.0 + mid + wide
    side = np.maximum(np.abs(low[m:] - 1.0), np.abs(high[m:] - 1.0))
    size = np.abs(flow.u) / unit
    return np.maximum(low[:m], 0.0) * size * (1 - 16 * UNIT), up(np.hypot(high[:m], side) * size, 16)


def _sharpened(
    corners: Vertices, values: Floats, errors: Floats, forms: Forms, measured: Measured, rows: slice
) -> Bounds:
    """Bounds with those that slopes give, whichever are nearer."""
    found = corners.attained(values, errors, measured, rows)
    low, high = np.maximum(measured.low, found.low), np.minimum(measured.high, found.high)
    attained = found.least, found.greatest, found.is_exact, found.least_at, found.greatest_at
    return Bounds(np.abs(forms.middle), np.maximum(low, 0.0), high, *attained)
