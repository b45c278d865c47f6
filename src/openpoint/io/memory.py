"""Grids in the memory of the program that called: pandapower nets, and input data of power-grid-model.

Such a grid is what its own program would write into a file, read by the reader of that file, so that both are the same.
States of branches are set in it, in place, in the cells that would change in the file.
"""

from __future__ import annotations

import copy
import datetime
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import polars as pl

from openpoint.errors import OptionError, require_extra
from openpoint.grid.grid import Grid, refuse_locked
from openpoint.grid.profiles import FileProfiles
from openpoint.inputs import decoding, json_of
from openpoint.io import pgm as pgm
from openpoint.io import pgm as pgm_states
from openpoint.io.pandapower import read as pandapower
from openpoint.io.pandapower import states as pandapower_states
from openpoint.io.pandapower.profiles import made_controls, take_band, with_times
from openpoint.io.pandapower.reading import Net, net_from_text
from openpoint.io.switch_states import Change, refuse_difference

_HELP = "Give a pandapower net, or input data of power-grid-model for one scenario"


def is_grid(value: object) -> bool:
    """Whether it is a pandapower net, or a mapping with the nodes of power-grid-model."""
    return isinstance(value, Mapping) and (_is_pandapower(value) or "node" in value)


def grid_of(net: Mapping[str, Any]) -> Grid:
    """The grid in a pandapower net or in input data of power-grid-model, which stays as it is.

    Raises:
        InputError: with every fault, by table, row and column, or by component, id and attribute.
        OptionError: another mapping, and power-grid-model is not installed.
    """
    if _is_pandapower(net):
        tables, text, parts = _pandapower(net)
        grid = pandapower.grid_from_net(tables, str(net["name"] or "net"), source="pandapower net in memory")
        profiles = replace(grid.profiles or FileProfiles((), dict), parts=parts) if parts else grid.profiles
        return replace(grid, origin=text, profiles=profiles)
    return pgm.grid_from_text(_pgm_text(net), "input", source="power-grid-model input in memory")


def net_of(grid: Grid, program: str, closed: Mapping[str, bool]) -> Any:
    """A new net of the program that the grid comes from, as it was read, in which branches have other states.

    Args:
        program: `pandapower`, whose own reader makes it, or `power-grid-model`. closed: as of `set_states`.

    Raises:
        OptionError: the grid was read from something else.
        MissingExtraError: pandapower is not installed.
        InputError: as of `set_states`.
    """
    if not grid.origin or pgm.is_input(grid.origin) == (program == "pandapower"):
        raise OptionError(
            f"{grid.name} was not read from a net of {program} but from: {grid.source or 'tables'}. "
            "`openpoint.write_back` writes the states into its own file, `openpoint.write` the grid into other formats"
        )
    if program == "pandapower":
        require_extra("pandapower", "pandapower", "A pandapower net")
        from pandapower import from_json_string

        net = from_json_string(grid.origin)
        for name, part in grid.profiles.parts.items() if grid.profiles is not None else ():
            net[name] = copy.deepcopy(part)
    else:
        net = _pgm_utils("input data").json_deserialize(grid.origin)
    set_states(net, closed)
    return net


def switches_of(grid: Grid) -> dict[str, str]:
    """Number and name of the switch of each branch, in the net that was read; empty where it has none."""
    if not grid.origin or pgm.is_input(grid.origin):
        return {}
    return pandapower_states.switches_in_words(net_from_text(grid.origin, "net"), grid)


def set_states(net: Mapping[str, Any], closed: Mapping[str, bool]) -> tuple[Change, ...]:
    """Give branches of a grid in memory their states, in place; nothing is set if one cannot be.

    Args:
        net: as of `grid_of`. closed: states by name; branches that are not named, or that have this state, stay.

    Returns:
        What was changed.

    Raises:
        InputError: it has faults, no branch of this name, a locked one, or cannot hold a state.
    """
    if not is_grid(net):
        raise OptionError(f"{type(net).__name__} is no grid in memory. {_HELP}")
    grid = grid_of(net)
    wanted = grid.with_closed(closed)
    today = dict(grid.branches().select("name", "closed").iter_rows())
    states = {name: bool(state) for name, state in closed.items() if today[name] != state}
    refuse_locked(grid, states)
    trial = copy.deepcopy(net)
    _set(trial, grid, states)
    refuse_difference("net", wanted, grid_of(trial))
    return _set(net, grid, states)


def _set(net: Mapping[str, Any], grid: Grid, states: Mapping[str, bool]) -> tuple[Change, ...]:
    if not _is_pandapower(net):
        cells = list(pgm_states.cells_of(json_of(_pgm_text(net), "input", _HELP), "input", grid, states))
        for cell in cells:
            net[cell.component][cell.attribute][cell.number] = int(cell.change.closed)
        return tuple(cell.change for cell in cells)
    tables, *_ = _pandapower(net)
    found = pandapower_states.cells_of_states(tables, "net", grid, states)
    for cell_of_net in found:
        table, column = net[cell_of_net.table], cell_of_net.column
        table.loc[cell_of_net.row["index"], column] = table[column].dtype.type(cell_of_net.value)
    return tuple(pandapower_states.change_of(tables, each) for each in found)


def _is_pandapower(net: Mapping[str, Any]) -> bool:
    """Whether it is a net, which can only be where pandapower was imported."""
    module = sys.modules.get("pandapower")
    return module is not None and isinstance(net, module.pandapowerNet)


def _pandapower(net: Mapping[str, Any]) -> tuple[Net, str, dict[str, Any]]:
    """The tables of a net, what pandapower writes of it, and the parts that are left out there, which take long.

    Tables of profiles, and controllers with such tables, are handed on as they are.
    """
    from pandapower import to_json

    frames = {index: _frame_of(controller) for index, controller in net["controller"]["object"].items()}
    taken = ["profiles"] if isinstance(net.get("profiles"), Mapping) else []
    taken += ["controller"] if any(frame is not None for frame in frames.values()) else []
    bare: Any = copy.copy(net)
    for name in taken:
        bare[name] = {} if name == "profiles" else net[name].iloc[:0]
    with decoding("net", "no net that pandapower can write", "Write it with pandapower.to_json, and see why"):
        text = str(to_json(bare))
    made = net_from_text(text, "net")
    for key, frame in net["profiles"].items() if "profiles" in taken else ():
        made.series[".".join(key) if isinstance(key, tuple) else str(key)] = partial(_polars, frame)
    if "controller" in taken:
        _add_controllers(net["controller"], frames, made)
    return made, text, {name: net[name] for name in taken}


def _add_controllers(table: Any, frames: Mapping[Any, Any], made: Net) -> None:
    """Take the controllers of a net that set powers by tables, and count the others."""
    known: dict[int, str] = {}
    for index, controller in table["object"].items():
        if not table["in_service"][index]:
            continue
        found, frame = [], frames[index]
        if frame is not None:
            name = known.setdefault(id(frame), f"controller {index}")
            made.series[name] = partial(_polars, frame)
            found = made_controls(name, {key: _plain(value) for key, value in vars(controller).items()})
        made.controls += found
        of = {key: _plain(value) for key, value in vars(controller).items()}
        made.uncontrolled += not (found or take_band(made, {"_class": type(controller).__name__, "_object": of}))


def _frame_of(controller: Any) -> Any:
    """The table by which a controller sets values; None of any other."""
    source = getattr(controller, "data_source", None)
    is_constant = {"ConstControl"} & {each.__name__ for each in type(controller).__mro__}
    return getattr(source, "df", None) if is_constant else None


def _plain(value: Any) -> Any:
    """A value of numpy as one of Python."""
    return value.tolist() if callable(getattr(value, "tolist", None)) else value


def _polars(frame: Any) -> pl.DataFrame:
    """A table of pandas, with its times."""
    with decoding("profiles", "no table of profiles", "Give pandas frames of numbers, with times in a column time"):
        columns = {str(name): frame[name].to_numpy() for name in frame.columns}
        made = pl.DataFrame({name: pl.Series(name, values.tolist(), strict=False) for name, values in columns.items()})
        index = [each.isoformat() if isinstance(each, datetime.datetime) else _plain(each) for each in frame.index]
        return with_times(made, index)


def _pgm_text(net: Mapping[str, Any]) -> str:
    """What power-grid-model writes of input data."""
    utils = _pgm_utils(type(net).__name__)
    with decoding("input", "no input data of power-grid-model", _HELP):
        return str(utils.json_serialize(dict(net)))


def _pgm_utils(kind: str) -> Any:
    """The module of power-grid-model that reads and writes what is of this kind.

    Raises:
        OptionError: it is not installed.
    """
    try:
        from power_grid_model import utils
    except ImportError:
        raise OptionError(f"a {kind} is no grid, or of power-grid-model, which is not installed. {_HELP}") from None
    return utils
