"""Which switches stand at the branches of a pandapower net, and whether they are closed."""

from __future__ import annotations

from typing import Any

from openpoint.io.pandapower.json import Net, Row, truth


def switches_of(net: Net, et: str) -> dict[Any, list[Row]]:
    """The switches of a branch, by its index; `et`: l for lines, t and t3 for transformers."""
    found: dict[Any, list[Row]] = {}
    for row in net.rows("switch"):
        if row.get("et") == et and isinstance(row.get("element"), (int, float)):
            found.setdefault(row["element"], []).append(row)
    return found


def is_closed(row: Row) -> bool:
    """Whether a switch is closed."""
    return truth(row.get("closed"), instead=True) and truth(row.get("in_service"), instead=True)


def state_of(switches: list[Row]) -> Row:
    """Columns of a branch: switchable if it has a switch, closed if all are."""
    return {"switchable": bool(switches), "closed": all(is_closed(row) for row in switches)}
