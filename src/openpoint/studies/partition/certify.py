"""Whether a plan of microgrids holds in exact AC power flow for every load of its set, in names and units."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.enclosure import islands
from openpoint.enclosure.claims import Claim
from openpoint.enclosure.islands import Refused, Topology
from openpoint.enclosure.recourse import Operated, Units
from openpoint.enclosure.verdict import Certifier, Counterexample, Proof
from openpoint.grid.grid import Grid
from openpoint.network.limits import Limits
from openpoint.results.columns import empty, frame
from openpoint.studies.partition.ac import leading
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.schema import COUNTEREXAMPLE, LIMITS, POLICY, SET_POINTS
from openpoint.twostage.uncertainty import Budget


@dataclass(frozen=True)
class Certificate:
    """What is proved of a plan in exact AC power flow over its whole set.

    Attributes:
        verdict: `proved`, `disproved` or `open`, of the best set-points found. as_planned: of those of the plan.
        level: multiple of the set to which it is proved, at least; None where it is not.
        cost_usd: no load of the set costs more with the policy, without the de-energised blocks; None: not proved.
        short_kw: by how much, at the load of `counterexample`, limits are missed at least, kW or kvar; None: no such.
        note: why nothing is said; empty where something is.
        failing: where it is disproved, the generators that form islands which fail with any set-points.
        claim: what is proved, as a file of it states; None: not proved.
        limits: all limits with their proven margins. set_points, policy: what is operated. counterexample: a load.
    """

    verdict: str
    as_planned: str
    level: float | None = None
    cost_usd: float | None = None
    short_kw: float | None = None
    note: str = ""
    failing: tuple[str, ...] = ()
    claim: Claim | None = None
    limits: pl.DataFrame = field(default_factory=lambda: empty(LIMITS))
    set_points: pl.DataFrame = field(default_factory=lambda: empty(SET_POINTS))
    policy: pl.DataFrame = field(default_factory=lambda: empty(POLICY))
    counterexample: pl.DataFrame = field(default_factory=lambda: empty(COUNTEREXAMPLE))


NO_FLOW = "no flow of the whole set is proved to exist"


def certificate_of(grid: Grid, program: PartitionProgram, decision: Floats, limits: Limits | None) -> Certificate:
    """What can be proved of a plan.

    Args:
        grid: the grid. program: of one step. decision: of it; something is energised. limits: to keep.
    """
    try:
        islands = islands_of(grid, program, program.whole(decision), limits)
    except Refused as why:
        return Certificate("open", "open", note=str(why))
    certifier = Certifier(islands)
    proof = certifier.proof(from_plan=True)
    holds = proof is not None and proof.holds
    against, never = None if holds else certifier.counterexample(proof, from_plan=True), None
    as_planned = verdict = _verdict(proof, against)
    if not holds:
        anew = certifier.proof(from_plan=False)
        never = None if anew is not None and anew.holds else certifier.counterexample(anew, from_plan=False)
        verdict = _verdict(anew, never)
        proof, against = anew or proof, never or against
    failing = () if never is None else tuple(dict.fromkeys(np.array(islands.leads.names)[never.leads].tolist()))
    if proof is None:
        return Certificate(verdict, as_planned, note=NO_FLOW, failing=failing)
    proved, policy = verdict == "proved", proof.policy
    plan = topology_of(grid, program, program.whole(decision))
    claim = Claim(Limits.given(limits), plan=plan, outputs=policy.outputs, gain=policy.gain)
    return Certificate(
        verdict=verdict,
        as_planned=as_planned,
        level=certifier.level(proof) if proved else None,
        cost_usd=_cost(islands, proof) if proved else None,
        claim=claim if proved else None,
        short_kw=None if against is None else against.short,
        limits=_limits(proof),
        set_points=_set_points(islands, proof),
        policy=_policy(islands, proof),
        failing=failing,
        counterexample=_loads(islands, against, [*plan.shares.values()]),
    )


def _verdict(proof: Proof | None, against: Counterexample | None) -> str:
    if proof is not None and proof.holds:
        return "proved"
    return "open" if against is None else "disproved"


def _limits(proof: Proof) -> pl.DataFrame:
    """All limits, those with the least room first."""
    rows, found = proof.rows, []
    moved = rows.middle - rows.low, rows.high - rows.middle
    sides = (
        ("least", rows.least, rows.low),
        ("most", rows.most, rows.high),
        ("ramp down", rows.ramp, moved[0]),
        ("ramp up", rows.ramp, moved[1]),
    )
    for k, (side, limit, bound) in enumerate(sides):
        margin = rows.margins[:, k]
        found += [
            (margin[j] / rows.scale[j], (*rows.what[j][:3], side, limit[j], bound[j], margin[j], rows.what[j][3]))
            for j in np.flatnonzero(np.isfinite(limit) & ~(rows.what_is("band of loads") & (limit == 0.0)))
        ]
    return frame(LIMITS, [row for _, row in sorted(found, key=lambda each: each[0])])


def _set_points(islands: Operated, proof: Proof) -> pl.DataFrame:
    leads, units, h = islands.leads, islands.units, len(islands.leads.part)
    middle = proof.rows.middle[: 2 * h]
    rows = [
        (name, phase, True, middle[k], middle[h + k])
        for k, (name, phase) in enumerate(zip(leads.names, leads.phases, strict=True))
    ]
    outputs, p = proof.policy.outputs, len(units.part)
    rows += [
        (name, phase, False, outputs[k], outputs[p + k])
        for k, (name, phase) in enumerate(zip(units.names, units.phases, strict=True))
    ]
    return frame(SET_POINTS, rows)


def _policy(islands: Operated, proof: Proof) -> pl.DataFrame:
    units, gain, p = islands.units, proof.policy.gain, len(islands.units.part)
    rows = [
        (units.names[k], units.phases[k], load, gain[k, j], gain[p + k, j])
        for k in range(p)
        for j, load in enumerate(islands.names)
        if gain[k, j] or gain[p + k, j]
    ]
    return frame(POLICY, rows)


def _loads(islands: Operated, against: Counterexample | None, shares: list[float]) -> pl.DataFrame:
    if against is None:
        return empty(COUNTEREXAMPLE)
    each = zip(islands.names, shares, against.deviations, strict=True)
    return frame(COUNTEREXAMPLE, [(name, 100.0 * share * z) for name, share, z in each])


def _cost(islands: Operated, proof: Proof) -> float:
    """$ that generation costs at most, of an hour."""
    rows, policy, h = proof.rows, proof.policy, len(islands.leads.part)
    price, lead = islands.units.price, islands.leads.price[:h]
    slopes = price @ policy.gain + lead @ (rows.by_load[:h] + rows.by_unit[:h] @ policy.gain)
    width = float(islands.among.support(slopes[None, :])[0])
    rest = np.abs(lead) @ np.maximum(rows.up[:h], rows.down[:h])
    return float(price @ policy.outputs + lead @ rows.middle[:h] + width + rest)


def islands_of(grid: Grid, program: PartitionProgram, decision: Floats, limits: Limits | None) -> Operated:
    """The islands of a plan, with its set-points and prices.

    Args:
        grid: the grid. program: of one step. decision: of it, its integers whole. limits: to keep.

    Raises:
        Refused: what an enclosure does not take.
    """
    found = islands.islands_of(grid, topology_of(grid, program, decision), limits)
    p, q = program.parted(decision)[3:]
    base = program.network.terminal_base_kw
    price = program.steps[0].generation_usd / (base * program.steps[0].hours)

    def priced(units: Units) -> Units:
        k = units.part
        return replace(units, price=np.concatenate([price[k], 0.0 * k]), planned=np.concatenate([p[k], q[k]]) * base)

    return replace(found, units=priced(found.units), leads=priced(found.leads))


def topology_of(grid: Grid, program: PartitionProgram, decision: Floats) -> Topology:
    """What a plan decides before the loads are known.

    Raises:
        Refused: loads that an enclosure does not take.
    """
    closed, net, units = program.parted(decision)[0], program.network, program.generators
    lead = leading(program, decision)
    low, high = (each[: len(program.loads.names)] for each in program.deviations)
    if not set(program.loads.names) <= set(grid.loads["name"]):
        raise Refused("what is uncertain are parts of loads")
    if not np.array_equal(-low, high):
        raise Refused("loads deviate by more to one side")
    held = np.sqrt(program.steps[0].held_w)
    return Topology(
        closed={net.branch_names[e]: bool(shut > 0.5) for e, shut in zip(program.blocks.switches, closed, strict=True)},
        forming={units.names[units.may_form[f]]: float(held[f]) for f in lead},
        shares=dict(zip(program.loads.names, high.tolist(), strict=True)),
        budget=float(program.uncertainty.most) if isinstance(program.uncertainty, Budget) else None,
        ramp=program.ramp,
    )
