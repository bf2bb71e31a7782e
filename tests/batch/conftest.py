"""Specifications as text, two jobs that only have options, and toy cubes with kept versions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import ClassVar, Literal

import pytest
from pydantic import Field, field_validator

from batch.spec import Spec, load_spec
from cube.errors import Problem, SpecError
from cube.options import Area, Gaps, Period, Strict
from cube.units import quantity
from tests.batch.kept import Kept

Load = Callable[[str], Spec]
Faults = Callable[[str], list[Problem]]


class IngestOptions(Strict):
    """Archive files become a product."""

    files: str | tuple[str, ...] = Field(description="paths or glob patterns")
    source: Literal["tamsat", "haduk", "cru"] = Field(description="convention of the files")
    gaps: Gaps = Field(default_factory=Gaps)
    area: Area | None = Field(None, description="part of the grid")
    period: Period | None = None
    references: dict[str, str] = Field(default_factory=dict, description="addresses by name")


class MetricOptions(Strict):
    """A number a year."""

    product_fields: ClassVar[tuple[str, ...]] = ("input", "also")

    input: str = Field(description="the daily product")
    also: tuple[str, ...] = Field((), description="further products")
    threshold: str = Field(description="days below it count", examples=["1 mm d-1"])
    window: int = Field(1, ge=1, le=90, description="length of the mean", json_schema_extra={"units": "days"})

    @field_validator("threshold")
    @classmethod
    def _rate(cls, value: str) -> str:
        try:
            quantity(value, "mm d-1", "threshold")
        except SpecError as error:
            raise ValueError(*error.problems) from None
        return value


JOBS: dict[str, type[Strict]] = {"ingest": IngestOptions, "metric": MetricOptions}


@pytest.fixture(scope="session")
def jobs() -> dict[str, type[Strict]]:
    return JOBS


@pytest.fixture(scope="session")
def spec_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spec") / "cube.yaml"


@pytest.fixture(scope="session")
def load(spec_file: Path) -> Load:
    """Loads a specification given as text."""

    def load(text: str) -> Spec:
        spec_file.write_text(dedent(text), encoding="utf-8")
        return load_spec(spec_file, JOBS)

    return load


@pytest.fixture(scope="session")
def faults(load: Load, spec_file: Path) -> Faults:
    """The problems of a specification given as text, places without the folder: "cube.yaml:3 store"."""

    def faults(text: str) -> list[Problem]:
        with pytest.raises(SpecError) as caught:
            load(text)
        folder = f"{spec_file.parent}/"
        return [Problem(p.code, p.what, p.where.replace(folder, ""), p.danger, p.fix) for p in caught.value.problems]

    return faults


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A toy cube of three versions, to be copied."""
    return Kept.built(tmp_path_factory.mktemp("three"), metric=False)


@pytest.fixture
def three(built: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """Three versions of 800, 900 and 1000 days, the last one live."""
    return built.copied(tmp_path, monkeypatch)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """A toy cube that nothing was built in."""
    return Kept.empty(tmp_path, monkeypatch)
