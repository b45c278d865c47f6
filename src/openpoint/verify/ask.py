"""The problem file: grid and question of a certificate as plain tables, which the reference checker reads.

It is written from the user's grid, tables and options, never from a certificate. docs/formats.md describes it.

Check a certificate of a grid: of the question that is asked, or of the one in the file, which is told in full.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from openpoint.arguments import Names, names_of, numbers_by_name
from openpoint.arrays import Bools, Floats
from openpoint.errors import InputError, OptionError
from openpoint.grid.grid import Grid
from openpoint.network import build_network
from openpoint.network.criteria import CRITERIA
from openpoint.network.devices import DeviceKind
from openpoint.network.limits import Limits
from openpoint.verify.asked import OPTION, Asked, Between, FuturesTable, ambiguity_text, risk_text
from openpoint.verify.lines import read_words
from openpoint.verify.proof import check, opened
from openpoint.verify.question import Question, question_of
from openpoint.verify.schema import CertificateError
from openpoint.verify.verified import Verified, weights_in_words
from openpoint.verify.year import Futures, Steps, YearLike

FORMAT = "openpoint problem 1"
KINDS = {DeviceKind.BANK: "bank", DeviceKind.VOLTAGE: "source", DeviceKind.TAP: "tap", DeviceKind.UNIT: "unit"}


def problem_text(question: Question) -> str:
    """The problem file of a question: JSON, with a line for each row of a table."""
    return (
        "{\n" + ",\n".join(f"{json.dumps(key)}: {_lines(part)}" for key, part in _problem(question).items()) + "\n}\n"
    )


def _problem(question: Question) -> dict[str, Any]:
    cost, many = question.objective.cost, question.futures
    words = None if question.asked is None else replace(question.asked, futures=False, year=False).to_json()
    return {
        "format": FORMAT,
        "s_base_kva": question.net.s_base_kva,
        "asked": words,
        "max_changes": question.max_changes,
        "change_cost": question.change_cost,
        "loss": cost.loss,
        "move": cost.move,
        "buses": _buses(question),
        "branches": _branches(question),
        "sources": _sources(question),
        "generators": _generators(question),
        "devices": _devices(question),
        "futures": None if many is None else _of_futures(many),
        "year": None if question.steps is None else _of_year(question.steps, question.net.bus_names),
    }


def _buses(question: Question) -> dict[str, Any]:
    net = question.net
    loads = {"": net.s_power, "_v": net.s_current, "_w": net.s_impedance}
    return _table(
        {"name": net.bus_names, "vn_kv": net.v_base_kv}
        | {"p_kw": net.s_power.real * net.s_base_kva, "q_kvar": net.s_power.imag * net.s_base_kva}
        | {"v_min_pu": np.sqrt(net.w_min), "v_max_pu": _ends(np.sqrt(net.w_max))}
        | {
            f"{part}{end}": getattr(s, side)
            for end, s in loads.items()
            for part, side in (("p", "real"), ("q", "imag"))
        }
        | {"w_min": question.w_min, "w_max": _ends(question.w_max)}
    )


def _branches(question: Question) -> dict[str, Any]:
    net, names = question.net, question.net.bus_names
    z, y = net.z.diagonal(), net.y_shunt.diagonal()
    ohm = net.v_base_kv[net.terminal_to] ** 2 * 1000.0 / net.s_base_kva
    locks = zip(question.must_close.tolist(), question.must_open.tolist(), strict=True)
    ends = (net.y_open_fr.real, net.y_open_fr.imag, net.y_open_to.real, net.y_open_to.imag)
    found: dict[str, Any] = (
        {"name": net.branch_names, "from": [names[k] for k in net.terminal_fr]}
        | {"to": [names[k] for k in net.terminal_to], "r_ohm": z.real * ohm, "x_ohm": z.imag * ohm}
        | {"i_max_a": _ends(np.sqrt(net.l_max) * net.i_base_a), "switchable": net.switchable, "closed": net.closed}
        | {"lock": ["closed" if close else "open" if opened else None for close, opened in locks]}
        | {"r": z.real, "x": z.imag, "g": y.real, "b": y.imag, "tap": net.tap, "l_max": _ends(question.l_max)}
        | {"rated_fr": net.rated_fr, "rated_to": net.rated_to}
        | dict(zip(("g_fr", "b_fr", "g_to", "b_to"), ends, strict=True))
        | {"current": question.objective.cost.current}
    )
    return _table(found)


def _sources(question: Question) -> dict[str, Any]:
    net, cost, supply = question.net, question.objective.cost, question.objective.supply
    limits = {end: _ends(getattr(supply, end)) for end in ("p_min", "p_max", "q_min", "q_max", "s_max")}
    at: dict[str, Any] = {"bus": [net.bus_names[k] for k in net.source_terminal]}
    return _table(at | {"v_re": net.source_v.real, "v_im": net.source_v.imag, "price": cost.source} | limits)


def _generators(question: Question) -> dict[str, Any]:
    net, cost = question.net, question.objective.cost
    prices = {"price": cost.generator, "square": cost.square, "idle": cost.idle}
    limits: dict[str, Any] = {end: getattr(net, end) for end in ("p_min", "p_max", "q_min", "q_max")}
    limits["s_max"] = _ends(question.objective.supply.generator_s_max)
    at = {"name": net.generator_names, "bus": [net.bus_names[k] for k in net.generator_terminal]}
    return _table(at | limits | prices)


def _devices(question: Question) -> dict[str, Any]:
    devices = question.devices
    kinds, values = [KINDS[DeviceKind(kind)] for kind in devices.kind], [part.tolist() for part in devices.values]
    return _table({"name": devices.names, "kind": kinds, "at": devices.place, "today": devices.today, "values": values})


def _of_futures(futures: Futures) -> dict[str, Any]:
    """Probabilities are numbers, or fractions in texts where no number is exactly that."""
    measure, demands = futures.measure, futures.demands

    def shares(parts: list[int]) -> list[float | str]:
        return [_exact(Fraction(part, measure.whole)) for part in parts]

    if isinstance(measure, Between):
        given: dict[str, Any] = {"lower": shares(measure.lower), "upper": shares(measure.upper)}
    else:
        far = measure.distance
        distance = None if far is None else [[_exact(d) for d in row] for row in far]
        given = {"nominal": shares(measure.nominal), "radius": _exact(measure.radius), "distance": distance}
    tables = {"weights": futures.weights, "p": demands.real.tolist(), "q": demands.imag.tolist()}
    return {"regret": futures.regret, "share": futures.share, "measure": given, **tables}


def _exact(value: Fraction) -> float | str:
    return float(value) if Fraction(float(value)) == value else str(value)


def _of_year(steps: Steps, names: tuple[str, ...]) -> dict[str, Any]:
    power = {"p": steps.power.real, "q": steps.power.imag}
    shares = _table({"bus": [names[k] for k in steps.bus], "follows": steps.follows, **power})
    return {"hours": steps.hours.tolist(), "profiles": steps.profile.tolist(), "shares": shares}


def _table(columns: Mapping[str, Iterable[Any]]) -> dict[str, Any]:
    plain = [list(part.tolist() if isinstance(part, np.ndarray) else part) for part in columns.values()]
    return {"columns": list(columns), "rows": [list(row) for row in zip(*plain, strict=True)]}


def _ends(limits: Floats | list[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in map(float, limits)]


def _lines(value: Any) -> str:
    """JSON with a line for each row of a table, or of a list of lists."""
    if isinstance(value, dict) and value:
        return "{" + ",\n ".join(f"{json.dumps(key)}: {_lines(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list) and any(isinstance(part, list) for part in value):
        return "[\n  " + ",\n  ".join(json.dumps(part) for part in value) + "]"
    return json.dumps(value)


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
        (OPTION["locked_open"], asked.must_open, found.must_open),
        (OPTION["locked_closed"], asked.must_close, found.must_close),
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
