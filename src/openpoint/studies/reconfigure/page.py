"""The report of a reconfiguration, in this order: the answer, its proof, where, how to switch."""

from __future__ import annotations

import math

from openpoint.report.change import build_scene
from openpoint.report.grids import grid_sheet
from openpoint.report.numerals import number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.page.html import html_for
from openpoint.report.scene import Scene
from openpoint.report.switch_plan import plan_section
from openpoint.results.violation import phase_words
from openpoint.studies.reconfigure.pictures import headline
from openpoint.studies.reconfigure.result import TopologyResult


def page(result: TopologyResult, *, picture: bool = True) -> m.Page:
    """The report of a result; `picture`: also one for readers without scripts, which takes most of the time."""
    scene = build_scene(result)
    limits = _limits(result, scene)
    urgent = bool(result.violations or result.least_violation)
    parts = [
        _cards(result),
        # What the answer breaks comes first; what is wrong today only tells why the answer is better.
        limits if urgent else None,
        s.grid_section(scene, grid_sheet(scene, headline(result)), picture=picture),
        s.switching(scene),
        plan_section(result.plan),
        None if urgent else limits,
        s.profiles(scene),
        s.convergence_section(result),
        t.table_section("Voltages by phase", result, "phases", "To neutral", result.phases.columns, long=False)
        if scene.has_phases
        else None,
        t.place_tables(scene, result.shape, result.buses, result.branches),
        t.table_section("Generators", result, "generators", "Output of the answer", ["name", "bus", "p_kw", "q_kvar"]),
    ]
    return s.answer_page(result, "open points", parts)


def _cards(result: TopologyResult) -> m.Cards:
    before, after = result.loss_before_kw, result.loss_kw
    answered = after is not None
    lowest = f"{result.v_min_pu:.5f} pu" if result.v_min_pu is not None else "–"
    at = f"at bus {result.v_min_bus}{phase_words(result.v_min_phase)}" if result.v_min_bus is not None else ""
    where = f"{result.v_min_before_bus}{phase_words(result.v_min_before_phase)}"
    was = f"today {result.v_min_before_pu:.5f} pu at bus {where}" if result.v_min_before_pu is not None else ""
    kept = "All limits hold." if not result.violations else "Limits are broken, see below."
    return m.cards(
        m.Card("Loss, today → answer" if before is not None else "Loss", *_losses(before, after)),
        s.points_card(result),
        s.gap_card(result, _bound(result)),
        m.Card("Lowest voltage", lowest, (at, was)),
        s.check_card(result.ac_max_mismatch_pu, kept if answered else ""),
        s.effort_card(result),
    )


def _losses(before: float | None, after: float | None) -> tuple[str, tuple[str, ...]]:
    """The losses in words."""
    if after is None:
        today = f"Today {number(before)} kW." if before is not None else "No loss is known for today's state."
        return "–", ("No topology that keeps the limits was found.", today)
    if before is None:
        return f"{number(after)} kW", ("No loss is known for today's state.",)
    share = f" ({abs(before - after) / before:.1%})" if before > 0 else ""
    word = "saved" if after <= before else "more"
    change = f"{number(abs(before - after))} kW{share} {word}" if abs(before - after) >= 0.5e-3 else "as today"
    return f"{number(before)} → {number(after)} kW", (change,)


def _bound(result: TopologyResult) -> str:
    """What the bounds enclose."""
    text = f"lower bound {number(result.lower_bound_kw)} kW" if math.isfinite(result.lower_bound_kw) else ""
    if result.linear_kw is not None:
        text += f" of the linear model, its best {number(result.linear_kw)} kW"
    objective, loss = result.objective_kw, result.loss_kw
    if objective is not None and loss is not None and abs(objective - loss) > 1e-9 * max(1.0, abs(loss)):
        text += f", objective with costs of changes {number(objective)} kW"
    return text


def _limits(result: TopologyResult, scene: Scene) -> m.Section | None:
    advice = "Relax these limits, or reinforce here. The state with the least violation has these open points: "
    if result.soft_limits is None:
        return s.limits_section(result, scene, advice)
    proof = "no radial state does with less" if result.soft_limits.proven else "not proven to be the least"
    relaxed = f"Nothing was found that keeps all limits. Relaxed for the answer, all others kept ({proof}): "
    limits = m.Words(relaxed, ", ".join(str(limit) for limit in result.soft_limits.relaxed))
    return s.limits_section(result, scene, advice, limits)


html = html_for(page)
