"""CVXPY, imported when it is first used: that takes half a second, which a search of topologies does not need."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import cvxpy as cp
else:

    class _Cvxpy:
        """The module `cvxpy`: what is asked of it is kept."""

        def __getattr__(self, name: str) -> Any:
            value = getattr(import_module("cvxpy"), name)
            setattr(self, name, value)
            return value

    cp = _Cvxpy()

__all__ = ["cp"]
