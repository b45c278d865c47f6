"""Loads, generators and capacitors of a solved OpenDSS circuit.

Service transformers with a centre tap, lumped on their primary side with everything behind them.

The two legs of their secondary side are not phases: their voltages are 180° apart. The same holds for any single-phase
transformer whose windings have different nodes; behind one between two lines there is no phase to ground. Where the
part behind is fed by nothing else, its only effect on the grid is the power that it draws from one phase or between
two. This power is taken from the solution, including the losses of the transformer and of the lines behind it, and
depends on the voltage as the loads behind it do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from openpoint.io.opendss.engine import numbers_of
from openpoint.io.opendss.reading import LETTER, Reading, in_words

# Share of power of each model in (p, q), by OpenDSS load model. 4 and 8 have exponents and shares of their own.
_SHARES = {
    1: {"power": (1.0, 1.0)},
    2: {"impedance": (1.0, 1.0)},
    3: {"power": (1.0, 0.0), "impedance": (0.0, 1.0)},
    5: {"current": (1.0, 1.0)},
    6: {"power": (1.0, 1.0)},
    7: {"power": (1.0, 0.0), "impedance": (0.0, 1.0)},
}
_FIXED_KVAR = (6, 7)
_BANDLESS = (2, 7, 8)
_CVR = {"current": (1.0, 0.0), "impedance": (0.0, 1.0)}
_BY_EXPONENT = {0.0: "power", 1.0: "current", 2.0: "impedance"}
DEGREE = {"power": 0, "current": 1, "impedance": 2}
"""Exponent of the voltage in each load model."""

_Shares = dict[str, tuple[float, float]]


def read_load(reading: Reading, element: str) -> None:
    """A load, in as many rows as it has models; powers are those at the nominal voltage of the bus."""
    engine = reading.engine
    ends = reading.ends(element)
    if ends is None:
        return
    engine.Loads.Name(element.partition(".")[2])
    bus, nodes = ends[0]
    connected = reading.connection(element, nodes, delta=bool(engine.Loads.IsDelta()))
    shares = _shares(reading, element)
    is_cvr = shares == _CVR and engine.Loads.Model() == 4
    if connected is None or shares is None:
        return
    phases, connection = connected
    kv = engine.Loads.kV() / (math.sqrt(3.0) if len(phases) > 1 and connection == "wye" else 1.0)
    of_bus = kv / (reading.bus_kv[bus] if connection == "delta" else reading.phase_kv(bus))
    scale = engine.Solution.LoadMult() if engine.Loads.Status() == 0 else 1.0
    # Fixed reactive power is not scaled by the multiplier of all loads.
    p, q = engine.Loads.kW() * scale, engine.Loads.kvar() * (1.0 if engine.Loads.Model() in _FIXED_KVAR else scale)
    band = {"v_min_pu": engine.Loads.Vminpu() * of_bus, "v_max_pu": engine.Loads.Vmaxpu() * of_bus}
    band["v_rated_pu"] = of_bus
    name = reading.name(element)
    place = {"bus": bus, "phases": phases, "connection": connection}
    parts = {model: (p * a, q * b) for model, (a, b) in shares.items() if p * a or q * b}
    if is_cvr and p > 0:
        row = {"p_kw": p / of_bus, "q_kvar": q / of_bus**2}
        reading.add("loads", name=name, **place, model="cvr", **row, **band)
        return
    for model, (part_p, part_q) in parts.items():
        by_voltage = of_bus ** -DEGREE[model]
        power = {"p_kw": part_p * by_voltage, "q_kvar": part_q * by_voltage}
        label = name if len(parts) == 1 else f"{name} ({model})"
        if part_p < 0 and model == "power":
            reading.add("generators", name=label, **place, p_kw=-power["p_kw"], q_kvar=-power["q_kvar"])
            message = f"the load is negative; it is read as a fixed generator of {-part_p:g} kW"
            reading.note(element, message, "If the sign slipped, correct it")
        else:
            # An impedance has none, but that of model 4 or 3, whose reactive power follows the voltage squared.
            own = {} if model == "impedance" and engine.Loads.Model() in _BANDLESS else band
            reading.add("loads", name=label, **place, model=model, **power, **own)


def load_parts(reading: Reading, element: str) -> dict[str, complex]:
    """The power in kVA that a load, the active element, draws in the solution, by model."""
    drawn = complex(*reading.engine.CktElement.TotalPowers()[:2])
    reading.engine.Loads.Name(element.partition(".")[2])
    shares = _shares(reading, element)
    if shares is None:
        return {}
    v = _voltage(reading)
    weights = {model: (p * v ** DEGREE[model], q * v ** DEGREE[model]) for model, (p, q) in shares.items()}
    all_p, all_q = (sum(part) or 1.0 for part in zip(*weights.values()))
    return {model: complex(drawn.real * p / all_p, drawn.imag * q / all_q) for model, (p, q) in weights.items()}


def _voltage(reading: Reading) -> float:
    """Mean voltage of the active load in the solution, per unit of its rated one, within its band."""
    engine = reading.engine
    nodes = list(engine.CktElement.NodeOrder())
    v = np.asarray(engine.CktElement.Voltages(), dtype=np.float64).view(np.complex128)
    n = int(engine.CktElement.NumPhases())
    kv = float(engine.Loads.kV())
    if engine.Loads.IsDelta() or (n == 1 and all(nodes)):
        pairs = [v[k] - v[(k + 1) % len(v)] for k in range(n)]
        size = float(np.abs(pairs).mean())
    else:
        size = float(np.abs([x for x, node in zip(v, nodes) if node][:n]).mean()) if any(nodes) else 0.0
        kv /= math.sqrt(3.0) if n > 1 else 1.0
    low, high = float(engine.Loads.Vminpu()), float(engine.Loads.Vmaxpu())
    return min(max(size / (1000.0 * kv), low), high)


def _cvr_shares(reading: Reading, element: str) -> _Shares | None:
    """Shares of a load of model 4, whose active and reactive power have exponents of their own."""
    engine = reading.engine
    e_p, e_q = engine.Loads.CVRwatts(), engine.Loads.CVRvars()
    if engine.Loads.CVRCurve() or not 0.0 <= e_p <= 2.0:
        message = f"its power follows the voltage to the powers {e_p:g} and {e_q:g}, or a curve"
        reading.fault(element, message, "Use CVRwatts of 0 to 2 and no curve")
        return None
    p, q = (_of_exponent(e, _voltage(reading)) for e in (e_p, e_q))
    if any(e not in _BY_EXPONENT for e in (e_p, e_q)):
        reading.bent.append(element)
    return {model: (p.get(model, 0.0), q.get(model, 0.0)) for model in DEGREE if model in p or model in q}


def _of_exponent(e: float, v: float) -> dict[str, float]:
    """Coefficients by model that have the value and slope of v^e at a voltage v > 0, beyond 0 … 2 the curvature too."""
    if e in _BY_EXPONENT:
        return {_BY_EXPONENT[e]: 1.0}
    if 0.0 < e < 1.0:
        return {"power": (1.0 - e) * v**e, "current": e * v ** (e - 1.0)}
    if 1.0 < e < 2.0:
        return {"current": (2.0 - e) * v ** (e - 1.0), "impedance": (e - 1.0) * v ** (e - 2.0)}
    square = 0.5 * e * (e - 1.0) * v ** (e - 2.0)
    linear = e * v ** (e - 1.0) - 2.0 * square * v
    return {"power": v**e - linear * v - square * v**2, "current": linear, "impedance": square}


def note_bent_loads(reading: Reading) -> None:
    """Add one note on all loads whose exponents are not those of a load model here."""
    if reading.bent:
        message = (
            f"the power of {len(reading.bent)} loads follows the voltage to powers that are not 0, 1 or 2: "
            f"{in_words(reading.bent)}; they are sums of power, current and impedance, exact at today's mean voltage"
        )
        reading.note(
            "",
            message,
            "At exponents of 0 to 4, 5 % of voltage away they are off by less than 0.1 %",
            changes_figures=True,
        )


def _shares(reading: Reading, element: str) -> _Shares | None:
    """Shares of p and q by model, or None and a fault."""
    engine = reading.engine
    model = int(engine.Loads.Model())
    if model in _SHARES:
        return _SHARES[model]
    if model == 4:
        return _cvr_shares(reading, element)
    if model == 8 and len(zip_v := [float(v) for v in engine.Loads.ZipV()]) == 7:
        if zip_v[6] > 0:
            reading.note(
                element,
                f"its cut-off below {zip_v[6]:g} pu is not modelled",
                "Check that no voltage is so low",
                changes_figures=True,
            )
        models = ("impedance", "current", "power")
        return {name: (zip_v[k], zip_v[k + 3]) for k, name in enumerate(models) if zip_v[k] or zip_v[k + 3]}
    reading.fault(element, f"load model {model} is not known", "Use model 1 to 8 (8 with seven coefficients)")
    return None


def read_generator(reading: Reading, element: str) -> None:
    """A generator with the output it is set to."""
    model = int(reading.value("model"))
    if model not in (1, 7):
        reading.note(element, f"generator model {model} is read as constant power", "Use model 1", changes_figures=True)
    _fixed(reading, element, reading.value("kw"), reading.value("kvar"))


def read_inverter(reading: Reading, element: str) -> None:
    """A photovoltaic system or storage with its output in the solution."""
    power = reading.engine.CktElement.TotalPowers()
    kind = "sunshine" if element.startswith("pvsystem") else "charge"
    message = f"it is read as a fixed generator with its output today; its {kind} is not modelled"
    reading.note(element, message, "Give limits of power in the table generators to let it move", changes_figures=True)
    _fixed(reading, element, -power[0], -power[1])


def _fixed(reading: Reading, element: str, p_kw: float, q_kvar: float) -> None:
    ends = reading.ends(element)
    if ends is None:
        return
    bus, nodes = ends[0]
    connected = reading.connection(element, nodes, delta=reading.is_delta())
    if connected is not None:
        place = {"bus": bus, "phases": connected[0], "connection": connected[1]}
        reading.add("generators", name=reading.name(element), **place, p_kw=p_kw, q_kvar=q_kvar)


def _kvar_of_admittance(reading: Reading, n: int, kv: float, delta: bool) -> float:
    """Reactive power in kvar of the active capacitor at a voltage of each of its n parts."""
    y = np.asarray(reading.engine.CktElement.YPrim(), dtype=np.float64).view(np.complex128)
    own = y.reshape(math.isqrt(y.size), -1).diagonal()[:n].imag / (2.0 if delta else 1.0)
    return float(own.sum()) * kv**2 * 1000.0


def read_capacitor(reading: Reading, element: str) -> None:
    """A shunt capacitor with the steps that are switched on."""
    ends = reading.ends(element)
    if ends is None:
        return
    (bus, nodes), (bus_back, back) = ends if len(ends) == 2 else (ends[0], (ends[0][0], [0]))
    n = int(reading.engine.CktElement.NumPhases())
    delta = reading.is_delta()
    if any(back) and (bus != bus_back or n > 1) and not delta:
        message = "a capacitor in series, or with a neutral that is not grounded, is not read"
        reading.fault(element, message, "Connect it to ground or in delta")
        return
    if n == 1 and any(back):
        connected: tuple[str, str] | None = ("".join(LETTER[k] for k in sorted((nodes[0], back[0]))), "delta")
    else:
        connected = reading.connection(element, nodes, delta=delta)
    if connected is None:
        return
    phases, connection = connected
    kv = reading.value("kv") / (math.sqrt(3.0) if len(phases) > 1 and connection == "wye" else 1.0)
    nominal = reading.bus_kv[bus] if connection == "delta" else reading.phase_kv(bus)
    kvar = [v * (nominal / kv) ** 2 for v in numbers_of(reading.engine, "kvar")]
    on = [v > 0 for v in numbers_of(reading.engine, "states")]
    if len(set(kvar)) > 1:
        message = (
            f"its steps differ in size, but OpenDSS computes each as large as the first, {kvar[0]:g} kvar; so here"
        )
        reading.note(element, message, "Write a capacitor for each size", changes_figures=True)
        kvar = [kvar[0]] * len(kvar)
    # Where it is given in µF or as a matrix, kvar is not valid. The engine counts the second step of a delta twice.
    if (rated := sum(v for v, is_on in zip(kvar, on) if is_on)) and not (connection == "delta" and sum(on) > 1):
        kvar = [v * _kvar_of_admittance(reading, n, nominal, delta and n == 3) / rated for v in kvar]
    place = {"bus": bus, "phases": phases, "connection": connection}
    size = {"q_kvar": sum(kvar), "steps": len(kvar), "steps_on": sum(on)}
    reading.add("capacitors", name=reading.name(element), **place, **size)


_SOURCES = ("vsource", "isource")
# Share of a load below which one of its parts is attributed to rounding.
_LEAST = 1e-12


@dataclass
class Pocket:
    """The part of the circuit behind one transformer, which is lumped.

    Attributes:
        transformer: the element. bus, nodes: where it is fed, by which of its terminals (from 0).
        buses, elements: behind it.
    """

    transformer: str
    bus: str
    nodes: list[int]
    terminal: int
    buses: set[str] = field(default_factory=set)
    elements: list[str] = field(default_factory=list)


def find_pockets(reading: Reading, elements: list[str]) -> list[Pocket]:
    """The pockets of a circuit; a transformer with a centre tap that has none is a fault when it is read."""
    ends = {element: at for element in elements if (at := _wired(reading, element))}
    units = {e: at for e, at in ends.items() if e.startswith("transformer.") and _is_split(reading, e, at)}
    if not units:
        return []
    group = Groups()
    for element, at in ends.items():
        if element not in units:
            group.join(bus for bus, _ in at)
    fed = {group.of(bus) for e, at in ends.items() if e.partition(".")[0] in _SOURCES for bus, _ in at}
    by_group: dict[str, Pocket | None] = {}
    for element, at in units.items():
        outer = [k for k, (bus, _) in enumerate(at) if group.of(bus) in fed]
        inner = {group.of(bus) for bus, _ in at} - fed
        for behind in inner:  # a part fed by two transformers, or by none, is no pocket
            is_first = behind not in by_group and len(outer) == 1 and len(inner) == 1
            by_group[behind] = Pocket(element, *at[outer[0]], outer[0]) if is_first else None
    pockets = {behind: pocket for behind, pocket in by_group.items() if pocket is not None}
    for element, at in ends.items():
        pocket = pockets.get(group.of(at[0][0])) if element not in units else None
        if pocket:
            pocket.elements.append(element)
            pocket.buses |= {bus for bus, _ in at}
    for pocket in pockets.values():
        pocket.buses |= {bus for bus, _ in ends[pocket.transformer]} - {pocket.bus}
    return list(pockets.values())


def read_pockets(reading: Reading, pockets: list[Pocket]) -> None:
    """Add the loads on the primary sides, and a note on what they represent."""
    loads_kw = losses_kw = 0.0
    for pocket in pockets:
        drawn, lost = _read_pocket(reading, pocket)
        loads_kw, losses_kw = loads_kw + drawn, losses_kw + lost
    if pockets:
        names = in_words([pocket.transformer for pocket in pockets])
        message = (
            f"{len(pockets)} single-phase transformers ({names}), whose secondary sides are no phases (a centre tap, a "
            "winding between two lines), are lumped with everything behind them as loads on their primary sides: "
            f"{loads_kw:.3f} kW net at today's voltages, and {losses_kw:.3f} kW of losses behind that are not among "
            "those of the grid"
        )
        remedy = "Where secondary sides matter, write one winding of the full voltage with the nodes of the primary"
        reading.note("", message, remedy, changes_figures=True)


def _read_pocket(reading: Reading, pocket: Pocket) -> tuple[float, float]:
    """Add the loads of a pocket; power drawn behind the transformer's losses, and those losses, in kW."""
    engine = reading.engine
    parts = dict.fromkeys(DEGREE, 0j)
    drawn = 0j
    for element in pocket.elements:
        kind = element.partition(".")[0]
        engine.Circuit.SetActiveElement(element)
        if kind == "load":
            found = load_parts(reading, element)
            for model, s in found.items():
                parts[model] += s
            drawn += sum(found.values())
        elif kind in ("generator", "pvsystem", "storage"):
            power = complex(*engine.CktElement.TotalPowers()[:2])
            parts["power"] += power
            drawn += power
    engine.Circuit.SetActiveElement(pocket.transformer)
    n = len(pocket.nodes)
    flows = np.asarray(engine.CktElement.Powers(), dtype=np.float64).view(np.complex128)
    total = complex(flows[pocket.terminal * n : (pocket.terminal + 1) * n].sum())
    parts["power"] += total - drawn
    _add(reading, pocket, parts)
    return drawn.real, (total - drawn).real


def _add(reading: Reading, pocket: Pocket, parts: dict[str, complex]) -> None:
    """Add a row for each load model, so that the parts draw this power at the voltage of the solution."""
    engine = reading.engine
    live = [node for node in pocket.nodes if node]
    engine.Circuit.SetActiveBus(pocket.bus)
    nodes, v = list(engine.Bus.Nodes()), np.asarray(engine.Bus.Voltages(), dtype=np.float64).view(np.complex128)
    u = abs(sum((v[nodes.index(node)] * sign for node, sign in zip(live, (1, -1))), 0j)) / 1000.0
    of_bus = u / (reading.phase_kv(pocket.bus) if len(live) == 1 else reading.bus_kv[pocket.bus])
    size = sum(abs(s) for s in parts.values())
    there = {model: s for model, s in parts.items() if abs(s) > _LEAST * size}
    place = {
        "bus": pocket.bus,
        "phases": "".join(LETTER[node] for node in sorted(live)),
        "connection": "wye" if len(live) == 1 else "delta",
    }
    for model, s in there.items():
        name = pocket.transformer if len(there) == 1 else f"{pocket.transformer} ({model})"
        nominal = s / of_bus ** DEGREE[model] if of_bus > 0 else s
        if nominal.real < 0:
            reading.add("generators", name=name, **place, p_kw=-nominal.real, q_kvar=-nominal.imag)
        else:
            reading.add("loads", name=name, **place, model=model, p_kw=nominal.real, q_kvar=nominal.imag)


def _wired(reading: Reading, element: str) -> list[tuple[str, list[int]]]:
    """The terminals of an element that is enabled and at buses; ties that are disabled join them as well."""
    ends, active = reading.terminals(element), reading.engine.CktElement
    is_wired = element.partition(".")[0] == "line" or (bool(active.Enabled()) and len(active.NodeOrder()) > 0)
    return ends if is_wired else []


def _is_split(reading: Reading, element: str, at: list[tuple[str, list[int]]]) -> bool:
    """Whether a transformer has one phase, two buses, and a side that is no phase of the other."""
    reading.engine.Circuit.SetActiveElement(element)
    if reading.engine.CktElement.NumPhases() != 1 or len({bus for bus, _ in at}) != 2:
        return False
    (_, near), (_, far), *more = at
    return bool(more) or sorted(near) != sorted(far) or all(near)


class Groups:
    """Groups of buses that elements join (union-find)."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def of(self, bus: str) -> str:
        """The representative bus of the group of this one."""
        here = self._above.setdefault(bus, bus)
        while here != bus:
            self._above[bus] = self._above[here]
            bus, here = here, self._above[here]
        return here

    def join(self, buses: Iterable[str]) -> None:
        first, *others = buses
        for bus in others:
            self._above[self.of(bus)] = self.of(first)
