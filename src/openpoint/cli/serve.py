"""The command `serve`: grids, questions and answers in the browser, and as REST."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from openpoint.cli.completion import complete_grids
from openpoint.cli.guard import guarded

EPILOG = """\b
Examples:
  openpoint serve my_grid.m
  openpoint serve --api-only --port 8080
  openpoint serve --mcp my_grid.m
  openpoint serve --host 0.0.0.0 --token "$(cat token)"

\b
A run is a process of its own. Grids and answers are kept in the folder, and are there again after a restart."""
_LIMITS = "Limits"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EPILOG)(guarded(serve))


def serve(
    grid: Annotated[
        list[str] | None,
        typer.Argument(metavar="[GRID…]", help="Opened at once.", show_default=False, autocompletion=complete_grids),
    ] = None,
    *,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Where it listens; 0: any.")] = 8642,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Others than this machine need a token.")] = "127.0.0.1",
    token: Annotated[
        str,
        typer.Option(
            metavar="TEXT", envvar="OPENPOINT_TOKEN", help="Lets in; default: a new one, in the printed address."
        ),
    ] = "",
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keeps grids and runs.  [default: .openpoint at home]")
    ] = None,
    api_only: Annotated[bool, typer.Option("--api-only", help="REST alone, without pages.")] = False,
    mcp: Annotated[bool, typer.Option("--mcp", help="Serve an agent on standard input and output, by MCP.")] = False,
    runs: Annotated[
        int, typer.Option(metavar="N", min=1, help="Runs at once; others wait.", rich_help_panel=_LIMITS)
    ] = 1,
    waiting: Annotated[int, typer.Option(metavar="N", help="Runs that may wait.", rich_help_panel=_LIMITS)] = 20,
    memory_mb: Annotated[
        int, typer.Option(metavar="MB", min=512, help="Memory of a run (Linux).", rich_help_panel=_LIMITS)
    ] = 4096,
    upload_mb: Annotated[int, typer.Option(metavar="MB", min=1, help="Of one upload.", rich_help_panel=_LIMITS)] = 64,
) -> int:
    """Open grids, ask studies and keep answers in the browser, or by REST. Ends with Ctrl-C."""
    from openpoint.cli.display import console
    from openpoint.web.runs import Limits, require_web

    limits = Limits(runs, waiting, memory_mb, upload_mb)
    where = (folder or Path(os.path.expanduser("~")) / ".openpoint").absolute()
    if mcp:
        from openpoint.web.server import serve_agents

        serve_agents(where, limits, grid or [])
        return 0
    require_web()
    from openpoint.web.server import Settings, token_for
    from openpoint.web.server import serve as run

    settings = Settings(host, port, token_for(host, token), where, limits, api_only)
    out = console()
    run(settings, grid or [], lambda line: out.print(line, soft_wrap=True))
    return 0
