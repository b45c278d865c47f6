"""States that a publication prints for the day of two grids (Scientific Reports 14, 2024, 23041): are they radial?"""

import networkx as nx
import pytest

import openpoint

PRINTED = [
    ("baran33", [10, 12, 20, 24, 25]),
    ("baran33", [10, 13, 20, 24, 32]),
    ("baran33", [10, 20, 24, 25, 34]),
    ("baran33", [10, 13, 20, 24, 25]),
    ("baran69", [14, 56, 63, 69, 70]),
    ("baran69", [13, 58, 61, 69, 70]),
    ("baran69", [13, 18, 56, 61, 69]),
    ("baran69", [14, 58, 61, 69, 70]),
]


def closed_lines(name: str, opened: list[int]) -> nx.Graph:
    """Buses and closed lines of a grid, each with its name."""
    lines = openpoint.read(name).lines.select("name", "from_bus", "to_bus")
    graph = nx.Graph()
    graph.add_nodes_from(openpoint.read(name).buses["name"])
    graph.add_edges_from((a, b, {"line": line}) for line, a, b in lines.iter_rows() if int(line) not in opened)
    return graph


@pytest.mark.parametrize(("name", "opened"), PRINTED, ids=str)
def test_eight_printed_states_are_radial(name: str, opened: list[int]) -> None:
    assert nx.is_tree(closed_lines(name, opened))


def test_the_deterministic_state_cuts_buses_off_and_closes_a_loop_among_them() -> None:
    graph = closed_lines("baran33", [7, 13, 20, 24, 32])
    cut = next(part for part in nx.connected_components(graph) if "1" not in part)
    assert cut == {str(bus) for bus in [*range(8, 19), 21, 22, 33]}
    island = graph.subgraph(cut)
    assert island.number_of_edges() == island.number_of_nodes()  # so that every bus has one parent, around the loop
    (loop,) = nx.cycle_basis(island)
    lines = {island[a][b]["line"] for a, b in zip(loop, [*loop[1:], loop[0]])}
    assert lines == {"8", "9", "10", "11", "21", "33", "35"}


def test_the_ends_of_an_open_line_differ_in_voltage() -> None:
    voltage = dict(openpoint.run_powerflow("baran33").buses.select("name", "v_pu").iter_rows())
    assert voltage["21"] - voltage["8"] == pytest.approx(0.051, abs=5e-4)
