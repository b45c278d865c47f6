"""Enclosure: bounds of the exact AC power flow of today's state, for every realisation of its loads and generation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.enclosure.bounds import NotEnclosed
from openpoint.enclosure.flow import NoFlow
from openpoint.enclosure.grid import Bounds, GridBounds, bounds_of
from openpoint.enclosure.parts import MOST_PORTS, TooLarge, largest_level
from openpoint.enclosure.ports import of_open_ends, ports_of, refuse_dark
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.results import ac_tables as states
from openpoint.results.realised import witness_of
from openpoint.studies.enclose.options import EncloseOptions
from openpoint.studies.enclose.result import EncloseResult
from openpoint.studies.study import Prepared, Ready, function


def prepare(grid: Grid, options: EncloseOptions) -> Prepared[EncloseResult]:
    """Bounds of every voltage, current, source power and loss of today's state, for every realisation of a set.

    Each load and each generator deviates by itself, its active and reactive power together, down and up. That the
    power flow of every realisation exists and is unique is proven, and so are the bounds; floating point is allowed
    for. Where the signs of all slopes are proven, the bounds are attained. Balanced grids and those of several phases,
    with loops and sources as they are; taps, steps, switches and voltages of sources stay.

    Raises:
        InputError: the grid has faults, leaves buses without supply, has no solution, or loads whose voltage may leave
            the band in which their model holds.
        OptionError: a set so large that existence is not proven; the message says how large it may be.
    """
    network = Limits().applied(build_network(grid))
    refuse_dark(network)
    return Ready(lambda: _answer(grid, network, options))


enclose = function("enclose", EncloseOptions, prepare)


def _answer(grid: Grid, network: Network, options: EncloseOptions) -> EncloseResult:
    ports = ports_of(grid, network, options.shares)
    try:
        found = bounds_of(grid, network, ports, options.budget)
    except NoFlow:
        remedy = "The grid cannot carry its load (voltage collapse): check loads and impedances, and their units"
        raise InputError(
            [Problem("buses", "", "", "no power flow was found for the loads as they are", remedy)]
        ) from None
    except TooLarge as error:
        raise OptionError(
            f"the grid has {error.args[0]} places with loads or generators that depend on each other, in one feeder; "
            f"enclose takes {MOST_PORTS} at most, as its matrices are dense. Cut it at its switches, or join loads"
        ) from None
    except NotEnclosed:
        level = largest_level(grid, network, ports, options.budget)
        remedy = f"it is for {100 * level:.0f} % of all deviations" if level else "nor for smaller deviations"
        raise OptionError(
            f"for_every: not proven that each realisation has a power flow; {remedy}. The voltage may collapse, or the "
            "bounds are not sharp enough"
        ) from None
    _refuse_beyond_bands(network, found)
    return _Tables(grid, network, found).result(options)


def _refuse_beyond_bands(network: Network, found: GridBounds) -> None:
    """Loads whose voltage may leave the band in which their model holds."""
    ports, (low, high) = found.ports, found.bands
    remedy = "Take a smaller set, or leave v_min_pu and v_max_pu of its loads empty: their model then holds everywhere"
    faults = [
        Problem(
            "loads",
            f"at bus {network.bus_names[network.terminal_bus[ports.fr[k]]]}",
            "v_min_pu" if low[k] < ports.low[k] else "v_max_pu",
            f"the voltage may be {low[k]:.4f} to {high[k]:.4f} pu, and the model holds from {ports.low[k]:g} to "
            f"{ports.high[k]:g} pu",
            remedy,
        )
        for k in np.flatnonzero((low < ports.low) | (high > ports.high))
    ]
    if faults:
        raise InputError(faults)


@dataclass(frozen=True)
class _Tables:
    """The tables of the bounds of a grid."""

    grid: Grid
    network: Network
    found: GridBounds

    def result(self, options: EncloseOptions) -> EncloseResult:
        """All figures."""
        net, found = self.network, self.found
        v, i = found.voltage, found.current
        kw = net.s_base_kva / (1.0 if net.is_balanced else 3.0)
        low, high = int(np.argmin(v.low)), int(np.argmax(v.high))
        of_v, of_i = found.voltage_verdicts(net), found.current_verdicts(net)
        whole = {*of_v, *of_i}
        wider = v.wider[np.isfinite(v.wider)]
        closed = net.closed
        exact = np.concatenate([v.is_exact, i.is_exact[closed]])
        loss = found.loss
        return EncloseResult(
            grid=self.grid,
            for_every=options.set_words,
            budget=options.budget,
            deviations=len(found.ports.names),
            limits=next((each for each in ("disproved", "open") if each in whole), "proved"),
            loss_kw=float(loss.middle[0] * kw),
            loss_low_kw=float(loss.low[0] * kw),
            loss_high_kw=float(loss.high[0] * kw),
            v_low_pu=float(v.low[low]),
            v_low_bus=net.bus_names[net.terminal_bus[low]],
            v_low_phase=net.terminal_phase[low],
            v_high_pu=float(v.high[high]),
            v_high_bus=net.bus_names[net.terminal_bus[high]],
            v_high_phase=net.terminal_phase[high],
            v_wider_percent=float(100.0 * wider.max()) if len(wider) else None,
            exact_percent=float(100.0 * exact.mean()),
            deviation=found.largest,
            contraction=found.contraction,
            buses=self._buses(of_v),
            branches=self._branches(of_i),
            sources=self._sources(kw),
            notes=(*self.grid.figure_notes, *of_open_ends(net, options.shares)),
            shares=options.shares,
            **self._witness(options),
        )

    def _witness(self, options: EncloseOptions) -> dict[str, Any]:
        at = self.found.witness(self.network)
        if at is None:
            return {}
        return witness_of(self.grid, self.network, self.found.ports, options.shares, at)

    def _buses(self, verdicts: list[str]) -> pl.DataFrame:
        net, v = self.network, self.found.voltage
        columns = {**states.bus_names(net), **states.bus_limits(net), **_columns("v", "pu", v, np.ones(1))}
        return states.frame({**columns, "exact": v.is_exact, "limits": verdicts})

    def _branches(self, verdicts: list[str]) -> pl.DataFrame:
        net, i = self.network, self.found.current
        table = self.grid.branches()[net.conductor_branch]
        return states.frame(
            {
                "kind": table["kind"],
                "name": table["name"],
                "phase": list(net.conductor_phase),
                **{name: table[name] for name in ("from_bus", "to_bus", "switchable", "closed")},
                "i_max_a": states.current_limits(net),
                **_columns("i", "a", i, net.i_base_a),
                "exact": i.is_exact,
                "limits": verdicts,
            }
        )

    def _sources(self, kw: float) -> pl.DataFrame:
        sources, scale = self.grid.sources, np.array([kw])
        powers = _columns("p", "kw", self.found.p, scale) | _columns("q", "kvar", self.found.q, scale)
        return states.frame({"name": sources["name"], "bus": sources["bus"], **powers})


def _columns(name: str, unit: str, bounds: Bounds, scale: Floats) -> dict[str, object]:
    parts = (("", "middle"), ("_low", "low"), ("_high", "high"), ("_least", "least"), ("_greatest", "greatest"))
    return {f"{name}{end}_{unit}": getattr(bounds, part) * scale for end, part in parts}
