"""The OpenDSS engine, with all functions switched off that act outside a circuit.

Every circuit in use has an engine of its own, and an engine is cleared before each circuit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any

import numpy as np

from openpoint.arrays import Floats
from openpoint.errors import Problem, require_extra
from openpoint.io.opendss.statement import SETTING, Statement, continued
from openpoint.io.text import fault

MOST_FAULTS = 20
# OpenDSS stops at changes of 1e-4 pu; results are compared with others to 1e-6 and better.
TOLERANCE_PU = 1e-9
_ITERATIONS = 200
# Commands that start a computation, and that are allowed before any circuit.
_COMPUTING = ("solve", "calcvoltagebases", "makebuslist", "setkvbase", "reset", "init", "allocateloads", "setbusxy")
_BEFORE_A_CIRCUIT = ("set", "clear", "clearall")
# Classes that belong to no circuit, so that an object may come before it.
_OF_NO_CIRCUIT = (
    *("loadshape", "tshape", "priceshape", "growthshape", "xycurve", "spectrum", "tcc_curve", "xfmrcode"),
    *("wiredata", "cndata", "tsdata", "linespacing"),
)
_spare: list[Any] = []


def require_engine() -> None:
    """Refuse what needs the engine, where it is not installed.

    Raises:
        MissingExtraError: naming the pip command.
    """
    require_extra("opendssdirect", "phases", "A grid of single phases, or an OpenDSS script,")


def borrow_engine() -> Any:
    """An engine without a circuit: no forms, no editor, no change of folder, no shell; `hand_back` returns it."""
    require_engine()
    # Loading the library takes a moment, so it is loaded at the first use.
    import opendssdirect

    # Of all engines at once, and first: a new one would go to the folder in which the library was loaded.
    opendssdirect.Basic.AllowChangeDir(False)
    engine = _spare.pop() if _spare else opendssdirect.NewContext()
    engine.Basic.AllowForms(False)
    engine.Basic.AllowEditor(False)
    engine.Basic.AllowDOScmd(False)
    engine.Basic.ClearAll()
    # The only setting that remains after a circuit is cleared.
    engine.Text.Command("set defaultbasefrequency=60")
    return engine


def hand_back(engine: Any) -> None:
    """Return the engine for the next circuit; a discarded engine would keep its memory."""
    _spare.append(engine)


def missing_circuit(engine: Any, file: str) -> list[Problem]:
    """A fault where the statements of a file define no circuit."""
    if engine.Basic.NumCircuits() and engine.Circuit.AllElementNames():
        return []
    remedy = "A circuit begins with: New Circuit.name basekv=… bus1=…"
    return [Problem(file, "", "", "the file makes no circuit", remedy)]


def run_statements(
    engine: Any, statements: Sequence[Statement], tell: Callable[[object], None] = lambda what: None
) -> list[Problem]:
    """Run the statements; an error of the engine becomes a fault with file and line.

    `tell` is called with the number of each statement before it is run, and with every fault.

    After the engine has refused an object, computing with it or continuing it can crash the process. So after a fault
    nothing is computed, and the rest of the object is left out.
    """
    import opendssdirect

    faults: list[Problem] = []
    is_broken = False  # whether the object that `~` continues was refused
    for number, statement in enumerate(statements):
        if len(faults) >= MOST_FAULTS:
            faults.append(fault("", None, "", "and perhaps more: reading stopped here", "Correct these first"))
            break
        verb = statement.verb
        kind = statement.element.partition(".")[0] if verb == "new" else ""
        if (verb in _COMPUTING and faults) or (continued(verb) and is_broken):
            continue
        may_come_first = kind in ("circuit", *_OF_NO_CIRCUIT) or verb in _BEFORE_A_CIRCUIT
        if engine.Basic.NumCircuits() == 0 and not may_come_first:
            remedy = "A circuit begins with: New Circuit.name basekv=… bus1=…"
            faults.append(fault(statement.file.name, statement.line, "", "there is no circuit yet", remedy))
            break
        if verb == "solve" and not is_snapshot(engine, statement.text):
            continue
        tell(number)
        try:
            engine.Text.Command("solve" if verb == "solve" else statement.command)
            is_broken = is_broken and verb not in ("new", "edit")
            faults += _another(engine, statement)
        except opendssdirect.DSSException as error:
            faults.append(_fault(statement, error))
            tell(astuple(faults[-1]))
            is_broken = True
    return faults


def _another(engine: Any, statement: Statement) -> list[Problem]:
    """A fault where the engine has made or changed another object than the one that was parsed."""
    if not statement.element or statement.verb in ("batchedit", *SETTING) or not engine.Basic.NumCircuits():
        return []
    meant = "vsource.source" if statement.element.startswith("circuit.") else statement.element
    found = str(engine.Element.Name()).lower()
    if found == meant:
        return []
    message = f"OpenDSS takes this for a statement about {found}, not about {meant}"
    return [fault(statement.file.name, statement.line, "", message, "Name the object by letters, digits and _ alone")]


def is_snapshot(engine: Any, text: str = "") -> bool:
    """Whether `solve` would compute one moment, and not a series of them."""
    mode = text.lower().partition("mode")[2].lstrip(" =")
    if mode:
        return mode.startswith(("snap", "dir"))
    return engine.Solution.ModeID() in ("Snapshot", "Snap", "Direct")


def solve_today(engine: Any) -> bool:
    """Solve the circuit in its present state, with its controls, to `TOLERANCE_PU`; returns whether it converged."""
    engine.Text.Command("set mode=snapshot")
    engine.Solution.Convergence(TOLERANCE_PU)
    engine.Solution.MaxIterations(_ITERATIONS)
    engine.Solution.MaxControlIterations(_ITERATIONS)
    if solve_as_it_is(engine):
        return True
    # Where nothing grounds a part its voltages to ground may drift, which has no effect on what flows.
    was = _figures(engine)
    solve_as_it_is(engine)
    return bool(np.abs(_figures(engine) - was).max() <= TOLERANCE_PU * np.abs(was).max())


def _figures(engine: Any) -> Floats:
    """What the circuit loses and draws, kVA."""
    return np.array([*np.divide(engine.Circuit.Losses(), 1000.0), *engine.Circuit.TotalPower()])


def solve_as_it_is(engine: Any) -> bool:
    """Solve; returns whether it converged. An error of the engine counts as not converged."""
    import opendssdirect

    try:
        engine.Solution.Solve()
    except opendssdirect.DSSException:
        return False
    return bool(engine.Solution.Converged())


def property_of(engine: Any, name: str) -> str:
    """A property of the active element as text, brackets taken off."""
    return str(engine.Properties.Value(name)).strip("[]() ")


def numbers_of(engine: Any, name: str) -> list[float]:
    """A property of the active element as numbers."""
    return [float(part) for part in property_of(engine, name).replace(",", " ").replace("|", " ").split()]


def _fault(statement: Statement, error: Exception) -> Problem:
    message = str(error.args[-1] if error.args else error)
    text = message.replace("\r", "\n").rpartition("Error Description:")[2].strip()
    words = " ".join(text.split("\n")[0].split()).rstrip(".")
    return fault(statement.file.name, statement.line, "", f"OpenDSS: {words}", "Correct the statement")
