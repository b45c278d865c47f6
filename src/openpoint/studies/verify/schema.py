"""The keys that `openpoint verify --json` writes, with their units."""

from __future__ import annotations

import json
from typing import Any

from openpoint.network.criteria import CRITERIA
from openpoint.results.schema import Schema, flag, listing, maybe, names, number, record, root, text, value, whole
from openpoint.verify import Verified
from openpoint.version import __version__

_LIMITS = {
    "voltage": flag("whether the voltage limits of the buses are kept"),
    "current": flag("whether the ratings of the branches are kept"),
    "v_min_pu": maybe("number", "lower limit of every bus without a source, pu, in place of the grid's own"),
    "v_max_pu": maybe("number", "the same from above"),
}
_QUESTION = {
    "study": value("string", "whose options the others are", enum=["reconfigure", "dispatch"]),
    "limits": record(_LIMITS, "limits that every state has to keep"),
    "locked_open": names("branches that stay open"),
    "locked_closed": names("branches that stay closed"),
    "max_changes": maybe("integer", "most branches in another state than today's; null is any"),
    "change_cost_kw": number("cost of each, kW"),
    "free": value(["array", "null"], "what may move, of dispatch", items={"type": "string"}),
    "minimize": value(["object", "null"], "weights by criterion, of dispatch", additionalProperties={"type": "number"}),
    "futures": maybe("integer", "how many futures; null: today's demand, or a year"),
    "risk": maybe("string", "what counts of the losses in many futures, as --risk"),
    "ambiguity": maybe("string", "how wrong their probabilities may be, as --ambiguity"),
    "limits_share": maybe("number", "share of the futures in which the limits are kept"),
    "steps": maybe("integer", "steps of a year"),
    "hours": maybe("number", "their length together, h"),
}
_KEYS: dict[str, Schema] = {
    "study": {"const": "claim", "description": "what was checked"},
    "version": text("version of openpoint"),
    "grid": text("name of the grid"),
    "grid_digest": text("SHA-256 of the data of the grid that the proof is about, without its limits"),
    "certificate": text("the file"),
    "asked": flag("whether the question was asked; else it is the one in the file"),
    "differs": names("how the question is another than the plain one of the grid, where none was asked"),
    "question": record(_QUESTION, "what the certificate proves the answer of"),
    "limits": text("the limits in words"),
    "measure": text("what of the losses counts, in words; empty for one demand"),
    "compared": text("what bound and value are of, in words"),
    "unit": text("unit of bound and value"),
    "bound": number("no state that the question allows has less"),
    "value": number("of the best state, by AC power flow"),
    "gap": number("(value − bound) / value"),
    "loss_kw": number("loss of the best state, kW"),
    "changes": whole("branches of the best state in another state than today's"),
    "open_branches": names("open branches of the best state"),
    "positions": listing(
        record({"device": text("name"), "position": value("integer", "as the grid counts it")}),
        "devices that the proof sets, in the best state",
    ),
    "nodes": whole("nodes of the proof"),
    "bounds": whole("bounds evaluated in integers"),
    "by_paths": whole("those of them by paths"),
    "judged": whole("radial states evaluated by power flow, but for the best one"),
}


def claim_schema() -> Schema:
    """The JSON Schema of the document."""
    return root("claim", "What a certificate proves, as `openpoint verify --json` writes it", record(_KEYS))


def claim_json(found: Verified, *, grid: str, certificate: str, asked: bool, futures: int | None) -> str:
    """The document.

    Args:
        grid: its name. certificate: the file. asked: whether a question was. futures: their number.
    """
    words, many = found.asked, found.asked.futures
    question: dict[str, Any] = {
        "study": "reconfigure" if words.minimize is None else "dispatch",
        "limits": {name: getattr(words.limits, name) for name in _LIMITS},
        "locked_open": list(found.given[0]),
        "locked_closed": list(found.given[1]),
        "max_changes": words.max_changes,
        "change_cost_kw": words.change_cost_kw,
        "free": None if words.free is None else list(words.free),
        "minimize": None if words.minimize is None else dict(words.minimize),
        "futures": futures,
        "risk": words.risk if many else None,
        "ambiguity": words.ambiguity if many else None,
        "limits_share": words.limits_share if many else None,
        "steps": found.steps or None,
        "hours": found.hours or None,
    }
    document = {
        "study": "claim",
        "version": __version__,
        "grid": grid,
        "grid_digest": found.grid_digest,
        "certificate": certificate,
        "asked": asked,
        "differs": list(found.differs),
        "question": question,
        "limits": found.limits.rstrip(","),
        "measure": found.measure,
        "compared": _compared(found),
        "unit": _unit(found),
        "bound": found.bound_kw,
        "value": found.value_kw,
        "gap": found.gap,
        "loss_kw": found.loss_kw,
        "changes": found.changes,
        "open_branches": list(found.open_branches),
        "positions": [{"device": name, "position": at} for name, at in found.positions],
        "nodes": found.nodes,
        "bounds": found.bounds,
        "by_paths": found.by_paths,
        "judged": found.judged,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _unit(found: Verified) -> str:
    weights = found.asked.minimize
    if weights is None or dict(weights) == {"losses": 1.0}:
        return "kW"
    if len(weights) == 1 and 1.0 in weights.values():
        return CRITERIA[next(iter(weights))].unit
    return "weighted sum"


def _compared(found: Verified) -> str:
    what = found.measure or (f"cost {found.prices}" if found.prices else "loss")
    if found.change_cost_kw and not found.prices:
        what += f" and {found.change_cost_kw:g} kW for each change"
    return f"{what}: of every state that the question allows (bound), and of the best state (value)"
