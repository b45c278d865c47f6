"""What the tests of the command share: a tiny grid, and how a command ended."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


def tables(**more: Any) -> dict[str, Any]:
    """A ring of four buses, S-A-B-C-S, fed at S; C-S is open today. Best: open B-C."""
    return {
        "buses": {"name": ["S", "A", "B", "C"], "vn_kv": [10.0] * 4, "v_min_pu": [0.9] * 4, "v_max_pu": [1.1] * 4},
        "lines": {
            "name": ["S-A", "A-B", "B-C", "C-S"],
            "from_bus": ["S", "A", "B", "C"],
            "to_bus": ["A", "B", "C", "S"],
            "r_ohm": [0.4, 0.4, 0.4, 0.4],
            "x_ohm": [0.3, 0.3, 0.3, 0.3],
            "i_max_a": [200.0] * 4,
            "closed": [True, True, True, False],
        },
        "sources": {"name": ["grid"], "bus": ["S"]},
        "loads": {
            "name": ["a", "b", "c"],
            "bus": ["A", "B", "C"],
            "p_kw": [500.0, 400.0, 600.0],
            "q_kvar": [200.0, 100.0, 300.0],
        },
        **more,
    }
