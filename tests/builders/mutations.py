"""Typed changes of certificates: of every field of the head and of every line, of their order, and of the numbers in
binary that follow them."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.builders.certificates import followed_by

Piece = tuple[Any, bytes]
"""A line, and the bytes that follow it."""
WORDS = ("probe", "apply", "split", "step", "bound", "regions", "region", "parts", "part", "none", "judged")
STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 0.0, -0.0, 1e-300, 1e300, -1.0, 0.5),
    *(math.nan, math.inf, "", "1", "\u0000", "line 1", [], [[]], [True], {}, {"a": 1}),
)


def pieces_of(text: bytes, buses: int) -> list[Piece]:
    """The lines of an unpacked certificate of a grid with so many buses, each with the bytes that follow it."""
    found, at = [], 0
    for end, follows in followed_by(text, buses):
        found.append((json.loads(text[at:end]), text[end + 1 : end + 1 + follows]))
        at = end + 1 + follows
    return found


def text_of(pieces: list[Piece]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" + block for line, block in pieces)


def mutated(rng: np.random.Generator, pieces: list[Piece]) -> tuple[list[Piece], str]:
    """A certificate with one to three things changed, and what was changed."""
    pieces, told = [(copy.deepcopy(line), block) for line, block in pieces], []
    for _ in range(1 + int(rng.integers(3)) * (rng.random() < 0.3)):
        way = rng.random()
        if way < 0.1 and len(pieces) > 1:
            told.append(_lines(rng, pieces))
        elif way < 0.3 and any(block for _, block in pieces):
            told.append(_block(rng, pieces))
        else:
            at = 0 if rng.random() < 0.3 else int(rng.integers(len(pieces)))
            line, block = pieces[at]
            places = [place for place in _places(line) if place != ("question",) and place[:1] != ("question",)]
            place = places[int(rng.integers(len(places)))] if places else ()
            line, what = _changed(rng, line, place)
            pieces[at] = line, block
            told.append(f"line {at} {list(place)}: {what}")
    return pieces, "; ".join(told)


def _lines(rng: np.random.Generator, pieces: list[Piece]) -> str:
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
        pieces[a] = ([word, *pieces[a][0][1:]] if isinstance(pieces[a][0], list) else [word], pieces[a][1])
    return f"order {way} of lines {a}, {b}"


def _block(rng: np.random.Generator, pieces: list[Piece]) -> str:
    some = [at for at, (_, block) in enumerate(pieces) if block]
    at = some[int(rng.integers(len(some)))]
    block = bytearray(pieces[at][1])
    k = int(rng.integers(len(block)))
    way = int(rng.integers(4))
    if way < 3:
        block[k] = (block[k] + int(rng.choice([1, 255, 16, 128]))) % 256
    elif len(block) > 1:
        del block[k]
    pieces[at] = pieces[at][0], bytes(block)
    return f"byte {k} after line {at}"


def _places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from _places(part, (*here, key))


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
