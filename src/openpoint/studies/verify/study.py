"""Verify: whether a certificate proves what is asked of a grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from openpoint.arguments import Names, path_of
from openpoint.enclosure.claims import ProvedSet, check_claim
from openpoint.grid.today import as_asked
from openpoint.io import GridLike, read
from openpoint.network.limits import Limits
from openpoint.scenarios.futures import FuturesLike, FuturesRecipe, read_futures, text_of
from openpoint.scenarios.year.read import YearLike, read_year
from openpoint.search.phases.certificate import ProvedStates, check_proof
from openpoint.studies.shared import split
from openpoint.twostage.ambiguity import Ambiguity
from openpoint.twostage.risk import Risk
from openpoint.verify import Verified, asked_of, verify


def verify_certificate(
    grid: GridLike,
    path: str | Path,
    *,
    limits: Limits | None = None,
    locked_open: Names = (),
    locked_closed: Names = (),
    switchable: Names = (),
    max_changes: int | None = None,
    change_cost_kw: float | None = None,
    free: Names | None = None,
    minimize: str | Mapping[str, float] | None = None,
    futures: FuturesLike | None = None,
    risk: Risk | str | None = None,
    ambiguity: Ambiguity | FuturesRecipe | str | None = None,
    limits_share: float | None = None,
    year: YearLike | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Verified:
    """What a certificate of `reconfigure` or `dispatch` proves about a grid, checked without the code that wrote it.

    Where any argument up to `limits_share` is given, these are the question, with the meaning that they have there, and
    a certificate of another one is refused, naming each difference. Without them the question is the one in the file;
    the result tells it in full, and `differs` how it is another than the plain question of the grid. All numbers of the
    question are made from the grid, the tables and these words, none is taken from the file.

    Args:
        grid: the grid, a path or a name that `read` takes. path: of the certificate.
        limits, locked_open, locked_closed, max_changes, change_cost_kw: as of `reconfigure`. switchable: the same,
            which is part of the grid.
        free, minimize: as of `dispatch`; either makes the question one of dispatch.
        futures: the table that the search had; a certificate of many futures needs it. risk, ambiguity, limits_share:
            as of `reconfigure`; texts such as `"cvar:0.9"` and `"tv:0.2"` are taken, too.
        year: the year that the search had; a certificate of a year needs it.
        workers: processes that share the bounds of the file. progress: called with the number of lines checked and
            their total number.

    Raises:
        InputError: the grid, the futures or the year have faults, or a locked branch is unknown.
        OptionError: a question that makes no sense or that certificates do not cover.
        openpoint.verify.CertificateError: the certificate is refused, saying where and why.
        OSError: the file cannot be read.
    """
    known = as_asked(read(grid), switchable, (), ())
    words = ambiguity if isinstance(ambiguity, str) else text_of(ambiguity)
    asked = asked_of(
        limits=limits,
        locked_open=split(known, locked_open, "locked_open"),
        locked_closed=split(known, locked_closed, "locked_closed"),
        max_changes=max_changes,
        change_cost_kw=change_cost_kw,
        free=free,
        minimize=minimize,
        risk=risk.text if isinstance(risk, Risk) else risk,
        ambiguity=words,
        limits_share=limits_share,
    )
    return verify(
        known,
        path_of(path, "path"),
        progress,
        asked=asked,
        futures=None if futures is None else read_futures(futures, known),
        year=None if year is None else read_year(year, known),
        workers=workers,
    )


def verify_set(grid: GridLike, path: str | Path) -> ProvedSet:
    """What a certificate of `enclose` or `partition` proves of a grid for every load of its set, in exact AC.

    All numbers are made from the grid and from the words of the file: set, limits, switches, set-points, policy. Its
    voltages and radii are checked without an inverse, in floating point whose rounding is allowed for. Of a certificate
    of `partition` all limits are proved to hold; of `enclose` the result says whether they are.

    Args:
        grid: the grid, a path or a name that `read` takes. path: of the certificate.

    Raises:
        openpoint.verify.CertificateError: the certificate is refused, saying why. OSError: the file cannot be read.
    """
    return check_claim(read(grid), path_of(path, "path"))


def verify_phases(
    grid: GridLike, path: str | Path, *, progress: Callable[[int, int], None] | None = None
) -> ProvedStates:
    """What a certificate of `reconfigure` proves of a grid of any phases: the least loss of its radial states.

    All numbers are made from the grid and from the words of the file: locks, number and price of changes, the box of
    voltages. Its multipliers are checked by the theorem of docs/methods.md M43 in code of its own, in floating point
    whose rounding is allowed for, and radial states by sweeps of its own.

    Args:
        grid: the grid, a path or a name that `read` takes. path: of the certificate. progress: called with the bytes
            that are read and their total number.

    Raises:
        openpoint.verify.CertificateError: the certificate is refused, saying why. OSError: the file cannot be read.
    """
    return check_proof(read(grid), path_of(path, "path"), progress)
