"""The command `verify`: what a certificate proves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from openpoint.cli.groups import parameters_of, with_parameters
from openpoint.cli.guard import complain, guarded, not_written
from openpoint.cli.options import ForceOption
from openpoint.cli.outputs import write_document
from openpoint.cli.places import STDOUT, Place, check_places
from openpoint.cli.shell import NOT_WRITTEN
from openpoint.cli.study import GroupedCommand, asked_by, in_flags, parameters, plain
from openpoint.errors import OptionError
from openpoint.options import VERIFY_CODES, argument, option
from openpoint.report.terminal.words import safe
from openpoint.studies.shared import Chosen, Limited

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from openpoint.grid.grid import Grid

REFUSED = 5
ANOTHER = 6
"""The proof holds, and no question was asked, but it is of another question than the plain one of the grid."""


VERIFY_EPILOG = f"""\b
A certificate is written by reconfigure or dispatch --certificate. It holds a lower bound for every part of all radial
states; each is evaluated in integers, and the best state by an AC power flow.

\b
Examples:
  openpoint reconfigure baran33 --certificate proof.gz
  openpoint verify baran33 proof.gz
  openpoint verify my_grid.m proof.gz --futures futures.csv
  openpoint verify my_grid.m proof.gz --year profiles.csv
  openpoint verify my_grid.m proof.gz --v-min 0.95 --max-changes 4
  openpoint verify my_grid.m proof.gz --futures futures.csv --risk cvar:0.9 --json claim.json

{VERIFY_CODES}"""


@dataclass(frozen=True, kw_only=True)
class ProofQuestion(Limited, Chosen):
    """A certificate, and the question of which it must be, if any is named."""

    file: Path = argument("The certificate.", "path", unit="FILE")
    max_changes: int | None = option(None, "Switch at most so many branches.", "whole", unit="N", least=0)
    change_cost_kw: float | None = option(
        None, "Loss that one switching must save to be worth it.", "number", unit="KW", least=0.0, flag="change-cost"
    )
    free: str | None = option(None, "What may move, as of dispatch: topology,taps,…", unit="KINDS")
    minimize: str | None = option(None, "What is least, as of dispatch: losses=1,balance=0.2.", unit="WEIGHTS")
    risk: str | None = option(None, "What is minimised of the losses of the futures, as cvar:0.9.", unit="RISK")
    ambiguity: str | None = option(None, "How wrong their probabilities may be, as tv:0.2.", unit="SET")
    limits_share: float | None = option(
        None, "Share of the futures that must keep the limits.", "number", unit="SHARE", least=0.0, most=1.0
    )
    futures: Path | None = option(
        None, "The futures that the search had, if the certificate is about many: their table.", "path", unit="TABLE"
    )
    year: str | None = option(
        None,
        "The year that reconfigure-year had, if the certificate is about one; its demands are read there.",
        unit="YEAR",
    )
    workers: int = option(1, "Processes that share the bounds.", "whole", unit="N", least=1)


@dataclass(frozen=True, kw_only=True)
class Written:
    """Files that are written, and whether anything is shown."""

    json: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write what is proven as JSON; - is the standard output."),
    ] = None
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write grid and question as plain tables, for the reference checker."),
    ] = None
    force: ForceOption = False


def register(app: typer.Typer) -> None:
    """Add the command."""
    outputs = list(parameters_of(Written))

    def command(grid: str, *, geojson: Path | None, pv: Any, quiet: bool, **values: Any) -> int:
        """Check the certificate of a reconfiguration or dispatch, without the code that wrote it.

        With options of the question, a certificate of another one is refused. Without them what is proven is told in
        full.
        """
        written = Written(**{each.name: values.pop(each.name) for each in outputs})
        reads = {"geojson": geojson, "pv": plain(pv) or "hold"}
        question = asked_by(ProofQuestion, values)
        return in_flags(ProofQuestion, lambda: verify(grid, question, reads, written, quiet=quiet))

    made = with_parameters(command, [*parameters(ProofQuestion), *outputs])
    app.command("verify", cls=GroupedCommand, epilog=VERIFY_EPILOG)(guarded(made))


def verify(source: str, question: ProofQuestion, reads: Mapping[str, Any], written: Written, *, quiet: bool) -> int:
    """Read the grid and its tables, check the certificate against the question, show what it proves."""
    from openpoint.cli.display import console
    from openpoint.cli.grid import read_sound
    from openpoint.enclosure.claims import check_claim, is_claim
    from openpoint.enclosure.problem import problem_text as set_problem_text
    from openpoint.grid.balanced import has_phases
    from openpoint.scenarios.futures import read_futures
    from openpoint.scenarios.year.read import read_year
    from openpoint.verify import Asked, asked_of, question_of
    from openpoint.verify import verify as checked
    from openpoint.verify.question import problem_text

    json, file = written.json, question.file
    outputs = [Place(option, path) for option, path in (("--json", json), ("--export", written.export)) if path]
    read = [Path(each) for each in (source, file, question.futures, question.year) if each is not None]
    check_places(outputs, [path for path in read if path.exists()], force=written.force)
    grid, question = question.on(read_sound(source, **reads))
    asked = asked_of(
        limits=question.limits,
        locked_open=question.locked_open,
        locked_closed=question.locked_closed,
        max_changes=question.max_changes,
        change_cost_kw=question.change_cost_kw,
        free=question.free,
        minimize=question.minimize,
        risk=question.risk,
        ambiguity=question.ambiguity,
        limits_share=question.limits_share,
    )
    futures = None if question.futures is None else read_futures(question.futures, grid)
    year = None if question.year is None else read_year(question.year, grid)
    out = console(to_stderr=json == STDOUT, quiet=quiet)
    own = asked is not None or json is not None or bool(futures or year)
    if is_claim(file):
        _refuse(own, "of a set of loads")
        of_set = _proved(out, grid, lambda progress: check_claim(grid, file))
        return REFUSED if of_set is None else _export(written, lambda: set_problem_text(grid, of_set.claim))
    if has_phases(grid):
        # The kernels of phases, which a balanced grid spares.
        from openpoint.search.phases.certificate import check_proof, is_proof
        from openpoint.search.phases.certificate import problem_text as phases_problem_text

        if is_proof(file):
            _refuse(own, "of a grid of phases")
            states = _proved(out, grid, lambda progress: check_proof(grid, file, progress))
            return REFUSED if states is None else _export(written, lambda: phases_problem_text(grid, states))
    # The question asked, or the plain one: never that in the certificate.
    words = replace(asked or Asked(), futures=futures is not None, year=year is not None)
    tables: dict[str, Any] = {"futures": futures, "year": year}
    if code := _export(written, lambda: problem_text(question_of(grid, words, **tables))):
        return code
    workers = question.workers
    found = _proved(out, grid, lambda progress: checked(grid, file, progress, asked=asked, workers=workers, **tables))
    if found is None:
        return REFUSED
    if found.differs:
        what = "; ".join(found.differs)
        complain("another question", f"{what}. Ask for it by these options to accept it")
    code = ANOTHER if found.differs else 0
    if json is None:
        return code
    from openpoint.studies.verify.schema import claim_json

    count = None if futures is None else len(futures)
    text = claim_json(found, grid=grid.name, certificate=str(file), asked=asked is not None, futures=count)
    lost = _written("--json", json, lambda: text)
    return code or lost


def _refuse(own: bool, what: str) -> None:
    if own:
        raise OptionError(f"the certificate {what} states its question in itself; leave these options out")


Proved = TypeVar("Proved")


def _proved(out: Console, grid: Grid, check: Callable[[Callable[[int, int], None]], Proved]) -> Proved | None:
    """What a certificate proves, shown line by line with the notes of the grid; None where it is refused."""
    from openpoint.cli.display import show_notes
    from openpoint.verify import CertificateError

    try:
        with out.status("checking …") as status:
            found = check(partial(_show_progress, status))
    except CertificateError as error:
        complain("refused", str(error))
        return None
    out.print("\n".join(map(safe, str(found).splitlines())))
    show_notes(out, grid.figure_notes)
    return found


def _export(written: Written, text: Callable[[], str]) -> int:
    """Write a problem, where that is asked for; the exit code."""
    return 0 if written.export is None else _written("--export", written.export, text)


def _written(option: str, path: Path, text: Callable[[], str]) -> int:
    """Write a document; the exit code."""
    try:
        write_document(path, text())
    except OSError as error:
        not_written(option, path, error)
        return NOT_WRITTEN
    return 0


def _show_progress(status: Status, done: int, whole: int) -> None:
    status.update(f"checking … {done / whole:.0%}")
