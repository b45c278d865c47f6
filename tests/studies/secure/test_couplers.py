"""An open busbar coupler that may be closed after a fault is a tie: it feeds what a transformer fed."""

import pytest

import openpoint
from openpoint import Grid, InputError


def station() -> Grid:
    """Two transformers, a busbar each with a feeder, and an open coupler between them that is not switchable."""
    unit = {"from_bus": "H", "vn_from_kv": 110.0, "vn_to_kv": 20.0, "r_ohm": 0.1, "x_ohm": 2.0}
    feeder = {"r_ohm": 0.5, "x_ohm": 0.4}
    return Grid.from_tables(
        "station",
        {
            "buses": [{"name": n, "vn_kv": 110.0 if n == "H" else 20.0} for n in ("H", "M1", "M2", "F1", "F2")],
            "transformers": [{"name": f"T{k}", "to_bus": f"M{k}", **unit} for k in (1, 2)],
            "lines": [{"name": f"L{k}", "from_bus": f"M{k}", "to_bus": f"F{k}", **feeder} for k in (1, 2)],
            "switches": [{"name": "C", "from_bus": "M1", "to_bus": "M2", "closed": False, "switchable": False}],
            "sources": [{"name": "grid", "bus": "H"}],
            "loads": [{"name": f"D{k}", "bus": f"F{k}", "p_kw": 3000.0 * k, "q_kvar": 900.0} for k in (1, 2)],
        },
    )


@pytest.mark.parametrize("failed", ["T1", "T2"])
def test_the_coupler_restores_what_its_transformer_fed(failed: str) -> None:
    today, asked = openpoint.secure(station()), openpoint.secure(station(), switchable=["C"])
    (without,) = today.faults.filter(name=failed).to_dicts()
    assert without["verdict"] == "no tie"
    assert any("not closed after any fault: C;" in note for note in today.notes)
    assert not any("not closed" in note for note in asked.notes)
    (fault,) = asked.faults.filter(name=failed).to_dicts()
    assert fault["verdict"] == "restored"
    kept = openpoint.run_powerflow(station().with_closed({failed: False, "C": True}))
    assert fault["v_min_pu"] == pytest.approx(kept.v_min_pu, rel=1e-9)


def test_a_name_that_is_no_branch_is_told() -> None:
    with pytest.raises(InputError, match="CC"):
        openpoint.secure(station(), switchable=["CC"])
