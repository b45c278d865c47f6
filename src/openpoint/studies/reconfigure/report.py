"""The report of a reconfiguration, in this order: the answer, its proof, where, how to switch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache, partial

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.report.charts import convergence_sheet, loading_sheet, voltage_sheet
from openpoint.report.drawing import Sheet
from openpoint.report.grids import grid_sheet, grids_sheet
from openpoint.report.numerals import number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.scene import Scene, State, build_scene, numbers, scene_of
from openpoint.report.switch_plan import plan_section
from openpoint.results.switched import SwitchedResult
from openpoint.results.violation import Violation, phase_words
from openpoint.results.witness import HasWitness
from openpoint.results.worth import Worth
from openpoint.studies.reconfigure.result import HasSoftLimits, TopologyResult


def headline(result: TopologyResult) -> str:
    """One line that says what the picture shows."""
    title = result.title
    if result.loss_kw is None:
        return f"{title}: {result.termination.value}, no answer that keeps the limits"
    if result.loss_before_kw is None:
        return f"{title}: loss {result.loss_kw:,.3f} kW"
    saved = result.loss_before_kw - result.loss_kw
    if abs(saved) < 0.5e-3:
        return f"{title}: loss {result.loss_kw:,.3f} kW, as today"
    share = f" ({abs(saved) / result.loss_before_kw:.1%})" if result.loss_before_kw > 0 and math.isfinite(saved) else ""
    return f"{title}: {abs(saved):,.3f} kW{share} {'less' if saved > 0 else 'more'} loss"


PICTURES: Mapping[str, Callable[[TopologyResult], Sheet]] = {
    "grid": lambda result: grid_sheet(build_scene(result), headline(result)),
    "voltage": lambda result: voltage_sheet(build_scene(result), result.title),
    "loading": lambda result: loading_sheet(build_scene(result), result.title),
    "convergence": convergence_sheet,
}
"""The grid before and after, its voltages over the distance to the source, its most loaded branches, the bounds."""
COMPARED = {"grid": partial(grids_sheet, build_scene)}
"""The topologies of several answers."""

SHORT = 10
"""Rows of the table of savings up to which the terminal shows it."""
_LIMIT = 1e-6  # relative; what sits on its limit does not break it


def extremes_scene(
    result: SwitchedResult, feasible: bool, when: str, loss_column: str, losses: Mapping[str, float | None]
) -> Scene:
    """The grid with the lowest voltage and the highest current in any demand.

    Args:
        result: with the columns `v_lowest_…_pu`, `v_highest_…_pu`, `i_highest_…_a`, `loading_highest_…_percent`,
            `closed_…` for `before` and `after`. feasible: whether there is an answer. when: of the losses, in words.
        loss_column: column of the losses of branches, {} for the state. losses: of the grid, kW, by state.
    """
    grid = result.grid
    buses = grid.buses.select("name").join(result.buses, on="name", how="left", maintain_order="left")
    names = grid.branches().select("name")
    branches = names.join(result.branches, on="name", how="left", maintain_order="left")
    limits = (numbers(buses, "v_min_pu"), numbers(buses, "v_max_pu"), numbers(branches, "i_max_a"))
    titles = {"before": f"Today, {when}"}
    if feasible or result.least_violation_open:
        titles["after"] = f"Answer, {when}" if feasible else "Least violation met (not an answer)"
    states = {
        key: _state(key, title, losses.get(key), buses, branches, limits, loss_column.format(key))
        for key, title in titles.items()
    }
    return scene_of(grid, names["name"], states, limits, feasible=feasible)


def _state(
    key: str,
    title: str,
    loss_kw: float | None,
    buses: pl.DataFrame,
    branches: pl.DataFrame,
    limits: tuple[Floats, Floats, Floats],
    loss_column: str,
) -> State:
    v, high = numbers(buses, f"v_lowest_{key}_pu"), numbers(buses, f"v_highest_{key}_pu")
    i = numbers(branches, f"i_highest_{key}_a")
    lo, hi, i_max = limits
    bus, branch = buses["name"].to_list(), branches["name"].to_list()
    broken = [
        *(Violation("voltage low", bus[k], v[k], lo[k]) for k in np.flatnonzero(v < lo * (1 - _LIMIT))),
        *(Violation("voltage high", bus[k], high[k], hi[k]) for k in np.flatnonzero(high > hi * (1 + _LIMIT))),
        *(Violation("current", branch[k], i[k], i_max[k]) for k in np.flatnonzero(i > i_max * (1 + _LIMIT))),
    ]
    unknown = np.full(len(i), np.nan)
    return State(
        key=key,
        title=title,
        loss_kw=loss_kw,
        v=v,
        closed=branches[f"closed_{key}"].fill_null(value=False).to_numpy().astype(bool),
        i=i,
        loading=numbers(branches, f"loading_highest_{key}_percent"),
        p=unknown,
        q=unknown,
        loss=numbers(branches, loss_column),
        violations=tuple(broken),
    )


def page(result: TopologyResult, *, picture: bool = True) -> m.Page:
    """The report of a result; `picture`: also one for readers without scripts, which takes most of the time."""
    scene = cache(lambda: build_scene(result))
    urgent = bool(result.violations or result.least_violation)
    caption = "The first are what to do where operations are few"
    texts = ["group", "to_close", "to_open"]
    savings = t.table_section("What the switchings save", result, "switch_groups", caption, texts)
    parts = [
        _cards(result),
        # What the answer breaks comes first; what is wrong today only tells why the answer is better.
        _limits(result, scene()) if urgent else None,
        s.witness_section(result) if isinstance(result, HasWitness) else None,
        s.open_points(result),
        plan_section(result.plan),
        savings if len(result.switch_groups) <= SHORT else lambda: savings,
        lambda: s.grid_section(scene(), grid_sheet(scene(), headline(result)), picture=picture),
        lambda: s.switching(scene()),
        lambda: None if urgent else _limits(result, scene()),
        lambda: s.profiles(scene()),
        lambda: s.convergence_section(result),
        lambda: (
            t.table_section("Voltages by phase", result, "phases", "To neutral", result.phases.columns, long=False)
            if scene().has_phases
            else None
        ),
        lambda: t.place_tables(scene(), result.shape, result.buses, result.branches),
        lambda: t.table_section(
            "Generators", result, "generators", "Output of the answer", ["name", "bus", "p_kw", "q_kvar"]
        ),
    ]
    return s.answer_page(result, "open points", parts)


def _cards(result: TopologyResult) -> m.Cards:
    before, after = result.loss_before_kw, result.loss_kw
    answered = after is not None
    lowest = f"{result.v_min_pu:.5f} pu" if result.v_min_pu is not None else "–"
    at = f"at bus {result.v_min_bus}{phase_words(result.v_min_phase)}" if result.v_min_bus is not None else ""
    where = f"{result.v_min_before_bus}{phase_words(result.v_min_before_phase)}"
    was = f"today {result.v_min_before_pu:.5f} pu at bus {where}" if result.v_min_before_pu is not None else ""
    kept = "All limits asked for hold." if not result.violations else "Limits are broken, see below."
    return m.cards(
        m.Card("Loss, today → answer" if before is not None else "Loss", *_losses(before, after)),
        *worth_cards(result.worth, result.saving_kw),
        s.points_card(result),
        s.gap_card(result, _bound(result)),
        m.Card("Lowest voltage", lowest, (at, was)),
        s.loading_card(result.branches, "loading_after_percent", "loading_before_percent"),
        s.check_card(result.ac_max_mismatch_pu, kept if answered else ""),
        s.effort_card(result),
    )


def worth_cards(worth: Worth | None, saving_kw: float | None) -> list[m.Card]:
    """What a saving is worth, where that is asked for and known."""
    return [] if worth is None or saving_kw is None else [m.Card("Saving in money", *worth.words(saving_kw))]


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
    objective, loss = result.objective_kw, result.loss_kw
    if objective is not None and loss is not None and abs(objective - loss) > 1e-9 * max(1.0, abs(loss)):
        text += f", objective {number(objective)} kW"
    return text


def _limits(result: TopologyResult, scene: Scene) -> m.Section | None:
    advice = "Relax these limits, or reinforce here. The state with the least violation has these open points: "
    limits = relaxed_words(result)
    return s.limits_section(result, scene, advice, *([] if limits is None else [limits]))


def relaxed_words(result: HasSoftLimits) -> m.Words | None:
    """How limits were relaxed; None where they were not."""
    if result.soft_limits is None:
        return None
    proof = "no radial state does with less" if result.soft_limits.proven else "not proven to be the least"
    relaxed = f"Nothing was found that keeps all limits. Relaxed for the answer, all others kept ({proof}): "
    return m.Words(relaxed, ", ".join(str(limit) for limit in result.soft_limits.relaxed))
