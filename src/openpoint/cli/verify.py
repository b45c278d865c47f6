"""The command `verify`, and a line about the files that topology search writes by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.status import Status

from openpoint.cli.display import console, show_notes
from openpoint.cli.grid import Asked, read_sound
from openpoint.cli.guard import complain, not_written
from openpoint.cli.options import AskedOptions
from openpoint.cli.outputs import Outputs, write_document
from openpoint.cli.places import STDOUT, Place, check_places
from openpoint.cli.shell import NOT_WRITTEN
from openpoint.enclosure.claims import check_claim, is_claim
from openpoint.errors import OptionError
from openpoint.grid.balanced import has_phases
from openpoint.grid.grid import Grid
from openpoint.network.limits import Limits
from openpoint.report.terminal.words import safe
from openpoint.scenarios.futures import Futures, read_futures
from openpoint.scenarios.year.read import Year, read_year
from openpoint.verify import Asked as Question
from openpoint.verify import CertificateError, asked_of, question_of
from openpoint.verify import verify as checked
from openpoint.verify.question import problem_text

REFUSED = 5
ANOTHER = 6
"""The proof holds, and no question was asked, but it is of another question than the plain one of the grid."""


@dataclass(frozen=True)
class Tables:
    """Files that a certificate may be about beside its grid."""

    futures: Path | None = None
    year: str | None = None


@dataclass(frozen=True)
class Written:
    """Files that are written: what is proven as JSON, the problem as tables; `force`: also where others are."""

    json: Path | None = None
    export: Path | None = None
    force: bool = False


def verify(
    source: str,
    file: Path,
    of_grid: Asked,
    options: AskedOptions,
    limits: Limits | None,
    tables: Tables,
    written: Written,
    *,
    workers: int = 1,
    quiet: bool,
) -> int:
    """Read the grid and its tables, check the certificate against the question, show what it proves."""
    json = written.json
    outputs = [Place(option, path) for option, path in (("--json", json), ("--export", written.export)) if path]
    read = [Path(each) for each in (source, file, tables.futures, tables.year) if each is not None]
    check_places(outputs, [path for path in read if path.exists()], force=written.force)
    grid = read_sound(source, of_grid)
    locked_open, locked_closed = of_grid.locks(grid)
    asked = asked_of(
        limits=limits,
        locked_open=locked_open,
        locked_closed=locked_closed,
        max_changes=options.max_changes,
        change_cost_kw=options.change_cost,
        free=options.free,
        minimize=options.minimize,
        risk=options.risk,
        ambiguity=options.ambiguity,
        limits_share=options.limits_share,
    )
    futures = None if tables.futures is None else read_futures(tables.futures, grid)
    year = None if tables.year is None else read_year(tables.year, grid)
    if is_claim(file):
        plain = asked is None and json is None and not (futures or year)
        return _verify_set(grid, file, console(to_stderr=False, quiet=quiet), written.export, plain=plain)
    if has_phases(grid):
        from openpoint.search.phases.certificate import is_proof  # the kernels of phases, which a balanced grid spares

        if is_proof(file):
            if asked is not None or futures or year or json:
                message = "the certificate of a grid of phases states its question in itself; leave these options out"
                raise OptionError(message)
            return _verify_phases(grid, file, console(to_stderr=False, quiet=quiet), written.export)
    if written.export is not None and (code := _export(written.export, grid, asked, futures, year)):
        return code
    out = console(to_stderr=json == STDOUT, quiet=quiet)
    try:
        with out.status("checking …") as status:
            progress = partial(_show_progress, status)
            found = checked(grid, file, progress, asked=asked, futures=futures, year=year, workers=workers)
    except CertificateError as error:
        complain("refused", str(error))
        return REFUSED
    _show(out, grid, found)
    if found.differs:
        what = "; ".join(found.differs)
        complain("another question", f"{what}. Ask for it by these options to accept it")
    code = ANOTHER if found.differs else 0
    if json is None:
        return code
    from openpoint.studies.verify.schema import claim_json

    count = None if futures is None else len(futures)
    text = claim_json(found, grid=grid.name, certificate=str(file), asked=asked is not None, futures=count)
    try:
        write_document(json, text)
    except OSError as error:
        not_written("--json", json, error)
        return code or NOT_WRITTEN
    return code


def _verify_set(grid: Grid, file: Path, out: Console, export: Path | None, *, plain: bool) -> int:
    """Check the certificate of a set of loads."""
    if not plain:
        raise OptionError("the certificate of a set of loads states its question in itself; leave these options out")
    try:
        found = check_claim(grid, file)
    except CertificateError as error:
        complain("refused", str(error))
        return REFUSED
    _show(out, grid, found)
    from openpoint.enclosure.problem import problem_text as set_problem_text

    return 0 if export is None else _written(export, lambda: set_problem_text(grid, found.claim))


def _verify_phases(grid: Grid, file: Path, out: Console, export: Path | None) -> int:
    """Check the certificate of a grid of any phases."""
    from openpoint.search.phases.certificate import check_proof
    from openpoint.search.phases.certificate import problem_text as phases_problem_text

    try:
        with out.status("checking …") as status:
            found = check_proof(grid, file, partial(_show_progress, status))
    except CertificateError as error:
        complain("refused", str(error))
        return REFUSED
    _show(out, grid, found)
    return 0 if export is None else _written(export, lambda: phases_problem_text(grid, found))


def _written(path: Path, text: Callable[[], str]) -> int:
    """Write a problem; the exit code."""
    try:
        write_document(path, text())
    except OSError as error:
        not_written("--export", path, error)
        return NOT_WRITTEN
    return 0


def _show(out: Console, grid: Grid, found: object) -> None:
    """Show what is proved, line by line, and the notes of the grid."""
    out.print("\n".join(map(safe, str(found).splitlines())))
    show_notes(out, grid.figure_notes)


def _export(path: Path, grid: Grid, asked: Question | None, futures: Futures | None, year: Year | None) -> int:
    """Write the problem file of the question asked, or of the plain one: never of that in the certificate."""
    words = replace(asked or Question(), futures=futures is not None, year=year is not None)
    return _written(path, lambda: problem_text(question_of(grid, words, futures=futures, year=year)))


def _show_progress(status: Status, done: int, whole: int) -> None:
    status.update(f"checking … {done / whole:.0%}")


def show_proof_files(outputs: Outputs, out: Console, code: int) -> int:
    """Say whether the search wrote its certificate, and whether it left a checkpoint.

    Returns:
        The exit code: `code`, or that of a file not written where the search came to its end without the certificate.
    """
    from openpoint.search.certificate import earlier  # `verify` itself needs nothing of the search

    if outputs.certificate is not None:
        if outputs.certificate.exists():
            out.print(f"certificate: {safe(str(outputs.certificate))}")
        else:
            words = "it is written where the search ends with an answer that multipliers prove"
            full = "" if code else ", and where the disk takes it; a warning above tells if it did not"
            kept = earlier(outputs.certificate)
            old = f". The one that was there before is kept as {kept}" if kept.exists() else ""
            complain("warning", f"no certificate: {words}{full}{old}")
            code = code or NOT_WRITTEN
    if outputs.checkpoint is not None and outputs.checkpoint.exists():
        out.print(f"checkpoint: {safe(str(outputs.checkpoint))}; the same command goes on from it")
    return code
