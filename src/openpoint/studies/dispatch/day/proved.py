"""A plan whose periods are proved: where some are open, plans for stricter limits are made until none is.

What a period misses is by how much bounds of its voltages, currents and powers of sources lie beyond their limits. With
limits that are stricter by as much, in all periods, the method finds another plan, of which is proved what was asked
for. The lower bound stays that of the question without proofs. Theory: docs/every_load.md E9.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from openpoint.grid.grid import Grid
from openpoint.studies.dispatch.day.methods import DayMethod
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.studies.dispatch.day.proofs import DayProof, proof_of
from openpoint.studies.dispatch.day.verified import verified
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Progress, Termination, relative_gap

ROUNDS = 3
"""Plans that are made anew at most."""
_FURTHER = 1.1
"""Times what is missed by which limits are stricter: other plans miss others."""


def proved(
    grid: Grid,
    question: DayQuestion,
    method: DayMethod,
    gap: float,
    first: DayOutcome,
    progress: Progress | None,
    deadline: Deadline,
) -> tuple[DayOutcome, DayProof | None]:
    """The plan of most proved periods, of an outcome or made anew, and what is proved of it.

    Args:
        gap: that was asked for. first: the verified outcome of the method.
    """
    outcome, proof, strict = first, proof_of(grid, question, first, deadline), question
    last = proof
    for _ in range(ROUNDS):
        if last is None or all(last.is_proved) or deadline.over():
            break
        stricter = _stricter(strict, last)
        if stricter is None:  # no limit is what is missing
            break
        strict = stricter
        anew = method.solve(strict, progress, deadline)
        if anew.plan is None or not math.isfinite(anew.upper_bound):
            break
        anew = _of_question(first, verified(strict, anew, deadline, gap), gap)
        last = proof_of(grid, question, anew, deadline)
        if last is not None and proof is not None and sum(last.is_proved) > sum(proof.is_proved):
            outcome, proof = anew, last
    return outcome, proof


def _stricter(question: DayQuestion, proof: DayProof) -> DayQuestion | None:
    """The question with limits that are stricter by what the open periods miss; None where that is nothing."""
    net, supply, base = question.network, question.supply, question.network.s_base_kva
    low, high, most = np.sqrt(net.w_min), np.sqrt(net.w_max), np.sqrt(net.l_max)
    powers = {name: getattr(supply, name).copy() for name in ("p_min", "p_max", "q_min", "q_max")}
    bus, branch = np.array(net.bus_names)[net.terminal_bus], np.array(net.branch_names)[net.conductor_branch]
    count, missed = len(net.source_terminal), False
    found = (part.proof for parts in proof.periods for part in parts if part.why)
    for rows in (each.rows for each in found if each is not None):
        short = _FURTHER * np.maximum(-rows.margins[:, :2], 0.0)
        for k in np.flatnonzero(short.any(axis=1)):
            kind, name = rows.what[k][:2]
            below, above = short[k]
            if kind == "voltage":
                low[bus == name] += below
                high[bus == name] -= above
            elif kind == "current":
                most[branch == name] -= above / net.i_base_a[branch == name]
            elif kind in ("active power", "reactive power"):
                letter, source = kind[0].replace("a", "p").replace("r", "q"), k % count
                powers[f"{letter}_min"][source] += below / base
                powers[f"{letter}_max"][source] -= above / base
            else:
                continue
            missed = True
    if not missed:
        return None
    network = replace(net, w_min=low**2, w_max=high**2, l_max=np.maximum(most, 0.0) ** 2)
    return replace(question, network=network, supply=replace(supply, **powers))


def _of_question(first: DayOutcome, anew: DayOutcome, gap: float) -> DayOutcome:
    """An outcome for stricter limits as one of the question: with the bounds of the first, and what it costs more."""
    away = relative_gap(first.lower_bound, anew.upper_bound)
    ended = anew.termination
    if ended in (Termination.OPTIMAL, Termination.GAP, Termination.ACCURACY):
        ended = Termination.GAP if away <= gap else Termination.RELAXATION
    more = anew.upper_bound - first.upper_bound
    note = f"made anew so that its periods are proved, the plan costs ${more:,.2f} more in its worst case; the lower "
    note += "bound is that of plans that need no proof"
    kept = {name: getattr(first, name) for name in ("lower_bound", "closed_bound", "days", "binding", "log")}
    notes = (*anew.notes, note)
    return replace(anew, termination=ended, seconds=first.seconds + anew.seconds, notes=notes, **kept)
