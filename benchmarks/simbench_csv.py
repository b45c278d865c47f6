"""SimBench CSV folders against the pandapower nets that simbench's own converter makes of the same tables.

    python -m benchmarks.simbench_csv 1-MV-comm--0-sw 1-MV-rural--0-sw

Then the topology that branch exchange finds is written back into a copy of the tables, from which simbench's converter
makes a net anew: its loss by pandapower is that of the answer.

Exit status 1: other names, states or ends, or a loss that differs by more than 1e-8 of itself, of the copy 1e-6.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import warnings
from pathlib import Path

import openpoint
from openpoint.io.write_back import write_back

EXACT = 1e-8
WRITTEN = 1e-6
"""Both power flows stop at their own tolerances."""
NAMES = ("1-MV-comm--0-sw", "1-MV-rural--0-sw")


def main() -> int:
    good = True
    for code in sys.argv[1:] or NAMES:
        with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            folder = written(code, Path(place))
            mine, theirs = openpoint.read(folder), openpoint.read(folder.with_suffix(".json"))
            losses = [openpoint.run_powerflow(grid).loss_kw for grid in (mine, theirs)]
            same = all(_rows(mine, kind) == _rows(theirs, kind) for kind in mine.tables())
            mine_after, theirs_after, changes = after(folder)
        near = abs(losses[0] - losses[1]) <= EXACT * abs(losses[1])
        near &= abs(mine_after - theirs_after) <= WRITTEN * abs(theirs_after)
        good &= same and near
        print(f"{code}: names, states and ends {'equal' if same else 'DIFFER'}, loss {losses[0]} and {losses[1]} kW")
        print(f"  written back with {changes} changes: loss {mine_after} kW, by pandapower {theirs_after} kW")
    return 0 if good else 1


def after(folder: Path) -> tuple[float, float, int]:
    """The loss of an answer that is written back, by openpoint and by pandapower from the copy; and the changes."""
    import pandapower
    from simbench.converter.csv_pp_converter import csv2pp

    anywhere = openpoint.Limits(voltage=False, current=False)
    answer = openpoint.reconfigure(folder, method=openpoint.BranchExchange(), limits=anywhere)
    copy = folder.with_name("copy")
    changes = write_back(folder, copy, dict(answer.branches.select("name", "closed_after").iter_rows()))
    net = csv2pp(str(copy))
    if "tap_changer_type" in net.trafo:  # as the tables have it: pandapower ignores positions of an empty type
        net.trafo.loc[net.trafo.tap_side.notna(), "tap_changer_type"] = "Ratio"
    pandapower.runpp(net, tolerance_mva=1e-9, numba=False)
    assert answer.loss_kw is not None
    return answer.loss_kw, 1e3 * float(net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum()), len(changes)


def _rows(grid: openpoint.Grid, kind: str) -> set[tuple[object, ...]]:
    """What is compared cell by cell: all columns that are no numbers."""
    table = grid.tables()[kind]
    return set(
        table.select(
            name for name, dtype in table.schema.items() if not dtype.is_numeric() and not dtype.is_nested()
        ).rows()
    )


def written(code: str, folder: Path) -> Path:
    """The tables of a grid of SimBench in a folder, and beside it its pandapower net."""
    import pandapower
    import simbench
    from simbench.converter.read_and_write import write2csv
    from simbench.networks import extract_simbench_grids_from_csv as extract
    from simbench.networks.simbench_code import get_simbench_code_and_parameters

    logging.getLogger("simbench").setLevel(logging.CRITICAL)
    _, parameters = get_simbench_code_and_parameters(code)
    path = extract.complete_data_path(parameters[5])
    made = folder / code
    made.mkdir()
    subnets = extract.get_relevant_subnets(parameters, path)
    write2csv(str(made), extract.get_extracted_csv_data(subnets, path, nrows=1))
    net = simbench.get_simbench_net(code)
    net.profiles = {}
    pandapower.to_json(net, str(made.with_suffix(".json")))
    return made


if __name__ == "__main__":
    sys.exit(main())
