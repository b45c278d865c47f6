"""Certificates of one demand: lines, limits beside figures, lower voltages, and the question that is asked."""

import copy
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from openpoint.errors import OptionError
from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.network.freedom import SwitchingRules
from openpoint.network.limits import Limits
from openpoint.powerflow.balanced import solve
from openpoint.search.enumeration import topologies
from openpoint.search.result import gap_between
from openpoint.search.topology import search_topologies
from openpoint.verify import Asked, CertificateError, asked_of, question_of
from openpoint.verify.asked import read_asked
from openpoint.verify.caps import floors
from openpoint.verify.data import read
from openpoint.verify.graph import Graph
from tests.builders.certificates import ROW, Content, Line, content, index, rewritten, verify_network
from tests.powerflow.small_networks import Branch, make_network
from tests.search.random_grids import edged, random_grid

COST = 0.0005
MOST = 6


def rich() -> Network:
    """The grid of 33 buses with ratios, charging, all models of load, and ratings that bind at its optimum."""
    net = build_network(files.load("baran33"))
    tap = np.ones(net.n_conductors)
    tap[[0, 20]] = 0.98, 1.02
    y = np.where(np.arange(net.n_conductors) % 4 == 0, 1e-4 + 2e-3j, 0.0)
    impedance = 0.2 * net.s_power
    current = np.where(np.arange(33) % 3 == 0, 0.3 * net.s_power, 0.0)
    current[7] -= 0.02
    net = replace(
        net,
        tap=tap,
        y_shunt=sp.csr_array(sp.diags_array(y)),
        s_power=net.s_power - impedance - current,
        s_impedance=impedance,
        s_current=current,
    )
    best = search_topologies(net).closed
    assert best is not None
    l = solve(net, best).i_rated[0] ** 2
    l_max = np.full(net.n_conductors, np.inf)
    hot = np.argsort(-l)[4:8]
    l_max[hot] = 0.97 * l[hot]
    return replace(net, l_max=l_max)


@pytest.fixture(scope="module")
def network() -> Network:
    return rich()


@pytest.fixture(scope="module")
def written(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Content:
    path = tmp_path_factory.mktemp("rich") / "file"
    search_topologies(network, SwitchingRules.of(network, MOST, COST), certificate=path)
    return content(path, network)


def test_all_of_it_together_verifies(network: Network, written: Content, tmp_path: Path) -> None:
    head, lines = written
    proven = verify_network(network, rewritten(tmp_path / "file", head, lines), changes=(MOST, COST))
    assert 0 < proven.changes <= MOST
    price_kw = COST * network.s_base_kva
    assert proven.value_kw == pytest.approx(proven.loss_kw + proven.changes * price_kw, rel=1e-12)
    assert proven.judged > 0
    assert str(proven).startswith(
        f"Verified: no radial state with the voltage limits of the grid, its current limits, at most {MOST} changes, "
        f"loses less than {proven.bound_kw:.6f} kW with {price_kw:g} kW for each change; that with"
    )
    assert f"and has {proven.changes} changes, {proven.value_kw:.6f} kW in all" in str(proven)
    bounds = [line for line in lines if line[0] in ("probe", "bound")]
    assert any(line[ROW["near"]] for line in bounds)
    assert any(line[ROW["phi"]] for line in bounds)


def forget_the_voltages_of_ratings(head: dict[str, Any], lines: list[Line]) -> None:
    for line in lines:
        if line[0] in ("probe", "bound"):
            line[ROW["near"]] = []


def rate_at_a_strange_voltage(head: dict[str, Any], lines: list[Line]) -> None:
    for line in lines:
        if line[0] in ("probe", "bound"):
            line[ROW["near"]] = [[bus, 4 * w] for bus, w in line[ROW["near"]]]


def rate_at_no_voltage(head: dict[str, Any], lines: list[Line]) -> None:
    line = next(line for line in lines if line[0] == "bound" and line[ROW["near"]])
    line[ROW["near"]][0][1] = 0


def drop_an_output(head: dict[str, Any], lines: list[Line]) -> None:
    del head["generation"]


TAMPERINGS: list[tuple[Callable[[dict[str, Any], list[Line]], None], str]] = [
    (forget_the_voltages_of_ratings, "does not reach"),
    (rate_at_a_strange_voltage, "does not reach"),
    (rate_at_no_voltage, "near is 0|does not reach"),
    (drop_an_output, "has no 'generation'"),
]


@pytest.mark.parametrize(("tamper", "words"), TAMPERINGS, ids=lambda case: getattr(case, "__name__", ""))
def test_tampering_is_caught(
    tamper: Callable[[dict[str, Any], list[Line]], None],
    words: str,
    network: Network,
    written: Content,
    tmp_path: Path,
) -> None:
    head, lines = copy.deepcopy(written)
    tamper(head, lines)
    with pytest.raises(CertificateError, match=words):
        verify_network(network, rewritten(tmp_path / "tampered", head, lines), changes=(MOST, COST))


OTHERS: list[tuple[Callable[[Network], Network], tuple[int | None, float], str]] = [
    (
        lambda net: replace(net, l_max=np.full(net.n_conductors, np.inf)),
        (MOST, COST),
        "does not reach|loses too little",
    ),
    (lambda net: replace(net, l_max=1.05 * net.l_max), (MOST, COST), "does not reach|loses too little"),
    (lambda net: replace(net, l_max=0.5 * net.l_max), (MOST, COST), "misses the limits"),
    (lambda net: net, (None, COST), "refused at line"),
    (lambda net: net, (2, COST), "the best state has 4 changes"),
    (lambda net: net, (MOST, 0.9 * COST), "best state loses"),
    (lambda net: net, (MOST, 2.0 * COST), "best state loses"),
]


@pytest.mark.parametrize("case", range(len(OTHERS)))
def test_the_answer_of_one_question_is_none_of_another(
    case: int, network: Network, written: Content, tmp_path: Path
) -> None:
    change, changes, words = OTHERS[case]
    with pytest.raises(CertificateError, match=words):
        verify_network(change(network), rewritten(tmp_path / "file", *written), changes=changes)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_value_and_bound_moved_with_the_price_of_changes_are_refused(
    factor: float, network: Network, written: Content, tmp_path: Path
) -> None:
    """A true statement of the best state, but what others lose with more changes, or fewer, is claimed too high."""
    head, lines = copy.deepcopy(written)
    more = 4 * (factor - 1.0) * COST
    head["value"] += more
    head["bound"] += more
    with pytest.raises(CertificateError, match="does not reach"):
        verify_network(network, rewritten(tmp_path / "file", head, lines), changes=(MOST, factor * COST))


def other_grids(net: Network) -> dict[str, Network]:
    """The same grid but for one number."""
    one = np.arange(33) == 12
    y = net.y_shunt.diagonal() * np.where(np.arange(net.n_conductors) == 4, 0.5, 1.0)
    return {
        "shunt": replace(net, y_shunt=sp.csr_array(sp.diags_array(y))),
        "tap": replace(net, tap=np.where(net.tap == 0.98, 0.99, net.tap)),
        "capacitor": replace(net, s_impedance=np.where(one, 0.01j, net.s_impedance)),
        "load of constant current": replace(net, s_current=np.where(one, 0.01, net.s_current)),
    }


@pytest.mark.parametrize("what", ["shunt", "tap", "capacitor", "load of constant current"])
def test_another_grid_is_noticed(what: str, network: Network, written: Content, tmp_path: Path) -> None:
    head, lines = written
    other = other_grids(network)[what]
    with pytest.raises(CertificateError, match="best state loses"):
        verify_network(other, rewritten(tmp_path / "file", head, lines), changes=(MOST, COST))


def dispatched() -> Network:
    """A ring with a generator whose output may be chosen, and a tie."""
    branches = [Branch(0, 1), Branch(1, 2), Branch(2, 3), Branch(3, 4), Branch(4, 0), Branch(1, 4, closed=False)]
    power = [0.0, 0.2 + 0.1j, 0.3 + 0.1j, 0.1 + 0.05j, 0.2 + 0.1j]
    net = make_network(5, branches, {0: 1.0}, power=power, generators=[(2, 0.0), (3, 0.0)])
    most = np.array([0.4, 0.1])
    return replace(net, p_min=np.zeros(2), p_max=most, q_min=-0.2 * most, q_max=0.2 * most)


def test_outputs_to_choose_are_proven_by_multipliers(tmp_path: Path) -> None:
    network, path = dispatched(), tmp_path / "file"
    found = search_topologies(network, certificate=path)
    proven = verify_network(network, path)
    assert proven.judged == 0
    assert proven.limits == "the voltage limits of the grid, outputs within their ranges,"
    assert proven.gap < 2e-6
    assert proven.value_kw == pytest.approx(found.value * network.s_base_kva, rel=1e-9)
    head, lines = content(path, network)
    np.testing.assert_array_equal(head["generation"], [found.generation.real, found.generation.imag])

    def refused(words: str, head: dict[str, Any], lines: list[Line]) -> None:
        with pytest.raises(CertificateError, match=words):
            verify_network(network, rewritten(tmp_path / "tampered", head, lines))

    refused("not within its range", head | {"generation": [[0.5, 0.1], [0.0, 0.0]]}, lines)
    refused("best state loses", head | {"generation": [[0.0, 0.0], [0.0, 0.0]]}, lines)
    leaf = copy.deepcopy(lines)
    leaf[index(leaf, "bound")] = ["judged"]
    refused("'judged' does not hold", head, leaf)
    refused("does not reach", head | {"bound": head["value"]}, lines)
    narrower = replace(network, p_max=0.5 * network.p_max)
    with pytest.raises(CertificateError, match="not within its range"):
        verify_network(narrower, path)


COUNT = 30
ON_THE_EDGE = (371, 467, 596, 1057, 1962)
"""There the search judges that a state misses a limit, by 1e-9 of it at most, and the checker that it is kept."""
WITHOUT_END = (104, 213)
"""There multipliers grow beyond whole numbers of 64 bits where changes cost much and no rating leaves a state."""


def options(seed: int) -> tuple[int | None, float, float]:
    """Most changes, the cost of each, and the gap."""
    rng = np.random.default_rng([seed, 8])
    most = int(rng.integers(0, 7)) if rng.random() < 0.4 else None
    cost = float(rng.choice([1e-9, 1e-4, 1e-2, 1.0])) if rng.random() < 0.4 else 0.0
    return most, cost, float(rng.choice([0.0, 1e-6, 1e-4, 1e-2]))


def proven(seed: int, path: Path, change_cost: float | None = None) -> bool:
    """Whether there is an answer, whose certificate is then accepted."""
    network = edged(seed)
    if network is None:
        return False
    most, cost, gap = options(seed) if change_cost is None else (None, change_cost, 0.0)
    try:
        found = search_topologies(network, SwitchingRules.of(network, most, cost), gap=gap, certificate=path)
    except OptionError:
        return False
    if found.closed is None:
        return False
    checked = verify_network(network, path, changes=(most, cost))
    assert checked.value_kw == pytest.approx(found.value * network.s_base_kva, rel=1e-8, abs=1e-15), seed
    assert checked.bound_kw <= checked.value_kw, seed
    return True


def test_every_certificate_is_accepted_where_limits_lie_beside_figures(tmp_path: Path) -> None:
    assert sum(proven(seed, tmp_path / "file") for seed in range(COUNT)) >= COUNT // 2


@pytest.mark.parametrize("seed", ON_THE_EDGE)
def test_a_state_on_the_edge_of_a_limit_refuses_no_certificate(seed: int, tmp_path: Path) -> None:
    assert proven(seed, tmp_path / "file")


@pytest.mark.parametrize("seed", WITHOUT_END)
def test_multipliers_without_end_are_written_as_a_share_of_them(seed: int, tmp_path: Path) -> None:
    assert proven(seed, tmp_path / "file", change_cost=1.0)


def with_voltage(network: Network, rng: np.random.Generator) -> Network:
    """The network with part of its loads of constant impedance and current, and without lower limits."""
    power = network.s_power
    share = rng.uniform(0.0, 1.0, len(power))
    steady = rng.uniform(0.0, 1.0, len(power)) * (1.0 - share)
    return replace(
        network,
        s_power=(1.0 - share - steady) * power,
        s_current=network.s_current + steady * power,
        s_impedance=network.s_impedance + share * power,
        w_min=np.zeros(len(power)),
    )


@pytest.mark.parametrize("seed", range(5))
def test_no_state_of_at_most_this_loss_has_lower_voltages(seed: int) -> None:
    rng = np.random.default_rng([seed, 5])
    network = with_voltage(random_grid(rng, ("generation",) if seed % 2 else ()), rng)
    states = np.concatenate(list(topologies(network)))
    flows = solve(network, states, s_power=network.s_power)
    good = flows.converged & flows.energised.all(axis=1)
    graph = Graph(
        network.n_terminals,
        network.terminal_fr.tolist(),
        network.terminal_to.tolist(),
        set(network.source_terminal.tolist()),
        set(),
        np.inf,
    )
    data = read(network, [np.inf] * network.n_conductors, Fraction(0))
    least = Fraction(float(np.min(np.abs(network.source_v) ** 2) * (1.0 - 1e-15)))
    for share in (0.1, 0.5, 1.0):
        loss = float(np.quantile(flows.loss[good], share))
        lowest = floors(data, graph, list(range(network.n_conductors)), Fraction(loss), least)
        squares = np.abs(flows.v[good & (flows.loss <= loss)]) ** 2
        assert np.all(squares >= np.array([float(w) for w in lowest]) - 1e-9)
        assert max(lowest) > 0


@pytest.fixture(scope="module")
def steady() -> Network:
    """The grid of 33 buses with loads of constant impedance and current alone, and no lower limit of voltage."""
    network = build_network(files.load("baran33"))
    power = network.s_power
    return replace(
        network, s_power=0.0 * power, s_impedance=0.7 * power, s_current=0.3 * power, w_min=np.zeros(len(power))
    )


def test_a_certificate_names_the_loss_and_needs_it(steady: Network, tmp_path: Path) -> None:
    path = tmp_path / "file"
    found = search_topologies(steady, certificate=path)
    proven = verify_network(steady, path)
    assert proven.bound_kw == pytest.approx(found.value * steady.s_base_kva, rel=2e-6)
    head, lines = content(path, steady)
    assert head["voltage_loss"] >= head["value"]

    def refused(words: str, **other: float) -> None:
        with pytest.raises(CertificateError, match=words):
            verify_network(steady, rewritten(tmp_path / "tampered", head | other, lines))

    refused("none of a state like the best one", voltage_loss=0.99 * head["value"])
    refused("Infinity is no number", voltage_loss=float("inf"))
    refused("does not reach", voltage_loss=40.0 * head["voltage_loss"])
    del head["voltage_loss"]
    refused("does not reach")


def test_the_ratio_of_a_branch_that_stays_open_changes_nothing(steady: Network, tmp_path: Path) -> None:
    tie = int(np.flatnonzero(~steady.closed)[0])
    at = np.arange(steady.n_conductors) == tie
    network = replace(steady, tap=np.where(at, 0.96, 1.0), switchable=steady.switchable & ~at)
    search_topologies(network, gap=1e-3, certificate=tmp_path / "file")
    assert verify_network(network, tmp_path / "file").gap <= 1.1e-3


@pytest.mark.parametrize("seed", range(3))
def test_certificates_of_loads_that_vary_with_the_voltage_are_accepted(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng([seed, 6])
    network = with_voltage(random_grid(rng, [(), ("locks",), ("generation",), ("ratings",)][seed % 4]), rng)
    most = None if seed % 3 else 4
    cost = 1e-4 * (seed % 2)
    found = search_topologies(network, SwitchingRules.of(network, most, cost), certificate=tmp_path / "file")
    if found.closed is None:
        assert not (tmp_path / "file").exists()
        return
    proven = verify_network(network, tmp_path / "file", changes=(most, cost))
    assert proven.bound_kw <= found.value * network.s_base_kva * (1.0 + 1e-9)
    assert proven.gap < 2e-6 or proven.value_kw - proven.bound_kw < 1e-6


def test_the_gap_of_a_value_of_nothing_is_none_or_without_end() -> None:
    assert [gap_between(0.0, 0.0), gap_between(1e-9, 0.0), gap_between(-1e-9, 0.0)] == [0.0, 0.0, np.inf]
    assert gap_between(1.0, 2.0) == 0.5


@pytest.mark.parametrize(
    "asked",
    [
        Asked(),
        Asked(limits=Limits(v_min_pu=float(np.float32(0.95)), current=False), locked_open=("a", "b"), max_changes=3),
        Asked(change_cost_kw=0.5, locked_closed=("c",), futures=True, risk="regret:cvar:0.9", limits_share=0.9),
        Asked(futures=True, ambiguity="tv:0.4"),
        Asked(minimize={"losses": 1.0, "changes": 0.2}, free=("topology", "taps")),
        Asked(year=True),
    ],
)
def test_what_is_written_is_read(asked: Asked) -> None:
    assert read_asked(asked.to_json()) == asked


def test_numbers_of_any_kind_are_written_as_such() -> None:
    given = Asked(limits=Limits(v_max_pu=np.float32(1.05)), minimize={"losses": np.float64(1.0)})  # type: ignore[arg-type]
    assert type(given.to_json()["limits"]["v_max_pu"]) is float
    assert type(given.to_json()["minimize"]["losses"]) is float


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"limit": {}}, "'limit', which is not known"),
        ({"limits": {"voltage": 1, "current": True, "v_min_pu": None, "v_max_pu": None}}, "true or false is needed"),
        ({"limits": {"voltage": True, "current": True, "v_min_pu": 1.1, "v_max_pu": 0.9}}, "lies above v_max_pu"),
        ({"limits": {"voltage": True}}, "has no 'current'"),
        ({"locked_open": "7"}, "a list is needed"),
        ({"locked_open": ["7", "7"]}, "a name twice"),
        ({"max_changes": True}, "a whole number"),
        ({"max_changes": -1}, "a whole number"),
        ({"change_cost_kw": -1.0}, "a number >= 0"),
        ({"limits_share": 0}, "above 0, up to 1"),
        ({"limits_share": 1.5}, "above 0, up to 1"),
        ({"risk": "cvar:1"}, "the risk 'cvar:1' is not known"),
        ({"risk": "regret:regret"}, "is not known"),
        ({"ambiguity": "tv:nan"}, "the ambiguity 'tv:nan' is not known"),
        ({"ambiguity": "tv:-1"}, "is not known"),
        ({"minimize": {}}, "no weight"),
        ({"minimize": {"losses": 0.0}}, "no weight, or one of 0"),
        ({"minimize": {"beauty": 1.0}}, "'beauty', which is not known"),
        ({"free": ["wind"]}, "topology or taps"),
        ({"futures": 1}, "true or false is needed"),
        ([], "an object is needed"),
    ],
)
def test_words_that_make_no_question_are_refused_by_name(words: Any, message: str) -> None:
    with pytest.raises(CertificateError, match=message):
        read_asked(words)


@pytest.mark.parametrize(
    "words",
    [
        Asked(minimize={"losses": 1.0}, change_cost_kw=1.0),
        Asked(risk="worst"),
        Asked(ambiguity="tv:0.1"),
        Asked(limits_share=0.5),
        Asked(free=("topology",)),
        Asked(minimize={"deviation": 1.0}),
    ],
)
def test_words_without_effect_would_be_told_without_being_proven(words: Asked) -> None:
    with pytest.raises(OptionError):
        question_of(files.load("baran33"), words)


def test_what_is_not_asked_is_no_question() -> None:
    assert asked_of() is None
    assert asked_of(change_cost_kw=0.0) == asked_of(risk="expected") == asked_of(limits=Limits()) == Asked()
    assert asked_of(free="taps, topology") == Asked(free=("taps", "topology"), minimize={"losses": 1.0})
    assert asked_of(minimize="losses=1,cost=0") == Asked(minimize={"losses": 1.0})
    assert asked_of(risk=" Regret:CVaR:0.50 ") == Asked(risk="regret:cvar:0.5")
    with pytest.raises(OptionError, match="the weight 0"):
        asked_of(minimize="losses=0")
