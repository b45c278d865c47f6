"""A Matplotlib figure as a file: PNG, SVG or PDF, always the same bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib.figure import Figure

from openpoint.atomic import write_bytes
from openpoint.errors import OptionError
from openpoint.report.figure import style

Drawn = TypeVar("Drawn")
How = ParamSpec("How")
_FORMATS = ("png", "svg", "pdf")


def check_kind(kind: str, kinds: Sequence[str]) -> None:
    """Refuse a kind of picture that there is not.

    Raises:
        OptionError: an unknown kind.
    """
    if kind not in kinds:
        raise OptionError(f"There is no picture {kind!r}; choose one of {', '.join(kinds)}")


def saver(
    draw: Callable[Concatenate[Drawn, How], Figure],
) -> Callable[Concatenate[Drawn, str | Path, How], Path]:
    """The function that writes a picture of a result, of the one that draws it.

    The extension of the path says how (`.png`, `.svg` or `.pdf`); another is an OptionError.
    """

    def save(result: Drawn, path: str | Path, /, *args: How.args, **how: How.kwargs) -> Path:
        return write_figure(draw(result, *args, **how), path)

    return save


def write_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure; the extension says how (`.png`, `.svg` or `.pdf`).

    Text in SVG and PDF stays text, so that names can be searched. The same figure gives the same bytes.

    Raises:
        OptionError: another extension.
    """
    path = Path(path)
    write_bytes(path, encode(figure, format_of(path)))
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
    # A date in the file would make every copy differ; who made it is how a later run knows what it may replace.
    metadata: Any = {
        "png": {"Software": "openpoint"},
        "svg": {"Date": None, "Creator": "openpoint"},
        "pdf": {"CreationDate": None, "Creator": "openpoint"},
    }[format]
    buffer = io.BytesIO()
    with mpl.rc_context(style.RC | {"pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box is drawn for it
        figure.savefig(buffer, format=format, metadata=metadata)
    return buffer.getvalue()
