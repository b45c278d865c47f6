"""Limits of voltage and current that a study keeps."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import numpy as np

from openpoint.arguments import of_kind
from openpoint.errors import OptionError
from openpoint.network import Network


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of voltage and current.

    Attributes:
        voltage: keep the voltage limits of the buses. current: keep the ratings of the branches.
        v_min_pu, v_max_pu: limits for every bus that is no source, in place of the grid's own.
    """

    voltage: bool = True
    current: bool = True
    v_min_pu: float | None = None
    v_max_pu: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("v_min_pu", self.v_min_pu), ("v_max_pu", self.v_max_pu)):
            if value is None:
                continue
            of_kind(value, Real, name, "a number in pu, such as 0.95")
            if not 0.0 < value < 2.0:
                raise OptionError(f"{name} is {value:g}; a voltage limit lies between 0 and 2 pu")
        if self.v_min_pu is not None and self.v_max_pu is not None and self.v_min_pu > self.v_max_pu:
            raise OptionError(f"v_min_pu {self.v_min_pu:g} lies above v_max_pu {self.v_max_pu:g}; swap them")

    @classmethod
    def given(cls, limits: Limits | None) -> Limits:
        """The limits in an argument; those of the grid where there are none.

        Raises:
            OptionError: something else.
        """
        if limits is None:
            return cls()
        of_kind(limits, cls, "limits", "Limits(), such as Limits(v_min_pu=0.95)")
        return limits

    def applied(self, network: Network) -> Network:
        """The network with exactly these limits; sources have none, since they hold their voltage."""
        shape = network.w_min.shape
        w_min = network.w_min if self.voltage else np.zeros(shape)
        w_max = network.w_max if self.voltage else np.full(shape, np.inf)
        if self.v_min_pu is not None:
            w_min = np.full(shape, self.v_min_pu**2)
        if self.v_max_pu is not None:
            w_max = np.full(shape, self.v_max_pu**2)
        w_min, w_max = w_min.copy(), w_max.copy()
        w_min[network.source_terminal], w_max[network.source_terminal] = 0.0, np.inf
        l_max = network.l_max if self.current else np.full(network.l_max.shape, np.inf)
        return network.with_limits(w_min=w_min, w_max=w_max, l_max=l_max)
