"""Columns are declared once: tables, types, JSON Schemas and files all hold what is declared."""

from __future__ import annotations

from typing import Any

import jsonschema
import polars as pl
import pytest

from openpoint.errors import OptionError
from openpoint.results import columns as c
from openpoint.results.base import Answer, Result
from openpoint.studies.catalog import STUDIES, published
from openpoint.twostage.log import Termination
from tests.results.test_base import STUDIES as RUNS


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return {name: run() for name, run in RUNS.items()}


@pytest.mark.parametrize("name", RUNS)
def test_every_table_has_the_columns_that_are_declared(name: str, results: dict[str, Result]) -> None:
    result = results[name]
    frames = result.tables()
    assert list(frames) == list(result.shape.tables)
    for table, columns in result.shape.tables.items():
        assert set(frames[table].columns) == set(columns), table
        found = frames[table].schema
        for column, dtype in c.dtypes(columns).items():
            assert found[column] == dtype or (found[column] == pl.Null and columns[column].nullable), (table, column)
        c.checker(table, columns).validate(frames[table], cast=True)


@pytest.mark.parametrize("name", RUNS)
def test_every_document_holds_its_schema_key_by_key(name: str, results: dict[str, Result]) -> None:
    document, schema = results[name].document(), results[name].shape.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    assert list(document) == list(schema["properties"])


@pytest.mark.parametrize("name", RUNS)
def test_the_row_of_a_summary_keeps_its_types(name: str, results: dict[str, Result]) -> None:
    frame = results[name].row_frame()
    assert frame.height == 1
    assert {"study", "version", "grid"} <= set(frame.columns)
    assert not [column for column in frame if column.dtype == pl.Null]


NO_ANSWERS = "powerflow", "plan", "secure", "levels", "front", "secured front", "fleet"
"""Results of several answers, or of none that is searched."""


@pytest.mark.parametrize("name", [name for name in RUNS if name not in NO_ANSWERS])
def test_every_answer_has_the_same_head(name: str, results: dict[str, Result]) -> None:
    result = results[name]
    assert isinstance(result, Answer)
    head = result.head
    assert isinstance(head.termination, Termination)
    assert head.objective is not None
    assert head.bound <= head.objective + 1e-6 * abs(head.objective) + 1e-6
    assert head.gap == result.gap
    assert head.unit in ("kW", "$", "$/h")
    assert head.log.height > 0
    assert head.violations.columns[-3:] == ["value", "limit", "unit"]


def test_every_study_of_the_catalogue_is_run_here(results: dict[str, Result]) -> None:
    assert {type(result) for result in results.values()} == {study.answer for study in STUDIES}
    for study in STUDIES:
        assert study.answer.shape is study.shape
        assert published(study.shape.name) == study.shape.json_schema()


def test_an_unknown_schema_is_refused_with_the_known_ones() -> None:
    with pytest.raises(OptionError, match=r"'nothing'; there are result, futures, .*horizon, grid"):
        published("nothing")
