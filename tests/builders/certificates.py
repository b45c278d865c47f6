"""Certificates as their lines, to be looked at and tampered with."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

Line = list[Any]
Content = tuple[dict[str, Any], list[Line]]


ROW = {"bits": -6, "roots": -5, "phi": -4, "near": -3, "y": -2, "mu": -1}
"""Places of the multipliers in a line."""


def content(path: Path) -> Content:
    head, *lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return json.loads(head), [json.loads(line) for line in lines]


def rewritten(path: Path, head: dict[str, Any], lines: list[Line]) -> Path:
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in [head, *lines]).encode(), 1))
    return path


def changes(rng: np.random.Generator) -> tuple[int | None, float]:
    """A greatest number and a cost of changes, often none."""
    most = int(rng.integers(0, 7)) if rng.random() < 0.3 else None
    return most, float(rng.choice([1e-4, 1e-3, 1e-2])) if rng.random() < 0.3 else 0.0


def index(lines: list[Line], word: str) -> int:
    return next(at for at, line in enumerate(lines) if line[0] == word)
