"""What devices add to the bound of `openpoint.verify.proof` at a node where each has an interval of positions.

A position sets what a bank feeds in, the voltage that a source holds, the ratio of a tap changer, or whether a unit is
on. A bound for a node must hold at every position of its intervals. In the words of `openpoint.verify.proof`:

- **Bank** at bus j that feeds in b w_j: it adds −μ_j b w_j, so A_j has μ_j b more. That is linear in b and w_j >= 0, so
  the larger of the values at the least and the greatest b of the interval is valid for all.
- **Source voltage**: A_j does not depend on w_j of the source, and −A_j w_j is least at the greatest square of the
  interval if A_j > 0, else at the least. The multipliers of sources are 0.
- **Unit** at bus j: on, its outputs p, q lie in a box and add −y_j p − μ_j q, at least −max(y_j p) − max(μ_j q), each
  over the ends of the box; off, they add 0. Where both are possible, the lesser of the two is valid.
- **Ratio**, at the from end of a branch, κ = 1 / tap². While the branch is undecided, or the from end is the upper one,
  ν and s = (α² + β²) / 4 (ρ + σ) do not depend on κ, and what is taken at the from end is κ c w with some c: linear in
  κ, so the larger of the values at both ends of the interval is valid.
  Where the from end j is below, let t = tap². Without the shunt of this branch A_j is A', with it A' − h / t, so
  κ_j ν = A_j + φ_j means ν = (A' + φ_j) t − h: affine in t. So are α, β and ρ + σ, with one σ for all t. Where
  ρ + σ > 0 at both ends it is so between them, and s, the square of an affine vector over a positive affine function,
  is convex in t (the perspective of a square); an end at which α, β and ρ + σ vanish is the limit of this. So ν + s is
  convex in t, and the larger of its values at both ends, which A_i takes, is valid. Rounding ν upwards at both ends
  leaves it affine in t and at least what it was, as with a larger A_j (step 3 there).
- **Greatest voltages** (`openpoint.verify.caps`) rise with what is fed in, with the voltages of sources and with
  max(tap, 1 / tap), so they are computed once, at the greatest of each.

The least and greatest values are those of all positions in an interval; they need not be at its ends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate, islice, pairwise, product

import numpy as np

from openpoint.arrays import Bools, Complexes
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices
from openpoint.verify.data import Data, digest

Span = tuple[int, int]
"""First and last position of an interval."""
TRIES = 1000
"""Ways to choose devices by names that several of the grid have, at most."""


@dataclass(frozen=True)
class Reach:
    """What devices may be at a node, in integers times 2^k.

    Attributes:
        banks: bus, least and greatest of what it feeds in beyond today. held: by bus of a source its least and greatest
            squared voltage. squares: by branch its least and greatest squared ratio, times 2^2k; one if they are equal.
        units: bus, outputs (least and greatest active and reactive), whether it may be off, whether it may be on.
    """

    banks: list[tuple[int, int, int]]
    held: dict[int, tuple[int, int]]
    squares: dict[int, list[int]]
    units: list[tuple[int, list[int], bool, bool]]


class Places:
    """The devices of a certificate, and where they are in its grid.

    Attributes:
        bus: by device its bus, or its branch if it is a tap changer. tapped: branches with tap changers. sources: buses
            of sources. begin: where the positions of a device begin in `Data.value`. whole: all positions, by device.
    """

    def __init__(self, net: Network, devices: Devices) -> None:
        self.kinds = [DeviceKind(kind) for kind in devices.kind]
        places = devices.place.tolist()
        at = {DeviceKind.VOLTAGE: net.source_terminal.tolist(), DeviceKind.UNIT: net.generator_terminal.tolist()}
        self.bus = [at[kind][n] if kind in at else n for kind, n in zip(self.kinds, places, strict=True)]
        self.tapped = {bus for kind, bus in zip(self.kinds, self.bus, strict=True) if kind == DeviceKind.TAP}
        self.sources = set(net.source_terminal.tolist())
        self.begin = [0, *accumulate(devices.sizes.tolist())]
        self.whole: list[Span] = [(0, size - 1) for size in devices.sizes.tolist()]

    def reach(self, at: Data[int], spans: list[Span]) -> Reach:
        """What the devices may be; `spans`: by device."""
        found = Reach([], {}, {}, [])
        for d, (kind, bus, (first, last)) in enumerate(zip(self.kinds, self.bus, spans, strict=True)):
            some = at.value[self.begin[d] + first : self.begin[d] + last + 1]
            low, high = min(some), max(some)
            if kind == DeviceKind.BANK:
                found.banks.append((bus, low, high))
            elif kind == DeviceKind.VOLTAGE:
                found.held[bus] = low, high
            elif kind == DeviceKind.TAP:
                found.squares[bus] = sorted({low * low, high * high})
            else:
                k = 4 * len(found.units)
                found.units.append((bus, at.box[k : k + 4], low == 0, high > 0))
        return found

    def highest(self, data: Data[Fraction]) -> Data[Fraction]:
        """The data with as much fed in as at any position, at sources nothing, and with ratios farthest from 1."""
        p, q, q_w, tap = data.p.copy(), data.q.copy(), data.q_w.copy(), data.tap.copy()
        unit = 0
        for d, (kind, bus) in enumerate(zip(self.kinds, self.bus, strict=True)):
            some = data.value[self.begin[d] : self.begin[d + 1]]
            if kind == DeviceKind.TAP:
                tap[bus] = max(some, key=lambda t: max(t, 1 / t))
            if kind == DeviceKind.BANK and bus not in self.sources:
                q_w[bus] -= max(some)
            if kind == DeviceKind.UNIT:
                most_p, most_q = data.box[unit + 1], data.box[unit + 3]
                unit += 4
                if bus not in self.sources:
                    p[bus] -= max(Fraction(0), most_p)
                    q[bus] -= max(Fraction(0), most_q)
        return replace(data, p=p, q=q, q_w=q_w, tap=tap)

    def squares_of(self, data: Data[Fraction]) -> dict[int, tuple[Fraction, Fraction]]:
        """By bus of a source that is a device its least and greatest squared voltage at any position."""
        return {
            bus: (min(some := data.value[self.begin[d] : self.begin[d + 1]]), max(some))
            for d, (kind, bus) in enumerate(zip(self.kinds, self.bus, strict=True))
            if kind == DeviceKind.VOLTAGE
        }


def named(net: Network, devices: Devices, names: list[str], claimed: str) -> Devices | None:
    """The devices of these names that have the digest claimed, in the order of the grid; None if there are none."""
    numbers = [[d for d, name in enumerate(devices.names) if name == wanted] for wanted in names]
    for chosen in islice(product(*numbers), TRIES):
        some = devices.only(np.array(chosen, dtype=np.int64))
        if all(a < b for a, b in pairwise(chosen)) and digest(net, some) == claimed:
            return some
    return None


def without(devices: Devices, free: Devices) -> tuple[tuple[str, int], ...]:
    """Names of the devices that are not free, and their positions today as the grid counts them."""
    kept = set(zip(free.kind.tolist(), free.place.tolist(), strict=True))
    rows = zip(devices.names, devices.kind, devices.place, devices.first + devices.today, strict=True)
    return tuple((name, int(at)) for name, kind, place, at in rows if (int(kind), int(place)) not in kept)


def running(net: Network, devices: Devices, positions: list[int]) -> Bools:
    """(G) whether each generator is on."""
    on = np.ones(len(net.generator_terminal), dtype=np.bool_)
    for d in devices.of(DeviceKind.UNIT):
        on[devices.place[d]] = devices.values[d][positions[d]] != 0.0
    return on


def within(net: Network, on: Bools, output: Complexes) -> bool:
    """Whether the (G) outputs lie in their ranges, and are 0 where a generator is off."""
    p, q = np.clip(output.real, net.p_min, net.p_max), np.clip(output.imag, net.q_min, net.q_max)
    return bool(np.all(np.where(on, p + 1j * q, 0.0) == output))
