"""Futures drawn from assumptions on growth: photovoltaics, electric vehicles, heat pumps, and loads as such.

**What a future is.** A critical moment of a year at the planning horizon (a `Snapshot`: a winter evening without sun, a
summer noon with little load). Future k is drawn as follows.

1. A snapshot, by the shares of `Growth.snapshots`.
2. For each technology t the penetration of the whole grid, π_t ∈ [0, 1], the share of customers that have it: a beta
   distribution with mean `pv_adoption` etc. and standard deviation `adoption_spread` · √(mean (1 − mean)). The three
   are joined by a Gaussian copula with the correlations of `Growth`.
3. For each bus n the share there, a beta distribution around π_t, spread `adoption_spread_bus` · √(π_t (1 − π_t)), and
   of its c_n customers a binomial number that has the technology. c_n is the load of the bus today, whatever its
   model, over `customer_kw`, rounded: a bus of 150 kW has 100 customers of 1.5 kW. A large customer counts as
   many small ones.
4. For each bus the growth of its load, a lognormal factor g_n with mean 1 + `load_growth`, relative standard deviation
   `load_growth_spread`, and correlation `load_growth_correlation` of its logarithm between any two buses.

With L_n the load of constant power today, G_n the generation today that is not dispatchable, and the factors of the
snapshot, bus n then demands

    p_n = load · g_n · L_n − G_n − sun · pv_kw · systems + ev_kw · vehicles that charge + heat · heat_pump_kw · pumps

The vehicles that charge are a binomial number of those there, each with probability `ev_coincidence` · charging: few
vehicles sometimes all charge at once, many do not. Loads keep their ratio q/p, the technologies have power factors and
all consume reactive power. Loads of constant current or impedance stay as today, as in all futures.

**What is not modelled.** No time series, no storage, no control of charging or feed-in, no correlation of neighbouring
buses beyond what is common to all. The defaults are typical of homes in Europe; those without a source are assumptions.
Use local figures where there are any.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from openpoint.arguments import of_kind
from openpoint.arrays import Complexes, Floats
from openpoint.errors import OptionError
from openpoint.io import GridLike, read
from openpoint.scenarios.futures import Futures, at_buses, constant_power_kva
from openpoint.scenarios.tables import SUM_TOLERANCE


@dataclass(frozen=True)
class Snapshot:
    """A critical moment of the year.

    Attributes:
        name: part of the names of the futures.
        share: share of the futures with this snapshot; those of a `Growth` sum to one.
        load: load over the load of today's grid, which counts as the peak.
        sun: output of photovoltaics over their rating.
        charging: vehicles that charge, over those that charge at the peak (`Growth.ev_coincidence`).
        heat: demand of heat pumps over their peak after diversity (`Growth.heat_pump_kw`).
    """

    name: str
    share: float
    load: float
    sun: float
    charging: float
    heat: float


# Assumptions. Heat pumps peak in the morning rather than the evening (Love et al., see `Growth`), hence 0.9.
WINTER_EVENING = Snapshot("winter evening", share=0.5, load=1.0, sun=0.0, charging=1.0, heat=0.9)
# Because slopes and directions differ, the systems of a grid together stay below their rating, even at noon: 0.85.
SUMMER_NOON = Snapshot("summer noon", share=0.5, load=0.5, sun=0.85, charging=0.3, heat=0.05)


@dataclass(frozen=True)
class Growth:
    """Assumptions on growth up to the planning horizon. The default is moderate: few buses feed back at noon.

    Attributes:
        customer_kw: kW, peak of a customer today after diversity; a load over it is the number of customers. 1.5 kW
            was measured for homes without electric heating in a trial (Customer-Led Network Revolution, report
            CLNR-L217, 2015), where design assumes 2 kW.
        pv_adoption, ev_adoption, heat_pump_adoption: mean share of customers that have one. Assumptions.
        adoption_spread: spread of the penetration of the whole grid between futures, 0 (known) to below 1 (all or
            nothing): its standard deviation over that of all or nothing. Assumption.
        adoption_spread_bus: the same of the share at a bus around that of the whole grid. An assumption; that adoption
            clusters in neighbourhoods is known (Bollinger and Gillingham, Peer effects in the diffusion of solar
            photovoltaic panels, Marketing Science 31(6), 2012).
        pv_ev_correlation, pv_heat_pump_correlation, ev_heat_pump_correlation: between the penetrations, on the scale of
            the normal distribution. Assumptions: subsidy and income drive all three.
        pv_kw: kW, rating of a system. 4 kW is a small roof: an assumption.
        ev_kw: kW, power of a charger. 11 kW is three phases at 16 A and 400 V.
        ev_coincidence: share of vehicles that charge at the peak of charging. 0.15, or 1.65 kW per vehicle of a large
            fleet, is an assumption; it falls with the power of chargers, and controlled charging may double it.
        heat_pump_kw: kW, peak of a heat pump after diversity. 1.7 kW over some 700 pumps (Love et al., The addition of
            heat pump electricity load profiles to GB electricity demand, Applied Energy 204, 2017).
        pv_power_factor, ev_power_factor, heat_pump_power_factor: in (0, 1], all consume reactive power. Assumptions.
        load_growth: mean change of loads without the above, 0.05 = 5 % more. Assumption.
        load_growth_spread: relative standard deviation of a bus's load. Assumption.
        load_growth_correlation: between any two buses, 0 to 1. Assumption.
        snapshots: the critical moments of which futures are drawn.

    Raises:
        OptionError: with everything that is out of range.
    """

    customer_kw: float = 1.5
    pv_adoption: float = 0.15
    ev_adoption: float = 0.25
    heat_pump_adoption: float = 0.15
    adoption_spread: float = 0.25
    adoption_spread_bus: float = 0.2
    pv_ev_correlation: float = 0.5
    pv_heat_pump_correlation: float = 0.3
    ev_heat_pump_correlation: float = 0.5
    pv_kw: float = 4.0
    ev_kw: float = 11.0
    ev_coincidence: float = 0.15
    heat_pump_kw: float = 1.7
    pv_power_factor: float = 1.0
    ev_power_factor: float = 0.98
    heat_pump_power_factor: float = 0.95
    load_growth: float = 0.05
    load_growth_spread: float = 0.1
    load_growth_correlation: float = 0.5
    snapshots: tuple[Snapshot, ...] = (WINTER_EVENING, SUMMER_NOON)

    @classmethod
    def solar(cls) -> Growth:
        """Strong growth of generation: half of the customers have photovoltaics, and most buses feed back at noon."""
        return cls(pv_adoption=0.5)

    def __post_init__(self) -> None:
        faults = [
            f"{name}={getattr(self, name):g} must be {words}"
            for names, fits, words in _RANGES
            for name in names
            if not fits(getattr(self, name))
        ]
        a, b, c = self.pv_ev_correlation, self.pv_heat_pump_correlation, self.ev_heat_pump_correlation
        if 1.0 + 2.0 * a * b * c - a * a - b * b - c * c < -ROUNDING:
            faults.append("the correlations of the technologies contradict each other; move them towards 0")
        for snapshot in self.snapshots:
            for name in ("share", "load", "sun", "charging", "heat"):
                if not 0.0 <= getattr(snapshot, name) < math.inf:
                    faults.append(f"{name} of snapshot {snapshot.name!r} must be 0 or more")
            if snapshot.charging * self.ev_coincidence > 1.0:
                faults.append(f"in snapshot {snapshot.name!r} more vehicles charge than there are; lower `charging`")
        if not abs(sum(snapshot.share for snapshot in self.snapshots) - 1.0) <= SUM_TOLERANCE:
            faults.append("the shares of the snapshots must sum to one")
        if faults:
            raise OptionError("; ".join(faults))


# Shares and determinants of correlations below this are rounding errors.
ROUNDING = 1e-12
# With 10 000 customers a smaller spread has no visible effect, and its quantiles are inaccurate.
NO_SPREAD = 1e-4
# Futures worked out together: the memory is that of a few arrays of so many rows.
BLOCK = 256
_RANGES: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
    (("customer_kw",), lambda v: 0.0 < v < math.inf, "above 0"),
    (("pv_kw", "ev_kw", "heat_pump_kw", "load_growth_spread"), lambda v: 0.0 <= v < math.inf, "0 or more"),
    (("load_growth",), lambda v: -1.0 < v < math.inf, "above -1"),
    (
        ("pv_adoption", "ev_adoption", "heat_pump_adoption", "ev_coincidence", "load_growth_correlation"),
        lambda v: 0.0 <= v <= 1.0,
        "from 0 to 1",
    ),
    (("adoption_spread", "adoption_spread_bus"), lambda v: 0.0 <= v < 1.0, "0 or more and below 1"),
    (
        ("pv_ev_correlation", "pv_heat_pump_correlation", "ev_heat_pump_correlation"),
        lambda v: -1.0 <= v <= 1.0,
        "from -1 to 1",
    ),
    (
        ("pv_power_factor", "ev_power_factor", "heat_pump_power_factor"),
        lambda v: 0.0 < v <= 1.0,
        "above 0 and at most 1",
    ),
)


def grow(grid: GridLike, *, count: int, seed: int, growth: Growth = Growth()) -> Futures:
    """Futures of a grid, drawn independently, all of the same probability.

    The beginning of this module defines a future. Every future has its own stream of random numbers (PCG64 of
    `SeedSequence(seed, spawn_key=(k,))`), so that the first futures of a larger `count` are those of a smaller one, and
    another seed gives futures for the test of a plan. The same seed, grid, growth and versions of NumPy and SciPy give
    the same bits. Quantities are quantiles of the same uniform numbers whatever the growth: with more adoption of a
    technology no bus of any future has less of it, which makes runs comparable.

    Args:
        grid: the grid, a path or a name that `read` takes. Its loads count as the peak.
        count: number of futures, at least 1.
        seed: 0 or more.
        growth: what is assumed.

    Raises:
        InputError: the grid has faults.
        OptionError: count or seed are out of range.
    """
    if count < 1 or seed < 0:
        raise OptionError(f"count={count} must be at least 1, and seed={seed} at least 0")
    grid = read(grid)
    of_kind(growth, Growth, "growth", "Growth() or Growth.solar()")
    load, generation = constant_power_kva(grid)
    customers = np.round(at_buses(grid, grid.loads).real.clip(min=0.0) / growth.customer_kw)
    names, demand = list[str](), np.empty((count, len(load)), dtype=np.complex128)
    for first in range(0, count, BLOCK):
        block = range(first, min(first + BLOCK, count))
        drawn = _Drawn.of([np.random.SeedSequence(seed, spawn_key=(k,)) for k in block], len(load))
        snapshots, demand[block] = _futures(drawn, growth, load, generation, customers)
        names += [f"{k + 1} {snapshot.name}" for k, snapshot in zip(block, snapshots)]
    probabilities = np.full(count, 1.0 / count)
    return Futures(tuple(names), probabilities, tuple(grid.buses["name"]), demand.real, demand.imag)


@dataclass(frozen=True)
class _Drawn:
    """The random numbers of K futures, always the same count, so that no parameter changes those of another quantity.

    Attributes:
        moment: (K). common: (K, 4) standard normal numbers of a whole future. own: (K, N) of its loads.
        places, owners, charging: (3, K, N), (3, K, N), (K, N) uniform numbers.
    """

    moment: Floats
    common: Floats
    own: Floats
    places: Floats
    owners: Floats
    charging: Floats

    @classmethod
    def of(cls, seeds: list[np.random.SeedSequence], n: int) -> _Drawn:
        """The numbers for N buses, of one stream a future."""
        drawn = []
        for seed in seeds:
            rng = np.random.Generator(np.random.PCG64(seed))
            drawn.append(
                (
                    *(rng.random(), rng.standard_normal(4), rng.standard_normal(n)),
                    *(rng.random((3, n)), rng.random((3, n)), rng.random(n)),
                )
            )
        moment, common, own, places, owners, charging = (np.array(each) for each in zip(*drawn))
        return cls(moment, common, own, places.swapaxes(0, 1), owners.swapaxes(0, 1), charging)


def _futures(
    drawn: _Drawn, growth: Growth, load: Complexes, generation: Complexes, customers: Floats
) -> tuple[list[Snapshot], Complexes]:
    """K futures: their snapshots and the (K, N) net demand in kVA."""
    shares = np.cumsum([snapshot.share for snapshot in growth.snapshots])
    at = np.minimum(np.searchsorted(shares, drawn.moment, side="right"), len(shares) - 1)
    snapshots = [growth.snapshots[k] for k in at]
    of_load, sun, charging, heat = np.array([(s.load, s.sun, s.charging, s.heat) for s in snapshots]).T[:, :, None]
    means = (growth.pv_adoption, growth.ev_adoption, growth.heat_pump_adoption)
    pv, ev, pumps = (
        _binomial(customers, _beta(_beta(mean, growth.adoption_spread, u), growth.adoption_spread_bus, at_bus), owners)
        for mean, u, at_bus, owners in zip(
            means, special.ndtr(_copula(growth, drawn.common[:, :3].T))[:, :, None], drawn.places, drawn.owners
        )
    )
    on_charger = _binomial(ev, growth.ev_coincidence * charging, drawn.charging)
    rho = growth.load_growth_correlation
    sigma = math.sqrt(math.log1p(growth.load_growth_spread**2))
    together = math.sqrt(rho) * drawn.common[:, 3:] + math.sqrt(1.0 - rho) * drawn.own
    factor = np.exp(sigma * together - sigma**2 / 2.0)
    pv_kw = sun * growth.pv_kw * pv
    ev_kw = growth.ev_kw * on_charger
    pumps_kw = heat * growth.heat_pump_kw * pumps
    p = pumps_kw + ev_kw - pv_kw
    q = sum(
        part * math.tan(math.acos(power_factor))
        for part, power_factor in (
            (pv_kw, growth.pv_power_factor),
            (ev_kw, growth.ev_power_factor),
            (pumps_kw, growth.heat_pump_power_factor),
        )
    )
    return snapshots, of_load * (1.0 + growth.load_growth) * factor * load - generation + p + 1j * q


def _copula(growth: Growth, z: Floats) -> Floats:
    """(3, …) standard normal numbers with the correlations of the technologies, by the Cholesky factor."""
    a, b, c = growth.pv_ev_correlation, growth.pv_heat_pump_correlation, growth.ev_heat_pump_correlation
    down = math.sqrt(1.0 - a * a)
    across = (c - a * b) / down if down > ROUNDING else 0.0
    rest = math.sqrt(max(0.0, 1.0 - b * b - across * across))
    return np.array([z[0], a * z[0] + down * z[1], b * z[0] + across * z[1] + rest * z[2]])


def _beta(mean: float | Floats, spread: float, u: Floats) -> Floats:
    """Quantiles of the beta distribution with standard deviation spread · √(mean (1 − mean))."""
    mean, u = np.broadcast_arrays(mean, u)
    inner = (mean >= ROUNDING) & (mean <= 1.0 - ROUNDING) & (spread >= NO_SPREAD)
    value = mean.copy()
    if inner.any():
        weight = 1.0 / spread**2 - 1.0
        value[inner] = special.betaincinv(mean[inner] * weight, (1.0 - mean[inner]) * weight, u[inner])
    return value


def _binomial(count: Floats, probability: Floats, u: Floats) -> Floats:
    """Quantiles of the binomial distribution; 0 for u = 0."""
    return np.maximum(stats.binom.ppf(u, count, probability), 0.0)
