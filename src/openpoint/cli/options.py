"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openpoint.cli.completion import complete_grids

EXIT_CODES = """\b
Exit codes:
   0  solved: optimal, or within the gap asked for
   2  bad input or usage; the message names the place and the remedy
   3  proven infeasible: no topology keeps the limits; with --soft-limits the answer breaks them
   4  not proven: stopped by a limit of time or iterations, or a local optimum; the best solution is kept
  70  internal error: please report it
  74  solved, but a file asked for could not be written
 130  interrupted by Ctrl-C, the best solution is kept"""

GridArgument = Annotated[
    str,
    typer.Argument(
        metavar="GRID",
        help="A file (MATPOWER .m, OpenDSS .dss, pandapower .json, REDS .pos, Excel .xlsx), a folder of tables, or a "
        "built-in name.",
        show_default=False,
        autocompletion=complete_grids,
    ),
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON; - is the standard output.")
]
CsvOption = Annotated[Path | None, typer.Option("--csv", metavar="FOLDER", help="Write its tables as CSV files.")]
ParquetOption = Annotated[
    Path | None, typer.Option("--parquet", metavar="FOLDER", help="Write its tables as Parquet files.")
]
ExcelOption = Annotated[Path | None, typer.Option("--excel", metavar="FILE", help="Write it as a workbook, .xlsx.")]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but warnings and errors (and --json -).")
]
SwitchableOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAMES",
        help="These may be switched though the grid does not say so, as T1,T2; repeatable. Transformers need it.",
    ),
]
GapOption = Annotated[float, typer.Option(metavar="FRACTION", min=0.0, help="Relative gap to prove; 1e-4 is 0.01 %.")]
TimeLimitOption = Annotated[float | None, typer.Option(metavar="SECONDS", min=0.0, help="Stop then and keep the best.")]
VMinOption = Annotated[
    float | None,
    typer.Option(metavar="PU", min=0.0, help="Lower voltage limit of all buses, instead of the grid's."),
]
VMaxOption = Annotated[
    float | None,
    typer.Option(metavar="PU", min=0.0, help="Upper voltage limit of all buses, instead of the grid's."),
]
NoVoltageOption = Annotated[bool, typer.Option("--no-voltage-limits", help="Ignore all voltage limits.")]
NoCurrentOption = Annotated[bool, typer.Option("--no-current-limits", help="Ignore all current limits.")]
PvAsPqOption = Annotated[
    bool,
    typer.Option("--pv-as-pq", help="Generators that hold a voltage run at today's output instead."),
]
FreeQOption = Annotated[
    bool,
    typer.Option(
        "--free-q", help="Of generators that hold a voltage the reactive power is chosen within its limits instead."
    ),
]
SoftLimitsOption = Annotated[
    bool,
    typer.Option("--soft-limits", help="Where nothing keeps all limits: break them least, and of that lose least."),
]
ReportOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write a self-contained page with pictures, .html.")
]
