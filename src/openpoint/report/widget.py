"""The picture of a grid as a widget of Jupyter and marimo."""

from __future__ import annotations

from functools import cache
from typing import Any

from openpoint.errors import require_extra
from openpoint.io import GridLike, read
from openpoint.report.layout.place import shortened
from openpoint.report.page.html import asset, render
from openpoint.report.page.picture import picture_of_result, picture_of_today
from openpoint.results.base import PICTURES, Result


def canvas(shown: GridLike | Result) -> Any:
    """The picture of a grid or of a result as a widget, on which branches are chosen by a click.

    The names of these are in its `chosen`, a list that may be set as well, and that a study takes:
    `openpoint.reconfigure(grid, locked_open=picture.chosen)`.

    Args:
        shown: a grid, what `read` takes for one, or a result, whose pictures are those of its report.

    Raises:
        InputError: it cannot be read.
        MissingExtraError: anywidget or Matplotlib is not installed.
    """
    require_extra(*PICTURES)
    require_extra("anywidget", "notebook", "A picture that answers clicks")
    if isinstance(shown, Result):
        grid, page = shown.grid, picture_of_result(shown)
    else:
        grid = read(shown)
        page = picture_of_today(grid)
    names = {short: name for short, name in shortened(grid.branches()["name"]).items() if short != name}
    return _widget()(page=render(page), names=names)


@cache
def _widget() -> Any:
    """The class, made when it is first asked for: what it derives from may not be installed."""
    import anywidget
    import traitlets

    tag = {"sync": True}
    traits = {
        "__doc__": "The picture of a grid, whose `chosen` are the names of the branches that were clicked.",
        "_esm": asset("widget.js"),
        "page": traitlets.Unicode().tag(**tag),
        "names": traitlets.Dict().tag(**tag),
        "chosen": traitlets.List(traitlets.Unicode()).tag(**tag),
    }
    return type("Canvas", (anywidget.AnyWidget,), traits)
