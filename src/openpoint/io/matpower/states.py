"""States of branches in the text of a MATPOWER case: the column BR_STATUS of `mpc.branch`."""

from __future__ import annotations

from collections.abc import Mapping

from openpoint.grid.grid import Grid
from openpoint.io.matpower.case import COLUMNS, cells_of, rows_of
from openpoint.io.matpower.text import statements
from openpoint.io.switch_states.edit import Change, Edit, cannot_write

_STATUS = COLUMNS["idx_brch"]["BR_STATUS"] - 1


def edits_of(text: str, file: str, grid: Grid, states: Mapping[str, bool]) -> tuple[list[Edit], list[Change]]:
    """The edits that give branches their states; arguments and errors as of `pandapower.states.edits_of`."""
    del grid
    matrix = None
    for statement in statements(text, file)[0]:
        if [token.text for token in statement.tokens[:3]] == ["mpc.branch", "=", "["]:
            matrix = rows_of(statement.tokens[3:-1])
    edits, changes = [], []
    for branch, closed in states.items():
        row = int(branch) if branch.isdecimal() else 0
        cells = cells_of(matrix[row - 1]) if matrix is not None and 0 < row <= len(matrix) else []
        cell = cells[_STATUS] if len(cells) > _STATUS else []
        if len(cell) != 1 or cell[0].kind != "number":
            message = "its BR_STATUS is not written as a number in a matrix mpc.branch = [...]"
            raise cannot_write(file, branch, message, "Write the case anew with MATPOWER's savecase")
        token = cell[0]
        edits.append(Edit(token.start, token.start + len(token.text), str(int(closed))))
        ends = "".join(part.text for part in cells[0]), "".join(part.text for part in cells[1])
        place = f"line {token.line}, mpc.branch({branch}, BR_STATUS), {ends[0]} to {ends[1]}"
        changes.append(Change(branch, closed, place, str(int(closed))))
    return edits, changes
