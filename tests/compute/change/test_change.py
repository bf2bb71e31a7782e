"""Change from daily rain through the metric to what is published, against counting and scipy on the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from batch.build import build
from batch.jobs import OPTIONS
from batch.reporting import Reporter
from batch.spec import load_spec
from cube.catalogue import Cube
from tests.compute.metrics.toy import Serial
from tests.ingest.small_files import LATITUDES, LONGITUDES, write

from .toy import plain_p

Values = np.ndarray[Any, Any]
PAST, FUTURE = range(1980, 2005), range(2010, 2050)
WINDOWS = ((2010, 2034), (2025, 2049))
SPEC = """
title: Change
store: ./cube
memory: 1 GiB
cluster: {kind: local, workers: 0}
products:
  rain-{run}: {job: ingest, collection: inputs, source: cf, files: "{run}-*.nc", each: {run: [past, one]}}
  dry-{run}:
    job: metric
    collection: metrics
    metric: dry_days
    input: rain-{run}
    threshold: 1 mm d-1
    each: {run: [past, one]}
  change:
    job: change
    collection: metrics
    models: [{scenario: dry-one, past: dry-past}]
    variables: [dry_days]
    past: {start: 1980, end: 2004}
    windows: [[2010, 2034], [2025, 2049]]
"""


def rain(years: range, seed: int, drier: float) -> Values:
    """Rain that falls less often with the years, more so eastward; one cell is sea, one has few years with values, one
    lacks a third of each year's days."""
    random = np.random.default_rng(seed)
    shape = (len(years), 365, len(LATITUDES), len(LONGITUDES))
    trend = drier * np.arange(len(LONGITUDES)) * (np.arange(len(years)) / 50.0)[:, None]
    chance = 0.5 - trend[:, None, None, :] + random.normal(0, 0.02, (len(years), 1, *shape[2:]))
    found = np.where(random.random(shape) < chance, 5.0, 0.0).astype(np.float32)
    found[:, :, 0, 0] = np.nan
    found[:8, :, 1, 1] = np.nan
    found[:, 120:240, 2, 1] = np.nan
    return found


def archive(folder: Path) -> dict[str, Values]:
    """Dry days of each run by plain counting, (years, lat, lon), NaN where missing."""
    counted = {}
    for name, years, seed, drier in (("past", PAST, 1, 0.0), ("one", FUTURE, 2, 0.1)):
        values = rain(years, seed, drier)
        write(
            folder / f"{name}-all.nc",
            values.reshape(-1, *values.shape[2:]),
            name="pr",
            times=range(values.shape[0] * 365),
            units=f"days since {years[0]}-01-01",
            calendar="noleap",
            attrs={"units": "mm d-1", "standard_name": "precipitation_flux"},
        )
        dry = np.count_nonzero(values < 1, axis=1).astype(float)
        dry[np.isnan(values).any(axis=1)] = np.nan
        counted[name] = dry
    return counted


def test_change_differs_from_means_and_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("batch.build.ProcessPoolExecutor", Serial)
    dry = archive(tmp_path)
    (tmp_path / "cube.yaml").write_text(SPEC)
    spec = load_spec(tmp_path / "cube.yaml", OPTIONS)
    assert not build(spec, spec.order(), Reporter(quiet=True)).failed

    found = Cube(tmp_path / "cube")["change"].load()
    assert found["dry_days_change"].attrs["units"] == "d"
    for number, window in enumerate(WINDOWS):
        after = dry["one"][window[0] - FUTURE[0] : window[1] - FUTURE[0] + 1]
        p = np.full(after.shape[1:], np.nan)
        for cell in np.ndindex(p.shape):
            before, later = dry["past"][:, *cell], after[:, *cell]
            at = found.isel(model=0, window=number, lat=cell[0], lon=cell[1])
            if cell in ((0, 0), (1, 1), (2, 1)):
                assert np.isnan(at["dry_days_change"])
                assert np.isnan(at["dry_days_p_value"])
                assert np.isnan(at["dry_days_significant"])
                # Sea has no flag: nothing is wrong with it.
                assert int(at["dry_days_flag"]) == (0 if cell == (0, 0) else 1)
                continue
            p[cell] = plain_p(before, later)
            assert int(at["dry_days_years"]) == int(at["dry_days_past_years"]) == 25
            np.testing.assert_allclose(at["dry_days_past"], before.mean(), rtol=1e-6)
            np.testing.assert_allclose(at["dry_days_change"], later.mean() - before.mean(), rtol=1e-5)
            np.testing.assert_allclose(at["dry_days_p_value"], p[cell], rtol=1e-5)
        known = np.isfinite(p)
        significant = found["dry_days_significant"].values[0, number]
        np.testing.assert_array_equal(significant[known] == 1, false_discovery_control(p[known], method="bh") <= 0.1)
        assert 0 < np.nansum(significant) < known.sum()
