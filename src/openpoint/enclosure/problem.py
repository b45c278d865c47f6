"""The problem of a certificate of a set as plain numbers, for a checker that knows nothing of grids."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.enclosure.claims import Claim, Stated
from openpoint.enclosure.parts import LinearPart
from openpoint.grid.grid import Grid


def problem_text(grid: Grid, claim: Claim) -> str:
    """Grid and question of a claim as JSON, per unit: everything but middle, radii, set-points and policy.

    Of each part the equations matrix · w = given − draws · y, its ports, and what has limits, as rows of w.
    """
    stated = Stated(grid, claim)
    here = stated.operated
    units = here.units
    number = np.full(len(here.ports.fr), -1)
    parts = list(stated.parts())
    free = np.sort(np.concatenate([linear.ports for linear, _ in parts]))
    number[free] = np.arange(len(free))
    held = np.flatnonzero(number < 0)
    document = {
        "format": "openpoint set problem 1",
        "grid": grid.name,
        "budget": here.among.budget,
        "units": [
            {"name": [*zip(units.names * 2, units.phases * 2, strict=True)][k]}
            | {"low": units.least[k], "high": units.most[k], "ramp": units.ramp[k]}
            for k in range(len(units.least))
        ],
        "held": [_port(stated, int(k), -1, np.arange(stated.ports.spread.shape[1])) for k in held],
        "parts": [_part(stated, linear, moving, number, held) for linear, moving in parts],
    }
    return json.dumps(document) + "\n"


def _part(stated: Stated, linear: LinearPart, moving: Ints, number: Ints, held: Ints) -> dict[str, Any]:
    system, states = stated.operated.system, linear.states
    matrix = sp.coo_array(system.matrix[states][:, states])
    draws = sp.csc_array(linear.draws)
    ports = []
    for k, port in enumerate(linear.ports):
        at = slice(draws.indptr[k], draws.indptr[k + 1])
        pairs = zip(draws.indices[at].tolist(), draws.data[at].real.tolist(), strict=True)
        ports.append(_port(stated, int(port), int(number[port]), moving) | {"draws": [list(each) for each in pairs]})
    return {
        "matrix": _entries(matrix.row, matrix.col, matrix.data),
        "given": _pairs(system.given[states]),
        "ports": ports,
        "ohms": _ohms(stated, linear),
        "quantities": list(_quantities(stated, linear, held)),
    }


def _ohms(stated: Stated, linear: LinearPart) -> list[dict[str, Any]]:
    """Branches that deviate: the state that is the current of each, its number in the file, and how far at most its
    impedance does, and what it shares with others of them."""
    numbers, found = stated.deviating(linear).tolist(), []
    for k, state in enumerate(linear.carrying.tolist()):
        row = sp.coo_array(linear.ohms[[k]])
        pairs = [[j, size] for j, size in zip(row.col.tolist(), row.data.tolist(), strict=True)]
        found.append({"state": state, "number": numbers[k], "sizes": pairs})
    return found


def _port(stated: Stated, k: int, number: int, moving: Ints) -> dict[str, Any]:
    here = stated.operated
    ports, power = here.ports, here.power[[k]]
    loads = sp.coo_array(here.loads[[k]] if stated.claim.plan is not None else ports.spread[[k]][:, moving])
    return {
        "number": number,
        "bus": here.network.bus_names[here.network.terminal_bus[ports.fr[k]]],
        "degree": int(ports.degree[k]),
        "unit": float(ports.unit[k]),
        "s": [ports.s[k].real, ports.s[k].imag],
        "deviations": len(moving),
        "loads": [row[1:] for row in _entries(loads.row, loads.col, loads.data)],
        "units": [[j, power[0, j].real, power[0, j].imag] for j in np.flatnonzero(power[0]).tolist()],
    }


def _quantities(stated: Stated, linear: LinearPart, held: Ints) -> Iterator[dict[str, Any]]:
    """What has limits: moduli of voltages and currents, and powers of the generators that form the grid."""
    here, system = stated.operated, stated.operated.system
    net, ports, states = here.network, here.ports, linear.states
    local = np.full(system.matrix.shape[0], -1)
    local[states] = np.arange(len(states))

    def quantity(
        what: str, of: str, row: Any, plus: complex, limits: tuple[float, float, float], taken: Any = ()
    ) -> dict[str, Any]:
        entry = sp.coo_array(row)
        inside = local[entry.col] >= 0
        cells = zip(local[entry.col[inside]].tolist(), entry.data[inside], strict=True)
        low, high, ramp = (float(each) if np.isfinite(each) else None for each in limits)
        found: dict[str, Any] = {"name": what, "of": of}
        found["row"] = [[j, complex(v).real, complex(v).imag] for j, v in cells]
        found |= {"plus": [complex(plus).real, complex(plus).imag], "taken": list(taken)}
        return found | {"low": low, "high": high, "ramp": ramp}

    none = np.inf
    one = sp.csr_array(sp.eye_array(system.matrix.shape[0], format="csr"))
    for k in states[states < len(system.free)].tolist():
        t = system.free[k]
        low, high = float(np.sqrt(net.w_min[t])), float(np.sqrt(net.w_max[t]))
        if low > 0.0 or high < none:
            name = f"voltage {net.bus_names[net.terminal_bus[t]]} {net.terminal_phase[t]}"
            yield quantity(name, "modulus", one[[k]], 0.0, (low, high, none))
    for k in np.intersect1d(states - len(system.free), np.flatnonzero(np.isfinite(net.l_max[system.used]))).tolist():
        e = system.used[k]
        for ends, given, rated in (
            (system.ends_to, system.ends_to_given, net.rated_to),
            (system.ends_fr, system.ends_fr_given, net.rated_fr),
        ):
            if weight := float(rated[e]):
                name = f"current {net.branch_names[net.conductor_branch[e]]} {net.conductor_phase[e]}"
                limit = float(np.sqrt(net.l_max[e])) / weight
                yield quantity(name, "modulus", ends[[k]], given[k], (-none, limit, none))
    back = sp.csr_array(linear.draws.T)
    for j, k in enumerate(linear.ports.tolist()):
        unit, low, high = float(ports.unit[k]), float(ports.low[k]), float(ports.high[k])
        if low > 0.0 or high < none:
            row = back[[j]].tocoo()
            whole = sp.coo_array((row.data, (row.row, states[row.col])), shape=(1, len(local)))
            yield quantity(f"band of loads at port {k}", "modulus", whole, 0.0, (low * unit, high * unit, none))
    leads, taken, base = here.leads, stated.judge.taken, here.base_kw
    for j, at in enumerate(here.lead_at.tolist()):
        v = np.conj(net.source_v[at])
        takes = [[i, taken[at, i].real, taken[at, i].imag] for i in range(len(held))]
        for of, i in (("p", j), ("q", len(here.lead_at) + j)):
            limits = leads.least[i] / base, leads.most[i] / base, leads.ramp[i] / base
            name = f"{of} {leads.names[j]} {leads.phases[j]}"
            yield quantity(name, of, v * system.supplies[[at]], v * system.supplies_given[at], limits, takes)


def _entries(row: Any, column: Any, data: Complexes) -> list[list[float]]:
    return [[i, j, z.real, z.imag] for i, j, z in zip(row.tolist(), column.tolist(), data.tolist(), strict=True)]


def _pairs(values: Complexes | Floats) -> list[list[float]]:
    return [[complex(z).real, complex(z).imag] for z in values.tolist()]
