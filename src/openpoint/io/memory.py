"""Grids in the memory of the program that called: pandapower nets, and input data of power-grid-model.

Such a grid is what its own program would write into a file, read by the reader of that file, so that both are the same.
States of branches are set in it, in place, in the cells that would change in the file.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from typing import Any

from openpoint.errors import OptionError, require_extra
from openpoint.grid.grid import Grid, refuse_locked
from openpoint.inputs import decoding, json_of
from openpoint.io import pgm as pgm
from openpoint.io import pgm as pgm_states
from openpoint.io.pandapower import read as pandapower
from openpoint.io.pandapower import states as pandapower_states
from openpoint.io.pandapower.reading import net_from_text
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
        return pandapower.grid_from_text(
            _pandapower_text(net), str(net["name"] or "net"), source="pandapower net in memory"
        )
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
    else:
        net = _pgm_utils("input data").json_deserialize(grid.origin)
    set_states(net, closed)
    return net


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
    tables = net_from_text(_pandapower_text(net), "net")
    found = pandapower_states.cells_of_states(tables, "net", grid, states)
    for cell_of_net in found:
        table, column = net[cell_of_net.table], cell_of_net.column
        table.loc[cell_of_net.row["index"], column] = table[column].dtype.type(cell_of_net.value)
    return tuple(pandapower_states.change_of(tables, each) for each in found)


def _is_pandapower(net: Mapping[str, Any]) -> bool:
    """Whether it is a net, which can only be where pandapower was imported."""
    module = sys.modules.get("pandapower")
    return module is not None and isinstance(net, module.pandapowerNet)


def _pandapower_text(net: Mapping[str, Any]) -> str:
    """What pandapower writes of a net."""
    from pandapower import to_json

    with decoding("net", "no net that pandapower can write", "Write it with pandapower.to_json, and see why"):
        return str(to_json(net))


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
