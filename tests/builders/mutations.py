"""Typed changes of certificates: of every field of the head and of every line, and of their order."""

import copy
import json
import math
from typing import Any

import numpy as np

WORDS = ("probe", "apply", "split", "step", "bound", "regions", "region", "parts", "part", "none", "judged")
STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 0.0, -0.0, 1e-300, 1e300, -1.0, 0.5),
    *(math.nan, math.inf, "", "1", "\u0000", "line 1", [], [[]], [True], {}, {"a": 1}),
)


def pieces_of(text: bytes) -> list[Any]:
    """The lines of an unpacked certificate."""
    return [json.loads(line) for line in text.splitlines()]


def text_of(pieces: list[Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in pieces)


def mutated(rng: np.random.Generator, pieces: list[Any]) -> tuple[list[Any], str]:
    """A certificate with one to three things changed, and what was changed."""
    pieces, told = copy.deepcopy(pieces), []
    for _ in range(1 + int(rng.integers(3)) * (rng.random() < 0.3)):
        if rng.random() < 0.1 and len(pieces) > 1:
            told.append(_lines(rng, pieces))
        else:
            at = 0 if rng.random() < 0.3 else int(rng.integers(len(pieces)))
            place = _place(rng, pieces[at])
            pieces[at], what = _changed(rng, pieces[at], place)
            told.append(f"line {at} {list(place)}: {what}")
    return pieces, "; ".join(told)


def _lines(rng: np.random.Generator, pieces: list[Any]) -> str:
    a, b = (int(k) for k in rng.integers(1, len(pieces), 2))
    way = int(rng.integers(5))
    if way == 0:
        del pieces[a]
    elif way == 1:
        pieces.insert(b, copy.deepcopy(pieces[a]))
    elif way == 2:
        pieces[a], pieces[b] = pieces[b], pieces[a]
    elif way == 3:
        del pieces[a:]
    else:
        word = WORDS[int(rng.integers(len(WORDS)))]
        pieces[a] = [word, *pieces[a][1:]] if isinstance(pieces[a], list) else [word]
    return f"order {way} of lines {a}, {b}"


def _place(rng: np.random.Generator, value: Any) -> tuple[Any, ...]:
    """A value in a line by its keys, the words of the question left out: each list as often as each of its parts."""
    place: tuple[Any, ...] = ()
    while isinstance(value, dict | list) and value and (not place or rng.random() < 0.8):
        keys = [key for key in value if key != "question"] if isinstance(value, dict) else list(range(len(value)))
        key = keys[int(rng.integers(len(keys)))]
        place, value = (*place, key), value[key]
    return place


def _changed(rng: np.random.Generator, line: Any, place: tuple[Any, ...]) -> tuple[Any, str]:
    if not place:
        return (line, "as it was") if rng.random() < 0.5 else (STRANGE[int(rng.integers(len(STRANGE)))], "strange")
    inside = line
    for key in place[:-1]:
        inside = inside[key]
    old, key = inside[place[-1]], place[-1]
    if rng.random() < 0.15:
        if isinstance(inside, list) and rng.random() < 0.5:
            inside.insert(key, copy.deepcopy(old))
            return line, "twice"
        del inside[key]
        return line, "left out"
    inside[key] = _other(rng, old)
    return line, f"{str(old)[:30]} -> {str(inside[key])[:30]}"


def _other(rng: np.random.Generator, old: Any) -> Any:
    if rng.random() < 0.25:
        return copy.deepcopy(STRANGE[int(rng.integers(len(STRANGE)))])
    if isinstance(old, bool) or old is None:
        return not old
    if isinstance(old, int):
        more = int(rng.choice([-1, 1, 2, 10, 1 << 20, -(1 << 20)]))
        return int(rng.choice([old + more, -old, old * 2, old // 2])) if abs(old) < 1 << 60 else old + more
    if isinstance(old, float):
        return float(
            old * (1.0 + rng.choice([1e-9, -1e-9, 1e-4, -1e-4, 0.1, -0.1, 1.0, -2.0])) + rng.choice([0.0, 1e-6])
        )
    if isinstance(old, str):
        return str(rng.choice([old + "x", old[:-1], old.upper(), "e1", "line 2"]))
    if isinstance(old, list) and old:
        return [old[k] for k in rng.permutation(len(old)).tolist()[: int(rng.integers(len(old) + 1))]]
    return 0
