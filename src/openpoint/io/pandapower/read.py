"""pandapower nets in JSON, as `pandapower.to_json(net, path)` writes them. pandapower itself is not needed.

The file names Python classes, but none is instantiated: only its tables are decoded.

- Names are the elements' own where they are not empty and given once, else the table and index: `bus 5`, `line 12`.
- External grids, and generators marked as slack, are sources. Other voltage-holding generators are refused.
- Loads are split by model (constant power, current, impedance); negative loads become fixed generators, with a note.
  The shares are those of each load; pandapower applies their mean to all that is at the bus, generators included.
- Static generators are fixed, or dispatchable where `controllable` and limits are given; storages are fixed.
- Limits of power of external grids are those of the sources. Costs are read of them and of dispatchable generators.
- Elements out of service are left out, and so are buses that no source can reach then, with a note.

See `openpoint.io.pandapower.branches` for lines and switches, and `transformers` and `equivalents` there.

Limits and prices of what feeds a pandapower net: external grids, and generators that are dispatched.

Costs are polynomials in MW (`poly_cost`), whose € are read as $.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from openpoint.errors import InputError
from openpoint.graph import components
from openpoint.grid.grid import Grid
from openpoint.grid.profiles import FileProfiles
from openpoint.io.pandapower.branches import read_branches, read_wards
from openpoint.io.pandapower.profiles import controls_of, follow, frames_of
from openpoint.io.pandapower.reading import Net, Reading, Row, names, net_from_text, place_of, text_of, truth

_NOT_READ = ("cq0_eur", "cq1_eur_per_mvar", "cq2_eur_per_mvar2")


def limits_of(reading: Reading, row: Row, table: str, letters: Iterable[str]) -> dict[str, float | None]:
    """Limits of active (`p`) and reactive (`q`) power as columns of a row; empty where the net has none."""
    limits = {}
    for letter in letters:
        for side in ("min", "max"):
            value = reading.optional(table, row, f"{side}_{letter}_{'mw' if letter == 'p' else 'mvar'}")
            unit = "kw" if letter == "p" else "kvar"
            limits[f"{letter}_{side}_{unit}"] = None if value is None else value * 1000.0
    return limits


def supply_of(reading: Reading, row: Row, table: str) -> dict[str, float | None]:
    """Limits of power and the price of a source, as columns."""
    return _source_limits(reading, row, table) | _source_price(reading, row, table)


def _source_limits(reading: Reading, row: Row, table: str) -> dict[str, float | None]:
    """Limits of power of a source; those that cross are left out with a note."""
    limits = limits_of(reading, row, table, "pq")
    for letter, unit in (("p", "kw"), ("q", "kvar")):
        ends = (f"{letter}_min_{unit}", f"{letter}_max_{unit}")
        low, high = (limits[column] for column in ends)
        if low is not None and high is not None and low > high:
            message = f"the least power {low:g} {unit} lies above the most, {high:g} {unit}; neither is read"
            reading.note(table, row, "", message, "Exchange or correct them", changes_figures=True)
            limits |= dict.fromkeys(ends)
    return limits


def _source_price(reading: Reading, row: Row, table: str) -> dict[str, float | None]:
    """The price of the energy of a source; none where the net has none that can be read."""
    cost = _cost(reading, row, table)
    if cost is None:
        return {}
    if cost["cp2_eur_per_mw2"]:
        message = f"a source has one price for all of its energy; that of {table} {row['index']} is not read"
        reading.note("poly_cost", cost, "cp2_eur_per_mw2", message, "Leave cp2_eur_per_mw2 at 0", changes_figures=True)
        return {}
    return {"price_usd_per_kwh": cost["cp1_eur_per_mw"] / 1e3}


def generator_costs(reading: Reading, row: Row, table: str) -> dict[str, float]:
    """The costs of a generator, as columns; none where the net has none."""
    cost = _cost(reading, row, table)
    if cost is None:
        return {}
    return {
        "cost_usd_per_kwh": cost["cp1_eur_per_mw"] / 1e3,
        "cost_usd_per_kw2h": cost["cp2_eur_per_mw2"] / 1e6,
        "cost_on_usd_per_h": cost["cp0_eur"],
    }


def _cost(reading: Reading, row: Row, table: str) -> dict[str, Any] | None:
    """The row of `poly_cost` about an element, with numbers for its coefficients."""
    found = [
        cost for cost in reading.net.rows("poly_cost") if (cost.get("et"), cost.get("element")) == (table, row["index"])
    ]
    if not found:
        return None
    names = ("cp0_eur", "cp1_eur_per_mw", "cp2_eur_per_mw2")
    cost = found[0] | {name: reading.number("poly_cost", found[0], name, 0.0) for name in names}
    if cost["cp0_eur"] < 0 or cost["cp2_eur_per_mw2"] < 0:
        message = f"the cost of {table} {row['index']} has a negative constant or square, and is not read"
        reading.note("poly_cost", cost, "", message, "Give 0 or more", changes_figures=True)
        return None
    if cost["cp1_eur_per_mw"] < 0 and reading.optional(table, row, "max_p_mw") is None:
        message = f"the cost of {table} {row['index']} is below 0, and nothing limits its power; it is not read"
        reading.note("poly_cost", cost, "cp1_eur_per_mw", message, "Give max_p_mw", changes_figures=True)
        return None
    if any(reading.number("poly_cost", cost, name, 0.0) for name in _NOT_READ):
        message = f"the cost of the reactive power of {table} {row['index']} is not read"
        reading.note("poly_cost", cost, "", message, "Check that it does not matter", changes_figures=True)
    return cost


def note_costs(reading: Reading) -> None:
    """Notes on the costs of a net: their money, and those that are not read."""
    if reading.net.rows("poly_cost"):
        message = "costs in € are read as $"
        reading.note("poly_cost", None, "", message, "Convert them if the difference matters", changes_figures=True)
    if rows := reading.net.rows("pwl_cost"):
        message = f"{len(rows)} costs that are piecewise linear are not read"
        reading.note("pwl_cost", None, "", message, "Write them as polynomials in poly_cost", changes_figures=True)


# Tables of elements that have no place in a Grid, and what to do about them.
_REFUSED = {
    "dcline": "Replace them by loads and static generators",
    "asymmetric_load": "Replace them by loads (the read net is balanced)",
    "asymmetric_sgen": "Replace them by static generators (the read net is balanced)",
    **dict.fromkeys(("svc", "ssc", "tcsc"), "Replace them by shunts or static generators"),
    **dict.fromkeys(("vsc", "vsc_stacked", "vsc_bipolar", "b2b_vsc"), "Replace them by loads and static generators"),
    **dict.fromkeys(("line_dc", "load_dc", "source_dc"), "Leave the direct-current part out"),
}
_MODELS = (("current", "const_i"), ("impedance", "const_z"))


def grid_from_text(text: str, file: str, *, source: str | None = None) -> Grid:
    """The grid in the text of a pandapower JSON file; `source` says where it comes from, by default from this file.

    Raises:
        InputError: with every fault, by pandapower table, row and column.
    """
    grid = grid_from_net(net_from_text(text, file), file, source=source or f"pandapower file {file}")
    return replace(grid, origin=text)


def grid_from_net(net: Net, file: str, *, source: str) -> Grid:
    """The grid in the tables of a net; `source` says where they come from.

    Raises:
        InputError: with every fault, by table, row and column.
    """
    reading = Reading(net, file)
    controls_of(net)
    for control in net.controls:
        reading.controls.setdefault((control.element, control.index), []).append(control)
    _refuse(reading)
    _buses(reading)
    _sources(reading)
    read_branches(reading)
    _loads(reading)
    _generators(reading)
    _shunts(reading)
    read_wards(reading)
    note_costs(reading)
    if reading.faults:
        raise InputError(list(dict.fromkeys(reading.faults)))
    _drop_unreachable(reading)
    title = text_of(reading.net.values.get("name", ""))
    name = file.rpartition(".")[0] or file
    grid = Grid.from_tables(name, reading.tables, title=title, source=source, notes=reading.notes)
    followers = tuple(reading.followers)
    if not followers:
        return grid
    tables = partial(frames_of, net.series, frozenset(each.profile for each in followers))
    return replace(grid, profiles=FileProfiles(followers, tables))


def _refuse(reading: Reading) -> None:
    for table, remedy in _REFUSED.items():
        rows = reading.net.live(table)
        if rows:
            numbers = ", ".join(str(row["index"]) for row in rows[:10]) + (" …" if len(rows) > 10 else "")
            reading.fault(table, None, "", f"{len(rows)} rows in service cannot be read: {numbers}", remedy)
    if reading.net.uncontrolled:
        message = (
            f"{reading.net.uncontrolled} controllers are not read, as they set no power by a table; taps and set "
            "points stay as they are today"
        )
        reading.note(
            "controller", None, "", message, "Run them in pandapower before writing the file", changes_figures=True
        )


def _buses(reading: Reading) -> None:
    net = reading.net
    if not net.live("bus"):
        reading.fault("bus", None, "", "the net has no bus in service", "Write a net with buses")
    named = names([("bus", net.live("bus"))])
    reading.all_buses = {row["index"] for row in net.rows("bus")}
    reading.left_out("bus")
    held = [row.get("bus") for row in (*net.live("ext_grid"), *_slack_generators(reading))]
    old_places = {row["index"]: row for row in net.rows("bus_geodata")}
    for row in net.live("bus"):
        index = row["index"]
        if index in reading.bus_names:
            reading.fault("bus", row, "", "the index is given twice", "Give every bus an index of its own")
            continue
        reading.bus_names[index] = named["bus", index]
        reading.bus_kv[index] = reading.number("bus", row, "vn_kv")
        limits = {}
        if index not in held:
            # Zero means no lower limit in pandapower.
            limits = {
                "v_min_pu": reading.optional("bus", row, "min_vm_pu") or None,
                "v_max_pu": reading.optional("bus", row, "max_vm_pu") or None,
            }
        place = reading.places[named["bus", index]] = place_of(row.get("geo"), old_places.get(index))
        x, y = place or (None, None)
        reading.add("buses", name=named["bus", index], vn_kv=reading.bus_kv[index], **limits, x=x, y=y)


def _slack_generators(reading: Reading) -> list[Row]:
    return [row for row in reading.net.live("gen") if truth(row.get("slack"), instead=False)]


def _sources(reading: Reading) -> None:
    net = reading.net
    slack = _slack_generators(reading)
    named = names([("ext_grid", net.live("ext_grid")), ("gen", slack)])
    for table, rows in (("ext_grid", net.live("ext_grid")), ("gen", slack)):
        for row in rows:
            bus = reading.bus(table, row)
            if bus is None:
                continue
            v, angle = reading.number(table, row, "vm_pu", 1.0), reading.number(table, row, "va_degree", 0.0)
            name, supply = named[table, row["index"]], supply_of(reading, row, table)
            reading.add("sources", name=name, bus=reading.bus_names[bus], v_pu=v, angle_degree=angle, **supply)


def _loads(reading: Reading) -> None:
    rows = reading.net.live("load")
    named = names([("load", rows)])
    reading.left_out("load")
    for row in rows:
        bus = reading.bus("load", row)
        if bus is None:
            continue
        name, bus_name = named["load", row["index"]], reading.bus_names[bus]
        scale = 1000.0 * reading.number("load", row, "scaling", 1.0)
        p, q = (scale * reading.number("load", row, column) for column in ("p_mw", "q_mvar"))
        rest_p, rest_q = 1.0, 1.0
        for model, prefix in _MODELS:
            share_p, share_q = (_share(reading, row, prefix, letter) for letter in "pq")
            rest_p, rest_q = rest_p - share_p, rest_q - share_q
            if p * share_p or q * share_q:
                part = {"p_kw": p * share_p, "q_kvar": q * share_q}
                reading.add("loads", name=f"{name} ({model})", bus=bus_name, model=model, **part)
                follow(reading, "load", row, "loads", f"{name} ({model})", (1000.0 * share_p, 1000.0 * share_q))
        if p * rest_p < 0:
            reading.add("generators", name=f"{name} (infeed)", bus=bus_name, p_kw=-p * rest_p, q_kvar=-q * rest_q)
            follow(reading, "load", row, "generators", f"{name} (infeed)", (-1000.0 * rest_p, -1000.0 * rest_q))
            message = f"the load is negative; it is read as a fixed generator of {-p * rest_p:g} kW"
            reading.note("load", row, "p_mw", message, "If the sign slipped, correct it")
        elif p * rest_p or q * rest_q or ("load", row["index"]) in reading.controls:
            reading.add("loads", name=name, bus=bus_name, p_kw=p * rest_p, q_kvar=q * rest_q)
            follow(reading, "load", row, "loads", name, (1000.0 * rest_p, 1000.0 * rest_q))


def _share(reading: Reading, row: Row, prefix: str, letter: str) -> float:
    """Share of a model in p or q: `const_z_p_percent`, or `const_z_percent` before pandapower 3."""
    new = f"{prefix}_{letter}_percent"
    column = new if new in row else f"{prefix}_percent"
    return reading.number("load", row, column, 0.0) / 100.0


def _generators(reading: Reading) -> None:
    net = reading.net
    holders = [row for row in net.live("gen") if row not in _slack_generators(reading)]
    named = names([("sgen", net.live("sgen")), ("storage", net.live("storage")), ("gen", holders)])
    for table, sign in (("sgen", 1.0), ("storage", -1.0)):
        reading.left_out(table)
        for row in net.live(table):
            bus = reading.bus(table, row)
            if bus is None:
                continue
            scale = sign * 1000.0 * reading.number(table, row, "scaling", 1.0)
            output = {
                "p_kw": scale * reading.number(table, row, "p_mw"),
                "q_kvar": scale * reading.number(table, row, "q_mvar", 0.0),
            }
            limits = {}
            if table == "sgen" and truth(row.get("controllable"), instead=False):
                limits = limits_of(reading, row, "sgen", "pq")
            costs = generator_costs(reading, row, table) if any(v is not None for v in limits.values()) else {}
            name = named[table, row["index"]]
            reading.add("generators", name=name, bus=reading.bus_names[bus], **output, **limits, **costs)
            follow(reading, table, row, "generators", name, (1000.0 * sign, 1000.0 * sign))
    _holders(reading, holders, named)
    if net.live("storage"):
        message = "storages are read as fixed generators at today's power, or at that of their profile"
        reading.note(
            "storage", None, "", message, "Give them as controllable sgen to have them dispatched", changes_figures=True
        )


def _holders(reading: Reading, rows: list[Row], named: dict[tuple[str, int], str]) -> None:
    """Generators that hold the voltage of their bus; the reactive power of today is that of the last power flow."""
    reading.left_out("gen")
    made = {row["index"]: row for row in reading.net.rows("res_gen")}
    held_by_source = {row.get("bus") for row in (*reading.net.live("ext_grid"), *_slack_generators(reading))}
    for row in rows:
        bus = reading.bus("gen", row)
        if bus is None:
            continue
        q = reading.optional("res_gen", made[row["index"]], "q_mvar") if row["index"] in made else None
        if q is None:
            message = "its reactive power is not in the file, and taken as 0 where it does not hold its voltage"
            reading.note("gen", row, "", message, "Run the power flow in pandapower before writing the file")
        p = reading.number("gen", row, "p_mw") * reading.number("gen", row, "scaling", 1.0)
        given: dict[str, Any] = {"p_kw": 1000.0 * p, "q_kvar": 1000.0 * (q or 0.0)}
        if bus not in held_by_source:
            given |= {"v_pu": reading.number("gen", row, "vm_pu"), **limits_of(reading, row, "gen", "q")}
        reading.add("generators", name=named["gen", row["index"]], bus=reading.bus_names[bus], **given)
        follow(reading, "gen", row, "generators", named["gen", row["index"]], (1000.0, 1000.0))


def _shunts(reading: Reading) -> None:
    rows = reading.net.live("shunt")
    named = names([("shunt", rows)])
    for row in rows:
        bus = reading.bus("shunt", row)
        if bus is None:
            continue
        if truth(row.get("step_dependency_table"), instead=False):
            reading.fault("shunt", row, "step_dependency_table", "tables are not read", "Give p and q of a step")
        kv = reading.bus_kv[bus]
        ratio = kv / (reading.number("shunt", row, "vn_kv", kv) or math.nan)
        scale = 1000.0 * ratio * ratio
        p, q = (scale * reading.number("shunt", row, column, 0.0) for column in ("p_mw", "q_mvar"))
        step = reading.whole("shunt", row, "step", 1)
        steps = max(reading.whole("shunt", row, "max_step", 1), step, 1)
        name, bus_name = named["shunt", row["index"]], reading.bus_names[bus]
        if q < 0:
            reading.add("capacitors", name=name, bus=bus_name, q_kvar=-q * steps, steps=steps, steps_on=step)
        if step and (p or q > 0):
            load = {"p_kw": p * step, "q_kvar": max(q, 0.0) * step}
            reading.add("loads", name=f"{name} (shunt)", bus=bus_name, model="impedance", **load)


def _drop_unreachable(reading: Reading) -> None:
    """Leave out buses that no source reaches, with all elements connected to them."""
    tables = reading.tables
    number = {row["name"]: i for i, row in enumerate(tables.get("buses", []))}
    kinds = ("lines", "switches", "transformers")
    ends = [(number[r["from_bus"]], number[r["to_bus"]]) for k in kinds for r in tables.get(k, [])]
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    part = components(len(number), pairs[:, 0], pairs[:, 1])
    fed = {int(part[number[row["bus"]]]) for row in tables.get("sources", [])}
    lost = {name for name, i in number.items() if int(part[i]) not in fed}
    if not lost or not fed:
        return
    for rows in tables.values():
        rows[:] = [r for r in rows if not lost.intersection((r.get("bus"), r.get("from_bus"), r.get("to_bus")))]
    tables["buses"] = [row for row in tables["buses"] if row["name"] not in lost]
    shown = ", ".join(sorted(lost)[:10]) + (" …" if len(lost) > 10 else "")
    message = f"{len(lost)} buses that no external grid reaches are left out: {shown}"
    reading.note("bus", None, "", message, "Put what connects them into service to keep them", changes_figures=True)
