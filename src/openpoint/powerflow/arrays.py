"""The arrays of the compiled power flow."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Indices
from openpoint.compiled.table import Table


@dataclass(frozen=True, eq=False)
class Wires(Table):
    """The grid data that all flows share: N buses, E branches, in per unit.

    Attributes:
        start: (N + 1) where the neighbours of a bus begin. neighbour, via: (2E) bus at the other end, and branch.
        fr: (E) from bus. z, y: (E) series impedance, shunt admittance of both ends together. tap, shift: (E).
        rated_fr, rated_to: (E) as of `Network`.
        source, source_v: (S) buses that sources hold, and their voltages.
        hung, hung_at, hung_y: (H) branches that stay energised at one end while they are open, the bus of this end,
            and their admittance there.
        has_ratio, has_shunt: whether any branch has a ratio or shift, or a shunt.
    """

    start: Indices
    neighbour: Indices
    via: Indices
    fr: Indices
    z: Complexes
    y: Complexes
    tap: Floats
    shift: Floats
    rated_fr: Floats
    rated_to: Floats
    source: Indices
    source_v: Complexes
    hung: Indices
    hung_at: Indices
    hung_y: Complexes
    has_ratio: bool
    has_shunt: bool


class Loads(NamedTuple):
    """Loads of constant power, current and impedance: (K, N) or (1, N).

    `linear`: some shunt or load is an admittance. `has_current`: some load is of constant current.
    """

    s_power: Complexes
    s_current: Complexes
    s_impedance: Complexes
    linear: bool
    has_current: bool


class Output(NamedTuple):
    """The fields of `Flows` to be filled, zeros at first but for flags; without rows if only losses are needed."""

    energised: Bools
    v: Complexes
    i_series: Complexes
    i_rated: Floats
    s_fr: Complexes
    s_to: Complexes
    source_s: Complexes


@dataclass(frozen=True, eq=False)
class Work(Table):
    """Memory of one flow, by position in the tree: sources first, parents before children.

    Attributes:
        order, position: bus at a position, position of a bus (-1: not energised). parent: position of the parent.
        edge: branch to the parent. flipped: the parent is at its to end.
        z_re, z_im: impedance to the parent in the frame u. line_re, line_im: shunts of all branches at the bus.
        y_re, y_im: these and the loads of constant impedance. below_re, below_im: Y_k. d_re, d_im: 1 / (1 + z Y).
        half_re, half_im: half the shunt of the branch to the parent. hung_re: conductance of open branches at the bus.
        size: |t|². turn: phase angle of t.
        p, q, a_p, a_q: load of constant power and of constant current (the latter times |t|).
        u_re, u_im: voltage. l_re, l_im: current of the loads. j_re, j_im: current in the branch to the parent.
    """

    order: Indices
    position: Indices
    parent: Indices
    edge: Indices
    flipped: Bools
    z_re: Floats
    z_im: Floats
    line_re: Floats
    line_im: Floats
    y_re: Floats
    y_im: Floats
    below_re: Floats
    below_im: Floats
    d_re: Floats
    d_im: Floats
    half_re: Floats
    half_im: Floats
    hung_re: Floats
    size: Floats
    turn: Floats
    p: Floats
    q: Floats
    a_p: Floats
    a_q: Floats
    u_re: Floats
    u_im: Floats
    l_re: Floats
    l_im: Floats
    j_re: Floats
    j_im: Floats


def work_for(n_bus: int) -> Work:
    """New arrays for flows of `n_bus` buses."""
    arrays: dict[str, Any] = {field.name: np.empty(n_bus) for field in fields(Work)}
    arrays |= {name: np.empty(n_bus, dtype=np.int32) for name in ("order", "position", "parent", "edge")}
    arrays["flipped"] = np.empty(n_bus, dtype=np.bool_)
    return Work(**arrays)
