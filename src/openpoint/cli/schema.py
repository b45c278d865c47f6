"""The command `schema`: a JSON Schema of what a study writes or reads."""

from __future__ import annotations

import inspect
import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from openpoint.cli.groups import with_parameters
from openpoint.cli.guard import guarded
from openpoint.studies.catalog import names, published, requested


def register(app: typer.Typer) -> None:
    """Add the command, whose choices are the names in the catalogue."""
    made: Any = StrEnum
    shapes = made("Shape", [(name, name) for name in names()])
    shape = inspect.Parameter(
        "shape",
        inspect.Parameter.KEYWORD_ONLY,
        default=shapes("reconfigure"),
        annotation=Annotated[shapes, typer.Argument(metavar="SHAPE", help="What it describes.")],
    )
    request = inspect.Parameter(
        "request",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--request", help="What the study is asked, not what it answers.")],
    )
    app.command()(guarded(with_parameters(schema, [shape, request])))


def schema(shape: str, request: bool) -> int:
    """Print the JSON Schema of a result or of a grid."""
    found = requested(shape) if request else published(shape)
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    return 0
