"""The page of records: what it shows is what was measured, each row has its certificate, no bound is above a loss."""

import json

import pytest
from benchmarks import records, tables


@pytest.fixture(scope="module")
def rows() -> list[tuple[records.Instance, records.Figures | None]]:
    found = json.loads(records.FIGURES.read_text("utf-8"))["rows"]
    return [(instance, found.get(instance.name)) for instance in records.instances()]


def test_the_page_holds_the_figures(rows: list[tuple[records.Instance, records.Figures | None]]) -> None:
    page = records.PAGE.read_text("utf-8")
    assert tables.as_markdown(records.table(rows)) in page
    assert records.details(rows) in page


def test_at_least_25_rows_are_measured_and_no_bound_is_contradicted(
    rows: list[tuple[records.Instance, records.Figures | None]],
) -> None:
    assert sum(figures is not None for _, figures in rows) >= 25
    assert records.faults(rows) == []


def test_a_loss_below_the_bound_and_a_refused_certificate_are_faults(
    rows: list[tuple[records.Instance, records.Figures | None]],
) -> None:
    instance, figures = next(row for row in rows if row[0].name == "33 buses")
    above = {**figures, "bound_kw": 1.01 * figures["bound_kw"]}
    assert "below the bound" in records.faults([(instance, above)])[0]
    refused = {**figures, "certificate": {**figures["certificate"], "accepted": False}}
    assert "refused" in records.faults([(instance, refused)])[0]


def test_better_figures_are_kept(rows: list[tuple[records.Instance, records.Figures | None]]) -> None:
    figures = next(figures for instance, figures in rows if instance.name == "33 buses")
    worse = {**figures, "loss_kw": 1.1 * figures["loss_kw"], "bound_kw": 0.9 * figures["bound_kw"], "open": ["1"]}
    merged = records.merged(figures, worse)
    assert (merged["loss_kw"], merged["bound_kw"], merged["open"]) == tuple(
        figures[key] for key in ("loss_kw", "bound_kw", "open")
    )


def test_a_row_names_its_command() -> None:
    instance = next(row for row in records.instances() if row.name == "33 buses")
    assert instance.command() == ["reconfigure", "baran33", "--ignore-limits", "all", "--gap", "0.0001"]
