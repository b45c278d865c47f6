"""Colours of all pictures and how a Figure is made without pyplot, so that nothing global is left behind."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers; what changes is shown by a shape as well.
INK = "#1f2933"
SOFT = "#5f6c7b"
LINE = "#56636f"
PALE = "#d5dbe1"
OPENS = "#c2410c"
CLOSES = "#0063a6"
BROKEN = "#b3004b"
BEFORE = "#8a94a0"
AFTER = "#0063a6"
UNKNOWN = "#e4e8ec"
MEAN = "#b25e00"
HARDENED = "#b8860b"
DEAD = "#aab4be"
# Islands of substations are calm, those of backup generators vivid.
FED = ("#52657a", "#8a7a5c", "#7d6b91", "#5c8a78")
# Told apart from each other and from DEAD in each kind of colour blindness (a test holds it).
ISLANDS = ("#009e73", "#8e44ad", "#e69f00", "#332288", "#7a3b12", "#d55e00")
COLOURS = "viridis"

# Names of the user are never TeX, whatever the user's own style says.
RC: Any = {
    "text.usetex": False,
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": "#9aa5b1",
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 160,
    "svg.fonttype": "none",
    "svg.hashsalt": "openpoint",
}


class Picture(Figure):
    """A Figure that notebooks show by itself, although pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def ink_on(colour: str) -> str:
    """Black or white, whichever reads better on a colour (the relative luminance of WCAG)."""
    r, g, b = (((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92 for c in to_rgb(colour))
    return INK if 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.2 else "white"
