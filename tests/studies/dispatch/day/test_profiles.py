"""Tables and pictures of a day by period: they add up, by computations of their own, to what the day says."""

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint.report.drawing import Lines
from openpoint.studies.dispatch.day import profiles
from openpoint.studies.dispatch.day.report import PICTURES
from openpoint.studies.dispatch.day.result import DispatchDayResult
from tests.builders import days
from tests.builders.days import prepared


@pytest.fixture(scope="module")
def result() -> DispatchDayResult:
    """A ring of four periods whose load is uncertain, moves, and is shed where a source gives too little."""
    uncertain = days.by_group(4, ("solar",) * 2, 4, load=0.1, solar=0.3, hours=1)
    return prepared(topology="fixed", parts={"uncertain": uncertain}).solve()


@pytest.fixture(scope="module")
def short() -> DispatchDayResult:
    """33 buses at the end of a day, with a source that cannot serve the load, which moves in time and between buses."""
    return openpoint.dispatch_day(
        "baran33",
        "baran33-day",
        topology="fixed",
        now="18",
        uncertain="load=0.1",
        budget=1,
        shift="buses=0.1,time=0.05",
        source_max_kw=100.0,
    )


@pytest.fixture(params=["result", "short"])
def either(request: pytest.FixtureRequest) -> DispatchDayResult:
    found: DispatchDayResult = request.getfixturevalue(request.param)
    return found


def test_what_comes_is_served_moved_or_shed(either: DispatchDayResult) -> None:
    for unit in ("kw", "kvar"):
        names = [f"{name}_{unit}" for name in ("realised", "shifted", "moved", "shed", "served")]
        comes, shifted, moved, shed, served = either.demand.select(names).to_numpy().T
        assert served == pytest.approx(comes + shifted + moved - shed, abs=1e-9)
        between = either.demand.group_by("period", "case").agg(pl.col(f"moved_{unit}").sum())
        assert between[f"moved_{unit}"].to_numpy() == pytest.approx(0.0, abs=1e-6)
    hours = either.demand.join(either.periods.select("period", "case", "hours"), on=["period", "case"])
    kept = hours.group_by("case", "bus").agg((pl.col("shifted_kw") * pl.col("hours")).sum())
    assert kept["shifted_kw"].to_numpy() == pytest.approx(0.0, abs=1e-6)


def test_something_is_moved_and_shed_at_worst(short: DispatchDayResult) -> None:
    worst = short.demand.filter(case="worst")
    for name in ("shifted_kw", "moved_kw", "shed_kw", "shed_kvar"):
        assert worst[name].abs().max() > 1.0, name  # type: ignore[operator]


def test_the_load_comes_as_forecast_times_what_deviates(short: DispatchDayResult) -> None:
    load = short.uncertainty.filter(quantity="load").select("period", "worst")
    rows = short.demand.filter(case="worst").join(load, on="period")
    for unit in ("kw", "kvar"):
        forecast, comes, share = rows.select(f"forecast_{unit}", f"realised_{unit}", "worst").to_numpy().T
        assert comes == pytest.approx(forecast * share)
    certain = short.demand.filter(pl.col("case") != "worst")
    assert certain["realised_kw"].to_numpy() == pytest.approx(certain["forecast_kw"].to_numpy())
    nominal = short.grid.loads.group_by("bus").agg(pl.col("p_kw").sum(), pl.col("q_kvar").sum())
    told = certain.join(nominal, on="bus")
    assert told["bus"].n_unique() == nominal.filter(pl.col("p_kw") > 0.0).height
    share = told["forecast_kvar"].to_numpy() / told["forecast_kw"].to_numpy()
    assert (share > 0.0).all()


def test_the_sums_over_buses_and_branches_are_those_of_the_periods(either: DispatchDayResult) -> None:
    keys = ["period", "case"]
    demand = either.demand.group_by(keys).agg(
        pl.col("shed_kw", "shifted_kw").sum(),
        load_kw=pl.sum_horizontal("realised_kw", "shifted_kw", "moved_kw").sum(),
        moved_kw=pl.col("moved_kw").clip(lower_bound=0.0).sum(),
    )
    flows = either.flows.group_by(keys).agg(
        pl.col("loss_kw").sum(), loading_max_percent=pl.col("loading_percent").max()
    )
    for table in (demand, flows):
        both = either.periods.select(*keys, *table.columns[2:]).join(table, on=keys, suffix=" here")
        assert both.height == either.periods.height
        for name in table.columns[2:]:
            here, there = (both[column].to_numpy() for column in (name, f"{name} here"))
            assert there.astype(float) == pytest.approx(here.astype(float), abs=1e-6, nan_ok=True)
    for case in ("today", "forecast", "worst"):
        mine = either.periods.filter(case=case)
        hours = mine["hours"].to_numpy()
        bought = np.maximum(mine["source_kvar"].to_numpy(), 0.0) @ hours
        assert either.total("purchased_kvarh", case) == pytest.approx(bought)
        assert either.total("v_mean_pu", case) == pytest.approx(mine["v_mean_pu"].to_numpy() @ hours / hours.sum())
        mean = either.voltages.group_by("period", maintain_order=True).agg(pl.col(f"v_{case}_pu").mean())
        assert mine["v_mean_pu"].to_numpy() == pytest.approx(mean[f"v_{case}_pu"].to_numpy())


def test_what_flows_into_a_bus_is_what_is_served_there(either: DispatchDayResult) -> None:
    """Kirchhoff's law at every bus and in every period, of what the tables say of branches, load and units."""
    ends = either.grid.branches().select("name", "from_bus", "to_bus")
    flows = either.flows.join(ends, on="name").with_columns(out=pl.col("p_from_kw") - pl.col("loss_kw"))
    keys = ["period", "case", "bus"]
    cases = pl.DataFrame({"case": ["forecast", "worst"]})
    parts = [
        flows.select("period", "case", bus="from_bus", kw=-pl.col("p_from_kw")),
        flows.select("period", "case", bus="to_bus", kw="out"),
        either.demand.select(*keys, kw=-pl.col("served_kw")),
        either.sources.select(*keys, kw="p_kw"),
        either.renewables.select(*keys, kw="p_kw"),
        either.generators.join(cases, how="cross").select(*keys, kw="p_kw"),
        either.stores.join(cases, how="cross").select(*keys, kw=pl.col("discharge_kw") - pl.col("charge_kw")),
    ]
    fixed = either.grid.generators.filter(~pl.col("dispatchable")) if "dispatchable" in either.grid.generators else None
    assert fixed is None or fixed.is_empty()
    sums = pl.concat(parts).filter(pl.col("case") != "today").group_by(keys).agg(pl.col("kw").sum())
    assert sums.height == 2 * either.period_count * either.grid.buses.height
    assert sums["kw"].to_numpy() == pytest.approx(0.0, abs=1e-5)


def test_flows_are_those_of_a_power_flow_by_the_admittance_matrix(short: DispatchDayResult) -> None:
    """Each period of the worst day apart: what is drawn at every bus, and the equations of the nodes."""
    lines, buses = short.grid.lines.filter(pl.col("name").is_in(short.open_branches).not_()), short.grid.buses["name"]
    r, x = (lines[name].list.first().to_numpy() for name in ("r_ohm", "x_ohm"))
    y = 1.0 / (r + 1j * x)
    ends = lines.select("from_bus", "to_bus").rows()
    meets = np.array([[float(a == bus) - float(b == bus) for bus in buses] for a, b in ends])
    nodes = meets.T @ (y[:, None] * meets)
    volts = 1e3 * float(short.grid.buses["vn_kv"][0])
    for period, case in (("18", "worst"), ("20", "worst"), ("23", "forecast")):
        some = {
            name: getattr(short, name).filter(period=period)
            for name in ("demand", "renewables", "generators", "stores")
        }
        drawn = np.zeros(len(buses), dtype=complex)
        place = {bus: n for n, bus in enumerate(buses)}
        for bus, kw, kvar in some["demand"].filter(case=case).select("bus", "served_kw", "served_kvar").rows():
            drawn[place[bus]] += kw + 1j * kvar
        for bus, kw, kvar in some["renewables"].filter(case=case).select("bus", "p_kw", "q_kvar").rows():
            drawn[place[bus]] -= kw + 1j * kvar
        for bus, kw, kvar in some["generators"].select("bus", "p_kw", "q_kvar").rows():
            drawn[place[bus]] -= kw + 1j * kvar
        for bus, charge, discharge, kvar in some["stores"].select("bus", "charge_kw", "discharge_kw", "q_kvar").rows():
            drawn[place[bus]] += charge - discharge - 1j * kvar
        v = np.full(len(buses), volts, dtype=complex)
        for _ in range(100):
            current = -np.conj(1e3 * drawn[1:] / v[1:])
            v[1:] = np.linalg.solve(nodes[1:, 1:], current - nodes[1:, 0] * volts)
        through = y * (meets @ v)
        into = v[meets.argmax(axis=1)] * np.conj(through) / 1e3
        here = lines.select("name").join(short.flows.filter(case=case, period=period), on="name", maintain_order="left")
        assert here["p_from_kw"].to_numpy() == pytest.approx(into.real, abs=1e-4)
        assert here["q_from_kvar"].to_numpy() == pytest.approx(into.imag, abs=1e-4)
        assert here["i_a"].to_numpy() == pytest.approx(np.abs(through) / np.sqrt(3.0), abs=1e-4)
        assert here["loss_kw"].to_numpy() == pytest.approx((np.abs(through) ** 2 * r) / 1e3, abs=1e-5)
        said = short.voltages.filter(period=period)[f"v_{case}_pu"].to_numpy()
        assert said == pytest.approx(np.abs(v) / volts, abs=1e-7)
        opened = short.flows.filter(case=case, period=period).filter(pl.col("closed").not_())
        assert opened["name"].to_list() == list(short.open_branches)
        assert opened["i_a"].abs().max() == 0.0


def test_content_is_the_integral_of_what_is_charged(short: DispatchDayResult) -> None:
    tables = openpoint.read_day("baran33-day")
    shares = ["name", "charge_efficiency", "discharge_efficiency"]
    efficiency = pl.concat([tables.storages.select(shares), tables.vehicles.select(shares)])
    assert short.stores.filter("present")["name"].n_unique() == efficiency.height - 3  # three vehicles have left
    for (name,), rows in short.stores.filter("present").group_by("name", maintain_order=True):
        _, taken, given = efficiency.row(by_predicate=pl.col("name") == name)
        gain = taken * rows["charge_kw"].to_numpy() - rows["discharge_kw"].to_numpy() / given  # each period is an hour
        assert np.diff(profiles.held_kwh(rows)) == pytest.approx(gain, abs=1e-6)


@pytest.mark.parametrize("kind", ["demand", "purchase", "units", "stores", "voltages", "flows"])
def test_every_picture_is_drawn(kind: str, short: DispatchDayResult) -> None:
    sheet = PICTURES[kind](short)
    assert sheet.stacked
    assert short.plot(kind)._repr_png_()[:4] == b"\x89PNG"  # type: ignore[attr-defined]
    names = [text for _, text in sheet.panels[-1].chart.x.ticks]
    assert names[:-1] == short.periods.filter(case="today")["period"].to_list()
    assert not any(text for panel in sheet.panels[:-1] for _, text in panel.chart.x.ticks)


def test_several_days_lie_over_each_other(short: DispatchDayResult, result: DispatchDayResult) -> None:
    sheet = profiles.compared({"first": short, "second": short, "another day": result})
    assert "2 cases, each at worst; 1 with other periods left out" in sheet.title
    panels = {panel.caption: panel.chart for panel in sheet.panels}
    assert {"Active power of the sources, kW", "Losses, kW", "Lowest voltage, pu", "Load shed, kW"} <= set(panels)
    lines = [layer for layer in panels["Losses, kW"].layers if isinstance(layer, Lines)]
    assert [line.name for line in lines] == ["first", "second"]
    at_worst = short.periods.filter(case="worst")["loss_kw"].to_numpy()
    assert lines[0].ways[0][1::2] == pytest.approx(np.repeat(at_worst, 2))
    assert lines[0].ways == lines[1].ways
