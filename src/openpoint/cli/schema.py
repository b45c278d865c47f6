"""The command `schema`: a JSON Schema of what a study writes or reads."""

from __future__ import annotations

import inspect
import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from openpoint.cli.groups import with_parameters
from openpoint.cli.guard import guarded
from openpoint.studies.catalog import names, published


def register(app: typer.Typer) -> None:
    """Add the command, whose choices are the names in the catalogue."""
    made: Any = StrEnum
    shapes = made("Shape", [(name, name) for name in names()])
    shape = inspect.Parameter(
        "shape",
        inspect.Parameter.KEYWORD_ONLY,
        default=shapes("result"),
        annotation=Annotated[shapes, typer.Argument(metavar="SHAPE", help="What it describes.")],
    )
    app.command()(guarded(with_parameters(schema, [shape])))


def schema(shape: str) -> int:
    """Print the JSON Schema of a result or of a grid."""
    typer.echo(json.dumps(published(shape), indent=2, ensure_ascii=False))
    return 0
