"""Open points along the time: a row a branch, a bar while it is open, a mark where it is switched."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from matplotlib.axes import Axes

from openpoint.arrays import Floats
from openpoint.grid.grid import Grid
from openpoint.report.figure import style
from openpoint.report.layout.labels import shorten

OPEN_POINTS = "open branches: a bar is open; ○ opens, ● closes"
"""What the picture shows, for a title above it."""
_BAR = 0.52
"""Height of a bar, a share of its row."""


def open_rows(grid: Grid, states: Sequence[Collection[str]], switched: Collection[str], most: int) -> list[str]:
    """Branches that are open in some state, in the order of the grid; of more than `most` those that are switched."""
    somewhere = {name for state in states for name in state}
    chosen = somewhere if len(somewhere) <= most else set(switched)
    return [name for name in grid.branches()["name"] if name in chosen][:most]


def draw_open_points(
    axes: Axes,
    rows: Sequence[str],
    edges: Floats,
    states: Sequence[Collection[str]],
    before: Collection[str] | None,
) -> None:
    """Draw the rows.

    Args:
        rows: names of branches. edges: (T + 1) times at which the states begin, and the end of the last one.
        states: (T) names of the open branches. before: those open before the first state; None: nothing is before it,
            and no switching is drawn at its beginning.
    """
    for k, name in enumerate(rows):
        axes.axhline(-k - 0.5, color=style.PALE, lw=0.5, zorder=0)
        was = name in (states[0] if before is None else before)
        for t, state in enumerate(states):
            now = name in state
            if now:
                bar = (-k - 0.5 - 0.5 * _BAR, _BAR)
                axes.broken_barh([(edges[t], edges[t + 1] - edges[t])], bar, facecolor=style.LINE, lw=0)
            if now != was:
                colour = style.OPENS if now else style.CLOSES
                axes.plot([edges[t]], [-k - 0.5], "o", ms=5.0, color=colour, clip_on=False, zorder=5,
                          mfc="white" if now else colour, mew=1.3)  # fmt: skip
            was = now
    axes.set_ylim(-len(rows), 0.0)
    axes.set_yticks([-k - 0.5 for k in range(len(rows))], [shorten(name, 16) for name in rows])
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
        label.set_fontsize(7.0)
    axes.tick_params(axis="y", length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
