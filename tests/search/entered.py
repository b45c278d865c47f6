"""A way in from Python to compiled functions that have none."""

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

from openpoint.compiled.jit import Kernel, lean


@cache
def entered(function: Callable[..., Any]) -> Callable[..., Any]:
    """A way in from Python to a compiled function that has none, or to a plain one, once for all files.

    Its machine code is kept as that of the package, so that only the first run compiles it.
    """
    if not isinstance(function, Kernel):
        return lean(function)
    # Of the code below a function for each inner one: the cache tells functions by name and by what they call.
    code, name = _outside.__code__, f"{_outside.__name__}_{function.__module__}.{function.__name__}".replace(".", "_")
    known = {"inner": function, "__name__": __name__}
    return lean(FunctionType(code.replace(co_name=name, co_qualname=name), known, name))


def _outside(*arguments: Any) -> Any:
    return inner(*arguments)  # type: ignore[name-defined]  # noqa: F821  # given in `entered`
