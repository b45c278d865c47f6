"""A few hundred of the mutated inputs of `benchmarks.inputs_mutated`: read or refused, never an internal error."""

import tempfile
from pathlib import Path

import pytest
from benchmarks.inputs_mutated import mutation_of, put, read

from tests.builders.mutated import Files, sound

EACH = 12
QUICK = ("m", "json", "pos", "pgm", "xlsx", "csv", "parquet", "simbench", "futures", "futures parquet", "disasters")
QUICK += ("disasters parquet", "horizon", "year", "day", "priorities", "geojson", "options")


@pytest.fixture(scope="module")
def made() -> dict[str, Files]:
    with tempfile.TemporaryDirectory() as folder:
        return sound(Path(folder))


@pytest.mark.parametrize("kind", QUICK)
def test_sound_files_are_read(kind: str, made: dict[str, Files], tmp_path: Path) -> None:
    assert read(kind, put(made[kind], tmp_path / "sound")) == "read"


@pytest.mark.parametrize("kind", QUICK)
def test_mutated_files_are_read_or_refused(kind: str, made: dict[str, Files], tmp_path: Path) -> None:
    for number in range(EACH):
        _, files = mutation_of({kind: made[kind]}, 0, number)
        assert read(kind, put(files, tmp_path / str(number))) in ("read", "refused")
