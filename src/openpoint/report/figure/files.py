"""A Matplotlib figure as a file: PNG, SVG or PDF, always the same bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from openpoint.errors import OptionError
from openpoint.report.figure import style

_FORMATS = ("png", "svg", "pdf")


def check_kind(kind: str, kinds: Sequence[str]) -> None:
    """Refuse a kind of picture that there is not.

    Raises:
        OptionError: an unknown kind.
    """
    if kind not in kinds:
        raise OptionError(f"There is no picture {kind!r}; choose one of {', '.join(kinds)}")


def write_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure; the extension says how (`.png`, `.svg` or `.pdf`).

    Text in SVG and PDF stays text, so that names can be searched. The same figure gives the same bytes.

    Raises:
        OptionError: another extension.
    """
    path = Path(path)
    path.write_bytes(encode(figure, format_of(path)))
    return path


def format_of(path: Path) -> str:
    """The format that an extension names.

    Raises:
        OptionError: another extension.
    """
    format = path.suffix.lower().lstrip(".")
    if format not in _FORMATS:
        raise OptionError(f"{path.name}: the extension must be one of {', '.join('.' + f for f in _FORMATS)}")
    return format


def encode(figure: Figure, format: str) -> bytes:
    """A figure as a PNG, SVG or PDF file; always the same bytes, text stays text."""
    # A date in the file would make every copy differ.
    metadata: Any = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format, {})
    buffer = io.BytesIO()
    with mpl.rc_context(style.RC | {"pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box is drawn for it
        figure.savefig(buffer, format=format, metadata=metadata)
    return buffer.getvalue()
