"""One tiny archive for the tests of conventions; the default archive is made only for the tests that need it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.samples import LatLonGrid, SampleSettings, SampleSummary, write_sample_archive

TINY = SampleSettings(
    africa=LatLonGrid.africa(10.0),
    observation_years=(2003, 2004),
    cru_ncep_years=2,
    haduk_years=1,
    historical_start=2004,
    scenario_end=2007,
    sif_months=1,
    smap_days=3,
)


@pytest.fixture(scope="session")
def tiny_settings() -> SampleSettings:
    return TINY


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("samples") / "tiny"
    write_sample_archive(directory, TINY)
    return directory


@pytest.fixture(scope="session")
def default(tmp_path_factory: pytest.TempPathFactory) -> SampleSummary:
    return write_sample_archive(tmp_path_factory.mktemp("samples") / "default")
