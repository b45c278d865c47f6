"""The search model of a grid under many load vectors: one model, and the powers of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.devices import no_devices
from openpoint.search.kernel.arrays import Model
from openpoint.search.model.build import Numbering, build_model, voltage_range
from openpoint.search.model.loss_bound import loss_upper_bound


@dataclass(frozen=True, eq=False)
class Span:
    """Ends of many demands of N buses.

    Attributes:
        least: (N) least active and least reactive power of any demand. greatest: (N) greatest apparent power, real.
    """

    least: Complexes
    greatest: Complexes

    @classmethod
    def of(cls, demands: Complexes) -> Span:
        """Of (K, N) demands."""
        least = demands.real.min(axis=0) + 1j * demands.imag.min(axis=0)
        return cls(least, np.abs(demands).max(axis=0).astype(np.complex128))

    def joined(self, other: Span) -> Span:
        """The ends of the demands of both."""
        least = np.minimum(self.least.real, other.least.real) + 1j * np.minimum(self.least.imag, other.least.imag)
        return Span(least, np.maximum(self.greatest.real, other.greatest.real).astype(np.complex128))


@dataclass(frozen=True)
class FuturesModel:
    """The search model of K load vectors.

    Attributes:
        model, numbering: of the least loads; caps of the voltages hold for all load vectors.
        p, q: (K, N) constant power in the numbers of the model.
        most: no state of interest loses more in any of them.
    """

    model: Model
    numbering: Numbering
    p: Floats
    q: Floats
    most: float

    def of(self, k: int) -> Model:
        """The model of one load vector."""
        return replace(self.model, p=self.p[k].copy(), q=self.q[k].copy(), w_max=self.model.w_max.copy())


def without_limits(network: Network) -> Network:
    """The network with any voltage and any current allowed."""
    free = np.full(network.n_terminals, np.inf)
    return replace(network, w_min=np.zeros(network.n_terminals), w_max=free, l_max=np.full_like(network.l_max, np.inf))


def futures_model(
    network: Network,
    demands: Complexes,
    *,
    must_close: Bools,
    must_open: Bools,
    max_changes: int | None,
    change_cost: float,
    limits: bool,
    span: Span | None = None,
    by_loss: bool = True,
) -> FuturesModel:
    """The model of a grid under (K, N) demands of constant power.

    Upper bounds of the voltages grow with what is fed in and with the greatest loss (`model.voltage_bounds`), so those
    at the least demand of every bus and the greatest loss of any load vector hold for all.

    Args:
        network: balanced, with the limits. limits: whether they are kept under every demand; if not, none is used.
        by_loss: whether voltages are bounded by the greatest loss, too; a certificate cannot rely on it.
        must_close, must_open, max_changes, change_cost: as of `build_model`.
        span: of all demands that these ones stand for; default: of these.

    Raises:
        OptionError: generators to dispatch, or a grid that the bound is not valid for.
    """
    if len(network.generator_names):
        raise OptionError("the search for many futures does not dispatch generators; clear their limits to fix them")
    if not limits:
        network = without_limits(network)
    span = Span.of(demands) if span is None else span
    least, greatest = replace(network, s_power=span.least), replace(network, s_power=span.greatest)
    model, numbering = build_model(
        least, must_close=must_close, must_open=must_open, max_changes=max_changes, change_cost=change_cost
    )
    most = loss_upper_bound(greatest) * (1.0 + 1e-9)
    w_max = voltage_range(network, numbering.voltage_bounds, most if by_loss else np.inf, no_devices())[1]
    more = demands - least.s_power
    more[:, network.source_terminal] = 0.0
    here = more[:, numbering.bus]
    p, q = model.p + here.real, model.q + here.imag
    model = replace(model, p=model.p.copy(), q=model.q.copy(), w_max=w_max[numbering.bus].copy())
    return FuturesModel(model, numbering, np.ascontiguousarray(p), np.ascontiguousarray(q), most)
