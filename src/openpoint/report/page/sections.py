"""Sections that the reports of several studies share.

How the run ended, pictures of the grid, the switching list, profiles, broken limits, the proof, and tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from openpoint.errors import Problem, grouped
from openpoint.grid.grid import Grid
from openpoint.report.chart import charts as plotcharts
from openpoint.report.chart import grid as plots
from openpoint.report.chart.frame import is_wide
from openpoint.report.figure.files import encode
from openpoint.report.layout.place import Layout
from openpoint.report.numerals import figures, method_words, mismatch_words, number, percent
from openpoint.report.page.model import (
    Banner,
    Bullets,
    Card,
    Cell,
    Column,
    GridTools,
    Legend,
    Panel,
    Panels,
    Remarks,
    Ring,
    Scale,
    Section,
    Square,
    Still,
    Stroke,
    Symbol,
    Table,
    Words,
    section,
)
from openpoint.report.scene import Scene, State
from openpoint.report.series import convergence, gap_text, unit_of
from openpoint.results.base import Answer
from openpoint.results.violation import Violation
from openpoint.twostage.log import Termination

KINDS = {"lines": "line", "switches": "switch", "transformers": "transformer"}
SOURCE: Symbol = (Square("@ink", "none", 1.5),)
OPEN_POINT: Symbol = (Stroke("@loose", 1.4, "4 3"), Ring("@soft", "@paper", 4))
OPENS: Symbol = (Ring("@opens", "@paper"),)
CLOSES: Symbol = (Ring("@closes", "@closes"),)
_STILL = 400  # buses up to which a page without scripts shows a picture; beyond it the tables must do

Heading = str | Column
"""A column of texts by its heading alone, or a column."""
Spec = tuple[str, str, int]
"""A column of numbers: its name in the table, its heading, its digits."""


def banner(result: Answer, *, answered: bool, none: str, told: str | None = None) -> Banner:
    """How the run ended; `none` says that there is no answer, `told` what is said instead of what the answer does."""
    why = result.termination
    kind: Literal["good", "warn", "bad"] = "bad"
    if not answered:
        lead = "Infeasible" if why is Termination.INFEASIBLE else none
    elif why is Termination.SOFT:
        lead = "Limits not kept"
    elif why in (Termination.OPTIMAL, Termination.GAP, Termination.LINEAR):
        kind, lead = "good", "Solved"
    else:
        kind, lead = "warn", "Stopped early"
    reason = f"{lead} ({why.value})." if lead.lower() != why.value else f"{lead}."
    return Banner(kind, reason, result.in_short if told is None else told)


def remarks(notes: Iterable[str]) -> Remarks | None:
    """What changes the meaning of the figures."""
    found = tuple(notes)
    return Remarks(found) if found else None


def doubts(notes: Iterable[Problem]) -> Section | None:
    """Doubts about the grid, alike ones together; remarks stand above the figures."""
    items = tuple(str(alike) for alike in grouped(p for p in notes if not p.changes_figures))
    return section("Doubts about the grid", Bullets(items)) if items else None


def check_card(mismatch_pu: float | None, *more: str) -> Card:
    """What the AC power flow of the answer leaves over."""
    return Card("AC check, largest mismatch", mismatch_words(mismatch_pu), more)


def table(
    identity: str,
    caption: str,
    columns: Iterable[Heading],
    rows: Iterable[Sequence[Cell]],
    *,
    search: bool = False,
    low: bool = False,
) -> Table:
    """A table; a column of texts is given by its heading alone."""
    heads = tuple(Column(column) if isinstance(column, str) else column for column in columns)
    return Table(identity, caption, heads, tuple(map(tuple, rows)), search, low)


def frame_table(
    identity: str,
    caption: str,
    frame: pl.DataFrame,
    texts: Mapping[str, str] | Sequence[str],
    numbers: Iterable[Spec] = (),
    *,
    last: Mapping[str, str] | None = None,
    search: bool = False,
    low: bool = False,
) -> Table:
    """A table of the columns `texts`, of those of `numbers` that hold any number, and of the texts `last`.

    Texts are given by name and heading, or by name alone where the name is the heading.
    """
    named = texts if isinstance(texts, Mapping) else {name: name.replace("_", " ") for name in texts}
    shown = filled(frame, numbers)
    last = last or {}
    columns: list[Heading] = [
        *named.values(),
        *(Column(heading, digits) for _, heading, digits in shown),
        *last.values(),
    ]
    rows = frame.select(*named, *(name for name, _, _ in shown), *last).iter_rows()
    return table(identity, caption, columns, rows, search=search, low=low)


def filled(frame: pl.DataFrame, columns: Iterable[Spec]) -> list[Spec]:
    """The columns that hold any number: one without ratings has no loading to show."""
    return [each for each in columns if each[0] in frame.columns and frame[each[0]].is_not_null().any()]


def place_tables(
    scene: Scene,
    buses: pl.DataFrame,
    branches: pl.DataFrame,
    bus_numbers: Iterable[Spec],
    branch_numbers: Iterable[Spec],
    states: Mapping[str, str],
) -> list[Section]:
    """All buses and all branches; `states`: columns that tell whether a branch is closed, and their headings."""
    phase = {"phase": "phase"} if scene.has_phases else {}
    words = [pl.when(pl.col(c)).then(pl.lit("closed")).when(~pl.col(c)).then(pl.lit("open")).alias(c) for c in states]
    told = branches.with_columns(
        pl.col("kind").replace_strict(KINDS),
        pl.when("switchable").then(pl.lit("yes")).otherwise(pl.lit("no")).alias("switchable"),
        *words,
    )
    texts = {"kind": "kind", "from_bus": "from bus", "to_bus": "to bus", "switchable": "switchable", **states}
    own, other = {"name": "bus", **phase}, {"name": "branch", **phase, **texts}
    listed = (
        frame_table("buses", f"{len(scene.bus_names)} buses", buses, own, bus_numbers, search=True),
        frame_table("branches", f"{len(scene.branch_names)} branches", told, other, branch_numbers, search=True),
    )
    return [section(heading, each, long=True) for heading, each in zip(("Buses", "Branches"), listed, strict=True)]


def violation_table(identity: str, caption: str, violations: tuple[Violation, ...]) -> Table | None:
    """The limits that a state breaks; None where there are none."""
    if not violations:
        return None
    columns: list[Heading] = ["limit", "bus or branch", Column("value", 4), Column("limit is", 4), "unit"]
    rows = [(v.kind, v.place, v.value, v.limit, v.unit) for v in violations]
    return table(identity, f"{caption} ({len(rows)})", columns, rows, low=True)


def panels(shown: Sequence[Panel], layout: Layout | None = None) -> Panels:
    """Panels beside each other where there are several; pictures of a wide `layout` take a row each."""
    return Panels(tuple(shown), len(shown) > 1 and not (layout is not None and is_wide(layout)))


def still(grid: Grid, figure: Callable[[], Figure], alt: str) -> Still:
    """The picture for readers without scripts, where the grid is not too large for it."""
    return Still(alt, encode(figure(), "svg") if grid.buses.height <= _STILL else None)


def grid_section(scene: Scene, picture: Still, extremes: str = "", told: str = "") -> Section:
    """The pictures of all states.

    Args:
        scene: the states. picture: for readers without scripts.
        extremes: what colours a bus where a state stands for several; its loads are then not told.
        told: above the pictures.
    """
    loads: dict[int, tuple[float, float]] = {}
    number_of = {name: i for i, name in enumerate(scene.bus_names)}
    for bus, p, q in () if extremes else scene.grid.loads.select("bus", "p_kw", "q_kvar").iter_rows():
        have = loads.get(number_of[bus], (0.0, 0.0))
        loads[number_of[bus]] = (have[0] + p, have[1] + q)
    shown = []
    for key, state in scene.states.items():
        loss = f", loss {number(state.loss_kw)} kW" if state.loss_kw is not None else ""
        n = int((~state.closed).sum())
        said = f"{extremes}{loss}." if extremes else f"voltage, {n} open branches{loss}. Tables below."
        said = f"{state.title}: {len(scene.bus_names)} buses coloured by {said}"
        shown.append(Panel(f"grid-{key}", plots.grid_chart(scene, state, loads), f"{state.title}{loss}", said))
    return section("Grid", GridTools(told), panels(shown, scene.layout), legend(scene), picture)


def legend(scene: Scene) -> Legend:
    """Symbols in words, and the scale of colours: the same for all panels."""
    items: list[tuple[Symbol, str]] = [(SOURCE, "source"), (OPEN_POINT, "open point")]
    items += [(OPENS, "opens")] if scene.opened else []
    items += [(CLOSES, "closes")] if scene.closed else []
    if any(state.violations for state in scene.states.values()):
        items.append(((Ring("@broken", "none", 7),), "limit broken"))
    items.append(((Stroke("@line", 5.6),), f"{figures(scene.stress_max, 3)} {'%' if scene.rated else 'A'}"))
    known = any(np.isfinite(state.v).any() for state in scene.states.values())
    scale = Scale(scene.voltage_word, *scene.v_range, "pu", tuple(plots.colour_stops())) if known else None
    return Legend(tuple(items), scale)


def switching(scene: Scene, current: str = "current") -> Section | None:
    """What to close and to open; `current` says which of a branch's currents is shown."""
    after = scene.states.get("after")
    if after is None:
        return None
    if not scene.opened | scene.closed:
        return section("Switching list", Words("Nothing to switch: the open points stay where they are."))
    before = scene.states["before"]
    branches = scene.grid.branches()
    kind = dict(zip(branches["name"], branches["kind"], strict=True))
    columns = ["action", "branch", "kind", "from bus", "to bus"]
    rows: list[tuple[Cell, ...]] = []
    for action, chosen in (("closes", scene.closed), ("opens", scene.opened)):
        for e in sorted(chosen):
            a, b = (scene.bus_names[i] for i in scene.ends[e])
            name = scene.branch_names[e]
            rows.append((action, name, KINDS[kind[name]], a, b, *(_current(state, e) for state in (before, after))))
    told = "The list holds what differs between the two states, not an order of switching."
    if not scene.feasible:
        told = "This is the state of least violation met, not an answer. " + told
    caption = f"{len(scene.closed)} to close, {len(scene.opened)} to open"
    currents = (Column(f"{current} today, A", 2), Column(f"{current} after, A", 2))
    return section("Switching list", table("switching", caption, [*columns, *currents], rows), Words(told, small=True))


def _current(state: State, e: int) -> float:
    return float(state.i[e]) if state.closed[e] else 0.0


def profiles(scene: Scene) -> list[Section]:
    """The voltages over the distance to the source, and the most loaded branches."""
    parts = []
    if voltage := plotcharts.voltage_chart(scene):
        told = "Voltage of every bus over the distance to its source"
        parts.append(section("Voltage profile", Panel("voltage", voltage, "", told)))
    if loading := plotcharts.loading_chart(scene):
        made, left = loading
        what = "Branch loading" if scene.rated else "Branch current"
        heading = what + (f" ({left} less loaded branches left out)" if left else "")
        parts.append(section(heading, Panel("loading", made, "", f"{what} of branches")))
    return parts


def convergence_panel(
    log: pl.DataFrame, verdict: str, identity: str = "convergence", name: str | None = None
) -> Panel | None:
    """The bounds over time; None where none was logged. `name` is its caption, None where the heading says it."""
    made = plotcharts.convergence_chart(convergence(log, verdict))
    said = f"Lower and upper bound over time, {name or verdict}"
    return None if made is None else Panel(identity, made, name or "", said)


def convergence_section(result: Answer) -> Section | None:
    """The bounds over time."""
    verdict = gap_text(result.gap, result.termination)
    panel = convergence_panel(result.head.log, verdict)
    return None if panel is None else section(f"Convergence of the bounds ({verdict})", panel)


def log_columns(log: pl.DataFrame) -> list[Spec]:
    """The numbers of a log of iterations that every method tells."""
    ending, unit = unit_of(log)
    digits = 4 if unit == "kW" else 3
    bounds = (("lower_bound", "lower bound"), ("upper_bound", "upper bound"), ("value", "value tried"))
    told = [(name + ending, f"{heading}, {unit}", digits) for name, heading in bounds]
    return [("number", "iteration", 0), ("seconds", "seconds", 3), *told]


def log_section(result: Answer, *more: Spec) -> Section | None:
    """The iterations of the method; `more` numbers of each."""
    log = result.head.log
    if not log.height:
        return None
    shown = [*log_columns(log), *more]
    columns: list[Heading] = [*(Column(heading, digits) for _, heading, digits in shown), "verdict", "mark"]
    rows = log.select(*(name for name, _, _ in shown), "verdict", "mark").iter_rows()
    listed = table("iterations", f"{log.height} iterations", columns, rows)
    return section("Log of the method", listed, long=True)


def effort_card(result: Answer, *more: str) -> Card:
    """The method, how long it took, and what more there is to say of that."""
    return Card("Method", method_words(result.method), (", ".join([f"{figures(result.seconds, 3)} s", *more]),))


def gap_card(result: Answer, bound: str) -> Card:
    """The gap between the bounds; that of states that cannot be is none."""
    return Card("Gap between the bounds", percent(result.gap, 3), (bound,))
