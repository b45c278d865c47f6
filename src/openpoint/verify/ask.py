"""Check a certificate of a grid: of the question that is asked, or of the one in the file, which is told in full."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from openpoint.arguments import Names, names_of, numbers_by_name
from openpoint.arrays import Bools
from openpoint.errors import InputError, OptionError
from openpoint.grid.grid import Grid
from openpoint.network import build_network
from openpoint.network.criteria import CRITERIA
from openpoint.network.limits import Limits
from openpoint.verify.asked import OPTION, Asked, FuturesTable, ambiguity_text, risk_text
from openpoint.verify.lines import read_words
from openpoint.verify.proof import check, opened
from openpoint.verify.question import Question, question_of
from openpoint.verify.schema import CertificateError
from openpoint.verify.verified import Verified, weights_in_words
from openpoint.verify.year import Steps, YearLike


def asked_of(
    *,
    limits: Limits | None = None,
    locked_open: Names = (),
    locked_closed: Names = (),
    max_changes: int | None = None,
    change_cost_kw: float | None = None,
    free: Names | None = None,
    minimize: str | Mapping[str, float] | None = None,
    risk: str | None = None,
    ambiguity: str | None = None,
    limits_share: float | None = None,
) -> Asked | None:
    """The question that arguments ask, as those of `reconfigure` or `dispatch`; None where none is given.

    Raises:
        OptionError: an argument that makes no sense.
    """
    given = Asked(
        limits=Limits.given(limits),
        locked_open=names_of(locked_open, "locked_open"),
        locked_closed=names_of(locked_closed, "locked_closed"),
        max_changes=max_changes,
        change_cost_kw=float(change_cost_kw or 0.0),
        free=None if free is None else _kinds(free),
        minimize=None if minimize is None else numbers_by_name(minimize, "minimize", tuple(CRITERIA), "criteria", 1.0),
        risk="expected" if risk is None else risk_text(risk),
        ambiguity=None if ambiguity is None else ambiguity_text(ambiguity),
        limits_share=1.0 if limits_share is None else float(limits_share),
    )
    named = not (limits is None and change_cost_kw is None and risk is None and limits_share is None)
    if given.free is not None and given.minimize is None:
        given = replace(given, minimize={"losses": 1.0})
    if given.minimize is not None:
        given = replace(given, minimize={name: weight for name, weight in given.minimize.items() if weight})
        if not given.minimize:
            raise OptionError("minimize gives every criterion the weight 0; give one at least a weight above 0")
    return given if named or given != Asked() else None


def _kinds(free: Names) -> tuple[str, ...]:
    """Kinds that may move, from names or from one text."""
    given = free.split(",") if isinstance(free, str) else names_of(free, "free")
    return tuple(kind.strip() for kind in given)


def verify(
    grid: Grid,
    path: Path | str,
    progress: Callable[[int, int], None] | None = None,
    *,
    asked: Asked | None = None,
    futures: FuturesTable | None = None,
    year: YearLike | None = None,
    workers: int = 1,
) -> Verified:
    """Check a certificate against a grid and a question.

    Args:
        progress: called with the bytes of the file that are checked and all of them.
        asked: the question, of which the certificate must be (`asked_of`); None: the one in the file, and the result
            says how it differs from the plain question of the grid.
        futures: what `openpoint.read_futures` reads from the table that the search had; a certificate of many futures
            needs it, and no other takes it. year: the same of `openpoint.read_year`.
        workers: processes that share the bounds of the file; under many futures and for a year there is one.

    Raises:
        InputError: the grid has faults, or a locked branch is unknown. OptionError: a question that makes no sense or
            is not covered, futures or a year of another grid. OSError: the file cannot be read.
        CertificateError: the file is no certificate of this grid and question, is damaged, or a step does not hold.
    """
    network = build_network(grid)
    if year is not None:
        Steps.of(year, network)  # a year of another grid is told before the file is read
    try:
        with opened(network, path) as archive:
            words = read_words(archive)
        _check_tables(words, futures, year)
    except CertificateError as error:
        raise CertificateError(f"{path}: refused at head: {error}") from None
    if asked is not None:
        asked = replace(asked, futures=words.futures, year=words.year)
        question = question_of(grid, asked, futures=futures, year=year)
        other = _in_file(grid, words, path)
        if differences := list(_differences(question, other)):
            what = "; ".join(differences)
            raise CertificateError(f"{path}: refused at head: it is of another question: {what}")
        return check(question, path, progress, workers=workers)
    question = _in_file(grid, words, path, futures, year)
    plain = Asked(futures=words.futures, year=words.year, minimize=None if words.minimize is None else {"losses": 1.0})
    differs = [*_differences(question_of(grid, plain), question, plain=True)]
    if question.unsupplied:
        differs.append("the limits of the power of sources and generators are left out")
    return replace(check(question, path, progress, workers=workers), differs=tuple(differs))


def _check_tables(words: Asked, futures: FuturesTable | None, year: YearLike | None) -> None:
    for there, given, what, table in (
        (words.futures, futures, "many futures", "their table (--futures)"),
        (words.year, year, "a year", "the table of its profiles (--year)"),
    ):
        if there and given is None:
            raise CertificateError(f"it is about {what}: give {table}, as the search had it")
        if given is not None and not there:
            raise CertificateError(f"it is not about {what}; leave {what} out")


def _in_file(
    grid: Grid, words: Asked, path: Path | str, futures: FuturesTable | None = None, year: YearLike | None = None
) -> Question:
    """The question in a file, which may not go with the grid."""
    try:
        return question_of(grid, words, futures=futures, year=year)
    except (InputError, OptionError) as error:
        raise CertificateError(f"{path}: refused at head: its question does not go with the grid: {error}") from None


def _differences(asked: Question, found: Question, *, plain: bool = False) -> Iterator[str]:
    """Each difference between two questions about one grid, in words; `plain`: the first is what nobody has named."""
    one, other = asked.asked or Asked(), found.asked or Asked()
    pairs: list[tuple[str, str, str]] = []
    if (one.minimize is None) != (other.minimize is None):
        studies = ["dispatch" if words.minimize is not None else "reconfigure" for words in (one, other)]
        pairs.append(("--minimize", f"the question of {studies[0]}", f"that of {studies[1]}"))
    pairs += [("limits", *_limits(one.limits, other.limits, name)) for name in vars(one.limits)]
    for option, mine, theirs in (
        (OPTION["locked_open"], asked.rules.must_open, found.rules.must_open),
        (OPTION["locked_closed"], asked.rules.must_close, found.rules.must_close),
    ):
        names = asked.net.branch_names
        pairs.append((option, _names(names, mine & ~theirs), _names(names, theirs & ~mine)))
    pairs += [(OPTION[name], mine, theirs) for (name, mine), (_, theirs) in zip(_told(one), _told(other), strict=True)]
    pairs.append((OPTION["free"], ", ".join(asked.free), ", ".join(found.free)))
    first = "plain" if plain else "asked"
    return (f"{option}: {first} {mine}, in the file {theirs}" for option, mine, theirs in pairs if mine != theirs)


def _told(words: Asked) -> list[tuple[str, str]]:
    """Numbers and texts of a question by their field."""
    return [
        ("max_changes", "any number" if words.max_changes is None else str(words.max_changes)),
        ("change_cost_kw", f"{words.change_cost_kw!r} kW"),
        ("minimize", "" if words.minimize is None else weights_in_words(dict(words.minimize))),
        ("risk", words.risk),
        ("ambiguity", words.ambiguity or "none"),
        ("limits_share", f"{words.limits_share!r} of the futures"),
    ]


def _limits(one: Limits, other: Limits, name: str) -> tuple[str, str]:
    mine, theirs = (_limit(name, getattr(limits, name)) for limits in (one, other))
    return mine, theirs


def _limit(name: str, value: float | bool | None) -> str:
    if name in ("voltage", "current"):
        return f"{name} limits of the grid" if value else f"no {name} limits"
    side = "least" if name == "v_min_pu" else "greatest"
    return f"{side} voltage as in the grid" if value is None else f"{side} voltage of {value!r} pu"


def _names(names: Iterable[str], chosen: Bools) -> str:
    found = [name for name, there in zip(names, chosen.tolist(), strict=True) if there]
    more = f" and {len(found) - 10} more" if len(found) > 10 else ""
    return f"locked {', '.join(found[:10])}{more}" if found else "-"
