"""Sections that the reports of several studies share.

How the run ended, pictures of the grid, the switching list, profiles, broken limits, the proof, and tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Literal

import polars as pl

from openpoint.errors import Problem, grouped
from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.report import charts
from openpoint.report.charts import convergence, gap_text
from openpoint.report.drawing import Chart, Panel, Sheet
from openpoint.report.grids import grid_sheet, is_wide
from openpoint.report.layout.place import Layout
from openpoint.report.numerals import figures, method_words, mismatch_words, names_and_more, percent
from openpoint.report.page import model as m
from openpoint.report.page import tables as t
from openpoint.report.scene import Change, Scene, State, scene_of
from openpoint.results.base import Answer
from openpoint.results.switched import SwitchedResult
from openpoint.results.violation import Violation
from openpoint.results.witness import HasWitness
from openpoint.twostage.log import CUT_SHORT, Termination

LITTLE = 1e-3
"""Gap up to which a run that was cut short has an answer as good as proven, for what demands are known to."""
_STILL = 400  # buses up to which a page without scripts shows a picture; beyond it the tables must do


def banner(result: Answer, *, answered: bool, none: str) -> m.Banner:
    """How the run ended; `none` says that there is no answer."""
    why = result.termination
    kind: Literal["good", "warn", "bad"] = "bad"
    if not answered:
        lead = "Infeasible" if why is Termination.INFEASIBLE else none
    elif why is Termination.SOFT:
        lead = "Limits not kept"
    elif why in (Termination.OPTIMAL, Termination.GAP):
        kind, lead = "good", "Solved"
    elif why in CUT_SHORT and result.gap <= LITTLE:
        kind, lead = "good", "Best known"
    else:
        kind, lead = "warn", "Stopped early"
    reason = f"{lead} ({why.value})." if lead.lower() != why.value else f"{lead}."
    return m.Banner(kind, reason, result.in_short)


def answer_page(
    result: Answer,
    study: str,
    parts: Iterable[m.Offered],
    *,
    none: str = "No answer found",
    log: bool = True,
    hidden: str = "",
    physics: str = m.EXACT,
) -> m.Page:
    """The page of an optimisation: how it ended, what to know, `parts`, doubts about the grid, and the log.

    Args:
        result: the result. study: what was asked, for the title. parts: what the study shows.
        none: that there is no answer, in words. physics: where the figures come from.
        log: whether the log has a section of its own; but for the column `hidden`.
    """
    ended = banner(result, answered=bool(result.to_do()), none=none)

    def last() -> list[m.Section | None]:
        return [doubts(result.grid.notes), log_section(result, hidden) if log else None]

    return m.page_of(result.grid, study, [ended, remarks(result.notes), *parts, last], physics=physics)


def remarks(notes: Iterable[str]) -> m.Remarks | None:
    """The remarks on what changes the meaning of the figures, each once."""
    found = tuple(dict.fromkeys(notes))
    return m.Remarks(found) if found else None


def doubts(notes: Iterable[Problem]) -> m.Section | None:
    """Doubts about the grid, alike ones together; remarks stand above the figures."""
    items = tuple(str(alike) for alike in grouped(p for p in notes if not p.changes_figures))
    return m.section("Doubts about the grid", m.Bullets(items)) if items else None


def whose(result: Answer) -> str:
    """What broken limits are of."""
    return "answer" if result.to_do() else "state of least violation met"


def check_card(mismatch_pu: float | None, *more: str) -> m.Card:
    """What the AC power flow of the answer leaves over, with what that is in plain words."""
    known = mismatch_pu is not None and math.isfinite(mismatch_pu)
    plain = ("the power that does not balance at the worst bus",) if known else ()
    return m.Card("AC check, largest mismatch", mismatch_words(mismatch_pu), (*more, *plain))


def loading_card(branches: pl.DataFrame, column: str, today: str = "") -> m.Card:
    """The card of the highest loading, with its limit where that is not the rating; `today`: the column beside it."""
    now, was = (loading_words(branches, each) if each else "" for each in (column, today))
    return m.Card("Highest loading", now, ("" if was in ("", now) else f"today {was}",))


def loading_words(branches: pl.DataFrame, column: str, at: str = "") -> str:
    """The highest loading in a column, its branch, and where there is a column `at` its step."""
    known = branches.drop_nulls([column, *([at] if at else [])]).sort(column, descending=True)
    if known.is_empty():
        return "no ratings given"
    limit = known["loading_limit_percent"][0]
    allowed = "" if limit is None or abs(limit - 100.0) < 1e-9 else f", limit {limit:.4g} %"
    step = f", {known[at][0]}" if at else ""
    return f"{known[column][0]:.1f} % of the rating at {known['name'][0]}{allowed}{step}"


def limits_section(result: Change, scene: Scene, advice: str, *more: m.Words) -> m.Section | None:
    """The limits that the answer, the least violation and today's state break, each where there are any.

    `advice` goes before the open points of the least violation; `more` stands above the tables.
    """
    least = m.Words(advice, ", ".join(result.least_violation_open)) if result.least_violation else None
    broken = [
        violation_table("broken", "Limits broken by the answer", result.violations),
        violation_table("least", "Limits broken at the least violation met", result.least_violation),
        violation_table("today", "Limits broken today", scene.states["before"].violations),
    ]
    found = [block for block in (least, *more, *broken) if block is not None]
    return m.section("Limits", *found, long=True) if found else None


def witness_section(result: HasWitness) -> m.Section | None:
    """A load of the set at which a state breaks limits; None where there is none."""
    if result.witness_loads is None:
        return None
    broken = violation_table("witnessed", "Limits broken there, by exact AC power flow", result.witness_limits)
    state = m.Words("Branches open in the state that breaks them: ", join_names(result.witness_open) or "none")
    loads = t.listed(result, "witness", "The load: {} loads and generators", ["name", "bus"], low=True)
    return m.section("A load of the set at which limits are broken", state, broken, loads)


def violation_table(identity: str, caption: str, violations: tuple[Violation, ...]) -> m.Table | None:
    """The limits that a state breaks; None where there are none."""
    if not violations:
        return None
    columns: list[t.Heading] = ["limit", "bus or branch", m.Column("value", 4), m.Column("limit is", 4), "unit"]
    rows = [(v.kind, v.place, v.value, v.limit, v.unit) for v in violations]
    return t.table(identity, f"{caption} ({len(rows)})", columns, rows, low=True)


def still(grid: Grid, sheet: Callable[[], Sheet], alt: str) -> m.Still:
    """The picture of a grid for readers without scripts; none where the grid is too large for it."""
    if grid.buses.height > _STILL:
        return m.Still(alt, None)
    from openpoint.report.figure import encode, paint  # takes longer than all that a terminal shows

    return m.Still(alt, encode(paint(sheet()), "svg"))


def sheet_section(
    heading: str,
    sheet: Sheet | None,
    *blocks: m.Block | None,
    layout: Layout | None = None,
    picture: m.Still | None = None,
    note: str = "",
    long: bool = False,
) -> m.Section | None:
    """A section of a picture, and `blocks` below it; None where there is none.

    Args:
        layout: of a picture of the grid. picture: of it, for readers without scripts. note: above it.
    """
    if sheet is None:
        return None
    beside = len(sheet.panels) > 1 and not sheet.stacked and not (layout is not None and is_wide(layout))
    return m.section(
        heading,
        m.GridTools(note) if layout is not None else None,
        m.Panels(sheet.panels, beside, sheet.turns),
        m.Legend(sheet.signs, sheet.scale) if sheet.signs or sheet.scale else None,
        m.Words(sheet.note, small=True) if sheet.note else None,
        picture,
        *blocks,
        long=long,
    )


def shown(sheet: Sheet) -> m.Panels:
    """The panels of a picture."""
    return m.Panels(sheet.panels, len(sheet.panels) > 1 and not sheet.stacked)


def grid_section(scene: Scene, sheet: Sheet, *, note: str = "", picture: bool = True) -> m.Section | None:
    """The pictures of all states; `picture`: also one for readers without scripts, `note`: above them."""
    alt = "The grid today and with the answer; the tables below hold all numbers."
    made = still(scene.grid, lambda: sheet, alt) if picture else m.Still(alt, None)
    return sheet_section("Grid", sheet, layout=scene.layout, picture=made, note=note)


def lead(number: int) -> str:
    """The key of the state that a click on a point of a front shows."""
    return f"point-{number}"


def front_section(
    heading: str, text: str, chart: Chart | None, points: Mapping[int, tuple[Scene, list[str]]], *more: m.Block
) -> m.Section:
    """A front, and below it the grid of the point that is chosen, by a click or by the slider.

    Args:
        text: what the front shows. chart: its points lead to `lead` of their numbers; None: there is no point.
        points: by number, the scene of the answer and its figures in lines. more: below all.
    """
    if chart is None:
        return m.section(heading, *more)
    first, _ = next(iter(points.values()))
    states = {"before": first.states["before"]}
    states |= {lead(n): replace(scene.states["after"], title=f"Point {n}") for n, (scene, _) in points.items()}
    limits = first.v_min, first.v_max, first.i_max
    sheet = grid_sheet(scene_of(first.grid, first.branch_names, states, limits, feasible=True), heading)
    told = {f"grid-{lead(n)}": tuple(lines) for n, (_, lines) in points.items()}
    panels = tuple(replace(panel, told=told.get(panel.identity, ())) for panel in sheet.panels)
    return m.section(
        heading,
        m.Words("A click on a point shows its grid below; so does the slider.", small=True),
        Panel("front", chart, "", text),
        m.GridTools(),
        m.Panels(panels, False, sheet.turns),
        m.Legend(sheet.signs, sheet.scale),
        m.Still(text, None),
        *more,
    )


def switching(scene: Scene, current: str = "current") -> m.Section | None:
    """What to close and to open; `current` says which of a branch's currents is shown."""
    after = scene.states.get("after")
    if after is None:
        return None
    if not scene.opened | scene.closed:
        return m.section("Switching list", m.Words("Nothing to switch: the open points stay where they are."))
    before = scene.states["before"]
    branches = scene.grid.branches()
    kind = dict(zip(branches["name"], branches["kind"], strict=True))
    columns = ["action", "branch", "kind", "from bus", "to bus"]
    rows: list[tuple[m.Cell, ...]] = []
    for action, chosen in (("closes", scene.closed), ("opens", scene.opened)):
        for e in sorted(chosen):
            a, b = (scene.bus_names[i] for i in scene.ends[e])
            name = scene.branch_names[e]
            rows.append((action, name, t.KINDS[kind[name]], a, b, *(_current(state, e) for state in (before, after))))
    text = "The list holds what differs between the two states, not an order of switching."
    if not scene.feasible:
        text = "This is the state of least violation met, not an answer. " + text
    caption = f"{len(scene.closed)} to close, {len(scene.opened)} to open"
    currents = (m.Column(f"{current} today, A", 2), m.Column(f"{current} after, A", 2))
    return m.section(
        "Switching list", t.table("switching", caption, [*columns, *currents], rows), m.Words(text, small=True)
    )


def _current(state: State, e: int) -> float:
    return float(state.i[e]) if state.closed[e] else 0.0


def profiles(scene: Scene) -> list[m.Section]:
    """The voltages over the distance to the source, and the most loaded branches."""
    parts = []
    if voltage := charts.voltage_chart(scene):
        text = "Voltage of every bus over the distance to its source"
        parts.append(m.section("Voltage profile", Panel("voltage", voltage, "", text)))
    if loading := charts.loading_chart(scene):
        made, left = loading
        what = "Branch loading" if scene.rated else "Branch current"
        heading = what + (f" ({left} less loaded branches left out)" if left else "")
        parts.append(m.section(heading, Panel("loading", made, "", f"{what} of branches")))
    return parts


def convergence_panel(
    log: pl.DataFrame, verdict: str, identity: str = "convergence", name: str | None = None
) -> Panel | None:
    """The bounds over time, or None without a curve of them. `name` is its caption, None where the heading says it."""
    made = charts.convergence_chart(convergence(log, verdict))
    text = f"Lower and upper bound over time, {name or verdict}"
    return None if made is None else Panel(identity, made, name or "", text)


def convergence_section(result: Answer) -> m.Section | None:
    """The bounds over time."""
    verdict = gap_text(result.gap, result.termination)
    panel = convergence_panel(result.head.log, verdict)
    return None if panel is None else m.section(f"Convergence of the bounds ({verdict})", panel)


def log_section(result: Answer, hidden: str = "") -> m.Section | None:
    """The iterations of the method, but for the column `hidden`."""
    log = result.head.log
    if not log.height:
        return None
    caption, declared = f"{log.height} iterations", result.shape.tables["iterations"]
    listed = t.frame_table(
        "iterations", caption, log.drop(hidden, strict=False), declared, [], last=["verdict", "mark"], blank=True
    )
    return m.section("Log of the method", listed, long=True)


def effort_card(result: Answer, *more: str) -> m.Card:
    """The method, how long it took, and remarks on it."""
    return m.Card("Method", method_words(result.method), (", ".join([f"{figures(result.seconds, 3)} s", *more]),))


def points_card(result: SwitchedResult) -> m.Card:
    """The open points of the answer, and how many branches are switched for it."""
    n, found = len(result.changes), result.has_answer
    changed = "as today" if not n else f"{n} branch{'es' if n > 1 else ''} to switch"
    count = str(len(result.open_branches)) if found else "–"
    return m.Card("Open points", count, (names_and_more(result.open_branches, 24), changed if found else ""))


def gap_card(result: Answer, bound: str) -> m.Card:
    """The gap between the bounds, and the bound that proves it."""
    if result.termination is Termination.INFEASIBLE:
        return m.Card("Gap", "–", ("proven that there is no answer",))
    if not math.isfinite(result.gap):
        return m.Card("Gap", "not known", (bound, "" if math.isfinite(result.head.bound) else "no bound is proven"))
    return m.Card("Gap", percent(result.gap, 4), (bound, "no other answer is better by more"))


def open_points(result: SwitchedResult) -> m.Section:
    """What is open today and in the answer, and what is to be switched: of a line switched at one end the bus there."""
    items = [f"Open today: {join_names(result.open_before) or 'none'}"]
    if result.has_answer:
        items += switched(result)
    elif result.least_violation_open:
        items.append(f"Least violation met with these branches open: {join_names(result.least_violation_open)}")
    return m.section("Open points", m.Bullets(tuple(items)))


def switched(result: SwitchedResult) -> list[str]:
    """What an answer has open, and what is to be switched for it, in lines."""
    items = [f"Open branches: {join_names(result.open_branches) or 'none'}"]
    for action in ("close", "open"):
        if named := [_place(row) for row in result.switching_list.filter(action=action).iter_rows(named=True)]:
            items.append(f"To {action}: {join_names(named)}")
    if not result.changes:
        items.append("Nothing to switch: today's open branches are the answer.")
    return items


def _place(row: dict[str, str]) -> str:
    end = row["open_end"]
    return row["name"] if end == "both" else f"{row['name']} (at {row[f'{end}_bus']})"
