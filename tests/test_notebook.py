"""The notebook of the manual runs, from its first cell to its last, each of which ends in what it shows."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs/notebook.ipynb"


def run_cell(code: str, names: dict[str, Any]) -> Any:
    """The value of the last line of a cell, None where it is no expression; `names` are those of the notebook."""
    module = ast.parse(code, str(NOTEBOOK))
    last = module.body.pop() if isinstance(module.body[-1], ast.Expr) else None
    exec(compile(module, str(NOTEBOOK), "exec"), names)
    return eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names) if last else None


@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs_and_pandapower_computes_the_loss_of_its_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cells = [cell for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells)  # what a cell shows is what it computes
    names: dict[str, Any] = {}
    shown = [run_cell("".join(cell["source"]), names) for cell in cells]
    result = names["result"]
    assert any(each is result for each in shown)
    assert names["loss_kw"](names["better"]) == pytest.approx(result.loss_kw, rel=1e-7)
    assert len(names["changes"]) == len(result.changes)
    assert names["plan"].operations == len(result.changes)
    assert names["faults"]["after"].open_branches == result.open_branches
