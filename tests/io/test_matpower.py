"""MATPOWER case files: what is read, and that everything else is refused with its line."""

import math
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint import inputs
from openpoint.errors import InputError
from openpoint.grid import Grid
from openpoint.io.matpower import text as text_module
from openpoint.io.matpower.case import read_case
from openpoint.io.matpower.read import grid_from_text
from openpoint.io.matpower.text import without_block_comments

TEXT = (Path(__file__).parent / "data" / "small.m").read_text()


def read(text: str) -> Grid:
    return grid_from_text(text, "small.m")


def places(text: str) -> list[tuple[str, str]]:
    """Row and column of every fault."""
    with pytest.raises(InputError) as caught:
        read(text)
    assert all(p.table == "small.m" and p.message and p.remedy for p in caught.value.problems)
    return [(p.row, p.column) for p in caught.value.problems]


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) == 1
    return TEXT.replace(old, new)


def line_of(part: str) -> str:
    return f"line {TEXT[: TEXT.index(part)].count(chr(10)) + 1}"


def test_buses_loads_and_shunts() -> None:
    grid = read(TEXT)
    assert grid.name == "small"
    assert grid.title == "A feeder made up for the tests"
    assert grid.buses["name"].to_list() == ["1", "2", "3", "5", "9"]
    assert grid.buses["vn_kv"].to_list() == [20, 20, 20, 20, 0.4]
    assert grid.buses["v_min_pu"].to_list() == [None, 0.9, 0.9, None, 0.9]
    assert grid.sources.select("name", "bus", "v_pu").rows() == [("1", "1", 1.02)]
    power = grid.loads.filter(pl.col("model") == "power")
    assert power.select("name", "p_kw", "q_kvar").rows() == [("2", 400, 120), ("3", 400, -30), ("9", 100, 50)]
    shunt = grid.loads.filter(pl.col("model") == "impedance")
    assert shunt.select("name", "bus", "p_kw", "q_kvar").rows() == [("shunt 5", "5", 10, 20)]
    assert grid.capacitors.select("bus", "q_kvar").rows() == [("3", 60)]
    assert grid.check() is grid


def test_generators_and_net_infeed() -> None:
    grid = read(TEXT)
    by_name = {row["name"]: row for row in grid.generators.iter_rows(named=True)}
    assert set(by_name) == {"2", "3", "infeed 5"}
    assert [by_name["2"][k] for k in ("p_kw", "p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar")] == [
        50,
        0,
        100,
        -20,
        20,
    ]
    assert [by_name["3"][k] for k in ("p_kw", "q_kvar", "p_min_kw", "p_max_kw")] == [40, 10, None, None]
    assert [by_name["infeed 5"][k] for k in ("p_kw", "q_kvar")] == [25, 5]
    (note,) = grid.notes
    assert (note.row, note.severity) == (line_of("\t5\t1\t-25"), "warning")
    assert "bus 5" in note.message


COST = "mpc.gencost = [ 2 0 0 3 0 20 0 ];"


def with_costs(*rows: str) -> str:
    return changed(COST, f"mpc.gencost = [ {'; '.join(rows)} ];")


def test_costs_per_mw_become_prices_per_kw() -> None:
    """Of the source 20 $/MWh; of the generator 4 + 30 P + 2.5 P² $/h with P in MW, so 6.75 $/h at 90 kW."""
    grid = read(with_costs("2 0 0 3 0 20 0", "2 0 0 3 2.5 30 4", "2 0 0 3 0 1 0", "2 0 0 3 0 1 0"))
    assert grid.sources["price_usd_per_kwh"].to_list() == [0.02]
    columns = ("cost_usd_per_kwh", "cost_usd_per_kw2h", "cost_on_usd_per_h")
    costs = {name: cost for name, *cost in grid.generators.select("name", *columns).iter_rows()}
    assert costs == {"2": pytest.approx([0.03, 2.5e-6, 4.0]), "3": [0.0] * 3, "infeed 5": [0.0] * 3}
    p = 90.0
    assert costs["2"][2] + costs["2"][0] * p + costs["2"][1] * p**2 == pytest.approx(4 + 2.7 + 2.5 * 0.09**2)
    assert grid.check() is grid


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1 0 0 2 0 0 1 20", "piecewise"),
        ("2 0 0 4 1 0 20 0", "higher power"),
        ("2 0 0 3 -1 20 0", "negative square"),
        ("2 0 0 3 0 20 Inf", "finite"),
        ("3 0 0 3 0 20 0", "no cost of model"),
        ("2 0 0 9 0 20 0", "no cost of model"),
        ("2 0 0 3 1 20 0", "no single price"),
    ],
)
def test_costs_that_are_not_read_are_noted(row: str, message: str) -> None:
    grid = read(with_costs(row))
    assert grid.sources["price_usd_per_kwh"].to_list() == [None]
    assert any(message in note.message and note.column == "mpc.gencost" for note in grid.notes)


def test_a_price_below_0_without_a_limit_is_not_read() -> None:
    text = with_costs("2 0 0 3 0 -20 0")
    assert read(text).sources["price_usd_per_kwh"].to_list() == [-0.02]
    grid = read(text.replace("1.02	100	1	10	0", "1.02	100	1	Inf	0"))
    assert grid.sources["price_usd_per_kwh"].to_list() == [None]
    assert any("below 0" in note.message for note in grid.notes)
    assert grid.check() is grid


def test_limits_of_the_generators_at_a_source_add_up() -> None:
    assert read(TEXT).sources.select("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar").row(0) == (
        0,
        10_000,
        None,
        None,
    )
    gens = "	1	0	0	Inf	-Inf	1.02	100	1	10	0;"
    both = (
        gens.replace("Inf	-Inf", "3	-2")
        + "\n"
        + gens.replace("Inf	-Inf", "1	-1").replace("10	0;", "5	-1;")
    )
    sources = read(changed(gens, both)).sources
    assert sources.select("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar").row(0) == (-1000, 15_000, -3000, 4000)
    none = read(changed(gens, gens.replace("10	0;", "0	0;"))).sources
    assert none.select("p_min_kw", "p_max_kw").row(0) == (None, None)


def test_a_shunt_is_a_bank_that_no_decision_sets() -> None:
    assert read(TEXT).capacitors["controllable"].to_list() == [False]


def test_lines_in_ohm_and_ampere() -> None:
    lines = read(TEXT).lines
    assert lines["name"].to_list() == ["1", "2", "3", "4"]
    assert lines["closed"].to_list() == [True, True, True, False]
    assert lines["switchable"].all()
    assert [r[0] for r in lines["r_ohm"].to_list()] == pytest.approx([0.5, 0.25, 0.75, 1.0])
    assert [x[0] for x in lines["x_ohm"].to_list()] == pytest.approx([0.4, 0.2, 0.6, 0.8])
    # 1.6e-3 pu on 40 ohm
    assert lines["b_us"].to_list()[2] == pytest.approx([40.0])
    assert lines["i_max_a"].to_list() == [pytest.approx(6000 / (math.sqrt(3) * 20)), None, None, None]


def test_a_branch_between_voltage_levels_is_a_transformer() -> None:
    (row,) = read(TEXT).transformers.iter_rows(named=True)
    assert (row["from_bus"], row["to_bus"], row["vn_from_kv"], row["vn_to_kv"]) == ("3", "9", 19.5, 0.4)
    # The file's conversion puts 0.4 ohm on 40 ohm; on the 0.4 kV side the base is 0.016 ohm.
    assert (row["r_ohm"], row["x_ohm"]) == pytest.approx((0.00016, 0.00064))
    rated = [row["i_max_from_a"], row["i_max_to_a"]]
    assert (row["s_max_kva"], rated) == (None, pytest.approx([400 / (math.sqrt(3) * kv) for kv in (20.0, 0.4)]))


def test_voltage_falls_back_to_vm_of_the_bus() -> None:
    text = changed("1	0	0	Inf	-Inf	1.02", "1	0	0	Inf	-Inf	0")
    assert read(text).sources["v_pu"].to_list() == [1.0]


def test_power_factor_statements() -> None:
    text = TEXT + "pf = 0.8;\nmpc.bus(:, QD) = mpc.bus(:, PD) * sin(acos(pf));\nmpc.bus(:, PD) = mpc.bus(:, PD) * pf;\n"
    loads = read(text).loads
    assert loads.filter(name="2").select("p_kw", "q_kvar").row(0) == pytest.approx((320, 240))


def test_single_cells_and_elementwise_products_are_read() -> None:
    text = TEXT + "mpc.branch(4, BR_STATUS) = 1\nmpc.bus(:, [PD QD]) = 2 .* mpc.bus(:, [PD, QD]);\nend\n"
    grid = read(text)
    assert grid.lines["closed"].all()
    assert grid.loads.filter(name="2")["p_kw"].item() == pytest.approx(800)


def test_voltages_line_to_neutral_are_noted() -> None:
    grid = read(changed("0	20	1	1	1;", "0	20/sqrt(3)*sqrt(3)	1	1	1;"))
    assert grid.buses["vn_kv"][0] == pytest.approx(20)
    assert [n.row for n in grid.notes if "one phase of three" in n.message] == [line_of("\t1\t3\t0")]


def test_isolated_buses_are_left_out_with_a_note() -> None:
    grid = read(changed("\t5\t1\t-25", "\t5\t4\t-25"))
    assert "5" not in grid.buses["name"].to_list()
    assert grid.lines["name"].to_list() == ["1", "2"]
    assert len(grid.notes) == 2


def test_generators_at_a_bus_of_type_2_hold_its_voltage() -> None:
    text = changed("	2	1	400", "	2	2	400")
    row = read(text).generators.row(by_predicate=pl.col("name") == "2", named=True)
    figures = [row[key] for key in ("p_kw", "p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar", "v_pu")]
    assert figures == [50, None, None, -20, 20, 1.0]
    assert read(TEXT).generators["v_pu"].to_list() == [None, None, None]
    # Without a generator in service MATPOWER takes the bus for a load bus, too.
    off = text.replace(
        "	2	0.05	0	0.02	-0.02	1	100	1", "	2	0.05	0	0.02	-0.02	1	100	0"
    )
    assert "2" not in read(off).generators["name"].to_list()


def test_of_two_voltages_at_a_bus_the_first_is_held_with_a_note() -> None:
    gens = "	2	0.05	0	0.02	-0.02	1	100	1"
    text = changed("	2	1	400", "	2	2	400")
    assert text.count(gens) == 1
    end = text.index(";", text.index(gens))
    line = text[text.rindex("\n", 0, end) : end + 1]
    grid = read(text[: end + 1] + line.replace("	1	100	1", "	1.03	100	1") + text[end + 1 :])
    assert grid.generators.filter(pl.col("v_pu").is_not_null())["v_pu"].to_list() == [1.0, 1.0]
    assert any("another generator holds bus 2 at 1 pu" in note.message for note in grid.notes)
    assert grid.check() is grid


@pytest.mark.parametrize(
    "statement",
    [
        "system('rm -rf /');",
        "eval('x = 1');",
        "x = eval('1');",
        "for k = 1:3",
        "while true",
        "if mpc.baseMVA > 1, x = 1; end",
        "mpc = loadcase('case9');",
        "mpc.bus(:, PD) = load('x.mat');",
        "mpc.bus(:, PD) = mpc.bus(:, PD)';",
        "mpc.bus = sortrows(mpc.bus);",
        "mpc.bus(1:2, PD) = 0;",
        "mpc.bus(:, 99) = 0;",
        "mpc.bus(:, PD) = mpc.bus(:, [PD QD]);",
        "mpc.bus(:, PD) = mpc.bus(:, PD) * mpc.bus(:, PD);",
        "mpc.nothing(:, 1) = 0;",
        "x = sqrt(-1);",
        "x = unknown + 1;",
        "x = 1 +;",
        "x = " + "(" * 200 + "1" + ")" * 200 + ";",
        "x{1} = 2;",
        "!ls",
        "mpc.order.state = 1;",
        "[A, B] = size(mpc.bus);",
        "@(x) x",
    ],
)
def test_any_other_code_is_refused_with_its_line(statement: str) -> None:
    with pytest.raises(InputError) as caught:
        read(TEXT + statement + "\n")
    problem = caught.value.problems[0]
    assert problem.row == f"line {TEXT.count(chr(10)) + 1}"
    assert statement[:30] in problem.message


@pytest.mark.parametrize(
    ("old", "new", "row", "column"),
    [
        ("	2	1	400	120", "	2	1	NaN	120", "	2	1	400", "mpc.bus PD"),
        ("	2	1	400	120", "	2	1	Inf	120", "	2	1	400", "mpc.bus PD"),
        ("	2	1	400	120", "	2	1	four	120", "	2	1	400", "mpc.bus column 3"),
        ("	2	1	400	120", "	2	1	400", "	2	1	400", "mpc.bus"),
        ("	2	1	400	120", "	2.5	1	400	120", "	2	1	400", "mpc.bus BUS_I"),
        ("	2	1	400	120", "	1	1	400	120", "	2	1	400", "mpc.bus BUS_I"),
        ("	2	1	400	120", "	2	7	400	120", "	2	1	400", "mpc.bus BUS_TYPE"),
        ("0	0.4	1	1.1", "0	0	1	1.1", "	9	1	1e2", "mpc.bus BASE_KV"),
        ("-25	-5	0.01", "-25	-5	-0.01", "	5	1	-25", "mpc.bus GS"),
        ("	2	0.05	0", "	77	0.05	0", "	2	0.05	0", "mpc.gen GEN_BUS"),
        ("	2	0.05	0	0.02", "	2	0.05	0	Inf", "	2	0.05	0", "mpc.gen QMAX"),
        ("	2	3	0.25", "	2	33	0.25", "	2	3	0.25", "mpc.branch T_BUS"),
        ("	2	3	0.25", "	2	3	NaN", "	2	3	0.25", "mpc.branch BR_R"),
        ("20	1	1.1	0.9	%", "20	1	-1	0.9	%", "	2	1	400", "mpc.bus VMAX"),
        ("1	1.1	0.9	%", "1	1.1	-0.9	%", "	2	1	400", "mpc.bus VMIN"),
        ("0.4	0	6	0", "0.4	0	-6	0", "	1	2	0.5", "mpc.branch RATE_A"),
        ("0	0	0.975", "0	0	-0.975", "	3	9	0.4", "mpc.branch TAP"),
        ("0.02	-0.02	1", "0.02	-0.02	-1", "	2	0.05	0", "mpc.gen VG"),
        (
            "	2	0.05	0	0.02	-0.02",
            "	2	0.05	0	-0.02	0.02",
            "	2	0.05	0",
            "mpc.gen QMIN",
        ),
        ("1	0.04	0.04;\n	3	1", "1	0.04	0.05;\n	3	1", "	3	0.04	0.01", "mpc.gen PMIN"),
        ("mpc.version = '2'", "mpc.version = '1'", "mpc.version", "mpc.version"),
        ("mpc.baseMVA = 30/3", "mpc.baseMVA = -1", "mpc.baseMVA", "mpc.baseMVA"),
    ],
)
def test_faulty_cells_are_named(old: str, new: str, row: str, column: str) -> None:
    assert (line_of(row), column) in places(changed(old, new))


def test_a_truncated_matrix_is_named() -> None:
    start = TEXT.index("mpc.branch = [")
    cut = TEXT[: TEXT.index("	5	3	1.0")]
    assert (f"line {TEXT[:start].count(chr(10)) + 1}", "mpc.branch") in places(cut)
    without = changed("];\n\n%	bus	Pg", "\n\n%	bus	Pg")
    assert places(without) == [(line_of("mpc.bus = [ %%"), "mpc.bus")], "what follows from it is not told"


def test_missing_parts_are_all_named() -> None:
    found = places("function mpc = empty\nmpc.version = '2';\n")
    assert [column for _, column in found] == ["mpc.baseMVA", "mpc.bus", "mpc.gen", "mpc.branch"]
    assert places("once upon a time\n")
    assert places("function [baseMVA, bus, gen, branch] = case9\n")


def test_all_faults_come_at_once() -> None:
    text = (
        TEXT.replace("	2	1	400", "	2	1	x").replace("	2	3	0.25", "	2	3	y")
        + "system('x');\n"
    )
    assert len(places(text)) == 3


def test_direct_current_lines_are_refused_and_other_matrices_noted() -> None:
    assert places(TEXT + "mpc.dcline = [ 1 2 1 ];\n")[0][1] == "mpc.dcline"
    assert any("mpc.reserves" in n.column for n in read(TEXT + "mpc.reserves = [ 1 ];\n").notes)


def test_blanks_signs_and_operators_within_matrices() -> None:
    text = changed("	2	3	0.25	0.2	0	0", "	2	3	.5 - .25	1-.8 -0 +0")
    line = read(text).lines.filter(name="2")
    assert line["r_ohm"].to_list()[0] == pytest.approx([0.25])
    assert line["x_ohm"].to_list()[0] == pytest.approx([0.2])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_damaged_files_are_refused_or_read_and_never_fail(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TEXT)))
    end = data.draw(st.one_of(st.just(at), st.just(len(TEXT)), st.integers(at, min(at + 20, len(TEXT)))))
    junk = data.draw(
        st.one_of(st.text(max_size=5), st.sampled_from(["[", "]", "(", "'", "...", "NaN", "1e999", "-", "0"]))
    )
    with suppress(InputError):
        read(TEXT[:at] + junk + TEXT[end:]).problems()


@settings(max_examples=13, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        read(text)


def test_rows_of_numbers_alone_are_read_as_any_others() -> None:
    rows = [
        "1 -2 .5 1e3",
        "1, -2,\t0.5 1d3;",
        " 1.  -2 5E-1 +1000 ; % a comment",
        "1 3-5 .5 1000",
        "1 -2 ...\n 0.5 1000",
    ]
    case = read_case("mpc.x = [\n" + "\n".join(rows) + "\n];\n", "a.m")
    assert not case.faults
    assert case.matrices["x"].values.tolist() == [[1.0, -2.0, 0.5, 1000.0]] * 5
    assert case.matrices["x"].lines == [2, 3, 4, 5, 6]


def test_what_a_file_may_hold_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "MOST_VALUES", 1000)
    monkeypatch.setattr(inputs, "MOST_VALUES", 1000)
    for text in ("mpc.x = [\n" + "1 2 3;\n" * 1000 + "];\n", "mpc.x = [" + "1;" * 1000 + "];\n"):
        with pytest.raises(InputError, match=r"a.m: it holds [\d,]+ numbers and words or so, and at most 1,000"):
            read_case(text, "a.m")


def test_few_words_never_make_large_matrices() -> None:
    wide = "mpc.x = [" + "1 " * 2000 + "];\n"
    case = read_case(wide + "mpc.x(1, :) = mpc.x(1, [" + "1 " * 2000 + "]);\n", "a.m")
    assert not case.faults
    case = read_case(wide + "y = mpc.x([" + "1 " * 2000 + "], [" + "1 " * 2000 + "]);\n", "a.m")
    assert "the part has 4,000,000 cells" in case.faults[0].message
    with pytest.raises(InputError, match="operations on cells of matrices"):
        read_case("mpc.x = [" + "1;" * 100_000 + "];\n" + "mpc.x(1, 1) = 1;\n" * 1400, "a.m")


def test_block_comments_without_an_end_take_no_long_time() -> None:
    assert without_block_comments("a\n%{\nb\n%}\nc\n") == "a\n  \n \n  \nc\n"
    assert without_block_comments("%{\n" * 300_000).startswith("%{")


def test_ratings_of_emergencies_are_rate_c_or_rate_b() -> None:
    def emergency(cells: str) -> float | None:
        text = CASE.replace("RATES", cells)
        (row,) = grid_from_text(text, "case.m").lines.to_dicts()
        return row["emergency_loading_percent"]

    assert emergency("10 12 15") == pytest.approx(150.0)
    assert emergency("10 12 0") == pytest.approx(120.0)
    assert emergency("10 0 0") is emergency("0 12 15") is None


CASE = """function mpc = case2
mpc.version = '2'; mpc.baseMVA = 10;
mpc.bus = [1 3 0 0 0 0 1 1 0 20 1 1.1 0.9; 2 1 1 0 0 0 1 1 0 20 1 1.1 0.9];
mpc.gen = [1 0 0 10 -10 1 10 1 10 0];
mpc.branch = [1 2 0.01 0.02 0 RATES 0 0 1 -360 360];
"""
