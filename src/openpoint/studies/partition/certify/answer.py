"""What is certified of a plan, in names and units."""

from __future__ import annotations

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.enclosure.claims import Claim
from openpoint.enclosure.islands import Refused
from openpoint.enclosure.recourse import Operated
from openpoint.enclosure.verdict import Certifier, Counterexample, Proof
from openpoint.grid.grid import Grid
from openpoint.network.limits import Limits
from openpoint.results.columns import empty, frame
from openpoint.studies.partition.certify.certificate import Certificate
from openpoint.studies.partition.certify.islands import islands_of, topology_of
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.schema import COUNTEREXAMPLE, LIMITS, POLICY, SET_POINTS

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
