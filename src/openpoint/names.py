"""Lists of names as text."""

from __future__ import annotations

from collections.abc import Iterable


def join_names(names: Iterable[str]) -> str:
    """Names in one line: by blanks, or by commas where a name has a blank or comma of its own."""
    names = list(names)
    plain = all(name and not any(c.isspace() or c == "," for c in name) for name in names)
    return (" " if plain else ", ").join(names)
