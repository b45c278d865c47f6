"""The file of a certificate of a whole set of flows: what is claimed of a grid, and how it is written and checked.

It holds words (limits, set, switches, set-points, policy) and, of each port, its voltage in the middle and a radius.
All else is made from the grid: a checker trusts nothing of the file, and says what follows from the words.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.atomic import write_text
from openpoint.enclosure.bounds import NotEnclosed
from openpoint.enclosure.certificate import Check
from openpoint.enclosure.flow import NoFlow
from openpoint.enclosure.islands import Refused, Topology, islands_of
from openpoint.enclosure.parts import LinearPart, TooLarge, linear_part
from openpoint.enclosure.policy import Policy
from openpoint.enclosure.ports import ports_of, refuse_dark
from openpoint.enclosure.recourse import Operated, Units
from openpoint.enclosure.rows import PlanSet, Rows
from openpoint.enclosure.sets import DeviationSet
from openpoint.enclosure.system import system_of
from openpoint.errors import InputError, OptionError
from openpoint.grid.grid import Grid
from openpoint.network import build_network
from openpoint.network.limits import Limits
from openpoint.verify import schema
from openpoint.verify.asked import read_limits
from openpoint.verify.lines import json_of
from openpoint.verify.schema import CertificateError

FORMAT = "openpoint set of flows 1"
MOST_BYTES = 1 << 28
"""Of a file."""
MOST = 1e12
"""Largest number in it."""


@dataclass(frozen=True)
class Claim:
    """What is claimed: that each realisation has one power flow near the middle, and that it keeps the limits.

    Attributes:
        limits: to keep. shares, budget: of a whole grid in today's state, by which share of their power each load and
            each generator deviates, by group, and how many at once. plan: of islands instead. outputs, gain: (2 P) and
            (2 P, n) set-points and policy of the generators that follow, kW and kvar.
    """

    limits: Limits
    shares: Mapping[str, float] = field(default_factory=dict)
    budget: float | None = None
    plan: Topology | None = None
    outputs: Floats = field(default_factory=lambda: np.zeros(0))
    gain: Floats = field(default_factory=lambda: np.zeros((0, 0)))


@dataclass(frozen=True)
class ProvedSet:
    """What a certificate of a set proves.

    Attributes:
        grid: its name. claim: what is claimed. deviations: how many loads and generators deviate.
        holds: whether all limits are proved to be kept. rows: bounds of all that has limits, and of all voltages.
        units: (2 P, 4) room of the generators that follow. contraction: below 1. deviation: greatest |x|.
    """

    grid: str
    claim: Claim
    deviations: int
    holds: bool
    rows: Rows
    units: Floats
    contraction: float
    deviation: float

    def __str__(self) -> str:
        claim = self.claim
        shares = claim.shares if claim.plan is None else claim.plan.shares
        budget = claim.budget if claim.plan is None else claim.plan.budget
        most = "" if budget is None else f", at most {budget:g} of them fully at once"
        far = ", ".join(f"{name} ±{100 * share:g} %" for name, share in shares.items())
        volts = self.rows.some(np.flatnonzero(self.rows.what_is("voltage")))
        lines = [
            f"{self.grid}: for every realisation of {self.deviations} deviations{most}, in exact AC: one power flow",
            f"({far})",
            f"voltages from {volts.low.min(initial=math.inf):.5f} to {volts.high.max(initial=0.0):.5f} pu",
            "all limits hold, proven" if self.holds else "not proven that all limits hold",
        ]
        if claim.plan is not None:
            shut = [name for name, closed in claim.plan.closed.items() if closed]
            forming = ", ".join(f"{name} at {v:g} pu" for name, v in claim.plan.forming.items())
            lines[2:2] = [
                f"closed switches: {', '.join(shut) or 'none'}; open: the others of {len(claim.plan.closed)}",
                f"grid-forming: {forming}; ramp {claim.plan.ramp:g}; with the set-points and the policy of the file",
            ]
        return "\n".join(lines)


class Stated:
    """A claim as ports and linear parts of a grid."""

    def __init__(self, grid: Grid, claim: Claim) -> None:
        self.claim = claim
        self.operated = operated = _operated(grid, claim)
        if len(claim.outputs) != len(operated.units.least):
            raise CertificateError("the set-points are not those of the generators that run")
        self.judge = PlanSet(operated)
        self.policy = Policy(claim.outputs, claim.gain, from_plan=False)
        if claim.plan is None:
            self.ports = operated.ports
        else:
            spread = sp.csr_array(operated.loads + self.judge.power(claim.gain))
            s = operated.ports.s + self.judge.power(claim.outputs)
            self.ports = replace(operated.ports, s=s, spread=spread)
        self.alone = claim.plan is None

    def deviating(self, linear: LinearPart) -> Ints:
        """The conductors of a part that deviate."""
        system = self.operated.system
        return np.asarray(system.used[linear.states[linear.carrying] - len(system.free)])

    def parts(self) -> Iterator[tuple[LinearPart, Ints]]:
        """What is linear of each part, and numbers of its deviations."""
        if not self.alone:
            yield self.judge.linear, np.arange(self.ports.spread.shape[1])
            return
        for states, here, moving in self.operated.system.parts(self.ports):
            yield linear_part(self.operated.system, self.ports, states, here), moving


def _operated(grid: Grid, claim: Claim) -> Operated:
    if claim.plan is not None:
        return islands_of(grid, claim.plan, claim.limits)
    network = claim.limits.applied(build_network(grid))
    refuse_dark(network)
    ports = ports_of(grid, network, claim.shares)
    none, m = np.zeros(0), len(ports.fr)
    units = Units(np.zeros(0, dtype=np.int64), (), (), *[none] * 6)
    return Operated(
        network, network.terminal_base_kw, system_of(grid, network, ports), ports, np.zeros((m, 0), complex), (),
        DeviationSet(claim.budget), np.zeros((m, 0), complex), units, units, np.zeros(0, dtype=np.int64),
    )  # fmt: skip


def write_claim(path: Path, grid: Grid, claim: Claim) -> None:
    """Find middle and radii of a claim, check them, and write the file.

    Raises:
        OptionError: no radii prove it. OSError: not written.
    """
    stated = Stated(grid, claim)
    radii, used = np.zeros(len(stated.ports.fr)), np.zeros(len(stated.ports.fr), dtype=np.bool_)
    u, most = np.zeros(len(radii), dtype=np.complex128), np.zeros(stated.operated.network.n_conductors)
    try:
        for linear, moving in stated.parts():
            at = linear.ports
            check = Check(linear, stated.ports, stated.operated.among, moving)
            radii[at], most[stated.deviating(linear)] = check.found()
            used[at], u[at] = True, check.flow.u
        proved = _proved(grid, claim, stated, u, radii, most)
    except (NotEnclosed, NoFlow, TooLarge):
        raise OptionError("no radii were found with which a certificate proves the set; take a smaller one") from None
    if claim.plan is not None and not proved.holds:
        raise OptionError("the radii of a certificate are too wide to prove all limits, which are kept nearly exactly")
    document = {
        "format": FORMAT,
        "limits": asdict(claim.limits),
        "shares": dict(claim.shares),
        "budget": claim.budget,
        "plan": None if claim.plan is None else asdict(claim.plan),
        "outputs": claim.outputs.tolist(),
        "gain": claim.gain.tolist(),
        "u": np.stack([u[used].real, u[used].imag], axis=1).tolist(),
        "radii": radii[used].tolist(),
        "currents": most.tolist() if any(stated.ports.ohms) else [],
    }
    write_text(path, json.dumps(document) + "\n")


def is_claim(path: Path) -> bool:
    """Whether a file is one of these, and no packed proof of a search."""
    with path.open("rb") as file:
        start = f'{{"format": "{FORMAT}"'.encode()
        return file.read(len(start)) == start


def check_claim(grid: Grid, path: Path | str) -> ProvedSet:
    """What a file proves of a grid.

    Raises:
        CertificateError: it proves nothing, with the reason. OSError: it cannot be read.
    """
    try:
        claim, given, radii, most = _read(grid, Path(path))
        stated = Stated(grid, claim)
        free = np.sort(np.concatenate([linear.ports for linear, _ in stated.parts()]))
        if not len(free) == len(given) == len(radii):
            raise CertificateError(f"the grid has {len(free)} ports, the file {len(given)} and {len(radii)} radii")
        if len(most) not in (0, stated.operated.network.n_conductors):
            raise CertificateError("the currents are not those of the grid")
        u, h = np.ones(len(stated.ports.fr), dtype=np.complex128), np.zeros(len(stated.ports.fr))
        u[free], h[free] = given, radii
        with np.errstate(all="ignore"):  # whatever is not a number is no proof
            found = _proved(grid, claim, stated, u, h, most)
    except (NotEnclosed, np.linalg.LinAlgError):
        raise CertificateError(f"{path}: refused: the radii do not prove that each realisation has one flow") from None
    except (Refused, InputError, OptionError, TooLarge) as error:
        raise CertificateError(f"{path}: refused: it does not go with the grid: {error}") from None
    except CertificateError as error:
        raise CertificateError(f"{path}: refused: {error}") from None
    if claim.plan is not None and not found.holds:
        raise CertificateError(f"{path}: refused: not proved that all limits hold")
    return found


def _proved(grid: Grid, claim: Claim, stated: Stated, u: Complexes, radii: Floats, most: Floats) -> ProvedSet:
    rows, contraction, deviation = [], 0.0, 0.0
    for linear, moving in stated.parts():
        check = Check(linear, stated.ports, stated.operated.among, moving, u[linear.ports])
        check.hold(most[stated.deviating(linear)])
        part = check.part(radii[linear.ports])
        if not stated.alone:
            rows.append(stated.judge.outputs(part, stated.ports.s, stated.ports.spread.toarray()))
        rows += stated.judge.states(part)
        contraction = max(contraction, part.known.contraction)
        deviation = max(deviation, float(part.known.x.max(initial=0.0)))
    found = Rows.joined(rows)
    units = stated.policy.margins(stated.operated.units, stated.operated.among)
    holds = bool((found.margins >= 0.0).all() and (units >= 0.0).all())
    count = stated.ports.spread.shape[1]
    return ProvedSet(grid.name, claim, count, holds, found, units, contraction, deviation)


def _read(grid: Grid, path: Path) -> tuple[Claim, Complexes, Floats, Floats]:
    with path.open("rb") as file:
        text = file.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise CertificateError(f"the file has more than {MOST_BYTES:,} bytes")
    try:
        given = json_of(text)
    except RecursionError:
        raise CertificateError("its brackets are nested too deeply") from None
    keys = ("format", "limits", "shares", "budget", "plan", "outputs", "gain", "u", "radii", "currents")
    given = schema.record(given, "the file", keys)
    if given["format"] != FORMAT:
        raise CertificateError(f"it is no certificate of the form {FORMAT!r}")
    outputs, gain = _numbers(given["outputs"], "outputs"), _table(given["gain"], "gain")
    u, radii = _table(given["u"], "u"), _numbers(given["radii"], "radii")
    if u.shape != (len(radii), 2) or not (u != 0.0).any(axis=1).all():
        raise CertificateError("its voltages are no pairs of numbers, or 0")
    plan = None if given["plan"] is None else _topology(grid, given["plan"])
    shares = _named(given["shares"], "shares", ("load", "generation", "resistance", "reactance"))
    count = (0, 0) if plan is None else (len(outputs), len(plan.shares))
    if gain.shape != count and gain.size + count[0] * count[1]:
        raise CertificateError("set-points and policy do not go together")
    claim = Claim(
        read_limits(given["limits"], "limits"), shares, _budget(given["budget"]), plan, outputs, gain.reshape(count)
    )
    most = _numbers(given["currents"], "currents")
    loose = shares.get("resistance", 0.0) + shares.get("reactance", 0.0)
    if (most < 0.0).any() or (len(most) > 0) != (plan is None and loose > 0.0):
        raise CertificateError("its currents are not those of branches that deviate")
    return claim, u[:, 0] + 1j * u[:, 1], radii, most


def _topology(grid: Grid, given: Any) -> Topology:
    words = schema.record(given, "plan", list(Topology.__dataclass_fields__))
    table = grid.branches()
    switches = table.filter(table["switchable"])["name"].to_list()
    closed = {
        name: schema.flag(shut, f"plan: {name}")
        for name, shut in schema.record(words["closed"], "plan: closed", (), switches).items()
    }
    forming = _named(words["forming"], "plan: forming", grid.generators["name"].to_list())
    shares = _named(words["shares"], "plan: shares", grid.loads["name"].to_list())
    ramp = schema.number(words["ramp"], "plan: ramp", 0.0)
    if not (forming and ramp <= 1.0):
        raise CertificateError("no generator forms a grid, or the ramp is no share")
    return Topology(closed, forming, shares, _budget(words["budget"]), ramp)


def _named(given: Any, place: str, names: Collection[str]) -> dict[str, float]:
    """Numbers that are not negative, by name."""
    return {name: schema.number(each, place, 0.0) for name, each in schema.record(given, place, (), names).items()}


def _budget(given: Any) -> float | None:
    return None if given is None else schema.number(given, "budget", 0.0)


def _numbers(given: Any, place: str) -> Floats:
    found = schema.numbers(given, place, len(schema.array(given, place)))
    if (np.abs(found) > MOST).any():
        raise CertificateError(f"{place} has a number that is too large")
    return found


def _table(given: Any, place: str) -> Floats:
    """Rows of as many numbers each."""
    rows = [_numbers(row, place) for row in schema.array(given, place)]
    if len({len(row) for row in rows}) > 1:
        raise CertificateError(f"{place} has rows of different lengths")
    return np.array(rows) if rows else np.zeros((0, 2))
