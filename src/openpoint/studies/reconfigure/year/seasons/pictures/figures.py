"""Pictures of a year in blocks, for papers and notebooks."""

from __future__ import annotations

from typing import Literal, get_args

import matplotlib as mpl
from matplotlib.figure import Figure

from openpoint.report.figure import style
from openpoint.report.figure.files import check_kind, saver
from openpoint.studies.reconfigure.year.pictures.figures import duration_figure
from openpoint.studies.reconfigure.year.seasons.pictures.timeline import headline, timeline
from openpoint.studies.reconfigure.year.seasons.result import SeasonsResult

Kind = Literal["blocks", "losses", "voltages"]


def draw(result: SeasonsResult, *, kind: Kind = "blocks") -> Figure:
    """A picture of a result.

    Args:
        result: what to draw.
        kind: `blocks` (the open points of every block, and what is lost in it), `losses` or `voltages` (duration
            curves).

    Returns:
        A Matplotlib figure of its own, unknown to pyplot.

    Raises:
        OptionError: an unknown `kind`.
    """
    check_kind(kind, get_args(Kind))
    with mpl.rc_context(style.RC):
        if kind == "blocks":
            return timeline(result)
        return duration_figure(result, kind, headline(result))


save = saver(draw)
